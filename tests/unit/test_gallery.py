"""The pictures in ``diagrams/`` are those of the sagas as they are now."""

from __future__ import annotations

import pytest

from tests.gallery import EXAMPLES, FOLDER, digest, index, source


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_gallery_is_fresh(example: str) -> None:
    """The DOT is what would be drawn now, and the SVG carries its digest (`nox -s diagrams`)."""
    dot = source(example)
    assert (FOLDER / f"{example}.dot").read_text() == dot
    assert digest(dot) in (FOLDER / f"{example}.svg").read_text()


def test_nothing_else_is_in_the_gallery() -> None:
    """No picture of a saga that is gone, and an index of all that are there."""
    names = {f"{name}.{form}" for name in EXAMPLES for form in ("dot", "svg")}
    assert {file.name for file in FOLDER.iterdir()} == names | {"README.md"}
    assert (FOLDER / "README.md").read_text() == index()
