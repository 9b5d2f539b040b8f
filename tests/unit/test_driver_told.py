"""What a driver answers to each that it may be told: operators, restarts, answers, timers."""

from __future__ import annotations

from typing import Any

import pytest

from saga_fsm import (
    GUARDED,
    PENDING,
    SKIP,
    Contract,
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
)
from saga_fsm.errors import NoTransitionError
from saga_fsm.ports import Entry
from saga_fsm.runner.commands import Alert, Wake
from saga_fsm.runner.driver import Driver, outcome_of
from tests.told import C, P, R, alerts, ask, events, invoked, legs, of, ok, seen, told, undo


# ---------------------------------------------------------------------- the start and the end


def test_the_first_entry_says_whose_journal_it_is() -> None:
    """Saga, machine and input: what must be the same when the run is taken up again."""
    driver = of(R("r"))
    entries, _ = driver.start(3.0)
    header = {"saga": "s", "fingerprint": driver.machine.fingerprint, "input": "in"}
    assert entries == [Entry("start", 3.0, header)]


def test_without_a_journal_no_entries_are_made() -> None:
    """Nobody reads them; what has to be done is the same."""
    driver = of(C("a"), P("p"), keeps=False)
    entries, commands = driver.start(0.0)
    assert (entries, legs(commands)) == ([], [("call", "a", 1)])
    entries, commands = driver.raised(("call", "a", 1), Rejected("no"), 0.0)
    assert (entries, commands) == ([], [])
    assert driver.resting is True


def test_who_is_cancelled_at_rest_writes_nothing() -> None:
    """A word that comes after the end is no entry."""
    driver = of(R("r"))
    driver.start(0.0)
    assert driver.resting is False
    driver.returned(("call", "r", 1), None, 1.0)
    assert driver.resting is True
    assert driver.heard("cancel", 2.0) == ([], [])


def test_a_cancel_is_written_with_who_said_it() -> None:
    """The time and the data of a word from outside are kept."""
    driver = of(C("a"), P("p"))
    driver.start(0.0)
    entries, _ = driver.heard("cancel", 2.0, {"by": "ada"})
    assert entries[0] == Entry("cancel", 2.0, {"by": "ada"})
    assert driver.outcome().cause is not None
    assert driver.outcome().cause.kind == "cancel"


def test_an_outcome_says_how_the_run_stands() -> None:
    """Id, status, results, cause, what is owed, and the path."""
    driver = of(C("a"), P("p"))
    driver.start(0.0)
    driver.returned(("call", "a", 1), "x", 1.0)
    outcome = driver.outcome()
    assert (outcome.run_id, outcome.status, outcome.results) == ("run", Status.RUNNING, {"a": "x"})
    assert (outcome.cause, outcome.unresolved) == (None, {})
    assert outcome.path.events == ("start", "done(a)")
    # It is a copy: what comes later does not change what was said.
    driver.returned(("call", "p", 1), "y", 1.0)
    assert outcome.results == {"a": "x"}


# ---------------------------------------------------------------------- contexts


def test_what_a_call_is_given() -> None:
    """Path, attempt, input, services and key; an undo also what it undoes."""
    driver = of(C("a", retry=Retry(attempts=2, wait_initial=1.0)), C("b"))
    (invoke,) = invoked(driver.start(0.0)[1])
    assert seen(invoke) == ("a", 1, "in", None, None)
    context = invoke.arguments[0]
    assert (context.run_id, context.services) == ("run", "shop")
    assert invoke.function is ok
    driver.raised(("call", "a", 1), Transient("busy"), 0.0)
    (invoke,) = invoked(driver.woke(("retry", "a"), 1.0)[1])
    assert seen(invoke) == ("a", 2, "in", None, None)
    assert invoke.arguments[0].key == context.key
    (called,) = invoked(driver.returned(("call", "a", 2), "x", 1.0)[1])
    assert called.arguments[0].results == {"a": "x"}
    (undoing,) = invoked(driver.raised(("call", "b", 1), Rejected("no"), 1.0)[1])
    assert undoing.function is undo
    assert undoing.arguments[1] == "x"
    assert undoing.arguments[0].key != context.key
    assert undoing.arguments[0].action_key == context.key


def test_a_copy_is_given_its_item() -> None:
    """Each copy of a block has its own item and index; so has its undo, and its answer."""
    answers = {"b": ok}
    driver = of(
        each(ok, Saga("n", C("a"), C("c")), max_items=2), C("b", timeout=9.0), answers=answers
    )
    (asking,) = invoked(driver.start(0.0)[1])
    assert (asking.leg, asking.function) == (("expand", "n", 1), ok)
    assert seen(asking) == ("n", 1, "in", None, None)
    (first,) = invoked(driver.returned(("expand", "n", 1), ("pen", "ink"), 0.0)[1])
    assert seen(first) == ("n[0]/a", 1, "in", "pen", 0)
    driver.returned(("call", "n[0]/a", 1), "x", 0.0)
    (second,) = invoked(driver.returned(("call", "n[0]/c", 1), "x", 0.0)[1])
    assert seen(second) == ("n[1]/a", 1, "in", "ink", 1)
    (undoing,) = invoked(driver.raised(("call", "n[1]/a", 1), Rejected("no"), 0.0)[1])
    assert seen(undoing) == ("n[0]/c", 1, "in", "pen", 0)


def test_a_saga_that_is_undone_as_a_whole_is_given_its_results() -> None:
    """Its own results by their own names, its item, and its time."""
    whole = Saga("n", C("a"), Saga("m", C("b")), compensate=undo)
    driver = of(each(ok, whole, max_items=1), C("z"))
    driver.start(0.0)
    driver.returned(("expand", "n", 1), ["pen"], 0.0)
    driver.returned(("call", "n[0]/a", 1), "x", 0.0)
    driver.returned(("call", "n[0]/m/b", 1), "y", 0.0)
    _, commands = driver.raised(("call", "z", 1), Rejected("no"), 1.0)
    (undoing,) = invoked(commands)
    assert undoing.leg == ("compensate", "n[0]", 1)
    assert undoing.function is undo
    assert seen(undoing) == ("n[0]", 1, "in", "pen", 0)
    assert undoing.arguments[0].key != undoing.arguments[0].action_key
    assert undoing.arguments[1] == {"a": "x", "m/b": "y"}


def test_the_undo_of_a_whole_has_its_own_time_and_patience() -> None:
    """A policy's time for undos is theirs; when it is up the undo is tried again."""
    patience = Policy(
        compensation_timeout=4.0, compensation_retry=Retry(attempts=3, wait_initial=2.0, jitter=0.0)
    )
    driver = of(Saga("n", C("a"), compensate=undo, policy=patience), C("z"))
    driver.start(0.0)
    driver.returned(("call", "n/a", 1), "x", 0.0)
    _, commands = driver.raised(("call", "z", 1), Rejected("no"), 1.0)
    (undoing,) = invoked(commands)
    assert undoing.timeout == 4.0
    assert Wake(("compensate", "n"), 5.0) in commands
    entries, commands = driver.woke(("compensate", "n"), 5.0)
    assert events(entries) == ["unknown(n)"]
    assert commands == [Wake(("compensate", "n"), None), Wake(("retry", "n"), 7.0)]
    assert legs(driver.woke(("retry", "n"), 7.0)[1]) == [("compensate", "n", 2)]


def test_a_nested_saga_has_the_input_that_it_was_given() -> None:
    """What was given is kept and is the input of all that is inside, and of nothing else."""
    deep = Saga("m", C("b"))
    nested = Saga("n", C("a"), deep).given(ok)
    driver = of(nested, C("z"))
    (giving,) = invoked(driver.start(0.0)[1])
    assert giving.leg == ("decide", "n/@given", 1)
    # The function is of the parent's context.
    assert seen(giving)[2] == "in"
    entries, commands = driver.returned(("decide", "n/@given", 1), "own", 0.0)
    assert [(e.event, e.data) for e in entries] == [("chose(n/@given,given)", "own")]
    assert seen(invoked(commands)[0])[2] == "own"
    (below,) = invoked(driver.returned(("call", "n/a", 1), "x", 0.0)[1])
    assert seen(below)[2] == "own"
    (after,) = invoked(driver.returned(("call", "n/m/b", 1), "x", 0.0)[1])
    assert seen(after)[2] == "in"


def test_a_context_finds_what_another_step_gave() -> None:
    """By its value; in a copy, that of the same copy."""
    first = C("a")
    driver = of(each(ok, Saga("n", first, C("b")), max_items=2))
    driver.start(0.0)
    driver.returned(("expand", "n", 1), [1, 2], 0.0)
    (second,) = invoked(driver.returned(("call", "n[0]/a", 1), "x", 0.0)[1])
    assert second.arguments[0].result_of(first) == "x"
    driver.returned(("call", "n[0]/b", 1), "y", 0.0)
    (fourth,) = invoked(driver.returned(("call", "n[1]/a", 1), "z", 0.0)[1])
    assert fourth.arguments[0].result_of(first) == "z"


# ---------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("answer", "label"),
    [(True, "yes"), (False, "no"), ("yes", "yes"), ("maybe", "otherwise"), (1, "otherwise")],
)
def test_what_a_chooser_says(answer: Any, label: str) -> None:
    """A label, or yes and no; all else is `otherwise`."""
    driver = of(choice(ok, yes=C("a"), no=C("b"), otherwise=SKIP), C("z"))
    (asking,) = invoked(driver.start(0.0)[1])
    assert asking.leg[0] == "decide"
    assert asking.function is ok
    assert seen(asking) == (asking.leg[1], 1, "in", None, None)
    entries, _ = driver.returned(asking.leg, answer, 0.0)
    assert [(e.event, e.data) for e in entries] == [(f"chose({asking.leg[1]},{label})", None)]


def test_a_chooser_that_raises_fails_its_block() -> None:
    """Whatever it raises, a rejection too, is the failure of the block."""
    driver = of(C("z"), choice(ok, yes=C("a"), otherwise=SKIP))
    driver.start(0.0)
    (asking,) = invoked(driver.returned(("call", "z", 1), "x", 0.0)[1])
    error = Rejected("no")
    entries, commands = driver.raised(asking.leg, error, 2.0)
    assert entries[0] == Entry(f"chooser_failed({asking.leg[1]})", 2.0, error)
    assert legs(commands) == [("compensate", "z", 1)]


def test_more_items_than_allowed_fail_the_block() -> None:
    """As many as are allowed are taken; one more is none."""
    driver = of(each(ok, C("a"), max_items=2))
    driver.start(0.0)
    entries, _ = driver.returned(("expand", "a", 1), (item for item in "xy"), 2.0)
    assert entries == [Entry("items(a,2)", 2.0, ["x", "y"])]
    driver = of(each(ok, C("a"), max_items=2))
    driver.start(0.0)
    entries, _ = driver.returned(("expand", "a", 1), "xyz", 0.0)
    assert events(entries) == ["chooser_failed(a)"]
    assert str(entries[0].data) == "3 items for 'a', at most 2 are allowed"


def test_what_an_undo_returns_is_nobodys_result() -> None:
    """A query's answer is the result of its step, an undo's answer is thrown away."""
    driver = of(C("a"), C("b"))
    driver.start(0.0)
    driver.returned(("call", "a", 1), "x", 0.0)
    driver.raised(("call", "b", 1), Rejected("no"), 0.0)
    entries, _ = driver.returned(("compensate", "a", 1), "gone", 4.0)
    assert entries == [Entry("compensated(a)", 4.0, None)]


def test_a_query_says_what_an_action_did() -> None:
    """It is asked when no attempt is left; that it landed is a result, a rejection is absence."""
    for answer, event in [("y", "landed(p)"), (Rejected("no"), "absent(p)")]:
        driver = of(C("a"), P("p", query=ask, retry=Retry(), timeout=3.0))
        driver.start(0.0)
        driver.returned(("call", "a", 1), "x", 0.0)
        _, commands = driver.raised(("call", "p", 1), ValueError("?"), 1.0)
        (asking,) = invoked(commands)
        assert (asking.leg, asking.function) == (("query", "p", 1), ask)
        assert asking.timeout == 3.0
        assert Wake(("query", "p"), 4.0) in commands
        if isinstance(answer, Rejected):
            entries, _ = driver.raised(asking.leg, answer, 2.0)
            assert driver.outcome().cause is not None
            # Why it is not known stays the cause: that is what went wrong.
            assert driver.outcome().cause.message == "?"
        else:
            entries, _ = driver.returned(asking.leg, answer, 2.0)
            assert driver.outcome().results["p"] == "y"
        assert events(entries) == [event]


@pytest.mark.parametrize(
    ("kind", "error", "said"),
    [
        ("call", Transient("busy"), "transient"),
        ("query", Transient("busy"), "transient"),
        ("compensate", Transient("busy"), "transient"),
        ("compensate", Rejected("no"), "unknown"),
        ("call", Rejected("no"), "rejected"),
        ("query", Rejected("no"), "absent"),
        ("call", ValueError("?"), "unknown"),
        ("query", ValueError("?"), "unknown"),
        ("compensate", ValueError("?"), "unknown"),
    ],
)
def test_what_an_exception_says(kind: str, error: BaseException, said: str) -> None:
    """Rejected, absent, transient or unknown, with or without a step that declares more."""
    assert outcome_of(kind, None, error) == said


def refuse(kind: str, path: str, value: Any) -> None:
    """Take no value that is a set."""
    if isinstance(value, set):
        raise TypeError(f"{kind} {path} gave {value}")


def test_a_result_that_cannot_be_kept_is_unknown() -> None:
    """The effect may have landed: it is undone in doubt, late news of it count, people hear it."""
    contract = Contract(idempotent=True)
    driver = told(Saga("s", C("a"), C("z"), contract=contract), admit=refuse)
    driver.start(0.0)
    entries, commands = driver.returned(("call", "a", 1), {1}, 5.0)
    assert [(e.event, e.at, str(e.data)) for e in entries] == [
        ("unknown(a)", 5.0, "call a gave {1}")
    ]
    assert commands[0] == Alert("a result that cannot be kept: call a gave {1}")
    assert legs(commands) == [("compensate", "a", 1)]
    # Nobody keeps what an undo gives: it may be anything.
    assert events(driver.returned(("compensate", "a", 1), {1}, 6.0)[0]) == ["compensated(a)"]
    entries, _ = driver.returned(("call", "a", 1), "late", 7.0)
    assert events(entries)[0] == "late_done(a)"
    assert entries[0].data == "late"


def test_an_answer_that_can_be_kept_is_one() -> None:
    """What is asked is the value as it will be kept: items as a list."""
    asked = []
    driver = of(
        each(ok, C("a"), max_items=2), admit=lambda kind, path, value: asked.append((kind, value))
    )
    driver.start(0.0)
    driver.returned(("expand", "a", 1), ("pen",), 0.0)
    driver.returned(("call", "a[0]", 1), "x", 0.0)
    assert asked == [("expand", ["pen"]), ("call", "x")]
    assert driver.outcome().results == {"a[0]": "x"}


@pytest.mark.parametrize(
    ("block", "leg"),
    [
        (choice(ok, yes=C("a"), otherwise=SKIP, name="c"), ("decide", "c", 1)),
        (each(ok, C("a"), max_items=2), ("expand", "a", 1)),
    ],
)
def test_a_choice_that_cannot_be_kept_fails_its_block(block: Any, leg: Any) -> None:
    """Nothing has happened yet: the block fails, and nobody has to hear of it."""

    def admit(kind: str, path: str, value: Any) -> None:
        if kind != "call":
            raise TypeError(f"{kind} {path}")

    driver = of(C("z"), block, admit=admit)
    driver.start(0.0)
    driver.returned(("call", "z", 1), "x", 0.0)
    entries, commands = driver.returned(leg, ["pen"], 5.0)
    assert [(e.event, e.at, str(e.data)) for e in entries] == [
        (f"chooser_failed({leg[1]})", 5.0, f"{leg[0]} {leg[1]}")
    ]
    assert alerts(commands) == []
    assert legs(commands) == [("compensate", "z", 1)]


# ---------------------------------------------------------------------- what comes late


def test_stale_answers_are_written_once_for_each_step() -> None:
    """The first of a step is recorded, with what it was; the others are counted."""
    driver = of(parallel(C("a"), C("b")), C("z"))
    driver.start(0.0)
    for path in "ab":
        driver.returned(("call", path, 1), "x", 0.0)
    assert driver.raised(("call", "a", 1), ValueError("late"), 3.0) == (
        [Entry("#ignored(call a 1)", 3.0)],
        [],
    )
    assert driver.returned(("call", "a", 1), "x", 4.0) == ([], [])
    assert events(driver.returned(("call", "b", 1), "x", 4.0)[0]) == ["#ignored(call b 1)"]


@pytest.mark.parametrize("late", [PENDING, ValueError("?")])
def test_late_words_that_tell_of_no_effect_are_no_alarm(late: Any) -> None:
    """Only a result of a doubted attempt is one: no error, and no promise to answer."""
    driver = told(Saga("s", C("a", timeout=5.0), contract=Contract(idempotent=True)))
    driver.start(0.0)
    driver.woke(("call", "a"), 5.0)
    driver.returned(("compensate", "a", 1), None, 6.0)
    tell = driver.raised if isinstance(late, ValueError) else driver.returned
    assert events(tell(("call", "a", 1), late, 7.0)[0]) == ["#ignored(call a 1)"]


def test_a_late_undo_is_no_alarm() -> None:
    """An undo that answers twice has undone."""
    driver = told(Saga("s", C("a", timeout=5.0), contract=Contract(idempotent=True)))
    driver.start(0.0)
    driver.woke(("call", "a"), 5.0)
    driver.returned(("compensate", "a", 1), None, 6.0)
    entries, _ = driver.returned(("compensate", "a", 1), "again", 7.0)
    assert events(entries) == ["#ignored(compensate a 1)"]


# ---------------------------------------------------------------------- waiting


def test_a_call_has_its_time() -> None:
    """The timer is set with the call, taken back with its answer, and says what was awaited."""
    driver = of(C("a", timeout=5.0), C("b"))
    _, commands = driver.start(1.0)
    assert invoked(commands)[0].timeout == 5.0
    assert commands[1:] == [Wake(("call", "a"), 6.0)]
    _, commands = driver.returned(("call", "a", 1), "x", 2.0)
    assert commands[0] == Wake(("call", "a"), None)
    driver = of(C("a", timeout=5.0), C("b"))
    driver.start(1.0)
    entries, _ = driver.woke(("call", "a"), 6.0)
    assert events(entries) == ["unknown(a)"]
    assert isinstance(entries[0].data, TimeoutError)
    assert str(entries[0].data) == "no answer from a in time"


def test_a_pause_is_a_step_that_the_clock_answers() -> None:
    """Fixed, or worked out from the context; it is done when its time is up."""
    driver = of(C("a"), pause(4.0, name="rest"), pause(lambda ctx: ctx.attempt + 6.0), C("z"))
    driver.start(0.0)
    _, commands = driver.returned(("call", "a", 1), "x", 1.0)
    assert commands == [Wake(("pause", "rest"), 5.0)]
    entries, commands = driver.woke(("pause", "rest"), 5.0)
    assert entries == [Entry("done(rest)", 5.0, None)]
    assert commands == [Wake(("pause", "rest"), None), Wake(("pause", "pause"), 12.0)]


def test_what_halts_ends_a_pause() -> None:
    """A pause of a scope that turns back is over at once, and its timer taken back."""
    driver = of(C("z"), parallel(pause(60.0, name="rest"), C("a")), C("y"))
    driver.start(0.0)
    driver.returned(("call", "z", 1), "x", 0.0)
    entries, commands = driver.raised(("call", "a", 1), Rejected("no"), 1.0)
    assert events(entries) == ["rejected(a)", "unknown(rest)"]
    assert Wake(("pause", "rest"), None) in commands
    assert legs(commands) == [("compensate", "z", 1)]


def test_what_halts_ends_no_pending_pivot() -> None:
    """What a pivot waits for decides whether the run goes back: it is waited for."""
    driver = of(parallel(Saga("n", P("p"), compensate=undo), C("a")), C("z"))
    driver.start(0.0)
    entries, _ = driver.returned(("call", "n/p", 1), PENDING, 1.0)
    assert entries == [Entry("#pending(n/p)", 1.0)]
    entries, _ = driver.raised(("call", "a", 1), Rejected("no"), 2.0)
    assert events(entries) == ["rejected(a)"]
    entries, commands = driver.returned(("call", "n/p", 1), "x", 3.0)
    assert events(entries) == ["done(n/p)"]
    assert legs(commands) == [("compensate", "n", 1)]


def test_a_pending_step_goes_on_with_its_time() -> None:
    """Its time counts from its call; who answers is asked with its context."""
    driver = of(C("a", timeout=9.0), C("b"), answers={"a": ask})
    driver.start(1.0)
    entries, commands = driver.returned(("call", "a", 1), PENDING, 3.0)
    assert entries == [Entry("#pending(a)", 3.0)]
    assert commands[0] == Wake(("call", "a"), 10.0)
    (asking,) = invoked(commands)
    assert (asking.leg, asking.function) == (("call", "a", 1), ask)
    assert seen(asking) == ("a", 1, "in", None, None)
    assert driver.facts.pending == {"a": 1}
    _, commands = driver.returned(("call", "a", 1), "x", 4.0)
    assert commands[0] == Wake(("call", "a"), None)
    assert driver.facts.pending == {}


def test_a_copy_that_is_pending_is_answered_with_its_item() -> None:
    """The context of an answer is that of the step."""
    driver = of(each(ok, C("a"), max_items=1), C("z"), answers={"a[0]": ask})
    driver.start(0.0)
    driver.returned(("expand", "a", 1), ["pen"], 0.0)
    _, commands = driver.returned(("call", "a[0]", 1), PENDING, 0.0)
    assert seen(invoked(commands)[0]) == ("a[0]", 1, "in", "pen", 0)


def test_who_asks_for_more_time_gets_it() -> None:
    """`Transient(after=)` waits at least so long, once; the policy waits longer if it does."""
    driver = of(C("a", retry=Retry(attempts=9, wait_initial=2.0, wait_max=2.0, jitter=0.0)), C("b"))
    driver.start(0.0)
    _, commands = driver.raised(("call", "a", 1), Transient("busy", after=7.0), 1.0)
    assert commands == [Wake(("retry", "a"), 8.0)]
    driver.woke(("retry", "a"), 8.0)
    _, commands = driver.raised(("call", "a", 2), Transient("busy"), 8.0)
    assert commands == [Wake(("retry", "a"), 10.0)]
    driver.woke(("retry", "a"), 10.0)
    _, commands = driver.raised(("call", "a", 3), Transient("busy", after=0.5), 10.0)
    assert commands == [Wake(("retry", "a"), 12.0)]


def test_people_hear_of_an_attempt_without_end() -> None:
    """At the tenth attempt of a step that nothing ends, and not at the others."""
    driver = of(P("p"), R("r", retry=Retry.forever(wait_initial=1.0, wait_max=1.0)))
    driver.start(0.0)
    driver.returned(("call", "p", 1), "x", 0.0)
    heard = []
    for attempt in range(1, 12):
        entries, commands = driver.raised(("call", "r", attempt), Transient("busy"), 0.0)
        heard.append((alerts(commands), events(entries)[1:]))
        driver.woke(("retry", "r"), 0.0)
    assert heard == [
        (["attempt 10 of 'r'"], ["#alert(attempt(r))"]) if attempt == 9 else ([], [])
        for attempt in range(1, 12)
    ]


def test_a_deadline_is_set_at_the_start_and_taken_back_at_the_end() -> None:
    """Of the run and of a nested saga, each under its own name."""
    nested = Saga("n", C("a"), deadline=3.0)
    driver = told(Saga("s", nested, C("z"), deadline=9.0, contract=GUARDED))
    _, commands = driver.start(1.0)
    assert Wake(("deadline", "@stop"), 10.0) in commands
    assert Wake(("deadline", "n/@stop"), 4.0) in commands
    _, commands = driver.returned(("call", "n/a", 1), "x", 2.0)
    assert Wake(("deadline", "n/@stop"), None) in commands
    _, commands = driver.returned(("call", "z", 1), "x", 2.0)
    assert commands == [Wake(("deadline", "@stop"), None)]


def test_a_nested_deadline_is_heard_by_its_own_scope() -> None:
    """The timer's key names the scope whose deadline it is."""
    nested = Saga("n", C("a"), deadline=3.0)
    driver = told(Saga("s", nested, C("z"), contract=GUARDED))
    driver.start(0.0)
    entries, _ = driver.woke(("deadline", "n/@stop"), 3.0)
    assert entries == [Entry("deadline(n)", 3.0, None)]


def test_a_refused_deadline_says_whose_it_was() -> None:
    """People hear which one came too late."""
    driver = told(Saga("s", P("p"), R("r"), deadline=9.0, contract=GUARDED))
    driver.start(0.0)
    driver.returned(("call", "p", 1), "x", 1.0)
    entries, commands = driver.woke(("deadline", "@stop"), 9.0)
    assert entries == [Entry("deadline", 9.0, None), Entry("#alert(deadline)", 9.0)]
    assert alerts(commands) == ["past the point of no return: @stop was refused"]


# ---------------------------------------------------------------------- operators


def stuck(**options: Any) -> Driver:
    """A run that is stuck: one undo has failed for good, another waits for it."""
    bounded = Retry(attempts=2, wait_initial=1.0)
    driver = of(C("a"), C("b", compensation_retry=bounded), C("z"), **options)
    driver.start(0.0)
    for path in "ab":
        driver.returned(("call", path, 1), "x", 0.0)
    driver.raised(("call", "z", 1), Rejected("no"), 0.0)
    driver.raised(("compensate", "b", 1), ValueError("down"), 1.0)
    driver.woke(("retry", "b"), 2.0)
    return driver


def test_a_stuck_run_says_what_it_owes() -> None:
    """What can be decided, what comes after, in the journal and to people."""
    driver = stuck()
    entries, commands = driver.raised(("compensate", "b", 2), ValueError("down"), 3.0)
    message = "stuck: compensate 'b', compensate 'a' (after 'b')"
    assert entries[-1] == Entry("#alert(stuck)", 3.0, {"message": message, "after": {"a": ["b"]}})
    assert alerts(commands) == [message]
    assert driver.resting is True
    outcome = driver.outcome()
    assert outcome.status is Status.STUCK
    assert list(outcome.unresolved.items()) == [("b", "compensate"), ("a", "compensate")]
    assert outcome.cause is not None
    assert (outcome.cause.step, outcome.cause.message) == ("z", "no")


def test_an_operators_retry_begins_its_policy_again() -> None:
    """The numbers of the attempts go on, their allowance begins anew."""
    driver = stuck()
    driver.raised(("compensate", "b", 2), ValueError("down"), 3.0)
    entries, commands = driver.ordered("retry(b)", 4.0, {"by": "ada"})
    assert entries == [Entry("retry(b)", 4.0, {"by": "ada"})]
    assert legs(commands) == [("compensate", "b", 3)]
    assert driver.outcome().unresolved == {}
    entries, commands = driver.raised(("compensate", "b", 3), ValueError("down"), 5.0)
    assert events(entries) == ["unknown(b)"]
    assert [command.key for command in commands if isinstance(command, Wake)] == [("retry", "b")]
    driver.woke(("retry", "b"), 6.0)
    entries, _ = driver.raised(("compensate", "b", 4), ValueError("down"), 7.0)
    assert events(entries) == ["unknown(b)", "exhausted(b)", "#alert(stuck)"]


def test_an_operators_word_that_cannot_be_true_is_refused() -> None:
    """Nothing is written; the error says what can be said, and what has to be decided before."""
    driver = stuck()
    driver.raised(("compensate", "b", 2), ValueError("down"), 3.0)
    before = list(driver.facts.events)
    for word, after in [("retry(a)", ("b",)), ("resolve(a,done)", ("b",)), ("retry(zz)", ())]:
        with pytest.raises(NoTransitionError) as caught:
            driver.ordered(word, 4.0, None)
        error = caught.value
        assert (error.saga, error.event, error.run_id) == ("s", word, "run")
        assert tuple(error.after) == after
        assert error.state == str(driver.facts.state)
        assert error.accepted == tuple(map(str, driver.machine.accepts(driver.facts.state)))
        assert "retry(b)" in error.accepted
    assert driver.facts.events == before


def test_the_cause_of_a_stuck_run_is_what_failed_first_of_what_is_owed() -> None:
    """A run that has not turned back is stuck for the tail's own failure."""
    driver = of(P("p"), parallel(R("r"), R("t")))
    driver.start(0.0)
    driver.returned(("call", "p", 1), "x", 0.0)
    driver.raised(("call", "t", 1), Rejected("first"), 0.0)
    driver.raised(("call", "r", 1), Rejected("second"), 0.0)
    outcome = driver.outcome()
    assert outcome.unresolved == {"r": "complete", "t": "complete"}
    assert outcome.cause is not None
    assert (outcome.cause.step, outcome.cause.message) == ("t", "first")


# ---------------------------------------------------------------------- scopes inside scopes


def test_who_answers_and_who_undoes_see_the_input_of_the_scope() -> None:
    """The context of an answer, and of the undo of a whole, is that of what they belong to."""
    nested = Saga("n", C("a"), compensate=undo).given(ok)
    driver = of(nested, C("z"), answers={"n/a": ask})
    driver.start(0.0)
    driver.returned(("decide", "n/@given", 1), "own", 0.0)
    _, commands = driver.returned(("call", "n/a", 1), PENDING, 0.0)
    (asking,) = invoked(commands)
    assert seen(asking)[2] == "own"
    assert asking.arguments[0].key == asking.arguments[0].action_key
    driver.returned(("call", "n/a", 1), "x", 0.0)
    (undoing,) = invoked(driver.raised(("call", "z", 1), Rejected("no"), 0.0)[1])
    assert undoing.leg == ("compensate", "n", 1)
    assert seen(undoing)[2] == "own"


def test_who_promises_too_late_is_not_waited_for() -> None:
    """A step that says `PENDING` when its scope turns back already is unknown at once."""
    driver = of(parallel(C("a"), C("b")))
    driver.start(0.0)
    driver.raised(("call", "b", 1), Rejected("no"), 1.0)
    entries, commands = driver.returned(("call", "a", 1), PENDING, 2.0)
    assert entries == [Entry("#pending(a)", 2.0), Entry("unknown(a)", 2.0, None)]
    assert legs(commands) == [("compensate", "a", 1)]


def test_an_alarm_has_the_time_at_which_it_came() -> None:
    """Late news are written when they are heard."""
    driver = told(Saga("s", C("a", timeout=5.0), contract=Contract(idempotent=True)))
    driver.start(0.0)
    driver.woke(("call", "a"), 5.0)
    driver.returned(("compensate", "a", 1), None, 6.0)
    entries, _ = driver.returned(("call", "a", 1), "late", 7.0)
    assert [entry.at for entry in entries] == [7.0, 7.0]


def test_the_cause_of_a_nested_choice_is_the_choice() -> None:
    """What turned the nested saga is what its chooser raised, not what failed beside it."""
    left = Saga("l", C("a"), choice(ok, yes=C("b"), otherwise=SKIP, name="c"))
    right = Saga("r", C("d"), C("e"))
    driver = of(parallel(left, right))
    driver.start(0.0)
    driver.returned(("call", "l/a", 1), "x", 0.0)
    driver.returned(("call", "r/d", 1), "x", 0.0)
    driver.raised(("decide", "l/c", 1), ValueError("left"), 0.0)
    driver.raised(("call", "r/e", 1), Rejected("right"), 0.0)
    driver.returned(("compensate", "l/a", 1), None, 0.0)
    driver.returned(("compensate", "r/d", 1), None, 0.0)
    cause = driver.outcome().cause
    assert cause is not None
    assert (cause.step, cause.message) == ("l/c", "left")


def test_the_cause_of_a_nested_deadline_is_the_nested_saga() -> None:
    """Its time was up: that turned it back, and with it the run."""
    driver = of(Saga("n", C("a"), deadline=3.0), C("z"))
    driver.start(0.0)
    driver.woke(("deadline", "n/@stop"), 3.0)
    driver.returned(("call", "n/a", 1), "x", 4.0)
    driver.returned(("compensate", "n/a", 1), None, 5.0)
    cause = driver.outcome().cause
    assert cause is not None
    assert (cause.step, cause.kind) == ("n", "deadline")
