"""Fault plans: a value, a text, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga_fsm import GUARDED, Saga, Status, pivot, step
from saga_fsm.testing import Fault, FaultPlan, Injection, explore_faults, replay
from saga_fsm.testing.plan import EACH
from tests.participants import Shop


@given(
    st.lists(
        st.builds(
            Injection,
            st.text(min_size=1),
            st.integers(0, 99) | st.just(EACH),
            st.sampled_from(list(Fault)),
        )
    )
)
def test_any_plan_replays_from_its_text(injections):
    """Odd names, blanks, equal signs and at signs survive."""
    plan = FaultPlan(tuple(injections))
    assert FaultPlan.parse(str(plan)) == plan
    assert "\n" not in str(plan)


def test_a_numbered_injection_goes_before_one_for_each_call():
    """``charge@*`` holds for every call but the one that is named."""
    plan = FaultPlan.parse("charge@*=transient charge@1=lost_reply")
    assert [[one.fault for one in plan.at("charge", n)] for n in range(3)] == [
        ["transient"],
        ["lost_reply"],
        ["transient"],
    ]
    assert plan.at("ship", 0) == ()


def test_what_happens_around_a_call_and_how_it_is_answered_both_hold():
    """At most one of each sort; the first that was named goes before the second."""
    plan = FaultPlan.parse("ship@0=reject ship@0=cancel ship@0=late ship@0=clock_jump ship@*=slow")
    assert [one.fault for one in plan.at("ship", 0)] == ["cancel", "reject"]
    assert [one.fault for one in plan.at("ship", 1)] == ["slow"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("charge=reject", "'charge=reject' is no injection"),
        ("charge@x=reject", "'charge@x=reject' is no injection"),
        ("@0=reject", "'@0=reject' is no injection"),
        ("charge@0=boom", "'boom' is no fault"),
    ],
)
def test_a_text_that_is_no_plan_is_refused_with_the_grammar(text, told):
    """The error shows what would have been right."""
    with pytest.raises(ValueError, match=told) as caught:
        FaultPlan.parse(text)
    assert "\n  " in str(caught.value)


@pytest.mark.heavy
@pytest.mark.parametrize("names", [("journal", "recover"), ("compensation", "query")])
@pytest.mark.parametrize("around", ["", "recover"])
def test_a_step_may_be_called_as_what_plans_name(names, around):
    """An append, a recovery and a step's functions are never taken for a step of that name."""

    def searched(around, *names):
        blocks = [
            step(
                lambda ctx: ctx.services.act(ctx),
                name=name,
                compensate=lambda ctx, _: ctx.services.undo(ctx),
            )
            for name in names
        ]
        inner = [Saga(around, *blocks)] if around else blocks
        saga = Saga("books", *inner, contract=GUARDED)
        return explore_faults(saga, world=Shop, max_faults=0)

    plain = searched(around and "inner", "x", "y")
    odd = searched(around, *names)
    odd.assert_ok()
    assert (odd.runs, odd.fired) == (plain.runs, plain.fired)


def test_the_site_of_such_a_step_is_told_from_the_append():
    """What goes wrong is said of the one that is meant."""
    saga = Saga("books", pivot(lambda ctx: ctx.services.act(ctx), name="journal"), contract=GUARDED)
    at_the_step = replay(saga, "~journal@0=reject", world=Shop)
    assert at_the_step.outcome.status is Status.COMPENSATED
    assert not at_the_step.unfired
    at_the_append = replay(saga, "journal@0=lost_request", world=Shop)
    assert at_the_append.outcome.status is Status.COMPLETED
    assert not at_the_append.unfired
