"""What the checker says of a promise that is missing, a run on a world that breaks it shows."""

from __future__ import annotations

import pytest

from saga_fsm import Contract, Saga, check
from saga_fsm.testing import plan_of, replay
from tests.participants import C, P, R, Shop
from tests.unit.test_explore_faults import NotFenced, NotIdempotent


BLOCKS = (C("a"), C("b"), P("p"), R("r"))
BROKEN = {
    "idempotent": (Contract(sticky=True, fenced=True), NotIdempotent),
    "fenced": (Contract(idempotent=True, sticky=True), NotFenced),
}


@pytest.mark.parametrize("promise", BROKEN)
def test_a_missing_promise_is_shown_by_a_run(promise):
    """Each counterexample that names the promise is a plan that a broken world does not survive."""
    contract, world = BROKEN[promise]
    saga = Saga("agreed", *BLOCKS, contract=contract)
    report = check(saga)
    shown = [
        one for one in report.findings if one.path and f"promise to be {promise}" in one.message
    ]
    assert {one.step for one in shown} >= (
        {"a", "b"} if promise == "fenced" else {"a", "b", "p", "r"}
    )
    for finding in shown:
        plan = plan_of(saga, finding.path)
        broken = replay(saga, plan, world=world)
        assert not broken.unfired, (finding.message, str(plan), broken.unfired)
        told = broken.reason or dict(broken.outcome.unresolved)
        assert told, (finding.message, str(plan))


@pytest.mark.parametrize("promise", BROKEN)
def test_a_world_that_keeps_the_promise_all_the_same_survives(promise):
    """The same plans end consistent there: the promise can be declared."""
    contract, _ = BROKEN[promise]
    saga = Saga("agreed", *BLOCKS, contract=contract)
    for finding in check(saga).findings:
        if finding.path:
            done = replay(saga, plan_of(saga, finding.path), world=Shop)
            assert done.consistent, (str(plan_of(saga, finding.path)), done.reason)
