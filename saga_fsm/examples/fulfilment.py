"""
Fulfilment: twelve steps with branches, copies, a choice and a saga in the saga.

The lines of the basket are picked one by one beside the payment; a dear basket needs a person's
approval; dispatching is the pivot, and after it papers, receipt and points follow in any order.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs

from saga_fsm import (
    GUARDED,
    SKIP,
    Context,
    Outcome,
    Rejected,
    Saga,
    Status,
    choice,
    each,
    parallel,
    pivot,
    readonly,
    retriable,
    step,
)
from saga_fsm.examples._world import Guard, agrees


__all__ = ["INPUT", "World", "consistent", "saga"]


@attrs.frozen
class Basket:
    """Who buys which items; the price of each in cents."""

    customer: str
    items: tuple[str, ...]
    price: int
    gift: bool = False

    @property
    def total(self) -> int:
        """What is to be paid."""
        return self.price * len(self.items)


INPUT = Basket(customer="ada", items=("teapot", "cup"), price=2_000, gift=True)


@attrs.define
class World:
    """
    A warehouse with packers, a bank with holds, a desk that approves, a loyalty programme.

    Args:
        shelf: how many of each item are free.
        purse: what the customer can spend.
        guard: keeps the promises of the participants.
    """

    shelf: dict[str, int] = attrs.field(factory=lambda: {"teapot": 3, "cup": 3})
    purse: int = 10_000
    guard: Guard = attrs.field(factory=Guard)
    held: int = 0
    till: int = 0
    packed: list[str] = attrs.field(factory=list)
    wrapped: list[str] = attrs.field(factory=list)
    dispatched: list[str] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)
    _wealth: int = attrs.field(init=False)
    _goods: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._wealth, self._goods = self._count()

    def _count(self) -> tuple[int, int]:
        goods = sum(self.shelf.values()) + len(self.packed) + len(self.dispatched)
        return self.purse + self.held + self.till, goods

    def pick(self, item: str) -> str:
        """Take one from the shelf."""
        if not self.shelf.get(item, 0):
            raise Rejected(f"no {item} left")
        self.shelf[item] -= 1
        self.packed.append(item)
        return item

    def put_back(self, item: str) -> None:
        """Put it on the shelf again."""
        self.packed.remove(item)
        self.shelf[item] += 1

    def hold(self, amount: int) -> int:
        """Set money aside."""
        if self.purse < amount:
            raise Rejected(f"only {self.purse} to spend")
        self.purse -= amount
        self.held += amount
        return amount

    def let_go(self, amount: int) -> None:
        """Give it free again."""
        self.held -= amount
        self.purse += amount

    def take(self, amount: int) -> int:
        """Take what was set aside."""
        self.held -= amount
        self.till += amount
        return amount

    def give(self, amount: int) -> None:
        """Set it aside again."""
        self.till -= amount
        self.held += amount

    def leave(self) -> int:
        """Send everything that is packed."""
        gone, self.packed = self.packed, []
        self.dispatched.extend(gone)
        return len(gone)

    def is_consistent(self, outcome: Outcome[Any]) -> bool:
        """Goods and money are all somewhere, and what has left the house has been paid for."""
        if self._count() != (self._wealth, self._goods) or not agrees(self.guard, outcome):
            return False
        if outcome.status is Status.COMPENSATED:
            return not (self.packed or self.wrapped or self.dispatched or self.held or self.till)
        if outcome.status is Status.COMPLETED:
            papers = {"invoice", "receipt", "points"} <= set(self.notes)
            return papers and not self.packed and not self.held
        return not self.dispatched or self.till > 0


Ctx: TypeAlias = Context[Basket, World]
LineCtx: TypeAlias = Context[Basket, World, str]


def screen_fraud(ctx: Ctx) -> bool:
    """Look at the customer; nobody has to undo a look."""
    if ctx.input.customer == "mallory":
        raise Rejected("mallory again")
    return True


def open_order(ctx: Ctx) -> None:
    """Note that there is an order."""
    ctx.services.guard.act(ctx, lambda: ctx.services.notes.append("order"))


def strike_order(ctx: Ctx, _done: None) -> None:
    """Strike the note."""
    ctx.services.guard.undo(ctx, lambda _: ctx.services.notes.remove("order"))


def pick(ctx: LineCtx) -> str:
    """Take this line's item from the shelf."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.pick(ctx.item))


def put_back(ctx: LineCtx, _item: str | None) -> None:
    """Put it back."""
    ctx.services.guard.undo(ctx, ctx.services.put_back)


def wrap(ctx: LineCtx) -> None:
    """Wrap it."""
    ctx.services.guard.act(ctx, lambda: ctx.services.wrapped.append(ctx.item))


def unwrap(ctx: LineCtx, _done: None) -> None:
    """Unwrap it."""
    ctx.services.guard.undo(ctx, lambda _: ctx.services.wrapped.remove(ctx.item))


def hold(ctx: Ctx) -> int:
    """Set the money aside."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.hold(ctx.input.total))


def let_go(ctx: Ctx, _amount: int | None) -> None:
    """Give it free."""
    ctx.services.guard.undo(ctx, ctx.services.let_go)


def is_dear(ctx: Ctx) -> bool:
    """More than 50.00 is approved by a person."""
    return ctx.input.total > 5_000


def approve(ctx: Ctx) -> str:
    """Ask the desk."""
    if ctx.input.total > 9_000:
        raise Rejected("too dear")
    return "the desk"


def take(ctx: Ctx) -> int:
    """Take the money."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.take(ctx.input.total))


def give(ctx: Ctx, _amount: int | None) -> None:
    """Set it aside again."""
    ctx.services.guard.undo(ctx, ctx.services.give)


def dispatch(ctx: Ctx) -> int:
    """Send everything; from here there is no way back."""
    return ctx.services.guard.act(ctx, ctx.services.leave)


def invoice(ctx: Ctx) -> None:
    """Send the invoice."""
    ctx.services.guard.act(ctx, lambda: ctx.services.notes.append("invoice"))


def receipt(ctx: Ctx) -> None:
    """Send the receipt."""
    ctx.services.guard.act(ctx, lambda: ctx.services.notes.append("receipt"))


def points(ctx: Ctx) -> None:
    """Add the points."""
    ctx.services.guard.act(ctx, lambda: ctx.services.notes.append("points"))


def close_order(ctx: Ctx) -> None:
    """Close the order."""
    ctx.services.guard.act(ctx, lambda: ctx.services.notes.append("closed"))


line: Saga[Basket, World, str] = Saga(
    "line",
    step(pick, compensate=put_back),
    step(wrap, compensate=unwrap),
)

payment: Saga[Basket, World] = Saga(
    "payment",
    step(hold, compensate=let_go),
    choice(is_dear, yes=readonly(approve), otherwise=SKIP),
    step(take, compensate=give),
)

saga: Saga[Basket, World] = Saga(
    "fulfilment",
    readonly(screen_fraud),
    step(open_order, compensate=strike_order),
    parallel(each(lambda ctx: ctx.input.items, line, max_items=3), payment),
    pivot(dispatch),
    parallel(retriable(invoice), retriable(receipt), retriable(points)),
    retriable(close_order),
    deadline=3600.0,
    contract=GUARDED,
)


def consistent(world: World, outcome: Outcome[Any]) -> bool:
    """Say whether the world agrees with the outcome."""
    return world.is_consistent(outcome)
