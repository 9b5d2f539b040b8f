"""
The order again, over a network that cannot be relied on.

The bank refuses connections (nothing happened: transient) and drops answers (perhaps something
happened: unknown); both are tried again under the same key, at most five times. The warehouse has
a timeout for every attempt.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs

from saga_fsm import GUARDED, Context, Outcome, Policy, Retry, Saga, pivot, retriable, step
from saga_fsm.examples.order import INPUT, Goods, Order, Payment
from saga_fsm.examples.order import World as Shop


__all__ = ["INPUT", "World", "consistent", "saga"]


@attrs.define
class World(Shop):
    """
    The same shop, behind a bad line.

    Args:
        refused_calls: so many calls of the bank find nobody there.
        lost_answers: after these, so many answers get lost, though the money has moved.
        charge_calls: how often the bank was called.
    """

    refused_calls: int = attrs.field(default=0, kw_only=True)
    lost_answers: int = attrs.field(default=0, kw_only=True)
    charge_calls: int = attrs.field(default=0, init=False)


Ctx: TypeAlias = Context[Order, World]

BANK = Policy(
    timeout=10.0,
    retry=Retry(attempts=5, wait_initial=0.5, wait_max=8.0),
    transient=ConnectionRefusedError,
)
WAREHOUSE = Policy(timeout=5.0, retry=Retry(attempts=3, wait_initial=0.2, wait_max=2.0))


def create_order(ctx: Ctx) -> str:
    """Open the order."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.create(ctx.run_id))


def cancel_order(ctx: Ctx, _order_id: str | None) -> None:
    """Close it as cancelled."""
    ctx.services.guard.undo(ctx, ctx.services.cancel)


def charge(ctx: Ctx) -> Payment:
    """Take the money, if the line holds."""
    bank, order = ctx.services, ctx.input
    bank.charge_calls += 1
    if bank.charge_calls <= bank.refused_calls:
        raise ConnectionRefusedError("the bank does not answer")
    payment = bank.guard.act(ctx, lambda: bank.pay(order.customer, order.total))
    if bank.charge_calls <= bank.refused_calls + bank.lost_answers:
        raise TimeoutError("the bank's answer got lost")
    return payment


def refund(ctx: Ctx, _payment: Payment | None) -> None:
    """Pay the customer back."""
    ctx.services.guard.undo(ctx, ctx.services.pay_back)


def reserve_stock(ctx: Ctx) -> Goods:
    """Set the goods aside."""
    order = ctx.input
    return ctx.services.guard.act(ctx, lambda: ctx.services.reserve(order.item, order.quantity))


def release_stock(ctx: Ctx, _goods: Goods | None) -> None:
    """Put the goods back."""
    ctx.services.guard.undo(ctx, ctx.services.put_back)


def ship(ctx: Ctx) -> str:
    """Hand the goods to the carrier."""
    order = ctx.input
    return ctx.services.guard.act(ctx, lambda: ctx.services.send(order.item, order.quantity))


def send_receipt(ctx: Ctx) -> None:
    """Tell the customer."""
    ctx.services.guard.act(ctx, lambda: ctx.services.receipts.append(ctx.run_id))


saga = Saga(
    "order_with_retries",
    step(create_order, compensate=cancel_order, timeout=2.0),
    step(charge, compensate=refund, policy=BANK),
    step(reserve_stock, compensate=release_stock, policy=WAREHOUSE),
    pivot(ship, timeout=5.0),
    retriable(send_receipt, timeout=5.0),
    deadline=1800.0,
    contract=GUARDED,
)


def consistent(world: World, outcome: Outcome[Any]) -> bool:
    """Say whether the world agrees with the outcome."""
    return world.is_consistent(outcome)
