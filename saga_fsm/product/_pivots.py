"""
Which steps a pivot makes final, and which retriables have to wait for it: from the layout alone.

Worked out here again, so that a table that gets it wrong does not excuse itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from saga_fsm.definition import Kind
from saga_fsm.definition.layout import Layout, Placed, PlacedParallel, PlacedScope, PlacedStep


def made_final(layout: Layout, pivot: PlacedStep) -> Iterator[str]:
    """The steps that a pivot makes final; what comes after it may still turn back by itself."""
    for scope in _committed_by(layout, pivot.scope):
        for inside, other, later in _within(layout, scope):
            if other.kind is Kind.COMPENSATABLE and not later:
                yield inside


def awaited_by(layout: Layout) -> dict[str, list[tuple[str, bool]]]:
    """Per retriable: the pivots it waits for, and whether each run that comes to it takes them."""
    found: dict[str, list[tuple[str, bool]]] = {}
    for pivot, placed in layout.steps.items():
        if placed.kind is not Kind.PIVOT:
            continue
        for scope in _committed_by(layout, placed.scope):
            direct = set(_always(scope.body))
            for inside, other, _ in _within(layout, scope):
                if other.kind is Kind.RETRIABLE:
                    found.setdefault(inside, []).append((pivot, pivot in direct))
    return found


def _committed_by(layout: Layout, scope: str) -> Iterator[PlacedScope]:
    """The scopes that a pivot makes final: its own and those around, to one undone as a whole."""
    path: str | None = scope
    while path is not None:
        placed = layout.scopes[path]
        yield placed
        path = None if placed.compensate is not None else placed.parent


def _within(layout: Layout, scope: PlacedScope) -> Iterator[tuple[str, PlacedStep, bool]]:
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
