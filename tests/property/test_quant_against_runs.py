"""Runs on the real runner, whose calls are drawn by the odds, end as often as was forecast."""

from __future__ import annotations

import asyncio
import math
import random
import statistics
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from saga_fsm import (
    GUARDED,
    SKIP,
    Contract,
    Rejected,
    Retry,
    Saga,
    Status,
    Transient,
    alternatives,
    arun,
    choice,
    each,
    parallel,
    pause,
    pivot,
    readonly,
    retriable,
    run,
    step,
)
from saga_fsm.quant import Figure, Odds, Split, forecast
from saga_fsm.testing import VirtualClock


SIGMAS = 5
RUNS = 3_000
ODDS = Odds(
    rejected=0.06,
    transient=0.12,
    unknown=0.15,
    landed_when_unknown=0.4,
    seconds=1.0,
    unknown_seconds=3.0,
    query_fails=0.3,
    query_seconds=0.5,
    compensation_fails=0.35,
    compensation_seconds=2.0,
)
LINES = {"0": 0.2, "1": 0.3, "2": 0.5}
WAY = Split({"yes": 0.6, "otherwise": 0.4}, fails=0.1, seconds=0.25)


@attrs.define
class World:
    """Participants that answer by luck, and count."""

    luck: random.Random
    clock: VirtualClock
    calls: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    landed: set[str] = attrs.field(factory=set)

    def takes(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.wait(None, seconds, busy=False)

    def act(self, ctx: Any) -> None:
        """Answer as an action."""
        self.calls["call", ctx.step] += 1
        drawn = self.luck.random()
        if (drawn := drawn - ODDS.unknown) < 0:
            self.takes(3.0)
            if self.luck.random() < ODDS.landed_when_unknown:
                self.landed.add(ctx.key)
            raise ConnectionError("no answer")
        self.takes(ODDS.seconds)
        if (drawn := drawn - ODDS.rejected) < 0:
            raise Rejected("no")
        if drawn < ODDS.transient:
            raise Transient("not now")

    def ask(self, ctx: Any) -> None:
        """Answer as a query."""
        self.calls["query", ctx.step] += 1
        self.takes(ODDS.query_seconds)
        if self.luck.random() < ODDS.query_fails:
            raise ConnectionError("no answer")
        if ctx.key not in self.landed:
            raise Rejected("not there")

    def undo(self, ctx: Any) -> None:
        """Answer as a compensation."""
        self.calls["compensate", ctx.step] += 1
        self.takes(ODDS.compensation_seconds)
        if self.luck.random() < ODDS.compensation_fails:
            raise ConnectionError("no answer")

    def choose(self) -> str:
        """Answer as a chooser."""
        self.takes(0.25)
        if self.luck.random() < WAY.fails:
            raise ConnectionError("no answer")
        return "yes" if self.luck.random() < 0.6 else "no such label"

    def lines(self) -> range:
        """Answer as what gives items."""
        drawn = self.luck.random()
        return range(0 if drawn < 0.2 else 1 if drawn < 0.5 else 2)


def act(ctx: Any) -> None:
    """Act."""
    ctx.services.act(ctx)


def ask(ctx: Any) -> None:
    """Ask."""
    ctx.services.ask(ctx)


def undo(ctx: Any, _result: object) -> None:
    """Undo."""
    ctx.services.undo(ctx)


async def act_later(ctx: Any) -> None:
    """Act, after others had a turn."""
    for _ in range(ctx.services.luck.randrange(4)):
        await asyncio.sleep(0)
    ctx.services.act(ctx)


async def undo_later(ctx: Any, _result: object) -> None:
    """Undo, after others had a turn."""
    await asyncio.sleep(0)
    ctx.services.undo(ctx)


THRICE = Retry(attempts=3, wait_initial=0.5, jitter=1.0)
FOREVER = Retry.forever(wait_initial=0.25, wait_max=1.0)
QUERIED = Contract(idempotent=True, sticky=True)


def C(name: str, **options: Any) -> Any:
    """Make a compensatable step."""
    return step(act, name=name, compensate=undo, **options)


def A(name: str, **options: Any) -> Any:
    """Make one that is async."""
    return step(act_later, name=name, compensate=undo_later, **options)


def retried() -> Saga[Any, Any]:
    """Every kind of step and patience."""
    return Saga(
        "retried",
        readonly(act, name="o", retry=THRICE),
        C("a", retry=THRICE),
        C("b", compensation_retry=FOREVER),
        pivot(act, name="p", retry=THRICE),
        retriable(act, name="r", retry=FOREVER),
        contract=GUARDED,
    )


def queried() -> Saga[Any, Any]:
    """Doubt that a query ends, and contracts that promise less."""
    return Saga(
        "queried",
        C("a", retry=THRICE, query=ask),
        C("b", contract=Contract(fenced=True), retry=THRICE),
        pivot(act, name="p", query=ask, retry=THRICE),
        contract=QUERIED,
    )


def shaped() -> Saga[Any, Any]:
    """Every block that is no parallel one."""
    return Saga(
        "shaped",
        choice(lambda ctx: ctx.services.choose(), yes=C("a"), otherwise=SKIP, name="way"),
        each(lambda ctx: ctx.services.lines(), C("l"), max_items=2, name="lines"),
        alternatives(C("x"), C("y", retry=THRICE), name="or"),
        pause(5.0),
        Saga("n", C("i"), pivot(act, name="q"), compensate=undo),
        C("z"),
        contract=GUARDED,
    )


def at_once() -> Saga[Any, Any]:
    """Branches that wait, fail and end one another."""
    return Saga(
        "at_once",
        parallel(Saga("n", A("a", retry=THRICE), A("b")), A("c", retry=FOREVER), pause(0.5)),
        A("d"),
        contract=GUARDED,
    )


def drawn(make: Callable[[], Saga[Any, Any]]) -> tuple[list[World], list[Any]]:
    """So many runs of a saga: the worlds and the outcomes."""
    saga, luck = make(), random.Random(20261123)
    overlapping = make is at_once
    worlds, outcomes = [], []
    for _ in range(RUNS):
        clock = VirtualClock()
        world = World(luck, clock)
        options: dict[str, Any] = {"services": world, "clock": clock, "random": luck}
        outcome = asyncio.run(arun(saga, **options)) if overlapping else run(saga, **options)
        worlds.append(world)
        outcomes.append(outcome)
    return worlds, outcomes


def mean_within(figure: Figure, values: list[float]) -> bool:
    """Whether a mean is as forecast, chance considered."""
    off = SIGMAS * statistics.pstdev(values) / math.sqrt(len(values))
    return figure.lower - off <= statistics.fmean(values) <= figure.upper + off


def share_within(figure: Figure, happened: list[bool]) -> bool:
    """Whether it happened as often as forecast, chance considered."""
    low, high = (
        SIGMAS * math.sqrt(odds * (1 - odds) / len(happened))
        for odds in (figure.lower, figure.upper)
    )
    return figure.lower - low <= statistics.fmean(happened) <= figure.upper + high


@pytest.mark.parametrize("make", [retried, queried, shaped, at_once], ids=lambda one: one.__name__)
def test_runs_end_as_forecast(make: Callable[[], Saga[Any, Any]]) -> None:
    """Outcomes, what is owed, attempts of every leg and elapsed time: within five sigmas."""
    labels = {"way": WAY, "lines": LINES} if make is shaped else {}
    expected = forecast(make(), labels, default=ODDS)
    worlds, outcomes = drawn(make)
    for status in (Status.COMPLETED, Status.COMPENSATED, Status.STUCK):
        ended = [outcome.status is status for outcome in outcomes]
        assert 0 < sum(ended) < RUNS
        assert share_within(expected.probability[status], ended), status
    for one, figure in expected.owed.items():
        owed = [outcome.unresolved.get(one[0]) == one[1] for outcome in outcomes]
        assert share_within(figure, owed), one
    for kind, figures in (
        ("call", expected.attempts),
        ("query", expected.queries),
        ("compensate", expected.compensations),
    ):
        for path, figure in figures.items():
            if path in {"way", "lines", "pause"}:
                continue
            made = [float(world.calls[kind, path]) for world in worlds]
            assert mean_within(figure, made), (kind, path)
    assert mean_within(expected.elapsed, [world.clock.now() for world in worlds])
    if make is not at_once:
        assert expected.elapsed.upper - expected.elapsed.lower < 1e-9
