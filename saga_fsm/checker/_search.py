"""Breadth-first search of the product: exact counts, shortest paths, no reduction."""

from __future__ import annotations

from collections import deque

import attrs

from saga_fsm.checker._invariants import Invariants
from saga_fsm.checker._product import LEDGER, Arrow, Node, Product
from saga_fsm.machine import State
from saga_fsm.path import Path, PathMove


@attrs.frozen
class Breach:
    """An invariant that is broken, and the shortest run to it."""

    rule: str
    step: str
    message: str
    path: Path


@attrs.frozen
class Explored:
    """What a search saw; ``complete`` is False when a limit cut it short."""

    states: int
    transitions: int
    depth: int
    complete: bool
    breaches: tuple[Breach, ...]
    taken: frozenset[str]


def search(
    product: Product, invariants: Invariants, *, limit: int, first_only: bool = False
) -> Explored:
    """
    Explore from the start, nearest first; one breach per rule and step, each by a shortest run.

    Args:
        product: machine and environment.
        invariants: what must hold in each state.
        limit: the largest number of states; over it the search is not complete.
        first_only: stop at the first breach.
    """
    seen: dict[Node, tuple[Node, Arrow] | None] = {product.initial: None}
    level: dict[Node, int] = {product.initial: 0}
    todo = deque([product.initial])
    transitions = 0
    breaches: dict[tuple[str, str], Breach] = {}
    taken: set[str] = set()
    while todo:
        node = todo.popleft()
        for rule, step, message in invariants.broken(node):
            if (rule, step) not in breaches:
                path = trace(product, seen, node)
                breaches[rule, step] = Breach(rule, step, message, path)
        if first_only and breaches:
            break
        for arrow in product.arrows(node):
            transitions += 1
            taken.add(arrow.token)
            if arrow.node not in seen:
                seen[arrow.node] = (node, arrow)
                level[arrow.node] = level[node] + 1
                todo.append(arrow.node)
        if len(seen) > limit:
            break
    return Explored(
        states=len(seen),
        transitions=transitions,
        # Levels, the last and empty one included, as the specification counts them.
        depth=max(level.values()) + 1,
        complete=not todo,
        breaches=tuple(breaches.values()),
        taken=frozenset(taken),
    )


def trace(product: Product, seen: dict[Node, tuple[Node, Arrow] | None], node: Node) -> Path:
    """The run by which a node was first reached."""
    moves: list[PathMove] = []
    while (came := seen[node]) is not None:
        before, arrow = came
        moves.append(
            PathMove(
                arrow.token,
                says=arrow.says,
                state=str(node[0]),
                changes=tuple(_changes(product, before, node)),
            )
        )
        node = before
    machine = product.machine
    return Path(machine.name, machine.fingerprint, tuple(reversed(moves)))


def _changes(product: Product, before: Node, after: Node) -> list[tuple[str, str, str]]:
    changes = _local_changes(before[0], after[0])
    for path, slot in product.slots.items():
        was, now = before[1][slot], after[1][slot]
        if was != now:
            changes.append((f"{path}'s participant", LEDGER[was], LEDGER[now]))
    return changes


def _local_changes(before: State, after: State) -> list[tuple[str, str, str]]:
    return [
        (automaton.path, automaton.local(was), automaton.local(now))
        for automaton, was, now in zip(
            before.machine.automata, before.codes, after.codes, strict=True
        )
        if was != now
    ]
