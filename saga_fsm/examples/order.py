"""
An order: create it, take the money, set the goods aside, ship, send the receipt.

The running example. Shipping is the pivot: before it everything can be taken back, after it the
receipt is sent however long that takes.

What several orders share is declared: purses, the till, the shelf and what is set aside. Each of
them is added to and taken from, never set, so two orders may come in any order and
``check(saga, instances=2)`` finds them safe; without ``commutes_with`` it shows the run in which
one order's refund puts the till back as it was before the other's payment.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeAlias

import attrs
from typing_extensions import override

from saga_fsm import GUARDED, Context, Outcome, Rejected, Saga, pivot, retriable, step
from saga_fsm.examples._world import Guard, agrees


__all__ = ["INPUT", "Goods", "LossyWorld", "Order", "Payment", "World", "consistent", "saga"]


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


@attrs.frozen
class Goods:
    """What the warehouse has set aside."""

    item: str
    quantity: int


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
    _opening: tuple[int, dict[str, int], dict[str, int]] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._opening = self.till, dict(self.purses), dict(self.shelf)

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

    def cancel(self, run_id: str) -> None:
        """Note that nothing comes of it."""
        self.orders[run_id] = "cancelled"

    def reserve(self, item: str, quantity: int) -> Goods:
        """Take goods from the shelf and set them aside."""
        if self.shelf.get(item, 0) < quantity:
            raise Rejected(f"only {self.shelf.get(item, 0)} of {item} left")
        self.shelf[item] -= quantity
        self.set_aside[item] = self.set_aside.get(item, 0) + quantity
        return Goods(item, quantity)

    def put_back(self, goods: Goods) -> None:
        """Put goods back on the shelf."""
        self.set_aside[goods.item] -= goods.quantity
        self.shelf[goods.item] += goods.quantity

    def send(self, item: str, quantity: int) -> str:
        """Load the goods that were set aside."""
        self.set_aside[item] -= quantity
        self.shipped[item] = self.shipped.get(item, 0) + quantity
        return f"parcel with {quantity} x {item}"

    def is_consistent(self, outcome: Outcome[Any]) -> bool:
        """What the outcome claims stands and nothing else, and the books add up to just that."""
        before, after = ("create_order", "charge", "reserve_stock"), ("ship", "send_receipt")
        return agrees(self.guard, outcome, before=before, after=after) and self._adds_up()

    def _adds_up(self) -> bool:
        """Money and goods are where the effects that stand, of all runs, have put them."""
        standing = self.guard.standing
        till, purses, shelf = self._opening[0], Counter(self._opening[1]), Counter(self._opening[2])
        for _, payment in standing("charge"):
            till += payment.amount
            purses[payment.customer] -= payment.amount
        aside, gone, shipped = Counter[str](), Counter[str](), dict(standing("ship"))
        for run_id, goods in standing("reserve_stock"):
            shelf[goods.item] -= goods.quantity
            (gone if run_id in shipped else aside)[goods.item] += goods.quantity
        opened = {run_id for run_id, state in self.orders.items() if state == "open"}
        return (
            (self.till, Counter(self.purses), Counter(self.shelf)) == (till, purses, shelf)
            and (Counter(self.set_aside), Counter(self.shipped)) == (aside, gone)
            and opened == {run_id for run_id, _ in standing("create_order")}
            and sorted(self.receipts) == sorted(run_id for run_id, _ in standing("send_receipt"))
        )


class LossyWorld(World):
    """A shop with a bug, for failure tests to find: refunds leave the till and arrive nowhere."""

    @override
    def pay_back(self, payment: Payment) -> None:
        """Take the money out of the till, and lose it."""
        self.till -= payment.amount


Ctx: TypeAlias = Context[Order, World]


def create_order(ctx: Ctx) -> str:
    """Open the order."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.create(ctx.run_id))


def cancel_order(ctx: Ctx, _order_id: str | None) -> None:
    """Close it as cancelled."""
    ctx.services.guard.undo(ctx, ctx.services.cancel)


def refund(ctx: Ctx, _payment: Payment | None) -> None:
    """Pay the customer back."""
    ctx.services.guard.undo(ctx, ctx.services.pay_back)


@step(compensate=refund, writes=("purses", "till"), commutes_with=("purses", "till"))
def charge(ctx: Ctx) -> Payment:
    """Take the money."""
    order = ctx.input
    return ctx.services.guard.act(ctx, lambda: ctx.services.pay(order.customer, order.total))


def release_stock(ctx: Ctx, _goods: Goods | None) -> None:
    """Put the goods back."""
    ctx.services.guard.undo(ctx, ctx.services.put_back)


@step(
    compensate=release_stock,
    writes=("shelf", "set aside"),
    commutes_with=("shelf", "set aside"),
)
def reserve_stock(ctx: Ctx) -> Goods:
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
    pivot(ship, writes="set aside", commutes_with="set aside"),
    retriable(send_receipt),
    deadline=1800.0,
    contract=GUARDED,
)


def consistent(world: World, outcome: Outcome[Any]) -> bool:
    """Say whether the world agrees with the outcome."""
    return world.is_consistent(outcome)
