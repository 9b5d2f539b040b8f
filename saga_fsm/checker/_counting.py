"""
How many moves there are, exactly: states and commands that are enabled there.

A command asks something of what all share, which is in the uppermost bits, and something of one
part, which is a stretch of bits further down. So the states that satisfy the first are walked once
for all such commands, from above, counting the ways to each node; and at a part only what is below
a node is looked at, in a diagram that is the same for many commands and is counted once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from saga_fsm.checker._bdd import Diagrams, Set
from saga_fsm.product import Guard


# By the first bit of a part: what is asked from there on.
_Below: TypeAlias = dict[int, list[Guard]]


def moves(diagrams: Diagrams, states: Set) -> int:
    """The moves from these states: one for each command that is enabled in one."""
    network = diagrams.network
    shared = {f for f, field in enumerate(network.fields) if field.name.startswith("@")}
    groups: dict[frozenset[tuple[int, frozenset[int]]], _Below] = {}
    for command in network.commands:
        above = frozenset(x for x in command.guard if x[0] in shared)
        rest = tuple(x for x in command.guard if x[0] not in shared and diagrams.bits[x[0]])
        level = min((diagrams.first(f) for f, _ in rest), default=diagrams.width)
        groups.setdefault(above, {}).setdefault(level, []).append(rest)
    return sum(
        _counted(diagrams, states & diagrams.guard(tuple(above)), below)
        for above, below in groups.items()
    )


def local_values(diagrams: Diagrams, states: Set, fields: Sequence[int]) -> list[frozenset[int]]:
    """The values that each of these fields has in some state."""
    wide = {diagrams.first(f): f for f in fields if diagrams.bits[f]}
    found = {f: frozenset({0}) for f in fields}
    for level, cut in zip(sorted(wide), _cuts(diagrams, states, sorted(wide)), strict=True):
        f = wide[level]
        asked = [
            diagrams.literal(f, frozenset({x}))
            for x in range(len(diagrams.network.fields[f].values))
        ]
        found[f] = frozenset(
            x
            for x, literal in enumerate(asked)
            if any(node & literal != diagrams.false for node, _ in cut)
        )
    return [found[f] for f in fields]


def _counted(diagrams: Diagrams, states: Set, below: _Below) -> int:
    total = 0
    levels = sorted(below)
    for level, cut in zip(levels, _cuts(diagrams, states, levels), strict=True):
        for guard in below[level]:
            asked = diagrams.guard(guard)
            total += sum(ways * diagrams.count_below(node & asked, level) for node, ways in cut)
    return total


def _cuts(
    diagrams: Diagrams, states: Set, levels: Sequence[int]
) -> Iterator[list[tuple[Set, int]]]:
    """At each of these levels: the nodes from there on, and the ways of the bits before it."""
    waiting: list[dict[int, tuple[Set, int]]] = [{} for _ in range(diagrams.width + 1)]

    def reach(node: Set, ways: int) -> None:
        if node != diagrams.false:
            here = waiting[diagrams.level(node)]
            _, before = here.get(int(node), (node, 0))
            here[int(node)] = (node, before + ways)

    # Bits that a diagram does not ask for double the ways where they are passed.
    reach(states, 1 << diagrams.level(states))
    done = 0
    for level in levels:
        for at in range(done, level):
            for node, ways in waiting[at].values():
                for child in diagrams.children(node):
                    reach(child, ways << (diagrams.level(child) - at - 1))
            waiting[at] = {}
        done = level
        yield [
            (node, ways >> (at - level))
            for at in range(level, diagrams.width + 1)
            for node, ways in waiting[at].values()
        ]
