"""The weakest contract of sagas that nobody searches whole: a hundred steps and more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from saga_fsm import check, compile_saga, draw
from saga_fsm.checker import _weakest as weakest
from saga_fsm.checker._replayed import TooLargeError
from saga_fsm.checker._weakest import Needs
from saga_fsm.definition import (
    GUARDED,
    SKIP,
    Contract,
    Saga,
    alternatives,
    choice,
    each,
    parallel,
)
from saga_fsm.definition.layout import Layout
from tests.reference import BOUNDED, C, O, P, R, ask, chooser, several


pytestmark = pytest.mark.heavy

TO_UNDO = Contract(idempotent=True, fenced=True)
TO_DECIDE = Contract(idempotent=True, sticky=True)
TO_FINISH = Contract(idempotent=True)
WEAK = Contract(idempotent=True)
UNFENCED = TO_DECIDE


def mixed() -> Saga[Any, Any]:
    """A hundred steps in a row, two of them weak."""
    kinds = [C, lambda name: C(name, retry=BOUNDED), O, lambda name: C(name, query=ask)]
    steps = [kinds[i % 4](f"c{i}") for i in range(90)]
    steps[44] = C("weak", contract=WEAK)
    last = [R(f"r{i}") for i in range(9)]
    return Saga("mixed", *steps, P("p", contract=WEAK), *last, contract=GUARDED)


LARGE: dict[str, Saga[Any, Any]] = {
    "parallel": Saga("s", parallel(*(C(f"c{i}", contract=WEAK) for i in range(100)))),
    "nested": Saga(
        "s",
        C("z", contract=GUARDED),
        parallel(
            *(
                Saga(f"n{i}", *(C(f"c{i}_{j}", contract=UNFENCED) for j in range(9)))
                for i in range(11)
            )
        ),
    ),
    "each": Saga("s", each(several, Saga("n", C("a"), C("b")), max_items=50), contract=WEAK),
    "alternatives": Saga(
        "s", *(alternatives(C(f"a{i}"), C(f"b{i}"), name=f"x{i}") for i in range(25)), contract=WEAK
    ),
    "choices": Saga(
        "s",
        *(choice(chooser, yes=C(f"c{i}"), otherwise=SKIP, name=f"x{i}") for i in range(40)),
        contract=WEAK,
    ),
}


def test_what_each_of_a_hundred_steps_requires() -> None:
    """Each step requires what its kind does, wherever it stands and whatever stands around it."""
    needs = Needs(mixed())
    queried = {f"c{i}" for i in range(90) if i % 4 == 3}
    for name, contract in needs.required.items():
        if name == "p" or name in queried:
            assert contract == TO_DECIDE, name
        else:
            assert contract == (TO_FINISH if name.startswith("r") else TO_UNDO), name
    assert needs.missing == {"weak": {"fenced"}, "p": {"sticky"}}


def test_each_missing_promise_of_a_hundred_steps_has_its_shortest_run() -> None:
    """The way to the step, its fault, and the late copy while the step before is undone."""
    saga = mixed()
    shown = Needs(saga).shown
    runs = {key: [move.token for move in x.path.moves] for key, x in shown.items() if x.path}
    assert runs.keys() == {("weak", "fenced"), ("p", "sticky")}
    way = [f"done(c{i})" for i in range(44)]
    weak = runs["weak", "fenced"]
    assert weak[:45] == ["start", *way]
    assert len(weak) == 49
    assert set(weak[46:]) == {"compensated(weak)", "~lands(weak)", "late_done(weak)"}
    assert runs["p", "sticky"][-3:] == ["rejected(p)", "~lands(p)", "late_done(p)"]
    for finding in shown.values():
        assert finding.path is not None
        moves = compile_saga(saga).replay(finding.path.events)
        assert all(move.ignored is None for move in moves)


@pytest.mark.parametrize("kind", LARGE)
def test_every_block_of_a_hundred_steps(kind: str) -> None:
    """Every step lacks the fence and nothing else, and a run of the whole saga shows it."""
    needs = Needs(LARGE[kind])
    weak = set(needs.required) - {"z"}
    assert all(contract == TO_UNDO for contract in needs.required.values())
    assert needs.missing == {name: {"fenced"} for name in weak}
    needs.missing = dict(list(needs.missing.items())[:: max(1, len(weak) // 2)])
    assert needs.shown.keys() == {(name, "fenced") for name in needs.missing}


def test_a_run_that_may_not_be_the_shortest_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the search for the shortest is cut short: on the finding, in text, JSON and drawing."""
    saga = Saga("s", parallel(*(C(f"c{i}", contract=WEAK) for i in range(4))), P("p"))
    mark = "a shorter run may be"
    [*proven] = Needs(saga).shown.values()
    assert all(one.shortest and mark not in str(one) for one in proven)
    monkeypatch.setattr("saga_fsm.checker._aimed.BUDGET", 40)
    report = check(saga, engine="compose")
    [found, *_] = report.findings
    assert (report.verdict, found.shortest) == ("unsafe", False)
    assert mark in str(found)
    assert mark in str(report)
    plain = json.loads(report.to_json())["findings"]
    assert [x["shortest"] for x in plain] == [x.shortest for x in report.findings]
    assert "maybe not the shortest" in draw(report).source


def test_of_several_runs_the_nearest_is_the_shortest_only_if_each_is() -> None:
    """Three sagas deep, one of eleven like it: the promise is missing, its run may be shorter."""
    needs = Needs(LARGE["nested"])
    needs.missing = {"n0/c0_0": {"fenced"}, "n5/c5_4": {"fenced"}}
    shown = {name: one.shortest for (name, _), one in needs.shown.items()}
    assert shown == {"n0/c0_0": False, "n5/c5_4": True}


def test_what_is_too_large_to_ask_is_said_to_be_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice with too many states decides nothing; the report and its JSON name the step."""
    saga = Saga("s", C("a"), C("b"))
    known = check(saga, limit=3)
    assert (known.undecided, bool(known.missing)) == ((), True)

    def too_large(_: Layout) -> None:
        raise TooLargeError("more than were asked for")

    monkeypatch.setattr(weakest, "first_breach", too_large)
    report = check(saga, limit=3)
    found = [(x.step, x.level) for x in report.findings if x.rule == "not decided"]
    assert found == [("a", "info"), ("b", "info")]
    assert report.undecided == ("a", "b")
    assert json.loads(report.to_json())["undecided"] == ["a", "b"]
    assert "must promise is not decided" in str(report)
