"""Which steps come before which, on some run and on every run; and what runs at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

import attrs

from saga_fsm.definition.layout import (
    Placed,
    PlacedAlternatives,
    PlacedChoice,
    PlacedEach,
    PlacedParallel,
    PlacedScope,
    PlacedStep,
)


@attrs.frozen
class Before:
    """Paths of the steps that come before: on some run, and on every run."""

    some: frozenset[str] = frozenset()
    every: frozenset[str] = frozenset()


class Precedence:
    """
    Precedence of a scope's body, by path of step and of decision; and the longest run in steps.

    Args:
        body: of the root scope.
    """

    def __init__(self, body: tuple[Placed, ...]) -> None:
        self.before: dict[str, Before] = {}
        self.beside: list[tuple[frozenset[str], frozenset[str]]] = []
        self._walk(body, Before())

    def _walk(self, blocks: Iterable[Placed], before: Before) -> Before:
        for block in blocks:
            before = self._after(block, before)
        return before

    def _after(self, block: Placed, before: Before) -> Before:
        if isinstance(block, PlacedStep):
            self.before[block.path] = before
            own = {block.path}
            return Before(before.some | own, before.every | own)
        if isinstance(block, PlacedScope):
            if block.given is not None:
                self.before[block.given.path] = before
            return self._walk(block.body, before)
        if isinstance(block, PlacedParallel):
            return self._parallel(block.branches, before)
        if isinstance(block, PlacedAlternatives):
            return self._alternatives(block, before)
        self.before[block.path] = before
        if isinstance(block, PlacedChoice):
            branches = [x for _, x in block.branches]
            return _either(before if x is None else self._after(x, before) for x in branches)
        if block.concurrent:
            after = self._parallel(block.body, before)
        else:
            after = self._walk(block.body, before)
        # There may be no items at all.
        return Before(after.some, before.every)

    def _parallel(self, branches: tuple[Placed, ...], before: Before) -> Before:
        ends = [self._after(branch, before) for branch in branches]
        inside = [end.some - before.some for end in ends]
        self.beside.extend(combinations(inside, 2))
        return Before(
            before.some.union(*(end.some for end in ends)),
            before.every.union(*(end.every for end in ends)),
        )

    def _alternatives(self, block: PlacedAlternatives, before: Before) -> Before:
        ends = []
        entry = before
        for option in block.options:
            ends.append(self._after(option, entry))
            entry = Before(ends[-1].some, before.every)
        return _either(ends)


def _either(ends: Iterable[Before]) -> Before:
    every = list(ends)
    return Before(
        frozenset().union(*(end.some for end in every)),
        frozenset.intersection(*(end.every for end in every)),
    )


def longest(blocks: Iterable[Placed], *, window: bool = False) -> int:
    """Steps on the longest run through these blocks; ``window``: those before the tail only."""
    return sum(_length(block, window=window) for block in blocks)


def _length(block: Placed, *, window: bool) -> int:
    if isinstance(block, PlacedStep):
        return int(not (window and block.tail))
    if isinstance(block, PlacedScope):
        return 0 if window and block.tail else longest(block.body, window=window)
    if isinstance(block, PlacedEach) and not block.concurrent:
        return longest(block.body, window=window)
    return max((_length(one, window=window) for one in _children(block)), default=0)


def _children(
    block: PlacedParallel | PlacedChoice | PlacedEach | PlacedAlternatives,
) -> Iterator[Placed]:
    if isinstance(block, PlacedParallel):
        yield from block.branches
    elif isinstance(block, PlacedChoice):
        yield from (branch for _, branch in block.branches if branch is not None)
    elif isinstance(block, PlacedEach):
        yield from block.body
    else:
        yield from block.options
