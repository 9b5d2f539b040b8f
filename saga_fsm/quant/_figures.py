"""From a chain to its figures: which columns are asked, and what the answers are called."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import TypeAlias

import numpy as np

from saga_fsm.machine import Status
from saga_fsm.quant._chain import Chain, Label
from saga_fsm.quant._driven import LegKey, Owed
from saga_fsm.quant._forecast import Contribution, Figure, Forecast, Interval
from saga_fsm.quant._legs import Leg
from saga_fsm.quant._ordered import Ordered, ordered
from saga_fsm.quant._solve import UNPROVEN, Floats, Question, bounds
from saga_fsm.quant._visits import Visits


RESTS = (Status.COMPLETED, Status.COMPENSATED, Status.STUCK)
# So many numbers at a time: some hundred megabytes, and the caches of a processor.
_ROOM = 24_000_000
#: What an edge costs, at least and at most.
Cost: TypeAlias = Callable[[Label], tuple[float, float]]
Ends: TypeAlias = Callable[[Status, Owed], bool]


class Column:
    """
    One thing that is asked of a chain.

    Args:
        cost: of an edge, at least and at most; None for the chance of an end.
        ends: whether a rest counts; None for a mean.
        without: the path of a step that never fails in it.
    """

    def __init__(
        self, *, cost: Cost | None = None, ends: Ends | None = None, without: str = ""
    ) -> None:
        self.cost = cost
        self.ends = ends
        self.without = without


def work(label: Label) -> tuple[float, float]:
    """Seconds of calls and waits: what is cut short may have lasted any part of its time."""
    least = label.seconds + label.waited
    return least, least + label.cut


def attempts(leg: LegKey) -> Cost:
    """How often an attempt of a leg ends."""

    def cost(label: Label) -> tuple[float, float]:
        ended = float((label.leg == leg) + label.also.count(leg))
        return ended, ended

    return cost


def rests(status: Status) -> Ends:
    """Whether a run rests so."""
    return lambda ended, _: ended is status


def owes(one: tuple[str, str]) -> Ends:
    """Whether this is owed then."""
    return lambda _, owed: one in owed


class Asking:
    """
    Answers columns for one chain.

    Args:
        chain: of the saga.
        legs: whose odds hold.
    """

    def __init__(self, chain: Chain, legs: dict[LegKey, Leg]) -> None:
        self.chain = chain
        self.legs = legs
        self.model: Ordered = ordered(chain)
        where = np.empty(self.model.resting, dtype=np.int64)
        for state in chain.rests:
            where[self.model.place[state]] = state
        # Many states rest alike.
        alike: dict[tuple[Status, Owed], int] = {}
        rests_as = [alike.setdefault(chain.rests[x], len(alike)) for x in where.tolist()]
        self.ends = list(alike)
        self.rests_as = np.array(rests_as, dtype=np.int64)
        self.known: dict[Cost | Ends, Floats] = {}

    def figures(self, columns: Sequence[Column]) -> list[Figure]:
        """
        The figure of each column.

        Where there is nothing to decide, how often a run is where gives all of them at once.
        """
        if self.chain.widest == 1 and not any(column.without for column in columns):
            return [self._of_visits(column) for column in columns]
        size = max(1, _ROOM // (2 * self.chain.states + 4 * len(self.chain.labels)))
        found: list[Figure] = []
        for begin in range(0, len(columns), size):
            found.extend(self.by_value(columns[begin : begin + size]))
        return found

    def by_value(self, columns: Sequence[Column]) -> list[Figure]:
        """The same from the ends to the start, for every scheduler."""
        asked = self.question(columns)
        least = bounds(self.model, asked, most=False)
        most = least if self.chain.widest == 1 else bounds(self.model, asked, most=True)
        return list(map(_figure, columns, *least, *most))

    def _of_visits(self, column: Column) -> Figure:
        found = self._visits
        if column.cost is not None:
            cost = self._costs(column.cost)
            sides = found.total(found.taken, cost)
        else:
            assert column.ends is not None  # noqa: S101 - a column asks for the one or the other
            ends = np.array([float(column.ends(*one)) for one in self.ends])
            sides = found.total(found.ended, np.stack([ends, ends]))
        return _figure(column, *sides, *sides)

    @cached_property
    def _visits(self) -> Visits:
        return Visits(self.model, self._odds(""), self.rests_as)

    def question(self, columns: Sequence[Column]) -> Question:
        """Columns as numbers."""
        labels = self.chain.labels
        odds = {x: self._odds(x) for x in {column.without for column in columns}}
        low, high = np.zeros((2, len(labels), len(columns)))
        ends = np.zeros((self.model.resting, len(columns)))
        for k, column in enumerate(columns):
            if column.cost is not None:
                low[:, k], high[:, k] = self._costs(column.cost)
            if column.ends is not None:
                ends[:, k] = self._ends(column.ends)
        # One column of odds is enough where it is the same for all.
        apart = columns if len(odds) > 1 else columns[:1]
        shares = np.stack([odds[column.without] for column in apart], axis=1)
        return Question(odds=shares, low=low, high=high, ends=ends)

    def _costs(self, cost: Cost) -> Floats:
        known = self.known.get(cost)
        if known is None:
            known = self.known[cost] = np.array([cost(x) for x in self.chain.labels]).T
        return known

    def _ends(self, ends: Ends) -> Floats:
        return np.array([float(ends(*one)) for one in self.ends])[self.rests_as]

    def _odds(self, without: str) -> Floats:
        """The odds of each label, one step never failing."""
        known: dict[LegKey, dict[str, float]] = {}
        odds = np.ones(len(self.chain.labels))
        for number, label in enumerate(self.chain.labels):
            if label.leg is None:
                continue
            parts = known.get(label.leg)
            if parts is None:
                leg = self.legs[label.leg]
                sure = leg.path == without
                drawn = {x.outcome: x.odds for x in leg.chances}
                parts = known[label.leg] = leg.never_fails() if sure else drawn
            odds[number] = parts[label.outcome]
            if label.landed is not None:
                landed = self.legs[label.leg].landed
                odds[number] *= landed if label.landed else 1 - landed
        return odds


def _figure(column: Column, *sides: float) -> Figure:
    """What the four numbers say: a probability is at most 1, whatever was rounded."""
    most = math.inf if column.ends is None else 1.0
    lower, upper, lower_most, upper_most = (
        most if side >= UNPROVEN else min(float(side), most) for side in sides
    )
    return Figure(Interval(lower, upper), Interval(lower_most, upper_most))


def forecast_of(chain: Chain, legs: dict[LegKey, Leg]) -> Forecast:
    """Ask everything that a forecast says."""
    asking = Asking(chain, legs)
    owed = sorted({one for _, all_owed in chain.rests.values() for one in all_owed})
    columns: dict[tuple[str, object], Column] = {
        **{("rests", status): Column(ends=rests(status)) for status in RESTS},
        **{("owed", one): Column(ends=owes(one)) for one in owed},
        **{("leg", leg): Column(cost=attempts(leg)) for leg in legs},
        ("work", ""): Column(cost=work),
    }
    found = dict(zip(columns, asking.figures(list(columns.values())), strict=True))
    total = found["work", ""]

    def of_legs(*kinds: str) -> dict[str, Figure]:
        return {leg[1]: found["leg", leg] for leg in legs if leg[0] in kinds}

    return Forecast(
        saga=chain.saga,
        fingerprint=chain.fingerprint,
        states=chain.states,
        edges=len(chain.target),
        widest=chain.widest,
        probability={status: found["rests", status] for status in RESTS},
        owed={one: found["owed", one] for one in owed},
        attempts=of_legs("call", "decide"),
        queries=of_legs("query"),
        compensations=of_legs("compensate"),
        work=total,
        elapsed=_elapsed(total, chain.widest),
        contribute=partial(_contributions, asking, legs, found),
    )


def _elapsed(total: Figure, widest: int) -> Figure:
    if widest == 1:
        return total
    least = math.nextafter(total.lower / widest, 0.0)
    return Figure(Interval(least, total.least.upper), Interval(least, total.upper))


def _contributions(
    asking: Asking, legs: dict[LegKey, Leg], base: dict[tuple[str, object], Figure]
) -> tuple[Contribution, ...]:
    """What each step that can fail would change if it did not, the largest change first."""
    steps = list(dict.fromkeys(leg.path for leg in legs.values() if leg.fails))
    columns = [
        column
        for step in steps
        for column in (
            Column(ends=rests(Status.COMPLETED), without=step),
            Column(ends=rests(Status.STUCK), without=step),
            Column(cost=work, without=step),
        )
    ]
    found = iter(asking.figures(columns))
    was = base["rests", Status.COMPLETED], base["rests", Status.STUCK], base["work", ""]
    changes = [Contribution(step, *(next(found) - before for before in was)) for step in steps]
    changes.sort(key=lambda x: (-x.completed.middle, x.stuck.middle, x.step))
    return tuple(changes)
