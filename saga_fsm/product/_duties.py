"""
What is owed when a run rests, as conditions: semantics.md I3, from the definition alone.

It is a matter of one step and of the scopes around it. A step's *target* is a net effect of 0 where
its scope turns back, else of 1 once it was started; it is *proven* where its local state says which
it is. What is not proven to be its target is owed, and everything else has it. A nested saga with a
compensation of its own is owed, or undone, as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from saga_fsm.definition import Kind
from saga_fsm.definition.layout import Layout
from saga_fsm.machine import Machine
from saga_fsm.machine._verdict import goes_back
from saga_fsm.product._conditions import ALWAYS, NEVER, Condition, Cube, Reader, both


CLEAN = {"pending", "rejected", "compensated"}
BACK = {"halting", "interrupted", "held", "undoing", "compensated"}
OPEN = {"stuck", "compensation_failed", "alarm"}
_WHOLE = {"whole_compensating", "whole_waiting", "whole_failed"}


class _GoesBack(Protocol):
    def __call__(self, path: str, /) -> tuple[set[str], set[str]]: ...


class Duties:
    """
    What is owed for each step, decision and saga that is undone as a whole.

    Args:
        layout: the saga, laid out.
        machine: whose list of what is owed is compared with it.
        read: the fields.
    """

    def __init__(self, layout: Layout, machine: Machine, read: Reader) -> None:
        self.layout = layout
        self.machine = machine
        self.read = read
        self._in, self._but = read.among, read.but
        self.inside = {
            path: {x for x, placed in layout.steps.items() if path in self.around(placed.scope)}
            for path, scope in layout.scopes.items()
            if scope.compensate is not None
        }
        # A saga inside that is itself undone as a whole stands for its own steps.
        self._units = {
            path: {self._unit(step, path) for step in steps} for path, steps in self.inside.items()
        }
        self.back = self._fold(goes_back=self._reads_back)
        self._listed_back = self._fold(goes_back=self._table_back)
        self.covered = self._covers()

    def around(self, path: str | None) -> Iterator[str]:
        while path is not None:
            yield path
            path = self.layout.scopes[path].parent

    def _unit(self, step: str, path: str) -> str:
        around = list(self.around(self.layout.steps[step].scope))
        wholes = [x for x in around[: around.index(path)] if x in self.inside]
        return wholes[-1] if wholes else step

    def _fold(self, *, goes_back: _GoesBack) -> dict[str, tuple[Condition, Condition]]:
        """Per scope: when it is turning back, and when it is not."""
        found: dict[str, tuple[Condition, Condition]] = {}
        for path, scope in self.layout.scopes.items():
            always, if_around = goes_back(path)
            never = set(self.read.fields[self.read.at[path]].values) - always - if_around
            around, not_around = (NEVER, ALWAYS) if scope.parent is None else found[scope.parent]
            yes = [*self._in(path, always), *both(self._in(path, if_around), around)]
            no = [
                *self._in(path, never),
                *both(self._in(path, if_around), not_around),
            ]
            found[path] = yes, no
        return found

    def _reads_back(self, _path: str) -> tuple[set[str], set[str]]:
        return BACK | _WHOLE, {"done"}

    def _table_back(self, path: str) -> tuple[set[str], set[str]]:
        """What the machine, which writes the list, takes for turning back."""
        automaton = self.machine.automata[self.read.at[path]]
        always, if_around = set(), set()
        for code in automaton.locals:
            if goes_back(automaton, code, parent=False):
                always.add(automaton.local(code))
            elif goes_back(automaton, code, parent=True):
                if_around.add(automaton.local(code))
        return always, if_around

    def _covers(self) -> dict[str, tuple[dict[str, Condition], Condition]]:
        """Per scope: by which saga it is accounted for as a whole, when; and when by none."""
        found: dict[str, tuple[dict[str, Condition], Condition]] = {}
        for path, scope in self.layout.scopes.items():
            by, none = ({}, ALWAYS) if scope.parent is None else found[scope.parent]
            if path in self.inside:
                own, not_own = self._as_a_whole(path, scope.parent)
                by = {**by, path: both(none, own)}
                none = both(none, not_own)
            found[path] = by, none
        return found

    def _as_a_whole(self, path: str, parent: str | None) -> tuple[Condition, Condition]:
        """When a saga is undone as one: turned back by itself it has nothing left that is done."""
        back, not_back = (NEVER, ALWAYS) if parent is None else self.back[parent]
        units = sorted(self._units[path])
        gone = [one for unit in units for one in self._in(unit, {"done"})]
        left = both(*(self._but(unit, {"done"}) for unit in units))
        yes = [
            *both(self._in(path, {"compensated"}), gone),
            *self._in(path, _WHOLE),
            *both(self._in(path, {"done"}), back),
        ]
        no = [
            *both(self._in(path, {"compensated"}), left),
            *self._but(path, {"compensated", "done"} | _WHOLE),
            *both(self._in(path, {"done"}), not_back),
        ]
        return yes, no

    def listed(self, path: str) -> tuple[Condition, Condition]:
        """When the machine's own list of a stuck run has this path, and when it has not."""
        automaton = self.machine.automata[self.read.at[path]]
        scope = automaton.scope
        back, not_back = (NEVER, ALWAYS) if scope is None else self._listed_back[scope]
        yes, no = list[Cube](), list[Cube]()
        for parent, around in ((True, back), (False, not_back)):
            names = {
                name
                for name, code in zip(
                    self.read.fields[self.read.at[path]].values, automaton.locals, strict=True
                )
                if self.machine.owed_to(automaton, code, parent=parent) is not None
            }
            yes += both(self._in(path, names), around)
            no += both(self._but(path, names), around)
        return yes, no

    def owed(self) -> Iterator[tuple[str, tuple[Condition, Condition]]]:
        """Per path: when something is owed for it at rest, and when nothing is."""
        for path, placed in self.layout.steps.items():
            if placed.kind is Kind.READONLY:
                yield path, (self._in(path, {"stuck"}), self._but(path, {"stuck"}))
                continue
            by, none = self.covered[placed.scope]
            covered = [one for condition in by.values() for one in condition]
            back, not_back = self.back[placed.scope]
            owed = [
                *both(covered, self._in(path, OPEN)),
                *both(none, self._but(path, CLEAN | {"done"})),
                *both(none, self._in(path, {"done"}), back),
            ]
            settled = [
                *both(covered, self._but(path, OPEN)),
                *both(none, self._in(path, CLEAN)),
                *both(none, self._in(path, {"done"}), not_back),
            ]
            yield path, (owed, settled)
        for path in self.layout.decisions:
            yield path, (self._in(path, {"stuck"}), self._but(path, {"stuck"}))
        for path in self.inside:
            by, none = self.covered[path]
            open_ = both(by[path], self._but(path, {"compensated"}))
            others = [one for x, condition in by.items() if x != path for one in condition]
            settled = [*none, *others, *both(by[path], self._in(path, {"compensated"}))]
            yield path, (open_, settled)
