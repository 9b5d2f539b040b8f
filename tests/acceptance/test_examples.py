"""Every example, run to every outcome that it can have, against its world's own books."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from saga_fsm import Saga, Status, compile_saga, run
from saga_fsm.examples import (
    fulfilment,
    order,
    order_choreographed,
    order_recovered,
    order_with_retries,
    transfer,
    trip,
)
from saga_fsm.examples._world import Guard
from tests.acceptance.effects import FastClock


EXAMPLES = [
    fulfilment,
    order,
    order_choreographed,
    order_recovered,
    order_with_retries,
    transfer,
    trip,
]
COMPENSATED, COMPLETED, STUCK = Status.COMPENSATED, Status.COMPLETED, Status.STUCK

# For each step that can say no, what becomes of the saga; then for each undo out of reach.
ORDER_NO = {
    "create_order": COMPENSATED,
    "charge": COMPENSATED,
    "reserve_stock": COMPENSATED,
    "ship": COMPENSATED,
    "send_receipt": STUCK,
}
REFUSED = {
    order: ORDER_NO,
    order_choreographed: ORDER_NO,
    order_recovered: ORDER_NO,
    order_with_retries: ORDER_NO,
    transfer: {"withdraw": COMPENSATED, "deposit": COMPENSATED, "send_statement": STUCK},
    trip: {
        "book_hotel": COMPLETED,
        "book_outbound": COMPENSATED,
        "book_homebound": COMPENSATED,
        "pay": COMPENSATED,
    },
    fulfilment: {
        "open_order": COMPENSATED,
        "pick": COMPENSATED,
        "wrap": COMPENSATED,
        "hold": COMPENSATED,
        "take": COMPENSATED,
        "dispatch": COMPENSATED,
        "invoice": STUCK,
        "receipt": STUCK,
        "points": STUCK,
        "close_order": STUCK,
    },
}
PIVOTS = {transfer: "deposit", trip: "pay", fulfilment: "dispatch"}


def name(example: ModuleType) -> str:
    """Give the last part of its name."""
    return example.__name__.rpartition(".")[2]


def go(example: ModuleType, world: Any, given: Any = None) -> Any:
    """Run an example on a world, with a clock that takes no time."""
    saga: Saga[Any, Any] = example.saga
    given = example.INPUT if given is None else given
    return run(saga, given, services=world, run_id="r1", clock=FastClock())


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_completes(example: ModuleType) -> None:
    """Where nothing goes wrong the saga completes, and the books agree."""
    world = example.World()
    outcome = go(example, world)
    assert outcome.status is COMPLETED
    assert example.consistent(world, outcome)


@pytest.mark.parametrize(
    ("example", "step", "status"),
    [
        pytest.param(example, step, status, id=f"{name(example)}-{step}")
        for example, steps in REFUSED.items()
        for step, status in steps.items()
    ],
)
def test_a_step_says_no(example: ModuleType, step: str, status: Status) -> None:
    """Whichever step is refused, the saga ends as its kind says, and the books agree."""
    world = example.World(guard=Guard(refusing={step}))
    outcome = go(example, world)
    assert outcome.status is status
    assert example.consistent(world, outcome)


UNDOS = {
    order: ["create_order", "charge", "reserve_stock"],
    order_choreographed: ["create_order", "charge", "reserve_stock"],
    order_recovered: ["create_order", "charge", "reserve_stock"],
    order_with_retries: ["create_order", "charge", "reserve_stock"],
    transfer: ["withdraw"],
    trip: ["book_hotel", "book_outbound", "book_homebound"],
    fulfilment: ["open_order", "pick", "wrap", "hold", "take"],
}


@pytest.mark.parametrize(
    ("example", "step"),
    [
        pytest.param(example, step, id=f"{name(example)}-{step}")
        for example, steps in UNDOS.items()
        for step in steps
    ],
)
def test_an_undo_is_out_of_reach(example: ModuleType, step: str) -> None:
    """Refused at the pivot, with one undo out of reach: stuck, owed, and the rest is true."""
    pivot = PIVOTS.get(example, "ship")
    world = example.World(guard=Guard(refusing={pivot}, unreachable={step}))
    outcome = go(example, world)
    assert outcome.status is STUCK
    assert any(path.rpartition("/")[2].partition("[")[0] == step for path in outcome.unresolved)
    assert example.consistent(world, outcome)


def test_trip_needs_one_bed_only() -> None:
    """A full hotel leads to the hostel, and the books show one bed."""
    world = trip.World(guard=Guard(refusing={"book_hotel"}))
    outcome = go(trip, world)
    assert outcome.status is COMPLETED
    assert world.bookings == ["hostel", "outbound", "homebound"]


def test_trip_without_any_bed_goes_back() -> None:
    """No hotel and no hostel: no trip."""
    world = trip.World(free={"hotel": 0, "hostel": 0, "outbound": 1, "homebound": 1})
    outcome = go(trip, world)
    assert outcome.status is COMPENSATED
    assert trip.consistent(world, outcome)


@pytest.mark.parametrize(
    ("items", "price", "customer", "status"),
    [
        ((), 2_000, "ada", COMPLETED),
        (("teapot",), 2_000, "ada", COMPLETED),
        (("teapot", "cup", "cup"), 2_000, "ada", COMPLETED),
        (("teapot", "cup", "cup"), 3_100, "ada", COMPENSATED),
        (("teapot", "cup", "cup", "cup"), 100, "ada", COMPENSATED),
        (("teapot", "samovar"), 100, "ada", COMPENSATED),
        (("teapot",), 2_000, "mallory", COMPENSATED),
    ],
    ids=["none", "one", "approved", "too dear", "too many", "not there", "fraud"],
)
def test_fulfilment_of_baskets(
    items: tuple[str, ...], price: int, customer: str, status: Status
) -> None:
    """Baskets of every size: sent and paid, or nothing moved at all."""
    world = fulfilment.World()
    outcome = go(fulfilment, world, fulfilment.Basket(customer, items, price))
    assert outcome.status is status
    assert fulfilment.consistent(world, outcome)
    assert sorted(world.dispatched) == (sorted(items) if status is COMPLETED else [])


@pytest.mark.parametrize(("refused", "lost"), [(4, 0), (0, 4), (2, 2)])
def test_retries_bring_the_order_through(refused: int, lost: int) -> None:
    """Four calls of the bank may go wrong, in either way; the fifth completes, paid once."""
    world = order_with_retries.World(refused_calls=refused, lost_answers=lost)
    outcome = go(order_with_retries, world)
    assert outcome.status is COMPLETED
    assert world.charge_calls == 5
    assert world.till == order.INPUT.total
    assert order_with_retries.consistent(world, outcome)


@pytest.mark.parametrize(("refused", "lost"), [(5, 0), (0, 5), (3, 2)])
def test_retries_have_an_end(refused: int, lost: int) -> None:
    """After the fifth the order goes back, and what was paid is paid back."""
    world = order_with_retries.World(refused_calls=refused, lost_answers=lost)
    outcome = go(order_with_retries, world)
    assert outcome.status is COMPENSATED
    assert world.till == 0
    assert order_with_retries.consistent(world, outcome)


@pytest.mark.parametrize("dies_at", range(1, 6))
def test_a_process_that_dies_loses_nothing(dies_at: int) -> None:
    """Wherever the process dies, the next one ends the run: all effects there, each once."""
    world = order_recovered.World(dies_at=dies_at)
    outcome = order_recovered.run_through_deaths(world, clock=FastClock())
    assert outcome.status is COMPLETED
    assert len(world.calls) == 6
    assert order_recovered.consistent(world, outcome)


@pytest.mark.parametrize("dies_at", range(4, 7))
def test_a_process_that_dies_on_the_way_back_loses_nothing(dies_at: int) -> None:
    """On the way back too: nothing stands when it is over."""
    world = order_recovered.World(dies_at=dies_at, guard=Guard(refusing={"ship"}))
    outcome = order_recovered.run_through_deaths(world, clock=FastClock())
    assert outcome.status is COMPENSATED
    assert len(world.calls) == 7
    assert order_recovered.consistent(world, outcome)


def test_books_that_do_not_agree_are_seen() -> None:
    """The oracle is worth something: a world that was tampered with is not consistent."""
    world = order.World()
    outcome = go(order, world)
    world.till -= 1
    assert not order.consistent(world, outcome)


@pytest.mark.parametrize(
    ("example", "states", "transitions"),
    [(transfer, 73, 221), (order, 2225, 14_625), (trip, 15_507, 129_117)],
    ids=["transfer", "order", "trip"],
)
def test_size_of_the_machine(example: ModuleType, states: int, transitions: int) -> None:
    """The flattened machine has exactly so many states and moves: a change of rules shows here."""
    machine = compile_saga(example.saga)
    assert (len(machine.states), len(machine.transitions)) == (states, transitions)
