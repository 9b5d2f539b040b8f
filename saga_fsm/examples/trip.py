"""
A trip: a bed, the flights there and back, and the payment that settles it.

If the hotel is full its try is taken back and the hostel is asked (alternatives). The two flights
are a saga of their own: without a way home there is no way out.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeAlias

import attrs

from saga_fsm import GUARDED, Context, Outcome, Rejected, Saga, alternatives, pivot, step
from saga_fsm.examples._world import Guard, agrees, name_of


__all__ = ["INPUT", "World", "consistent", "saga"]


@attrs.frozen
class Trip:
    """Who travels where."""

    traveller: str
    city: str


INPUT = Trip(traveller="ada", city="Lisbon")


@attrs.define
class World:
    """
    What can be booked: beds and seats by name, and the traveller's purse.

    Args:
        free: how many are left of each.
        purse: what the traveller can spend.
        guard: keeps the promises of the participants.
    """

    free: dict[str, int] = attrs.field(
        factory=lambda: {"hotel": 1, "hostel": 1, "outbound": 1, "homebound": 1}
    )
    purse: int = 500
    guard: Guard = attrs.field(factory=Guard)
    bookings: list[str] = attrs.field(factory=list)
    paid: int = 0
    _opening: tuple[dict[str, int], int] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._opening = dict(self.free), self.purse

    def book(self, what: str) -> str:
        """Book one, if one is left."""
        if not self.free[what]:
            raise Rejected(f"no {what} left")
        self.free[what] -= 1
        self.bookings.append(what)
        return what

    def cancel(self, what: str) -> None:
        """Give it back."""
        self.bookings.remove(what)
        self.free[what] += 1

    def settle(self, price: int) -> int:
        """Pay for all of it."""
        if self.purse < price:
            raise Rejected(f"{price} to pay and only {self.purse} left")
        self.purse -= price
        self.paid += price
        return price

    def is_consistent(self, outcome: Outcome[Any]) -> bool:
        """One bed and both flights, paid, or nothing at all; and the books add up to just that."""
        landed = {name_of(path) for path in self.guard.landed(outcome.run_id)}
        beds = landed & {"book_hotel", "book_hostel"}
        bed = beds if len(beds) == 1 else {"one bed"}
        before = (*bed, "book_outbound", "book_homebound")
        return agrees(self.guard, outcome, before=before, after=("pay",)) and self._adds_up()

    def _adds_up(self) -> bool:
        """What is booked, left and paid is what the effects that stand, of all runs, come to."""
        standing = self.guard.standing
        steps = ("book_hotel", "book_hostel", "book_outbound", "book_homebound")
        booked = Counter(what for step in steps for _, what in standing(step))
        paid = sum(price for _, price in standing("pay"))
        free, purse = self._opening
        left = {what: count - booked[what] for what, count in free.items()}
        return (Counter(self.bookings), self.free, self.purse, self.paid) == (
            booked,
            left,
            purse - paid,
            paid,
        )


Ctx: TypeAlias = Context[Trip, World]
_PRICE = 350


def book_hotel(ctx: Ctx) -> str:
    """Take the hotel."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.book("hotel"))


def book_hostel(ctx: Ctx) -> str:
    """Take the hostel, when there is no hotel."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.book("hostel"))


def book_outbound(ctx: Ctx) -> str:
    """Fly there."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.book("outbound"))


def book_homebound(ctx: Ctx) -> str:
    """Fly back."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.book("homebound"))


def cancel(ctx: Ctx, _booking: str | None) -> None:
    """Give a booking back, whichever it is."""
    ctx.services.guard.undo(ctx, ctx.services.cancel)


def pay(ctx: Ctx) -> int:
    """Settle; from here there is no way back."""
    return ctx.services.guard.act(ctx, lambda: ctx.services.settle(_PRICE))


saga = Saga(
    "trip",
    alternatives(
        step(book_hotel, compensate=cancel),
        step(book_hostel, compensate=cancel),
        name="bed",
    ),
    Saga(
        "flights",
        step(book_outbound, compensate=cancel),
        step(book_homebound, compensate=cancel),
    ),
    pivot(pay),
    deadline=600.0,
    contract=GUARDED,
)


def consistent(world: World, outcome: Outcome[Any]) -> bool:
    """Say whether the world agrees with the outcome."""
    return world.is_consistent(outcome)
