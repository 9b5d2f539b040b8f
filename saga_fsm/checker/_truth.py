"""Where predicates hold: atoms asked of all states at once, functions of all that look the same."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import and_, or_
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from saga_fsm.checker._cores import Core, Cores, Node
from saga_fsm.checker._search import Graph
from saga_fsm.machine import Status
from saga_fsm.properties import Predicate, View
from saga_fsm.properties._atoms import Atom
from saga_fsm.properties._predicates import Cube, Either, Joined, Not, truth
from saga_fsm.properties._view import Terms


Flags: TypeAlias = npt.NDArray[np.bool_]
_DEPENDS = 2


class _Reader:
    """The values of one node, and which of the world's memory were asked for."""

    def __init__(self, cores: Cores) -> None:
        self.cores = cores
        self.node: Node = 0
        self.codes: Core = b""
        self.mask = 0
        self._masks = {f: (1 << cores.bits[f]) - 1 << cores.shift[f] for f in cores.memory}

    def at(self, node: Node) -> None:
        """Turn to another node; nothing has been asked for."""
        self.node, self.codes, self.mask = node, self.cores.codes[node >> self.cores.width], 0

    def __call__(self, f: int) -> int:
        if f < self.cores.size:
            return self.codes[f]
        self.mask |= self._masks[f]
        return self.cores.of(self.node, f)

    def status(self) -> Status:
        """What the run is; that is the core's alone."""
        return self.cores.state(self.node).status


class Truths:
    """
    What predicates say of the states of a graph.

    An atom is a guard, which is looked up for all states at once. A function sees a core, and of
    the world's memory what it asks for: it is called once for a core and these bits, not for each
    state.

    Args:
        graph: whose states.
        terms: the words for them.
        owner: the property that asks, for its errors.
    """

    def __init__(self, graph: Graph, terms: Terms) -> None:
        self.graph = graph
        self.terms = terms
        self.owner = ""
        self._reader = _Reader(graph.cores)
        self._view = View(terms, self._reader, self._reader.status)
        self._known: dict[int, tuple[Predicate, Flags]] = {}
        width, nodes = graph.cores.width, graph.nodes
        self._cores = np.fromiter((node >> width for node in nodes), np.int64, len(nodes))
        self._distinct, self._first = np.unique(self._cores, return_index=True)
        self._columns: dict[int, npt.NDArray[np.int64]] = {}

    def of(self, predicate: Predicate) -> Flags:
        """
        Whether it holds, state by state.

        Raises:
            ValueError: it raises in some state.
            TypeError: it answers something that is neither True nor False.
        """
        known = self._known.get(id(predicate))
        if known is None:
            known = self._known[id(predicate)] = predicate, self._all(predicate)
        return known[1]

    def _all(self, predicate: Predicate) -> Flags:
        if all(isinstance(leaf, Atom) for leaf in predicate.leaves()):
            return self._at_once(predicate)
        return self._called(predicate)

    def _at_once(self, predicate: Predicate) -> Flags:
        """What is made of atoms alone: nobody minds in which order they are asked."""
        if isinstance(predicate, Not):
            return ~self._at_once(predicate.part)
        if isinstance(predicate, Joined):
            join = or_ if isinstance(predicate, Either) else and_
            return reduce(join, map(self._at_once, predicate.parts))
        assert isinstance(predicate, Atom)  # noqa: S101 - there is nothing else
        found = np.zeros(len(self.graph.nodes), np.bool_)
        for cube in predicate.cubes(self.terms):
            found |= reduce(and_, self._literals(cube), ~np.zeros(len(found), np.bool_))
        return found

    def _literals(self, cube: Cube) -> Iterator[Flags]:
        for f, allowed in cube.items():
            every = len(self.terms.network.fields[f].values)
            table = np.array([x in allowed for x in range(every)], np.bool_)
            yield table[self._column(f)]

    def _column(self, f: int) -> npt.NDArray[np.int64]:
        """The value of a field, state by state."""
        known = self._columns.get(f)
        if known is None:
            cores, count = self.graph.cores, len(self.graph.nodes)
            if f < cores.size:
                known = np.array([codes[f] for codes in cores.codes], np.int64)[self._cores]
            else:
                values = (cores.of(node, f) for node in self.graph.nodes)
                known = np.fromiter(values, np.int64, count)
            self._columns[f] = known
        return known

    def _called(self, predicate: Predicate) -> Flags:
        nodes, reader = self.graph.nodes, self._reader
        by_core = np.zeros(len(self.graph.cores.codes), np.int8)
        masks: dict[int, int] = {}
        for core, number in zip(self._distinct.tolist(), self._first.tolist(), strict=True):
            by_core[core] = self.one(predicate, number)
            if reader.mask:
                by_core[core], masks[core] = _DEPENDS, reader.mask
        answers = by_core[self._cores]
        known: dict[tuple[int, int], bool] = {}
        for number in np.flatnonzero(answers == _DEPENDS).tolist():
            node = nodes[number]
            core = node >> self.graph.cores.width
            key = core, node & masks[core]
            answer = known.get(key)
            if answer is None:
                answer = self.one(predicate, number)
                if reader.mask & ~masks[core]:
                    # It looks at more than it did before: from here on that tells states apart.
                    masks[core] |= reader.mask
                    key = core, node & masks[core]
                known[key] = answer
            answers[number] = answer
        return answers.astype(np.bool_)

    def one(self, predicate: Predicate, number: int) -> bool:
        """Whether it holds in one state."""
        self._reader.at(self.graph.nodes[number])
        try:
            return truth(predicate, self._view)
        except TypeError as error:
            raise TypeError(self._told(predicate, number, error)) from error
        except Exception as error:
            raise ValueError(self._told(predicate, number, error)) from error

    def _told(self, predicate: Predicate, number: int, error: Exception) -> str:
        graph = self.graph
        told = "; ".join(map(str.strip, str(error).splitlines())) or type(error).__name__
        return (
            f"property '{self.owner}': '{predicate}' fails in state {graph.state(number)}: "
            f"{type(error).__name__}: {told}\n"
            f"  It has to answer True or False there; that state's run: "
            f"{graph.path(number).encode()}"
        )
