"""Breadth-first search, state by state, in plain Python: exact counts, shortest paths."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Protocol

import attrs

from saga_fsm.checker._arrows import Entries
from saga_fsm.checker._cores import Cores, Node
from saga_fsm.checker._early import Livelock
from saga_fsm.checker._traces import Breach, trace
from saga_fsm.machine import State
from saga_fsm.path import Path
from saga_fsm.ports import Progress
from saga_fsm.product import Network, Values


# Told after so many states: often enough for a line on a terminal, and nothing beside the search.
TELL = 4_096
LIVELOCK = "from here the run can never come to rest"
# Of memory, measured: a state, a move, and each field of a core with what may happen there.
_STATE, _MOVE, _CORE_FIELD = 150, 4, 40


@attrs.frozen
class Explored:
    """
    What a search saw.

    Args:
        states: how many.
        transitions: moves between them; None where the engine does not count them.
        depth: levels of the search; None where it has none.
        complete: False when a limit or an interrupt cut it short.
        interrupted: whether it was an interrupt.
        breaches: one per rule and step.
        taken: numbers of the machine's rows that were taken; none where that is not known.
        reached: the local states of each automaton.
        short_of: "states" or "memory" where there was no room for more, "found" where the search
            ended because something was.
        engine: who searched.
        reductions: what was left out because it comes to the same, and what could not be.
        looked_at: of how many states only some were looked at, how many those were.
    """

    states: int
    transitions: int | None
    depth: int | None
    complete: bool
    interrupted: bool
    breaches: tuple[Breach, ...]
    taken: frozenset[int]
    reached: tuple[frozenset[int], ...]
    short_of: str = ""
    engine: str = "scout, state by state"
    reductions: tuple[str, ...] = ()
    looked_at: int = 0


def search(
    network: Network,
    *,
    limit: int,
    memory: int | None = None,
    first_only: bool = False,
    progress: Progress | None = None,
) -> Explored:
    """
    Explore from the start, nearest first; one breach per rule and step, each by a shortest run.

    Args:
        network: machine and environment.
        limit: the largest number of states; over it the search is not complete.
        memory: the same in bytes that the search may take, roughly; None for no such bound.
        first_only: stop at the first breach.
        progress: is told how far the search is, now and then.
    """
    exploring = _Search(Cores(network), limit, memory, first_only=first_only, progress=progress)
    return finished(exploring)


def taken_up(states: int, moves: int, cores: Cores) -> int:
    """About how many bytes so many states and moves between them take."""
    return states * _STATE + moves * _MOVE + len(cores.codes) * cores.size * _CORE_FIELD


class Exploration(Protocol):
    """A search that can be run, once, to its end or to an interrupt."""

    def run(self) -> bool:
        """Whether it came to its end."""
        ...

    def look_for_livelock(self) -> None:
        """Add a breach where from some state a run can never come to rest."""
        ...

    def explored(self, *, complete: bool, interrupted: bool) -> Explored:
        """What was seen until now."""
        ...


def finished(exploring: Exploration) -> Explored:
    """Search, to the end or to an interrupt."""
    complete = interrupted = False
    try:
        complete = exploring.run()
        if complete:
            exploring.look_for_livelock()
    except KeyboardInterrupt:
        complete, interrupted = False, True
    return exploring.explored(complete=complete, interrupted=interrupted)


def never_resting(rests: bytearray, targets: Sequence[int], ends: Sequence[int]) -> int | None:
    """I4: the nearest state from which no run can come to rest (AG EF rest); see ``all_lost``."""
    return min(all_lost(rests, targets, ends), default=None)


def all_lost(rests: bytearray, targets: Sequence[int], ends: Sequence[int]) -> list[int]:
    """
    The states from which no run can come to rest, found backwards.

    Args:
        rests: whether a state is a rest; written to.
        targets: the moves, as ``Graph`` has them.
        ends: as ``Graph`` has them.
    """
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
            break
        left = lost
    return left


@attrs.frozen(eq=False)
class Graph:
    """
    The states that a search has found, nearest first, and the moves between them.

    Args:
        cores: how a node is read.
        nodes: the states; the first is the start.
        parents: by state, the one that it was first reached from.
        targets: the moves out of state ``i`` lead to ``targets[ends[i - 1]:ends[i]]``; several
            commands with one end are one move, and one that changes nothing is none.
        ends: see there; of states that were found and not looked at there is none.
        complete: whether these are all.
    """

    cores: Cores
    nodes: Sequence[Node]
    parents: Sequence[int]
    targets: Sequence[int]
    ends: Sequence[int]
    complete: bool

    def values(self, number: int) -> Values:
        """Each field's value in a state."""
        return self.cores.values(self.nodes[number])

    def state(self, number: int) -> State:
        """The machine's part of a state."""
        return self.cores.state(self.nodes[number])

    def after(self, number: int) -> Sequence[int]:
        """Where the moves out of a state lead."""
        return self.targets[self.ends[number - 1] if number else 0 : self.ends[number]]

    def path(self, *numbers: int) -> Path:
        """The shortest run to the first of these states, and on from each to the next."""
        run = [numbers[0]]
        while run[-1]:
            run.append(self.parents[run[-1]])
        states = [self.values(x) for x in (*reversed(run), *numbers[1:])]
        return trace(self.cores.network, states)


def graph_of(network: Network, *, limit: int, progress: Progress | None = None) -> Graph:
    """
    Every state and every move, whatever is broken there: what properties are asked of.

    Args:
        network: machine and environment.
        limit: the largest number of states; over it the graph is not complete.
        progress: is told how far the search is, now and then.
    """
    blind = attrs.evolve(network, forbidden=())
    exploring = _Search(Cores(blind), limit, None, first_only=False, progress=progress)
    complete = exploring.run()
    return exploring.graph(complete=complete)


def reached_within(network: Network, *, limit: int) -> Explored:
    """What is reached and taken within so many states, whatever is broken there."""
    blind = attrs.evolve(network, forbidden=())
    exploring = _Search(Cores(blind), limit, None, first_only=False, progress=None)
    complete = exploring.run()
    return exploring.explored(complete=complete)


def reached_by(cores: Cores) -> tuple[frozenset[int], ...]:
    """Per automaton of the machine, the codes of the local states that some core has."""
    fields = cores.network.fields
    seen: list[set[int]] = [set() for _ in cores.network.machine.automata]
    for codes in cores.codes:
        for v, found in enumerate(seen):
            found.add(codes[v])
    return tuple(frozenset(fields[v].codes[x] for x in found) for v, found in enumerate(seen))


class _Search:
    """One search: the nodes in the order found, who found them, and the arrows between them."""

    def __init__(
        self,
        cores: Cores,
        limit: int,
        memory: int | None,
        *,
        first_only: bool,
        progress: Progress | None,
    ) -> None:
        self.cores = cores
        self.limit = limit
        self.memory = math.inf if memory is None else memory
        self.short_of = ""
        self.first_only = first_only
        self.progress = progress
        self.nodes: list[Node] = [cores.initial]
        self.numbers: dict[Node, int] = {cores.initial: 0}
        self.parents = array("I", [0])
        # The arrows out of node i end at targets[ends[i - 1]:ends[i]].
        self.targets = array("I")
        self.ends = array("I")
        self.transitions = 0
        self.depth = 0
        self.breaches: dict[tuple[str, str], Breach] = {}
        self._entries = Entries(cores)
        self._livelock = Livelock(lambda number: cores.resting(self.nodes[number] >> cores.width))

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
            if self.first_only and self._lost_already():
                return False
        return True

    def _lost_already(self) -> bool:
        """Keep the nearest livelock, where it is known before all is."""
        lost = self._livelock.nearest(len(self.nodes), self.targets, self.ends)
        if lost is not None:
            self.breaches["I4", ""] = Breach("I4", "", LIVELOCK, self._trace(lost))
        return lost is not None

    def _expand(self, level: range) -> bool:
        """Take every arrow of every node of one level; False if that is enough."""
        nodes, numbers, parents, width = self.nodes, self.numbers, self.parents, self.cores.width
        targets, ends, entries, breaches = (
            self.targets,
            self.ends,
            self._entries,
            self.cores.breaches,
        )
        for number in level:
            node = nodes[number]
            core = node >> width
            if breaches(core) and self._look(number) and self.first_only:
                return False
            for mask, table in entries[core]:
                count, deltas = table[node & mask]
                self.transitions += count
                for delta in deltas:
                    after = node + delta
                    found = numbers.get(after)
                    if found is None:
                        found = numbers[after] = len(nodes)
                        nodes.append(after)
                        parents.append(number)
                    targets.append(found)
            ends.append(len(targets))
            if len(nodes) > self.limit:
                self.short_of = "states"
                return False
            if len(ends) % TELL == 0 and not self._go_on():
                return False
        return True

    def _go_on(self) -> bool:
        """Tell how far it is; False where there is no more room."""
        states, waiting = len(self.nodes), len(self.nodes) - len(self.ends)
        if self.progress is not None:
            self.progress(states, self.transitions, waiting, self.depth)
        if taken_up(states, len(self.targets), self.cores) > self.memory:
            self.short_of = "memory"
        return not self.short_of

    def _look(self, number: int) -> bool:
        """Keep the first breach of each rule at each step: by distance, so the nearest."""
        found = False
        for rule, step, sentence in self.cores.broken(self.nodes[number]):
            found = True
            if (rule, step) not in self.breaches:
                self.breaches[rule, step] = Breach(rule, step, sentence, self._trace(number))
        return found

    def explored(self, *, complete: bool, interrupted: bool = False) -> Explored:
        """What was seen until now."""
        return Explored(
            states=len(self.nodes),
            transitions=self.transitions,
            depth=self.depth,
            complete=complete,
            interrupted=interrupted,
            breaches=tuple(self.breaches.values()),
            taken=frozenset(self.cores.taken - {-1}),
            reached=reached_by(self.cores),
            short_of=self.short_of,
        )

    def look_for_livelock(self) -> None:
        """I4: from every state a run can still come to rest."""
        cores = self.cores
        rests = bytearray(cores.resting(node >> cores.width) for node in self.nodes)
        lost = never_resting(rests, self.targets, self.ends)
        if lost is not None:
            self.breaches.setdefault(("I4", ""), Breach("I4", "", LIVELOCK, self._trace(lost)))

    def _trace(self, number: int) -> Path:
        return self.graph(complete=False).path(number)

    def graph(self, *, complete: bool) -> Graph:
        """What was found until now."""
        return Graph(self.cores, self.nodes, self.parents, self.targets, self.ends, complete)
