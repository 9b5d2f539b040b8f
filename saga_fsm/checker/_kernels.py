"""
The explicit engine's loops, compiled by numba: one state after another instead of whole levels.

A state is the number of its core and the bits of the world's memory, as in the plain engine. What
may happen in a core is worked out once, when the first state with it is looked at; the rest is
arithmetic and one look at a table, whose lines are fetched ahead: one of all places, where these
are few, else a hash table. The tables of a network are arrays, so the loops are compiled once for
all sagas, and kept in a cache. All that call one another stand in this file: numba compiles again
what has changed, and not what calls it.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic


# A state's first limb: the number of its core, and below it as many bits of memory.
CORE_SHIFT = 31
# So many arrivals are looked up together: while one is fetched, others are compared.
TOGETHER = 256


@intrinsic
def _fetch(_context: Any, array: Any, index: Any) -> Any:  # noqa: ARG001 - numba looks at the names
    """Ask for a line of memory that is going to be read: numba has no word for it."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        where = builder.bitcast(builder.gep(data, [args[1]]), byte)
        # To be read, kept near, and data.
        builder.call(fetch, [where, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


# An intrinsic is called without its first argument.
_prefetch: Any = _fetch


@numba.njit(cache=True, inline="always")
def _holds(limbs: Any, base: int, literals: Any, begin: int, end: int) -> bool:
    for i in range(begin, end):
        value = limbs[base + literals[i, 0]] >> literals[i, 1] & literals[i, 2]
        if not literals[i, 3] >> value & 1:
            return False
    return True


@numba.njit(cache=True, inline="always")
def _take(limbs: Any, base: int, changes: Any, begin: int, end: int) -> None:
    for i in range(begin, end):
        limb = base + changes[i, 0]
        limbs[limb] = limbs[limb] & changes[i, 1] | changes[i, 2]


@numba.njit(cache=True)
def _settle(core: Any, row: int, rows: Any, inner: Any, taken: Any, todo: Any) -> None:  # noqa: PLR0913, PLR0917 - numba takes arrays, not objects
    """Take internal rows until none is enabled, those first that the last change may enable."""
    waiting = 0
    for i in range(rows.written_starts[row], rows.written_starts[row + 1]):
        todo[waiting] = rows.written[i]
        waiting += 1
    while waiting:
        waiting -= 1
        f = todo[waiting]
        value = core[inner.places[f, 0]] >> inner.places[f, 1] & inner.places[f, 2]
        at = inner.value_starts[f] + value
        for i in range(inner.candidate_starts[at], inner.candidate_starts[at + 1]):
            one = inner.candidates[i]
            begin, end = inner.literal_starts[one], inner.literal_starts[one + 1]
            if _holds(core, 0, inner.literals, begin, end):
                taken[one] = True
                begin, end = inner.change_starts[one], inner.change_starts[one + 1]
                _take(core, 0, inner.changes, begin, end)
                for k in range(inner.written_starts[one], inner.written_starts[one + 1]):
                    todo[waiting] = inner.written[k]
                    waiting += 1


@numba.njit(cache=True, inline="always")
def _hash(limbs: Any, base: int, count: int) -> Any:
    mixed = np.uint64(0)
    for i in range(base, base + count):
        mixed = (mixed ^ np.uint64(limbs[i])) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(27)
    return np.int64(mixed >> np.uint64(1))


@numba.njit(cache=True, inline="always")
def _same(one: Any, i: int, other: Any, k: int, count: int) -> bool:
    for x in range(count):  # noqa: SIM110 - not known to numba
        if one[i + x] != other[k + x]:
            return False
    return True


@numba.njit(cache=True)
def _open(  # noqa: PLR0913, PLR0917 - numba takes arrays, not objects
    core: int, used: int, cores: Any, width: int, rows: Any, bad: Any
) -> int:
    """Write down what may happen in a core, and what is forbidden there; where that ends."""
    cores.first[core] = used
    for tables in (rows, bad):
        cores.bad[core] = used
        for f in range(len(tables.places)):
            place = tables.places[f]
            at = tables.value_starts[f] + (
                cores.codes[core * width + place[0]] >> place[1] & place[2]
            )
            for i in range(tables.candidate_starts[at], tables.candidate_starts[at + 1]):
                one = tables.candidates[i]
                begin, end = tables.literal_starts[one], tables.literal_starts[one + 1]
                if _holds(cores.codes, core * width, tables.literals, begin, end):
                    cores.what[used] = one
                    cores.target[used] = -1
                    used += 1
    cores.last[core] = used
    return used


@numba.njit(cache=True)
def _target(  # noqa: PLR0913, PLR0917 - numba takes arrays, not objects
    core: int,
    size: int,
    row: int,
    cores: Any,
    now: Any,
    todo: Any,
    rows: Any,
    inner: Any,
    inner_taken: Any,
) -> Any:
    """The core after a command, settled; it gets the next number where it is new."""
    width, mask = len(now), len(cores.table) - 1
    now[:] = cores.codes[core * width : (core + 1) * width]
    _take(now, 0, rows.changes, rows.change_starts[row], rows.change_starts[row + 1])
    _settle(now, row, rows, inner, inner_taken, todo)
    slot = _hash(now, 0, width) & mask
    while cores.table[slot] >= 0:
        there = cores.table[slot]
        if _same(cores.codes, there * width, now, 0, width):
            return there
        slot = (slot + 1) & mask
    cores.table[slot] = size
    cores.codes[size * width : (size + 1) * width] = now
    cores.first[size] = -1
    return size


@numba.njit(cache=True, inline="always")
def _place(limbs: Any, base: int, dense: Any) -> Any:
    """Where a state's core and its memory meet: mixed radix, a digit for each field."""
    at = (limbs[base] >> CORE_SHIFT) * dense.points
    for k in range(len(dense.fields)):
        value = limbs[base + dense.fields[k, 0]] >> dense.fields[k, 1] & dense.fields[k, 2]
        at += value * dense.fields[k, 3]
    return at


@numba.njit(cache=True)
def _arrive(  # noqa: PLR0913, PLR0917 - numba takes arrays, not objects
    size: int, count: int, found: Any, dense: Any, arrived: Any, moved: int
) -> int:
    """Number the states that were reached; how many there are now."""
    if len(dense.numbers):
        return _place_each(size, count, found, dense, arrived, moved)
    return _hash_each(size, count, found, arrived, moved)


@numba.njit(cache=True)
def _place_each(  # noqa: PLR0913, PLR0917 - as above
    size: int, count: int, found: Any, dense: Any, arrived: Any, moved: int
) -> int:
    """Where each state has a place of its own: one look, and nothing to compare."""
    after, where, sources = arrived
    limbs = len(after) // len(where)
    for i in range(count):
        where[i] = _place(after, i * limbs, dense)
        _prefetch(dense.numbers, where[i])
    for i in range(count):
        number = dense.numbers[where[i]] - 1
        if number < 0:
            number = size
            dense.numbers[where[i]] = size + 1
            _keep(size, i, limbs, found, after, sources)
            size += 1
        found.targets[moved + i] = number
    return size


@numba.njit(cache=True)
def _hash_each(size: int, count: int, found: Any, arrived: Any, moved: int) -> int:
    """Where there are too many places: a hash table, whose entries know some bits of the hash."""
    after, where, sources = arrived
    limbs, mask = len(after) // len(where), len(found.table) - 1
    for i in range(count):
        where[i] = _hash(after, i * limbs, limbs)
        _prefetch(found.table, where[i] & mask)
    for i in range(count):
        there = found.table[where[i] & mask]
        if there >= 0:
            _prefetch(found.nodes, (there & 0x7FFFFFFF) * limbs)
    for i in range(count):
        tag = where[i] >> 32 << 32
        slot = where[i] & mask
        while True:
            there = found.table[slot]
            if there < 0:
                number = size
                found.table[slot] = tag | size
                _keep(size, i, limbs, found, after, sources)
                size += 1
                break
            number = there & 0x7FFFFFFF
            if there >> 32 << 32 == tag and _same(
                found.nodes, number * limbs, after, i * limbs, limbs
            ):
                break
            slot = (slot + 1) & mask
        found.targets[moved + i] = number
    return size


@numba.njit(cache=True, inline="always")
def _keep(  # noqa: PLR0913, PLR0917 - as above
    size: int, i: int, limbs: int, found: Any, after: Any, sources: Any
) -> None:
    """Write down a state that is new."""
    for k in range(limbs):
        found.nodes[size * limbs + k] = after[i * limbs + k]
    found.parents[size] = sources[i]


@numba.njit(cache=True, inline="always")
def _has_room(  # noqa: PLR0913, PLR0917 - as above
    counts: Any, room: int, most: int, bads: int, found: Any, cores: Any
) -> Any:
    """Whether there is room for all that one state may lead to."""
    size, met, used, moved, hits = counts
    if size + room > len(found.parents) or met + most > len(cores.first):
        return False
    if used + most + bads > len(cores.what) or moved + room > len(found.targets):
        return False
    return hits + bads <= len(found.hits)


@numba.njit(cache=True, inline="always")
def _leave(  # noqa: PLR0913, PLR0917 - as above
    base: int, limbs: int, target: int, row: int, at: int, after: Any, found: Any, rows: Any
) -> None:
    """Write down the state after a command."""
    for k in range(limbs):
        after[at + k] = found.nodes[base + k]
    _take(after, at, rows.puts, rows.put_starts[row], rows.put_starts[row + 1])
    after[at] = after[at] & (1 << CORE_SHIFT) - 1 | target << CORE_SHIFT


@numba.njit(cache=True, inline="always")
def _look(  # noqa: PLR0913, PLR0917 - as above
    number: int, base: int, core: int, hits: int, found: Any, cores: Any, bad: Any, single: Any
) -> int:
    """Write down what is forbidden in a state, once for each core; how many hits there are now."""
    for i in range(cores.bad[core], cores.last[core]):
        one = cores.what[i]
        if one < 0 or single[one] == 2:
            continue
        if _holds(found.nodes, base, bad.asks, bad.ask_starts[one], bad.ask_starts[one + 1]):
            # What is told of a core hangs on the core alone: once is enough.
            cores.what[i] = -1
            single[one] *= 2
            found.hits[hits, 0] = number
            found.hits[hits, 1] = one
            hits += 1
    return hits


@numba.njit(cache=True)
def expand(  # noqa: PLR0913, PLR0917 - as above
    counts: Any,
    begin: int,
    end: int,
    limbs: int,
    found: Any,
    dense: Any,
    cores: Any,
    rows: Any,
    inner: Any,
    bad: Any,
    rows_taken: Any,
    inner_taken: Any,
    single: Any,
) -> Any:
    """
    Look at the states from ``begin``, as long as there is room for all that one may lead to.

    Args:
        counts: states, cores, options, edges, transitions and hits.
        begin: the first state to look at.
        end: the first one not to look at.
        limbs: of a state.
        found: the states.
        dense: their numbers, where each has a place of its own.
        cores: their cores.
        rows: the commands.
        inner: what settles.
        bad: what is forbidden.
        rows_taken: which commands were: written.
        inner_taken: which internal rows were: written.
        single: per rule whether one hit is enough: 2 where there was one.

    Returns:
        The first state that was not looked at, and the counts as they are now.
    """
    size, met, used, moved, moves, hits = counts
    most, bads = len(rows.change_starts) - 1, len(bad.literal_starts) - 1
    width = len(cores.codes) // len(cores.first)
    room = TOGETHER + most
    now, todo = np.empty(width, np.int64), np.empty(4096, np.int64)
    after, sources = np.empty(room * limbs, np.int64), np.empty(room, np.int32)
    arrived = after, np.empty(room, np.int64), sources
    waiting, number = 0, begin
    while number < end:
        if not _has_room((size, met, used, moved, hits), room, most, bads, found, cores):
            break
        base = number * limbs
        core = found.nodes[base] >> CORE_SHIFT
        if cores.first[core] < 0:
            used = _open(core, used, cores, width, rows, bad)
        for i in range(cores.first[core], cores.bad[core]):
            row = cores.what[i]
            if not _holds(
                found.nodes, base, rows.asks, rows.ask_starts[row], rows.ask_starts[row + 1]
            ):
                continue
            moves += 1
            target = cores.target[i]
            if target < 0:
                rows_taken[row] = True
                target = core
                if rows.change_starts[row] < rows.change_starts[row + 1]:
                    target = _target(core, met, row, cores, now, todo, rows, inner, inner_taken)
                    met += target == met
                cores.target[i] = target
            if rows.put_starts[row] == rows.put_starts[row + 1] and target == core:
                continue
            _leave(base, limbs, target, row, waiting * limbs, after, found, rows)
            sources[waiting] = number
            waiting += 1
        hits = _look(number, base, core, hits, found, cores, bad, single)
        found.ends[number] = moved + waiting
        if waiting >= TOGETHER:
            size = _arrive(size, waiting, found, dense, arrived, moved)
            moved += waiting
            waiting = 0
        number += 1
    size = _arrive(size, waiting, found, dense, arrived, moved)
    return number, (size, met, used, moved + waiting, moves, hits)


@numba.njit(cache=True)
def fill(limbs: Any, width: int, size: int, table: Any) -> None:
    """Put all states into an empty table, each with some bits of its hash."""
    mask = len(table) - 1
    for number in range(size):
        mixed = _hash(limbs, number * width, width)
        slot = mixed & mask
        while table[slot] >= 0:
            slot = (slot + 1) & mask
        table[slot] = mixed >> 32 << 32 | number


@numba.njit(cache=True)
def place_all(limbs: Any, width: int, size: int, dense: Any) -> None:
    """Put all states at their places."""
    for number in range(size):
        dense.numbers[_place(limbs, number * width, dense)] = number + 1


@numba.njit(cache=True)
def fill_plainly(limbs: Any, width: int, size: int, table: Any) -> None:
    """Put all cores into an empty table."""
    mask = len(table) - 1
    for number in range(size):
        slot = _hash(limbs, number * width, width) & mask
        while table[slot] >= 0:
            slot = (slot + 1) & mask
        table[slot] = number
