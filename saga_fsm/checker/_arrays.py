"""What the compiled loops read and write: networks, cores and states as arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


Ints = npt.NDArray[np.int64]


class Tables(NamedTuple):
    """
    Rows as arrays; ``starts`` say where those of each row begin, with one end more.

    Args:
        literals: limb, shift, mask and allowed values of each literal on the core.
        literal_starts: the literals of each row.
        asks: the same of each literal on the memory.
        ask_starts: those of each row.
        changes: limb, what is kept and what is put in, of each change of the core.
        change_starts: the changes of each row.
        puts: the same of each change of the memory.
        put_starts: those of each row.
        places: limb, shift and mask of each field.
        candidates: the rows that a field's value may enable, field by field and value by value.
        candidate_starts: those of each field and value.
        value_starts: where each field's values begin.
        written: the fields that each row writes.
        written_starts: those of each row.
    """

    literals: Ints
    literal_starts: Ints
    asks: Ints
    ask_starts: Ints
    changes: Ints
    change_starts: Ints
    puts: Ints
    put_starts: Ints
    places: Ints
    candidates: Ints
    candidate_starts: Ints
    value_starts: Ints
    written: Ints
    written_starts: Ints


class Cores(NamedTuple):
    """
    The cores that were met, and what may happen in each: options, then what is forbidden.

    Args:
        codes: the limbs of each core, one core after another.
        table: finds a core's number.
        first: where a core's options begin, or -1 before it is looked at.
        bad: where what is forbidden there begins.
        last: where that ends.
        what: the command of each option; what is forbidden, or -1 once that was told.
        target: the core that each option leads to, or -1 before it was taken.
    """

    codes: Ints
    table: npt.NDArray[np.int32]
    first: Ints
    bad: Ints
    last: Ints
    what: npt.NDArray[np.int32]
    target: npt.NDArray[np.int32]


class Found(NamedTuple):
    """
    The states that were found.

    Args:
        nodes: the limbs of each state, one state after another.
        table: finds a state's number: that, and above it some bits of the hash; empty where each
            state has a place of its own.
        parents: the state that each was first reached from.
        ends: where in ``targets`` the moves of each state end.
        targets: where moves lead.
        hits: a state, and what is forbidden there.
    """

    nodes: Ints
    table: Ints
    parents: npt.NDArray[np.int32]
    ends: Ints
    targets: npt.NDArray[np.int32]
    hits: Ints


class Dense(NamedTuple):
    """
    Each state's number, at a place of its own: where a core and a memory meet.

    Args:
        numbers: at each place the state's number, and one more; 0 where there is none; empty where
            a hash table does it.
        fields: limb, shift, mask and stride of each field of the memory.
        points: how many places a core has.
    """

    numbers: npt.NDArray[np.int32]
    fields: Ints
    points: int
