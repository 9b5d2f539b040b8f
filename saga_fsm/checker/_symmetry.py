"""
Branches that are alike up to names, and a search that looks at one order of them only.

That they are alike is seen on the network itself: swapping two of them maps its commands, internal
commands, what is forbidden and its rest to themselves. So nothing of the compiler is assumed.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from saga_fsm.checker._cores import Cores, Node
from saga_fsm.product import Command, Guard, Network


# The fields of one branch, in an order that is the same for all that are like it.
Branch: TypeAlias = tuple[int, ...]
Swap: TypeAlias = Mapping[int, int]


def alike(network: Network) -> list[list[Branch]]:
    """Groups of branches of which any two can be swapped."""
    siblings: dict[str, dict[str, list[int]]] = {}
    names = [field.name.removeprefix("~") for field in network.fields]
    for name in dict.fromkeys(names):
        if not name.startswith("@"):
            inside = [f for f, one in enumerate(names) if one == name or one.startswith(name + "/")]
            siblings.setdefault(name.rpartition("/")[0], {})[name] = inside
    found: list[list[Branch]] = []
    covered: set[int] = set()
    for parent in sorted(siblings, key=lambda name: name.count("/")):
        groups: list[list[Branch]] = []
        for fields in siblings[parent].values():
            branch = tuple(fields)
            if covered.isdisjoint(branch):
                for group in groups:
                    if _alike(network, group[0], branch):
                        group.append(branch)
                        break
                else:
                    groups.append([branch])
        # Branches inside of branches that are swapped as wholes stay as they are.
        for group in groups:
            if len(group) > 1:
                found.append(group)
                covered.update(f for branch in group for f in branch)
    return found


def swap(one: Branch, other: Branch) -> Swap:
    """Which field stands for which when two branches are swapped."""
    return {**dict(zip(one, other, strict=True)), **dict(zip(other, one, strict=True))}


def _alike(network: Network, one: Branch, other: Branch) -> bool:
    if len(one) != len(other):
        return False
    sizes = [len(field.values) for field in network.fields]
    kinds = [field.codes or field.values for field in network.fields]
    if any(sizes[f] != sizes[g] or kinds[f] != kinds[g] for f, g in zip(one, other, strict=True)):
        return False
    swapped = swap(one, other)
    forbidden = [(_guard(x.guard, {}), _rules(x.sayings)) for x in network.forbidden]
    mapped = [(_guard(x.guard, swapped), _rules(x.sayings)) for x in network.forbidden]
    return (
        _guard(network.rest, {}) == _guard(network.rest, swapped)
        and all(
            Counter(_command(x, {}) for x in some) == Counter(_command(x, swapped) for x in some)
            for some in (network.commands, network.internal)
        )
        and Counter(forbidden) == Counter(mapped)
    )


def _rules(sayings: Mapping[str, tuple[str, str]]) -> frozenset[tuple[str, str]]:
    return frozenset((status, rule) for status, (rule, _) in sayings.items())


def _guard(guard: Guard, swapped: Swap) -> frozenset[tuple[int, frozenset[int]]]:
    return frozenset((swapped.get(f, f), allowed) for f, allowed in guard)


def _command(command: Command, swapped: Swap) -> tuple[object, ...]:
    update = frozenset((swapped.get(f, f), x) for f, x in command.update)
    return _guard(command.guard, swapped), update, command.row >= 0


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
        self._plans: dict[int, tuple[Node, list[_Run]]] = {}

    def first(self, node: Node) -> Node:
        """The node that stands for all with the same branches in any order."""
        core = node >> self.cores.width
        plan = self._plans.get(core)
        if plan is None:
            plan = self._plans[core] = self._planned(core)
        found, runs = plan[0] | node & self._elsewhere, plan[1]
        for sources, places in runs:
            if len(sources) == 1:
                found |= places[0].put(sources[0].get(node))
            else:
                inside = sorted([bits.get(node) for bits in sources])
                for bits, x in zip(places, inside, strict=True):
                    found |= bits.put(x)
        return found

    def _planned(self, core: int) -> tuple[Node, list[_Run]]:
        """The core with its branches in order, and where the memory of each of them goes."""
        codes = self.cores.codes[core]
        values, runs = [*codes, *[0] * len(self.cores.memory)], list[_Run]()
        for fields, bits in zip(self._inner, self._bits, strict=True):
            inside = [tuple(codes[f] for f in branch) for branch in fields]
            order = sorted(range(len(fields)), key=inside.__getitem__)
            # Branches alike in the core are put in order by their memory.
            alike_in_core: dict[tuple[int, ...], _Run] = {}
            for place, source in enumerate(order):
                for f, x in zip(fields[place], inside[source], strict=True):
                    values[f] = x
                sources, places = alike_in_core.setdefault(inside[source], ([], []))
                sources.append(bits[source])
                places.append(bits[place])
            runs += alike_in_core.values()
        return self.cores.node(values), runs

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
    """The memory of one branch as one number."""

    def __init__(self, cores: Cores, branch: Branch) -> None:
        self._fields: list[tuple[int, int, int]] = []
        width = self.mask = 0
        for f in branch:
            if f >= cores.size:
                whole = (1 << cores.bits[f]) - 1
                self._fields.append((cores.shift[f], whole, width))
                self.mask |= whole << cores.shift[f]
                width += cores.bits[f]

    def get(self, node: Node) -> int:
        """The number in a node."""
        found = 0
        for shift, whole, place in self._fields:
            found |= (node >> shift & whole) << place
        return found

    def put(self, number: int) -> Node:
        """The bits of a node that has this number."""
        found = 0
        for shift, whole, place in self._fields:
            found |= (number >> place & whole) << shift
        return found


# Branches whose memory is to be put in order, and the places where it goes.
_Run: TypeAlias = tuple[list[_Bits], list[_Bits]]


def rows_alike(network: Network, swapped: Swap) -> dict[int, set[int]]:
    """Which rows of the machine do after a swap what a row did before it."""
    found: dict[int, set[int]] = {}
    for some in (network.commands, network.internal):
        by_shape: dict[tuple[object, ...], set[int]] = {}
        for command in some:
            by_shape.setdefault(_command(command, swapped), set()).add(command.row)
        for command in some:
            found.setdefault(command.row, set()).update(by_shape[_command(command, {})])
    return found
