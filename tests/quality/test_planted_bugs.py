"""Bugs planted in the compiled table: the checker must find each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from saga_fsm.checker._invariants import Invariants
from saga_fsm.checker._product import Product
from saga_fsm.checker._search import search
from saga_fsm.compiler import compile_saga
from saga_fsm.definition import Saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.machine import Machine, Row
from saga_fsm.machine import _alphabet as a
from tests.reference import GUARDED, C, P, R, parallel


Change = Callable[[Row, dict[str, int]], Row | None]


def changed(row: Row, *, guard: Any = None, update: Any = None) -> Row:
    """The same row with another guard or update."""
    return Row(
        row.event,
        row.name,
        row.automaton,
        row.guard if guard is None else tuple(guard),
        row.update if update is None else tuple(update),
        row.automata,
    )


def without(row: Row, v: int) -> Row:
    """The row, not asking automaton ``v``."""
    return changed(row, guard=[literal for literal in row.guard if literal[0] != v])


def only(name: str, change: Callable[[Row, dict[str, int]], Row | None]) -> Change:
    """Change the rows of one name."""
    return lambda row, at: change(row, at) if row.name == name else row


def to(name: str, path: str, code: int) -> Change:
    """Let a row write another local state."""
    return only(
        name,
        lambda row, at: changed(
            row, update=[(v, code if v == at[path] else x) for v, x in row.update]
        ),
    )


ORDER = (C("a"), C("b"), P("p"), R("r"))
PLANTED: dict[str, tuple[tuple[Any, ...], Change]] = {
    "an unknown step taken as rejected": (ORDER, to("unknown(b)", "b", a.REJECTED)),
    "exhausted pivot taken as rejected": (ORDER, to("exhausted(p)", "p", a.REJECTED)),
    "an undo error swallowed": (ORDER, to("exhausted(b)", "b", a.COMPENSATED)),
    "a failed undo taken as done": (ORDER, to("unknown(b)", "b", a.COMPENSATED)),
    "undo order not guarded": (ORDER, only("undo a", lambda row, at: without(row, at["b"]))),
    "undo of b never done": (ORDER, only("undo b", lambda row, at: None)),
    "a pivot that does not commit": (
        (C("a"), parallel(P("p"), R("r"))),
        only("done(p)", lambda row, at: changed(row, update=[(at["p"], a.DONE)])),
    ),
    "undo before the drain": (
        (parallel(C("a"), C("b")),),
        only("@saga drained", lambda row, at: changed(row, guard=row.guard[:1])),
    ),
    "a scope that does not hear a failure": (ORDER, only("fail b", lambda row, at: None)),
    "clean before the undo": (
        ORDER,
        only("@saga clean", lambda row, at: changed(row, guard=row.guard[:1])),
    ),
}


def found(blocks: tuple[Any, ...], change: Change | None) -> set[str]:
    """The rules that a search of the changed machine finds broken."""
    saga = Saga("planted", *blocks, contract=GUARDED)
    machine = compile_saga(saga)
    if change is not None:
        rows = [change(row, machine.index) for row in machine.rows]
        assert rows != list(machine.rows), "the bug was not planted"
        machine = Machine(machine.name, machine.automata, [row for row in rows if row])
    layout = lay_out(saga)
    product = Product(layout, machine)
    explored = search(product, Invariants(layout, product), limit=50_000)
    return {breach.rule for breach in explored.breaches}


@pytest.mark.parametrize("bug", PLANTED)
def test_each_planted_bug_is_found(bug: str) -> None:
    """A planted bug breaks an invariant that the sound table keeps."""
    blocks, change = PLANTED[bug]
    assert found(blocks, change)
    assert not found(blocks, None)
