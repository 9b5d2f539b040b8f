"""
What must hold of every move of the machine: I5 (starts), I7 and I9; and I10, of the whole table.

Written from the layout: which scopes a pivot commits and which retriables have to wait for it is
worked out here again, so that a table that gets it wrong does not excuse itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from saga_fsm.definition import Kind
from saga_fsm.definition.layout import (
    ROOT,
    Layout,
    Placed,
    PlacedParallel,
    PlacedScope,
    PlacedStep,
)
from saga_fsm.machine import Codes, Machine, State


Breaches = Iterator[tuple[str, str, str]]

_BACK = {"halting", "interrupted", "held", "undoing", "compensated"}
_ENDED = {"done", "compensated"}
_CALLED = {"started", "restarted"}
_UNDOING = {"compensating", "whole_compensating"}
# Where the answer to a call can come from; anywhere else it is late, and the driver says so.
_OPEN_CALL = {
    "done": _CALLED,
    "rejected": _CALLED,
    "transient": _CALLED | _UNDOING | {"querying"},
    "unknown": _CALLED | _UNDOING | {"querying"},
    "landed": {"querying"},
    "absent": {"querying"},
    "compensated": _UNDOING,
}
_OPEN = {"started", "restarted", "waiting", "querying", "query_waiting", "stuck"}
# From an alarm, or after a failed one, an undo is an operator's word and never a start.
_FORWARD = _OPEN | {"done", "unknown"}


@attrs.frozen
class _Pivot:
    """One pivot: what it makes final, and the retriables that have to wait for it, or may not."""

    path: str
    final: list[str]
    waits: list[tuple[str, bool]]


class Moves:
    """What no move may do; ``broken(before, after)`` gives rule, step and sentence."""

    def __init__(self, layout: Layout, machine: Machine) -> None:
        self.machine = machine
        scope_of = {path: placed.scope for path, placed in layout.steps.items()}
        scope_of |= {path: placed.scope for path, placed in layout.decisions.items()}
        scope_of |= {
            path: scope.parent for path, scope in layout.scopes.items() if scope.parent is not None
        }
        at, automata = machine.index, machine.automata
        # Millions of moves are looked at: by number, and by name only where there may be a breach.
        self._scope_of = [
            (at[path], automata[at[path]].locals[0], at[scope], self._codes(at[scope], _BACK))
            for path, scope in scope_of.items()
        ]
        self._ended = self._codes(0, _ENDED)
        self._pivots = [
            _pivot(layout, path, placed)
            for path, placed in layout.steps.items()
            if placed.kind is Kind.PIVOT
        ]
        self._of_pivots = sorted(
            {at[x] for pivot in self._pivots for x in (*pivot.final, *dict(pivot.waits))}
        )

    def _codes(self, v: int, names: set[str]) -> frozenset[int]:
        automaton = self.machine.automata[v]
        return frozenset(code for code in automaton.locals if automaton.local(code) in names)

    def broken(self, before: Codes, after: Codes) -> Breaches:
        """Every breach of this move."""
        if before[0] in self._ended and after[0] != before[0]:
            root = self.machine.automata[0].local
            yield "I9", "", f"the run had ended as {root(before[0])} and is {root(after[0])} again"
        for v, first, scope, back in self._scope_of:
            starts = before[v] == first != after[v]
            if starts and before[scope] in back and after[scope] in back:
                path, around = (self.machine.automata[x].path for x in (v, scope))
                yield "I5", path, f"{path} starts while {_named(around)} is turning back"
        if any(before[v] != after[v] for v in self._of_pivots):
            was, now = State(before, self.machine), State(after, self.machine)
            for pivot in self._pivots:
                yield from _past(pivot, was, now)


def _past(pivot: _Pivot, before: State, after: State) -> Breaches:
    """I7: what a pivot makes final is not undone after it, and a retriable waits for it."""
    if after[pivot.path] == "done":
        for path in pivot.final:
            if before[path] in _FORWARD and after[path] == "compensating":
                yield "I7", path, f"{path} is undone after the pivot {pivot.path} is done"
    for path, always in pivot.waits:
        starts = before[path] == "pending" != after[path]
        if starts and (after[pivot.path] in _OPEN or (always and after[pivot.path] != "done")):
            yield "I7", path, f"{path} starts before the pivot {pivot.path} is done"


def _pivot(layout: Layout, pivot: str, placed: PlacedStep) -> _Pivot:
    final: list[str] = []
    waits: list[tuple[str, bool]] = []
    for scope in _committed(layout, placed.scope):
        direct = set(_always(scope.body))
        for path, other, later in _inside(layout, scope):
            # What comes after the pivot may still turn back by itself: an alternative.
            if other.kind is Kind.COMPENSATABLE and not later:
                final.append(path)
            elif other.kind is Kind.RETRIABLE:
                # Whether each run that comes to it has to take the pivot.
                waits.append((path, pivot in direct))
    return _Pivot(pivot, final, waits)


def _named(scope: str) -> str:
    return "the saga" if scope == ROOT else scope


def _committed(layout: Layout, scope: str) -> Iterator[PlacedScope]:
    """The scopes that a pivot makes final: its own and those around, to one undone as a whole."""
    path: str | None = scope
    while path is not None:
        placed = layout.scopes[path]
        yield placed
        path = None if placed.compensate is not None else placed.parent


def _inside(layout: Layout, scope: PlacedScope) -> Iterator[tuple[str, PlacedStep, bool]]:
    """
    The steps of a scope, and whether each belongs to its tail.

    Through the scopes in it, but for those that are undone as a whole.
    """
    for path, placed in layout.steps.items():
        at: str | None = placed.scope
        later = placed.tail
        while at is not None and at != scope.path and layout.scopes[at].compensate is None:
            later = layout.scopes[at].tail
            at = layout.scopes[at].parent
        if at == scope.path:
            yield path, placed, later


def _always(body: tuple[Placed, ...]) -> Iterator[str]:
    """The steps that every run through this body takes."""
    for block in body:
        if isinstance(block, PlacedStep):
            yield block.path
        elif isinstance(block, PlacedParallel):
            yield from _always(block.branches)
        elif isinstance(block, PlacedScope):
            yield from _always(block.body)


def of_table(machine: Machine) -> Breaches:
    """I10 and R11: each event has a row or a reason, and no answer is heard but of an open call."""
    for (path, local, event), reason in machine.ignored.items():
        if not reason:
            yield "I10", path, f"{event} in {path}.{local} is neither a move nor explained"
    for row in machine.rows:
        if row.event is None or row.event.kind not in _OPEN_CALL:
            continue
        automaton = machine.automata[row.automaton]
        heard = dict(row.guard).get(row.automaton, frozenset(automaton.locals))
        for local in sorted({automaton.local(code) for code in heard} - _OPEN_CALL[row.event.kind]):
            where = f"{automaton.path}.{local}"
            yield "I10", automaton.path, f"{row.event} is believed in {where}: no such call is open"
