"""What a driver asks for, of whom, and for how long: choosers, undos, queries, waits that end."""

from __future__ import annotations

from typing import Any

import pytest

from saga_fsm import (
    PENDING,
    Policy,
    Rejected,
    Retry,
    Saga,
    Status,
    Transient,
    choice,
    each,
    parallel,
    pause,
    pivot,
    step,
)
from saga_fsm.ports import Entry
from saga_fsm.runner.commands import Wake
from saga_fsm.runner.driver import Driver, outcome_of
from saga_fsm.runner.outcome import Cause
from tests.told import C, P, R, ask, events, invoked, legs, of, ok, seen, told, undo


PATIENT = Retry(attempts=3, wait_initial=4.0, jitter=0.0)
WORN = TimeoutError("no answer")


def wakes(commands: list[Any]) -> list[tuple[Any, float | None]]:
    """The timers that are set, and with None those that are taken back."""
    return [(one.key, one.at) for one in commands if isinstance(one, Wake)]


def done(driver: Driver, path: str, value: Any = "x") -> tuple[list[Entry], list[Any]]:
    """The first attempt of a step is answered."""
    return driver.returned(("call", path, 1), value, 0.0)


# ---------------------------------------------------------------------- what a chooser is given


def test_a_chooser_in_a_copy_sees_its_item() -> None:
    """Item, index and input, as a step beside it does; it is no undo."""
    body = Saga("line", choice(ok, yes=C("a"), otherwise=C("b"), name="which"), C("c"))
    driver = of(each(ok, body, max_items=2, name="lines"), C("z"))
    driver.start(0.0)
    _, commands = driver.returned(("expand", "lines", 1), ["cup", "pot"], 0.0)
    (call,) = invoked(commands)
    assert call.leg == ("decide", "line[0]/which", 1)
    assert seen(call) == ("line[0]/which", 1, "in", "cup", 0)
    assert call.arguments[0].key == "run/line[0]/which"


def test_an_input_is_chosen_with_the_input_of_the_saga_around() -> None:
    """``given`` of a saga in a saga sees what that one was given, and not the run's input."""
    inner = Saga("inner", C("a"), C("b")).given(ok)
    outer = Saga("outer", inner, C("c")).given(ok)
    driver = of(outer, C("z"))
    _, commands = driver.start(0.0)
    (call,) = invoked(commands)
    assert seen(call) == ("outer/@given", 1, "in", None, None)
    _, commands = driver.returned(call.leg, "for outer", 0.0)
    (call,) = invoked(commands)
    assert seen(call) == ("outer/inner/@given", 1, "for outer", None, None)
    _, commands = driver.returned(call.leg, "for inner", 0.0)
    assert seen(invoked(commands)[0]) == ("outer/inner/a", 1, "for inner", None, None)


def test_what_is_chosen_is_nobodys_input() -> None:
    """A label is no input: a step behind a choice, and in it, sees what the run was given."""
    driver = of(choice(ok, yes=Saga("n", C("a"), C("b")), otherwise=C("c"), name="which"), C("z"))
    driver.start(0.0)
    _, commands = driver.returned(("decide", "which", 1), "yes", 0.0)
    (call,) = invoked(commands)
    assert call.arguments[0].input == "in"
    assert driver.facts.inputs == {}


def test_items_that_raise_fail_their_block() -> None:
    """As a chooser that raises does: what raised is the cause."""
    driver = of(each(ok, C("a"), max_items=2, name="lines"), C("z"))
    driver.start(0.0)
    entries, _ = driver.raised(("expand", "lines", 1), KeyError("lines"), 0.0)
    assert events(entries) == ["chooser_failed(lines)"]
    cause = driver.outcome().cause
    assert cause is not None
    assert (cause.step, cause.kind) == ("lines", "unknown")


# ---------------------------------------------------------------------- time and patience


def test_a_back_off_is_taken_back_when_the_run_turns_back() -> None:
    """Its timer is the retry's, not a deadline's."""
    driver = of(parallel(C("a", retry=PATIENT), C("b")), C("z"))
    driver.start(0.0)
    _, commands = driver.raised(("call", "a", 1), Transient("busy"), 1.0)
    assert wakes(commands) == [(("retry", "a"), 5.0)]
    _, commands = driver.raised(("call", "b", 1), Rejected("no"), 2.0)
    assert (("retry", "a"), None) in wakes(commands)
    assert (("deadline", "a"), None) not in wakes(commands)


def test_an_undo_has_its_own_time() -> None:
    """``compensation_timeout`` counts from when the undo is called."""
    driver = of(C("a", timeout=2.0, compensation_timeout=7.0), C("b"), C("z"))
    driver.start(0.0)
    done(driver, "a")
    _, commands = driver.raised(("call", "b", 1), Rejected("no"), 3.0)
    assert legs(commands) == [("compensate", "a", 1)]
    assert wakes(commands) == [(("compensate", "a"), 10.0)]


def test_the_undo_of_a_whole_is_tried_as_often_as_its_policy_says() -> None:
    """Its own attempts are counted, and not those of any call."""
    policy = Policy(compensation_retry=PATIENT)
    driver = of(Saga("n", C("a"), C("b"), compensate=undo, policy=policy), C("z"))
    driver.start(0.0)
    done(driver, "n/a")
    done(driver, "n/b")
    driver.raised(("call", "z", 1), Rejected("no"), 0.0)
    for attempt, wait in ((1, 4.0), (2, 8.0)):
        _, commands = driver.raised(("compensate", "n", attempt), Transient("busy"), 1.0)
        assert wakes(commands) == [(("retry", "n"), 1.0 + wait)]
        _, commands = driver.woke(("retry", "n"), 9.0)
        assert legs(commands) == [("compensate", "n", attempt + 1)]
    entries, _ = driver.raised(("compensate", "n", 3), Transient("busy"), 1.0)
    assert events(entries)[:2] == ["transient(n)", "exhausted(n)"]
    assert driver.outcome().status is Status.STUCK


def test_a_query_has_its_own_patience() -> None:
    """What an action has spent of its policy is not spent for its query."""
    driver = of(step(ok, name="a", compensate=undo, query=ask, retry=PATIENT), P("p"))
    driver.start(0.0)
    for attempt in (1, 2, 3):
        _, commands = driver.raised(("call", "a", attempt), WORN, 0.0)
        driver.woke(("retry", "a"), 0.0)
    assert ("query", "a", 1) in driver.facts.flight
    _, commands = driver.raised(("query", "a", 1), Transient("busy"), 1.0)
    assert wakes(commands) == [(("retry", "a"), 5.0)]


def test_after_an_operators_retry_a_query_begins_anew() -> None:
    """Its attempts go on being counted, and its policy begins again."""
    driver = of(pivot(ok, name="p", query=ask, retry=PATIENT), R("r"))
    driver.start(0.0)

    def worn(kind: str, first: int) -> None:
        for attempt in range(first, first + 3):
            assert (kind, "p", attempt) in driver.facts.flight
            driver.raised((kind, "p", attempt), WORN, 0.0)
            if attempt < first + 2:
                driver.woke(("retry", "p"), 0.0)

    worn("call", 1)
    worn("query", 1)
    assert driver.outcome().status is Status.STUCK
    driver.ordered("retry(p)", 1.0, {"by": "me"})
    worn("call", 4)
    worn("query", 4)
    assert driver.outcome().status is Status.STUCK


def test_each_step_that_an_operator_retries_begins_anew() -> None:
    """What one has spent before is not forgotten when another is retried."""
    driver = of(P("p"), parallel(R("r"), R("t")))
    driver.start(0.0)
    done(driver, "p")
    for step_ in "rt":
        driver.raised(("call", step_, 1), Rejected("no"), 0.0)
    driver.ordered("retry(r)", 1.0, {"by": "me"})
    driver.ordered("retry(t)", 1.0, {"by": "me"})
    assert driver.facts.spent == {("call", "r"): 1, ("call", "t"): 1}


def test_a_deadline_knows_a_saga_whose_name_ends_oddly() -> None:
    """The path of the scope is what stands before the stop, to its last letter."""
    driver = of(Saga("axX", C("a"), C("b"), deadline=5.0), C("z"))
    _, commands = driver.start(1.0)
    assert wakes(commands) == [(("deadline", "axX/@stop"), 6.0)]
    entries, _ = driver.woke(("deadline", "axX/@stop"), 6.0)
    assert events(entries) == ["deadline(axX)"]


def test_an_alarm_of_an_endless_step_has_its_time() -> None:
    """The tenth attempt is told of when it is due."""
    driver = of(P("p"), R("r", retry=Retry.forever(wait_initial=0.0, jitter=0.0)))
    driver.start(0.0)
    done(driver, "p")
    alarms = []
    for attempt in range(1, 12):
        entries, _ = driver.raised(("call", "r", attempt), Transient("busy"), float(attempt))
        alarms += [(one.event, one.at) for one in entries if one.event.startswith("#alert")]
        driver.woke(("retry", "r"), float(attempt))
    assert alarms == [("#alert(attempt(r))", 9.0)]


# ---------------------------------------------------------------------- waits that end


def test_who_has_committed_waits_on() -> None:
    """A pause of a scope past its pivot is waited for."""
    driver = of(parallel(pause(30.0, name="rest"), P("p")), R("r"))
    driver.start(0.0)
    entries, _ = done(driver, "p")
    assert events(entries) == ["done(p)"]
    assert ("call", "rest", 1) in driver.facts.flight


def test_each_wait_of_a_scope_that_turns_back_ends() -> None:
    """Also those that stand behind one that goes on; an answer after that is an alarm."""
    inner = Saga("a", P("p"), compensate=undo)
    driver = of(parallel(inner, C("b"), C("c")), C("z"))
    driver.start(0.0)
    done(driver, "a/p", PENDING)
    done(driver, "b", PENDING)
    entries, _ = driver.raised(("call", "c", 1), Rejected("no"), 0.0)
    assert events(entries) == ["rejected(c)", "unknown(b)"]
    assert list(driver.facts.pending) == ["a/p"]
    late, _ = driver.returned(("call", "b", 1), "after all", 1.0)
    assert "late_done(b)" in events(late)


def test_an_undo_that_is_in_doubt_does_not_doubt_its_action() -> None:
    """An action that was answered is: a second answer of it is no late effect."""
    driver = of(C("a"), C("b"), C("z"))
    driver.start(0.0)
    done(driver, "a")
    driver.raised(("call", "b", 1), Rejected("no"), 0.0)
    driver.raised(("compensate", "a", 1), WORN, 0.0)
    assert driver.facts.doubted == set()
    entries, _ = done(driver, "a")
    assert events(entries) == ["#ignored(call a 1)"]


# ---------------------------------------------------------------------- what is said


def test_before_its_start_a_run_is_not_at_rest() -> None:
    """Nothing has ended that has not begun."""
    assert of(C("a")).resting is False


def test_a_cancel_says_nothing_of_itself() -> None:
    """Its cause has no step, no words, and nothing was raised."""
    driver = of(C("a"), C("b"))
    driver.start(0.0)
    driver.heard("cancel", 1.0, {"by": "me"})
    done(driver, "a")
    assert driver.outcome().cause == Cause("", "cancel", "", None)


def test_a_stuck_run_without_an_order_says_none() -> None:
    """Where nothing has to be decided before anything else, the alarm does not speak of it."""
    driver = of(pivot(ok, name="p", retry=Retry()), R("r"))
    driver.start(0.0)
    entries, _ = driver.raised(("call", "p", 1), WORN, 0.0)
    (alarm,) = [one for one in entries if one.event == "#alert(stuck)"]
    assert list(alarm.data) == ["message"]
    assert "after" not in alarm.data["message"]


def test_nothing_that_is_owed_has_no_cause() -> None:
    """Of a run that owes nothing nobody can say why."""
    driver = of(C("a"))
    driver.start(0.0)
    assert driver.facts.why_stuck(()) is None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
def test_what_interrupts_is_never_a_refusal(error: BaseException) -> None:
    """Whatever a predicate would say of it: nobody has answered."""
    driver = of(step(ok, name="a", compensate=undo, rejects=lambda _: True), C("z"))
    placed = driver.layout.steps["a"]
    assert outcome_of("call", placed, error) == "unknown"
    assert outcome_of("call", placed, ValueError()) == "rejected"


def test_a_word_for_a_step_with_an_odd_name_says_what_comes_first() -> None:
    """The step's name is read to its last letter, to say what it waits for."""
    from saga_fsm.errors import NoTransitionError

    policy = Policy(compensation_retry=Retry())
    driver = told(Saga("s", C("aX", query=None), C("bX"), C("z"), policy=policy))
    driver.start(0.0)
    done(driver, "aX")
    done(driver, "bX")
    driver.raised(("call", "z", 1), Rejected("no"), 0.0)
    driver.raised(("compensate", "bX", 1), WORN, 0.0)
    with pytest.raises(NoTransitionError) as error:
        driver.ordered("resolve(aX,compensated)", 1.0, {})
    assert "bX" in str(error.value)
