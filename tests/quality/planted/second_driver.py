"""Bugs in the driver and its shells, by a second author: recovery, waits, answers, deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest import mock

from saga_fsm import (
    PENDING,
    Contract,
    Outcome,
    Retry,
    Saga,
    Status,
    alternatives,
    arun,
    each,
    parallel,
    pause,
    run,
    step,
)
from saga_fsm.machine import Call, SetTimer
from saga_fsm.runner import driver as module
from saga_fsm.runner.calls import Calls
from saga_fsm.runner.driver import Driver
from saga_fsm.runner.facts import Facts
from saga_fsm.runner.sync import ThreadShell
from saga_fsm.runner.tasks import TaskShell
from saga_fsm.testing.clock import VirtualClock
from tests.quality.planted import Planted
from tests.quality.planted.driver_bugs import replaced
from tests.quality.planted.yard import (
    C,
    P,
    R,
    S,
    Swept,
    Yard,
    ask,
    exactly,
    lines,
    of_library,
    sweep,
    undo,
)


# ---------------------------------------------------------------------- what is planted


def _timers_of_steps(sound: Any) -> Any:
    def again(facts: Facts, calls: Calls, recoveries: Any, effect: Any, *more: Any) -> None:
        if not isinstance(effect, SetTimer) or effect.target in facts.layout.steps:
            sound(facts, calls, recoveries, effect, *more)

    return again


def _waits_of_before(sound: Any) -> Any:
    def again(facts: Facts, calls: Calls, recoveries: Any, effect: Any, *more: Any) -> None:
        sound(facts, calls, recoveries, effect, *more)
        if isinstance(effect, Call):
            calls.waits.discard(effect.target)

    return again


def _done_only(sound: Any) -> Any:
    def _keep(self: Facts, kind: str, *more: Any) -> None:
        if kind != "landed":
            sound(self, kind, *more)

    return _keep


def _two_counters(sound: Any) -> Any:
    def _patience(self: Calls, path: str) -> Any:
        kind, retry = sound(self, path)
        return ("compensate" if kind == "compensate" else "call"), retry

    return _patience


def _labels_only(sound: Any) -> Any:
    def fold(facts: Facts, entries: Any) -> Any:
        recoveries = sound(facts, entries)
        facts.inputs.clear()
        return recoveries

    return fold


@contextmanager
def _in_order_of_calls() -> Iterator[None]:
    def earliest(sound: Any) -> Any:
        def told(self: Driver, leg: Any, value: Any, now: float) -> Any:
            oldest = next((one for one in self.facts.flight if one[0] == leg[0]), leg)
            return sound(self, oldest, value, now)

        return told

    with (
        mock.patch.object(Driver, "returned", earliest(Driver.returned)),
        mock.patch.object(Driver, "raised", earliest(Driver.raised)),
    ):
        yield


def _one_deadline(sound: Any) -> Any:
    def woke(self: Driver, key: Any, now: float) -> Any:
        return sound(self, ("deadline", "@stop") if key[0] == "deadline" else key, now)

    return woke


def _outer_item(sound: Any) -> Any:
    def make(self: Calls, leg: Any, *more: Any) -> None:
        copy = self.facts.copy
        if leg[0] == "compensate":
            with mock.patch.object(self.facts, "copy", lambda copies: copy(copies[:1])):
                sound(self, leg, *more)
        else:
            sound(self, leg, *more)

    return make


def _no_bell(sound: Any) -> Any:
    def _alone(self: ThreadShell) -> None:
        with mock.patch.object(self, "ring", return_value=None):
            sound(self)

    return _alone


def _at_once(_sound: Any) -> Any:
    def interrupted(_self: TaskShell, error: BaseException) -> None:
        raise error

    return interrupted


# ---------------------------------------------------------------------- sagas and worlds


class Using(Yard):
    """A yard in which b is made of what a has given."""

    def _effect(self, ctx: Any) -> str:
        if ctx.step == "b" and ctx.results.get("a") != "result of a":
            self.errors.append("b has nothing to be made of")
        return super()._effect(ctx)


class Told(Yard):
    """A yard that knows for whom each step is done."""

    def act(self, ctx: Any) -> Any:
        """Report what is done for somebody else."""
        if ctx.input != ("ada" if "/" in ctx.step else {"guest": "ada"}):
            self.errors.append(f"{ctx.step} was done for {ctx.input}")
        return super().act(ctx)


class Boxed(Yard):
    """A yard that reports who takes back what is not there."""

    def _taken(self, ctx: Any) -> None:
        if ctx.item in self.items:
            super()._taken(ctx)
        else:
            self.errors.append(f"{ctx.step} takes {ctx.item} back")


class Slow(Yard):
    """A yard where a takes longer than the deadline, by a clock that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.clock: VirtualClock | None = None

    def act(self, ctx: Any) -> Any:
        """Let time pass."""
        if self.clock is not None and ctx.step == "a":
            self.clock.wait(None, 100.0, busy=False)
        return super().act(ctx)


class Gated(Yard):
    """A yard where an action waits at a gate, if there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.gate: Callable[[], Awaitable[None]] | None = None


async def gated(ctx: Any) -> Any:
    """Cause an effect, and answer when the gate is open."""
    result = ctx.services.act(ctx)
    if ctx.services.gate is not None:
        await ctx.services.gate()
    return result


def asked_for(ctx: Any) -> Any:
    """Cause an effect, and answer later."""
    ctx.services.act(ctx)
    return PENDING


def said_yes(_ctx: Any) -> str:
    """Answer what was asked for."""
    return "yes"


def guest(ctx: Any) -> Any:
    """The input of a nested saga."""
    return ctx.input["guest"]


def things(ctx: Any) -> Any:
    """What is in a box."""
    return ctx.item


def asked_enough(world: Any, outcome: Outcome[Any]) -> bool:
    """People are called to a query only after it was made three times."""
    mine = [event.partition("(")[0] for event in outcome.events if event.endswith("(a)")]
    if outcome.unresolved.get("a") == "query" and mine[-1] == "exhausted":
        return mine[-6:].count("retry") == 2
    return bool(exactly("a", "b", "p")(world, outcome))


def no_deadline(world: Any, outcome: Outcome[Any]) -> bool:
    """A saga without a deadline is not turned back by one; one of the two ways stands."""
    if outcome.cause is not None and outcome.cause.kind == "deadline":
        return False
    way = "other/b" if "other/b" in world.standing else "ask/a"
    return bool(exactly("z", way, "p")(world, outcome))


_BOXES = {"lines": [["x", "y"], ["u", "v"]]}
_QUERIED = Contract(idempotent=True, sticky=True)


def _trip() -> Any:
    return S(Saga("trip", C("b"), C("c"), compensate=sweep), C("d"), P())


def _asked() -> Any:
    return S(C("a", query=ask, retry=Retry()), C("b"), P())


def _in_doubt() -> Any:
    return S(C("a", query=ask, contract=_QUERIED), C("b"), P())


def _for_a_guest() -> Any:
    return S(C("z"), Saga("stay", C("a"), C("b")).given(guest), P())


def _branches() -> Any:
    return S(parallel(C("a"), C("b")), P(), R())


def _two_ways() -> Any:
    patient = Retry(attempts=3, wait_initial=100.0)
    first = Saga("ask", C("a", retry=patient), deadline=60.0)
    return S(C("z"), alternatives(first, Saga("other", C("b"))), P())


def _boxes() -> Any:
    box = Saga("box", each(things, C("a"), max_items=2, name="things"))
    return S(each(lines, box, max_items=2, name="boxes"), P())


def _approved() -> Any:
    ask_for = step(asked_for, name="ask", compensate=undo)
    return S(parallel(ask_for, pause(600.0), C("b")), P())


def _limited() -> Any:
    return S(C("a"), C("b"), P(), deadline=60.0)


def _async() -> Any:
    return S(C("a"), step(gated, name="b", compensate=undo), P())


# ---------------------------------------------------------------------- scenes of the shells


_no_ring = replaced(ThreadShell, "_alone", _no_bell)
_stops = replaced(TaskShell, "interrupted", _at_once)


def _late() -> Status:
    world = Slow()
    world.clock = VirtualClock()
    return run(_limited(), services=world, clock=world.clock).status


async def _cancelled() -> dict[str, int]:
    """What stands after a run was cancelled while a step was in flight."""
    world, reached, opened = Gated(), asyncio.Event(), asyncio.Event()

    async def gate() -> None:
        reached.set()
        await opened.wait()

    world.gate = gate
    task = asyncio.create_task(arun(_async(), services=world, clock=VirtualClock()))
    await reached.wait()
    task.cancel()
    await asyncio.sleep(0)
    opened.set()
    with suppress(asyncio.CancelledError):
        await task
    return world.standing


def _shows_deadline() -> bool:
    sound = _late()
    with _no_ring():
        return _late() is not sound


def _shows_cancelled() -> bool:
    sound = asyncio.run(_cancelled())
    with _stops():
        return asyncio.run(_cancelled()) != sound


SECOND_DRIVER = (
    of_library(
        "a recovery sets the timers of steps only",
        "driver",
        "timers were looked up by step, and a nested saga's own undo waits as well",
        replaced(module, "again", _timers_of_steps),
        _trip,
        exactly("trip/b", "trip/c", "d", "p"),
        "trip/b trip/c d p=reject d- trip-=lost crash",
        world=Swept,
    ),
    of_library(
        "what a query has found is nobody's result",
        "driver",
        "results come with done: that landed brings one was forgotten",
        replaced(Facts, "_keep", _done_only),
        _asked,
        exactly("a", "b", "p"),
        "a=lands a?",
        world=Using,
    ),
    of_library(
        "a query's attempts are counted as its action's",
        "driver",
        "there were two counters, forward and back, and a query is forward",
        replaced(Calls, "_patience", _two_counters),
        _in_doubt,
        asked_enough,
        "a=lands a=lost a=lost a?=lost a?=lost a?",
    ),
    of_library(
        "after a recovery a nested saga has its parent's input",
        "driver",
        "a journalled choice is its label, and that of given has data beside it",
        replaced(module, "fold", _labels_only),
        _for_a_guest,
        exactly("z", "stay/a", "stay/b", "p"),
        "z given: stay/a crash",
        given={"guest": "ada"},
        world=Told,
    ),
    of_library(
        "answers are taken in the order of the calls",
        "driver",
        "what is in flight became a queue, and branches overtake each other",
        _in_order_of_calls,
        _branches,
        exactly("a", "b", "p", "r"),
        "b a=reject",
    ),
    of_library(
        "a nested saga's deadline is the run's",
        "driver",
        "the path of the scope was dropped on the way from the timer to the event",
        replaced(Driver, "woke", _one_deadline),
        _two_ways,
        no_deadline,
        "z ask/a=lost +60",
    ),
    of_library(
        "an undo in a box within a box has the outer one's item",
        "driver",
        "copies are named outermost first, and the undo took the first",
        replaced(Calls, "make", _outer_item),
        _boxes,
        exactly("box[0]/a[0]", "box[0]/a[1]", "box[1]/a[0]", "box[1]/a[1]", "p"),
        "boxes: box[0]/things: box[0]/a[0] box[0]/a[1]=reject",
        given=_BOXES,
        world=Boxed,
    ),
    of_library(
        "a wait that was taken up again cannot be ended",
        "driver",
        "waits are noted where they begin, and after a recovery they do not begin",
        replaced(module, "again", _waits_of_before),
        _approved,
        exactly("ask", "b", "p"),
        "ask ask=open crash ask=open b=reject",
        answers={"ask": said_yes},
    ),
    Planted(
        "a deadline is not heard between two calls",
        "driver",
        "timers ring where the run waits, and one call after another never waits",
        _limited,
        Slow,
        None,
        exactly("a", "b", "p"),
        _shows_deadline,
        plant=_no_ring,
    ),
    Planted(
        "a cancelled arun stops at once",
        "driver",
        "the second cancel stops at once, and the first was taken for it",
        _async,
        Gated,
        None,
        exactly("a", "b", "p"),
        _shows_cancelled,
        plant=_stops,
    ),
)
