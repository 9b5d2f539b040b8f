"""The explicit engine with its inner loops compiled by numba, where the extra ``fast`` is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._cores import rarest
from saga_fsm.checker._explicit import Exploring
from saga_fsm.checker._kernels import Tables, expand, fill
from saga_fsm.checker._packed import Batch, Limbs, Packing
from saga_fsm.checker._search import Explored, finished
from saga_fsm.ports import Progress
from saga_fsm.product import Command, Guard, Network


# A literal has one bit for each value that it allows.
_WIDEST = 62
_FREE = -1


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
    return finished(_Compiled(network, bounds, progress))


class _Store:
    """States by number, the table that finds them, and who found them."""

    def __init__(self, limbs: int) -> None:
        self.size = 1
        self.rows = np.zeros((1 << 12, limbs), np.int64)
        self.table: npt.NDArray[np.int32] = np.full(1 << 13, _FREE, np.int32)
        self.parents = np.zeros(1 << 12, np.int32)
        fill(self.rows, 1, self.table)

    @property
    def states(self) -> Limbs:
        """All states, one a column."""
        return self.rows[: self.size].T

    @property
    def bytes(self) -> int:
        """What it takes."""
        return self.rows.nbytes + self.table.nbytes + self.parents.nbytes

    def grow(self, room: int) -> None:
        """Make room for so many more."""
        needed = self.size + room
        if needed > len(self.rows):
            size = max(needed, 2 * len(self.rows))
            self.rows = np.resize(self.rows[: self.size], (size, self.rows.shape[1]))
            self.parents = np.resize(self.parents[: self.size], size)
        if 2 * needed > len(self.table):
            self.table = np.full(1 << (4 * needed - 1).bit_length(), _FREE, np.int32)
            fill(self.rows, self.size, self.table)


class _Compiled(Exploring):
    name = "explicit, by numba"

    def __init__(self, network: Network, bounds: Bounds, progress: Progress | None) -> None:
        super().__init__(network, bounds, progress)
        self.store = _Store(self.packing.limbs)
        self.numbering = self.store
        watched = {f for row in network.internal for f, _ in row.guard}
        self._rows = _tables(self.packing, network.commands, watched, homes=True)
        self._inner = _tables(self.packing, network.internal, watched, homes=False)
        self._rows_taken = np.zeros(len(network.commands), np.bool_)
        self._inner_taken = np.zeros(len(network.internal), np.bool_)
        self._edges = np.empty((1 << 20, 2), np.int32)

    def _expand(self, begin: int, end: int) -> None:
        states = self.store.states[:, begin:end].copy()
        self.parents = [self.store.parents]
        self._look(Batch(self.packing, states), begin)
        # One more than there are commands: as much as the loop asks for.
        room = len(self.network.commands) + 1
        while begin < end:
            self.store.grow(max(room, 2 * (end - begin)))
            store = self.store
            store.size, begin, moves, written = expand(
                store.rows,
                store.size,
                begin,
                end,
                store.table,
                store.parents,
                self._edges,
                self._rows,
                self._inner,
                self._rows_taken,
                self._inner_taken,
            )
            self.transitions += moves
            edges = self._edges[:written]
            self.edges.append((edges[:, 0].copy(), edges[:, 1].copy()))

    def explored(self, *, complete: bool, interrupted: bool) -> Explored:
        """What was seen until now."""
        for rows, taken in (
            (self.network.commands, self._rows_taken),
            (self.network.internal, self._inner_taken),
        ):
            self.taken.update(rows[number].row for number in np.flatnonzero(taken))
        return super().explored(complete=complete, interrupted=interrupted)


def _tables(packing: Packing, rows: Sequence[Command], watched: set[int], *, homes: bool) -> Tables:
    """Rows as arrays; ``homes``: each is a candidate at one field only, else at all it asks."""
    network = packing.network
    sizes = [len(field.values) for field in network.fields]
    at: list[list[list[int]]] = [[[] for _ in range(size)] for size in sizes]
    for number, row in enumerate(rows):
        for f, allowed in [_home(row.guard, sizes)] if homes else row.guard:
            for value in sorted(allowed):
                at[f][value].append(number)
    # Fields that no row is at home at need not be looked at.
    used = [f for f in range(len(sizes)) if not homes or any(at[f])]
    literals = [
        [(*packing.places[f], sum(1 << x for x in allowed)) for f, allowed in row.guard]
        for row in rows
    ]
    changes = [packing.change(row.update) for row in rows]
    written = [sorted({f for f, _ in row.update} & watched) for row in rows]
    candidates = [numbers for f in used for numbers in at[f]]
    return Tables(
        literals=_array(literals, 4),
        literal_starts=_starts(literals),
        changes=_array(changes, 3),
        change_starts=_starts(changes),
        places=np.array([packing.places[f] for f in used], np.int64).reshape(-1, 3),
        candidates=np.array([x for one in candidates for x in one], np.int64),
        candidate_starts=_starts(candidates),
        value_starts=np.array([0, *accumulate(sizes[f] for f in used)], np.int64),
        written=np.array([x for one in written for x in one], np.int64),
        written_starts=_starts(written),
    )


def _home(guard: Guard, sizes: Sequence[int]) -> tuple[int, Iterable[int]]:
    """Where a row is looked for; one that asks nothing, wherever the first field is."""
    return rarest(guard, sizes) if guard else (0, range(sizes[0]))


def _array(rows: Sequence[Sequence[tuple[int, ...]]], width: int) -> npt.NDArray[np.int64]:
    return np.array([x for row in rows for x in row], np.int64).reshape(-1, width)


def _starts(rows: Sequence[Sequence[object]]) -> npt.NDArray[np.int64]:
    return np.array([0, *accumulate(map(len, rows))], np.int64)
