"""
Which of many guards hold in which of few states, as pairs.

Where a level of the search is narrow, most commands are enabled in a handful of its states, and to
ask one guard after another takes longer than the answers are worth. Here each state names the
guards that may hold in it, by the two literals of each that say most; all these pairs are arrays,
and so are the literals that are left to be looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, product

import numpy as np
import numpy.typing as npt

from saga_fsm.checker._packed import Limbs, Numbers, Packing
from saga_fsm.product import Guard, Literal


# A literal has one bit for each value that it allows.
_WIDEST = 62
# Of local states the first is met about so many times as often as another.
_COMMON = 3


class Pairs:
    """
    Some guards, to be asked of narrow levels.

    Args:
        guards: which, by their number.
        packing: where the fields are, none of which has more than 62 values.
    """

    def __init__(self, guards: Sequence[Guard], packing: Packing) -> None:
        sizes = [*(len(field.values) for field in packing.fields), 1]
        places = np.array([*packing.places, (0, 0, 0)], np.int64).T
        at, others = _at_home(guards, sizes)
        lists = [here.get(x, []) for (f, g), here in at.items() for x in range(sizes[f] * sizes[g])]
        first, second = np.array([*at], np.int64).reshape(-1, 2).T
        offsets = np.array([0, *accumulate(sizes[f] * sizes[g] for f, g in at)], np.int32)[:-1]
        # Of the fields that guards are at home at, one column each.
        used = np.unique([first, second])
        self._columns = tuple(places[:, used, None])
        self._first, self._second = np.searchsorted(used, first), np.searchsorted(used, second)
        self._width = np.array([sizes[g] for g in second], np.int32)[:, None]
        self._offsets = offsets[:, None]
        self._counts = np.array([len(numbers) for numbers in lists], np.int64)
        self._some = self._counts > 0
        self._starts = np.cumsum(self._counts) - self._counts
        self._candidates = np.array([x for numbers in lists for x in numbers], np.int64)
        # The other literals, one column after the other.
        self._many = np.array([len(guard) for guard in others], np.int64)
        shape = max(map(len, others), default=0), len(guards)
        fields, self._allowed = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for number, literals in enumerate(others):
            for k, (f, allowed) in enumerate(literals):
                fields[k, number] = f
                self._allowed[k, number] = sum(1 << x for x in allowed)
        self._asked = tuple(x[fields] for x in places)

    @staticmethod
    def suits(packing: Packing) -> bool:
        """Whether the values of each field have a bit each."""
        return all(len(field.values) <= _WIDEST for field in packing.fields)

    def of(self, limbs: Limbs) -> tuple[Numbers, Numbers]:
        """The states and the numbers of the guards that hold there, as pairs."""
        limb, shift, mask = self._columns
        values = limbs[limb[:, 0]]
        values >>= shift
        values &= mask
        # In fewer bytes: there are more homes than fields.
        columns = values.astype(np.int32)
        at = columns.take(self._first, axis=0)
        at *= self._width
        at += columns.take(self._second, axis=0)
        at += self._offsets
        where = self._some.take(at.reshape(-1)).nonzero()[0]
        at, found = at.reshape(-1).take(where), where % limbs.shape[1]
        many = self._counts.take(at)
        states = np.repeat(found, many)
        # Of those at one place the first, the second, and so on.
        within = np.arange(len(states)) - np.repeat(np.cumsum(many) - many, many)
        within += np.repeat(self._starts.take(at), many)
        numbers = self._candidates.take(within)
        held = self._held(limbs, states, numbers)
        return states[held], numbers[held]

    def _held(self, limbs: Limbs, states: Numbers, numbers: Numbers) -> npt.NDArray[np.bool_]:
        held = np.zeros(len(states), np.bool_)
        flat, size = limbs.reshape(-1), limbs.shape[1]
        left = np.arange(len(states))
        for k, (limb, shift, mask) in enumerate(zip(*self._asked, strict=True)):
            more = self._many.take(numbers) > k
            held[left[~more]] = True
            left, states, numbers = left[more], states[more], numbers[more]
            if not len(left):
                return held
            value = flat.take(limb.take(numbers) * size + states)
            value >>= shift.take(numbers)
            value &= mask.take(numbers)
            good = (self._allowed[k].take(numbers) >> value & 1).astype(np.bool_)
            left, states, numbers = left[good], states[good], numbers[good]
        held[left] = True
        return held


def _at_home(
    guards: Sequence[Guard], sizes: Sequence[int]
) -> tuple[dict[tuple[int, int], dict[int, list[int]]], list[list[Literal]]]:
    """
    Where each guard is at home, and what else it asks, what says most first.

    Returns:
        By two fields and their values, ``x * size + y``, the guards that may hold there; and of
        each guard its other literals.
    """
    asked = Counter(f for guard in guards for f, _ in guard)
    # What asks nothing, or nothing else, asks the last field, which has one value.
    none = len(sizes) - 1, frozenset({0})

    def vague(literal: Literal) -> float:
        """How many guards ask the field, times how often they are told yes."""
        f, allowed = literal
        return asked[f] * len(allowed) / sizes[f] * (_COMMON if 0 in allowed else 1)

    at: dict[tuple[int, int], dict[int, list[int]]] = {}
    others: list[list[Literal]] = []
    for number, guard in enumerate(guards):
        telling = sorted(guard, key=vague)
        (f, these), (g, those) = [*telling, none, none][:2]
        here = at.setdefault((f, g), {})
        for x, y in product(these, those):
            here.setdefault(x * sizes[g] + y, []).append(number)
        others.append(telling[2:])
    return at, others
