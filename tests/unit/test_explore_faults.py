"""The failure search: what it finds in broken worlds, and that it is silent about right ones."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings

from saga_fsm import (
    GUARDED,
    PENDING,
    Contract,
    Rejected,
    Retry,
    Saga,
    Status,
    each,
    parallel,
    pause,
    pivot,
    readonly,
    step,
)
from saga_fsm.errors import DefinitionError, SagaError
from saga_fsm.testing import EffectLog, Fault, explore_faults, fault_plans, replay, saga_faults
from tests.participants import C, P, R, Shop, undo


PLAIN = Saga(
    "plain",
    C("a"),
    C("b"),
    P("p"),
    R("r"),
    deadline=60.0,
    contract=GUARDED,
)


@pytest.mark.heavy
def test_a_saga_that_keeps_its_promises_survives_every_plan():
    """No false alarm, and every row that a run can take is taken."""
    result = explore_faults(PLAIN, world=Shop)
    assert result.ok, result
    assert result.complete
    assert result.runs > 500
    assert (result.coverage, result.missed) == (1.0, ()), result
    assert all("alarm" in row or "enter r" in row for row in result.outside), result.outside
    assert set(result.fired) == {fault.value for fault in Fault} - {"slow"}


OPEN = Contract(idempotent=True, sticky=True)
BROKEN: dict[str, tuple[type[Shop], str]] = {}


def broken(plan: str) -> Any:
    """Register a world that breaks its word, with the shortest plan that shows it."""

    def keep(world: type[Shop]) -> type[Shop]:
        BROKEN[world.__doc__ or ""] = (world, plan)
        return world

    return keep


@broken("a@0=duplicate")
class NotIdempotent(Shop):
    """the same key has two effects"""

    def act(self, ctx: Any) -> str:
        """As every action, but the class says how."""
        return self.count(ctx.step, 1)

    def undo(self, ctx: Any) -> None:
        """As every undo, but the class says how."""
        self.stands[ctx.step] = 0


@broken("a@0=late")
class NotFenced(Shop):
    """an action that comes after its undo lands"""

    def undo(self, ctx: Any) -> None:
        """As every undo, but the class says how."""
        if ctx.action_key in self.guard.records:
            super().undo(ctx)


@broken("a@0=lost_reply")
class NothingUndone(Shop):
    """a compensation does nothing"""

    def undo(self, ctx: Any) -> None:
        """As every undo, but the class says how."""


@broken("a@0=transient a/compensation@0=lost_reply")
class UndoneTwice(Shop):
    """a compensation is not idempotent"""

    def undo(self, ctx: Any) -> None:
        """As every undo, but the class says how."""
        if ctx.action_key in self.guard.records:
            self.count(ctx.step, -1)
        else:
            super().undo(ctx)


@broken("a@0=transient")
class NoNullCompensation(Shop):
    """a compensation fails when there is nothing to undo"""

    def undo(self, ctx: Any) -> None:
        """As every undo, but the class says how."""
        self.guard.records[ctx.action_key]
        super().undo(ctx)


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_world_is_found_by_its_shortest_plan(what):
    """Each is told with a plan of as few faults as it takes, and that plan replays."""
    world, plan = BROKEN[what]
    result = explore_faults(PLAIN, world=world, max_faults=0)
    shortest = min(result.failures, key=lambda failure: len(failure.plan))
    assert len(shortest.plan) == len(plan.split()), result
    assert any(str(failure.plan) == plan for failure in result.failures), result
    again = replay(PLAIN, str(shortest.plan), world=world)
    assert (again.reason, again.outcome.status) == (shortest.reason, shortest.outcome.status)
    with pytest.raises(AssertionError, match=r"plan: "):
        result.assert_ok()


def test_a_mistake_in_a_step_is_told_without_any_fault():
    """A run that goes back cleanly because of a typo is no success."""

    def typo(ctx: Any) -> None:
        ctx.input.custommer  # noqa: B018 - the mistake that is meant

    saga = Saga("typo", C("a"), pivot(typo, name="p"), contract=GUARDED)
    (first, *_) = explore_faults(saga, world=Shop, input=object(), max_faults=0).failures
    assert first.reason.startswith("p raised AttributeError by itself")
    assert str(first.plan) == ""


def test_a_saga_that_declares_too_little_is_stuck_and_says_so():
    """Without a fence a late landing is an alarm: stuck, with the step on the list."""
    saga = Saga("bare", C("a"), P("p"), contract=Contract(idempotent=True, sticky=True))

    class Open(NotFenced):
        pass

    done = replay(saga, "a@0=late", world=Open)
    assert done.outcome.status is Status.STUCK
    assert done.outcome.unresolved == {"a": "compensate"}
    assert done.consistent, done.reason


def test_replay_says_which_faults_never_fired():
    """A fault that tests nothing is not silently taken for a test."""
    done = replay(PLAIN, "a@0=reject p@0=lost_reply", world=Shop)
    assert [str(one) for one in done.unfired] == ["p@0=lost_reply"]
    assert done.outcome.events == ("start", "rejected(a)")


def test_a_call_is_cancelled_and_answered_in_one_plan():
    """The cancellation is heard first; the pivot's rejection then turns the run back."""
    done = replay(PLAIN, "p@0=reject p@0=cancel", world=Shop)
    assert not done.unfired
    assert done.outcome.events[3:6] == ("cancel", "rejected(p)", "compensated(b)")
    assert done.outcome.status is Status.COMPENSATED
    assert done.consistent, done.reason


def test_whoever_wrote_last_owns_a_run_at_rest():
    """Another took over when there was nothing to write: the first one's late news is true."""
    saga = Saga("late", P("p", retry=Retry(attempts=1), timeout=3.0), contract=GUARDED)
    done = replay(saga, "p@0=clock_jump p@0=second_owner", world=Shop)
    assert not done.unfired
    assert done.consistent, done.reason


def test_nobody_refuses_what_has_landed():
    """A rejection after the same key has landed would be a lie of the test."""
    done = replay(PLAIN, "p@0=lost_reply p@1=reject", world=Shop)
    assert [str(one) for one in done.unfired] == ["p@1=reject"]
    assert done.outcome.status is Status.COMPLETED


def test_an_operator_is_honest():
    """What he says is made true by hand first: here he pays back himself."""
    plan = "p@0=reject a/compensation@*=transient a/operator@0=compensated"
    done = replay(PLAIN, plan, world=Shop)
    assert not done.unfired
    assert done.outcome.status is Status.COMPENSATED
    assert done.world.stands == {"a": 0, "b": 0}


def test_a_lost_append_is_a_crash_and_the_next_owner_goes_on():
    """Written or not: what the journal holds is what is gone on with."""
    for fault in ("lost_request", "lost_reply"):
        done = replay(PLAIN, f"journal@2={fault}", world=Shop)
        assert done.outcome.status is Status.COMPLETED
        assert not done.unfired
        assert done.consistent, done.reason


def test_three_recoveries_of_one_call_make_it_unknown():
    """A poison step must not kill its owners for ever."""
    plan = "a@0=crash_before a@1=crash_before a@2=crash_before"
    done = replay(PLAIN, plan, world=Shop)
    assert "unknown(a)" in done.outcome.events
    assert done.outcome.status is Status.COMPENSATED


@pytest.mark.parametrize(
    "plan",
    ["journal@*=lost_request", "recover@*=crash_before p@0=crash_after", "p@*=transient"],
)
def test_faults_that_last_stop_some_day_and_then_the_run_ends(plan):
    """A plan in which nobody can ever write, or call, would be a search that never ends."""
    done = replay(PLAIN, plan, world=Shop)
    assert done.outcome.status.resting
    assert done.consistent, done.reason


@pytest.mark.heavy
def test_an_oracle_that_raises_is_told_with_its_plan():
    """A mistake in the user's oracle is found like one in the world."""

    def oracle(_world: Any, outcome: Any) -> bool:
        return {Status.COMPLETED: True}[outcome.status]

    result = explore_faults(PLAIN, world=Shop, consistent=oracle, max_faults=0)
    assert result.failures[0].reason.startswith("oracle raised KeyError")
    assert len(result.failures[0].plan) == 1


def test_what_ends_a_test_ends_the_search():
    """Ctrl-C and ``pytest.fail`` in a world are not taken for an answer of a step."""

    class Ends(Shop):
        def act(self, ctx: Any) -> str:
            """Give up."""
            pytest.fail("no such world")

    with pytest.raises(pytest.fail.Exception, match="no such world"):
        explore_faults(PLAIN, world=Ends)


@pytest.mark.heavy
def test_a_user_who_is_not_deterministic_is_told():
    """A plan that fails differently the second time cannot be shrunk or believed."""
    numbers = itertools.count()

    def consistent(_world: Any, _outcome: Any) -> bool:
        return next(numbers) != 3

    result = explore_faults(PLAIN, world=Shop, consistent=consistent, max_faults=0)
    assert result.failures[0].reason.startswith("not deterministic")


@pytest.mark.heavy
def test_async_actions_parallel_branches_pauses_and_answers_are_attacked_alike():
    """Every block and both colours of function go through the same search."""

    async def reserve(ctx: Any) -> str:
        return ctx.services.act(ctx)

    def ask(_ctx: Any) -> Any:
        return PENDING

    saga = Saga(
        "mixed",
        C("a", timeout=5.0),
        parallel(step(reserve, compensate=undo, timeout=5.0), C("b", timeout=3.0)),
        readonly(ask, timeout=60.0),
        pause(10.0),
        each(lambda ctx: ctx.input, C("line"), max_items=2),
        P("p"),
        deadline=3600.0,
        contract=GUARDED,
    )
    result = explore_faults(
        saga,
        world=Shop,
        input=["x", "y"],
        answers={"ask": lambda ctx: "yes"},
        max_faults=0,
        max_runs=4_000,
    )
    assert result.ok, result
    assert result.fired["slow"] > 0
    refused = replay(
        saga, "ask/answer@0=reject", world=Shop, input=["x"], answers={"ask": lambda ctx: 1}
    )
    assert refused.outcome.status is Status.COMPENSATED


def test_a_pending_step_that_nobody_answers_is_told():
    """The search says what is missing instead of hanging."""
    saga = Saga("asks", readonly(lambda ctx: PENDING, name="ask"), C("a"), contract=GUARDED)
    with pytest.raises(SagaError, match="answers="):
        explore_faults(saga, world=Shop)


def test_a_saga_made_from_its_world_is_as_good():
    """Where steps hold their clients, the saga is a function of the world."""

    def made(world: Shop) -> Saga:
        def pay(ctx: Any) -> str:
            return world.act(ctx)

        def pay_back(ctx: Any, _: str | None) -> None:
            world.undo(ctx)

        return Saga("made", step(pay, compensate=pay_back), contract=GUARDED)

    assert explore_faults(made, world=Shop, max_faults=1).ok


def test_the_effect_log_tells_what_was_done_in_what_order():
    """It sees each call that reached the world, whoever made it."""
    done = replay(PLAIN, "b@0=duplicate p@0=reject", world=Shop)
    assert isinstance(done.log, EffectLog)
    assert [(one.what, one.path, one.answer) for one in done.log] == [
        ("action", "a", "done"),
        ("action", "b", "done"),
        ("action", "b", "done"),
        ("compensation", "b", "done"),
        ("compensation", "a", "done"),
        ("action", "b", "rejected"),
    ]
    assert done.log.undone("a")
    assert not done.log.standing()


def test_a_world_that_is_refused_a_rejection_afterwards_is_not_called():
    """A sticky participant remembers what it has refused, also in the test."""
    done = replay(PLAIN, "a@0=reject", world=Shop)
    assert [one.answer for one in done.log] == []
    assert isinstance(done.outcome.cause.exception, Rejected)


@settings(max_examples=150, deadline=None)
@given(fault_plans(PLAIN, max_faults=4))
def test_any_plan_of_a_right_saga_is_consistent(plan):
    """The Hypothesis strategy makes plans that replay."""
    done = replay(PLAIN, plan, world=Shop)
    assert done.consistent, (str(plan), done.reason)


@saga_faults(PLAIN, world=Shop, max_faults=0)
def test_a_test_function_is_asked_after_every_plan(world, outcome):
    """The decorated function is what pytest runs, without arguments."""
    assert outcome.status is not Status.COMPENSATED or not any(world.stands.values())


def test_what_a_test_function_asserts_is_told_with_the_shortest_plan():
    """Its assertion fails after some plan: that is shrunk, and the text is in the report."""

    @saga_faults(PLAIN, world=Shop, max_faults=0)
    def always_ships(world: Any, outcome: Any) -> None:
        assert outcome.status is Status.COMPLETED, f"not shipped by {object()}"

    with pytest.raises(AssertionError, match="always_ships says: not shipped by") as caught:
        always_ships()
    assert "plan: a@0=reject\n" in str(caught.value)
    assert "not deterministic" not in str(caught.value)


def test_a_plan_is_shrunk_to_fewer_and_simpler_faults():
    """What is not needed is gone; what is left comes first and is easy to read."""

    def never_back(_world: Any, outcome: Any) -> bool:
        return outcome.status is not Status.COMPENSATED

    result = explore_faults(PLAIN, world=Shop, consistent=never_back, max_faults=0)
    assert [str(failure.plan) for failure in result.failures] == ["a@0=reject"]


@pytest.mark.heavy
def test_a_search_ends_after_as_many_runs_as_it_may_take():
    """However many plans there would be of so many faults, and however long the saga."""
    saga = Saga("long", *(C(f"c{n}") for n in range(40)), P("p"), contract=GUARDED)
    result = explore_faults(saga, world=Shop, max_faults=3, max_runs=60)
    assert (result.runs, result.complete, result.ok) == (60, False, True)


def test_what_is_neither_a_saga_nor_makes_one_is_refused():
    """Before any world is made, with what would have been right."""
    with pytest.raises(DefinitionError, match="3 is not a saga"):
        explore_faults(3, world=Shop)
