"""Breadth-first search of the product: exact counts, shortest paths, no reduction."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable

import attrs

from saga_fsm.checker._environment import LEDGER
from saga_fsm.checker._invariants import Invariants
from saga_fsm.checker._product import BITS, LEDGER_MASK, Node, Product
from saga_fsm.machine import State
from saga_fsm.path import Path, PathMove
from saga_fsm.ports import Progress


# Told after so many states: often enough for a line on a terminal, and nothing beside the search.
_TELL = 4_096


@attrs.frozen
class Breach:
    """An invariant that is broken, and the shortest run to it."""

    rule: str
    step: str
    message: str
    path: Path


@attrs.frozen
class Explored:
    """
    What a search saw.

    ``complete`` is False when a limit or an interrupt cut it short; ``taken`` are the numbers of
    the machine's rows that were taken.
    """

    states: int
    transitions: int
    depth: int
    complete: bool
    interrupted: bool
    breaches: tuple[Breach, ...]
    taken: frozenset[int]


def search(
    product: Product,
    invariants: Invariants,
    *,
    limit: int,
    first_only: bool = False,
    progress: Progress | None = None,
) -> Explored:
    """
    Explore from the start, nearest first; one breach per rule and step, each by a shortest run.

    Args:
        product: machine and environment.
        invariants: what must hold in each state.
        limit: the largest number of states; over it the search is not complete.
        first_only: stop at the first breach.
        progress: is told how far the search is, now and then.
    """
    exploring = _Search(product, invariants, limit, first_only=first_only, progress=progress)
    complete = interrupted = False
    try:
        complete = exploring.run()
        if complete:
            exploring.look_for_livelock()
    except KeyboardInterrupt:
        complete, interrupted = False, True
    return Explored(
        states=len(exploring.nodes),
        transitions=exploring.transitions,
        depth=exploring.depth,
        complete=complete,
        interrupted=interrupted,
        breaches=tuple(exploring.breaches.values()),
        taken=frozenset(product.taken),
    )


def rows_within(product: Product, *, limit: int) -> frozenset[int]:
    """The rows of the machine that are taken within so many states, whatever is broken there."""
    seen = {product.initial}
    todo = [product.initial]
    for node in todo:
        for arrow in product.arrows(node):
            if arrow.node not in seen and len(seen) < limit:
                seen.add(arrow.node)
                todo.append(arrow.node)
    return frozenset(product.taken)


class _Search:
    """One search: the nodes in the order found, who found them, and the arrows between them."""

    def __init__(
        self,
        product: Product,
        invariants: Invariants,
        limit: int,
        *,
        first_only: bool,
        progress: Progress | None,
    ) -> None:
        self.product = product
        self.invariants = invariants
        self.limit = limit
        self.first_only = first_only
        self.progress = progress
        self.nodes: list[Node] = [product.initial]
        self.numbers: dict[Node, int] = {product.initial: 0}
        self.parents = array("I", [0])
        # The arrows out of node i end at targets[ends[i - 1]:ends[i]].
        self.targets = array("I")
        self.ends = array("I")
        self.transitions = 0
        self.depth = 0
        self.breaches: dict[tuple[str, str], Breach] = {}

    def run(self) -> bool:
        """Whether the search came to its end."""
        start = 0
        while start < len(self.nodes):
            # Levels, the last and empty one included, as the specification counts them.
            self.depth += 1
            level = range(start, len(self.nodes))
            start = len(self.nodes)
            if not self._expand(level):
                self.depth += len(self.nodes) > start
                return False
        return True

    def _expand(self, level: range) -> bool:
        """Take every arrow of every node of one level; False if that is enough."""
        product, nodes, numbers, parents = self.product, self.nodes, self.numbers, self.parents
        targets, ends, width = self.targets, self.ends, self.product.width
        entries, sound, transitions = product.entries, self.invariants.sound, 0
        for number in level:
            node = nodes[number]
            if not sound(node):
                self._add(self.invariants.broken(node), node)
                if self.first_only and self.breaches:
                    return False
            for shift, table in entries[node >> width]:
                count, deltas = table[node >> shift & LEDGER_MASK]
                transitions += count
                for delta in deltas:
                    after = node + delta
                    found = numbers.get(after)
                    if found is None:
                        found = numbers[after] = len(nodes)
                        nodes.append(after)
                        parents.append(number)
                    targets.append(found)
            self.transitions += transitions
            transitions = 0
            ends.append(len(targets))
            if product.fresh:
                self._moves(node)
            if len(nodes) > self.limit:
                return False
            if self.progress is not None and len(ends) % _TELL == 0:
                self.progress(len(nodes), self.transitions, len(nodes) - len(ends), self.depth)
        return True

    def _moves(self, node: Node) -> None:
        """Look at the moves that the machine made here for the first time."""
        product = self.product
        for before, after in product.fresh:
            broken = list(self.invariants.moves.broken(product.codes[before], product.codes[after]))
            if broken:
                ends = (arrow.node for arrow in product.arrows(node))
                last = next(x for x in ends if x >> product.width + 1 == after)
                self._add(broken, node, last)
        product.fresh.clear()

    def _add(
        self, broken: Iterable[tuple[str, str, str]], node: Node, last: Node | None = None
    ) -> None:
        """Keep the first breach of each rule at each step: by distance, so the nearest."""
        for rule, step, message in broken:
            if (rule, step) not in self.breaches:
                path = self._trace(node, last)
                self.breaches[rule, step] = Breach(rule, step, message, path)

    def look_for_livelock(self) -> None:
        """I4: from every state a run can still come to rest (AG EF rest), found backwards."""
        product, targets, ends = self.product, self.targets, self.ends
        resting = [State(codes, product.machine).status.resting for codes in product.codes]
        rests = bytearray(
            product.up(node) and resting[node >> product.width + 1] for node in self.nodes
        )
        # Mostly arrows lead on to what was found later: a few rounds from the end are enough.
        left = [number for number in range(len(rests) - 1, -1, -1) if not rests[number]]
        while left:
            lost = []
            for number in left:
                begin = ends[number - 1] if number else 0
                if any(rests[target] for target in targets[begin : ends[number]]):
                    rests[number] = 1
                else:
                    lost.append(number)
            if len(lost) == len(left):
                broken = [("I4", "", "from here the run can never come to rest")]
                self._add(broken, self.nodes[min(lost)])
                return
            left = lost

    def _trace(self, node: Node, last: Node | None = None) -> Path:
        """The run by which a node was first reached, and one arrow more."""
        run = [] if last is None else [last]
        number = self.numbers[node]
        while number:
            run.append(self.nodes[number])
            number = self.parents[number]
        run.append(self.nodes[0])
        run.reverse()
        moves = [_written(self.product, before, after) for before, after in itertools.pairwise(run)]
        machine = self.product.machine
        return Path(machine.name, machine.fingerprint, tuple(moves))


def _written(product: Product, before: Node, after: Node) -> PathMove:
    arrow = next(x for x in product.arrows(before) if x.node == after)
    state = product.state(after)
    changes = [*_local_changes(product.state(before), state)]
    for path, slot in product.slots.items():
        was, now = (node >> BITS * slot & LEDGER_MASK for node in (before, after))
        if was != now:
            changes.append((f"{path}'s participant", LEDGER[was], LEDGER[now]))
    return PathMove(arrow.token, says=arrow.says, state=str(state), changes=tuple(changes))


def _local_changes(before: State, after: State) -> list[tuple[str, str, str]]:
    return [
        (automaton.path, automaton.local(was), automaton.local(now))
        for automaton, was, now in zip(
            before.machine.automata, before.codes, after.codes, strict=True
        )
        if was != now
    ]
