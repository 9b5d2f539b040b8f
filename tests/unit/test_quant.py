"""Forecasts against sums done by hand, in exact fractions."""

from __future__ import annotations

import json
from fractions import Fraction as F  # noqa: N817 - sums are read more easily
from typing import Any

import pytest

from saga_fsm import (
    GUARDED,
    SKIP,
    Contract,
    Retry,
    Saga,
    Status,
    alternatives,
    choice,
    each,
    parallel,
    pause,
    pivot,
    retriable,
    step,
)
from saga_fsm.errors import StateSpaceLimitError
from saga_fsm.quant import Figure, Forecast, Odds, Split, forecast
from tests.reference import BOUNDED, C, O, P, R, act, ask, chooser, undo


DONE, BACK, STUCK = Status.COMPLETED, Status.COMPENSATED, Status.STUCK
ODDS = Odds(
    rejected=0.05,
    transient=0.125,
    unknown=0.25,
    seconds=2.0,
    unknown_seconds=8.0,
    compensation_fails=0.5,
    compensation_seconds=4.0,
)
R_, T, U, CF = F(0.05), F(1, 8), F(1, 4), F(1, 2)
WELL = 1 - R_ - T - U
# Five attempts of an undo, 0.2 s doubled between them.
LOST = CF**5
UNDO_TRIES = sum(CF**n for n in range(5))
UNDO_WAITS = sum(CF ** (n + 1) * F(0.2) * 2**n for n in range(4))
UNDO_TIME = UNDO_TRIES * 4 + UNDO_WAITS
CALL_TIME = 2 + U * 6


def saga(*blocks: Any, **options: Any) -> Saga[Any, Any]:
    """Name it and guard it."""
    return Saga("s", *blocks, **{"contract": GUARDED, **options})


def near(figure: Figure, value: Any) -> bool:
    """Whether bounds that are close, under every scheduler, hold an exact value between them."""
    tight = figure.upper - figure.lower <= 1e-11 * max(1.0, float(value))
    # A decimal wait is not the float that it is written as.
    return tight and figure.lower - 1e-13 <= value <= figure.upper + 1e-13


def test_one_step_without_retry() -> None:
    """Done or not is one draw; what may have landed is undone, five times tried."""
    found = forecast(saga(C("a")), default=ODDS)
    assert near(found.probability[DONE], WELL)
    assert near(found.probability[STUCK], (T + U) * LOST)
    assert near(found.probability[BACK], R_ + (T + U) * (1 - LOST))
    assert near(found.attempts["a"], 1)
    assert near(found.compensations["a"], (T + U) * UNDO_TRIES)
    assert near(found.work, CALL_TIME + (T + U) * UNDO_TIME)
    assert near(found.owed["a", "compensate"], (T + U) * LOST)
    assert found.elapsed == found.work


def test_two_steps() -> None:
    """A step begins when the one before is done, and goes back when the one after is clean."""
    found = forecast(saga(C("a"), C("b")), default=ODDS)
    assert near(found.probability[DONE], WELL**2)
    undone = 1 - LOST
    assert near(
        found.probability[BACK],
        R_ + (T + U) * undone + WELL * (R_ * undone + (T + U) * undone**2),
    )
    assert near(found.attempts["b"], WELL)
    assert near(found.compensations["b"], WELL * (T + U) * UNDO_TRIES)
    back = (T + U) + WELL * (R_ + (T + U) * undone)
    assert near(found.compensations["a"], back * UNDO_TRIES)
    # Where the undo of b is lost, that of a is owed as well.
    assert near(found.owed["b", "compensate"], WELL * (T + U) * LOST)
    assert near(found.owed["a", "compensate"], back * LOST + WELL * (T + U) * LOST)


def test_three_steps_up_to_the_end() -> None:
    """Past the pivot nothing goes back; a rejected retriable is owed for ever."""
    found = forecast(saga(C("a"), pivot(act, name="p"), retriable(act, name="r")), default=ODDS)
    again = T + U
    decided, last = WELL / (1 - again), WELL / (1 - again)
    assert near(found.probability[DONE], WELL * decided * last)
    stuck = (T + U) * LOST + WELL * (1 - decided) * LOST + WELL * decided * (1 - last)
    assert near(found.probability[STUCK], stuck)
    assert near(found.owed["r", "complete"], WELL * decided * (1 - last))
    assert near(found.attempts["p"], WELL / (1 - again))
    assert near(found.attempts["r"], WELL * decided / (1 - again))


@pytest.mark.parametrize("transient", [0.1, 0.5, 0.999, 1 - 2**-40])
def test_retries_for_ever_are_geometric(transient: float) -> None:
    """A retriable that fails with odds p is tried 1/(1-p) times; its waits grow to the longest."""
    retry = Retry.forever(wait_initial=1.0, wait_max=4.0, jitter=1.0)
    one = saga(retriable(act, name="r", retry=retry))
    found = forecast(one, {"r": Odds(transient=transient, seconds=3.0)})
    p = F(transient)
    assert near(found.attempts["r"], 1 / (1 - p))
    waits = p * F(3, 2) + p**2 * F(5, 2) + p**3 * F(9, 2) / (1 - p)
    assert near(found.work, 3 / (1 - p) + waits)
    assert near(found.probability[DONE], 1)


@pytest.mark.parametrize("attempts", [1, 2, 3, 7])
def test_attempts_are_bounded_exactly(attempts: int) -> None:
    """The policy's bound is the bound: not one attempt more, and no wait after the last."""
    retry = Retry(attempts=attempts, wait_initial=1.0)
    found = forecast(saga(C("a", retry=retry)), default=Odds(transient=0.5, seconds=1.0))
    assert near(found.attempts["a"], sum(F(1, 2) ** n for n in range(attempts)))
    assert near(found.probability[DONE], 1 - F(1, 2) ** attempts)
    waits = sum(F(1, 2) ** (n + 1) * 2**n for n in range(attempts - 1))
    assert near(found.work, sum(F(1, 2) ** n for n in range(attempts)) + waits)


def test_an_undo_has_attempts_of_its_own() -> None:
    """However often the action was tried, the compensation's policy begins at the first."""
    one = saga(C("a", retry=Retry(attempts=3)))
    found = forecast(one, default=Odds(transient=0.5, compensation_fails=0.5))
    assert near(found.compensations["a"], F(1, 8) * UNDO_TRIES)
    assert near(found.probability[STUCK], F(1, 8) * LOST)


def test_no_answer_takes_the_timeout() -> None:
    """An attempt without an answer lasts as long as the step waits for one, unless said."""
    one = saga(C("a", timeout=5.0))
    assert near(forecast(one, default=Odds(unknown=0.5, seconds=1.0)).work, 3)
    told = Odds(unknown=0.5, seconds=1.0, unknown_seconds=4.0)
    assert near(forecast(one, default=told).work, F(5, 2))


def test_what_is_not_idempotent_is_not_repeated_in_doubt() -> None:
    """An unknown attempt is the last one of a step that may not be called twice."""
    bare = Contract(sticky=True, fenced=True)
    found = forecast(saga(C("a", retry=BOUNDED), contract=bare), default=ODDS)
    assert near(found.attempts["a"], 1 + T + T**2)


def test_a_query_finds_what_landed() -> None:
    """After n lost answers the effect landed unless each of them missed; the query says so."""
    queried = Contract(idempotent=True, sticky=True)
    one = saga(C("a", retry=Retry(attempts=2), query=ask), C("b"), contract=queried)
    found = forecast(
        one,
        {
            "a": Odds(unknown=0.5, landed_when_unknown=0.25, query_fails=0.5, query_seconds=1.0),
            "b": Odds(),
        },
    )
    missed = F(3, 4) ** 2
    # Two attempts of the query, as many as of the action; then nobody knows.
    asked = F(1, 4)
    assert near(found.probability[DONE], F(3, 4) + asked * F(3, 4) * (1 - missed))
    assert near(found.probability[BACK], asked * F(3, 4) * missed)
    assert near(found.owed["a", "query"], asked * F(1, 4))
    assert near(found.queries["a"], asked * F(3, 2))


def test_choosers_and_items_split_the_runs() -> None:
    """Labels and numbers of items come with their odds, a chooser that raises turns back."""
    one = saga(
        choice(chooser, yes=C("b"), no=C("c"), otherwise=SKIP, name="which"),
        each(act, C("a"), max_items=2, name="lines"),
    )
    given = {
        "which": Split({"yes": 0.5, "no": 0.25, "otherwise": 0.25}, fails=0.125, seconds=1.0),
        "lines": {0: 0.25, 2: 0.75},
    }
    found = forecast(one, given, default=Odds())
    went = F(7, 8)
    assert near(found.probability[DONE], went)
    assert near(found.attempts["b"], went / 2)
    assert near(found.attempts["a[1]"], went * F(3, 4))
    assert near(found.attempts["which"], 1)
    assert near(found.work, 1)


def test_alternatives_are_tried_in_order() -> None:
    """The second is asked when the first was rejected or undone."""
    found = forecast(saga(alternatives(C("a"), C("b"), name="or")), default=ODDS)
    failed = R_ + (T + U) * (1 - LOST)
    assert near(found.attempts["b"], failed)
    assert near(found.probability[DONE], WELL + failed * WELL)


def test_a_saga_undone_as_a_whole() -> None:
    """Its compensation has odds of its own, under the saga's name."""
    inner = Saga("n", C("a"), compensate=undo)
    one = saga(inner, C("b"))
    given = {
        "n": Odds(compensation_fails=0.5, compensation_seconds=1.0),
        "b": Odds(rejected=0.5),
    }
    found = forecast(one, given, default=Odds())
    assert near(found.compensations["n"], F(1, 2) * UNDO_TRIES)
    assert near(found.owed["n", "compensate"], F(1, 2) * LOST)
    assert near(found.compensations["n/a"], 0)


# ---------------------------------------------------------------------- where calls overlap


def test_a_scheduler_decides_who_begins() -> None:
    """The last step begins unless a sibling was rejected first: the order of the two decides."""
    one = saga(parallel(Saga("n", C("a"), C("b")), C("c")))
    found = forecast(one, {"c": Odds(rejected=0.5)}, default=Odds(rejected=0.25))
    begins = found.attempts["n/b"]
    assert not begins.decided
    assert begins.least.width < 1e-12
    assert F(3, 8) in begins.least
    assert F(3, 4) in begins.most
    # Who fails is nobody's to decide.
    assert near(found.probability[DONE], F(9, 16) / 2)
    assert near(found.attempts["n/a"], 1)


def test_bounds_of_elapsed_time_where_calls_overlap() -> None:
    """Two at once take at least half of the work, and never more than all of it."""
    found = forecast(saga(parallel(C("a"), C("b"))), default=Odds(seconds=2.0))
    assert near(found.work, 4)
    assert found.widest == 2
    assert found.elapsed.lower == pytest.approx(2)
    assert found.elapsed.upper == pytest.approx(4)
    assert not found.sequential


@pytest.mark.parametrize("transient", [0.25, 0.9, 0.99])
def test_waits_for_ever_beside_each_other(transient: float) -> None:
    """Attempts of branches that retry for ever are geometric each, in any order of events."""
    steady = Retry.forever(wait_initial=1.0, wait_max=1.0)
    branches = (retriable(act, name=name, retry=steady) for name in "rst")
    found = forecast(saga(parallel(*branches)), default=Odds(transient=transient, seconds=1.0))
    tries = 1 / (1 - F(transient))
    for name in "rst":
        figure = found.attempts[name]
        assert figure.lower <= tries <= figure.upper
        assert figure.upper - figure.lower < 1e-8
    assert found.probability[DONE].upper - found.probability[DONE].lower < 1e-9
    assert 3 * (2 * tries - 1) in found.work


def test_a_pause_ends_when_its_scope_turns_back() -> None:
    """Beside a step that fails a pause may last any part of its time, and counts as an attempt."""
    one = saga(parallel(C("a"), pause(60.0)))
    found = forecast(one, {"a": Odds(rejected=1.0, seconds=1.0)})
    assert near(found.probability[BACK], 1)
    assert near(found.attempts["pause"], 1)
    assert found.work.least.lower == pytest.approx(1)
    assert found.work.least.upper == pytest.approx(61)
    assert found.work.most.upper == pytest.approx(61)


def test_a_pending_answer_ends_so_too() -> None:
    """What waits for a person is ended by a sibling's failure; what is in flight is awaited."""
    one = saga(parallel(C("a"), C("b")))
    odds = {"a": Odds(rejected=1.0), "b": Odds(pending=True, seconds=100.0)}
    waiting = forecast(one, odds)
    assert waiting.work.least.lower == 0
    awaited = forecast(one, {**odds, "b": Odds(seconds=100.0)})
    assert near(awaited.work, 100)


def test_a_wait_ends_when_its_scope_turns_back() -> None:
    """A back-off that a sibling's failure ends is work of none to all of its seconds."""
    slow = Retry(attempts=2, wait_initial=50.0)
    one = saga(parallel(C("a"), C("b", retry=slow)))
    found = forecast(one, {"a": Odds(rejected=1.0), "b": Odds(transient=1.0)})
    assert found.work.least.lower == 0
    assert found.work.most.upper == pytest.approx(50)


# ---------------------------------------------------------------------- what a step contributes


def test_a_contribution_is_the_forecast_without_failures_of_the_step() -> None:
    """Each contribution is the difference to a forecast in which that step never fails."""
    one = saga(C("a"), C("b", retry=BOUNDED), P("p"), R("r"))
    base = forecast(one, default=ODDS)
    for change in base.contributions:
        sure = Odds(seconds=2.0, compensation_seconds=4.0 if change.step in "ab" else 0.0)
        better = forecast(one, {change.step: sure}, default=ODDS)
        for status, figure in ((DONE, change.completed), (STUCK, change.stuck)):
            told = better.probability[status].middle - base.probability[status].middle
            assert figure.middle == pytest.approx(told, abs=1e-12)
        told = better.work.middle - base.work.middle
        assert change.work.middle == pytest.approx(told, abs=1e-10)
    gains = [change.completed.middle for change in base.contributions]
    assert gains == sorted(gains, reverse=True)
    assert {change.step for change in base.contributions} == {"a", "b", "p", "r"}


def test_a_step_that_cannot_fail_contributes_nothing() -> None:
    """It is not listed."""
    found = forecast(saga(C("a"), O("o")), {"a": Odds(rejected=0.5), "o": Odds()})
    assert [change.step for change in found.contributions] == ["a"]


# ---------------------------------------------------------------------- the value


def test_a_step_is_named_by_value_name_path_or_function() -> None:
    """And a name stands for every copy."""
    a = C("a")
    one = saga(a, each(act, C("b"), max_items=2, name="lines"))
    lines = {"lines": {2: 1.0}}
    by_value = forecast(one, {a: Odds(rejected=0.5), "b": Odds(rejected=0.5), **lines})
    by_path = forecast(
        one,
        {
            "a": Odds(rejected=0.5),
            "b": Odds(),
            "b[0]": Odds(rejected=0.5),
            "b[1]": Odds(rejected=0.5),
            **lines,
        },
    )
    assert by_value == by_path
    assert near(by_value.probability[DONE], F(1, 8))


def test_no_more_states_than_the_limit() -> None:
    """The error says how many were allowed and what helps."""
    with pytest.raises(StateSpaceLimitError, match="more than 30 states") as caught:
        forecast(saga(C("a"), C("b")), default=ODDS, limit=30)
    assert "limit=" in str(caught.value)
    assert forecast(saga(C("a"), C("b")), default=ODDS, limit=31).states == 31


@pytest.mark.parametrize("limit", [0, True, 2.5])
def test_a_limit_is_a_number_of_states(limit: Any) -> None:
    """None at all, and what is no whole number, are refused."""
    with pytest.raises(ValueError, match="limit is"):
        forecast(saga(C("a")), default=ODDS, limit=limit)


def test_many_labels_need_a_wide_machine() -> None:
    """Where no byte holds a label the state is a tuple, and the figures are the same."""
    one = saga(each(act, C("a"), max_items=200, name="lines"))
    found = forecast(one, {"lines": {1: 0.5, 2: 0.5}}, default=Odds(rejected=0.5))
    assert near(found.probability[DONE], F(1, 4) + F(1, 8))
    assert near(found.attempts["a[1]"], F(1, 4))


def test_json_has_every_figure() -> None:
    """One object with a schema number; least and most, two bounds each."""
    found: Forecast = forecast(saga(C("a"), P("p")), default=ODDS)
    plain = json.loads(found.to_json())
    assert plain["schema"] == 1
    least = plain["probability"]["completed"]["least"]
    assert least == [found.probability[DONE].least.lower, found.probability[DONE].least.upper]
    assert {one["step"] for one in plain["owed"]} == {"a", "p"}
    assert [one["step"] for one in plain["contributions"]] == ["a", "p"]
    assert set(plain["compensations"]) == {"a"}


def test_the_text_says_what_is_left_out_and_sorts_by_contribution() -> None:
    """What is owed, and the steps: the one that matters most first."""
    one = saga(C("a"), step(act, name="worst", compensate=undo), P("p"))
    text = str(forecast(one, {"worst": Odds(rejected=0.25)}, default=Odds(rejected=0.125)))
    assert "left out: cancels, deadlines, crashes" in text
    rows = [line.split()[0] for line in text.splitlines() if line.startswith("  ")]
    assert rows.index("worst") < rows.index("a") < rows.index("p")


def test_what_is_certain_is_said_so() -> None:
    """Rounding is no doubt; what is missing to certainty is said where it is known."""
    assert "completes with probability 1, stuck 0" in str(forecast(saga(C("a")), default=Odds()))
    rare = Odds(rejected=2e-9)
    assert "completes with probability 1 - 2e-09," in str(forecast(saga(C("a")), default=rare))


def test_many_steps_are_not_all_told() -> None:
    """The first twenty are, and how many more; the value has them all."""
    found = forecast(saga(*(C(f"c{n}") for n in range(25))), default=ODDS)
    assert "and 5 more" in str(found)
    assert len(found.contributions) == 25


def test_a_range_is_said_where_the_order_decides() -> None:
    """Two numbers, the smaller first; one where they are the same in so many digits."""
    one = saga(parallel(Saga("n", C("a"), C("b")), C("c")))
    text = str(forecast(one, {"c": Odds(rejected=0.5)}, default=Odds(rejected=0.25)))
    assert "0.375 to 0.75" in text
    assert text.startswith("s: completes with probability 0.2812, stuck 0,")
    assert "which ends next is not" in text
