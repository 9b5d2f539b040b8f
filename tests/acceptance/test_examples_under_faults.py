"""Every example survives the failure search and Hypothesis, on its own world."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from hypothesis import settings

from saga_fsm.testing import explore_faults, state_machine_test


# Runs after which the tour has ended, or is cut short where the states are too many for a test.
EXAMPLES = {
    "order": 20_000,
    "order_with_retries": 20_000,
    "order_recovered": 20_000,
    "order_choreographed": 20_000,
    "transfer": 20_000,
    "trip": 2_500,
    "fulfilment": 1_500,
}
# The share of rows taken where it is not all: the others need another input, or more runs.
SHARE = {"fulfilment": 0.64}
CUT_SHORT = {"fulfilment", "trip"}


def module(name: str) -> Any:
    """An example, by name."""
    return import_module(f"saga_fsm.examples.{name}")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_tour_finds_nothing(name):
    """Each fault at each transition of the example's machine leaves its world consistent."""
    example = module(name)
    found = explore_faults(
        example.saga,
        world=example.World,
        input=example.INPUT,
        consistent=example.consistent,
        max_faults=0,
        max_runs=EXAMPLES[name],
    )
    assert found.ok, found
    assert found.complete is (name not in CUT_SHORT)
    assert found.coverage >= SHARE.get(name, 1.0), found


def attack(name: str) -> Any:
    """The Hypothesis test of an example."""
    example = module(name)
    case = state_machine_test(
        example.saga, world=example.World, input=example.INPUT, consistent=example.consistent
    )
    case.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
    return case


TestOrder = attack("order")
TestOrderWithRetries = attack("order_with_retries")
TestOrderRecovered = attack("order_recovered")
TestOrderChoreographed = attack("order_choreographed")
TestTransfer = attack("transfer")
TestTrip = attack("trip")
TestFulfilment = attack("fulfilment")
