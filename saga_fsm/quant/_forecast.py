"""What a forecast says: figures between bounds, by outcome and by step."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import attrs

from saga_fsm.machine import Status
from saga_fsm.quant._text import lines_of


SCHEMA = 1


@attrs.frozen
class Interval:
    """
    Two bounds that are proven, rounding included: the value is neither below nor above.

    Args:
        lower: no more than the value.
        upper: no less; infinite where no bound was proven.
    """

    lower: float
    upper: float

    @property
    def middle(self) -> float:
        """Halfway: the best single number."""
        return self.lower + (self.upper - self.lower) / 2

    @property
    def width(self) -> float:
        """How far apart the bounds are."""
        return self.upper - self.lower

    def __contains__(self, value: float) -> bool:
        return self.lower <= value <= self.upper

    def __sub__(self, other: Interval) -> Interval:
        low, high = self.lower - other.upper, self.upper - other.lower
        return Interval(math.nextafter(low, -math.inf), math.nextafter(high, math.inf))


@attrs.frozen
class Figure:
    """
    A probability or a mean, over everything that the odds leave open and a scheduler decides.

    Where never more than one call or wait is open there is nothing to decide: ``least`` and
    ``most`` are the same.

    Args:
        least: what it is when whoever decides which open call ends next wants it small.
        most: what it is when he wants it large.
    """

    least: Interval
    most: Interval

    @property
    def lower(self) -> float:
        """No scheduler makes it less."""
        return self.least.lower

    @property
    def upper(self) -> float:
        """No scheduler makes it more."""
        return self.most.upper

    @property
    def middle(self) -> float:
        """Halfway between the two: a number to sort by."""
        return (self.least.middle + self.most.middle) / 2

    @property
    def decided(self) -> bool:
        """Whether it is the same under every scheduler, as far as the bounds say."""
        return self.most.lower <= self.least.upper

    def __contains__(self, value: float) -> bool:
        return self.lower <= value <= self.upper

    def __sub__(self, other: Figure) -> Figure:
        return Figure(self.least - other.least, self.most - other.most)


@attrs.frozen
class Contribution:
    """
    What it would change if one step never failed.

    Each figure is the forecast with neither action, query nor compensation of that step ever
    failing (a chooser: never raising), all other odds as they are, less the forecast as it is: the
    least less the least, and the most less the most.

    Args:
        step: its path.
        completed: change of the probability that the saga completes.
        stuck: change of the probability that it gets stuck.
        work: change of the mean work, in seconds. A step that fails less lets more steps begin,
            so it may well be positive.
    """

    step: str
    completed: Figure
    stuck: Figure
    work: Figure


@attrs.frozen
class Forecast:
    """
    How runs of a saga end, how often they call and how long they take, under given odds.

    Args:
        saga: its name.
        fingerprint: of its machine.
        states: of the chain.
        edges: of the chain.
        widest: so many calls and waits are open at once, at most.
        probability: of each status in which a run rests.
        owed: of ending stuck with this owed, by path and what an operator owes it. A run that is
            stuck may owe several things, so these do not add up to the probability of stuck.
        attempts: mean number of attempts of each action and chooser, by path.
        queries: mean number of attempts of each query.
        compensations: mean number of attempts of each compensation.
        work: mean seconds of all calls and waits of a run, added up.
        elapsed: mean seconds from start to rest. The same as ``work`` where one thing is open at a
            time; else only bounds: at least the work divided by ``widest``, at most all of it.
    """

    saga: str
    fingerprint: str
    states: int
    edges: int
    widest: int
    probability: dict[Status, Figure]
    owed: dict[tuple[str, str], Figure]
    attempts: dict[str, Figure]
    queries: dict[str, Figure]
    compensations: dict[str, Figure]
    work: Figure
    elapsed: Figure
    _contribute: Callable[[], tuple[Contribution, ...]] = attrs.field(
        alias="contribute", repr=False, eq=False
    )

    @cached_property
    def contributions(self) -> tuple[Contribution, ...]:
        """
        What it would change if a step never failed, for each step that can.

        The one that keeps the saga from completing most often is first. Reckoned when asked: it
        costs about as much as the rest of the forecast for every few steps.
        """
        return self._contribute()

    @property
    def sequential(self) -> bool:
        """Whether never more than one thing is open: no figure depends on a scheduler."""
        return self.widest == 1

    def __str__(self) -> str:
        return "\n".join(lines_of(self))

    def to_json(self) -> str:
        """The forecast as one JSON object with a schema number; a figure has four bounds."""
        plain: dict[str, Any] = {"schema": SCHEMA}
        for name in ("saga", "fingerprint", "states", "edges", "widest"):
            plain[name] = getattr(self, name)
        plain["probability"] = {x.value: _plain(y) for x, y in self.probability.items()}
        plain["owed"] = [
            {"step": path, "owed": what, "probability": _plain(figure)}
            for (path, what), figure in self.owed.items()
        ]
        for name in ("attempts", "queries", "compensations"):
            plain[name] = {path: _plain(x) for path, x in getattr(self, name).items()}
        plain["work"], plain["elapsed"] = _plain(self.work), _plain(self.elapsed)
        plain["contributions"] = [dict(_changes(x)) for x in self.contributions]
        return json.dumps(plain)


def _changes(one: Contribution) -> Iterator[tuple[str, Any]]:
    yield "step", one.step
    for name in ("completed", "stuck", "work"):
        yield name, _plain(getattr(one, name))


def _plain(figure: Figure) -> dict[str, list[float | None]]:
    """JSON knows no infinity."""
    return {
        name: [x if math.isfinite(x) else None for x in (one.lower, one.upper)]
        for name, one in (("least", figure.least), ("most", figure.most))
    }
