"""
Of states that differ in the order of branches that are alike, the one that stands for all.

It has its branches in order, first by their part of the core, then by their part of the memory.
How a core is put in order is worked out once; then it is bits that are moved.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from saga_fsm.checker._cores import Cores, Node
from saga_fsm.checker._symmetry import Branch, Swap, swap
from saga_fsm.product import Network


class Orbits:
    """
    States up to the order of branches that are alike.

    Args:
        cores: how a node is read.
        groups: of branches, any two of which can be swapped.
    """

    def __init__(self, cores: Cores, groups: Sequence[Sequence[Branch]]) -> None:
        self.cores, self.groups = cores, groups
        self._inner = [[[f for f in x if f < cores.size] for x in group] for group in groups]
        self._bits = [[_Bits(cores, branch) for branch in group] for group in groups]
        every = (1 << cores.width) - 1
        self._elsewhere = every & ~sum(bits.mask for group in self._bits for bits in group)
        self._plans: dict[int, _Plan] = {}

    def first(self, node: Node) -> Node:
        """The node that stands for all with the same branches in any order."""
        core = node >> self.cores.width
        plan = self._plans.get(core)
        if plan is None:
            plan = self._plans[core] = self._planned(core)
        found, kept, moved, tied, tied_in_many = plan
        found |= node & kept
        for shift, whole, to in moved:
            found |= (node >> shift & whole) << to
        for whole, shifts in tied:
            inside = [node >> shift & whole for shift in shifts[0]]
            inside.sort()
            for x, to in zip(inside, shifts[1], strict=True):
                found |= x << to
        for sources, places in tied_in_many:
            inside = sorted([bits.get(node) for bits in sources])
            for bits, x in zip(places, inside, strict=True):
                found |= bits.put(x)
        return found

    def _planned(self, core: int) -> _Plan:
        """The core with its branches in order, and where the memory of each of them goes."""
        codes = self.cores.codes[core]
        values, runs = [*codes, *[0] * len(self.cores.memory)], list[_Run]()
        for fields, bits in zip(self._inner, self._bits, strict=True):
            inside = [tuple(codes[f] for f in branch) for branch in fields]
            order = sorted(range(len(fields)), key=inside.__getitem__)
            alike: dict[tuple[int, ...], _Run] = {}
            for place, source in enumerate(order):
                for f, x in zip(fields[place], inside[source], strict=True):
                    values[f] = x
                sources, places = alike.setdefault(inside[source], ([], []))
                sources.append(bits[source])
                places.append(bits[place])
            runs += alike.values()
        kept, moved = self._elsewhere, list[tuple[int, int, int]]()
        for sources, places in runs:
            if len(sources) == 1 and sources[0] is places[0]:
                kept |= sources[0].mask
            elif len(sources) == 1:
                moved += sources[0].moved_to(places[0])
        tied = [run for run in runs if len(run[0]) > 1 and run[0][0].mask]
        single = [_shifts(run) for run in tied if len(run[0][0].fields) == 1]
        several = [run for run in tied if len(run[0][0].fields) > 1]
        return _Plan(self.cores.node(values), kept, moved, single, several)

    def size(self, node: Node) -> int:
        """For how many states one stands."""
        codes, size = self.cores.codes[node >> self.cores.width], 1
        for fields, bits in zip(self._inner, self._bits, strict=True):
            size *= math.factorial(len(fields))
            inside = [
                (tuple(codes[f] for f in branch), part.get(node))
                for branch, part in zip(fields, bits, strict=True)
            ]
            for times in Counter(inside).values():
                size //= math.factorial(times)
        return size

    def swaps(self) -> Iterator[Swap]:
        """Swaps of neighbours: all others are made of them."""
        for group in self.groups:
            for one, other in itertools.pairwise(group):
                yield swap(one, other)

    def said(self, network: Network) -> Iterator[str]:
        """What is alike, in words."""
        if not self.groups:
            yield "symmetry: not used, no two branches are alike"
        for group in self.groups:
            names = [network.fields[branch[0]].name for branch in group]
            yield f"symmetry: {len(group)} branches alike ({', '.join(names)})"


class _Bits:
    """
    The memory of one branch as one number.

    ``fields`` has, of each field, where its bits are, which they are, and where in the number.
    """

    def __init__(self, cores: Cores, branch: Branch) -> None:
        self.fields: list[tuple[int, int, int]] = []
        width = self.mask = 0
        for f in branch:
            if f >= cores.size:
                whole = (1 << cores.bits[f]) - 1
                self.fields.append((cores.shift[f], whole, width))
                self.mask |= whole << cores.shift[f]
                width += cores.bits[f]

    def get(self, node: Node) -> int:
        """The number in a node."""
        found = 0
        for shift, whole, place in self.fields:
            found |= (node >> shift & whole) << place
        return found

    def put(self, number: int) -> Node:
        """The bits of a node that has this number."""
        found = 0
        for shift, whole, place in self.fields:
            found |= (number >> place & whole) << shift
        return found

    def moved_to(self, other: _Bits) -> Iterator[tuple[int, int, int]]:
        """From where to where each field's bits go: a shift, which they are, a shift."""
        for (shift, whole, _), (to, _, _) in zip(self.fields, other.fields, strict=True):
            yield shift, whole, to


# Branches that are alike in the core: their memory is put in order, and goes to these places.
_Run: TypeAlias = tuple[list[_Bits], list[_Bits]]


class _Plan(NamedTuple):
    """
    How nodes with one core are put in order.

    Args:
        core: put in order, with no memory.
        kept: the bits that stay where they are.
        moved: the bits that go elsewhere.
        tied: of branches with one field of memory that are alike in the core: which bits, and the
            shifts from where and to where.
        tied_in_many: of branches with several.
    """

    core: Node
    kept: int
    moved: list[tuple[int, int, int]]
    tied: list[tuple[int, tuple[list[int], list[int]]]]
    tied_in_many: list[_Run]


def _shifts(run: _Run) -> tuple[int, tuple[list[int], list[int]]]:
    sources, places = ([bits.fields[0][0] for bits in some] for some in run)
    return run[0][0].fields[0][1], (sources, places)
