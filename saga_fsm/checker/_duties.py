"""
What each step owes when a run rests: semantics.md I3, from the definition alone.

A step's *target* is a net effect of 0 where its scope turns back, else of 1 once it was started; it
is *proven* where its local state says which it is. What is not proven to be its target is owed, and
everything else has it. A nested saga with a compensation of its own is owed, or undone, as one.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from saga_fsm.definition import Kind
from saga_fsm.definition.layout import Layout


CLEAN = {"pending", "rejected", "compensated"}
BACK = {"halting", "interrupted", "held", "undoing", "compensated"}
_OPEN = {"stuck", "compensation_failed", "alarm"}
_WHOLE = {"whole_compensating", "whole_waiting", "whole_failed"}


@attrs.frozen
class Owed:
    """
    What is owed in one state of the machine, and what everything else must have come to.

    Args:
        owed: paths of steps, of decisions that nobody took, and of sagas to be undone as a whole.
        nets: the net effect of each step that is not owed.
        wholes: nested sagas that count as undone as a whole.
    """

    owed: frozenset[str]
    nets: dict[str, int]
    wholes: tuple[str, ...]


class Duties:
    """Reads what is owed off the local states of a run at rest."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        # Per saga that is undone as a whole: the steps inside it.
        self.inside = {
            path: {x for x, placed in layout.steps.items() if path in self._around(placed.scope)}
            for path, scope in layout.scopes.items()
            if scope.compensate is not None
        }

        # The same, but a saga inside that is itself undone as a whole stands for its own steps.
        self._units = {
            path: {self._unit(step, path) for step in steps} for path, steps in self.inside.items()
        }

    def _unit(self, step: str, path: str) -> str:
        around = list(self._around(self.layout.steps[step].scope))
        wholes = [x for x in around[: around.index(path)] if x in self.inside]
        return wholes[-1] if wholes else step

    def _around(self, path: str | None) -> Iterator[str]:
        while path is not None:
            yield path
            path = self.layout.scopes[path].parent

    def of(self, local: dict[str, str]) -> Owed:
        """What is owed in a state, by the names of its local states."""
        owed: set[str] = set()
        nets: dict[str, int] = {}
        back, covered = self._scopes(local)
        for path in self.inside:
            if covered[path] == path and local[path] != "compensated":
                owed.add(path)
        for path, placed in self.layout.steps.items():
            here = local[path]
            if placed.kind is Kind.READONLY:
                if here == "stuck":
                    owed.add(path)
                continue
            if covered[placed.scope] is not None:
                if here in _OPEN:
                    owed.add(path)
                continue
            target = int(here not in CLEAN and not back[placed.scope])
            proven = 1 if here == "done" else 0 if here in CLEAN else None
            if proven == target:
                nets[path] = target
            else:
                owed.add(path)
        owed.update(path for path in self.layout.decisions if local[path] == "stuck")
        wholes = {x for x in covered.values() if x is not None and local[x] == "compensated"}
        return Owed(frozenset(owed), nets, tuple(sorted(wholes)))

    def _scopes(self, local: dict[str, str]) -> tuple[dict[str, bool], dict[str, str | None]]:
        """Per scope: whether it goes back, and the saga by which it is accounted for as a whole."""
        back: dict[str, bool] = {}
        covered: dict[str, str | None] = {}
        for path, scope in self.layout.scopes.items():
            here, parent = local[path], scope.parent
            around = parent is not None and back[parent]
            covered[path] = None if parent is None else covered[parent]
            if covered[path] is None and path in self.inside:
                # Turned back by itself it has nothing left that is done.
                gone = here == "compensated" and any(
                    local[unit] == "done" for unit in self._units[path]
                )
                if gone or here in _WHOLE or (here == "done" and around):
                    covered[path] = path
            back[path] = here in BACK or here in _WHOLE or (here == "done" and around)
        return back, covered
