"""Every example survives the failure search and Hypothesis, on its own world."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from hypothesis import settings

from saga_fsm.examples import fulfilment
from saga_fsm.examples.fulfilment import Basket
from saga_fsm.testing import explore_faults, state_machine_test
from saga_fsm.testing.coverage import RowCoverage, untakable


# Runs after which the tour has ended, or is cut short where the states are too many for a test.
EXAMPLES = {
    "order": 20_000,
    "order_with_retries": 20_000,
    "order_recovered": 20_000,
    "order_choreographed": 20_000,
    "transfer": 20_000,
    "trip": 2_500,
}
CUT_SHORT = {"trip"}
# No basket takes all rows of fulfilment: a line more or less is another way, and so is a price.
BASKETS = {
    Basket("ada", ("teapot", "cup", "teapot"), 3_000): 3_000,
    Basket("ada", (), 2_000): 60,
    Basket("ada", ("teapot",), 2_000): 500,
    Basket("ada", ("teapot", "cup"), 2_000): 20,
}


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
    assert found.coverage == 1.0, found


def test_every_row_of_fulfilment_is_taken_with_some_basket():
    """What one basket cannot reach another does; what none can is named, and nothing is found."""
    coverage: Any = None
    for basket, runs in BASKETS.items():
        found = explore_faults(
            fulfilment.saga,
            world=fulfilment.World,
            input=basket,
            consistent=fulfilment.consistent,
            max_faults=0,
            max_runs=runs,
        )
        assert found.ok, found
        coverage = coverage or RowCoverage(found.machine)
        coverage.taken.update(found.taken)
    missed = coverage.missed()
    outside = untakable(fulfilment.saga, missed)
    assert [row for row in missed if row not in outside] == []
    # Most of them ask for a participant that breaks its promise.
    assert len(outside) == len(missed) == 42


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
