"""
The graph of all states and moves, as the search has found it: what properties are asked of.

A search that looks at every state has found every move too. Where it is kept, nothing is explored a
second time for properties that remember nothing.
"""

from __future__ import annotations

from array import array
from importlib.util import find_spec
from typing import Final, Protocol

import attrs
import numpy as np
import numpy.typing as npt

from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._cores import Cores
from saga_fsm.checker._explicit import Exploring, Levels
from saga_fsm.checker._packed import Limbs
from saga_fsm.checker._search import (
    Exploration,
    Explored,
    Graph,
    _Search,  # pyright: ignore[reportPrivateUsage] - what it explores is kept here
    finished,
)
from saga_fsm.ports import Progress
from saga_fsm.product import Network


# More states than this are explored faster whole levels at a time.
_SCOUTED = 20_000
# Cut short by these there is no more to be had; by anything else a search of its own goes on.
_BOUNDED: Final = frozenset({"states", "memory"})
# Fields that begin within so many bits are put together in one machine word: the last has room.
_WORD = 32


class Keeping:
    """Searches of all states whose last one is kept with its graph."""

    def __init__(self) -> None:
        self._found: Explored | None = None
        self._exploring: _Search | _ByLevels | None = None

    def scout(self, network: Network, bounds: Bounds, progress: Progress | None) -> Explored:
        """State by state, as the scout does."""
        exploring = _Search(
            Cores(network), bounds.limit, bounds.memory, first_only=False, progress=progress
        )
        return self._keep(exploring)

    def explicit(self, network: Network, bounds: Bounds, progress: Progress | None) -> Explored:
        """Whole levels at once, or by compiled loops."""
        return self._keep(_by_levels(network, bounds, progress))

    def _keep(self, exploring: _Search | _ByLevels) -> Explored:
        # The one before may be large, and is not asked for again.
        self._exploring = None
        self._found = finished(exploring)
        self._exploring = exploring
        return self._found

    def graph(self, explored: Explored) -> Graph | None:
        """The graph of this search; None if it is not the one that was kept, or ended too soon."""
        exploring, found = self._exploring, self._found
        if exploring is None or found is None:
            return None
        if (explored.engine, explored.states) != (found.engine, found.states):
            return None
        if not (explored.complete or explored.short_of in _BOUNDED):
            return None
        if isinstance(exploring, _Search):
            return exploring.graph(complete=explored.complete)
        return _of_levels(exploring.levels(), complete=explored.complete)


def graph_within(network: Network, bounds: Bounds, progress: Progress | None = None) -> Graph:
    """
    Every state and every move, whatever is broken there; whole levels at once where there are many.

    Args:
        network: machine and environment.
        bounds: how far; what is found beyond is not in it, and it is not complete.
        progress: is told how far the search is, now and then.
    """
    blind = attrs.evolve(network, forbidden=())
    near = min(bounds.limit, _SCOUTED)
    scouting = _Search(Cores(blind), near, bounds.memory, first_only=False, progress=progress)
    complete = scouting.run()
    if complete or near == bounds.limit or scouting.short_of == "memory":
        return scouting.graph(complete=complete)
    exploring = _by_levels(blind, bounds, progress)
    complete = exploring.run()
    return _of_levels(exploring.levels(), complete=complete)


class _ByLevels(Exploration, Protocol):
    def levels(self) -> Levels:
        """All states and moves that were found."""
        ...


def _by_levels(network: Network, bounds: Bounds, progress: Progress | None) -> _ByLevels:
    """By compiled loops, where numba is there, or else in NumPy."""
    if find_spec("numba") is not None:
        from saga_fsm.checker import _compiled

        if _compiled.suits(network):
            return _compiled.Compiled(network, bounds, progress)
    return Exploring(network, bounds, progress)


def _of_levels(found: Levels, *, complete: bool) -> Graph:
    """What a search of whole levels has found, as nodes and moves."""
    size = found.states.shape[1]
    cores = Cores(found.network)
    nodes = _nodes(found, cores)
    sources, targets = found.sources, found.targets
    # Of a search that was cut short, the states up to the last with a move were looked at.
    looked = size if complete else int(sources.max(initial=-1)) + 1
    moves = sources.astype(np.int64) * size + targets
    # One that changes nothing is none, and several with one end are one.
    moves = np.sort(moves[sources != targets])
    moves = moves[np.diff(moves, prepend=-1) > 0]
    ends = np.cumsum(np.bincount(moves // size, minlength=looked))
    return Graph(
        cores, nodes, _unsigned(found.parents), _unsigned(moves % size), _unsigned(ends), complete
    )


def _nodes(levels: Levels, cores: Cores) -> list[int]:
    """Each state as the number of its core and the bits of the world's memory."""
    packing, states = levels.packing, levels.states
    in_core = [0] * packing.limbs
    for place in packing.places[: cores.size]:
        in_core[place.limb] |= place.mask << place.shift
    alone = states & np.array(in_core, np.int64)[:, None]
    first, of_state = _distinct(alone)
    kinds = alone[:, first]
    fields = np.stack([kinds[place.limb] >> place.shift & place.mask for place in packing.places])
    numbers = [cores.node(values) for values in fields.T.tolist()]
    words: dict[int, npt.NDArray[np.int64]] = {}
    for f in cores.memory:
        place, base = packing.places[f], cores.shift[f] // _WORD * _WORD
        word = words.setdefault(base, np.zeros(len(of_state), np.int64))
        word |= (states[place.limb] >> place.shift & place.mask) << cores.shift[f] - base
    # As many bits as there are: what is wider than a machine word is a Python int.
    nodes = np.array(numbers, object)[of_state]
    for base, word in words.items():
        nodes += word.astype(object) << base
    found: list[int] = nodes.tolist()
    return found


def _distinct(columns: Limbs) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The first of each kind of column, and the kind of each."""
    kinds = np.zeros(columns.shape[1], np.int64)
    first = np.zeros(1, np.int64)
    for limb in columns:
        values, there = np.unique(limb, return_inverse=True)
        _, first, kinds = np.unique(
            kinds * len(values) + there, return_index=True, return_inverse=True
        )
    return first, kinds


def _unsigned(numbers: npt.NDArray[np.integer]) -> array[int]:
    """As a plain search has them: its numbers are Python's own when they are read."""
    found = array("I")
    found.frombytes(numbers.astype(np.dtype(found.typecode)).tobytes())
    return found
