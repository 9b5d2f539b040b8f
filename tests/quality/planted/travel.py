"""Bugs in sagas of travellers: a trip, and a conference with a trip inside."""

# ruff: noqa: D101, D102 - a bug replaces one method, and its "why" says how

from __future__ import annotations

from typing import Any

import attrs

from saga_fsm import GUARDED as KEPT
from saga_fsm import Context, Contract, Rejected, Retry, Saga, Status, pivot, retriable, step
from tests.quality.planted.scene import SEVERAL, World, bug, monitored, played


GIVEN = {"guest": "ada", "price": 400}
ASKED = Contract(idempotent=True, sticky=True)


class Agency(World):
    """Rooms, seats, points, and a card that can be charged."""

    def __init__(self) -> None:
        super().__init__()
        self.rooms: dict[str, str] = {}
        self.seats = 1
        self.tickets: dict[str, str] = {}
        self.points = 0
        self.charged = 0
        self.mails: list[str] = []

    def book_room(self, ctx: Any) -> Any:
        """Book, and credit the guest's points."""
        return self.once(ctx.key, lambda: self._room(ctx.key, ctx.input["guest"]))

    def _room(self, key: str, guest: str) -> dict[str, str]:
        self.rooms[key] = guest
        self.points += 40
        return {"booking": key, "guest": guest}

    def cancel_room(self, ctx: Any, _booking: Any) -> None:
        """Take room and points back."""
        self.back(ctx.action_key, self._no_room)

    def _no_room(self, booking: dict[str, str]) -> None:
        del self.rooms[booking["booking"]]
        self.points -= 40

    def book_seat(self, ctx: Any) -> Any:
        """The last seat of the plane."""
        return self.once(ctx.key, lambda: self._seat(ctx.key, ctx.input["guest"]))

    def _seat(self, key: str, guest: str) -> str:
        if self.seats == 0:
            raise Rejected("the plane is full")
        self.seats -= 1
        self.tickets[key] = guest
        return key

    def cancel_seat(self, ctx: Any, _ticket: Any) -> None:
        """Free it."""
        self.back(ctx.action_key, self._no_seat)

    def _no_seat(self, ticket: str) -> None:
        del self.tickets[ticket]
        self.seats += 1

    def charge(self, ctx: Any) -> Any:
        """Charge the card."""
        return self.once(ctx.key, lambda: self._charge(ctx.input["price"]))

    def _charge(self, price: int) -> str:
        self.charged += price
        return f"paid {price}"

    def receipt(self, ctx: Any) -> str:
        """What the bill says; without a word from the card company, what the books say."""
        return str(ctx.result_of("pay", None) or f"paid {self.charged}")

    def charged_yet(self, ctx: Any) -> Any:
        """Ask for a charge, and see that none comes."""
        return self.asked(ctx.key)

    def mail(self, ctx: Any) -> Any:
        """Send the papers, with the receipt's words."""
        return self.once(ctx.key, lambda: self.mails.append(self.receipt(ctx)))


def book_hotel(ctx: Any) -> Any:
    """Book the room."""
    return ctx.services.book_room(ctx)


def cancel_hotel(ctx: Any, booking: Any | None) -> None:
    """Cancel the room."""
    ctx.services.cancel_room(ctx, booking)


def book_flight(ctx: Any) -> Any:
    """Book the seat."""
    return ctx.services.book_seat(ctx)


def cancel_flight(ctx: Any, ticket: Any | None) -> None:
    """Cancel the seat."""
    ctx.services.cancel_seat(ctx, ticket)


def pay(ctx: Any) -> Any:
    """Charge the card."""
    return ctx.services.charge(ctx)


def paid(ctx: Any) -> Any:
    """Ask whether the card was charged."""
    return ctx.services.charged_yet(ctx)


def send_papers(ctx: Any) -> None:
    """Mail the papers."""
    ctx.services.mail(ctx)


def trip(**other: Any) -> Saga[Any, Any]:
    """Hotel, flight, payment, papers."""
    cancels_hotel = monitored(other.get("cancel_hotel", cancel_hotel))
    hotel = step(
        other.get("book_hotel", book_hotel),
        name="hotel",
        compensate=cancels_hotel,
        retry=SEVERAL,
    )
    flight = step(
        book_flight,
        name="flight",
        compensate=monitored(other.get("cancel_flight", cancel_flight)),
        retry=SEVERAL,
    )
    paying = pivot(
        other.get("pay", pay),
        name="pay",
        query=other.get("paid", paid),
        retry=other.get("retry", Retry(attempts=2, wait_initial=0.1)),
        contract=ASKED,
    )
    return Saga("trip", hotel, flight, paying, retriable(send_papers), contract=KEPT)


def all_or_nothing(world: Any, outcome: Any) -> bool:
    """A trip is whole, paid once and papers sent; or nothing is held and nothing charged."""
    if outcome.status is Status.COMPLETED:
        held = (len(world.rooms), len(world.tickets), world.seats, world.points, world.charged)
        return held == (1, 1, 0, 40, 400) and world.mails == ["paid 400"]
    held = (len(world.rooms), len(world.tickets), world.seats, world.points, world.charged)
    return held == (0, 0, 1, 0, 0) and not world.mails


class PointsAgency(Agency):
    def _no_room(self, booking: dict[str, str]) -> None:
        del self.rooms[booking["booking"]]


class StrictAgency(Agency):
    def cancel_room(self, ctx: Any, booking: Any) -> None:
        known = self.kept[ctx.action_key]
        self.kept[ctx.action_key] = ("undone", "it was taken back")
        if known[0] == "applied":
            self._no_room(known[1])


class EagerAgency(Agency):
    """Takes the seat first, and looks afterwards."""

    def book_seat(self, ctx: Any) -> Any:
        self.seats -= 1
        if ctx.key not in self.kept and self.seats < 0:
            self.seats += 1
            raise Rejected("the plane is full")
        return self.once(ctx.key, lambda: self._ticket(ctx.key, ctx.input["guest"]))

    def _ticket(self, key: str, guest: str) -> str:
        self.tickets[key] = guest
        return key


class ForgetfulAgency(Agency):
    """Writes down only cancellations of what was booked."""

    def book_room(self, ctx: Any) -> Any:
        if self.kept.get(ctx.key, ("",))[0] == "undone":
            raise Rejected("it was taken back")
        return super().book_room(ctx)

    def cancel_room(self, ctx: Any, booking: Any) -> None:
        # Only what was booked is worth a line in the book.
        if self.kept.get(ctx.action_key, ("",))[0] == "applied":
            super().cancel_room(ctx, booking)


class LyingAgency(Agency):
    """Looks the charge up under a name that nobody writes."""

    def charged_yet(self, ctx: Any) -> Any:
        return self.asked(f"{ctx.key}/charge")


class LookingAgency(Agency):
    """Answers what is there now; what comes later, comes."""

    def charged_yet(self, ctx: Any) -> Any:
        mark, value = self.kept.get(ctx.key, ("", ""))
        if mark == "applied":
            return value
        raise Rejected("nothing was charged")


class ChargingAgency(Agency):
    """Where there is no charge to be found, makes one."""

    def charged_yet(self, ctx: Any) -> Any:
        mark, value = self.kept.get(ctx.key, ("", ""))
        return value if mark == "applied" else self._charge(ctx.input["price"])


class TersAgency(Agency):
    """Says of a repetition only that it is one."""

    def charge(self, ctx: Any) -> Any:
        if self.kept.get(ctx.key, ("",))[0] == "applied":
            return "paid 0"
        return super().charge(ctx)


class LineAgency(Agency):
    """Its line to the card company breaks once, behind the charge."""

    broken = False

    def charge(self, ctx: Any) -> Any:
        value = super().charge(ctx)
        if not self.broken:
            self.broken = True
            raise TimeoutError("no answer from the card company")
        return value


def named_by_guest(ctx: Any) -> Any:
    """Book, and give the guest's name back: that is what people ask for."""
    return ctx.services.book_room(ctx)["guest"]


def cancel_by_guest(ctx: Any, guest: Any | None) -> None:
    """Cancel what the action said it had booked."""
    agency = ctx.services
    if guest is not None and guest not in agency.rooms:
        return
    agency.cancel_room(ctx, guest)


def cancel_by_number(ctx: Any, booking: Any | None) -> None:
    """Cancel what has this number."""
    if ctx.services.kept.get(ctx.action_key, ("",))[0] == "undone":
        return
    assert booking["booking"]
    ctx.services.cancel_room(ctx, booking)


def cancel_by_result(ctx: Any, _ticket: Any | None) -> None:
    """Cancel the flight whose number stands among the results."""
    ctx.services.back(ctx.results["flight"], ctx.services._no_seat)


def pay_or_not(ctx: Any) -> Any:
    """Charge; a card company that does not answer has declined."""
    try:
        return ctx.services.charge(ctx)
    except TimeoutError as error:
        raise Rejected("declined") from error


def _trip(name: str, where: Any, why: str, script: str, **parts: Any) -> Any:
    world = parts.get("world", Agency)
    return bug(
        name,
        where,
        why,
        saga=parts.get("saga", trip),
        world=world,
        healthy=parts.get("healthy", (trip, Agency)),
        given=GIVEN,
        consistent=all_or_nothing,
        script=script,
    )


TRIP = (
    _trip(
        "points are not taken back",
        "world",
        "The booking has two effects, the cancellation undoes one.",
        "hotel hotel-",
        world=PointsAgency,
    ),
    _trip(
        "cancelling what was never booked",
        "world",
        "The hotel raises KeyError for a booking that it has not: a null compensation is stuck.",
        "hotel-?",
        world=StrictAgency,
    ),
    _trip(
        "the seat is taken before the check",
        "world",
        "The effect stands before the look at the key: a repetition takes one more seat.",
        "flight flight",
        world=EagerAgency,
    ),
    _trip(
        "a cancellation of nothing is forgotten",
        "world",
        "The hotel keeps no record of an undo that found nothing: the late booking stands.",
        "hotel-? hotel",
        world=ForgetfulAgency,
    ),
    _trip(
        "the query looks in the wrong place",
        "world",
        "The query asks under another key and always says that nothing was charged.",
        "pay pay?",
        world=LyingAgency,
    ),
    _trip(
        "the query does not fence",
        "world",
        "The query answers no, and the charge that is still on its way lands afterwards.",
        "pay? pay",
        world=LookingAgency,
    ),
    _trip(
        "the query charges",
        "world",
        "Where it finds no charge the query makes one, without a key.",
        "pay? pay?",
        world=ChargingAgency,
    ),
    _trip(
        "the repetition answers something else",
        "world",
        "The same key has one effect but not one answer: the papers say that nothing was paid.",
        "pay pay",
        world=TersAgency,
    ),
    _trip(
        "no answer taken for a no",
        "step",
        "A timeout is turned into Rejected, but the card had been charged.",
        "run",
        saga=lambda: trip(pay=pay_or_not),
        world=LineAgency,
        healthy=(trip, LineAgency),
    ),
    _trip(
        "the result is not what the undo needs",
        "step",
        "The action returns the guest's name; the undo looks for a room of that number.",
        "hotel hotel-",
        saga=lambda: trip(book_hotel=named_by_guest, cancel_hotel=cancel_by_guest),
    ),
    _trip(
        "the undo takes a result for granted",
        "step",
        "The undo indexes a result that is None when the answer was lost.",
        "hotel hotel-?",
        saga=lambda: trip(cancel_hotel=cancel_by_number),
    ),
    _trip(
        "the undo reads results by name",
        "step",
        "ctx.results has no result of a step whose answer was lost: KeyError in the undo.",
        "flight-?",
        saga=lambda: trip(cancel_flight=cancel_by_result),
    ),
)


# ---------------------------------------------------------------------- a trip inside a saga


def register(ctx: Any) -> Any:
    """Register the guest."""
    return ctx.services.once(ctx.key, lambda: ctx.services.mails.append("registered"))


def unregister(ctx: Any, _result: Any | None) -> None:
    """Take the registration back."""
    ctx.services.back(ctx.action_key, lambda _: ctx.services.mails.remove("registered"))


def badge(ctx: Any) -> Any:
    """Print the badge: the guest comes."""
    return ctx.services.charge(ctx)


def cancel_all(ctx: Any, _results: Any) -> None:
    """Take the whole trip back."""
    agency = ctx.services
    agency.back(f"{ctx.action_key}/hotel", agency._no_room)
    agency.back(f"{ctx.action_key}/flight", agency._no_seat)


def conference(whole: Any = cancel_all, inner: Any = cancel_hotel) -> Saga[Any, Any]:
    """Register, travel, come."""
    travel = Saga(
        "travel",
        step(book_hotel, name="hotel", compensate=monitored(inner), retry=SEVERAL),
        step(book_flight, name="flight", compensate=monitored(cancel_flight), retry=SEVERAL),
        compensate=None if whole is None else monitored(whole),
    )
    return Saga(
        "conference",
        step(register, compensate=monitored(unregister), retry=SEVERAL),
        travel,
        pivot(badge, retry=Retry.forever(wait_initial=0.1)),
        contract=KEPT,
    )


def there_or_not(world: Any, outcome: Any) -> bool:
    """The guest is registered, has a trip and a badge; or nothing of it."""
    there = int(outcome.status is Status.COMPLETED)
    held = (len(world.rooms), len(world.tickets), world.seats, world.points)
    return (
        held == (there, there, 1 - there, 40 * there)
        and len(world.mails) == there
        and world.charged == 400 * there
    )


def cancel_by_path(ctx: Any, results: Any) -> None:
    """Take the trip back by the results that are known, under their whole path."""
    agency = ctx.services
    for name, undo in (("hotel", agency._no_room), ("flight", agency._no_seat)):
        if results.get(f"travel/{name}") is not None:
            agency.back(f"{ctx.action_key}/{name}", undo)


def left_to_the_whole(ctx: Any, _booking: Any | None) -> None:
    """Nothing to do: the whole trip's compensation cancels the hotel."""


def cancel_unguarded(ctx: Any, _results: Any) -> None:
    """Free whatever the guest has."""
    agency = ctx.services
    guest = ctx.input["guest"]
    for key in [key for key, name in agency.rooms.items() if name == guest]:
        del agency.rooms[key]
    agency.points -= 40
    agency.tickets.clear()
    agency.seats += 1


def _conference(name: str, why: str, script: str, saga: Any) -> Any:
    return bug(
        name,
        "step",
        why,
        saga=saga,
        world=Agency,
        healthy=(conference, Agency),
        given=GIVEN,
        consistent=there_or_not,
        script=script,
    )


class _NoBadge(Agency):
    """Has no badge for anybody: the scene in which a trip goes back."""

    def charge(self, ctx: Any) -> Any:
        raise Rejected("no badge")


def _goes_back() -> bool:
    """Without a badge the trip is taken back: or not."""
    wrong = played(lambda: conference(whole=cancel_by_path), _NoBadge, GIVEN, "run")
    return bool(wrong != played(conference, _NoBadge, GIVEN, "run"))


def _twice(whole: Any) -> Any:
    agency = Agency()
    for book in (book_hotel, book_flight):
        name = book.__name__.removeprefix("book_")
        book(Context(input=GIVEN, services=agency, key=f"run/travel/{name}"))
    for _ in range(2):
        whole(Context(input=GIVEN, services=agency, action_key="run/travel"), {})
    return agency.view()


CONFERENCE = (
    attrs.evolve(
        _conference(
            "the whole is undone by the wrong names",
            "The results of a nested saga are named from within; by the outer path none is found.",
            "run",
            lambda: conference(whole=cancel_by_path),
        ),
        shows=_goes_back,
    ),
    _conference(
        "the inner undo is left to the whole",
        "A nested saga that is not finished goes back step by step, and this step does nothing.",
        "travel/hotel travel/hotel-",
        lambda: conference(inner=left_to_the_whole),
    ),
    attrs.evolve(
        _conference(
            "the whole is undone without its keys",
            "The undo frees what the guest has each time it is called, and closes no key.",
            "run",
            lambda: conference(whole=cancel_unguarded),
        ),
        shows=lambda: _twice(cancel_unguarded) != _twice(cancel_all),
    ),
)
