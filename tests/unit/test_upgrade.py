"""``diff``: which runs in flight may go on under a new version, and why the others may not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from saga_fsm import GUARDED, Saga, compile_saga, diff, parallel
from saga_fsm.errors import UnknownStepError
from saga_fsm.machine import State
from tests.reference import BOUNDED, C, O, P, R, ask


def saga(*blocks: Any, **options: Any) -> Saga[Any, Any]:
    """One version of the saga."""
    return Saga("s", *blocks, **{"contract": GUARDED, **options})


OLD = saga(C("a"), C("b"), P("p"))


def after(of: Saga[Any, Any], *events: str) -> State:
    """The state of the machine after these events."""
    return compile_saga(of).replay(events)[-1].state


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        saga(C("a"), C("b"), P("p"), R("r")),
        saga(C("a"), C("b"), P("p"), deadline=60.0),
        saga(C("a", retry=BOUNDED), C("b"), P("p")),
    ],
    ids=["the same", "one more at the end", "a deadline", "a retry more"],
)
def test_what_only_adds_where_no_run_has_been_lets_all_go_on(new: Saga[Any, Any]) -> None:
    """Every run in flight is somewhere where a run of the new saga can be."""
    found = diff(OLD, new)
    assert (found.ok, found.verdict, found.refusals) == (True, "compatible", ())
    at = after(OLD, "start", "done(a)")
    assert str(found.maps(at)) == str(after(new, "start", "done(a)"))


CHANGES = {
    "a step before": (saga(C("z"), C("a"), C("b"), P("p")), "z", "'z' is new"),
    "a step between": (saga(C("a"), C("z"), C("b"), P("p")), "z", "'z' is new"),
    "a step gone": (saga(C("a"), P("p")), "b", "'b' is not in the new saga"),
    "a renamed step": (saga(C("a"), C("c"), P("p")), "b", "'b' is not in the new saga"),
    "another kind": (
        saga(C("a"), O("b"), P("p")),
        "b",
        "'b' is compensatable in the old saga and readonly",
    ),
    "another order": (saga(C("b"), C("a"), P("p")), "b", "the new saga never has"),
    "at the same time": (saga(parallel(C("a"), C("b")), P("p")), "a", "the new saga never has"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_that_has_passed_the_change_may_not_go_on(change: str) -> None:
    """Each refusal names the step and the reason, with a run of the old saga that leads there."""
    new, step, reason = CHANGES[change]
    found = diff(OLD, new)
    assert found.verdict == "incompatible"
    first = found.refusals[0]
    assert first.obstacle.step == step
    assert first.obstacle.reason.startswith(reason)
    assert sum(one.states for one in found.refusals) <= found.states
    reached = after(OLD, *first.path.events)
    assert str(reached) == first.example
    assert found.maps(reached) is None
    # Where nothing has happened yet everything may still go on.
    assert found.maps(compile_saga(OLD).initial) == compile_saga(new).initial


@pytest.mark.parametrize("change", CHANGES)
def test_each_refusal_is_a_finding_as_those_of_a_check(change: str) -> None:
    """Rule, level, step, message and the shortest run; text and JSON have them too."""
    new, step, reason = CHANGES[change]
    found = diff(OLD, new)
    first = found.findings[0]
    assert (first.rule, first.level, first.step) == ("W16", "error", step)
    assert first.message.startswith(reason)
    assert first.path == found.refusals[0].path
    assert found.refusals[0].obstacle.remedy in first.notes
    assert len(found.findings) == len(found.refusals) == str(found).count("error W16: ")
    assert json.loads(found.to_json())["findings"] == [one.plain() for one in found.findings]
    assert diff(OLD, OLD).findings == ()


def test_no_word_of_a_refusal_is_a_private_one() -> None:
    """The saga, its cancel and its participants are called by words, not by names of fields."""
    words = [x.message for x in diff(OLD, CHANGES["a step between"][0]).findings]
    assert any("'z' is pending and the cancel or deadline asked" in one for one in words)
    assert not any("@" in one for one in words)


def test_only_the_runs_that_passed_are_refused() -> None:
    """With a step put before the pivot, a run that is still at the first step goes on."""
    found = diff(OLD, saga(C("a"), C("b"), C("z"), P("p")))
    assert found.maps(after(OLD, "start")) is not None
    assert found.maps(after(OLD, "start", "done(a)")) is not None
    assert found.maps(after(OLD, "start", "done(a)", "done(b)")) is None


def test_a_rename_is_told_and_suggested() -> None:
    """Without the map the likely one is suggested; with it every run goes on."""
    new = saga(C("a"), C("c"), P("p"))
    (refusal, *_) = diff(OLD, new).refusals
    assert "renamed={'b': 'c'}" in refusal.obstacle.remedy
    assert diff(OLD, new, renamed={"b": "c"}).ok


@pytest.mark.parametrize("renamed", [{"x": "b"}, {"b": "x"}])
def test_a_rename_of_what_is_not_there_is_refused(renamed: dict[str, str]) -> None:
    """Both names have to be known, each in its saga."""
    with pytest.raises(UnknownStepError):
        diff(OLD, OLD, renamed=renamed)


def test_a_policy_that_goes_refuses_only_who_waits() -> None:
    """Without retries nobody can be waiting; all others go on."""
    old = saga(C("a", retry=BOUNDED), P("p"))
    found = diff(old, saga(C("a"), P("p")))
    assert found.maps(after(old, "start")) is not None
    assert found.maps(after(old, "start", "transient(a)")) is None
    assert "the new saga does not know" in str(found)


def test_a_query_that_goes_refuses_who_asks() -> None:
    """The query in flight would have no answer."""
    old = saga(C("a", query=ask), P("p"))
    found = diff(old, saga(C("a"), P("p")))
    assert found.maps(after(old, "start", "unknown(a)")) is None
    assert found.maps(after(old, "start", "done(a)")) is not None


def test_a_read_only_step_that_is_over_may_go() -> None:
    """Nobody owes anything for it; while it is called it may not go."""
    old = saga(O("o"), C("a"), P("p"))
    found = diff(old, saga(C("a"), P("p")))
    assert found.maps(after(old, "start")) is None
    assert found.maps(after(old, "start", "done(o)")) is not None


def test_a_stuck_run_is_in_flight() -> None:
    """An operator may leave it: what it owes must be known to the new saga."""
    old = saga(C("a"), P("p"))
    stuck = after(old, "start", "done(a)", "rejected(p)", "unknown(a)", "exhausted(a)")
    found = diff(old, saga(P("p")))
    assert stuck.status.value == "stuck"
    assert found.maps(stuck) is None


def test_what_is_cut_short_is_never_compatible() -> None:
    """Over the limit nothing is promised, and no state may go on."""
    found = diff(OLD, OLD, limit=5)
    assert (found.verdict, found.ok) == ("incomplete", False)
    assert found.maps(compile_saga(OLD).initial) is None
    assert "a larger limit= goes on" in str(found)


@pytest.mark.parametrize("limit", [0, -1, "many", 1.5])
def test_a_limit_that_is_none_is_refused(limit: Any) -> None:
    """It says what to give instead."""
    with pytest.raises(ValueError, match="Give a number of states, 1 or more"):
        diff(OLD, OLD, limit=limit)


def test_the_fingerprint_and_what_nobody_sees_are_said() -> None:
    """Equal machines have one fingerprint; bodies and waits are in no machine."""
    found = diff(OLD, saga(C("a"), C("b"), P("p"), deadline=60.0))
    text, plain = str(found), json.loads(found.to_json())
    assert "not looked at: bodies of actions" in text
    assert plain["fingerprints"] == list(found.fingerprints)
    assert (plain["schema"], plain["ok"], plain["refusals"]) == (1, True, [])
    assert diff(OLD, OLD).same
