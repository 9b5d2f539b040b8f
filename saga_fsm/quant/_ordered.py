"""
The chain as arrays in an order in which every state comes after all that it leads to.

The only circles of a chain are waits for ever; the states on one stand together. So one pass from
the ends to the start is exact, and nothing but these circles is ever iterated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from saga_fsm.quant._chain import Chain


Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]


@attrs.frozen(eq=False)
class Level:
    """
    States that lead only to states before them, or round a circle among themselves.

    The edges of its choices are dealt into slots, each choice's first into the first slot and so
    on; those with most edges come first, so a slot is as long as it is used. Dealt alike are the
    choices of its states.

    Args:
        states: their numbers, from the first to behind the last.
        edges: slot by slot, numbers of edges.
        picks: slot by slot, for each state the place of a choice; one slot where there is nothing
            to pick.
        circles: whether they lead to one another.
    """

    states: slice
    edges: tuple[Ints, ...]
    picks: tuple[Ints, ...]
    circles: bool


@attrs.frozen(eq=False)
class Ordered:
    """
    A chain in that order.

    Args:
        chain: as it was explored.
        place: of each state of the chain, its number here.
        source: of each edge of the chain, the state here that it leaves.
        target: and the one it leads to.
        label: of each edge.
        loop: of each edge, whether it leads back to where it began.
        resting: how many states rest: they come first.
        levels: all others.
        widest: the most edges that one choice has.
    """

    chain: Chain
    place: Ints
    source: Ints
    target: Ints
    label: Ints
    loop: Flags
    resting: int
    levels: tuple[Level, ...]
    widest: int

    @property
    def start(self) -> int:
        """The number of the first state."""
        return int(self.place[0])


def ordered(chain: Chain) -> Ordered:
    """Put a chain in order; linear in its edges."""
    choices, edges, target, label, group = (
        np.frombuffer(x, dtype=np.int64)
        for x in (chain.choices, chain.edges, chain.target, chain.label, chain.group)
    )
    states = chain.states
    tables = _Tables(choices, np.diff(choices), edges, np.diff(edges))
    source = np.repeat(np.repeat(np.arange(states), tables.many), tables.sizes)
    level = _levels(source, target, group, states)
    circles = np.bincount(group, minlength=states)[group] > 1
    # What is iterated stands apart; and of each part, who has most choices comes first.
    part = 2 * level + circles
    order = np.lexsort((-tables.many, part))
    place = np.empty(states, dtype=np.int64)
    place[order] = np.arange(states)
    parts, begins = np.unique(part[order], return_index=True)
    ends = np.append(begins[1:], states)
    levels = [
        _level(slice(begin, end), order[begin:end], tables, circles=bool(one % 2))
        for one, begin, end in zip(parts.tolist(), begins.tolist(), ends.tolist(), strict=True)
        if one > 0
    ]
    return Ordered(
        chain=chain,
        place=place,
        source=place[source],
        target=place[target],
        label=label,
        loop=source == target,
        resting=int(ends[0]),
        levels=tuple(levels),
        widest=int(tables.sizes.max(initial=1)),
    )


class _Tables(NamedTuple):
    """Where the choices of each state begin and how many they are; the edges of each choice too."""

    choices: Ints
    many: Ints
    edges: Ints
    sizes: Ints


def _level(states: slice, mine: Ints, tables: _Tables, *, circles: bool) -> Level:
    choices, many, edges, sizes = tables
    rows, first = _gathered(choices[mine], many[mine])
    fewer = np.argsort(-sizes[rows], kind="stable")
    at = np.empty(len(rows), dtype=np.int64)
    at[fewer] = np.arange(len(rows))
    dealt = rows[fewer]
    return Level(
        states,
        tuple(_dealt(edges[dealt], sizes[dealt])),
        tuple(at[slot] for slot in _dealt(first, many[mine])),
        circles,
    )


def _dealt(first: Ints, sizes: Ints) -> Iterator[Ints]:
    """Rows dealt into slots: the first of each, then the second of each that has one."""
    for slot in range(int(sizes[0])):
        # Sizes fall: who has so many stands in front.
        yield first[: int(np.searchsorted(-sizes, -slot, side="left"))] + slot


def _gathered(begins: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    """So many rows from each beginning, one after the other; and where each begins among them."""
    first = np.cumsum(sizes) - sizes
    return np.arange(sizes.sum()) + np.repeat(begins - first, sizes), first


def _levels(source: Ints, target: Ints, group: Ints, states: int) -> Ints:
    """Of each state its level: 0 rests; else one more than the highest that its group leads to."""
    above, below = group[source], group[target]
    between = above != below
    above, below = above[between], below[between]
    left = np.bincount(above, minlength=states)
    by_target = np.argsort(below, kind="stable")
    callers = above[by_target]
    first = np.zeros(states + 1, dtype=np.int64)
    np.cumsum(np.bincount(below, minlength=states), out=first[1:])
    level = np.full(states, -1, dtype=np.int64)
    resting = np.ones(states, dtype=np.bool_)
    resting[above] = False
    front = np.unique(group[resting[group]])
    height = 0
    while len(front):
        level[front] = height
        height += 1
        rows, _ = _gathered(first[front], first[front + 1] - first[front])
        met = callers[rows]
        np.subtract.at(left, met, 1)
        front = np.unique(met[left[met] == 0])
    known = level[group]
    assert known.min() >= 0, "a circle that is no wait for ever"  # noqa: S101 - by construction
    return known
