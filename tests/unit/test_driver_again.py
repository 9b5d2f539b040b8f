"""What a driver knows and asks for when it takes a run up again from its journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from saga_fsm import (
    GUARDED,
    PENDING,
    Contract,
    Rejected,
    Retry,
    Saga,
    Status,
    Transient,
    parallel,
    pause,
)
from saga_fsm.ports import Entry
from saga_fsm.runner.commands import Wake
from saga_fsm.runner.driver import Driver
from tests.told import C, P, R, events, legs, of, told


def after(driver: Driver, *doings: Callable[[Driver], Any]) -> list[Entry]:
    """What a run has written after these doings."""
    entries, _ = driver.start(0.0)
    for do in doings:
        entries = [*entries, *do(driver)[0]]
    return entries


def test_a_run_is_taken_up_with_what_it_owes() -> None:
    """What was open is called again, under the same number, and knows what was known."""
    blocks = (C("a"), C("b"), C("z"))
    entries = after(of(*blocks), lambda d: d.returned(("call", "a", 1), "x", 1.0))
    driver = of(*blocks)
    written, commands = driver.recover(entries, 8.0)
    assert written == [Entry("#recovered", 8.0)]
    assert legs(commands) == [("call", "b", 1)]
    assert driver.outcome().results == {"a": "x"}
    assert driver.resting is False


def test_a_run_at_rest_is_left_alone() -> None:
    """Nothing is written and nothing is done."""
    entries = after(of(C("a")), lambda d: d.returned(("call", "a", 1), "x", 1.0))
    driver = of(C("a"))
    assert driver.recover(entries, 8.0) == ([], [])
    assert driver.resting is True


def test_a_run_is_only_looked_at() -> None:
    """Recalled, it says how it stands, and asks for nothing."""
    first = of(C("a"), C("b"))
    entries = after(first, lambda d: d.returned(("call", "a", 1), "x", 1.0))
    driver = of(C("a"), C("b"))
    assert driver.recall(entries) is None
    assert driver.resting is False
    assert driver.outcome().results == {"a": "x"}
    entries += first.returned(("call", "b", 1), "y", 1.0)[0]
    driver = of(C("a"), C("b"))
    driver.recall(entries)
    assert driver.resting is True
    assert driver.outcome().status is Status.COMPLETED


def test_waits_go_on_where_they_were() -> None:
    """A back-off, a deadline, a pause and a pending answer count from when they began."""

    def saga() -> Saga[Any, Any]:
        waiting = Retry(attempts=3, wait_initial=4.0, jitter=0.0)
        return Saga(
            "s",
            parallel(C("a", retry=waiting), pause(30.0, name="rest"), C("asked", timeout=20.0)),
            C("z"),
            deadline=100.0,
            contract=GUARDED,
        )

    entries = after(
        told(saga()),
        lambda d: d.raised(("call", "a", 1), Transient("busy"), 1.0),
        lambda d: d.returned(("call", "asked", 1), PENDING, 2.0),
    )
    driver = told(saga())
    written, commands = driver.recover(entries, 3.0)
    assert events(written) == ["#recovered"]
    assert sorted((c.key, c.at) for c in commands if isinstance(c, Wake)) == [
        (("call", "asked"), 20.0),
        (("deadline", "@stop"), 100.0),
        (("pause", "rest"), 30.0),
        (("retry", "a"), 5.0),
    ]
    assert legs(commands) == []
    # A pending step of a scope that turns back ends at once, also then.
    entries, _ = driver.heard("cancel", 4.0)
    assert events(entries) == ["cancel", "unknown(asked)", "unknown(rest)"]


def test_of_what_was_raised_a_journal_keeps_the_words() -> None:
    """After a restart a cause has its message and no exception."""
    entries = after(
        of(C("a"), C("b"), C("z")),
        lambda d: d.returned(("call", "a", 1), "x", 1.0),
        lambda d: d.raised(("call", "b", 1), Rejected("full"), 1.0),
    )
    driver = of(C("a"), C("b"), C("z"))
    driver.recover(entries, 2.0)
    cause = driver.outcome().cause
    assert cause is not None
    assert (cause.step, cause.kind, cause.message, cause.exception) == (
        "b",
        "rejected",
        "full",
        None,
    )


def test_what_failed_before_a_restart_is_told_without_its_exception() -> None:
    """A failure that is read again for a later cause has lost what was raised, too."""
    bounded = Retry(attempts=2, wait_initial=1.0)
    blocks = (C("a"), C("b", retry=bounded))
    entries = after(
        of(*blocks),
        lambda d: d.returned(("call", "a", 1), "x", 1.0),
        lambda d: d.raised(("call", "b", 1), Transient("busy"), 1.0),
    )
    driver = of(*blocks)
    driver.recover(entries, 2.0)
    driver.heard("cancel", 3.0)
    cause = driver.outcome().cause
    assert cause is not None
    assert (cause.kind, cause.exception) == ("cancel", None)


def test_what_is_pending_after_a_restart_takes_its_timer_back() -> None:
    """Also the timer that only the recovery has set."""
    blocks = (C("a", timeout=9.0), C("z"))
    entries = after(of(*blocks), lambda d: d.returned(("call", "a", 1), PENDING, 2.0))
    driver = of(*blocks)
    driver.recover(entries, 3.0)
    _, commands = driver.returned(("call", "a", 1), "x", 4.0)
    assert commands[0] == Wake(("call", "a"), None)


def test_what_is_called_again_has_its_time_from_now() -> None:
    """The call that was open before the restart is another one: its time begins again."""
    entries = after(of(C("a", timeout=2.0), C("z")))
    _, commands = of(C("a", timeout=2.0), C("z")).recover(entries, 8.0)
    assert [(c.key, c.at) for c in commands if isinstance(c, Wake)] == [(("call", "a"), 10.0)]


def test_what_a_restart_makes_unknown_is_written_with_its_time() -> None:
    """A step that promises nothing is not called twice: it is in doubt since the restart."""

    def saga() -> Saga[Any, Any]:
        return Saga("s", C("a"), C("z"), contract=Contract(fenced=True))

    entries = after(told(saga()))
    written, _ = told(saga()).recover(entries, 8.0)
    assert [(entry.event, entry.at) for entry in written] == [
        ("#recovered", 8.0),
        ("unknown(a)", 8.0),
    ]


def test_what_left_a_run_stuck_is_told_after_a_restart_in_words() -> None:
    """On the way forward too: what was raised before it is not believed any more."""
    entries = after(
        of(P("p"), R("r")),
        lambda d: d.returned(("call", "p", 1), "x", 1.0),
        lambda d: d.raised(("call", "r", 1), Rejected("never"), 1.0),
    )
    driver = of(P("p"), R("r"))
    driver.recover(entries, 2.0)
    cause = driver.outcome().cause
    assert cause is not None
    assert (cause.step, cause.message, cause.exception) == ("r", "never", None)
