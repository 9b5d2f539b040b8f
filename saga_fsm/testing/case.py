"""A saga, its world and its oracle: what every plan of a search has in common."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, TypeAlias

import attrs

from saga_fsm.definition import Saga
from saga_fsm.definition.layout import check_saga
from saga_fsm.errors import NobodyAnswersError, SagaError
from saga_fsm.testing.fitting import fitting, honest
from saga_fsm.testing.oracles import Consistent, wrong
from saga_fsm.testing.plan import AROUND, EACH, Fault, FaultPlan, Injection
from saga_fsm.testing.results import Replay
from saga_fsm.testing.sameness import sameness
from saga_fsm.testing.simulation import Simulation
from saga_fsm.testing.stage import Answers, Loop, Stage, Visit, Watch
from saga_fsm.testing.supply import Supply


__all__ = ["Case", "Ran", "further", "longer", "play"]


#: A place, what goes wrong there, and whether it does so each time from then on.
Further: TypeAlias = tuple[Visit, Fault, bool]


@attrs.frozen
class Ran:
    """
    One run: what it came to, and what else may go wrong in it.

    Args:
        replay: what users are told of it.
        further: the places that it came to after the last thing that went wrong.
        stage: the saga, as it was run.
    """

    replay: Replay
    further: Sequence[Visit]
    stage: Stage


def further(ran: Ran) -> Iterator[Further]:
    """What else may go wrong where a run came to."""
    return (
        (visit, fault, each) for visit in ran.further for fault, each in fitting(visit, ran.stage)
    )


def longer(plan: FaultPlan, more: Further) -> FaultPlan:
    """Give the plan with one fault more."""
    visit, fault, each = more
    return plan.and_then(Injection(visit.site, EACH if each else visit.number, fault))


@attrs.define
class Case:
    """
    One saga in one world.

    Args:
        saga: the saga, or a function from the world to it.
        input: the saga's input.
        consistent: the oracle.
        answers: outcomes of pending steps, by step.
        supply: gives each run its world.
        loop: for what is async.
    """

    saga: Any
    input: Any
    consistent: Consistent | None
    answers: Answers | None
    supply: Supply
    loop: Loop
    _stage: Stage | None

    @classmethod
    def of(cls, saga: Any, world: Any, given: Any, consistent: Any, answers: Any) -> Case:
        """Make ready, as far as that can be done without a world."""
        if not callable(saga):
            check_saga(saga)
        loop = Loop()
        stage = Stage.of(saga) if isinstance(saga, Saga) else None
        return cls(saga, given, consistent, answers, Supply(world, loop), loop, stage)

    def run(self, plan: FaultPlan, *, compared: bool = False) -> Ran:
        """One run under a plan, on a world of its own; ``compared``, where it may be the same."""
        world = self.supply.fresh()
        told = _Told(plan)
        simulation = self._made(world, told)
        if compared:
            told.whole = lambda: sameness(simulation, self.supply.snapshot(world))
        play(simulation)
        unfired = tuple(one for one in plan if one not in told.fired)
        return self._judged(simulation, plan, unfired, told.further)

    def draw(self, luck: random.Random, rate: float, most: int) -> Ran:
        """One run in which at each place something goes wrong with a probability of ``rate``."""
        world = self.supply.fresh()
        drawn = _Drawn(luck, rate, most)
        simulation = self._made(world, drawn)
        drawn.stage = simulation.stage
        play(simulation)
        return self._judged(simulation, FaultPlan(tuple(drawn.injections)), (), ())

    def close(self) -> None:
        """Leave the last world, and end the loop."""
        try:
            self.supply.close()
        finally:
            self.loop.close()

    def _made(self, world: Any, watch: Watch) -> Simulation:
        return Simulation(
            self._stage or Stage.of(self.saga(world)),
            world=world,
            input=self.input,
            loop=self.loop,
            answers=self.answers,
            watch=watch,
            died=self.supply.died,
        )

    def _judged(
        self,
        simulation: Simulation,
        plan: FaultPlan,
        unfired: tuple[Injection, ...],
        further: Sequence[Visit],
    ) -> Ran:
        reason = wrong(simulation, self.consistent)
        outcome = simulation.outcome()
        simulation.close()
        done = Replay(plan, outcome, reason, simulation.world, simulation.log, unfired)
        return Ran(done, further, simulation.stage)


def play(simulation: Simulation) -> None:
    """
    Until the run rests, nothing is on its way any more, and no operator says anything.

    Raises:
        SagaError: the run cannot go on as it is asked to: nobody answers a pending step.
    """
    try:
        simulation.begin()
        for _ in range(simulation.patience):
            simulation.finish()
            if not _operator(simulation):
                return
    except NobodyAnswersError as error:
        if error.waiting:
            raise
        state = simulation.owner.driver.facts.state
        simulation.broken.append(f"the run stands still: {state}, and it waits for nothing")
    except SagaError:
        raise
    except Exception as error:  # noqa: BLE001 - told with the plan that leads to it
        # What steps raise comes as an answer: this is the library's own.
        simulation.broken.append(f"saga_fsm itself raised {type(error).__name__}: {error}")


def _operator(simulation: Simulation) -> bool:
    for path in simulation.stuck_on():
        word = simulation.ask_operator(path)
        if word is not None and simulation.tell(path, word):
            return True
    return False


class _Told:
    """Lets go wrong what a plan says, and remembers where the run came to after that."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan = plan
        self.fired: set[Injection] = set()
        self.further: list[Visit] = []
        self._sites = {one.site for one in plan}
        self._left = len(plan)
        self.whole: Callable[[], Hashable | None] | None = None

    def __call__(self, site: str, number: int, look: Callable[[], Visit]) -> Sequence[Fault]:
        wanted = self.plan.at(site, number) if site in self._sites else ()
        if not wanted:
            if not self._left:
                whole = self.whole
                self.further.append(
                    look() if whole is None else attrs.evolve(look(), whole=whole())
                )
            return ()
        visit = look()
        true = [one for one in wanted if honest(one.fault, visit)]
        new = [one for one in true if one not in self.fired]
        self.fired.update(new)
        self._left -= len(new)
        if new and not self._left and len(true) == 1 and true[0].fault in AROUND:
            # Where something happened around a call, the call's own answer comes after it.
            near = (visit.near, true[0].fault)
            self.further.append(attrs.evolve(visit, key=near, near=near, meanwhile=true[0].fault))
        return [one.fault for one in true]


class _Drawn:
    """Lets anything go wrong anywhere, by luck, and remembers what did."""

    stage: Stage

    def __init__(self, luck: random.Random, rate: float, most: int) -> None:
        self.injections: list[Injection] = []
        self._luck = luck
        self._rate = rate
        self._most = most
        self._lasting: dict[str, Fault] = {}

    def __call__(self, site: str, number: int, look: Callable[[], Visit]) -> Sequence[Fault]:
        lasting = self._lasting.get(site)
        if lasting is not None:
            return [lasting] if honest(lasting, look()) else ()
        faults: list[Fault] = []
        while len(self.injections) < self._most and self._luck.random() < self._rate:
            visit = look()
            if faults:
                visit = attrs.evolve(visit, meanwhile=faults[0])
            options = list(fitting(visit, self.stage))
            if not options:
                break
            fault, each = self._luck.choice(options)
            self.injections.append(Injection(site, EACH if each else number, fault))
            if each:
                self._lasting[site] = fault
            faults.append(fault)
            if fault not in AROUND or len(faults) > 1:
                break
        return faults
