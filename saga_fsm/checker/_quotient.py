"""Breadth-first search up to symmetry: of states that differ in the order of branches, one."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from saga_fsm.checker._arrows import Entries
from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._cores import Cores, Node
from saga_fsm.checker._orbits import Orbits
from saga_fsm.checker._search import (
    LIVELOCK,
    Explored,
    finished,
    never_resting,
    reached_by,
    taken_up,
)
from saga_fsm.checker._symmetry import alike, rows_alike
from saga_fsm.checker._traces import Breach, trace
from saga_fsm.path import Path
from saga_fsm.ports import Progress
from saga_fsm.product import Network


# A state that stands for many takes longer than one that does not.
_TELL = 256


def explore(network: Network, bounds: Bounds, *, progress: Progress | None = None) -> Explored:
    """
    Explore one state of each orbit; the figures are those of all states, exactly.

    A breach is named at one of the branches that are alike. It is sound where settling is
    confluent, as in each table that the compiler makes.

    Args:
        network: machine and environment.
        bounds: how far; the limit is on the states that are looked at.
        progress: is told how far the search is, now and then.
    """
    return finished(Quotient(network, bounds, progress))


class Quotient:
    """
    One search.

    Args:
        network: machine and environment.
        bounds: how far.
        progress: is told how far the search is.
    """

    def __init__(self, network: Network, bounds: Bounds, progress: Progress | None) -> None:
        self.network, self.bounds, self.progress = network, bounds, progress
        self.cores = Cores(network)
        self.orbits = Orbits(self.cores, alike(network))
        self._entries = Entries(self.cores)
        self._begin()

    def _begin(self) -> None:
        self.nodes: list[Node] = [self.cores.initial]
        self.numbers: dict[Node, int] = {self.cores.initial: 0}
        self.parents, self.targets, self.ends = array("I", [0]), array("I"), array("I")
        self.states = self.transitions = self.depth = 0
        self.short_of = ""
        self.breaches: dict[tuple[str, str], Breach] = {}

    def run(self) -> bool:
        """Whether the search came to its end."""
        start = 0
        while start < len(self.nodes):
            self.depth += 1
            level = range(start, len(self.nodes))
            start = len(self.nodes)
            for number in level:
                self._expand(number)
                if not self._go_on():
                    self.depth += len(self.nodes) > start
                    return False
        return True

    def _expand(self, number: int) -> None:
        node = self.nodes[number]
        size = self.orbits.size(node)
        self.states += size
        if self.cores.breaches(node >> self.cores.width):
            self._look(number)
        self.transitions += size * self._arrive(number, self._entries)

    def _arrive(self, number: int, entries: Entries) -> int:
        """Take what may happen; how many commands that are."""
        first, numbers, nodes, targets = self.orbits.first, self.numbers, self.nodes, self.targets
        node, taken = nodes[number], 0
        for mask, table in entries[node >> self.cores.width]:
            count, deltas = table[node & mask]
            taken += count
            for delta in deltas:
                after = first(node + delta)
                found = numbers.get(after)
                if found is None:
                    found = numbers[after] = len(nodes)
                    nodes.append(after)
                    self.parents.append(number)
                targets.append(found)
        self.ends.append(len(targets))
        return taken

    def _go_on(self) -> bool:
        """Tell how far it is; False where there is no more room."""
        states, looked_at, memory = len(self.nodes), len(self.ends), self.bounds.memory
        if states > self.bounds.limit:
            self.short_of = "states"
        elif looked_at % _TELL == 0:
            if self.progress is not None:
                self.progress(states, self.transitions, states - looked_at, self.depth)
            if memory is not None and taken_up(states, len(self.targets), self.cores) > memory:
                self.short_of = "memory"
        return not self.short_of

    def _look(self, number: int) -> None:
        for rule, step, sentence in self.cores.broken(self.nodes[number]):
            if (rule, step) not in self.breaches:
                self.breaches[rule, step] = Breach(rule, step, sentence, self._path(number))

    def _path(self, number: int) -> Path:
        """A run to a state of this orbit: the branches keep their places on the way."""
        orbits = [number]
        while orbits[-1]:
            orbits.append(self.parents[orbits[-1]])
        run = [self.network.initial]
        for orbit in reversed(orbits[:-1]):
            wanted = self.nodes[orbit]
            moves = (self.network.after(command, run[-1]) for command in self.network.commands)
            run.append(next(x for x in moves if x is not None and self._stands(x) == wanted))
        return trace(self.network, run)

    def _stands(self, values: Iterable[int]) -> Node:
        return self.orbits.first(self.cores.node(tuple(values)))

    def look_for_livelock(self) -> None:
        """I4: from every state a run can still come to rest; swapping branches changes no rest."""
        rests = bytearray(self.cores.resting(node >> self.cores.width) for node in self.nodes)
        lost = never_resting(rests, self.targets, self.ends)
        if lost is not None:
            self.breaches.setdefault(("I4", ""), Breach("I4", "", LIVELOCK, self._path(lost)))

    def explored(self, *, complete: bool, interrupted: bool) -> Explored:
        """What was seen until now."""
        return Explored(
            states=self.states,
            transitions=self.transitions,
            depth=self.depth,
            complete=complete,
            interrupted=interrupted,
            breaches=tuple(self.breaches.values()),
            taken=self._taken() - {-1},
            reached=self._reached(),
            reductions=tuple(self._said()),
            looked_at=len(self.nodes),
            short_of="" if complete or interrupted else self.short_of,
            engine=f"symmetric: {len(self.nodes):,} states looked at",
        )

    def _taken(self) -> frozenset[int]:
        """What one branch has done, those that are like it do as well."""
        maps = [rows_alike(self.network, swapped) for swapped in self.orbits.swaps()]
        taken, todo = set(self.cores.taken), list(self.cores.taken)
        while todo:
            row = todo.pop()
            for one in maps:
                fresh = one.get(row, set[int]()) - taken
                taken |= fresh
                todo += fresh
        return frozenset(taken)

    def _reached(self) -> tuple[frozenset[int], ...]:
        found = list(reached_by(self.cores))
        for group in self.orbits.groups:
            for alike_fields in zip(*group, strict=True):
                automata = [v for v in alike_fields if v < len(found)]
                union = frozenset(x for v in automata for x in found[v])
                for v in automata:
                    found[v] = union
        return tuple(found)

    def _said(self) -> Iterator[str]:
        yield from self.orbits.said(self.network)
