"""
Makes ``diagrams/``: the flow of every example, as DOT and as SVG, and an index.

``python tests/gallery.py`` writes it anew; a test fails when it is not what it would write. Layout
engines differ, so an SVG is compared by the digest of its DOT, which it carries.
"""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path

from saga_fsm import draw


FOLDER = Path(__file__).parents[1] / "diagrams"
EXAMPLES = (
    "order",
    "order_with_retries",
    "order_recovered",
    "order_choreographed",
    "trip",
    "transfer",
    "fulfilment",
)


def source(example: str) -> str:
    """The DOT text of one example, freshly drawn."""
    return draw(import_module(f"saga_fsm.examples.{example}").saga).source


def digest(dot: str) -> str:
    """What an SVG carries of its DOT."""
    return f"<!-- DOT sha256 {hashlib.sha256(dot.encode()).hexdigest()} -->"


def index() -> str:
    """The page that shows them all."""
    pictures = [f"## {name}\n\n![the flow of {name}]({name}.svg)\n" for name in EXAMPLES]
    head = (
        "# Gallery\n\nMade by `nox -s diagrams` from `saga_fsm.examples`; never edited by hand.\n"
    )
    return "\n".join([head, *pictures])


def write() -> None:
    """Write the folder anew."""
    FOLDER.mkdir(exist_ok=True)
    for example in EXAMPLES:
        drawing = draw(import_module(f"saga_fsm.examples.{example}").saga)
        (FOLDER / f"{example}.dot").write_text(drawing.source)
        svg = drawing.pipe("svg").decode()
        (FOLDER / f"{example}.svg").write_text(f"{svg.rstrip()}\n{digest(drawing.source)}\n")
    (FOLDER / "README.md").write_text(index())


if __name__ == "__main__":
    write()
