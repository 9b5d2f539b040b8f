"""
The explicit engine's loops, compiled by numba: one state after another instead of whole levels.

The tables of a network are arrays, so the loops are compiled once for all sagas, and kept in a
cache. A literal is a limb, a shift, a mask and one bit for each value that is allowed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt


Ints = npt.NDArray[np.int64]


class Tables(NamedTuple):
    """
    Rows as arrays; ``starts`` say where those of each row begin, with one end more.

    Args:
        literals: limb, shift, mask and allowed values of each literal.
        literal_starts: the literals of each row.
        changes: limb, what is kept and what is put in, of each change.
        change_starts: the changes of each row.
        places: limb, shift and mask of each field.
        candidates: the rows that a field's value may enable, field by field and value by value.
        candidate_starts: those of each field and value.
        value_starts: where each field's values begin.
        written: the fields that each row writes.
        written_starts: those of each row.
    """

    literals: Ints
    literal_starts: Ints
    changes: Ints
    change_starts: Ints
    places: Ints
    candidates: Ints
    candidate_starts: Ints
    value_starts: Ints
    written: Ints
    written_starts: Ints


@numba.njit(cache=True, inline="always")
def _holds(state: Any, row: int, literals: Any, starts: Any) -> bool:
    for i in range(starts[row], starts[row + 1]):
        value = state[literals[i, 0]] >> literals[i, 1] & literals[i, 2]
        if not literals[i, 3] >> value & 1:
            return False
    return True


@numba.njit(cache=True, inline="always")
def _take(state: Any, row: int, changes: Any, starts: Any) -> None:
    for i in range(starts[row], starts[row + 1]):
        limb = changes[i, 0]
        state[limb] = state[limb] & changes[i, 1] | changes[i, 2]


@numba.njit(cache=True)
def _settle(  # noqa: PLR0913, PLR0917 - numba takes arrays, not objects
    state: Any, row: int, rows: Any, inner: Any, taken: Any, todo: Any
) -> None:
    """Take internal rows until none is enabled, those first that the last change may enable."""
    waiting = 0
    for i in range(rows.written_starts[row], rows.written_starts[row + 1]):
        todo[waiting] = rows.written[i]
        waiting += 1
    while waiting:
        waiting -= 1
        f = todo[waiting]
        value = state[inner.places[f, 0]] >> inner.places[f, 1] & inner.places[f, 2]
        at = inner.value_starts[f] + value
        for i in range(inner.candidate_starts[at], inner.candidate_starts[at + 1]):
            one = inner.candidates[i]
            if _holds(state, one, inner.literals, inner.literal_starts):
                taken[one] = True
                _take(state, one, inner.changes, inner.change_starts)
                for k in range(inner.written_starts[one], inner.written_starts[one + 1]):
                    todo[waiting] = inner.written[k]
                    waiting += 1


@numba.njit(cache=True, inline="always")
def _slot(state: Any, mask: int) -> Any:
    mixed = np.uint64(0)
    for limb in state:
        mixed = (mixed ^ np.uint64(limb)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(27)
    return np.int64(mixed >> np.uint64(1)) & mask


@numba.njit(cache=True)
def expand(  # noqa: PLR0913, PLR0917 - as above
    states: Any,
    size: int,
    begin: int,
    end: int,
    table: Any,
    parents: Any,
    edges: Any,
    rows: Any,
    inner: Any,
    rows_taken: Any,
    inner_taken: Any,
) -> Any:
    """
    Look at the states from ``begin``, as long as there is room for all that one may lead to.

    Returns:
        How many states there are, up to where they were looked at, moves, and edges written.
    """
    mask, limbs = len(table) - 1, states.shape[1]
    most = len(rows.change_starts)
    after = np.empty(limbs, np.int64)
    todo = np.empty(4096, np.int64)
    moves = written = 0
    number = begin
    while number < end:
        if size + most > len(states) or 2 * (size + most) > len(table):
            break
        if written + most > len(edges):
            break
        state = states[number]
        for f in range(len(rows.places)):
            value = state[rows.places[f, 0]] >> rows.places[f, 1] & rows.places[f, 2]
            at = rows.value_starts[f] + value
            for i in range(rows.candidate_starts[at], rows.candidate_starts[at + 1]):
                row = rows.candidates[i]
                if not _holds(state, row, rows.literals, rows.literal_starts):
                    continue
                moves += 1
                rows_taken[row] = True
                if rows.change_starts[row] == rows.change_starts[row + 1]:
                    continue
                after[:] = state
                _take(after, row, rows.changes, rows.change_starts)
                if rows.written_starts[row] < rows.written_starts[row + 1]:
                    _settle(after, row, rows, inner, inner_taken, todo)
                slot = _slot(after, mask)
                while True:
                    there = table[slot]
                    if there < 0:
                        there = size
                        table[slot] = size
                        states[size] = after
                        parents[size] = number
                        size += 1
                        break
                    same = True
                    for limb in range(limbs):
                        same = same and states[there, limb] == after[limb]
                    if same:
                        break
                    slot = (slot + 1) & mask
                edges[written, 0] = number
                edges[written, 1] = there
                written += 1
        number += 1
    return size, number, moves, written


@numba.njit(cache=True)
def fill(states: Any, size: int, table: Any) -> None:
    """Put all states into an empty table."""
    mask = len(table) - 1
    for number in range(size):
        slot = _slot(states[number], mask)
        while table[slot] >= 0:
            slot = (slot + 1) & mask
        table[slot] = number
