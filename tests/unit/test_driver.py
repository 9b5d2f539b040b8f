"""The driver alone: no clock, no thread, no journal; it is told everything."""

from __future__ import annotations

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
    alternatives,
    each,
    parallel,
    pause,
    pivot,
    readonly,
    retriable,
)
from saga_fsm.machine import Status as MachineStatus
from saga_fsm.runner.commands import Alert, Wake
from saga_fsm.runner.driver import Driver
from tests.told import C, legs, ok, told


def driver_of(*blocks: Any, answers: Any = None, **options: Any) -> Driver:
    """Make the driver of a saga of these blocks."""
    saga = Saga("s", *blocks, **options)
    return told(saga, input=None, run_id="r", services=None, answers=answers or {})


def test_each_move_is_written_before_it_is_made() -> None:
    """The entry that starts a step comes with the command to call it (R1)."""
    driver = driver_of(C("a"), C("b"))
    entries, commands = driver.start(1.0)
    assert [entry.event for entry in entries] == ["start"]
    assert legs(commands) == [("call", "a", 1)]
    entries, commands = driver.returned(("call", "a", 1), "x", 2.0)
    assert [(e.event, e.at, e.data) for e in entries] == [("done(a)", 2.0, "x")]
    assert legs(commands) == [("call", "b", 1)]


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (Rejected("no"), "rejected(a)"),
        (KeyError("declared"), "rejected(a)"),
        (Transient("busy"), "transient(a)"),
        (ConnectionError("declared"), "transient(a)"),
        (ValueError("?"), "unknown(a)"),
        (KeyboardInterrupt(), "unknown(a)"),
    ],
)
def test_outcomes(error: BaseException, event: str) -> None:
    """What is raised, or declared, is one of four outcomes; all else is unknown (R2)."""
    driver = driver_of(C("a", rejects=KeyError, transient=ConnectionError))
    driver.start(0.0)
    entries, _ = driver.raised(("call", "a", 1), error, 0.0)
    assert entries[0].event == event
    assert entries[0].data is error


def test_a_predicate_that_raises_has_not_spoken() -> None:
    """A `rejects=` that fails itself leaves the outcome unknown, and the run goes on."""
    driver = driver_of(C("a", rejects=lambda error: 1 / 0))
    driver.start(0.0)
    assert driver.raised(("call", "a", 1), ValueError("?"), 0.0)[0][0].event == "unknown(a)"


def test_an_undo_has_no_rejection() -> None:
    """A `Rejected` raised by a compensation is unknown: it is tried again (R7)."""
    driver = driver_of(C("a"), C("b"), contract=GUARDED)
    driver.start(0.0)
    driver.returned(("call", "a", 1), "x", 0.0)
    driver.raised(("call", "b", 1), Rejected("no"), 0.0)
    entries, commands = driver.raised(("compensate", "a", 1), Rejected("never"), 0.0)
    assert entries[0].event == "unknown(a)"
    assert commands == [Wake(("retry", "a"), 0.2)]


def test_attempts_end_with_their_policy() -> None:
    """The outcome of the last attempt comes with `exhausted`, in one append."""
    driver = driver_of(C("a", retry=Retry(attempts=2, wait_initial=4.0, jitter=2.0)))
    driver.start(0.0)
    _, commands = driver.raised(("call", "a", 1), Transient("busy"), 10.0)
    assert commands == [Wake(("retry", "a"), 15.0)]
    _, commands = driver.woke(("retry", "a"), 15.0)
    assert legs(commands) == [("call", "a", 2)]
    entries, _ = driver.raised(("call", "a", 2), Transient("busy"), 16.0)
    assert [entry.event for entry in entries] == ["transient(a)", "exhausted(a)"]


def test_a_stale_outcome_is_recorded_once() -> None:
    """An answer of an attempt that is decided moves nothing; the first one is written (R11)."""
    driver = driver_of(C("a"), C("b"))
    driver.start(0.0)
    driver.returned(("call", "a", 1), "x", 0.0)
    before = driver.facts.state
    written = [driver.returned(("call", "a", 1), "y", 0.0) for _ in range(3)]
    assert [[e.event for e in entries] for entries, _ in written] == [
        ["#ignored(call a 1)"],
        [],
        [],
    ]
    assert driver.facts.state is before
    assert driver.facts.results == {"a": "x"}


def test_a_late_effect_after_its_undo_is_an_alarm() -> None:
    """A `done` of an attempt taken as unknown, after the undo, reopens a run that had ended."""
    contract = Contract(idempotent=True)
    driver = driver_of(C("a", timeout=5.0), contract=contract)
    driver.start(0.0)
    driver.woke(("call", "a"), 5.0)
    driver.returned(("compensate", "a", 1), None, 6.0)
    assert driver.outcome().status is Status.COMPENSATED
    entries, commands = driver.returned(("call", "a", 1), "late", 7.0)
    assert [entry.event for entry in entries] == ["late_done(a)", "#alert(stuck)"]
    assert driver.outcome().status is Status.STUCK
    assert driver.outcome().unresolved == {"a": "compensate"}
    assert [c for c in commands if isinstance(c, Alert)] == [Alert("stuck: compensate 'a'")]


def test_a_refused_deadline_is_an_alert() -> None:
    """A deadline past the pivot is written and told, and turns nothing (R9)."""
    driver = driver_of(pivot(ok, name="p"), retriable(ok, name="r"), deadline=9.0)
    driver.start(0.0)
    driver.returned(("call", "p", 1), "x", 1.0)
    entries, commands = driver.woke(("deadline", "@stop"), 9.0)
    assert [entry.event for entry in entries] == ["deadline", "#alert(deadline)"]
    assert any(isinstance(command, Alert) for command in commands)
    assert driver.outcome().status is Status.RUNNING


def test_what_halts_ends_a_pending_answer_and_takes_its_timer_back() -> None:
    """A failing sibling ends the wait at once, as unknown."""
    pending = C("ask", timeout=60.0)
    driver = driver_of(parallel(pending, C("b")), contract=GUARDED)
    driver.start(0.0)
    driver.returned(("call", "ask", 1), PENDING, 0.0)
    entries, commands = driver.raised(("call", "b", 1), Rejected("no"), 1.0)
    assert [entry.event for entry in entries] == ["rejected(b)", "unknown(ask)"]
    assert Wake(("call", "ask"), None) in commands
    assert legs(commands) == [("compensate", "ask", 1)]


@pytest.mark.parametrize("items", [5, None])
def test_items_that_are_none_fail_the_block(items: Any) -> None:
    """Items that cannot be counted are a failure before any effect of the block."""
    driver = driver_of(C("z"), each(ok, C("a"), max_items=2))
    driver.start(0.0)
    driver.returned(("call", "z", 1), "x", 0.0)
    entries, _ = driver.returned(("expand", "a", 1), items, 0.0)
    assert entries[0].event == "chooser_failed(a)"
    assert isinstance(entries[0].data, TypeError)


def test_a_pause_that_cannot_say_how_long_is_unknown() -> None:
    """A function of a pause that raises is a failure of that step, not of the runner."""
    driver = driver_of(C("a"), pause(lambda ctx: 1 / 0))
    driver.start(0.0)
    entries, commands = driver.returned(("call", "a", 1), "x", 0.0)
    assert [entry.event for entry in entries] == ["done(a)", "unknown(pause)"]
    assert legs(commands) == [("compensate", "a", 1)]


def failed(*blocks: Any, script: list[tuple[Any, Any]]) -> Any:
    """Give the cause after these calls came back, each with a value or an error."""
    driver = driver_of(*blocks, contract=GUARDED)
    driver.start(0.0)
    for leg, answer in script:
        if isinstance(answer, BaseException):
            driver.raised(leg, answer, 0.0)
        else:
            driver.returned(leg, answer, 0.0)
    return driver.outcome().cause


def test_the_cause_of_a_nested_failure_is_the_step_that_failed() -> None:
    """The parent turns when the nested saga is undone; the cause is what failed in it."""
    nested = Saga("n", C("a"), C("b"))
    error = Rejected("full")
    script = [
        (("call", "n/a", 1), "x"),
        (("call", "n/b", 1), error),
        (("compensate", "n/a", 1), None),
    ]
    cause = failed(nested, C("c"), script=script)
    assert (cause.step, cause.kind, cause.message) == ("n/b", "rejected", "full")
    assert cause.exception is error


def test_the_cause_of_alternatives_is_the_last_one() -> None:
    """When every alternative failed, the last failure turned the saga back."""
    plans = alternatives(Saga("m", C("a"), C("b")), Saga("n", C("c"), C("d")), name="plans")
    script = [
        (("call", "m/a", 1), "x"),
        (("call", "m/b", 1), Rejected("first")),
        (("compensate", "m/a", 1), None),
        (("call", "n/c", 1), "x"),
        (("call", "n/d", 1), Rejected("second")),
        (("compensate", "n/c", 1), None),
    ]
    cause = failed(plans, script=script)
    assert (cause.step, cause.message) == ("n/d", "second")


def test_the_cause_is_the_first_and_of_its_own_branch() -> None:
    """Of two nested sagas that fail side by side, the one that is undone first is the cause."""
    left = Saga("l", C("a"), C("b"))
    right = Saga("r", C("c"), C("d"))
    script = [
        (("call", "l/a", 1), "x"),
        (("call", "r/c", 1), "x"),
        (("call", "l/b", 1), Rejected("left")),
        (("call", "r/d", 1), Rejected("right")),
        (("compensate", "l/a", 1), None),
        (("compensate", "r/c", 1), None),
    ]
    cause = failed(parallel(left, right), script=script)
    assert (cause.step, cause.message) == ("l/b", "left")


def test_the_cause_of_exhaustion_is_the_last_error() -> None:
    """When attempts ran out, the cause tells what the last one said."""
    busy = Transient("busy")
    blocks = [C("z"), C("a", retry=Retry(attempts=2, wait_initial=1.0))]
    driver = driver_of(*blocks)
    driver.start(0.0)
    driver.returned(("call", "z", 1), "x", 0.0)
    driver.raised(("call", "a", 1), Transient("first"), 0.0)
    driver.woke(("retry", "a"), 1.0)
    driver.raised(("call", "a", 2), busy, 1.0)
    cause = driver.outcome().cause
    assert cause is not None
    assert (cause.step, cause.kind, cause.message) == ("a", "unknown", "busy")
    assert cause.exception is busy


def test_outcome_has_the_path() -> None:
    """The path of a run prints its moves, and replays to its end."""
    driver = driver_of(readonly(ok, name="look"))
    driver.start(0.0)
    driver.returned(("call", "look", 1), "x", 0.0)
    path = driver.outcome().path
    assert path.events == ("start", "done(look)")
    assert driver.machine.replay(path)[-1].state.status is MachineStatus.COMPLETED
