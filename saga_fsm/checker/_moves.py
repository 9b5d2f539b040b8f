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
from saga_fsm.machine import Machine, State


Breaches = Iterator[tuple[str, str, str]]

_BACK = {"halting", "interrupted", "held", "undoing", "compensated"}
_ENDED = {"done", "compensated"}
_OPEN = {"started", "restarted", "waiting", "querying", "query_waiting", "stuck"}
# From an alarm, or after a failed one, an undo is an operator's word and never a start.
_FORWARD = _OPEN | {"done", "unknown"}


class Moves:
    """What no move may do; ``broken(before, after)`` gives rule, step and sentence."""

    def __init__(self, layout: Layout) -> None:
        self.scope_of = {path: placed.scope for path, placed in layout.steps.items()}
        self.scope_of |= {path: placed.scope for path, placed in layout.decisions.items()}
        self.scope_of |= {
            path: scope.parent for path, scope in layout.scopes.items() if scope.parent is not None
        }
        # Per pivot: the compensatable steps that it makes final, and the retriable ones that wait
        # for it, with whether each run that comes to them has to take the pivot.
        self.final: list[tuple[str, list[str]]] = []
        self.waits: list[tuple[str, str, bool]] = []
        for path, placed in layout.steps.items():
            if placed.kind is Kind.PIVOT:
                self._read(layout, path, placed)

    def _read(self, layout: Layout, pivot: str, placed: PlacedStep) -> None:
        own: list[str] = []
        for scope in _committed(layout, placed.scope):
            direct = set(_always(scope.body))
            for path, other, later in _inside(layout, scope):
                # What comes after the pivot may still turn back by itself: an alternative.
                if other.kind is Kind.COMPENSATABLE and not later:
                    own.append(path)
                elif other.kind is Kind.RETRIABLE:
                    self.waits.append((path, pivot, pivot in direct))
        self.final.append((pivot, own))

    def broken(self, before: State, after: State) -> Breaches:
        """Every breach of this move."""
        if before[ROOT] in _ENDED and after[ROOT] != before[ROOT]:
            yield "I9", "", f"the run had ended as {before[ROOT]} and is {after[ROOT]} again"
        yield from self._starts(before, after)
        for pivot, paths in self.final:
            if after[pivot] == "done":
                for path in paths:
                    if before[path] in _FORWARD and after[path] == "compensating":
                        yield "I7", path, f"{path} is undone after the pivot {pivot} is done"
        for path, pivot, always in self.waits:
            if _starts(before, after, path) and (
                after[pivot] in _OPEN or (always and after[pivot] != "done")
            ):
                yield "I7", path, f"{path} starts before the pivot {pivot} is done"

    def _starts(self, before: State, after: State) -> Breaches:
        for path, scope in self.scope_of.items():
            if _starts(before, after, path) and before[scope] in _BACK and after[scope] in _BACK:
                yield "I5", path, f"{path} starts while {_named(scope)} is turning back"


def _starts(before: State, after: State, path: str) -> bool:
    return before[path] == "pending" != after[path]


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


def unexplained(machine: Machine) -> Breaches:
    """I10: a local state and an event with neither a row nor a reason."""
    for (path, local, event), reason in machine.ignored.items():
        if not reason:
            yield "I10", path, f"{event} in {path}.{local} is neither a move nor explained"
