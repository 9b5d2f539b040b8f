"""
The search for plans that break a saga: a tour of the machine, every plan of few faults, luck.

The *tour* starts from the run without a fault and adds one fault at a time, at each place that the
run comes to after its last one. A fault that was tried at the same place, with the machine and the
participants in the same state, is not tried again: so the tour is finite, and takes each row of the
table with each fault that fits. Two worlds may differ where the effect log sees no difference; that
is why *every plan* of up to ``max_faults`` faults follows. Of these one is left out only where the
run has come to a place at which all that decides what follows is as it was at another: the machine,
what the driver knows, what is on its way, and the world, as its ``snapshot()`` shows it or as all
that it is made of. Of a world that cannot be compared (it holds a socket) none is left out. Last
come *deeper* plans, of more faults, drawn by luck that repeats.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Final

from saga_fsm.definition import Kind
from saga_fsm.definition.layout import lay_out
from saga_fsm.testing.case import Case, Ran, further, longer
from saga_fsm.testing.coverage import RowCoverage, untakable
from saga_fsm.testing.fitting import fitting
from saga_fsm.testing.plan import FaultPlan, Injection
from saga_fsm.testing.results import Exploration, Failure
from saga_fsm.testing.shrinking import shrunk


__all__ = ["Search"]

#: How often something goes wrong in the plans that luck draws, in turn, and the most of it in one.
_RATES: Final = (0.03, 0.1, 0.3)
_DEEPEST: Final = 12
_PROMISES: Final = ("idempotent", "sticky", "fenced")


class Search:
    """
    A search in one case.

    Args:
        case: what is searched.
        max_runs: an end to the tour and the plans after it.
        max_failures: an end to all, after so many kinds of failure.
        progress: called after each run with the runs so far and the plans that are waiting.
    """

    def __init__(
        self,
        case: Case,
        max_runs: int,
        max_failures: int = 10,
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        self.case = case
        self.max_runs = max_runs
        self.max_failures = max_failures
        self.progress = progress
        self.runs = 0
        self.complete = True
        self.fired: Counter[str] = Counter()
        self.failures: dict[str, Failure] = {}
        self.coverage: RowCoverage | None = None
        self.pruned = 0
        self.compared = False
        self.tested: set[tuple[str, str]] = set()
        self.saga: Any = case.saga
        self._done: set[frozenset[Injection]] = set()

    def whole(self, *, most: int, deeper: int, seed: int) -> None:
        """The tour; unless ``most`` is 0 every plan of so many faults, and the deeper ones."""
        self.tour()
        if most:
            self.every_plan(most)
        if most and self.complete:
            self.deeper(deeper, seed)

    def tour(self) -> None:
        """
        Each fault at each place, once for each state of machine and participants.

        A fault that is new to the site goes before one that is new to the state only: where the
        states are too many for ``max_runs``, the rows have been taken by then.
        """
        places: set[Hashable] = set()
        seen: set[tuple[Any, ...]] = set()
        first, later = deque([FaultPlan()]), deque[FaultPlan]()
        while first or later:
            if self.runs >= self.max_runs:
                self.complete = False
                return
            plan = (first or later).popleft()
            ran = self._run(plan, len(first) + len(later))
            if self._enough():
                self.complete = False
                return
            for visit in ran.further:
                # Most places are ones at which all has been tried: they are passed at one look.
                if visit.place in places:
                    continue
                places.add(visit.place)
                for fault, each in fitting(visit, ran.stage):
                    edge = (visit.site, fault, each)
                    # What lasts meets all the states after it anyway.
                    if ((visit.near if each else visit.key), *edge) in seen:
                        continue
                    queue = later if (visit.near, *edge) in seen else first
                    # More than can be run need not be remembered.
                    if queue is first or len(later) < self.max_runs:
                        queue.append(longer(plan, (visit, fault, each)))
                    seen.add((visit.key, *edge))
                    seen.add((visit.near, *edge))

    def every_plan(self, most: int) -> None:
        """All plans of at most so many faults, whatever the tour has left out as equal."""
        seen: set[Hashable] = set()
        todo = deque([FaultPlan()])
        while todo and self.runs < self.max_runs and not self._enough():
            plan = todo.popleft()
            if len(plan) == most and frozenset(plan) in self._done:
                continue
            ran = self._run(plan, len(todo), compared=len(plan) < most)
            if len(plan) < most:
                # More than can be run need not be remembered; some the tour has run already.
                room = max(0, self.max_runs + len(self._done) - len(todo))
                todo.extend(itertools.islice(self._longer(plan, ran, seen), room))

    def _longer(self, plan: FaultPlan, ran: Ran, seen: set[Hashable]) -> Iterator[FaultPlan]:
        """Plans with one fault more, but for those that were begun from the very same moment."""
        for more in further(ran):
            visit, fault, each = more
            if visit.whole is not None:
                self.compared = True
                moment = (len(plan), visit.whole, visit.site, fault, each)
                if moment in seen:
                    self.pruned += 1
                    continue
                seen.add(moment)
            yield longer(plan, more)

    def deeper(self, count: int, seed: int) -> None:
        """Draw so many plans of any number of faults; the same seed draws the same."""
        for number in range(count):
            if self._enough():
                return
            # By its number, so that what one draws does not hang on how many the last one took.
            luck = random.Random(f"{seed} {number}")  # noqa: S311 - luck that repeats
            ran = self.case.draw(luck, _RATES[number % len(_RATES)], _DEEPEST)
            self._note(ran, count - number - 1)

    def result(self) -> Exploration:
        """What was found; at least one plan has been run."""
        coverage = self.coverage
        assert coverage is not None  # noqa: S101 - at least the plan without a fault was run
        missed = coverage.missed()
        outside = untakable(self.saga, missed)
        share = len(coverage.taken) / (len(coverage.taken) + len(missed) - len(outside))
        return Exploration(
            saga=self.saga.name,
            runs=self.runs,
            coverage=share,
            failures=tuple(self.failures.values()),
            missed=tuple(row for row in missed if row not in outside),
            outside=outside,
            fired=dict(self.fired),
            complete=self.complete,
            machine=coverage.machine,
            taken=dict(coverage.taken),
            untested=self._untested(),
            pruned=self.pruned,
            compared=self.compared,
        )

    def _untested(self) -> dict[str, tuple[str, ...]]:
        """Promises that are declared, and that no call has put to the test."""
        untested: dict[str, tuple[str, ...]] = {}
        for path, placed in lay_out(self.saga).steps.items():
            if placed.kind is not Kind.READONLY:
                declared = [name for name in _PROMISES if getattr(placed.contract, name)]
                declared += ["query"] if placed.step.query is not None else []
                left = tuple(name for name in declared if (path, name) not in self.tested)
                untested |= {path: left} if left else {}
        return untested

    def _enough(self) -> bool:
        """Whether more would help nobody: it fails without a fault, or in so many ways."""
        broken = any(not failure.plan for failure in self.failures.values())
        return broken or len(self.failures) >= self.max_failures

    def _run(self, plan: FaultPlan, waiting: int, *, compared: bool = False) -> Ran:
        ran = self.case.run(plan, compared=compared)
        self._note(ran, waiting)
        return ran

    def _note(self, ran: Ran, waiting: int) -> None:
        faults = frozenset(ran.replay.plan)
        if faults in self._done:
            return
        self._done.add(faults)
        self.runs += 1
        self._count(ran)
        if self.progress is not None:
            self.progress(self.runs, waiting)

    def _count(self, ran: Ran) -> None:
        done = ran.replay
        if self.coverage is None:
            self.coverage = RowCoverage(ran.stage.machine)
            self.saga = ran.stage.saga
        self.coverage.add(done.outcome.events)
        self.tested |= done.log.tested
        self.fired.update(one.fault.value for one in done.plan if one not in done.unfired)
        if done.reason and done.reason not in self.failures:
            self.failures[done.reason] = shrunk(self.case, done)
