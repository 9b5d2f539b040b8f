"""
States that each have a place of their own: where their core and their memory meet.

A table of all places finds a state's number with one look and no comparison. It has room for what
no run comes to as well, so it is used as long as that is little.
"""

from __future__ import annotations

from itertools import accumulate
from operator import mul

import numpy as np

from saga_fsm.checker._arrays import Dense
from saga_fsm.checker._packed import Packing


# Bytes that a table may take anyway, and for each state that it holds: as much as the rest takes.
_SMALL = 1 << 26
_EACH = 128
# More places than that a core cannot have in any table.
_MOST = 1 << 31


def places(memory: Packing) -> Dense:
    """
    How places are counted, and none yet.

    Args:
        memory: where the fields of the memory are.
    """
    strides = [min(x, _MOST) for x in accumulate((len(x.values) for x in memory.fields), mul)]
    digits = [(*place, stride) for place, stride in zip(memory.places, [1, *strides], strict=False)]
    fields = np.array(digits, np.int64).reshape(-1, 4)
    return Dense(np.zeros(0, np.int32), fields, strides[-1] if strides else 1)


def roomy(dense: Dense, cores: int, states: int, most: int | None) -> Dense | None:
    """
    Give the same places, and those of more cores; None where that would be too many.

    Args:
        dense: the places that there are.
        cores: of how many.
        states: how many have a place.
        most: bytes that a search may take; None for as many as there are.
    """
    room = max(_SMALL, _EACH * states)
    if most is not None:
        room = min(room, most // 2)
    count = cores * dense.points
    if count * dense.numbers.itemsize > room:
        return None
    numbers = np.zeros(count, np.int32)
    numbers[: len(dense.numbers)] = dense.numbers
    return dense._replace(numbers=numbers)
