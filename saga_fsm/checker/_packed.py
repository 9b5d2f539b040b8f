"""
States as columns of bits: fields side by side in 62-bit limbs, and many states in one array.

A guard's literal is looked up for all states at once, and shared by all guards that have it; a
command is one ``and`` and one ``or``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from saga_fsm.checker._cores import rarest
from saga_fsm.product import Field, Guard, Literal, Network, Update, Values


Limbs: TypeAlias = npt.NDArray[np.int64]  # limb, state
Bits: TypeAlias = npt.NDArray[np.bool_]
Numbers: TypeAlias = npt.NDArray[np.int64]

# No sign bit, and one to spare.
_LIMB = 62


class Place(NamedTuple):
    """Where a field is."""

    limb: int
    shift: int
    mask: int


class Asked(NamedTuple):
    """
    A literal, ready to be looked up.

    Args:
        field: what it asks.
        bits: one bit for each value that is allowed.
        values: those that are allowed, or those that are not: whichever are fewer.
        inside: whether ``values`` are those that are allowed.
    """

    field: int
    bits: int
    values: tuple[int, ...]
    inside: bool


class Packing:
    """
    Where each of some fields is, and what commands do to them as masks.

    Args:
        fields: which.
        first: how many bits of the first limb they may have.
    """

    def __init__(self, fields: Sequence[Field], first: int = _LIMB) -> None:
        self.fields = fields
        self.places: list[Place] = []
        limb = used = 0
        for field in fields:
            bits = (len(field.values) - 1).bit_length()
            if used + bits > (_LIMB if limb else first):
                limb, used = limb + 1, 0
            self.places.append(Place(limb, used, (1 << bits) - 1))
            used += bits
        self.limbs = limb + 1
        self._known: dict[Literal, Asked] = {}

    def asked(self, guard: Guard) -> tuple[Asked, ...]:
        """A guard, ready to be looked up; one value for one literal."""
        return tuple(self._asked(literal) for literal in guard)

    def _asked(self, literal: Literal) -> Asked:
        known = self._known.get(literal)
        if known is None:
            f, allowed = literal
            every = range(len(self.fields[f].values))
            but = [x for x in every if x not in allowed]
            inside = len(allowed) <= len(but)
            bits = sum(1 << x for x in allowed)
            known = Asked(f, bits, tuple(sorted(allowed)) if inside else tuple(but), inside)
            self._known[literal] = known
        return known

    def change(self, update: Update) -> list[tuple[int, int, int]]:
        """Per limb that is written: its number, what is kept, what is put in."""
        kept: dict[int, tuple[int, int]] = {}
        for f, x in update:
            place = self.places[f]
            keep, put = kept.get(place.limb, (-1, 0))
            keep &= ~(place.mask << place.shift)
            kept[place.limb] = keep, put | x << place.shift
        return [(limb, keep, put) for limb, (keep, put) in kept.items()]

    def values(self, limbs: npt.NDArray[np.int64]) -> Values:
        """Each field's value in one state."""
        return tuple(int(limbs[x.limb]) >> x.shift & x.mask for x in self.places)

    def pack(self, values: Sequence[int]) -> Limbs:
        """One state as one column."""
        limbs = [0] * self.limbs
        for value, place in zip(values, self.places, strict=True):
            limbs[place.limb] |= value << place.shift
        return np.array(limbs, np.int64).reshape(-1, 1)


class Batch:
    """
    Many states, and what was looked up of them.

    Args:
        packing: where the fields are.
        limbs: the states; taken over, and changed by ``settle``.
    """

    def __init__(self, packing: Packing, limbs: Limbs) -> None:
        self.packing = packing
        self.limbs = limbs
        self.size = limbs.shape[1]
        self._columns: dict[int, tuple[Any, int]] = {}
        # By field, so that what was looked up can be forgotten with it.
        self._known: dict[int, dict[Asked, Bits]] = {}

    def column(self, f: int) -> Any:
        """The values of a field, in as few bytes as there can be."""
        return self._column(f)[0]

    def present(self, f: int) -> int:
        """One bit for each value that some state has."""
        return self._column(f)[1]

    def _column(self, f: int) -> tuple[Any, int]:
        known = self._columns.get(f)
        if known is None:
            place = self.packing.places[f]
            wide = self.limbs[place.limb] >> place.shift & place.mask
            column = wide.astype(np.min_scalar_type(place.mask))
            known = self._columns[f] = column, _present(column, place.mask)
        return known

    def _literal(self, asked: Asked) -> Bits:
        here = self._known.setdefault(asked.field, {})
        known = here.get(asked)
        if known is None:
            column = self.column(asked.field)
            known = column == asked.values[0]
            for value in asked.values[1:]:
                known |= column == value
            if not asked.inside:
                known = ~known
            here[asked] = known
        return known

    def holds(self, guard: tuple[Asked, ...]) -> Any:
        """Which states satisfy a guard: an array, or one truth for all."""
        arrays = []
        columns = self._columns
        for asked in guard:
            known = columns.get(asked.field) or self._column(asked.field)
            present = known[1] & asked.bits
            if not present:
                return False
            if present != known[1]:
                arrays.append(asked)
        if not arrays:
            return True
        whole = self._literal(arrays[0])
        for asked in arrays[1:]:
            whole = whole & self._literal(asked)
        return whole

    def where(self, guard: tuple[Asked, ...]) -> Numbers:
        """The numbers of the states that satisfy a guard, in order."""
        found = self.holds(guard)
        if found is False:
            return _NONE
        return np.arange(self.size) if found is True else found.nonzero()[0]

    def write(self, numbers: Numbers, change: list[tuple[int, int, int]], update: Update) -> None:
        """Change some of the states."""
        for limb, keep, put in change:
            self.limbs[limb, numbers] = self.limbs[limb, numbers] & keep | put
        for f, _ in update:
            self._columns.pop(f, None)
            self._known.pop(f, None)


_NONE: Numbers = np.zeros(0, np.int64)


def _present(column: Any, most: int) -> int:
    """One bit for each value that is there."""
    if most < 64:  # the bits of the widest number that there is
        # In as few bytes as there can be: that is several times as fast as counting.
        wide = np.min_scalar_type((1 << most + 1) - 1)
        return int(np.bitwise_or.reduce(np.left_shift(wide.type(1), column, dtype=wide)))
    counts = np.bincount(column, minlength=most + 1).tolist()
    return sum(1 << x for x, count in enumerate(counts) if count)


class Settling:
    """
    The internal commands of a network, taken by many states at once.

    Args:
        packing: where its fields are.
        network: whose.
    """

    def __init__(self, packing: Packing, network: Network) -> None:
        self.rows = network.internal
        self._guards = [packing.asked(row.guard) for row in self.rows]
        self._changes = [packing.change(row.update) for row in self.rows]
        self._watching: dict[int, list[int]] = {}
        for number, row in enumerate(self.rows):
            for f, _ in row.guard:
                self._watching.setdefault(f, []).append(number)
        self.taken: set[int] = set()

    def settle(self, batch: Batch, written: set[int]) -> None:
        """Take what is enabled until nothing is; ``written``: the fields that have changed."""
        while written:
            due = sorted({number for f in written for number in self._watching.get(f, ())})
            written = set()
            for number in due:
                row = self.rows[number]
                found = batch.where(self._guards[number])
                if len(found):
                    batch.write(found, self._changes[number], row.update)
                    written.update(f for f, _ in row.update)
                    self.taken.add(row.row)


class Homes:
    """
    Guards by the literal that holds least often: most need not be looked at.

    Args:
        guards: which, by their number.
        packing: where the fields are.
    """

    def __init__(self, guards: Sequence[Guard], packing: Packing) -> None:
        sizes = [len(field.values) for field in packing.fields]
        self._always = [number for number, guard in enumerate(guards) if not guard]
        at: dict[int, dict[int, list[int]]] = {}
        for number, guard in enumerate(guards):
            if guard:
                f, allowed = rarest(guard, sizes)
                bits = sum(1 << x for x in allowed)
                at.setdefault(f, {}).setdefault(bits, []).append(number)
        self._at = [(f, list(by_bits.items())) for f, by_bits in at.items()]

    def due(self, batch: Batch) -> list[int]:
        """The numbers of those that may hold somewhere, in order."""
        found = list(self._always)
        for f, by_bits in self._at:
            present = batch.present(f)
            for bits, numbers in by_bits:
                if bits & present:
                    found += numbers
        found.sort()
        return found


class Taking(NamedTuple):
    """
    A command, ready for batches.

    Args:
        guard: what it asks.
        row: the machine's row that it takes.
        change: what it does to each limb.
        wakes: the fields that it writes and an internal command asks.
    """

    guard: tuple[Asked, ...]
    row: int
    change: list[tuple[int, int, int]]
    wakes: frozenset[int]


class Masks:
    """
    What commands do, as arrays by their numbers.

    Args:
        packing: where the fields are.
        changes: what each does, as ``Packing.change`` has it.
    """

    def __init__(self, packing: Packing, changes: Sequence[list[tuple[int, int, int]]]) -> None:
        shape = packing.limbs, len(changes)
        self.keep, self.put = np.full(shape, -1, np.int64), np.zeros(shape, np.int64)
        for number, change in enumerate(changes):
            for limb, keep, put in change:
                self.keep[limb, number], self.put[limb, number] = keep, put
        self.changes = np.array([bool(change) for change in changes], np.bool_)


def takings(packing: Packing, network: Network) -> list[Taking]:
    """The commands of a network."""
    watched = {f for row in network.internal for f, _ in row.guard}
    return [
        Taking(
            packing.asked(one.guard),
            one.row,
            packing.change(one.update),
            frozenset(f for f, _ in one.update) & watched,
        )
        for one in network.commands
    ]
