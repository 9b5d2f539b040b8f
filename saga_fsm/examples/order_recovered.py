"""
The order in a process that dies: what is journalled is carried on with, nothing is done twice.

``World(dies_at=n)`` kills the process at the n-th call, after the effect and before the answer is
written down: the one moment after which nobody can know. A dead process writes nothing more, which
is what ``MortalJournal`` sees to. Running the same id on the same journal again is the recovery.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import attrs

from saga_fsm import GUARDED, Context, Outcome, Saga, pivot, retriable, run, step
from saga_fsm.examples.order import INPUT, Goods, Order, Payment
from saga_fsm.examples.order import World as Shop
from saga_fsm.journals.memory import MemoryJournal


__all__ = ["INPUT", "ProcessDied", "World", "consistent", "run_through_deaths", "saga"]


class ProcessDied(BaseException):
    """What stands for a process that is gone."""


@attrs.define
class World(Shop):
    """
    The same shop; its process dies at the n-th call.

    Args:
        dies_at: number of the call after whose effect the process dies; 0 for never.
        calls: names of the calls, in order, over all processes.
    """

    dies_at: int = attrs.field(default=0, kw_only=True)
    calls: list[str] = attrs.field(factory=list, init=False)
    dead: bool = attrs.field(default=False, init=False)

    def called(self, name: str) -> None:
        """Note a call whose effect is there; die if it is the one."""
        self.calls.append(name)
        self.dead = len(self.calls) == self.dies_at


class MortalJournal(MemoryJournal):
    """A journal that outlives its process, and to which a dead process writes nothing."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def append(self, run_id: str, entries: Sequence[Any], *, expected: int) -> int:
        """Add the entries, if anybody is there to write them."""
        if self.world.dead:
            raise ProcessDied
        return super().append(run_id, entries, expected=expected)


Ctx: TypeAlias = Context[Order, World]


def create_order(ctx: Ctx) -> str:
    """Open the order."""
    opened = ctx.services.guard.act(ctx, lambda: ctx.services.create(ctx.run_id))
    ctx.services.called("create_order")
    return opened


def cancel_order(ctx: Ctx, _order_id: str | None) -> None:
    """Close it as cancelled."""
    ctx.services.guard.undo(ctx, ctx.services.cancel)
    ctx.services.called("cancel_order")


def charge(ctx: Ctx) -> Payment:
    """Take the money."""
    order = ctx.input
    payment = ctx.services.guard.act(ctx, lambda: ctx.services.pay(order.customer, order.total))
    ctx.services.called("charge")
    return payment


def refund(ctx: Ctx, _payment: Payment | None) -> None:
    """Pay the customer back."""
    ctx.services.guard.undo(ctx, ctx.services.pay_back)
    ctx.services.called("refund")


def reserve_stock(ctx: Ctx) -> Goods:
    """Set the goods aside."""
    order = ctx.input
    taken = ctx.services.guard.act(ctx, lambda: ctx.services.reserve(order.item, order.quantity))
    ctx.services.called("reserve_stock")
    return taken


def release_stock(ctx: Ctx, _goods: Goods | None) -> None:
    """Put the goods back."""
    ctx.services.guard.undo(ctx, ctx.services.put_back)
    ctx.services.called("release_stock")


def ship(ctx: Ctx) -> str:
    """Hand the goods to the carrier."""
    order = ctx.input
    parcel = ctx.services.guard.act(ctx, lambda: ctx.services.send(order.item, order.quantity))
    ctx.services.called("ship")
    return parcel


def send_receipt(ctx: Ctx) -> None:
    """Tell the customer."""
    ctx.services.guard.act(ctx, lambda: ctx.services.receipts.append(ctx.run_id))
    ctx.services.called("send_receipt")


saga = Saga(
    "order_recovered",
    step(create_order, compensate=cancel_order),
    step(charge, compensate=refund),
    step(reserve_stock, compensate=release_stock),
    pivot(ship),
    retriable(send_receipt),
    deadline=1800.0,
    contract=GUARDED,
)


def run_through_deaths(world: World, order: Order = INPUT, **options: Any) -> Outcome[Any]:
    """Run to the end, starting a new process, on the same journal, whenever one dies."""
    journal = MortalJournal(world)
    while True:
        world.dead = False
        try:
            return run(saga, order, services=world, journal=journal, run_id="order-1", **options)
        except ProcessDied:
            continue


def consistent(world: World, outcome: Outcome[Any]) -> bool:
    """Say whether the world agrees with the outcome."""
    return world.is_consistent(outcome)
