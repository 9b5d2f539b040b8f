"""Bugs in sagas of goods and people: parallel stock, lines, subscriptions, uploads, two ways."""

# ruff: noqa: D101, D102 - a bug replaces one method, and its "why" says how

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import attrs

from saga_fsm import (
    GUARDED,
    PENDING,
    Context,
    Rejected,
    Saga,
    Status,
    alternatives,
    each,
    parallel,
    pivot,
    readonly,
    retriable,
    run,
    step,
)
from saga_fsm.testing.clock import VirtualClock
from tests.quality.planted.scene import SEVERAL, World, bug, monitored


# ---------------------------------------------------------------------- two parts of one shelf


class Shelf(World):
    """One row with what is free; two branches take from it, async as a client of a store is."""

    def __init__(self) -> None:
        super().__init__()
        self.free = 10
        self.taken: dict[str, int] = {}
        self.shipped = 0

    async def take(self, ctx: Any, count: int) -> Any:
        await asyncio.sleep(0)
        return self.once(ctx.key, lambda: self._move(ctx.step, count))

    def _move(self, name: str, count: int) -> int:
        self.free -= count
        self.taken[name] = self.taken.get(name, 0) + count
        return count

    def put_back(self, ctx: Any) -> None:
        self.back(ctx.action_key, lambda count: self._move(ctx.step, -count))

    def ship(self, ctx: Any) -> Any:
        return self.once(ctx.key, self._ship)

    def _ship(self) -> None:
        self.shipped += 1


async def take_cups(ctx: Any) -> Any:
    """Take two cups."""
    return await ctx.services.take(ctx, 2)


async def take_pots(ctx: Any) -> Any:
    """Take one pot."""
    return await ctx.services.take(ctx, 1)


def put_back(ctx: Any, _count: Any | None) -> None:
    """Put them back."""
    ctx.services.put_back(ctx)


def ship(ctx: Any) -> Any:
    """Send the parcel."""
    return ctx.services.ship(ctx)


def parcel() -> Saga[Any, Any]:
    """Cups beside pots, then the parcel."""
    return Saga(
        "parcel",
        parallel(
            step(take_cups, compensate=monitored(put_back), retry=SEVERAL),
            step(take_pots, compensate=monitored(put_back), retry=SEVERAL),
        ),
        pivot(ship),
        contract=GUARDED,
    )


def shelf_adds_up(world: Any, outcome: Any) -> bool:
    """Free and taken are ten together; three are taken and shipped, or none."""
    sent = int(outcome.status is Status.COMPLETED)
    return (world.free, sum(world.taken.values()), world.shipped) == (10 - 3 * sent, 3 * sent, sent)


class RacingShelf(Shelf):
    """Reads, waits, writes."""

    async def take(self, ctx: Any, count: int) -> Any:
        known = self.kept.get(ctx.key)
        if known is not None:
            return await super().take(ctx, count)
        free = self.free
        await asyncio.sleep(0.001)
        value = await super().take(ctx, count)
        self.free = free - count
        return value


class SnapshotShelf(Shelf):
    """Undoes by writing what was free before."""

    def _move(self, name: str, count: int) -> int:
        before = self.free
        super()._move(name, count)
        vars(self).setdefault("_before", {}).setdefault(name, before)
        return count

    def put_back(self, ctx: Any) -> None:
        super().put_back(ctx)
        if ctx.step in vars(self).get("_before", {}):
            self.free = vars(self)["_before"][ctx.step]

    def view(self) -> dict[str, Any]:
        return {name: text for name, text in super().view().items() if name != "_before"}


class LastShelf(Shelf):
    """Remembers its last reservation, for whoever takes it back."""

    last = ""

    async def take(self, ctx: Any, count: int) -> Any:
        value = await super().take(ctx, count)
        self.last = ctx.key
        return value

    def put_back(self, ctx: Any) -> None:
        self.back(self.last or ctx.action_key, lambda count: self._move(ctx.step, -count))

    def view(self) -> dict[str, Any]:
        return {name: text for name, text in super().view().items() if name != "last"}


def _parcel(name: str, why: str, script: str, world: Any) -> Any:
    return bug(
        name,
        "world",
        why,
        saga=parcel,
        world=world,
        healthy=(parcel, Shelf),
        given=None,
        consistent=shelf_adds_up,
        script=script,
    )


def _raced(world: Any) -> Any:
    shelf = world()

    async def both() -> None:
        pots = Context(services=shelf, step="take_pots", key="run/take_pots")
        cups = Context(services=shelf, step="take_cups", key="run/take_cups")
        await asyncio.gather(take_cups(cups), take_pots(pots))

    asyncio.run(both())
    return shelf.view()


PARCEL = (
    attrs.evolve(
        _parcel(
            "two branches write one row",
            "Each reads what is free, waits, and writes: one of the two updates is lost.",
            "run",
            RacingShelf,
        ),
        shows=lambda: _raced(RacingShelf) != _raced(Shelf),
    ),
    _parcel(
        "the undo writes what was free before",
        "A branch's undo restores a count that the other branch has changed meanwhile.",
        "take_cups take_pots take_cups-",
        SnapshotShelf,
    ),
    _parcel(
        "the last reservation for all",
        "One variable keeps the last reservation; the undo of the other takes that back.",
        "take_cups take_pots take_cups- take_pots-",
        LastShelf,
    ),
)


# ---------------------------------------------------------------------- lines of an order

LINES = {"lines": ["tea", "cup", "pot"]}


class Store(World):
    """Reserves one piece a line."""

    def __init__(self) -> None:
        super().__init__()
        self.reserved: list[str] = []
        self.bills = 0

    def reserve(self, ctx: Any) -> Any:
        return self.once(ctx.key, lambda: self._reserve(ctx.item))

    def _reserve(self, item: str) -> str:
        self.reserved.append(item)
        return item

    def release(self, ctx: Any, _item: Any) -> None:
        self.back(ctx.action_key, self.reserved.remove)

    def bill(self, ctx: Any) -> Any:
        return self.once(ctx.key, self._bill)

    def _bill(self) -> None:
        self.bills += 1


def reserve(ctx: Any) -> Any:
    """Reserve this line."""
    return ctx.services.reserve(ctx)


def release(ctx: Any, item: Any | None) -> None:
    """Release this line."""
    ctx.services.release(ctx, item)


def bill(ctx: Any) -> Any:
    """Send the bill."""
    return ctx.services.bill(ctx)


def order() -> Saga[Any, Any]:
    """Every line, then the bill."""
    line = step(reserve, name="line", compensate=monitored(release), retry=SEVERAL)
    return Saga(
        "order",
        each(lambda ctx: ctx.input["lines"], line, max_items=3, name="lines"),
        pivot(bill),
        contract=GUARDED,
    )


def all_lines_or_none(world: Any, outcome: Any) -> bool:
    """Every line is reserved once and billed, or none is."""
    done = outcome.status is Status.COMPLETED
    wanted = sorted(LINES["lines"]) if done else []
    return sorted(world.reserved) == wanted and world.bills == int(done)


class OneKeyStore(Store):
    def reserve(self, ctx: Any) -> Any:
        key = f"{ctx.run_id}/line"
        return self.once(key, lambda: self._reserve(ctx.item))


class SweepingStore(Store):
    def release(self, ctx: Any, _item: Any) -> None:
        run = ctx.action_key.partition("/")[0]
        for key in [key for key in self.kept if key.startswith(f"{run}/line")]:
            mark, item = self.kept.pop(key)
            if mark == "applied":
                self.reserved.remove(item)


class NeighbourStore(Store):
    """Counts lines from one, where they are counted from zero."""

    def release(self, ctx: Any, _item: Any) -> None:
        item = ctx.input["lines"][ctx.index - 1]
        self.back(ctx.action_key, lambda _: self.reserved.remove(item))


def _order(name: str, why: str, script: str, world: Any) -> Any:
    return bug(
        name,
        "world",
        why,
        saga=order,
        world=world,
        healthy=(order, Store),
        given=LINES,
        consistent=all_lines_or_none,
        script=script,
    )


ORDER = (
    _order(
        "a key without the line's number",
        "All lines have one key: only the first is reserved.",
        "line[0] line[1]",
        OneKeyStore,
    ),
    _order(
        "the first undo sweeps the run",
        "The undo of one line releases all, and forgets their keys.",
        "line[0] line[1] line[1]- line[1]",
        SweepingStore,
    ),
    _order(
        "the neighbour's line is released",
        "The undo looks its item up by a number that counts from one.",
        "line[0] line[1] line[1]-",
        NeighbourStore,
    ),
)


# ---------------------------------------------------------------------- a subscription


class Club(World):
    """Holds a deposit, asks somebody, and makes a member."""

    def __init__(self) -> None:
        super().__init__()
        self.purse = 100
        self.held = 0
        self.fee = 30
        self.numbers = 0
        self.members = 0
        self.letters = 0
        self.state = "new"

    def hold(self, ctx: Any) -> Any:
        return self.once(ctx.key, self._hold)

    def _hold(self) -> int:
        self.purse -= self.fee
        self.held += self.fee
        self.state = "held"
        return self.fee

    def free(self, ctx: Any) -> None:
        self.back(ctx.action_key, self._free)

    def _free(self, amount: int) -> None:
        self.purse += amount
        self.held -= amount
        self.state = "new"

    def number(self, ctx: Any) -> Any:
        return self.once(ctx.key, self._number)

    def _number(self) -> int:
        self.numbers += 1
        return self.numbers

    def give_up(self, ctx: Any) -> None:
        self.back(ctx.action_key, self._no_number)

    def _no_number(self, _number: int) -> None:
        self.numbers -= 1

    def join(self, ctx: Any) -> Any:
        return self.once(ctx.key, self._join)

    def _join(self) -> None:
        self.members += 1

    def welcome(self, ctx: Any) -> Any:
        return self.once(ctx.key, self._welcome)

    def _welcome(self) -> None:
        self.letters += 1


def hold(ctx: Any) -> Any:
    """Hold the deposit."""
    return ctx.services.hold(ctx)


def free(ctx: Any, _amount: Any | None) -> None:
    """Free it."""
    ctx.services.free(ctx)


def approve(ctx: Any) -> Any:
    """Ask somebody, who answers later."""
    return PENDING


def number(ctx: Any) -> Any:
    """Take a membership number."""
    return ctx.services.number(ctx)


def give_up(ctx: Any, _number: Any | None) -> None:
    """Give it up."""
    ctx.services.give_up(ctx)


def join(ctx: Any) -> Any:
    """Become a member."""
    return ctx.services.join(ctx)


def welcome(ctx: Any) -> None:
    """Write a letter."""
    ctx.services.welcome(ctx)


ANSWERS = {"approve": lambda ctx: "ada"}


def subscription(numbered: Any = None, free: Any = free) -> Saga[Any, Any]:
    """Hold, number, ask, join, welcome."""
    return Saga(
        "subscription",
        step(hold, compensate=monitored(free), retry=SEVERAL),
        numbered or step(number, compensate=monitored(give_up), retry=SEVERAL),
        readonly(approve),
        pivot(join),
        retriable(monitored(welcome), name="welcome"),
        contract=GUARDED,
    )


def member_or_not(world: Any, outcome: Any) -> bool:
    """A member who was welcomed once and has a number, or nothing of it and the money back."""
    there = int(outcome.status is Status.COMPLETED)
    money = (world.purse, world.held)
    counts = {world.numbers, world.members, world.letters}
    return money == (100 - 30 * there, 30 * there) and counts == {there}


def free_today(ctx: Any, _amount: Any | None) -> None:
    """Free what the fee is today."""
    club = ctx.services
    club.back(ctx.action_key, lambda _: club._free(club.fee))


class DearerClub(Club):
    """With each number the fee goes up."""

    def _number(self) -> int:
        self.fee += 5
        return super()._number()


class StateClub(Club):
    """Frees only what is still as the hold has left it."""

    def _number(self) -> int:
        self.state = "numbered"
        return super()._number()

    def _no_number(self, _number: int) -> None:
        super()._no_number(_number)
        self.state = "given up"

    def _free(self, amount: int) -> None:
        if self.state != "held":
            raise ValueError(self.state)
        super()._free(amount)


class PlainClub(StateClub):
    """The same states, and frees in each."""

    def _free(self, amount: int) -> None:
        Club._free(self, amount)


class RefusingClub(Club):
    """Answers a repeated letter with a refusal."""

    def welcome(self, ctx: Any) -> Any:
        if ctx.key in self.kept:
            raise Rejected("that letter was sent")
        return super().welcome(ctx)


def _looked_up() -> Saga[Any, Any]:
    return subscription(numbered=readonly(number, retry=SEVERAL))


class FullClub(Club):
    def join(self, ctx: Any) -> Any:
        raise Rejected("the club is full")


def _went_back(saga: Any) -> Any:
    club = FullClub()
    answers: Any = ANSWERS
    run(saga(), None, services=club, answers=answers, clock=VirtualClock())
    return club.view()


def _club(name: str, where: Any, why: str, script: str, **parts: Any) -> Any:
    return bug(
        name,
        where,
        why,
        saga=parts.get("saga", subscription),
        world=parts.get("world", Club),
        healthy=(subscription, parts.get("sound", Club)),
        given=None,
        consistent=member_or_not,
        script=script,
        answers=ANSWERS,
    )


CLUB = (
    attrs.evolve(
        _club(
            "a number is only looked up",
            "step",
            "A step that takes a number is declared readonly: nobody gives the number up.",
            "number",
            saga=_looked_up,
        ),
        shows=lambda: _went_back(_looked_up) != _went_back(subscription),
    ),
    _club(
        "the refund is today's fee",
        "step",
        "The undo reads a value that a later step has changed, not the one that was paid.",
        "hold number hold-",
        saga=lambda: subscription(free=free_today),
        world=DearerClub,
        sound=DearerClub,
    ),
    _club(
        "the undo knows one state",
        "world",
        "Freeing a deposit raises in the state that a later step and its undo leave behind.",
        "hold number number- hold-",
        world=StateClub,
        sound=PlainClub,
    ),
    _club(
        "a duty that refuses its repetition",
        "world",
        "What must happen answers its second call with a rejection, and the run is stuck.",
        "welcome welcome",
        world=RefusingClub,
    ),
)


# ---------------------------------------------------------------------- uploads, and two ways


class Later:
    """What an async client answers: nothing happens until it is awaited."""

    def __init__(self, work: Any) -> None:
        self.work = work

    def __await__(self) -> Generator[Any, None, Any]:
        yield from asyncio.sleep(0).__await__()
        return self.work()


class Media(World):
    """Keeps files and what is published; the last seat is in a plane or on a train."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[str] = []
        self.published: list[str] = []

    def upload(self, ctx: Any) -> Later:
        return Later(lambda: self.once(ctx.key, lambda: self._add(self.files, ctx.run_id)))

    def delete(self, ctx: Any) -> Later:
        return Later(lambda: self.back(ctx.action_key, self.files.remove))

    def publish(self, ctx: Any) -> Later:
        return Later(lambda: self.once(ctx.key, lambda: self._add(self.published, ctx.run_id)))

    @staticmethod
    def _add(some: list[str], name: str) -> str:
        some.append(name)
        return name


async def upload(ctx: Any) -> Any:
    """Upload the film."""
    return await ctx.services.upload(ctx)


async def delete(ctx: Any, _name: Any | None) -> None:
    """Delete it."""
    await ctx.services.delete(ctx)


async def delete_unawaited(ctx: Any, _name: Any | None) -> None:
    """Delete it, says the author."""
    ctx.services.delete(ctx)


async def publish(ctx: Any) -> Any:
    """Show it to all."""
    return await ctx.services.publish(ctx)


def film(delete: Any = delete) -> Saga[Any, Any]:
    """Upload, publish."""
    return Saga(
        "film",
        step(upload, compensate=delete, retry=SEVERAL),
        pivot(publish),
        contract=GUARDED,
    )


def film_or_not(world: Any, outcome: Any) -> bool:
    """One file that is published, or none."""
    there = int(outcome.status is Status.COMPLETED)
    return (len(world.files), len(world.published)) == (there, there)


class Carriers(World):
    """The plane is full when it is first asked; then somebody cancels. The train has room."""

    def __init__(self) -> None:
        super().__init__()
        self.seats = 0
        self.tickets: list[str] = []

    def fly(self, ctx: Any) -> Any:
        return self.once(ctx.key, self._fly)

    def _fly(self) -> str:
        if self.seats == 0:
            self.seats = 1
            raise Rejected("the plane is full")
        self.seats -= 1
        return self._ticket("plane")

    def _ticket(self, name: str) -> str:
        self.tickets.append(name)
        return name

    def ride(self, ctx: Any) -> Any:
        return self.once(ctx.key, lambda: self._ticket("train"))

    def cancel(self, ctx: Any) -> None:
        self.back(ctx.action_key, self.tickets.remove)


class Forgetting(Carriers):
    def fly(self, ctx: Any) -> Any:
        try:
            return super().fly(ctx)
        except Rejected:
            if self.kept[ctx.key][0] == "rejected":
                del self.kept[ctx.key]
            raise


def cancel(ctx: Any, _ticket: Any | None) -> None:
    """Cancel the ticket."""
    ctx.services.cancel(ctx)


def fly(ctx: Any) -> Any:
    """Take the plane."""
    return ctx.services.fly(ctx)


def ride(ctx: Any) -> Any:
    """Take the train."""
    return ctx.services.ride(ctx)


def journey() -> Saga[Any, Any]:
    """By plane, else by train."""
    return Saga(
        "journey",
        alternatives(
            Saga("air", step(fly, compensate=monitored(cancel))),
            Saga("rail", step(ride, compensate=monitored(cancel), retry=SEVERAL)),
        ),
        contract=GUARDED,
    )


def one_ticket(world: Any, outcome: Any) -> bool:
    """One ticket, or none."""
    return len(world.tickets) == int(outcome.status is Status.COMPLETED)


OTHERS = (
    bug(
        "the undo is not awaited",
        "step",
        "The client's answer to the deletion is dropped unawaited: nothing is deleted.",
        saga=lambda: film(delete=delete_unawaited),
        world=Media,
        healthy=(film, Media),
        given=None,
        consistent=film_or_not,
        script="upload upload-",
    ),
    bug(
        "a refusal is forgotten",
        "world",
        "The airline forgets that it said no: a duplicate lands once somebody has cancelled.",
        saga=journey,
        world=Forgetting,
        healthy=(journey, Carriers),
        given=None,
        consistent=one_ticket,
        script="air/fly air/fly",
    ),
)
