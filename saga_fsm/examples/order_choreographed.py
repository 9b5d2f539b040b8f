"""
The order without a conductor: each step names the role that does it.

The saga is the same and runs the same; ``participant=`` is what a projection to one machine for
every role reads. Payment does not start on the order alone, nor shipping on the goods alone: the
naive version of that ships what nobody paid for.
"""

from __future__ import annotations

from typing import Any

from saga_fsm import GUARDED, Outcome, Saga, pivot, retriable, step
from saga_fsm.examples import order
from saga_fsm.examples.order import INPUT, World


__all__ = ["INPUT", "World", "consistent", "saga"]


saga = Saga(
    "order_choreographed",
    step(order.create_order, compensate=order.cancel_order, participant="orders"),
    step(order.charge.action, compensate=order.refund, participant="payments"),
    step(order.reserve_stock.action, compensate=order.release_stock, participant="stock"),
    pivot(order.ship, participant="carrier"),
    retriable(order.send_receipt, participant="orders"),
    deadline=1800.0,  # kept by who starts it, the order desk
    contract=GUARDED,
)


def consistent(world: World, outcome: Outcome[Any]) -> bool:
    """Say whether the world agrees with the outcome."""
    return world.is_consistent(outcome)
