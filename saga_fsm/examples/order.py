"""
An order: create it, take the money, set the goods aside, ship, send the receipt.

The running example. Shipping is the pivot: before it everything can be taken back, after it the
receipt is sent however long that takes.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs

from saga_fsm import GUARDED, Context, Outcome, Rejected, Saga, Status, pivot, retriable, step
from saga_fsm.examples._world import Guard, agrees


__all__ = ["INPUT", "Order", "Payment", "World", "consistent", "saga"]


@attrs.frozen
class Order:
    """What the customer asks for; amounts are in cents."""

    customer: str
    item: str
    quantity: int
    total: int


@attrs.frozen
class Payment:
    """What the bank answers."""

    customer: str
    amount: int


INPUT = Order(customer="ada", item="teapot", quantity=2, total=4_200)


@attrs.define
class World:
    """
    A shop: its order book, its till, its customers' purses, its shelf, its van and its post.

    Args:
        purses: what each customer can spend.
        shelf: how many of each item are free.
        guard: keeps the promises of the participants.
    """

    purses: dict[str, int] = attrs.field(factory=lambda: {"ada": 10_000})
    shelf: dict[str, int] = attrs.field(factory=lambda: {"teapot": 5})
    guard: Guard = attrs.field(factory=Guard)
    till: int = 0
    orders: dict[str, str] = attrs.field(factory=dict)
    set_aside: dict[str, int] = attrs.field(factory=dict)
    shipped: dict[str, int] = attrs.field(factory=dict)
    receipts: list[str] = attrs.field(factory=list)
    _wealth: int = attrs.field(init=False)
    _goods: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._wealth, self._goods = self._count()

    def _count(self) -> tuple[int, int]:
        goods = (self.shelf, self.set_aside, self.shipped)
        return self.till + sum(self.purses.values()), sum(sum(place.values()) for place in goods)

    def create(self, run_id: str) -> str:
        """Open an order in the book."""
        self.orders[run_id] = "open"
        return run_id

    def pay(self, customer: str, amount: int) -> Payment:
        """Move money from a purse to the till."""
        if self.purses.get(customer, 0) < amount:
            raise Rejected(f"{customer} cannot pay {amount}")
        self.purses[customer] -= amount
        self.till += amount
        return Payment(customer, amount)

    def pay_back(self, payment: Payment) -> None:
        """Move it back."""
        self.till -= payment.amount
        self.purses[payment.customer] += payment.amount

    def reserve(self, item: str, quantity: int) -> int:
        """Take goods from the shelf and set them aside."""
        if self.shelf.get(item, 0) < quantity:
            raise Rejected(f"only {self.shelf.get(item, 0)} of {item} left")
        self.shelf[item] -= quantity
        self.set_aside[item] = self.set_aside.get(item, 0) + quantity
        return quantity

    def put_back(self, item: str, quantity: int) -> None:
        """Put goods back on the shelf."""
        self.set_aside[item] -= quantity
        self.shelf[item] += quantity

    def send(self, item: str, quantity: int) -> str:
        """Load the goods that were set aside."""
        self.set_aside[item] -= quantity
        self.shipped[item] = self.shipped.get(item, 0) + quantity
        return f"parcel with {quantity} x {item}"

    def is_consistent(self, outcome: Outcome[Any]) -> bool:
        """Nothing is lost, nothing appears, nothing leaves unpaid; the outcome tells the truth."""
        if self._count() != (self._wealth, self._goods) or not agrees(self.guard, outcome):
            return False
        landed = self.guard.landed(outcome.run_id)
        paid_and_booked = {"create_order", "charge", "reserve_stock"} <= landed
        if outcome.status is Status.COMPLETED:
            return paid_and_booked and {"ship", "send_receipt"} <= landed
        return paid_and_booked or ("ship" not in landed and "send_receipt" not in landed)


Ctx: TypeAlias = Context[Order, World]


def create_order(ctx: Ctx) -> str:
    """Open the order."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.create(ctx.run_id))


def cancel_order(ctx: Ctx, _order_id: str | None) -> None:
    """Close it as cancelled."""
    ctx.services.guard.undo(ctx, lambda opened: ctx.services.orders.update({opened: "cancelled"}))


def refund(ctx: Ctx, _payment: Payment | None) -> None:
    """Pay the customer back."""
    ctx.services.guard.undo(ctx, ctx.services.pay_back)


@step(compensate=refund)
def charge(ctx: Ctx) -> Payment:
    """Take the money."""
    order = ctx.input
    return ctx.services.guard.act(ctx, lambda: ctx.services.pay(order.customer, order.total))


def release_stock(ctx: Ctx, _quantity: int | None) -> None:
    """Put the goods back."""
    ctx.services.guard.undo(ctx, lambda taken: ctx.services.put_back(ctx.input.item, taken))


@step(compensate=release_stock)
def reserve_stock(ctx: Ctx) -> int:
    """Set the goods aside."""
    order = ctx.input
    return ctx.services.guard.act(ctx, lambda: ctx.services.reserve(order.item, order.quantity))


def ship(ctx: Ctx) -> str:
    """Hand the goods to the carrier; from here there is no way back."""
    order = ctx.input
    return ctx.services.guard.act(ctx, lambda: ctx.services.send(order.item, order.quantity))


def send_receipt(ctx: Ctx) -> None:
    """Tell the customer."""
    ctx.services.guard.act(ctx, lambda: ctx.services.receipts.append(ctx.run_id))


saga = Saga(
    "order",
    step(create_order, compensate=cancel_order),
    charge,
    reserve_stock,
    pivot(ship),
    retriable(send_receipt),
    deadline=1800.0,
    contract=GUARDED,
)


def consistent(world: World, outcome: Outcome[Any]) -> bool:
    """Say whether the world agrees with the outcome."""
    return world.is_consistent(outcome)
