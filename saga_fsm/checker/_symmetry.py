"""
Branches that are alike up to names.

That they are alike is seen on the network itself: swapping two of them maps its commands, internal
commands, what is forbidden and its rest to themselves. So nothing of the compiler is assumed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias

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
