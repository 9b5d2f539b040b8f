"""The weakest contract of each step, and the shortest run that shows each missing promise."""

from __future__ import annotations

from typing import Any

import pytest

from saga_fsm import Contract, Saga, check, compile_saga
from tests.reference import BOUNDED, GUARDED, REFERENCES, C, O, P, R, ask


TO_UNDO = Contract(idempotent=True, fenced=True)
TO_DECIDE = Contract(idempotent=True, sticky=True)
SMALL = [one for one in REFERENCES if one.product[0] < 1_500]


@pytest.mark.parametrize(
    ("block", "required"),
    [
        (C("a"), TO_UNDO),
        (C("a", retry=BOUNDED), TO_UNDO),
        (C("a", query=ask), TO_DECIDE),
        (P("a"), TO_DECIDE),
        (P("a", query=ask), TO_DECIDE),
        (R("a"), Contract(idempotent=True)),
    ],
    ids=["compensatable", "retried", "queried", "pivot", "queried pivot", "retriable"],
)
def test_what_each_kind_requires(block: Any, required: Contract) -> None:
    """The weakest contract of each kind is the specification's, whatever is declared."""
    assert check(Saga("s", block)).required == {"a": required}
    assert check(Saga("s", block, contract=required)).required == {"a": required}


def test_a_read_only_step_requires_nothing() -> None:
    """Who only looks needs to promise nothing and is not listed."""
    assert check(Saga("s", O("o"), C("a"), contract=GUARDED)).required == {"a": TO_UNDO}


@pytest.mark.parametrize("reference", SMALL, ids=lambda one: one.text)
def test_the_required_contracts_are_safe_together(reference: Any) -> None:
    """A safe saga lacks nothing."""
    report = check(reference.make())
    assert report.ok
    assert report.missing == {}
    assert report.required


def test_an_unsafe_query_is_told_what_is_missing() -> None:
    """With a query either sticky or fenced will do: without both, one of them is missing."""
    report = check(Saga("s", C("a", query=ask), contract=Contract(idempotent=True)))
    assert report.verdict == "unsafe"
    assert report.missing == {"a": {"sticky"}}


def test_copies_are_one_step() -> None:
    """The copies of an each promise the same, under the name of the step."""
    saga = next(one.make() for one in REFERENCES if "each" in one.text)
    assert set(check(saga).required) == {"z", "a", "p"}


@pytest.mark.parametrize(
    ("block", "promise", "tokens"),
    [
        (C("a"), "idempotent", ["done(a)", "~lands_again(a)"]),
        (C("a"), "fenced", ["rejected(a)", "compensated(a)", "~lands(a)"]),
        (P("a"), "sticky", ["rejected(a)", "~lands(a)"]),
        (R("a"), "idempotent", ["done(a)", "~lands_again(a)"]),
    ],
    ids=["idempotent", "fenced", "sticky", "retriable"],
)
def test_each_missing_promise_has_its_shortest_run(
    block: Any, promise: str, tokens: list[str]
) -> None:
    """A finding names the promise; its run replays on the saga's own machine."""
    saga = Saga("s", block)
    needed = f"must promise to be {promise}"
    finding = next(one for one in check(saga).findings if needed in one.message)
    assert finding.level == "error"
    assert finding.path is not None
    assert [move.token for move in finding.path.moves] == ["start", *tokens]
    assert all(move.ignored is None for move in compile_saga(saga).replay(finding.path.events))
