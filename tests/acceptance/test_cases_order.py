"""Failure stories F31 to F49: order, branches, duplicates, crashes, time and cancel."""

from __future__ import annotations

import asyncio
from threading import Event
from typing import Any

import pytest

from saga_fsm import Status, arun, parallel, run, step
from saga_fsm.errors import DefinitionError, NoTransitionError
from saga_fsm.examples import order
from saga_fsm.runner import operate
from tests.acceptance import stories
from tests.acceptance.effects import (
    A,
    Died,
    Effects,
    FastClock,
    MortalJournal,
    N,
    P,
    act,
    saga,
    undo,
)


def test_F31_sibling_in_flight_is_undone_before_the_fork(
    effects: Effects, journal: MortalJournal, go: Any
) -> None:
    """A says no while B is in flight: B's completion is kept, then undone, and F after it."""
    b_is_called, a_is_heard = Event(), Event()
    journal.when("rejected(A)", a_is_heard.set)
    effects.on("A", "reject")
    effects.before["A"] = lambda: b_is_called.wait(30)
    effects.before["B"] = lambda: (b_is_called.set(), a_is_heard.wait(30))
    outcome = go(stories.F31)
    assert outcome.status is Status.COMPENSATED
    assert outcome.events == (
        "start",
        "done(F)",
        "rejected(A)",
        "done(B)",
        "compensated(B)",
        "compensated(F)",
    )
    assert sorted(effects.calls[:3]) == ["A", "B", "F"]
    assert effects.calls[3:] == ["b", "f"]
    assert effects.given == {"b": "result of B", "f": "result of F"}
    assert effects.wrong(outcome, "FABJ") == []


def test_F31_on_a_loop_nobody_cancels_the_sibling(effects: Effects) -> None:
    """The same with coroutines: B's task is awaited, not cancelled, and undone with its result."""

    async def play() -> Any:
        b_is_called, go_on = asyncio.Event(), asyncio.Event()

        async def a(ctx: Any) -> str:
            await b_is_called.wait()
            go_on.set()
            return act(ctx)

        async def b(ctx: Any) -> str:
            b_is_called.set()
            await go_on.wait()
            for _ in range(10):
                await asyncio.sleep(0)
            return act(ctx)

        branches = parallel(step(a, name="A", compensate=undo), step(b, name="B", compensate=undo))
        return await arun(saga(A("F"), branches, P("J")), services=effects, run_id="r1")

    effects.on("A", "reject")
    outcome = asyncio.run(play())
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["F", "A", "B", "b", "f"]
    assert effects.given == {"b": "result of B", "f": "result of F"}
    assert effects.wrong(outcome, "FABJ") == []


def test_F35_saga_in_a_branch_is_undone(effects: Effects, go: Any) -> None:
    """A nested saga in a branch undoes what it did, and what follows never starts."""
    effects.on("B", "reject")
    outcome = go(stories.F35)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A", "B", "a"]
    assert effects.wrong(outcome, "ABC") == []
    assert outcome.cause.step == "inner/B"


def test_F35_saga_in_a_branch_that_completed_is_undone(effects: Effects, go: Any) -> None:
    """A failure after the branch goes back into it, in reverse."""
    effects.on("C", "reject")
    outcome = go(stories.F35)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A", "B", "C", "b", "a"]
    assert effects.wrong(outcome, "ABC") == []


def test_F37_fire_and_forget_belongs_behind_the_pivot(effects: Effects, go: Any) -> None:
    """Behind the decision it is repeated until it has happened."""
    effects.on("N", "transient", "lost_reply", "lost_request")
    outcome = go(stories.F37)
    assert outcome.status is Status.COMPLETED
    assert effects.calls == ["A", "S", "N", "N", "N", "N"]
    assert effects.wrong(outcome, "ASN") == []


def test_F37_before_the_pivot_it_can_be_undone(effects: Effects, go: Any) -> None:
    """Or it is a step like any other, with its undo."""
    effects.on("S", "reject")
    outcome = go(stories.F37_UNDONE)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A", "N", "S", "n", "a"]
    assert effects.wrong(outcome, "ANS") == []


def test_F37_retriable_before_the_pivot_is_refused() -> None:
    """A fire-and-forget step before the decision is no saga: W3 names both and says what to do."""
    with pytest.raises(DefinitionError) as caught:
        saga(A("A"), N("N"), P("S"))
    assert caught.value.rule == "W3"
    assert caught.value.step == "S"
    assert "Move 'N' behind the pivot, or give it a compensation" in str(caught.value)


def test_F42_duplicate_event_moves_nothing_twice(
    effects: Effects, journal: MortalJournal, go: Any
) -> None:
    """After the end a second payment event is refused, a second request has no second effect."""
    outcome = go(stories.F42)
    assert outcome.status is Status.COMPLETED
    before = journal.read("r1"), list(effects.calls)
    for event in ("done(P)", "done(I)", "start"):
        with pytest.raises(NoTransitionError):
            operate(stories.F42, event, journal=journal, run_id="r1", services=effects)
    assert go(stories.F42).status is Status.COMPLETED
    assert (journal.read("r1"), effects.calls) == before
    assert not effects.late("I", "r1")
    assert not effects.late("P", "r1")
    assert effects.wrong(outcome, "IP") == []


def test_F42_the_stock_is_not_decremented_twice() -> None:
    """The same on the shop of the example, with the same run a second time, and no journal."""
    shop = order.World()
    for _ in range(2):
        outcome = run(order.saga, order.INPUT, services=shop, run_id="r1")
        assert outcome.status is Status.COMPLETED
        assert (shop.shelf["teapot"], shop.shipped["teapot"], shop.till) == (3, 2, 4_200)
        assert order.consistent(shop, outcome)


def test_F44_crash_after_the_effect_repeats_the_same_key(effects: Effects, go: Any) -> None:
    """An idempotent step found open is called again, and has one effect."""
    effects.on("B", "die_after")
    with pytest.raises(Died):
        go(stories.F44)
    outcome = go(stories.F44)
    assert outcome.status is Status.COMPLETED
    assert effects.calls == ["A", "B", "B", "C"]
    assert effects.keys[1] == effects.keys[2]
    assert effects.wrong(outcome, "ABC") == []


@pytest.mark.parametrize("when", ["die_before", "die_after"])
def test_F44_crash_at_a_bare_step_is_undone(effects: Effects, go: Any, when: str) -> None:
    """A step without promises is neither assumed run nor not run: it is undone without a result."""
    effects.on("B", when)
    with pytest.raises(Died):
        go(stories.F44_BARE)
    outcome = go(stories.F44_BARE)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A", "B", "b", "a"]
    assert effects.given == {"b": None, "a": "result of A"}
    assert effects.wrong(outcome, "ABC") == []


def test_F44_a_late_landing_of_the_bare_step_makes_the_run_stuck(
    effects: Effects, journal: MortalJournal, go: Any
) -> None:
    """The dead process's request lands after the undo: told of it, the run is stuck and lists B."""
    effects.guarded = False
    effects.on("B", "die_before")
    with pytest.raises(Died):
        go(stories.F44_BARE)
    outcome = go(stories.F44_BARE)
    assert effects.late("B", "r1")
    assert effects.wrong(outcome, "ABC") == ["B"]
    told: dict[str, Any] = {"journal": journal, "run_id": "r1", "services": effects}
    stuck = operate(stories.F44_BARE, "late_done(B)", **told)
    assert (stuck.status, stuck.unresolved) == (Status.STUCK, {"B": "compensate"})
    ended = operate(stories.F44_BARE, "retry(B)", **told)
    assert ended.status is Status.COMPENSATED
    assert effects.wrong(ended, "ABC") == []


@pytest.mark.parametrize(
    ("when", "status", "calls"),
    [
        ("die_after", Status.COMPLETED, ["A", "B", "B?", "C"]),
        ("die_before", Status.COMPENSATED, ["A", "B", "B?", "a"]),
    ],
)
def test_F44_a_bare_step_with_a_query_is_asked(
    effects: Effects, go: Any, when: str, status: Status, calls: list[str]
) -> None:
    """It is not called again: what the participant says decides, and a "no" fences."""
    effects.on("B", when)
    with pytest.raises(Died):
        go(stories.F44_QUERIED)
    outcome = go(stories.F44_QUERIED)
    assert outcome.status is status
    assert effects.calls == calls
    assert not effects.late("B", "r1")
    assert effects.wrong(outcome, "ABC") == []


@pytest.mark.parametrize("refused", ["", "C"])
def test_F46_a_timer_after_the_end_finds_nobody(
    effects: Effects, clock: FastClock, journal: MortalJournal, go: Any, refused: str
) -> None:
    """The deadline of a run that is over, completed or undone, moves nothing and calls nobody."""
    if refused:
        effects.on(refused, "reject")
    ended = go(stories.F46)
    assert ended.status is (Status.COMPENSATED if refused else Status.COMPLETED)
    assert effects.wrong(ended, "ABC") == []
    before = journal.read("r1"), list(effects.calls)
    clock.time += 3600.0
    again = go(stories.F46)
    assert (again.status, again.events) == (ended.status, ended.events)
    told: dict[str, Any] = {"journal": journal, "run_id": "r1", "services": effects}
    for late in ("deadline", "cancel"):
        with pytest.raises(NoTransitionError):
            operate(stories.F46, late, **told)
    assert (journal.read("r1"), effects.calls) == before


def test_F46_a_deadline_in_time_turns_back(effects: Effects, clock: FastClock, go: Any) -> None:
    """The same timer while B is in flight undoes B and A: the story's timer does ring."""
    effects.before["B"] = lambda: setattr(clock, "time", 61.0)
    outcome = go(stories.F46)
    assert outcome.status is Status.COMPENSATED
    assert outcome.cause.kind == "deadline"
    assert effects.calls == ["A", "B", "b", "a"]
    assert effects.wrong(outcome, "ABC") == []


def test_F49_interrupt_is_undone_then_raised_again(effects: Effects, go: Any) -> None:
    """Ctrl-C during B undoes B and A, then is the same interrupt for the caller."""
    effects.on("B", "interrupt")
    with pytest.raises(KeyboardInterrupt):
        go(stories.F49)
    assert effects.calls == ["A", "B", "b", "a"]
    outcome = go(stories.F49)
    assert outcome.status is Status.COMPENSATED
    assert effects.wrong(outcome, "ABC") == []


def test_F49_cancel_of_a_task_is_undone_outside_the_cancelled_scope(
    effects: Effects, journal: MortalJournal
) -> None:
    """A task cancelled after B undoes C, B and A with awaits of its own, and is cancelled then."""

    async def play() -> None:
        c_is_called, go_on = asyncio.Event(), asyncio.Event()

        async def c(ctx: Any) -> str:
            c_is_called.set()
            await go_on.wait()
            return act(ctx)

        async def slowly(ctx: Any, result: str | None) -> None:
            await asyncio.sleep(0)
            undo(ctx, result)
            await asyncio.sleep(0)

        blocks = [step(act, name=name, compensate=slowly) for name in "AB"]
        story = saga(*blocks, step(c, name="C", compensate=slowly), P("Z"))
        task = asyncio.create_task(arun(story, services=effects, journal=journal, run_id="r1"))
        await c_is_called.wait()
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(play())
    assert journal.events("r1")[3:5] == ["cancel", "done(C)"]
    assert effects.calls == ["A", "B", "C", "c", "b", "a"]
    assert sum(effects.net(name) for name in "ABCZ") == 0


def test_F49_cancel_of_a_run_that_is_taken_up(
    effects: Effects, journal: MortalJournal, go: Any
) -> None:
    """The process died in B, the user cancels: B is found out about, then b, then a."""
    effects.on("B", "die_after")
    with pytest.raises(Died):
        go(stories.F49)
    outcome = cancelled(effects, journal)
    assert outcome.status is Status.COMPENSATED
    assert (outcome.cause.kind, outcome.cause.step) == ("cancel", "")
    assert effects.calls == ["A", "B", "B", "b", "a"]
    assert effects.wrong(outcome, "ABC") == []


@pytest.mark.parametrize(
    ("answer", "status", "calls"),
    [
        ("reject", Status.COMPENSATED, ["A", "B", "C", "b", "a"]),
        ("", Status.COMPLETED, ["A", "B", "C"]),
    ],
)
def test_F49_cancel_waits_for_a_pivot_in_flight(  # noqa: PLR0913, PLR0917 - a case, and its stage
    effects: Effects,
    journal: MortalJournal,
    go: Any,
    answer: str,
    status: Status,
    calls: list[str],
) -> None:
    """When C is already asked for, its answer decides whether the cancel still counts."""
    journal.dies_after("done(B)")
    with pytest.raises(Died):
        go(stories.F49)
    if answer:
        effects.on("C", answer)
    outcome = cancelled(effects, journal)
    assert outcome.status is status
    assert effects.calls == calls
    assert effects.wrong(outcome, "ABC") == []


def cancelled(effects: Effects, journal: MortalJournal) -> Any:
    """Take the run up in a new process, with the user's cancel."""
    effects.dead = False
    told: dict[str, Any] = {"journal": journal, "run_id": "r1", "services": effects}
    return operate(stories.F49, "cancel", clock=FastClock(), **told)
