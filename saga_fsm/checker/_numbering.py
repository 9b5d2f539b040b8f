"""States get numbers, each one once: a hash table for whole arrays of them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from saga_fsm.checker._packed import Limbs, Numbers


_FREE = -1
# Odd, and half of its bits set: splitmix64's constants, after Steele, Lea and Flood (2014).
_MIX = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


class States(Protocol):
    """States that have numbers: how many, each as a column, and the bytes that they take."""

    size: int

    @property
    def states(self) -> Limbs: ...

    @property
    def bytes(self) -> int: ...


class Numbering:
    """
    States by number, in the order in which they were first seen.

    Args:
        limbs: how many 64-bit numbers a state has.
    """

    def __init__(self, limbs: int) -> None:
        self.size = 0
        self._states: Limbs = np.empty((limbs, 1 << 12), np.int64)
        self._table: npt.NDArray[np.int32] = np.full(1 << 13, _FREE, np.int32)

    @property
    def states(self) -> Limbs:
        """All states that have a number."""
        return self._states[:, : self.size]

    @property
    def bytes(self) -> int:
        """What the numbering takes."""
        return self._states.nbytes + self._table.nbytes

    def number(self, states: Limbs) -> tuple[Numbers, Numbers]:
        """
        The number of each of these states, and where those stand that have got theirs here.

        Of equal states the first one counts as new.
        """
        self._make_room(states.shape[1])
        mask = len(self._table) - 1
        slots = _hashed(states) & mask
        numbers, won, left = self._look(slots, states)
        # Most are found at the first look: those that were not are put right.
        fresh, pending, sought = [won], left, states
        while len(left):
            sought, slots = sought.take(left, axis=1), (slots[left] + 1) & mask
            numbers[pending], won, left = self._look(slots, sought)
            fresh.append(pending[won])
            pending = pending[left]
        return numbers, np.concatenate(fresh)

    def _look(self, slots: Numbers, sought: Limbs) -> tuple[Numbers, Numbers, Numbers]:
        """Whose number stands at each slot, which were put there now, and who is another."""
        there = self._table.take(slots).astype(np.int64)
        free = np.flatnonzero(there == _FREE)
        won = self._claim(slots, free)
        self._states[:, self.size : self.size + len(won)] = sought[:, won]
        self._table[slots[won]] = np.arange(self.size, self.size + len(won))
        self.size += len(won)
        there[free] = self._table[slots[free]]
        same = self._states[0].take(there) == sought[0]
        for one, other in zip(self._states[1:], sought[1:], strict=True):
            same &= one.take(there) == other
        return there, won, np.flatnonzero(~same)

    def _claim(self, slots: Numbers, free: Numbers) -> Numbers:
        """Of those that come to free slots, the first at each."""
        table, claims = self._table, -2 - np.arange(len(free), dtype=np.int32)
        # The last one that writes stays: so the first one has to be it.
        table[slots[free][::-1]] = claims[::-1]
        won: Numbers = free[table[slots[free]] == claims]
        return won

    def _make_room(self, count: int) -> None:
        needed = self.size + count
        if needed > self._states.shape[1]:
            more = np.empty((len(self._states), max(needed, 2 * self._states.shape[1])), np.int64)
            more[:, : self.size] = self.states
            self._states = more
        if 2 * needed > len(self._table):
            size = 1 << (4 * needed - 1).bit_length()
            self._table = np.full(size, _FREE, np.int32)
            self._put_back()

    def _put_back(self) -> None:
        table, mask = self._table, len(self._table) - 1
        slots = _hashed(self.states) & mask
        pending = np.arange(self.size)
        while len(pending):
            at = slots[pending]
            free = table[at] == _FREE
            table[at[free]] = pending[free]
            pending = pending[table[at] != pending]
            slots[pending] = (slots[pending] + 1) & mask


def _hashed(states: Limbs) -> Numbers:
    mixed = np.zeros(states.shape[1], np.uint64)
    for limb in states.view(np.uint64):
        mixed = (mixed ^ limb) * np.uint64(_MIX[0])
        mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(_MIX[1])
        mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(_MIX[2])
    return (mixed >> np.uint64(1)).astype(np.int64)
