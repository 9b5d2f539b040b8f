"""
The chain as arrays in an order in which every state comes after all that it leads to.

The only circles of a chain are waits for ever; the states on one stand together. So one pass from
the ends to the start is exact, and nothing but these circles is ever iterated.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from saga_fsm.quant._chain import Chain


Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]


@attrs.frozen(eq=False)
class Level:
    """
    States that lead only to states of levels before, or round a circle among themselves.

    Numbers are those of the ordered chain, each range from its first to behind its last.
    """

    states: slice
    choices: slice
    edges: slice
    circles: bool


@attrs.frozen(eq=False)
class Ordered:
    """
    A chain in that order.

    Args:
        chain: as it was explored.
        place: of each state of the chain, its number here.
        first_choice: of each state; one more at the end.
        first_edge: of each choice; one more at the end.
        target: of each edge, a state here.
        label: of each edge.
        loop: of each edge, whether it leads back to where it began.
        resting: how many states rest: they come first.
        levels: all others.
    """

    chain: Chain
    place: Ints
    first_choice: Ints
    first_edge: Ints
    target: Ints
    label: Ints
    loop: Flags
    resting: int
    levels: tuple[Level, ...]

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
    state_of_choice = np.repeat(np.arange(states), np.diff(choices))
    state_of_edge = np.repeat(state_of_choice, np.diff(edges))
    level = _levels(state_of_edge, target, group, states)
    order = np.lexsort((group, level))
    place = np.empty(states, dtype=np.int64)
    place[order] = np.arange(states)
    choice_order, first_choice = _gathered(choices, order)
    edge_order, first_edge = _gathered(edges, choice_order)
    ends = np.searchsorted(level[order], np.arange(int(level.max()) + 2))
    sizes = np.bincount(group, minlength=states)
    circles = sizes[group[order]] > 1
    levels = []
    for one, (begin, end) in enumerate(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)):
        if one:
            c0, c1 = int(first_choice[begin]), int(first_choice[end])
            e0, e1 = int(first_edge[c0]), int(first_edge[c1])
            around = bool(circles[begin:end].any())
            levels.append(Level(slice(begin, end), slice(c0, c1), slice(e0, e1), around))
    moved = place[target[edge_order]]
    return Ordered(
        chain=chain,
        place=place,
        first_choice=first_choice,
        first_edge=first_edge,
        target=moved,
        label=label[edge_order],
        loop=moved == place[state_of_edge[edge_order]],
        resting=int(ends[1]),
        levels=tuple(levels),
    )


def _gathered(ends: Ints, order: Ints) -> tuple[Ints, Ints]:
    """The rows of a table whose owners are put in another order: which rows, and where each begins."""  # noqa: E501
    sizes = np.diff(ends)[order]
    first = np.zeros(len(order) + 1, dtype=np.int64)
    np.cumsum(sizes, out=first[1:])
    rows = np.arange(first[-1]) + np.repeat(ends[order] - first[:-1], sizes)
    return rows, first


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
        sizes = first[front + 1] - first[front]
        rows = np.arange(sizes.sum()) + np.repeat(
            first[front] - np.concatenate(([0], np.cumsum(sizes)[:-1])), sizes
        )
        met = callers[rows]
        np.subtract.at(left, met, 1)
        front = np.unique(met[left[met] == 0])
    known = level[group]
    assert known.min() >= 0, "a circle that is no wait for ever"  # noqa: S101 - by construction
    return known
