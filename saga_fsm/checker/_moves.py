"""
What must hold of every move of the machine: I5 (starts), I7 and I9; and I10, of the whole table.

Written from the layout: which scopes a pivot commits and which retriables have to wait for it is
worked out here again, so that a table that gets it wrong does not excuse itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from saga_fsm.definition import Kind
from saga_fsm.definition.layout import (
    ROOT,
    Layout,
    Placed,
    PlacedParallel,
    PlacedScope,
    PlacedStep,
)
from saga_fsm.machine import Codes, Machine


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


class Moves:
    """What no move may do; ``broken(before, after)`` gives rule, step and sentence."""

    def __init__(self, layout: Layout, machine: Machine) -> None:
        self.machine = machine
        scope_of = {path: placed.scope for path, placed in layout.steps.items()}
        scope_of |= {path: placed.scope for path, placed in layout.decisions.items()}
        scope_of |= {
            path: scope.parent for path, scope in layout.scopes.items() if scope.parent is not None
        }
        at = machine.index
        # Many moves are looked at: all is kept by number, and asked of what has changed alone.
        self._scope = {at[path]: at[scope] for path, scope in scope_of.items()}
        self._first = [automaton.locals[0] for automaton in machine.automata]
        self._back = self._codes(_BACK, "scope")
        self._ended = self._codes(_ENDED, "scope")
        self._done = self._codes({"done"}, "step")
        self._open = self._codes(_OPEN, "step")
        self._forward = self._codes(_FORWARD, "step")
        self._undoing = self._codes({"compensating"}, "step")
        # Per step: the pivots that make it final; those that it waits for, on every run or on some.
        self._final: dict[int, list[int]] = {}
        self._waits: dict[int, list[tuple[int, bool]]] = {}
        for path, placed in layout.steps.items():
            if placed.kind is Kind.PIVOT:
                self._read(layout, path, placed)

    def _codes(self, names: set[str], sort: str) -> frozenset[int]:
        return frozenset(
            code
            for automaton in self.machine.automata
            if automaton.sort == sort
            for code in automaton.locals
            if automaton.local(code) in names
        )

    def _read(self, layout: Layout, path: str, placed: PlacedStep) -> None:
        at, pivot = self.machine.index, self.machine.index[path]
        for scope in committed_by(layout, placed.scope):
            direct = set(always(scope.body))
            for inside, other, later in within(layout, scope):
                # What comes after the pivot may still turn back by itself: an alternative.
                if other.kind is Kind.COMPENSATABLE and not later:
                    self._final.setdefault(at[inside], []).append(pivot)
                elif other.kind is Kind.RETRIABLE:
                    # Whether each run that comes to it has to take the pivot.
                    self._waits.setdefault(at[inside], []).append((pivot, path in direct))

    def broken(self, before: Codes, after: Codes) -> Breaches:
        """Every breach of this move."""
        if before[0] in self._ended and after[0] != before[0]:
            root = self.machine.automata[0].local
            yield "I9", "", f"the run had ended as {root(before[0])} and is {root(after[0])} again"
        changed = [v for v, (was, now) in enumerate(zip(before, after, strict=True)) if was != now]
        for v in changed:
            if before[v] == self._first[v]:
                yield from self._starts(v, before, after)
            elif after[v] in self._undoing and before[v] in self._forward:
                for pivot in self._final.get(v, ()):
                    if after[pivot] in self._done:
                        path, final = (self.machine.automata[x].path for x in (v, pivot))
                        yield "I7", path, f"{path} is undone after the pivot {final} is done"

    def _starts(self, v: int, before: Codes, after: Codes) -> Breaches:
        path = self.machine.automata[v].path
        scope = self._scope.get(v)
        if scope is not None and before[scope] in self._back and after[scope] in self._back:
            around = self.machine.automata[scope].path
            yield "I5", path, f"{path} starts while {_named(around)} is turning back"
        for pivot, always in self._waits.get(v, ()):
            if after[pivot] in self._open or (always and after[pivot] not in self._done):
                awaited = self.machine.automata[pivot].path
                yield "I7", path, f"{path} starts before the pivot {awaited} is done"


def _named(scope: str) -> str:
    return "the saga" if scope == ROOT else scope


def committed_by(layout: Layout, scope: str) -> Iterator[PlacedScope]:
    """The scopes that a pivot makes final: its own and those around, to one undone as a whole."""
    path: str | None = scope
    while path is not None:
        placed = layout.scopes[path]
        yield placed
        path = None if placed.compensate is not None else placed.parent


def within(layout: Layout, scope: PlacedScope) -> Iterator[tuple[str, PlacedStep, bool]]:
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


def always(body: tuple[Placed, ...]) -> Iterator[str]:
    """The steps that every run through this body takes."""
    for block in body:
        if isinstance(block, PlacedStep):
            yield block.path
        elif isinstance(block, PlacedParallel):
            yield from always(block.branches)
        elif isinstance(block, PlacedScope):
            yield from always(block.body)


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
