"""
Fulfilment: twelve steps with branches, copies, a choice and a saga in the saga.

The lines of the basket are picked one by one beside the payment; a dear basket needs a person's
approval; dispatching is the pivot, and after it papers, receipt and points follow in any order.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeAlias

import attrs

from saga_fsm import (
    GUARDED,
    SKIP,
    Context,
    Outcome,
    Rejected,
    Saga,
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

    @property
    def total(self) -> int:
        """What is to be paid."""
        return self.price * len(self.items)


INPUT = Basket(customer="ada", items=("teapot", "cup"), price=2_000)


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
    packed: list[tuple[str, str]] = attrs.field(factory=list)
    wrapped: list[tuple[str, str]] = attrs.field(factory=list)
    dispatched: list[str] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)
    _opening: tuple[dict[str, int], int] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._opening = dict(self.shelf), self.purse

    def pick(self, run_id: str, item: str) -> str:
        """Take one from the shelf into the run's own box."""
        if not self.shelf.get(item, 0):
            raise Rejected(f"no {item} left")
        self.shelf[item] -= 1
        self.packed.append((run_id, item))
        return item

    def put_back(self, run_id: str, item: str) -> None:
        """Put it on the shelf again."""
        self.packed.remove((run_id, item))
        self.shelf[item] += 1

    def wrap(self, run_id: str, item: str) -> str:
        """Put paper around it."""
        self.wrapped.append((run_id, item))
        return item

    def note(self, run_id: str, what: str) -> str:
        """Write down what was done about an order."""
        self.notes.append(f"{what} {run_id}")
        return self.notes[-1]

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

    def leave(self, run_id: str) -> int:
        """Send what is in the run's box, and nobody else's."""
        gone = [item for owner, item in self.packed if owner == run_id]
        self.packed = [(owner, item) for owner, item in self.packed if owner != run_id]
        self.dispatched.extend(gone)
        return len(gone)

    def is_consistent(self, outcome: Outcome[Any]) -> bool:
        """What the outcome claims stands and nothing else, and the books add up to just that."""
        lines = [run_id for run_id, _ in self.guard.standing("pick") if run_id == outcome.run_id]
        before = ["open_order", "hold", "take", *(["pick", "wrap"] if lines else [])]
        after = ["dispatch", "invoice", "receipt", "points", "close_order"]
        return agrees(self.guard, outcome, before=before, after=after) and self._adds_up()

    def _adds_up(self) -> bool:
        """Goods, money and notes are what the effects that stand, of all runs, made of them."""
        standing = self.guard.standing
        shelf, purse = Counter(self._opening[0]), self._opening[1]
        gone, picked = dict(standing("dispatch")), standing("pick")
        shelf.subtract(item for _, item in picked)
        packed = [(run_id, item) for run_id, item in picked if run_id not in gone]
        dispatched = [item for run_id, item in picked if run_id in gone]
        held, till = (sum(amount for _, amount in standing(step)) for step in ("hold", "take"))
        steps = ("open_order", "invoice", "receipt", "points", "close_order")
        notes = [note for step in steps for _, note in standing(step)]
        return (
            (Counter(self.shelf), self.purse) == (shelf, purse - held)
            and (self.held, self.till) == (held - till, till)
            and (Counter(self.packed), Counter(self.dispatched))
            == (Counter(packed), Counter(dispatched))
            and (Counter(self.wrapped), Counter(self.notes))
            == (Counter(standing("wrap")), Counter(notes))
        )


Ctx: TypeAlias = Context[Basket, World]
LineCtx: TypeAlias = Context[Basket, World, str]


def screen_fraud(ctx: Ctx) -> bool:
    """Look at the customer; nobody has to undo a look."""
    if ctx.input.customer == "mallory":
        raise Rejected("mallory again")
    return True


def open_order(ctx: Ctx) -> str:
    """Note that there is an order."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.note(ctx.run_id, "order"))


def strike_order(ctx: Ctx, _note: str | None) -> None:
    """Strike the note."""
    ctx.services.guard.undo(ctx, ctx.services.notes.remove)


def pick(ctx: LineCtx) -> str:
    """Take this line's item from the shelf."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.pick(ctx.run_id, ctx.item))


def put_back(ctx: LineCtx, _item: str | None) -> None:
    """Put it back."""
    ctx.services.guard.undo(ctx, lambda item: ctx.services.put_back(ctx.run_id, item))


def wrap(ctx: LineCtx) -> str:
    """Wrap it."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.wrap(ctx.run_id, ctx.item))


def unwrap(ctx: LineCtx, _item: str | None) -> None:
    """Unwrap it."""
    ctx.services.guard.undo(ctx, lambda item: ctx.services.wrapped.remove((ctx.run_id, item)))


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
    return ctx.services.guard.act(ctx, lambda: ctx.services.leave(ctx.run_id))


def invoice(ctx: Ctx) -> str:
    """Send the invoice."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.note(ctx.run_id, "invoice"))


def receipt(ctx: Ctx) -> str:
    """Send the receipt."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.note(ctx.run_id, "receipt"))


def points(ctx: Ctx) -> str:
    """Add the points."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.note(ctx.run_id, "points"))


def close_order(ctx: Ctx) -> str:
    """Close the order."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.note(ctx.run_id, "closed"))


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
