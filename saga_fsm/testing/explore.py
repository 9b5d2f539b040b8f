"""
The search for a plan that breaks a saga: a tour of the machine, then every pair, then shrinking.

The tour starts from the run without a fault and adds one fault at a time, at each place that the
run comes to after its last one. A fault that was tried at the same place, with the machine and the
participants in the same state, is not tried again: so the tour is finite, and takes each row of the
table with each fault that fits. Two worlds may differ where the effect log sees no difference; that
is why the plans of up to ``max_faults`` faults follow, none left out.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import attrs

from saga_fsm.definition import Saga
from saga_fsm.definition.layout import check_saga
from saga_fsm.testing.coverage import RowCoverage, untakable
from saga_fsm.testing.fitting import fitting, honest
from saga_fsm.testing.oracles import Consistent, wrong
from saga_fsm.testing.plan import AROUND, EACH, Fault, FaultPlan, Injection
from saga_fsm.testing.results import Exploration, Failure, Replay
from saga_fsm.testing.simulation import Simulation
from saga_fsm.testing.stage import Answers, Loop, Stage, Visit


__all__ = ["explore_faults", "replay"]

# What a reader understands at once, first. Only among these one fault is tried for another.
_EASIER = (
    Fault.REJECT,
    Fault.TRANSIENT,
    Fault.LOST_REQUEST,
    Fault.LOST_REPLY,
    Fault.CRASH_BEFORE,
    Fault.CRASH_AFTER,
    Fault.BASE_EXCEPTION,
    Fault.SECOND_OWNER,
)
_MOST_FAILURES = 10


@attrs.frozen
class _Case:
    """A saga, its world and its oracle: what every plan of a search has in common."""

    saga: Any
    world: Callable[[], Any] | None
    input: Any
    consistent: Consistent | None
    answers: Answers | None
    stage: Stage | None
    loop: Loop = attrs.field(factory=Loop)

    @classmethod
    def of(cls, saga: Any, world: Any, given: Any, consistent: Any, answers: Any) -> _Case:
        if not callable(saga):
            check_saga(saga)
        stage = Stage.of(saga) if isinstance(saga, Saga) else None
        if consistent is None:
            consistent = getattr(world, "is_consistent", None)
        return cls(saga, world, given, consistent, answers, stage)

    def run(self, plan: FaultPlan) -> tuple[Replay, Simulation]:
        """One run under a plan, on a world of its own."""
        world = None if self.world is None else self.world()
        stage = self.stage or Stage.of(self.saga(world))
        visits: list[Visit] = []
        sites = {one.site for one in plan}
        fired: set[Injection] = set()

        def watch(visit: Visit) -> list[Fault]:
            visits.append(visit)
            if visit.site not in sites:
                return []
            true = [x for x in plan.at(visit.site, visit.number) if honest(x.fault, visit)]
            fired.update(true)
            return [injection.fault for injection in true]

        simulation = Simulation(
            stage,
            world=world,
            input=self.input,
            loop=self.loop,
            answers=self.answers,
            watch=watch,
        )
        _play(simulation)
        unfired = tuple(one for one in plan if one not in fired)
        reason = wrong(simulation, self.consistent)
        outcome = simulation.outcome()
        simulation.close()
        done = Replay(plan, outcome, reason, world, simulation.log, unfired, tuple(visits))
        return done, simulation


def _play(simulation: Simulation) -> None:
    """Until the run rests, nothing is on its way any more, and no operator says anything."""
    simulation.begin()
    for _ in range(simulation.patience):
        simulation.finish()
        if not _operator(simulation):
            return


def _operator(simulation: Simulation) -> bool:
    for path in simulation.stuck_on():
        word = simulation.ask_operator(path)
        if word is not None and simulation.tell(path, word):
            return True
    return False


def replay(  # noqa: PLR0913 - keyword-only parts of one run
    saga: Any,
    plan: FaultPlan | str,
    *,
    world: Callable[[], Any] | None = None,
    input: Any = None,  # noqa: A002 - the interface's word
    consistent: Consistent | None = None,
    answers: Answers | None = None,
) -> Replay:
    """
    Run a saga once under a fault plan, on a fresh world, by virtual time.

    Args:
        saga: the saga, or a function from the world to it.
        plan: what goes wrong, as a value or as text: ``charge@1=lost_reply``.
        world: a class or factory, called without arguments; given to the steps as ``ctx.services``.
        input: the saga's input; the same value in every run, so no step may change it.
        consistent: the oracle, ``consistent(world, outcome)``; default the world's
            ``is_consistent(outcome)``.
        answers: outcomes of pending steps, by step.

    Raises:
        ValueError: the plan does not read as one.
        SagaError: the run waits for an answer that nobody can give.
    """
    wanted = FaultPlan.parse(plan) if isinstance(plan, str) else plan
    case = _Case.of(saga, world, input, consistent, answers)
    with closing(case.loop):
        return case.run(wanted)[0]


def explore_faults(  # noqa: PLR0913 - keyword-only parts of one search
    saga: Any,
    *,
    world: Callable[[], Any] | None = None,
    input: Any = None,  # noqa: A002 - the interface's word
    consistent: Consistent | None = None,
    answers: Answers | None = None,
    max_faults: int = 2,
    max_runs: int = 20_000,
    progress: Callable[[int, int], object] | None = None,
) -> Exploration:
    """
    Attack a saga at every transition of its machine, and shrink what breaks it.

    First the tour (see the module's head), then every plan of at most ``max_faults`` faults.

    Args:
        saga: the saga, or a function from the world to it.
        world: a class or factory, called once a run; given to the steps as ``ctx.services``.
        input: the saga's input; the same value in every run, so no step may change it.
        consistent: the oracle, ``consistent(world, outcome)``; default the world's
            ``is_consistent(outcome)``.
        answers: outcomes of pending steps, by step.
        max_faults: faults in the plans after the tour; 0 leaves these plans out.
        max_runs: an end to the search; a tour that it cuts short is told as such.
        progress: called after each run with the runs so far and the plans that are waiting.
    """
    case = _Case.of(saga, world, input, consistent, answers)
    search = _Search(case, max_runs, progress)
    with closing(case.loop):
        search.tour()
        search.every_plan(max_faults)
    return search.result()


class _Search:
    def __init__(
        self, case: _Case, max_runs: int, progress: Callable[[int, int], object] | None
    ) -> None:
        self.case = case
        self.max_runs = max_runs
        self.progress = progress
        self.runs = 0
        self.complete = True
        self.fired: Counter[str] = Counter()
        self.failures: dict[str, Failure] = {}
        self.coverage: RowCoverage | None = None
        self.saga: Any = case.saga
        self._done: set[frozenset[Injection]] = set()

    def tour(self) -> None:
        """
        Each fault at each place, once for each state of machine and participants.

        A fault that is new to the site goes before one that is new to the state only: where the
        states are too many for ``max_runs``, the rows have been taken by then.
        """
        seen: set[tuple[Any, ...]] = set()
        first, later = deque([FaultPlan()]), deque[FaultPlan]()
        while first or later:
            if self.runs >= self.max_runs:
                self.complete = False
                return
            plan = (first or later).popleft()
            done, stage = self._run(plan, len(first) + len(later))
            if self._enough():
                self.complete = False
                return
            for visit, fault, each in _further(done, stage):
                edge = (visit.site, fault, each)
                # What lasts meets all the states after it anyway.
                if ((visit.near if each else visit.key), *edge) in seen:
                    continue
                queue = later if (visit.near, *edge) in seen else first
                # More than can be run need not be remembered.
                if queue is first or len(later) < self.max_runs:
                    queue.append(_with(plan, visit, fault, each=each))
                seen.add((visit.key, *edge))
                seen.add((visit.near, *edge))

    def every_plan(self, most: int) -> None:
        """All plans of at most so many faults, whatever the tour has left out as equal."""
        todo = deque([FaultPlan()])
        while todo and self.runs < self.max_runs and not self._enough():
            plan = todo.popleft()
            if len(plan) == most and frozenset(plan) in self._done:
                continue
            done, stage = self._run(plan, len(todo))
            if len(plan) < most:
                # More than can be run need not be remembered; some the tour has run already.
                room = max(0, self.max_runs + len(self._done) - len(todo))
                more = itertools.islice(_further(done, stage), room)
                todo.extend(_with(plan, visit, fault, each=each) for visit, fault, each in more)

    def _enough(self) -> bool:
        """Whether more would help nobody: it fails without a fault, or in so many ways."""
        broken = any(not failure.plan for failure in self.failures.values())
        return broken or len(self.failures) >= _MOST_FAILURES

    def _run(self, plan: FaultPlan, waiting: int) -> tuple[Replay, Stage]:
        done, simulation = self.case.run(plan)
        new = frozenset(plan) not in self._done
        if new:
            self._done.add(frozenset(plan))
            self.runs += 1
            self._count(done, simulation)
            if self.progress is not None:
                self.progress(self.runs, waiting)
        return done, simulation.stage

    def _count(self, done: Replay, simulation: Simulation) -> None:
        if self.coverage is None:
            self.coverage = RowCoverage(simulation.stage.machine)
            self.saga = simulation.stage.saga
        self.coverage.add(done.outcome.events)
        self.fired.update(one.fault.value for one in done.plan if one not in done.unfired)
        if done.reason and done.reason not in self.failures:
            self.failures[done.reason] = self._shrunk(done)

    def _shrunk(self, done: Replay) -> Failure:
        """Take faults away, or take simpler ones, while the run fails for the same reason."""
        again, _ = self.case.run(done.plan)
        if again.reason != done.reason:
            reason = (
                f"not deterministic: the same plan failed as '{done.reason}', "
                f"then as '{again.reason or 'nothing'}'"
            )
            return Failure(done.plan, done.outcome, reason, done.path)
        for plan in _simpler(done.plan):
            less, _ = self.case.run(plan)
            if less.reason == done.reason and not less.unfired:
                return self._shrunk(less)
        return Failure(done.plan, done.outcome, done.reason, done.path)

    def result(self) -> Exploration:
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
        )


def _simpler(plan: FaultPlan) -> Iterator[FaultPlan]:
    """Plans with one fault less; then with one that comes once, earlier, or is easier to read."""
    for one in plan:
        yield plan.without(one)
    for place, one in enumerate(plan.injections):
        before, after = plan.injections[:place], plan.injections[place + 1 :]
        others = [attrs.evolve(one, number=number) for number in range(max(1, one.number))]
        if one.number != EACH:
            others = [other for other in others if other.number < one.number]
        others += [attrs.evolve(one, fault=fault) for fault in _EASIER[: _easier_than(one.fault)]]
        yield from (FaultPlan((*before, other, *after)) for other in others)


def _easier_than(fault: Fault) -> int:
    return _EASIER.index(fault) if fault in _EASIER else 0


def _further(done: Replay, stage: Stage) -> Iterator[tuple[Visit, Fault, bool]]:
    """What else may go wrong where a run came to, and whether it lasts from then on."""
    return (
        (visit, fault, each) for visit in _after_last(done) for fault, each in fitting(visit, stage)
    )


def _with(plan: FaultPlan, visit: Visit, fault: Fault, *, each: bool) -> FaultPlan:
    return plan.and_then(Injection(visit.site, EACH if each else visit.number, fault))


def _after_last(done: Replay) -> Iterator[Visit]:
    """
    The places that a run came to after the last thing that went wrong.

    Where that was something around a call, the call's own answer comes after it.
    """
    sites = {(one.site, one.number) for one in done.plan}
    every = {one.site for one in done.plan if one.number == EACH}
    last = -1
    for place, visit in enumerate(done.visits):
        if (visit.site, visit.number) in sites:
            last = place
        elif visit.site in every and visit.number == 0:
            last = max(last, place)
    if last >= 0:
        visit = done.visits[last]
        at = [one.fault for one in done.plan.at(visit.site, visit.number)]
        if len(at) == 1 and at[0] in AROUND:
            near = (visit.near, at[0])
            yield attrs.evolve(visit, key=near, near=near, meanwhile=at[0])
    for visit in itertools.islice(done.visits, last + 1, None):
        if visit.site not in every:
            yield visit
