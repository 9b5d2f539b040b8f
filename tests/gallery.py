"""
Makes ``diagrams/``: every example, as DOT and as SVG, light and dark, and an index.

``python tests/gallery.py`` writes it anew; a test fails when it is not what it would write. Layout
engines differ, so an SVG is compared by the digest of its DOT, which it carries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from saga_fsm import GUARDED, Contract, Saga, check, draw, pivot, readonly, retriable, step
from saga_fsm.drawing import Drawing, to_mermaid
from saga_fsm.examples import order


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
# The machines that are small enough to be understood at a look.
MACHINES = ("transfer", "order")


def example(name: str) -> Any:
    """The saga of an example."""
    return import_module(f"saga_fsm.examples.{name}").saga


def supply_chain() -> Saga[Any, Any, Any]:
    """A saga of 60 steps, too long to be drawn step by step."""

    def named(name: str) -> Callable[..., Any]:
        """A function of this name, which is what a drawing shows."""

        def act(ctx: object, *rest: object) -> None:
            """Do nothing."""

        act.__name__ = name
        return act

    verbs = ("register", "reserve", "check", "label", "book", "record")
    things = ("order", "stock", "carrier", "parcel", "slot", "invoice", "customs", "route", "lot")
    names = [f"{verb}_{thing}" for thing in things for verb in verbs] + [
        f"close_{thing}" for thing in things
    ]
    before = [
        readonly(named(name))
        if name.startswith("check")
        else step(named(name), compensate=named(f"undo_{name}"))
        for name in names[:28]
    ]
    after = [retriable(named(name)) for name in names[28:59]]
    return Saga("supply_chain", *before, pivot(named("dispatch_goods")), *after, contract=GUARDED)


@cache
def weak_report() -> Any:
    """What a check says of the order whose participants accept what comes after its undo."""
    contract = Contract(idempotent=True, sticky=True)
    return check(Saga("order_unfenced", *order.saga.blocks, contract=contract, deadline=60.0))


def pictures() -> Iterator[tuple[str, str, Callable[[str], Drawing]]]:
    """Each picture: its file name, what it shows, and how it is drawn in a theme."""
    for name in EXAMPLES:
        yield name, f"the flow of {name}", lambda theme, x=name: draw(example(x), theme=theme)
    for name in MACHINES:
        yield (
            f"{name}_machine",
            f"the state machine of {name}",
            lambda theme, x=name: draw(example(x), view="machine", theme=theme),
        )
    yield (
        "counterexample",
        "an order whose participants are not fenced: the shortest run that breaks a rule",
        lambda theme: draw(weak_report(), theme=theme),
    )
    yield (
        "supply_chain",
        "sixty steps, as a ledger",
        lambda theme: draw(supply_chain(), theme=theme),
    )


@cache
def drawings() -> dict[str, Drawing]:
    """Every picture of the gallery by its name, the dark ones as ``<name>_dark``."""
    drawn = {}
    for name, _, make in pictures():
        drawn[name] = make("light")
        drawn[f"{name}_dark"] = make("dark")
    return drawn


def digest(dot: str) -> str:
    """What an SVG carries of its DOT."""
    return f"<!-- DOT sha256 {hashlib.sha256(dot.encode()).hexdigest()} -->"


def index() -> str:
    """The page that shows them all, each in the reader's theme."""
    head = (
        "# Gallery\n\nMade by `nox -s diagrams` from `saga_fsm.examples`; never edited by hand.\n"
    )
    shown = [
        f"## {name}\n\n<picture>\n"
        f'  <source media="(prefers-color-scheme: dark)" srcset="{name}_dark.svg">\n'
        f'  <img alt="{what}" src="{name}.svg">\n</picture>\n'
        for name, what, _ in pictures()
    ]
    mermaid = f"## transfer, as Mermaid\n\n```mermaid\n{to_mermaid(example('transfer'))}```\n"
    return "\n".join([head, *shown, mermaid])


def write() -> None:
    """Write the folder anew."""
    FOLDER.mkdir(exist_ok=True)
    for name, drawing in drawings().items():
        (FOLDER / f"{name}.dot").write_text(drawing.source)
        svg = drawing.pipe("svg").decode()
        (FOLDER / f"{name}.svg").write_text(f"{svg.rstrip()}\n{digest(drawing.source)}\n")
    (FOLDER / "README.md").write_text(index())


if __name__ == "__main__":
    write()
