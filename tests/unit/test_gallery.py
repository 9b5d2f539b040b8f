"""The pictures in ``diagrams/`` are those of the sagas as they are now."""

from __future__ import annotations

import pytest

from tests.gallery import EXAMPLES, FOLDER, digest, drawings, index, pictures


NAMES = [f"{name}{theme}" for name, _, _ in pictures() for theme in ("", "_dark")]


@pytest.mark.heavy
@pytest.mark.parametrize("name", NAMES)
def test_the_gallery_is_fresh(name: str) -> None:
    """The DOT is what would be drawn now, and the SVG carries its digest (`nox -s diagrams`)."""
    dot = drawings()[name].source
    assert (FOLDER / f"{name}.dot").read_text() == dot
    assert digest(dot) in (FOLDER / f"{name}.svg").read_text()


def test_nothing_else_is_in_the_gallery() -> None:
    """No picture of a saga that is gone, and an index of all that are there."""
    names = {f"{name}.{form}" for name in NAMES for form in ("dot", "svg")}
    assert {file.name for file in FOLDER.iterdir()} == names | {"README.md"}
    assert (FOLDER / "README.md").read_text() == index()


def test_every_example_is_in_the_gallery() -> None:
    """An example that is added is drawn too."""
    package = FOLDER.parent / "saga_fsm" / "examples"
    assert sorted(EXAMPLES) == sorted(x.stem for x in package.glob("[!_]*.py"))
