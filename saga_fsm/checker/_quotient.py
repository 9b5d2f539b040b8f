"""Breadth-first search up to symmetry: of states that differ in the order of branches, one."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from saga_fsm.checker._cores import Cores, Node
from saga_fsm.checker._search import LIVELOCK, TELL, Explored, finished, never_resting, reached_by
from saga_fsm.checker._symmetry import Orbits, alike, rows_alike
from saga_fsm.checker._traces import Breach, trace
from saga_fsm.path import Path
from saga_fsm.ports import Progress
from saga_fsm.product import Network, Values


def explore(network: Network, *, limit: int, progress: Progress | None = None) -> Explored:
    """
    Explore one state of each orbit; the figures are those of all states, exactly.

    A breach is named at one of the branches that are alike. It is sound where settling is
    confluent, as in each table that the compiler makes.

    Args:
        network: machine and environment.
        limit: the largest number of states that are looked at; over it the search is incomplete.
        progress: is told how far the search is, now and then.
    """
    return finished(_Quotient(network, limit, progress))


class _Quotient:
    def __init__(self, network: Network, limit: int, progress: Progress | None) -> None:
        self.network, self.limit, self.progress = network, limit, progress
        self.groups = alike(network)
        self.orbits = Orbits(self.groups)
        self.cores = Cores(network)
        self.nodes: list[Node] = [self.cores.initial]
        self.numbers: dict[Node, int] = {self.cores.initial: 0}
        self.parents, self.targets, self.ends = array("I", [0]), array("I"), array("I")
        self.states = self.transitions = self.depth = 0
        self.breaches: dict[tuple[str, str], Breach] = {}
        self._firsts: dict[Node, Node] = {}

    def run(self) -> bool:
        """Whether the search came to its end."""
        start = 0
        while start < len(self.nodes):
            self.depth += 1
            level = range(start, len(self.nodes))
            start = len(self.nodes)
            for number in level:
                self._expand(number)
                if len(self.nodes) > self.limit:
                    self.depth += len(self.nodes) > start
                    return False
        return True

    def _expand(self, number: int) -> None:
        node = self.nodes[number]
        size = self.orbits.size(self.cores.values(node))
        self.states += size
        self._look(number)
        for after in self._after(node):
            self.transitions += size
            found = self.numbers.setdefault(after, len(self.nodes))
            if found == len(self.nodes):
                self.nodes.append(after)
                self.parents.append(number)
            self.targets.append(found)
        self.ends.append(len(self.targets))
        if self.progress is not None and len(self.ends) % TELL == 0:
            waiting = len(self.nodes) - len(self.ends)
            self.progress(len(self.nodes), self.transitions, waiting, self.depth)

    def _after(self, node: Node) -> Iterator[Node]:
        cores, firsts = self.cores, self._firsts
        core = node >> cores.width
        for option in cores.options(core):
            if all(cores.of(node, f) in allowed for f, allowed in option.asks):
                after = node + (cores.target(core, option.command) - core << cores.width)
                for f, x in option.update:
                    after += (x - cores.of(node, f)) << cores.shift[f]
                first = firsts.get(after)
                if first is None:
                    first = firsts[after] = cores.node(self.orbits.first(cores.values(after)))
                yield first

    def _look(self, number: int) -> None:
        for rule, step, sentence in self.cores.broken(self.nodes[number]):
            if (rule, step) not in self.breaches:
                self.breaches[rule, step] = Breach(rule, step, sentence, self._path(number))

    def _path(self, number: int) -> Path:
        """A run to a state of this orbit: the branches keep their places on the way."""
        orbits = [number]
        while orbits[-1]:
            orbits.append(self.parents[orbits[-1]])
        run: list[Values] = [self.network.initial]
        for orbit in reversed(orbits[:-1]):
            wanted = self.cores.values(self.nodes[orbit])
            moves = (self.network.after(command, run[-1]) for command in self.network.commands)
            run.append(next(x for x in moves if x is not None and self.orbits.first(x) == wanted))
        return trace(self.network, run)

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
            short_of="" if complete or interrupted else "states",
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
        for group in self.groups:
            for alike_fields in zip(*group, strict=True):
                automata = [v for v in alike_fields if v < len(found)]
                union = frozenset(x for v in automata for x in found[v])
                for v in automata:
                    found[v] = union
        return tuple(found)

    def _said(self) -> Iterator[str]:
        if not self.groups:
            yield "symmetry: not used, no two branches are alike"
        for group in self.groups:
            names = [self.network.fields[branch[0]].name for branch in group]
            yield f"symmetry: {len(group)} branches alike ({', '.join(names)})"
