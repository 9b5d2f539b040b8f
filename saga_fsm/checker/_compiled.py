"""The explicit engine with its inner loops compiled by numba, where the extra ``fast`` is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from saga_fsm.checker import _kernels
from saga_fsm.checker._arrays import Cores, Found, Ints, Tables
from saga_fsm.checker._backwards import lost
from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._cores import rarest, state_of
from saga_fsm.checker._explicit import Levels
from saga_fsm.checker._narrowed import narrowed
from saga_fsm.checker._packed import Batch, Packing
from saga_fsm.checker._places import places, roomy
from saga_fsm.checker._search import LIVELOCK, TELL, Explored, finished
from saga_fsm.checker._traces import Breach, trace
from saga_fsm.path import Path
from saga_fsm.ports import Progress
from saga_fsm.product import Guard, Network, Update, Values


# A literal has one bit for each value that it allows.
_WIDEST = 62
_FREE = -1
# Room for so many states and cores at first.
_FEW = 1 << 10
# So many states are looked at between two looks at the bounds.
_CHUNK = 1 << 16


def suits(network: Network) -> bool:
    """Whether the compiled loops can read this network."""
    return all(len(field.values) <= _WIDEST for field in network.fields)


def explore(network: Network, bounds: Bounds, *, progress: Progress | None = None) -> Explored:
    """
    Explore from the start, nearest first, as the engine in NumPy does.

    Args:
        network: machine and environment, that ``suits``.
        bounds: how far.
        progress: is told how far the search is, now and then.
    """
    return finished(Compiled(network, bounds, progress))


class Compiled:
    """One search: what the loops need, room for what they find, and what it means."""

    def __init__(self, network: Network, bounds: Bounds, progress: Progress | None) -> None:
        self.network = network = narrowed(network)
        self.bounds = bounds
        self.progress = progress
        size = sum(not field.name.startswith("~") for field in network.fields)
        self.cores_packing = Packing(network.fields[:size])
        # Below the number of the core, there is a part of the first limb left.
        self.memory = Packing(network.fields[size:], first=_kernels.CORE_SHIFT)
        self.size = size
        self.width, self.limbs = self.cores_packing.limbs, self.memory.limbs
        watched = {f for row in network.internal for f, _ in row.guard}
        self._rows, self._inner = (
            self._tables([(x.guard, x.update) for x in rows], watched, homes=homes)
            for rows, homes in ((network.commands, True), (network.internal, False))
        )
        guards = [((*x.asks, *x.shared), ()) for x in network.forbidden]
        self._bad = self._tables(guards, watched, homes=True)
        self._single = np.array([len(x.sayings) == 1 for x in network.forbidden], np.int64)
        self._rows_taken = np.zeros(len(network.commands), np.bool_)
        self._inner_taken = np.zeros(len(network.internal), np.bool_)
        self._start()
        self.depth = 0
        self.breaches: dict[tuple[str, str], Breach] = {}
        self.short_of = ""
        self._told = 0
        self._looked_at = 0

    def _start(self) -> None:
        """Room for a few, and the first state: its core, and its memory, are all zero."""
        # States, cores, options, edges, transitions, hits.
        self.counts = (1, 1, 0, 0, 0, 0)
        room = _FEW
        self._cores = Cores(
            codes=np.zeros(room * self.width, np.int64),
            table=np.full(2 * room, _FREE, np.int32),
            first=np.full(room, -1, np.int64),
            bad=np.zeros(room, np.int64),
            last=np.zeros(room, np.int64),
            what=np.zeros(room, np.int32),
            target=np.zeros(room, np.int32),
        )
        self._found = Found(
            nodes=np.zeros(room * self.limbs, np.int64),
            table=np.zeros(0, np.int64),
            parents=np.zeros(room, np.int32),
            ends=np.zeros(room, np.int64),
            targets=np.zeros(room, np.int32),
            hits=np.zeros((4 * len(self.network.forbidden) + 1, 2), np.int64),
        )
        self._cores.codes[: self.width] = self.cores_packing.pack(
            self.network.initial[: self.size]
        )[:, 0]
        self._found.nodes[: self.limbs] = self.memory.pack(self.network.initial[self.size :])[:, 0]
        _kernels.fill_plainly(self._cores.codes, self.width, 1, self._cores.table)
        self._dense = places(self.memory)
        self._seat()

    def _tables(
        self, rows: Sequence[tuple[Guard, Update]], watched: set[int], *, homes: bool
    ) -> Tables:
        """Rows as arrays; ``homes``: each is a candidate at one field only, else at all it asks."""
        size = self.size
        guards = [tuple(x for x in guard if x[0] < size) for guard, _ in rows]
        asks = [
            tuple((f - size, allowed) for f, allowed in guard if f >= size) for guard, _ in rows
        ]
        changes = [
            self.cores_packing.change(tuple(x for x in update if x[0] < size)) for _, update in rows
        ]
        puts = [
            self.memory.change(tuple((f - size, x) for f, x in update if f >= size))
            for _, update in rows
        ]
        sizes = [len(field.values) for field in self.network.fields[:size]]
        at: list[list[list[int]]] = [[[] for _ in range(one)] for one in sizes]
        for number, guard in enumerate(guards):
            for f, allowed in [_home(guard, sizes)] if homes else guard:
                for value in sorted(allowed):
                    at[f][value].append(number)
        # Fields that no row is at home at need not be looked at.
        used = [f for f in range(size) if not homes or any(at[f])]
        candidates = [numbers for f in used for numbers in at[f]]
        written = [sorted({f for f, _ in update} & watched) for _, update in rows]
        return Tables(
            *_jagged([_literals(self.cores_packing, guard) for guard in guards], 4),
            *_jagged([_literals(self.memory, guard) for guard in asks], 4),
            *_jagged(changes, 3),
            *_jagged(puts, 3),
            places=np.array([self.cores_packing.places[f] for f in used], np.int64).reshape(-1, 3),
            candidates=np.array([x for one in candidates for x in one], np.int64),
            candidate_starts=_starts(candidates),
            value_starts=np.array([0, *accumulate(sizes[f] for f in used)], np.int64),
            written=np.array([x for one in written for x in one], np.int64),
            written_starts=_starts(written),
        )

    # ------------------------------------------------------------------ level by level

    def run(self) -> bool:
        """Whether the search came to its end."""
        start = 0
        while start < self.counts[0]:
            # Levels, the last and empty one included, as the specification counts them.
            self.depth += 1
            level = self.counts[0]
            while start < level:
                chunk = min(start + self.bounds.chunk(self.counts[0], _CHUNK), level)
                while start < chunk:
                    start = self._looked_at = self._expand(start, chunk)
                if not self._go_on(start):
                    self.depth += self.counts[0] > level
                    return False
        return True

    def _expand(self, begin: int, end: int) -> int:
        """Look at the states of these numbers, as far as there is room."""
        self._grow()
        begin, counts = _kernels.expand(
            self.counts,
            begin,
            end,
            self.limbs,
            self._found,
            self._dense,
            self._cores,
            self._rows,
            self._inner,
            self._bad,
            self._rows_taken,
            self._inner_taken,
            self._single,
        )
        self._look(counts[5])
        self.counts = (*counts[:5], 0)
        return int(begin)

    def _grow(self) -> None:
        """Room for all that one state may lead to; where it is scarce, twice as much."""
        states, met, used, moved, _, _ = self.counts
        most = len(self.network.commands)
        room = _kernels.TOGETHER + most
        found, cores = self._found, self._cores
        if states + room > len(found.parents):
            more = 2 * len(found.parents) + room
            found = found._replace(
                nodes=_longer(found.nodes, more * self.limbs),
                parents=_longer(found.parents, more),
                ends=_longer(found.ends, more),
            )
        if moved + room > len(found.targets):
            found = found._replace(targets=_longer(found.targets, 2 * len(found.targets) + room))
        if met + most > len(cores.first):
            more = 2 * len(cores.first) + most
            cores = cores._replace(
                codes=_longer(cores.codes, more * self.width),
                table=np.full(1 << (2 * more - 1).bit_length(), _FREE, np.int32),
                first=_longer(cores.first, more),
                bad=_longer(cores.bad, more),
                last=_longer(cores.last, more),
            )
            _kernels.fill_plainly(cores.codes, self.width, met, cores.table)
        options = most + len(self.network.forbidden)
        if used + options > len(cores.what):
            more = 2 * len(cores.what) + options
            cores = cores._replace(
                what=_longer(cores.what, more), target=_longer(cores.target, more)
            )
        self._found, self._cores = found, cores
        self._seat()

    def _seat(self) -> None:
        """Let each state have a place of its own, as long as these are few; else hash them."""
        found, dense, states = self._found, self._dense, self.counts[0]
        if not len(found.table) and len(self._cores.first) * dense.points > len(dense.numbers):
            more = roomy(dense, len(self._cores.first), states, self.bounds.memory)
            self._dense = more or dense._replace(numbers=np.zeros(0, np.int32))
            if more is not None and not len(dense.numbers):
                _kernels.place_all(found.nodes, self.limbs, states, more)
        if not len(self._dense.numbers) and 2 * len(found.parents) > len(found.table):
            table = np.full(1 << (2 * len(found.parents) - 1).bit_length(), _FREE, np.int64)
            _kernels.fill(found.nodes, self.limbs, states, table)
            self._found = found._replace(table=table)

    def _go_on(self, looked_at: int) -> bool:
        """Tell how far it is; False where there is no more room."""
        states, transitions = self.counts[0], self.counts[4]
        if self.progress is not None and looked_at - self._told >= TELL:
            self._told = looked_at
            self.progress(states, transitions, states - looked_at, self.depth)
        arrays = (*self._found, *self._cores, self._dense.numbers)
        memory = sum(one.nbytes for one in arrays)
        if states > self.bounds.limit:
            self.short_of = "states"
        elif self.bounds.memory is not None and memory > self.bounds.memory:
            self.short_of = "memory"
        return not self.short_of

    # ------------------------------------------------------------------ what is wrong

    def _look(self, hits: int) -> None:
        """Keep the first breach of each rule at each step: by distance, so the nearest."""
        for number, one in sorted(map(tuple, self._found.hits[:hits].tolist())):
            status = state_of(self.network, self._values(number)).status.value
            rule, step, sentence = self.network.forbidden[one].said(status)
            if (rule, step) not in self.breaches:
                self.breaches[rule, step] = Breach(rule, step, sentence, self._path(number))

    def look_for_livelock(self) -> None:
        """I4: from every state a run can still come to rest (AG EF rest), found backwards."""
        states, met = self.counts[:2]
        batch = self._met(np.arange(met))
        resting = np.zeros(met, np.bool_)
        rest = tuple(x for x in self.network.rest if x[0] < self.size)
        resting[batch.where(self.cores_packing.asked(rest))] = True
        rests = resting[self._core_numbers()]
        number = lost(rests, self._found.ends[:states], self._found.targets)
        if number >= 0:
            self.breaches.setdefault(("I4", ""), Breach("I4", "", LIVELOCK, self._path(number)))

    def _path(self, number: int) -> Path:
        run = [number]
        while run[-1]:
            run.append(int(self._found.parents[run[-1]]))
        return trace(self.network, [self._values(one) for one in reversed(run)])

    def _values(self, number: int) -> Values:
        limbs = self._found.nodes[number * self.limbs : (number + 1) * self.limbs]
        core = int(limbs[0]) >> _kernels.CORE_SHIFT
        codes = self._cores.codes[core * self.width : (core + 1) * self.width]
        return (*self.cores_packing.values(codes), *self.memory.values(limbs))

    # ------------------------------------------------------------------ what was seen

    def levels(self) -> Levels:
        """All states and moves that were found."""
        (states, met), found = self.counts[:2], self._found
        packing = Packing(self.network.fields)
        columns = np.zeros((packing.limbs, states), np.int64)
        codes = self._cores.codes.reshape(-1, self.width)[:met]
        numbers, nodes = self._core_numbers(), found.nodes.reshape(-1, self.limbs)[:states]
        for f, place in enumerate(packing.places):
            if f < self.size:
                one = self.cores_packing.places[f]
                column = (codes[:, one.limb] >> one.shift & one.mask)[numbers]
            else:
                one = self.memory.places[f - self.size]
                column = nodes[:, one.limb] >> one.shift & one.mask
            columns[place.limb] |= column << place.shift
        ends = found.ends[: self._looked_at]
        sources = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        targets = found.targets[: len(sources)]
        return Levels(self.network, packing, columns, found.parents[:states], sources, targets)

    def explored(self, *, complete: bool, interrupted: bool) -> Explored:
        """What was seen until now."""
        taken = {
            rows[number].row
            for rows, those in (
                (self.network.commands, self._rows_taken),
                (self.network.internal, self._inner_taken),
            )
            for number in np.flatnonzero(those)
        }
        return Explored(
            states=self.counts[0],
            transitions=self.counts[4],
            depth=self.depth,
            complete=complete,
            interrupted=interrupted,
            breaches=tuple(self.breaches.values()),
            taken=frozenset(taken - {-1}),
            reached=self._reached(),
            short_of=self.short_of,
            engine=f"explicit, by numba, in a {self._table} table",
        )

    @property
    def _table(self) -> str:
        return "dense" if len(self._dense.numbers) else "hash"

    def _reached(self) -> tuple[frozenset[int], ...]:
        batch = self._met(np.arange(self.counts[1]))
        fields = self.network.fields[: len(self.network.machine.automata)]
        return tuple(
            frozenset(code for x, code in enumerate(field.codes) if batch.present(v) >> x & 1)
            for v, field in enumerate(fields)
        )

    def _met(self, numbers: Any) -> Batch:
        """Cores, by their numbers: each is one that some state has."""
        codes = self._cores.codes.reshape(-1, self.width)[numbers]
        return Batch(self.cores_packing, np.ascontiguousarray(codes.T))

    def _core_numbers(self) -> npt.NDArray[np.int64]:
        firsts = self._found.nodes[: self.counts[0] * self.limbs : self.limbs]
        numbers: npt.NDArray[np.int64] = firsts >> _kernels.CORE_SHIFT
        return numbers


def _home(guard: Guard, sizes: Sequence[int]) -> tuple[int, Iterable[int]]:
    """Where a row is looked for; one that asks nothing, wherever the first field is."""
    return rarest(guard, sizes) if guard else (0, range(sizes[0]))


def _literals(packing: Packing, guard: Guard) -> list[tuple[int, ...]]:
    return [(*packing.places[one.field], one.bits) for one in packing.asked(guard)]


def _jagged(rows: Sequence[Sequence[tuple[int, ...]]], width: int) -> tuple[Ints, Ints]:
    """All rows, one after another, and where each begins."""
    return np.array([x for row in rows for x in row], np.int64).reshape(-1, width), _starts(rows)


def _starts(rows: Sequence[Sequence[object]]) -> Ints:
    return np.array([0, *accumulate(map(len, rows))], np.int64)


def _longer(array: Any, size: int) -> Any:
    more = np.empty(size, array.dtype)
    more[: len(array)] = array
    return more
