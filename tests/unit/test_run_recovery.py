"""Recovery: waits go on where they were, answers are asked again, operators decide."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from saga_fsm import (
    GUARDED,
    PENDING,
    Contract,
    Rejected,
    Retry,
    Saga,
    Status,
    Transient,
    pause,
    pivot,
    retriable,
    run,
    step,
)
from saga_fsm.errors import NoTransitionError, RunningLoopError, SagaError
from saga_fsm.journals.memory import MemoryJournal
from saga_fsm.ports import Entry
from saga_fsm.runner import operate
from saga_fsm.testing import VirtualClock


def undo(ctx: Any, result: Any) -> None:
    """Undo nothing."""


def after(journal: MemoryJournal, length: int) -> MemoryJournal:
    """Give the journal of run "r" as it was after so many entries."""
    before = MemoryJournal()
    before.append("r", journal.read("r")[:length], expected=0)
    return before


class Flaky:
    """An action that raises its errors, one by one, then works."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self, ctx: Any) -> str:
        """Act."""
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "ok"


def taken_up(saga: Saga[Any, Any], length: int, at: float, **options: Any) -> VirtualClock:
    """Run a saga, take it up at ``at`` as it was after ``length`` entries, give that clock."""
    journal = MemoryJournal()
    run(saga, journal=journal, run_id="r", clock=VirtualClock(), **options)
    clock = VirtualClock(start=at)
    run(saga, journal=after(journal, length), run_id="r", clock=clock, **options)
    return clock


def test_a_pause_goes_on_where_it_was() -> None:
    """Of a pause of 100 seconds, taken up after 60, 40 are left."""
    saga = Saga("s", step(Flaky(), name="a", compensate=undo), pause(100.0))
    assert taken_up(saga, 2, at=60.0).waits == [40.0]


def test_a_pause_is_never_poison() -> None:
    """A pause that is found open again and again is still a pause."""
    saga = Saga("s", pause(100.0))
    journal = MemoryJournal()
    run(saga, journal=journal, run_id="r", clock=VirtualClock())
    often = after(journal, 1)
    often.append("r", [Entry("#recovered", 1.0)] * 5, expected=1)
    clock = VirtualClock(start=10.0)
    outcome = run(saga, journal=often, run_id="r", clock=clock)
    assert outcome.status is Status.COMPLETED
    assert clock.now() == 100.0


@pytest.mark.parametrize(
    ("contract", "status"), [(GUARDED, Status.COMPLETED), (Contract(), Status.COMPENSATED)]
)
def test_an_open_call_is_made_again_only_if_it_may_be(contract: Contract, status: Status) -> None:
    """An idempotent call that was open is made again; any other is unknown, and undone (R2)."""
    action = Flaky()
    saga = Saga("s", step(action, name="a", compensate=undo), contract=contract)
    journal = MemoryJournal()
    run(saga, journal=journal, run_id="r")
    assert run(saga, journal=after(journal, 1), run_id="r").status is status
    assert action.calls == (2 if contract.idempotent else 1)


def test_a_back_off_goes_on_where_it_was() -> None:
    """Of the 30 seconds that a participant asked for, taken up after 10, 20 are left."""
    flaky = Flaky(Transient("busy", after=30.0))
    saga = Saga("s", step(flaky, name="a", compensate=undo, retry=Retry(attempts=2)))
    assert taken_up(saga, 2, at=10.0).waits == [20.0]


def test_a_deadline_counts_from_the_start_of_the_run() -> None:
    """A deadline of 100 seconds is heard at 100, and not 100 after the recovery."""
    flaky = Flaky(*[Transient("busy")] * 99)
    patient = Retry.forever(wait_initial=1000.0, wait_max=1000.0)
    saga = Saga("s", step(flaky, name="a", compensate=undo, retry=patient), deadline=100.0)
    assert taken_up(saga, 2, at=60.0).now() == 100.0


def test_a_deadline_takes_back_what_would_ring_with_it() -> None:
    """Deadline and back-off are due at once: the deadline is heard, and no further attempt made."""
    action = Flaky(Transient("busy"))
    patient = step(action, name="a", compensate=undo, retry=Retry(attempts=2, wait_initial=5.0))
    outcome = run(Saga("s", patient, deadline=5.0), clock=VirtualClock())
    assert outcome.cause is not None
    assert outcome.cause.kind == "deadline"
    assert action.calls == 1


def test_a_deadline_that_passed_during_a_call_is_heard_when_it_returns() -> None:
    """A call on the caller's own thread is not cut off; the deadline comes before its answer."""
    clock = VirtualClock()

    def slow(ctx: Any) -> None:
        clock.wait(None, 50.0, busy=False)

    never = Flaky()
    blocks = [step(slow, compensate=undo), step(never, name="b", compensate=undo)]
    outcome = run(Saga("s", *blocks, deadline=10.0), clock=clock)
    assert outcome.events[:3] == ("start", "deadline", "done(slow)")
    assert outcome.status is Status.COMPENSATED
    assert never.calls == 0


def test_a_pending_answer_is_asked_for_again() -> None:
    """`answers=` answers a step whose PENDING stands in the journal."""
    ask = step(lambda ctx: PENDING, name="ask", compensate=undo)
    saga = Saga("s", ask)
    journal = MemoryJournal()
    answers = {ask: lambda ctx: "ada"}
    run(saga, journal=journal, run_id="r", answers=answers)
    early = after(journal, 2)
    assert early.read("r")[-1].event == "#pending(ask)"
    assert run(saga, journal=early, run_id="r", answers=answers).results == {"ask": "ada"}


def test_the_time_of_a_pending_answer_goes_on() -> None:
    """A pending step keeps its timeout over a recovery, counted from its call."""
    ask = step(lambda ctx: PENDING, name="ask", compensate=undo, timeout=50.0)
    clock = taken_up(Saga("s", ask), 2, at=20.0)
    assert clock.now() == 50.0


def stuck_run() -> tuple[Saga[Any, Any], MemoryJournal, Flaky]:
    """Give a saga that is stuck on the undo of its step, its journal, and the undo."""
    broken = Flaky(*[RuntimeError("down")] * 2)
    charge = step(
        Flaky(),
        name="charge",
        compensate=lambda ctx, result: broken(ctx),
        compensation_retry=Retry(attempts=2),
    )
    saga = Saga("s", charge, pivot(Flaky(Rejected("no")), name="ship"), contract=GUARDED)
    journal = MemoryJournal()
    outcome = run(saga, journal=journal, run_id="r", clock=VirtualClock())
    assert outcome.status is Status.STUCK
    assert outcome.unresolved == {"charge": "compensate"}
    return saga, journal, broken


def test_an_operator_retries() -> None:
    """`retry` begins a fresh leg: the policy's attempts are all there again."""
    saga, journal, broken = stuck_run()
    broken.errors = [RuntimeError("still down")]
    clock = VirtualClock()
    outcome = operate(saga, "retry(charge)", journal=journal, run_id="r", clock=clock)
    assert outcome.status is Status.COMPENSATED
    assert broken.calls == 4


def test_an_operator_resolves_and_is_named() -> None:
    """`resolve` is an entry with who and why, and ends the run."""
    saga, journal, broken = stuck_run()
    outcome = operate(
        saga,
        "resolve(charge,compensated)",
        journal=journal,
        run_id="r",
        by="ada",
        note="ticket 88",
    )
    assert outcome.status is Status.COMPENSATED
    assert broken.calls == 2
    written = journal.read("r")[-1]
    assert written.event == "resolve(charge,compensated)"
    assert written.data == {"by": "ada", "note": "ticket 88"}


@pytest.mark.parametrize("event", ["resolve(charge,done)", "retry(ship)", "nonsense"])
def test_an_operator_cannot_say_what_cannot_be_true(event: str) -> None:
    """A word without a row is refused with what would be accepted, and nothing is written (R8)."""
    saga, journal, _ = stuck_run()
    before = journal.read("r")
    with pytest.raises(NoTransitionError, match=r"retry\(charge\)"):
        operate(saga, event, journal=journal, run_id="r")
    assert journal.read("r") == before


def test_an_operator_needs_a_run() -> None:
    """A run that does not exist is not started by an operator's word."""
    saga, _, _ = stuck_run()
    journal = MemoryJournal()
    with pytest.raises(SagaError, match="no run 'other'"):
        operate(saga, "retry(charge)", journal=journal, run_id="other")
    assert journal.read("other") == ()


async def _inside(saga: Saga[Any, Any]) -> None:
    operate(saga, "retry(charge)", journal=MemoryJournal(), run_id="r")


def test_an_operator_is_not_on_a_loop() -> None:
    """`operate` blocks, so it refuses a running loop as `run` does."""
    import asyncio

    saga, _, _ = stuck_run()
    with pytest.raises(RunningLoopError):
        asyncio.run(_inside(saga))


def test_a_stuck_run_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """What is owed goes to the log, with the run's id beside it."""
    with caplog.at_level(logging.WARNING, "saga_fsm"):
        stuck_run()
    record = caplog.records[-1]
    assert record.getMessage() == "run r: stuck: compensate 'charge'"
    assert record.run_id == "r"


def test_a_late_deadline_is_an_alert(caplog: pytest.LogCaptureFixture) -> None:
    """A deadline past the pivot warns and stands in the journal; the run completes (R9)."""
    receipt = retriable(
        Flaky(Transient("busy")), name="receipt", retry=Retry.forever(wait_initial=60.0)
    )
    saga = Saga("s", pivot(Flaky(), name="ship"), receipt, deadline=30.0)
    journal = MemoryJournal()
    with caplog.at_level(logging.WARNING, "saga_fsm"):
        outcome = run(saga, journal=journal, run_id="r", clock=VirtualClock())
    assert outcome.status is Status.COMPLETED
    assert "#alert(deadline)" in [entry.event for entry in journal.read("r")]
    assert len(caplog.records) == 1


def test_a_failed_append_drops_the_work() -> None:
    """Who loses the race for a position calls nothing more."""

    class Stolen(MemoryJournal):
        """A journal into which somebody else writes after the second entry."""

        def append(self, run_id: str, entries: Any, *, expected: int) -> int:
            length = super().append(run_id, entries, expected=expected)
            if expected == 1:
                super().append(run_id, [Entry("cancel", 0.0)], expected=length)
            return length

    third = Flaky()
    blocks = [step(Flaky(), name=n, compensate=undo) for n in ("a", "b")]
    saga = Saga("s", *blocks, step(third, name="c", compensate=undo), contract=Contract())
    with pytest.raises(SagaError, match="Another owner"):
        run(saga, journal=Stolen(), run_id="r")
    assert third.calls == 0


def test_what_was_raised_before_a_restart_is_told_in_words_only() -> None:
    """A journal keeps what was said; the exception itself died with its process."""
    journal = MemoryJournal()

    def refuse(ctx: Any) -> None:
        raise Rejected("sold out")

    pay = step(lambda ctx: 1, name="pay", compensate=lambda ctx, result: None)
    saga = Saga("order", pay, pivot(refuse))
    first = run(saga, journal=journal, run_id="x")
    again = run(saga, journal=journal, run_id="x")
    assert isinstance(first.cause.exception, Rejected)
    assert (again.cause.message, again.cause.exception) == ("sold out", None)
