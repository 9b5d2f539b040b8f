"""Breadth-first search of the product: exact counts, shortest paths, no reduction."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TypeAlias

import attrs

from saga_fsm.checker._invariants import Invariants
from saga_fsm.checker._product import LEDGER, Arrow, Node, Product
from saga_fsm.machine import Codes, State
from saga_fsm.path import Path, PathMove


Seen: TypeAlias = dict[Node, tuple[Node, Arrow] | None]


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
    seen: Seen = {product.initial: None}
    level: dict[Node, int] = {product.initial: 0}
    todo = deque([product.initial])
    transitions = 0
    found = _Found(product, seen)
    taken: set[str] = set()
    compared: set[tuple[Codes, Codes]] = set()
    came_from: dict[Node, list[Node]] = {}
    while todo:
        node = todo.popleft()
        found.add(invariants.broken(node), node)
        if first_only and found.breaches:
            break
        for arrow in product.arrows(node):
            transitions += 1
            taken.add(arrow.token)
            if arrow.node not in seen:
                seen[arrow.node] = (node, arrow)
                level[arrow.node] = level[node] + 1
                todo.append(arrow.node)
                came_from[arrow.node] = [node]
            elif arrow.node != node:
                came_from.setdefault(arrow.node, []).append(node)
            pair = node[0].codes, arrow.node[0].codes
            if pair[0] != pair[1] and pair not in compared:
                compared.add(pair)
                broken = invariants.moves.broken(node[0], arrow.node[0])
                found.add(broken, node, arrow)
        if len(seen) > limit:
            break
    if not todo:
        _livelock(found, seen, came_from)
    return Explored(
        states=len(seen),
        transitions=transitions,
        # Levels, the last and empty one included, as the specification counts them.
        depth=max(level.values()) + 1,
        complete=not todo,
        breaches=tuple(found.breaches.values()),
        taken=frozenset(taken),
    )


class _Found:
    """The first breach of each rule at each step: the search goes by distance, so the nearest."""

    def __init__(self, product: Product, seen: Seen) -> None:
        self.product = product
        self.seen = seen
        self.breaches: dict[tuple[str, str], Breach] = {}

    def add(
        self, broken: Iterable[tuple[str, str, str]], node: Node, last: Arrow | None = None
    ) -> None:
        for rule, step, message in broken:
            if (rule, step) not in self.breaches:
                path = trace(self.product, self.seen, node, last)
                self.breaches[rule, step] = Breach(rule, step, message, path)


def _livelock(found: _Found, seen: Seen, came_from: dict[Node, list[Node]]) -> None:
    """I4: from every state a run can still come to rest (AG EF rest), found backwards."""
    ends = [node for node in seen if node[2] and node[0].status.resting]
    can = set(ends)
    while ends:
        for before in came_from.get(ends.pop(), ()):
            if before not in can:
                can.add(before)
                ends.append(before)
    lost = next((node for node in seen if node not in can), None)
    if lost is not None:
        found.add([("I4", "", "from here the run can never come to rest")], lost)


def trace(product: Product, seen: Seen, node: Node, last: Arrow | None = None) -> Path:
    """The run by which a node was first reached, and one arrow more."""
    moves: list[PathMove] = []
    came = seen[node] if last is None else (node, last)
    while came is not None:
        before, arrow = came
        node = arrow.node
        moves.append(
            PathMove(
                arrow.token,
                says=arrow.says,
                state=str(node[0]),
                changes=tuple(_changes(product, before, node)),
            )
        )
        came = seen[before]
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
