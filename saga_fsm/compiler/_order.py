"""Which unit may start because which ended: the precedence order of one scope."""

from __future__ import annotations

from collections.abc import Iterator

from saga_fsm.definition.layout import (
    Placed,
    PlacedAlternatives,
    PlacedChoice,
    PlacedEach,
    PlacedParallel,
    PlacedScope,
    PlacedStep,
)


START = ""


class Order:
    """
    Successors of each unit of a scope, through blocks that may be empty.

    Units are steps, nested sagas and alternatives' scopes, by path. After ``a ; x?{b}:SKIP ; d``
    the successors of a are b and d. ``first`` are the units that may start at once.
    """

    def __init__(self, body: tuple[Placed, ...]) -> None:
        self.successors: dict[str, dict[str, None]] = {START: {}}
        before = {START: None}
        for block in body:
            before = self._after(block, before)

    @property
    def first(self) -> tuple[str, ...]:
        """The units that nothing precedes."""
        return tuple(self.successors[START])

    def _unit(self, path: str, before: dict[str, None]) -> dict[str, None]:
        self.successors.setdefault(path, {})
        for earlier in before:
            self.successors[earlier][path] = None
        return {path: None}

    def _after(self, block: Placed, before: dict[str, None]) -> dict[str, None]:
        """The units whose end may start what follows ``block``."""
        if isinstance(block, PlacedStep | PlacedScope):
            return self._unit(block.path, before)
        if isinstance(block, PlacedParallel):
            return _union(self._after(branch, before) for branch in block.branches)
        if isinstance(block, PlacedAlternatives):
            return _union(self._unit(option.path, before) for option in block.options)
        if isinstance(block, PlacedChoice):
            return _union(
                before if branch is None else self._after(branch, before)
                for _, branch in block.branches
            )
        return self._after_each(block, before)

    def _after_each(self, block: PlacedEach, before: dict[str, None]) -> dict[str, None]:
        ends = [before]
        for copy in block.body:
            entry = before if block.concurrent else ends[-1]
            ends.append(self._after(copy, entry))
        return _union(ends)


def _union(parts: Iterator[dict[str, None]] | list[dict[str, None]]) -> dict[str, None]:
    return {path: None for part in parts for path in part}
