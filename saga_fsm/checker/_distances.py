"""
At least so many moves are still to come: lower bounds for a search that is aimed at one step.

``Distances`` looks at the step alone, as if its scope let it do anything at any time; ``Way`` at
what has to end before the step may start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from saga_fsm.definition import Contract
from saga_fsm.definition.layout import (
    Layout,
    Placed,
    PlacedAlternatives,
    PlacedChoice,
    PlacedEach,
    PlacedParallel,
    PlacedScope,
    PlacedStep,
)
from saga_fsm.machine import Codes, Machine
from saga_fsm.machine._alphabet import FIRST_LABEL
from saga_fsm.product._environment import LANDED, TWICE, of_step


# Whether the effect stands, where the local state says so.
PROVEN = {"done": 1, "rejected": 0, "compensated": 0, "pending": 0}
_LEDGERS = range(TWICE + 1)
Here = tuple[int, int]


class Distances:
    """
    How far a step's local state and ledger are from what would be wrong, the step taken alone.

    ``twice``: landed twice; ``wrong``: the ledger is not what the local state says; ``alarm``: it
    is found to have landed after all.

    Args:
        machine: with the step's automaton.
        placed: the step.
        kept: what its participant keeps.
    """

    def __init__(self, machine: Machine, placed: PlacedStep, kept: Contract) -> None:
        self.automaton = machine.automata[machine.index[placed.path]]
        self._arrows = list(self._found(machine, placed, kept))
        local = self.automaton.local
        self.twice = self._to(lambda _, ledger: ledger == TWICE)
        self.wrong = self._to(
            lambda code, ledger: (
                PROVEN.get(local(code), int(ledger == LANDED)) != int(ledger == LANDED)
            )
        )
        self.alarm = self._to(lambda code, _: local(code) == "alarm")

    def _found(
        self, machine: Machine, placed: PlacedStep, kept: Contract
    ) -> Iterator[tuple[Here, Here, int]]:
        at = machine.index[placed.path]
        own = [(dict(row.guard), dict(row.update), row) for row in machine.rows]
        rows = [(guard, update, row) for guard, update, row in own if at in update]
        for code in self.automaton.locals:
            after: dict[str | None, set[int]] = {}
            for guard, update, row in rows:
                if code in guard.get(at, (code,)):
                    event = None if row.event is None else str(row.event)
                    after.setdefault(event, set()).add(update[at])
            for ledger in _LEDGERS:
                for free in after.get(None, ()):
                    yield (code, ledger), (free, ledger), 0
                if code == self.automaton.locals[0]:
                    continue
                for what in of_step(placed, kept, self.automaton.local(code), ledger, up=True):
                    then = ledger if what.ledger is None else what.ledger
                    ends = {code} if what.event is None else after.get(what.event, set())
                    for end in ends:
                        yield (code, ledger), (end, then), 1

    def _to(self, target: Callable[[int, int], bool]) -> dict[Here, int]:
        far = {
            (code, ledger): 0
            for code in self.automaton.locals
            for ledger in _LEDGERS
            if target(code, ledger)
        }
        nearer = True
        while nearer:
            nearer = False
            for before, after, cost in self._arrows:
                if after in far and far[after] + cost < far.get(before, far[after] + cost + 1):
                    far[before] = far[after] + cost
                    nearer = True
        return far


class Way:
    """
    What has to end before a step may start.

    Args:
        layout: the saga.
        machine: its machine.
        path: of the step.
    """

    def __init__(self, layout: Layout, machine: Machine, path: str) -> None:
        self.at = machine.index
        self.machine = machine
        self._before: list[Placed] = []
        self._asked: list[int] = []
        self._failed: list[int] = []
        self._find(layout.root, layout.steps[path])
        self._done = {
            v: code
            for v, automaton in enumerate(machine.automata)
            for code in automaton.locals
            if code < FIRST_LABEL and automaton.local(code) == "done"
        }
        self._gone = {
            v: code
            for v, automaton in enumerate(machine.automata)
            for code in automaton.locals
            if code < FIRST_LABEL and automaton.local(code) == "compensated"
        }

    def left(self, codes: Codes) -> int:
        """At least so many events, before the step can start."""
        asked = sum(codes[v] < FIRST_LABEL for v in self._asked)
        failed = sum(codes[v] != self._gone.get(v) for v in self._failed)
        return asked + failed + sum(self._left(block, codes) for block in self._before)

    def _find(self, block: Placed, step: PlacedStep) -> bool:
        """Whether the step is in a block; what comes before it is then noted down."""
        if isinstance(block, PlacedStep):
            return block is step
        if isinstance(block, PlacedScope):
            return self._among(block.body, step, self._before)
        if isinstance(block, PlacedParallel):
            return self._among(block.branches, step, None)
        if isinstance(block, PlacedAlternatives):
            for number, option in enumerate(block.options):
                if self._find(option, step):
                    self._failed += [self.at[x.path] for x in block.options[:number]]
                    return True
            return False
        if isinstance(block, PlacedChoice):
            inside = tuple(branch for _, branch in block.branches if branch is not None)
            found = self._among(inside, step, None)
        else:
            found = self._among(block.body, step, None if block.concurrent else self._before)
        if found:
            self._asked.append(self.at[block.path])
        return found

    def _among(
        self, blocks: tuple[Placed, ...], step: PlacedStep, before: list[Placed] | None
    ) -> bool:
        for number, block in enumerate(blocks):
            if self._find(block, step):
                if before is not None:
                    before += blocks[:number]
                return True
        return False

    def _compensated(self, option: PlacedScope, codes: Codes) -> bool:
        v = self.at[option.path]
        return codes[v] == self._gone.get(v)

    def _left(self, block: Placed, codes: Codes) -> int:  # noqa: PLR0911 - one a block
        if isinstance(block, PlacedParallel):
            return sum(self._left(branch, codes) for branch in block.branches)
        v = self.at[block.path]
        if codes[v] == self._done.get(v):
            return 0
        if isinstance(block, PlacedStep):
            return 1
        if isinstance(block, PlacedScope):
            return sum(self._left(one, codes) for one in block.body)
        if isinstance(block, PlacedAlternatives):
            open_ = [x for x in block.options if not self._compensated(x, codes)]
            return min((self._left(option, codes) for option in open_), default=0)
        label = codes[v] - FIRST_LABEL
        if isinstance(block, PlacedEach):
            return 1 if label < 0 else sum(self._left(x, codes) for x in block.body[:label])
        branches = [x for _, x in block.branches]
        if label >= 0:
            chosen = branches[label]
            return 0 if chosen is None else self._left(chosen, codes)
        return 1 + min(0 if x is None else self._left(x, codes) for x in branches)
