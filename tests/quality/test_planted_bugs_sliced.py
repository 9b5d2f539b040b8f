"""Bugs planted in the compiler: the slices are compiled by it too, and are not called safe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from saga_fsm.checker._compose import Composed, compose
from saga_fsm.compiler import compile_layout
from saga_fsm.definition import GUARDED, Saga, parallel
from saga_fsm.definition.layout import Layout, lay_out
from saga_fsm.machine import Machine, Row
from saga_fsm.machine import _alphabet as a
from tests.quality.tampering import changed
from tests.reference import BOUNDED, C, P, R


Bug = Callable[[Row, Machine], Row | None]


def to(kind: str, was: int, now: int) -> Bug:
    """Let the rows of a kind write another local state."""

    def change(row: Row, _: Machine) -> Row:
        if row.event is None or row.event.kind != kind:
            return row
        return changed(row, update=[(v, now if x == was else x) for v, x in row.update])

    return change


def own_guard(ends: str, count: int) -> Bug:
    """Let rows of a name ask only the first few things."""

    def change(row: Row, _: Machine) -> Row:
        named = row.name.startswith(ends) or row.name.endswith(ends)
        return changed(row, guard=row.guard[:count]) if named and row.event is None else row

    return change


def pivot_keeps_to_itself(row: Row, _: Machine) -> Row:
    """A pivot that is done commits nothing."""
    done = row.event is not None and row.event.kind == "done" and len(row.update) > 1
    return changed(row, update=row.update[:1]) if done else row


def deaf(row: Row, _: Machine) -> Row | None:
    """No scope hears a failure."""
    return None if row.event is None and row.name.startswith("fail ") else row


BUGS: dict[str, Bug] = {
    "an unknown step taken as rejected": to("unknown", a.UNKNOWN, a.REJECTED),
    "exhausted taken as rejected": to("exhausted", a.UNKNOWN, a.REJECTED),
    "an undo error swallowed": to("exhausted", a.COMPENSATION_FAILED, a.COMPENSATED),
    "undo order not guarded": own_guard("undo ", 2),
    "undo before the drain": own_guard(" drained", 1),
    "clean before the undo": own_guard(" clean", 1),
    "a pivot that does not commit": pivot_keeps_to_itself,
    "a scope that does not hear a failure": deaf,
}


def large() -> Saga[Any, Any]:
    """A saga of forty steps that no search of the whole comes to the end of."""
    first = [C(f"a{i}", retry=BOUNDED) for i in range(12)]
    branches = [Saga(f"n{i}", C(f"b{i}"), C(f"c{i}", retry=BOUNDED)) for i in range(10)]
    last = [R(f"r{i}") for i in range(5)]
    middle = parallel(*branches)
    return Saga("large", *first, middle, C("d"), parallel(P("p"), R("q")), *last, contract=GUARDED)


@pytest.mark.parametrize("bug", BUGS)
def test_each_bug_of_the_compiler_is_seen_in_a_slice(bug: str) -> None:
    """With a planted bug the saga is not composed as safe; without one it is."""

    def compiled(layout: Layout) -> Machine:
        machine = compile_layout(layout)
        rows = [BUGS[bug](row, machine) for row in machine.rows]
        return Machine(machine.name, machine.automata, [row for row in rows if row])

    layout = lay_out(large())
    found = compose(layout, compiled=compiled)
    assert isinstance(found, str) or found.breach is not None
    sound = compose(layout)
    assert isinstance(sound, Composed)
    assert sound.breach is None
