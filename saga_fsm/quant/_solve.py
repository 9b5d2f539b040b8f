"""
Figures of a chain, between two bounds that are proven, rounding included.

All that is added and multiplied here is 0 or more. So a sum of products of floats is off by a known
share of itself at most (Higham 2002, 3.1), and each result is moved outward by that share: what
stands in ``low`` is never above the value, what stands in ``high`` never below it. On circles,
waits for ever beside something else, values are iterated from below; the bound from above is
guessed and then proven: whatever does not grow when the equations are applied to it once is no less
than their least solution (Park; Hartmanns and Kaminski 2020, optimistic value iteration).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from saga_fsm.quant._ordered import Ints, Level, Ordered


Floats: TypeAlias = npt.NDArray[np.float64]

_HALF_ULP = 2.0**-53
# Far from where floats lose digits, and far below any figure: products stay above it.
_TINY = 1e-290
_SWEEPS = 20_000
_GUESSES = 12
_NEARLY = 1.01
#: In place of infinity, which times no odds at all would be no number.
UNPROVEN = 1e300


def outward(value: Floats, terms: int, *, up: bool) -> Floats:
    """A value that so many roundings went into, moved down or up by all that they can come to."""
    off = terms * _HALF_ULP
    if up:
        return np.where(value > 0, value * (1 + off) + _TINY, 0.0)
    return np.maximum(value * (1 - off) - _TINY, 0.0)


@attrs.frozen(eq=False)
class Question:
    """
    What is asked, a column each: the chance of resting somewhere, or the mean of a cost.

    Args:
        odds: by label and column, of the outcome that the label stands for; or one for all columns.
        low: by label and column, what an edge costs at least.
        high: and at most.
        ends: by resting state, in order, and column: 1 where it counts, else 0.
    """

    odds: Floats
    low: Floats
    high: Floats
    ends: Floats


def bounds(
    model: Ordered, asked: Question, *, most: bool, precision: float = 1e-14
) -> tuple[Floats, Floats]:
    """
    Bounds of the least (or the most) value of each column, over all schedulers.

    Args:
        model: the chain in order.
        asked: the columns.
        most: the most, not the least.
        precision: on a circle, values are iterated until none grows by more than this share.
    """
    solver = _Solver(model, asked, most=most, precision=precision)
    for level in model.levels:
        solver.pass_(level)
    return solver.low[model.start], solver.high[model.start]


class _Solver:
    """One pass from the ends to the start, for all columns at once."""

    def __init__(self, model: Ordered, asked: Question, *, most: bool, precision: float) -> None:
        self.model = model
        self.asked = asked
        self.pick = np.maximum if most else np.minimum
        self.precision = precision
        columns = asked.ends.shape[1]
        states = len(model.place)
        self.low = np.zeros((states, columns))
        self.high = np.zeros((states, columns))
        self.low[: model.resting] = self.high[: model.resting] = asked.ends
        # So many roundings: odds and cost, products and sums of each edge, a quotient.
        self.terms = 4 * model.widest + 12

    def pass_(self, level: Level) -> None:
        rows = _Rows(self.model, level, self.asked)
        if level.circles:
            self._around(level, rows)
        else:
            self.low[level.states] = self._low(rows)
            self.high[level.states] = self._high(rows)

    def _low(self, rows: _Rows) -> Floats:
        value = rows.value(self.low, rows.low, self.pick)
        return outward(value, self.terms, up=False)

    def _high(self, rows: _Rows) -> Floats:
        value = rows.value(self.high, rows.high, self.pick)
        return outward(value, self.terms, up=True)

    def _around(self, level: Level, rows: _Rows) -> None:
        """Iterate from below until it hardly grows; guess from above, and prove the guess."""
        low, high, here = self.low, self.high, level.states
        self._climb(low, here, lambda: self._low(rows))
        high[here] = low[here]
        self._climb(high, here, lambda: self._high(rows))
        reached = high[here].copy()
        # Added in proportion to how long a run may stay here, what is missing leaves with it.
        stay = self._stay(rows, len(reached))
        residue = np.maximum(self._high(rows) - reached, 0.0).max(axis=0)
        more = 2 * (residue + self.terms * _HALF_ULP * reached.max(axis=0)) + _TINY
        proven: npt.NDArray[np.bool_] = np.zeros(reached.shape[1], dtype=np.bool_)
        for _ in range(_GUESSES):
            high[here] = guess = np.where(reached > 0, reached + more * stay, 0.0)
            proven = np.logical_and.reduce(self._high(rows) <= guess, axis=0)
            if proven.all():
                return
            more = np.where(proven, more, 8 * more)
        # A column is proven as a whole: its states stand on one another.
        high[here, ~proven] = UNPROVEN

    def _climb(self, known: Floats, here: slice, once: Callable[[], Floats]) -> None:
        for _ in range(_SWEEPS):
            before = known[here].copy()
            known[here] = after = np.maximum(before, once())
            if not (after > before * (1 + self.precision)).any():
                return

    def _stay(self, rows: _Rows, states: int) -> Floats:
        """About how many moves a run makes here at most, whoever decides; a guess needs no more."""
        stay = np.zeros((states, self.asked.odds.shape[1]))
        for _ in range(_SWEEPS):
            before, stay = stay, 1.0 + rows.inside(stay)
            if not (stay > before * _NEARLY).any():
                break
        return stay * _NEARLY


class _Rows:
    """The edges of one level, ready to be summed by choice and picked by state."""

    def __init__(self, model: Ordered, level: Level, asked: Question) -> None:
        self.picks = level.picks
        self.begin = level.states.start
        self.slots: list[tuple[Ints, Floats]] = []
        self.low = self.high = self._nothing(level, asked)
        loops = any(model.loop[edges].any() for edges in level.edges)
        leave = np.zeros((len(level.edges[0]), asked.odds.shape[1])) if loops else None
        for edges in level.edges:
            label = model.label[edges]
            odds = asked.odds[label]
            self.low = self._plus(self.low, odds * asked.low[label])
            self.high = self._plus(self.high, odds * asked.high[label])
            if leave is not None:
                # From where a choice leads back to: only what leaves it counts.
                odds = np.where(model.loop[edges, None], 0.0, odds)
                leave[: len(edges)] += odds
            self.slots.append((model.target[edges], odds))
        self.leave = leave

    @staticmethod
    def _nothing(level: Level, asked: Question) -> Floats:
        return np.zeros((len(level.edges[0]), asked.low.shape[1]))

    @staticmethod
    def _plus(total: Floats, more: Floats) -> Floats:
        total = total.copy()
        total[: len(more)] += more
        return total

    def value(self, known: Floats, cost: Floats, pick: np.ufunc) -> Floats:
        """What the states are worth, if those they lead to are worth what is known."""
        value = cost.copy()
        for target, odds in self.slots:
            after = known[target]
            after *= odds
            value[: len(after)] += after
        return self._picked(value, pick)

    def inside(self, known: Floats) -> Floats:
        """The most that is known of the states of this level alone, one move on."""
        value = np.zeros((len(self.slots[0][0]), known.shape[1]))
        for target, odds in self.slots:
            here = target >= self.begin
            at = np.maximum(target - self.begin, 0)
            value[: len(here)] += np.where(here[:, None], known[at], 0.0) * odds
        return self._picked(value, np.maximum)

    def _picked(self, value: Floats, pick: np.ufunc) -> Floats:
        if self.leave is not None:
            value /= self.leave
        best = value[self.picks[0]]
        for slot in self.picks[1:]:
            front = best[: len(slot)]
            pick(front, value[slot], out=front)
        return best
