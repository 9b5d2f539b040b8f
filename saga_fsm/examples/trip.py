"""
A trip: a bed, the flights there and back, and the payment that settles it.

If the hotel is full its try is taken back and the hostel is asked (alternatives). The two flights
are a saga of their own: without a way home there is no way out.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs

from saga_fsm import GUARDED, Context, Outcome, Rejected, Saga, Status, alternatives, pivot, step
from saga_fsm.examples._world import Guard, agrees


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
        """Either one bed and both flights, paid; or nothing at all."""
        if not agrees(self.guard, outcome):
            return False
        if outcome.status is Status.COMPLETED or self.paid:
            beds = {"hotel", "hostel"} & set(self.bookings)
            flights = set(self.bookings) - beds
            return len(beds) == 1 and flights == {"outbound", "homebound"} and self.paid == _PRICE
        return outcome.status is Status.STUCK or not self.bookings


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
