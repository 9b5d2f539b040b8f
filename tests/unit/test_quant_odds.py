"""Odds that cannot be, and odds from a file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from saga_fsm import GUARDED, Retry, Saga, choice, each, parallel, pause, pivot, readonly, retriable
from saga_fsm.errors import DefinitionError, UnknownStepError
from saga_fsm.quant import Odds, Split, even, forecast, read_odds, template
from tests.reference import C, act, ask, chooser, undo


SURE = Odds()
FOREVER = Retry.forever(wait_initial=1.0)


@pytest.mark.parametrize(
    ("odds", "says"),
    [
        ({"rejected": -0.1}, "the odds 'rejected' are -0.1"),
        ({"unknown": 1.5}, "the odds 'unknown' are 1.5"),
        ({"transient": float("nan")}, "the odds 'transient' are nan"),
        ({"transient": True}, "the odds 'transient' are True"),
        ({"transient": "often"}, "the odds 'transient' are 'often'"),
        ({"compensation_fails": 2}, "the odds 'compensation_fails' are 2"),
        ({"unknown": 1e-300}, "Floats cannot tell less than 1e-15 from none"),
        ({"rejected": 0.5, "unknown": 0.6}, "add up to 1.1"),
        ({"seconds": -1}, "'seconds' is -1"),
        ({"seconds": float("inf")}, "'seconds' is inf"),
        ({"unknown_seconds": -2.0}, "'unknown_seconds' is -2.0"),
    ],
)
def test_odds_that_cannot_be(odds: dict[str, Any], says: str) -> None:
    """Refused where they are made, with what is wrong and what is right."""
    with pytest.raises(DefinitionError, match=says) as caught:
        Odds(**odds)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ({}, "the labels of a Split are"),
        ({"yes": 0.5}, "add up to 0.5"),
        ({"yes": 0.5, "no": 0.6}, "add up to 1.1"),
        ({"yes": -0.5, "no": 1.5}, "the odds 'yes' are -0.5"),
    ],
)
def test_splits_that_cannot_be(labels: dict[str, float], says: str) -> None:
    """Every label counts, and together they are all there is."""
    with pytest.raises(DefinitionError, match=says):
        Split(labels)


def saga(*blocks: Any) -> Saga[Any, Any]:
    """Name it and guard it."""
    return Saga("s", *blocks, contract=GUARDED)


WRONG: list[tuple[Saga[Any, Any], dict[Any, Any], Odds | None, str]] = [
    (saga(C("a")), {}, None, "'a' has no odds"),
    (saga(C("a")), {"a": 0.5}, None, "the odds of 'a' are 0.5"),
    (saga(C("a")), {}, 0.5, "default is 0.5"),  # type: ignore[list-item]
    (
        saga(pivot(act, name="p")),
        {"p": Odds(compensation_fails=0.1)},
        None,
        "'p' has 'compensation_fails', and a pivot step is never undone",
    ),
    (
        saga(readonly(act, name="o")),
        {"o": Odds(compensation_seconds=0.1)},
        None,
        "'o' has 'compensation_seconds', and a readonly step is never undone",
    ),
    (
        saga(C("a")),
        {"a": Odds(query_fails=0.1)},
        None,
        "'a' has 'query_fails', and it has no query",
    ),
    (
        saga(C("a", timeout=5.0)),
        {"a": Odds(seconds=6.0)},
        None,
        "'a' takes longer than its timeout of 5 s",
    ),
    (
        saga(retriable(act, name="r", retry=FOREVER)),
        {"r": Odds(transient=0.5, unknown=0.5)},
        None,
        "the action of 'r' is retried for ever, and every attempt of it fails",
    ),
    (
        saga(C("a", compensation_retry=FOREVER)),
        {"a": Odds(compensation_fails=1.0)},
        None,
        "the compensation of 'a' is retried for ever",
    ),
    (saga(pause(act)), {}, SURE, "how long pause 'pause' lasts, a function says"),
    (saga(pause(5.0)), {"pause": Odds(seconds=1.0)}, None, "the clock answers it"),
    (
        saga(pause(act)),
        {"pause": Odds(transient=0.1)},
        None,
        "only its function can fail, as unknown",
    ),
    (
        saga(C("a", query=ask)),
        {"a": Odds(pending=True)},
        None,
        "'a' is pending and has a query",
    ),
    (
        saga(Saga("n", C("a"))),
        {"n": SURE},
        SURE,
        "'n' has no compensation of its own",
    ),
    (
        saga(Saga("n", C("a"), compensate=undo)),
        {"n": Odds(rejected=0.1)},
        SURE,
        "'n' has 'rejected', and a saga is not called",
    ),
    (saga(choice(chooser, yes=C("a"), otherwise=C("b"), name="x")), {}, SURE, "'x' has no odds"),
    (
        saga(choice(chooser, yes=C("a"), otherwise=C("b"), name="x")),
        {"x": {"maybe": 1.0}},
        SURE,
        "'x' has no label 'maybe'",
    ),
    (saga(each(act, C("a"), max_items=2, name="x")), {"x": {3: 1.0}}, SURE, "no label '3'"),
    (saga(each(act, C("a"), max_items=2, name="x")), {"x": 2}, SURE, "the odds of 'x' are 2"),
]


@pytest.mark.parametrize(("one", "odds", "default", "says"), WRONG, ids=[x[3] for x in WRONG])
def test_odds_that_the_saga_cannot_have(
    one: Saga[Any, Any], odds: dict[Any, Any], default: Odds | None, says: str
) -> None:
    """Refused with the step's name and what to give instead."""
    with pytest.raises(DefinitionError, match=says) as caught:
        forecast(one, odds, default=default)
    assert caught.value.remedy


def test_a_step_that_there_is_not() -> None:
    """The error lists the steps that there are."""
    with pytest.raises(UnknownStepError, match="has no step 'b'"):
        forecast(saga(C("a")), {"b": SURE}, default=SURE)


def test_one_name_for_different_steps() -> None:
    """Two steps of one name in two sagas are not meant together."""
    one = saga(Saga("m", C("a")), Saga("n", C("a")))
    with pytest.raises(UnknownStepError, match="2 steps 'a'"):
        forecast(one, {"a": SURE}, default=SURE)


def test_odds_are_given_once() -> None:
    """The value and the name of one step are the same step."""
    a = C("a")
    with pytest.raises(DefinitionError, match="'a' has odds twice"):
        forecast(saga(a), {a: SURE, act: SURE})


def test_a_default_leaves_aside_what_does_not_apply() -> None:
    """Odds for all may say of compensations what only some steps have."""
    one = saga(C("a"), pivot(act, name="p"), pause(1.0))
    found = forecast(one, default=Odds(rejected=0.25, compensation_fails=0.5, query_fails=0.5))
    assert found.queries == {}
    assert list(found.compensations) == ["a"]


def test_decimals_that_add_up_to_one_do() -> None:
    """0.7, 0.2 and 0.1 are a little less or more than 1 as floats, and all there is."""
    found = forecast(saga(C("a")), default=Odds(rejected=0.7, transient=0.2, unknown=0.1))
    assert found.probability[next(iter(found.probability))].upper == 0


# ---------------------------------------------------------------------- files


def test_a_template_can_be_read_again() -> None:
    """Every step, chooser and number of items is in it, and it says the same as the default."""
    one = saga(
        C("a", query=ask),
        Saga("n", C("b"), compensate=undo),
        choice(chooser, yes=C("c"), otherwise=C("d"), name="x"),
        each(act, C("e"), max_items=2, name="y"),
        parallel(pause(act), pause(2.0, name="fixed")),
    )
    some = Odds(rejected=0.25, query_fails=0.125, compensation_fails=0.5, seconds=2.0)
    text = template(one, some)
    odds, default = read_odds(one, text)
    assert default is None
    assert set(odds) == {"a", "n", "n/b", "c", "d", "e[0]", "e[1]", "x", "y", "pause"}
    pauses = {"pause": Odds(seconds=2.0)}
    assert forecast(one, odds) == forecast(one, {**even(one), **pauses}, default=some)


def test_a_file_of_odds() -> None:
    """A default, steps by name, labels plainly or with what else a chooser has."""
    one = saga(
        C("a"),
        choice(chooser, yes=C("b"), otherwise=C("c"), name="x"),
        each(act, C("d"), max_items=1, name="y"),
    )
    text = json.dumps(
        {
            "default": {"rejected": 0.1},
            "odds": {
                "a": {"unknown": 0.2},
                "x": {"yes": 0.3, "otherwise": 0.7},
                "y": {"labels": {"0": 1.0}, "fails": 0.1},
            },
        }
    )
    odds, default = read_odds(one, text)
    assert default == Odds(rejected=0.1)
    assert odds == {
        "a": Odds(unknown=0.2),
        "x": Split({"yes": 0.3, "otherwise": 0.7}),
        "y": Split({"0": 1.0}, fails=0.1),
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "the odds are not JSON"),
        ("[]", "no object with 'default' and 'odds'"),
        ('{"a": {}}', "no object with 'default' and 'odds'"),
        ('{"odds": []}', "'odds' is no object"),
        ('{"odds": {"a": 1}}', "the odds of 'a' are no object"),
        ('{"odds": {"a": {"rejectd": 0.1}}}', "the odds of 'a' have no 'rejectd'"),
        ('{"default": {"seconds": -1}}', "'seconds' is -1"),
        ('{"odds": {"x": {"labels": {"yes": 1.0}, "rate": 2}}}', "the odds of 'x' have no 'rate'"),
        ('{"odds": {"x": 1}}', "the labels of a Split are 1"),
    ],
)
def test_files_that_are_none(text: str, says: str) -> None:
    """Refused with what a file of odds looks like."""
    one = saga(C("a"), choice(chooser, yes=C("b"), otherwise=C("c"), name="x"))
    with pytest.raises(DefinitionError, match=says) as caught:
        read_odds(one, text)
    assert caught.value.remedy
