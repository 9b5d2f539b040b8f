"""
How often a run is where, in a chain in which nothing is to be decided.

One pass from the start to the ends gives the mean number of visits of every state, and with them
every figure at once: visits times odds are how often an edge is taken, and that times its cost is
what it costs. Bounds are those of ``_solve``: nothing is ever subtracted, and each sum is moved
outward by all that its roundings can come to.
"""

from __future__ import annotations

import numpy as np

from saga_fsm.quant._ordered import Ints, Level, Ordered
from saga_fsm.quant._solve import Floats, outward


class Visits:
    """
    Visits of states, then how often a run ends as what and takes edges of which label.

    Args:
        model: a chain in order, of one choice a state.
        odds: by label.
        rests_as: of each resting state, in order, what it is.
    """

    def __init__(self, model: Ordered, odds: Floats, rests_as: Ints) -> None:
        self.model = model
        self.odds = odds
        most = int(np.bincount(model.target, minlength=1).max(initial=1))
        self.terms = most + 8
        begin = np.zeros(len(model.place))
        begin[model.start] = 1.0
        # At least and at most, as everywhere.
        self.sides = begin, begin.copy()
        for level in reversed(model.levels):
            self._pass(level)
        self.ended = self._summed(rests_as, [side[: model.resting] for side in self.sides])
        share = odds[model.label]
        self.taken = self._summed(model.label, [side[model.source] * share for side in self.sides])

    def _pass(self, level: Level) -> None:
        """Divide what has come to the states of a level among those they lead to."""
        model, here = self.model, level.states
        # The state of each choice, as the slots have them.
        owner = np.argsort(level.picks[0])
        slots = []
        leave = np.zeros(len(owner))
        for edges in level.edges:
            odds = np.where(model.loop[edges], 0.0, self.odds[model.label[edges]])
            leave[: len(edges)] += odds
            slots.append((model.target[edges], odds))
        loops = any(model.loop[edges].any() for edges in level.edges)
        for number, side in enumerate(self.sides):
            come = side[here][owner]
            if loops:
                # Whoever may stay leaves at last: by the odds of leaving alone.
                come = come / leave
            come = outward(come, self.terms, up=bool(number))
            side[here.start + owner] = come
            for target, odds in slots:
                np.add.at(side, target, come[: len(target)] * odds)

    def _summed(self, kind: Ints, sides: list[Floats]) -> Floats:
        """The sum of each kind; what came to a resting state was summed just before."""
        terms = int(np.bincount(kind, minlength=1).max(initial=1)) + self.terms
        sums: list[Floats] = [np.bincount(kind, weights=side).astype(float) for side in sides]
        return np.stack([outward(one, terms, up=bool(n)) for n, one in enumerate(sums)])

    @staticmethod
    def total(often: Floats, each: Floats) -> tuple[float, float]:
        """The sum of how often, times what each is worth at least and at most."""
        low, high = (often * each).sum(axis=1)
        terms = often.shape[1] + 8
        return float(outward(low, terms, up=False)), float(outward(high, terms, up=True))
