"""
A Hypothesis state machine of a user's own saga: calls in any order, and anything goes wrong.

Where ``explore_faults`` goes through plans, this lets Hypothesis decide at each moment which of the
calls in flight is answered, what goes wrong with it, whether time passes, the user cancels, the
orchestrator dies or an operator decides, and shrinks what fails. Its database, its profiles and its
seeds work as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any
from unittest import TestCase

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from saga_fsm.definition import Saga
from saga_fsm.definition.layout import check_saga
from saga_fsm.testing.fitting import fitting
from saga_fsm.testing.oracles import Consistent, wrong
from saga_fsm.testing.plan import OPERATOR, Fault
from saga_fsm.testing.simulation import Simulation
from saga_fsm.testing.stage import Answers, Loop, Stage, Visit


__all__ = ["state_machine_test"]

_CALLS = [fault for fault in Fault if fault not in OPERATOR and fault is not Fault.BAD_VALUE]


def state_machine_test(
    saga: Any,
    *,
    world: Callable[[], Any] | None = None,
    input: Any = None,  # noqa: A002 - the interface's word
    consistent: Consistent | None = None,
    answers: Answers | None = None,
) -> type[TestCase]:
    """
    Make a test case that attacks a saga step by step, for pytest and unittest to collect.

    Args:
        saga: the saga, or a function from the world to it.
        world: a class or factory, called once an example; given to the steps as ``ctx.services``.
        input: the saga's input, a value or a Hypothesis strategy.
        consistent: the oracle, ``consistent(world, outcome)``; default the world's
            ``is_consistent(outcome)``.
        answers: outcomes of pending steps, by step.

    Returns:
        The ``TestCase`` of a ``RuleBasedStateMachine``. That machine is its attribute ``machine``:
        subclass it to add rules of your own, which find the world as ``self.world``.
    """
    inputs = input if isinstance(input, st.SearchStrategy) else st.just(input)
    if not callable(saga):
        check_saga(saga)
    made: Any = saga
    ready = Stage.of(saga) if isinstance(saga, Saga) else None

    class SagaMachine(_Attack):
        @initialize(given=inputs)
        def start(self, given: Any) -> None:
            self.world = None if world is None else world()
            stage = ready or Stage.of(made(self.world))
            self.begin(stage, given, answers, consistent)

    SagaMachine.__name__ = SagaMachine.__qualname__ = f"{_named(saga)} under faults"
    case: type[TestCase] = SagaMachine.TestCase
    setattr(case, "machine", SagaMachine)  # noqa: B010 - unittest's type does not know of it
    return case


class _Attack(RuleBasedStateMachine):
    """What can happen to a run, whoever's it is."""

    world: Any
    simulation: Simulation

    def begin(
        self, stage: Stage, given: Any, answers: Answers | None, oracle: Consistent | None
    ) -> None:
        """Start a run of its own."""
        self.oracle = oracle
        self.judged = False
        self.wanted: Fault | None = None
        self.append: Fault | None = None
        self.loop = Loop()
        self.simulation = Simulation(
            stage,
            world=self.world,
            input=given,
            loop=self.loop,
            answers=answers,
            watch=self._goes_wrong,
        )
        self.simulation.begin()

    def _goes_wrong(self, site: str, _: int, look: Callable[[], Visit]) -> list[Fault]:
        if site == "journal":
            lost, self.append = self.append, None
            return [] if lost is None else [lost]
        fault, self.wanted = self.wanted, None
        if fault is None:
            return []
        fits = {one for one, _ in fitting(look(), self.simulation.stage)}
        return [fault] if fault in fits else []

    @precondition(lambda self: self.simulation.calls)
    @rule(which=st.integers(0, 7), fault=st.none() | st.sampled_from(_CALLS))
    def call(self, which: int, fault: Fault | None) -> None:
        """Answer one of the calls in flight."""
        calls = self.simulation.calls
        self.wanted = fault
        self.simulation.make(calls[which % len(calls)])
        self.wanted = None

    @precondition(lambda self: not self.simulation.resting and not self.simulation.calls)
    @rule()
    def wait(self) -> None:
        """Nothing is to be called: a slow answer comes, or time passes."""
        self.simulation.once()

    @precondition(lambda self: self.simulation.made)
    @rule(which=st.integers(0, 31))
    def arrive(self, which: int) -> None:
        """A call that is still on its way arrives, or a copy of any call that was ever made."""
        if self.simulation.late:
            self.simulation.land_late()
        else:
            self.simulation.again(which % len(self.simulation.made))

    @precondition(lambda self: self.simulation.resting)
    @rule()
    def ask_for_the_outcome(self) -> None:
        """When all is over this is what is left to do."""
        assert self.simulation.outcome().status.resting  # noqa: S101 - what a test case does

    @precondition(lambda self: not self.simulation.resting)
    @rule(what=st.sampled_from(["cancel", "crash", "append not written", "append not confirmed"]))
    def interfere(self, what: str) -> None:
        """The user cancels, the orchestrator dies, or its next append fails."""
        if what == "cancel":
            self.simulation.cancel()
        elif what == "crash":
            self.simulation.crash()
        else:
            lost = what == "append not written"
            self.append = Fault.LOST_REQUEST if lost else Fault.LOST_REPLY

    @precondition(lambda self: self.simulation.stuck_on())
    @rule(which=st.integers(0, 7), word=st.sampled_from(OPERATOR))
    def decide(self, which: int, word: Fault) -> None:
        """An operator decides about a step on which the run is stuck."""
        paths = list(self.simulation.stuck_on())
        self.simulation.tell(paths[which % len(paths)], word)

    @invariant()
    def nothing_is_wrong(self) -> None:
        """At rest, with nothing on its way, the world and the outcome agree."""
        simulation = getattr(self, "simulation", None)
        if simulation is not None and simulation.resting and not simulation.late:
            self._judge(simulation)

    def teardown(self) -> None:
        """From here on nothing goes wrong any more: the run must come to rest."""
        simulation = getattr(self, "simulation", None)
        if simulation is None:
            return
        self.append = self.wanted = None
        with closing(self.loop):
            # What is wrong already is told once.
            if not self.judged:
                simulation.finish()
                self._judge(simulation)

    def _judge(self, simulation: Simulation) -> None:
        reason = wrong(simulation, self.oracle)
        if reason:
            self.judged = True
            note(str(simulation.outcome().path))
        assert not reason, reason  # noqa: S101 - what a test case does


def _named(saga: Any) -> str:
    return str(getattr(saga, "name", getattr(saga, "__name__", "saga")))
