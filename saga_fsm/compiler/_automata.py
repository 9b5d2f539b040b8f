"""The automata of scopes, blocks and steps (machine.md 2), in definition order."""

from __future__ import annotations

from collections.abc import Sequence

from saga_fsm.compiler._steps import owed_by_step, traits_of_step
from saga_fsm.compiler._table import Table
from saga_fsm.definition.kinds import Kind
from saga_fsm.definition.layout import (
    ROOT,
    Layout,
    Placed,
    PlacedChoice,
    PlacedEach,
    PlacedParallel,
    PlacedScope,
    PlacedStep,
)
from saga_fsm.machine import Compensate, Decide, Effect, Expand, Refused, SetTimer
from saga_fsm.machine import _alphabet as a
from saga_fsm.machine._table import Fork


Unit = PlacedStep | PlacedScope


def stop_path(scope: str) -> str:
    """Where the deadline (and, for the root, cancel) of a scope is decided."""
    return "@stop" if scope == ROOT else f"{scope}/@stop"


def stops(scope: PlacedScope) -> bool:
    """Whether a scope has a deadline, or a cancel, of its own."""
    return scope.parent is None or scope.deadline is not None


class Automata:
    """
    The first walk through a layout: an automaton for each step, block and scope.

    Args:
        layout: the saga, laid out.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.table = Table()
        self.pivots: list[PlacedStep] = []
        self.forks: list[Fork] = []
        # Per scope: its units, and its choice and each blocks, in definition order.
        self.units: dict[str, list[Unit]] = {path: [] for path in layout.scopes}
        self.deciding: dict[str, list[PlacedChoice | PlacedEach]] = {
            path: [] for path in layout.scopes
        }
        self._scope(layout.root)

    def _scope(self, scope: PlacedScope) -> None:
        owed: dict[int, Effect] = {}
        if scope.deadline is not None:
            timer = SetTimer(stop_path(scope.path))
            owed = {a.SCOPE_RUNNING: timer, a.SCOPE_COMMITTED: timer}
        traits: tuple[str, ...] = ()
        if scope.compensate is not None:
            traits = ("whole",)
            owed[a.WHOLE_COMPENSATING] = Compensate(scope.path)
            owed[a.WHOLE_WAITING] = SetTimer(scope.path)
        if scope.deadline is not None:
            traits = (*traits, "deadline")
        self.table.add(
            scope.path, "scope", a.SCOPE_PENDING, scope=scope.parent, traits=traits, owed=owed
        )
        if stops(scope):
            path = stop_path(scope.path)
            refused: dict[int, Effect] = {a.STOP_REFUSED: Refused(path)}
            self.table.add(path, "stop", a.STOP_OPEN, scope=scope.path, owed=refused)
        if scope.given is not None:
            self._choice(scope.given)
        for block in scope.body:
            self._add(block)

    def _add(self, block: Placed) -> None:
        if isinstance(block, PlacedStep):
            self.units[block.scope].append(block)
            self.table.add(
                block.path,
                "step",
                a.PENDING,
                scope=block.scope,
                traits=traits_of_step(block),
                owed=owed_by_step(block.path),
            )
            if block.kind is Kind.PIVOT:
                self.pivots.append(block)
        elif isinstance(block, PlacedScope):
            assert block.parent is not None  # noqa: S101 - only the root has none
            self.units[block.parent].append(block)
            self._scope(block)
        elif isinstance(block, PlacedParallel):
            self._branches(block.branches)
        elif isinstance(block, PlacedChoice):
            self._choice(block)
        elif isinstance(block, PlacedEach):
            labels = tuple(str(n) for n in range(len(block.body) + 1))
            self._deciding(block, "each", labels, Expand(block.path))
            if block.concurrent:
                self._branches(block.body)
            else:
                for copy in block.body:
                    self._add(copy)
        else:
            self.table.add(block.path, "alternatives", a.BLOCK_PENDING, scope=block.scope)
            for option in block.options:
                self._add(option)

    def _branches(self, branches: Sequence[Placed]) -> None:
        at = len(self.forks)
        begins = []
        for branch in branches:
            begins.append(len(self.table.owed))
            self._add(branch)
        # Before the forks inside it: outer ones first.
        self.forks.insert(at, (*begins, len(self.table.owed)))

    def _choice(self, block: PlacedChoice) -> None:
        self._deciding(block, "choice", block.labels, Decide(block.path))
        for _, branch in block.branches:
            if branch is not None:
                self._add(branch)

    def _deciding(
        self,
        block: PlacedChoice | PlacedEach,
        sort: str,
        labels: tuple[str, ...],
        asks: Effect,
    ) -> None:
        self.deciding[block.scope].append(block)
        self.table.add(
            block.path,
            sort,
            a.BLOCK_PENDING,
            scope=block.scope,
            labels=labels,
            owed={a.DECIDING: asks},
        )
