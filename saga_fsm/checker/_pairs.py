"""
Which of many guards hold in which of few states, as pairs.

Where a level of the search is narrow, most commands are enabled in a handful of its states, and to
ask one guard after another takes longer than the answers are worth. Here each state names the
guards that may hold in it, by the literal of each that holds least often; all these pairs are
arrays, and so are the literals that are left to be looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from saga_fsm.checker._cores import rarest
from saga_fsm.checker._packed import Limbs, Numbers, Packing
from saga_fsm.product import Guard, Literal


# A literal has one bit for each value that it allows.
_WIDEST = 62


class Pairs:
    """
    Some guards, to be asked of narrow levels.

    Args:
        guards: which, by their number.
        packing: where the fields are, none of which has more than 62 values.
    """

    def __init__(self, guards: Sequence[Guard], packing: Packing) -> None:
        sizes = [len(field.values) for field in packing.fields]
        self._limb, self._shift, self._mask = np.array(packing.places, np.int64).T
        at: list[list[list[int]]] = [[[] for _ in range(size)] for size in sizes]
        others: list[list[Literal]] = []
        for number, guard in enumerate(guards):
            # What asks nothing is looked for wherever the first field is.
            home = rarest(guard, sizes) if guard else (0, frozenset(range(sizes[0])))
            for value in home[1]:
                at[home[0]][value].append(number)
            others.append([literal for literal in guard if literal is not home])
            # Those that hold least often first: most pairs are done with after one look.
            others[-1].sort(key=lambda one: len(one[1]) / sizes[one[0]])
        self._used = np.array([f for f, by_value in enumerate(at) if any(by_value)], np.int64)
        lists = [numbers for f in self._used for numbers in at[f]]
        offsets = np.array([0, *accumulate(sizes[f] for f in self._used)], np.int64)[:-1]
        # Of the fields that guards are at home at, one column each.
        limb, shift, mask = (x[self._used] for x in (self._limb, self._shift, self._mask))
        self._at = limb, shift[:, None], mask[:, None], offsets[:, None]
        self._counts = np.array([len(numbers) for numbers in lists], np.int64)
        self._some = self._counts > 0
        self._starts = np.cumsum(self._counts) - self._counts
        self._candidates = np.array([x for numbers in lists for x in numbers], np.int64)
        # The other literals, one column after the other.
        self._many = np.array([len(guard) for guard in others], np.int64)
        shape = max(map(len, others), default=0), len(guards)
        self._fields, self._allowed = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for number, literals in enumerate(others):
            for k, (f, allowed) in enumerate(literals):
                self._fields[k, number] = f
                self._allowed[k, number] = sum(1 << x for x in allowed)

    @staticmethod
    def suits(packing: Packing) -> bool:
        """Whether the values of each field have a bit each."""
        return all(len(field.values) <= _WIDEST for field in packing.fields)

    def of(self, limbs: Limbs) -> tuple[Numbers, Numbers]:
        """The states and the numbers of the guards that hold there, as pairs."""
        limb, shift, mask, offsets = self._at
        at = (limbs[limb] >> shift & mask) + offsets
        where = np.flatnonzero(self._some[at])
        at, found = at.reshape(-1)[where], where % limbs.shape[1]
        many = self._counts[at]
        states = np.repeat(found, many)
        # Of those at one place the first, the second, and so on.
        within = np.arange(len(states)) - np.repeat(np.cumsum(many) - many, many)
        numbers = self._candidates[np.repeat(self._starts[at], many) + within]
        held = self._held(limbs, states, numbers)
        return states[held], numbers[held]

    def _held(self, limbs: Limbs, states: Numbers, numbers: Numbers) -> npt.NDArray[np.bool_]:
        held = np.ones(len(states), np.bool_)
        left = np.arange(len(states))
        for k in range(len(self._fields)):
            left = left[self._many[numbers[left]] > k]
            if not len(left):
                break
            those = numbers[left]
            f = self._fields[k, those]
            value = limbs[self._limb[f], states[left]] >> self._shift[f] & self._mask[f]
            good = (self._allowed[k, those] >> value & 1).astype(np.bool_)
            held[left[~good]] = False
            left = left[good]
        return held
