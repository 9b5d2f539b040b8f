"""
Breadth-first search of as little as decides all rules: up to symmetry, one step's moves at a time.

Three reductions, one after the other, each only where the table itself shows that it may be used:
crashes that come to nothing new (``_takeovers``), the moves of one step where they are enough
(``_persistent``), and of states that differ in the order of branches one (``_symmetry``). Which
step moves is chosen in the state that stands for its orbit: in all others its image does, and what
is enough in a state is, swapped, enough in the swapped one (Emerson, Jha, Peled 1997).

Nobody may wait for ever: where no moves that were looked at lead from a state that was looked at
in part to one that was looked at in whole, the search is repeated and looks at these in whole.

Runs may be longer than the shortest; what is wrong is therefore looked for once more near the
start, state by state. Each run that is shown is a real one.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from saga_fsm.checker._arrows import Entries
from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._cores import Node
from saga_fsm.checker._persistent import Persistent, without_impossible
from saga_fsm.checker._quotient import Quotient
from saga_fsm.checker._search import Explored, all_lost, finished, search
from saga_fsm.checker._takeovers import SAID, without_takeovers
from saga_fsm.ports import Progress
from saga_fsm.product import UP, Network


# So many states are looked at once more to find a shortest run.
_NEAR = 20_000
LONGER = "a run may be longer than the shortest"
ENGINE = "reduced, state by state: counted is what was looked at, not all there is"


def explore(network: Network, bounds: Bounds, *, progress: Progress | None = None) -> Explored:
    """
    Explore what decides all rules; states and moves are those that were looked at.

    A breach too far from the start to be found again is named at one of the branches that are
    alike. Rows that were taken are not known.

    Args:
        network: machine and environment.
        bounds: how far.
        progress: is told how far the search is, now and then.
    """
    found = finished(Reduced(network, bounds, progress))
    if not found.breaches or found.interrupted:
        return found
    return _nearest(network, bounds, found)


def _nearest(network: Network, bounds: Bounds, found: Explored) -> Explored:
    """The same breaches, each by a shortest run where one is near."""
    limit = min(bounds.limit, _NEAR)
    near = search(network, limit=limit, memory=bounds.memory)
    far = (attrs.evolve(x, shortest=False) for x in found.breaches)
    breaches = {(x.rule, x.step): x for x in (*far, *near.breaches)}
    longer = () if len(breaches) == len(near.breaches) else (LONGER,)
    return attrs.evolve(
        found,
        breaches=tuple(breaches.values()),
        reductions=(*found.reductions, *longer),
        interrupted=near.interrupted,
        complete=found.complete and not near.interrupted,
    )


class Reduced(Quotient):
    """One search; its network is without crashes, where they may be left out."""

    def __init__(self, network: Network, bounds: Bounds, progress: Progress | None) -> None:
        alive = without_takeovers(network)
        self._crash_free = alive is not None
        super().__init__(without_impossible(alive or network), bounds, progress)
        self._persistent = Persistent(self.network, self.orbits.groups)
        self._entries_of: dict[frozenset[int] | None, Entries] = {None: self._entries}
        # Looked at in whole, whatever would be enough; in part, by their number.
        self._whole: set[Node] = set()
        self._part = bytearray()

    def run(self) -> bool:
        """Whether the search came to its end, with nobody left who waits for ever."""
        while True:
            if not super().run():
                return False
            waiting = self._waiting()
            if not waiting:
                return True
            self._whole |= waiting
            self._part.clear()
            self._begin()

    def _expand(self, number: int) -> None:
        node = self.nodes[number]
        self.states += 1
        if self.cores.breaches(node >> self.cores.width):
            self._look(number)
        enough = None
        if node not in self._whole:
            enough = self._persistent.enough(self.cores.values(node))
        self._part.append(enough is not None)
        entries = self._entries_of.get(enough)
        if entries is None:
            entries = self._entries_of[enough] = Entries(self.cores, enough)
        self.transitions += self._arrive(number, entries)

    def _waiting(self) -> set[Node]:
        """The states from which none is reached that was looked at in whole."""
        whole = bytearray(not part for part in self._part)
        return {self.nodes[lost] for lost in all_lost(whole, self.targets, self.ends)}

    def explored(self, *, complete: bool, interrupted: bool) -> Explored:
        """What was seen until now."""
        return attrs.evolve(
            super().explored(complete=complete, interrupted=interrupted),
            depth=None,
            engine=ENGINE,
        )

    def _taken(self) -> frozenset[int]:
        """Not known: other orders may settle by other rows."""
        return frozenset()

    def _said(self) -> Iterator[str]:
        yield from super()._said()
        part = sum(self._part)
        if part:
            yield (
                f"partial order: in {part:,} of {len(self._part):,} states the moves of one step "
                "were enough"
            )
        else:
            yield "partial order: not used, nowhere are the moves of one step enough"
        if self._crash_free:
            yield SAID
        elif any(field.name == UP for field in self.network.fields):
            yield "crashes: each was looked at, one may do what unanswered calls do not"
