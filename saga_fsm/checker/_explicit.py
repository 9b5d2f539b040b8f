"""
Breadth-first search of whole levels at once, in NumPy: exact counts, shortest paths.

The same states, moves, depth and breaches as the plain search has, tens of times as fast where a
level is wide.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._cores import state_of
from saga_fsm.checker._narrowed import narrowed
from saga_fsm.checker._numbering import Numbering, States
from saga_fsm.checker._packed import (
    Asked,
    Batch,
    Homes,
    Limbs,
    Masks,
    Numbers,
    Packing,
    Settling,
    takings,
)
from saga_fsm.checker._pairs import Pairs
from saga_fsm.checker._search import LIVELOCK, TELL, Explored, finished
from saga_fsm.checker._traces import Breach, trace
from saga_fsm.path import Path
from saga_fsm.ports import Progress
from saga_fsm.product import Forbidden, Guard, Network


# So many states are looked at together: larger arrays leave the caches.
_CHUNK = 1 << 16
# Levels of fewer states for each command are narrow.
_NARROW = 8
# Fewer take as long: near the limit no fewer than these.
_LEAST = 1 << 6


def explore(network: Network, bounds: Bounds, *, progress: Progress | None = None) -> Explored:
    """
    Explore from the start, nearest first; one breach per rule and step, each by a shortest run.

    Args:
        network: machine and environment.
        bounds: how far.
        progress: is told how far the search is, now and then.
    """
    return finished(Exploring(network, bounds, progress))


class Levels(NamedTuple):
    """
    The states that a search has found, nearest first, and the moves between them.

    Args:
        network: machine and environment.
        packing: how a state is read.
        states: them, as columns.
        parents: by state, the one that it was first reached from.
        sources: where each move leads from.
        targets: where it leads to.
    """

    network: Network
    packing: Packing
    states: Limbs
    parents: npt.NDArray[np.int32]
    sources: npt.NDArray[np.integer]
    targets: npt.NDArray[np.int32]


class Exploring:
    """
    One search.

    Args:
        network: machine and environment.
        bounds: how far.
        progress: is told how far the search is.
    """

    name = "explicit, by NumPy"

    def __init__(self, network: Network, bounds: Bounds, progress: Progress | None) -> None:
        self.network = network = narrowed(network)
        self.bounds = bounds
        self.progress = progress
        self.packing = Packing(network.fields)
        self.takings = takings(self.packing, network)
        self._masks = Masks(self.packing, [one.change for one in self.takings])
        self._wakes = np.array([bool(one.wakes) for one in self.takings], np.bool_)
        suits = Pairs.suits(self.packing)
        self._pairs = Pairs([x.guard for x in network.commands], self.packing) if suits else None
        inner = network.internal if suits else ()
        self._inner = (
            Pairs([x.guard for x in inner], self.packing),
            Masks(self.packing, [self.packing.change(x.update) for x in inner]),
        )
        self._forbidden_pairs = list(self._grouped()) if suits else []
        self._homes = Homes([one.guard for one in network.commands], self.packing)
        self.rest = self.packing.asked(network.rest)
        self.forbidden = [
            (one, self.packing.asked(one.asks), self.packing.asked(one.shared))
            for one in network.forbidden
        ]
        self._ill = Homes([one.asks for one in network.forbidden], self.packing)
        self.settling = Settling(self.packing, network)
        self._numbers = Numbering(self.packing.limbs)
        self._numbers.number(self.packing.pack(network.initial))
        self.numbering: States = self._numbers
        self.parents: list[npt.NDArray[np.int32]] = [np.zeros(1, np.int32)]
        # Per chunk: from where to where its moves lead.
        self.edges: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]] = []
        self.transitions = 0
        self.depth = 0
        self.taken: set[int] = set()
        self.breaches: dict[tuple[str, str], Breach] = {}
        self.short_of = ""
        self.told = 0

    # ------------------------------------------------------------------ level by level

    def run(self) -> bool:
        """Whether the search came to its end."""
        start = 0
        while start < self.numbering.size:
            # Levels, the last and empty one included, as the specification counts them.
            self.depth += 1
            end = self.numbering.size
            while start < end:
                chunk = self.bounds.chunk(self.numbering.size, _CHUNK, least=_LEAST)
                begin, start = start, min(start + chunk, end)
                self._expand(begin, start)
                if not self._go_on(start):
                    self.depth += self.numbering.size > end
                    return False
        return True

    def _expand(self, begin: int, end: int) -> None:
        """Look at the states of these numbers, and take every command that is enabled there."""
        batch = Batch(self.packing, self.numbering.states[:, begin:end].copy())
        if self._pairs is None or batch.size >= _NARROW * len(self.takings):
            self._look(batch, begin)
            self._take_each(batch, begin)
        else:
            self._look_at_pairs(batch, begin)
            self._take_pairs(self._pairs, batch, begin)

    def _take_each(self, batch: Batch, begin: int) -> None:
        """One command after another, by all states where it is enabled."""
        sources: list[Numbers] = []
        still: list[Limbs] = []
        moved_sources: list[Numbers] = []
        moved: list[Limbs] = []
        written: set[int] = set()
        for number in self._homes.due(batch):
            guard, row, change, wakes = self.takings[number]
            found = batch.where(guard)
            if not len(found):
                continue
            self.transitions += len(found)
            self.taken.add(row)
            if not change:
                continue
            after = batch.limbs.take(found, axis=1)
            for limb, keep, put in change:
                after[limb] = after[limb] & keep | put
            (moved if wakes else still).append(after)
            (moved_sources if wakes else sources).append(found)
            written |= wakes
        if moved:
            settled = Batch(self.packing, np.concatenate(moved, axis=1))
            self.settling.settle(settled, written)
            still.append(settled.limbs)
            sources += moved_sources
        if still:
            self._arrive(np.concatenate(sources) + begin, np.concatenate(still, axis=1))

    def _take_pairs(self, pairs: Pairs, batch: Batch, begin: int) -> None:
        """All commands at once, each by the few states where it is enabled."""
        states, numbers = pairs.of(batch.limbs)
        self.transitions += len(states)
        taken = np.unique(numbers).tolist()
        self.taken.update(self.takings[number].row for number in taken)
        changes = self._masks.changes[numbers]
        states, numbers = states[changes], numbers[changes]
        if not len(states):
            return
        after = batch.limbs.take(states, axis=1)
        after &= self._masks.keep.take(numbers, axis=1)
        after |= self._masks.put.take(numbers, axis=1)
        wakes = self._wakes[numbers]
        if wakes.any():
            self._settle_pairs(after, wakes.nonzero()[0])
        self._arrive(states + begin, after)

    def _arrive(self, sources: Numbers, states: Limbs) -> None:
        numbers, new = self._numbers.number(states)
        self.parents.append(sources[new].astype(np.int32))
        self.edges.append((sources.astype(np.int32), numbers.astype(np.int32)))

    def _go_on(self, looked_at: int) -> bool:
        """Tell how far it is; False where there is no more room."""
        states = self.numbering.size
        if self.progress is not None and looked_at - self.told >= TELL:
            self.told = looked_at
            self.progress(states, self.transitions, states - looked_at, self.depth)
        memory = self.numbering.bytes + 8 * sum(len(one) for one, _ in self.edges) + 4 * states
        if states > self.bounds.limit:
            self.short_of = "states"
        elif self.bounds.memory is not None and memory > self.bounds.memory:
            self.short_of = "memory"
        return not self.short_of

    # ------------------------------------------------------------------ what is wrong

    def _settle_pairs(self, states: Limbs, left: Numbers) -> None:
        """Settle some of these states, each by one internal command at a time."""
        pairs, masks = self._inner
        while len(left):
            found, numbers = pairs.of(states[:, left])
            which, first = np.unique(found, return_index=True)
            numbers, left = numbers[first], left[which]
            states[:, left] = states[:, left] & masks.keep[:, numbers] | masks.put[:, numbers]
            rows = self.network.internal
            self.taken.update(rows[number].row for number in np.unique(numbers).tolist())

    def _look(self, batch: Batch, begin: int) -> None:
        """Keep the first breach of each rule at each step: by distance, so the nearest."""
        shared: dict[int, npt.NDArray[np.bool_] | bool] = {}
        for number in self._ill.due(batch):
            one, guard, many = self.forbidden[number]
            also = shared.get(id(one.shared))
            if also is None:
                also = shared[id(one.shared)] = batch.holds(many)
                if also is not True and also is not False and not also.any():
                    also = shared[id(one.shared)] = False
            if also is False:
                continue
            asks = batch.holds(guard)
            both = asks if also is True else also if asks is True else asks & also
            if both is False:
                continue
            found = np.arange(batch.size) if both is True else both.nonzero()[0]
            self._keep(batch, begin, one, found)

    def _grouped(self) -> Iterator[tuple[tuple[Asked, ...], list[int], Pairs]]:
        """What is forbidden by what many ask as well, which few states satisfy."""
        groups: dict[Guard, list[int]] = {}
        for number, one in enumerate(self.network.forbidden):
            groups.setdefault(one.shared, []).append(number)
        for shared, numbers in groups.items():
            asks = [self.network.forbidden[number].asks for number in numbers]
            yield self.packing.asked(shared), numbers, Pairs(asks, self.packing)

    def _look_at_pairs(self, batch: Batch, begin: int) -> None:
        """The same as ``_look``, all that is forbidden at once."""
        for shared, those, pairs in self._forbidden_pairs:
            among = batch.where(shared)
            if not len(among):
                continue
            states, numbers = pairs.of(batch.limbs[:, among])
            for number in np.unique(numbers).tolist():
                one = self.forbidden[those[number]][0]
                self._keep(batch, begin, one, among[states[numbers == number]])

    def _keep(self, batch: Batch, begin: int, one: Forbidden, found: Numbers) -> None:
        """Keep what is forbidden in these states."""
        for there in self._kinds(batch, found, several=len(one.sayings) > 1):
            state = state_of(self.network, self.packing.values(batch.limbs[:, there]))
            rule, step, sentence = one.said(state.status.value)
            if (rule, step) not in self.breaches:
                path = self._path(begin + int(there))
                self.breaches[rule, step] = Breach(rule, step, sentence, path)

    def _kinds(self, batch: Batch, found: Numbers, *, several: bool) -> Numbers:
        """The first of these states; the first of each core, where a rule tells them apart."""
        if not several or len(found) < 2:
            return found[:1]
        automata = range(len(self.network.machine.automata))
        cores = np.stack([batch.column(v)[found] for v in automata])
        _, first = np.unique(cores, axis=1, return_index=True)
        return found[np.sort(first)]

    def look_for_livelock(self) -> None:
        """I4: from every state a run can still come to rest (AG EF rest), found backwards."""
        batch = Batch(self.packing, self.numbering.states)
        rests = np.zeros(self.numbering.size, np.bool_)
        rests[batch.where(self.rest)] = True
        count, edges = -1, list(self.edges)
        # Mostly moves lead on to what was found later: a few rounds from the end are enough.
        while count != (count := int(rests.sum())) and count < len(rests):
            for i in reversed(range(len(edges))):
                sources, targets = edges[i]
                rests[sources[rests[targets]]] = True
                left = np.flatnonzero(~rests[sources])
                edges[i] = sources[left], targets[left]
        lost = np.flatnonzero(~rests)
        if len(lost):
            path = self._path(int(lost[0]))
            self.breaches.setdefault(("I4", ""), Breach("I4", "", LIVELOCK, path))

    def _path(self, number: int) -> Path:
        parents = np.concatenate(self.parents)
        self.parents = [parents]
        run = [number]
        while run[-1]:
            run.append(int(parents[run[-1]]))
        states = self.numbering.states
        values = [self.packing.values(states[:, one]) for one in reversed(run)]
        return trace(self.network, values)

    # ------------------------------------------------------------------ what was seen

    def levels(self) -> Levels:
        """All states and moves that were found."""
        none = np.zeros(0, np.int32)
        return Levels(
            self.network,
            self.packing,
            self.numbering.states,
            np.concatenate(self.parents)[: self.numbering.size],
            np.concatenate([none, *(one for one, _ in self.edges)]),
            np.concatenate([none, *(one for _, one in self.edges)]),
        )

    def explored(self, *, complete: bool, interrupted: bool) -> Explored:
        """What was seen until now."""
        return Explored(
            states=self.numbering.size,
            transitions=self.transitions,
            depth=self.depth,
            complete=complete,
            interrupted=interrupted,
            breaches=tuple(self.breaches.values()),
            taken=frozenset((self.taken | self.settling.taken) - {-1}),
            reached=self._reached(),
            short_of=self.short_of,
            engine=self.name,
        )

    def _reached(self) -> tuple[frozenset[int], ...]:
        batch = Batch(self.packing, self.numbering.states)
        fields = self.network.fields[: len(self.network.machine.automata)]
        return tuple(
            frozenset(code for x, code in enumerate(field.codes) if batch.present(v) >> x & 1)
            for v, field in enumerate(fields)
        )
