"""The moves of a graph in two heaps: the adversary's, and everyone else's."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import attrs
import numpy as np

from saga_fsm.checker._cores import Cores, Option
from saga_fsm.checker._reach import Arrows
from saga_fsm.checker._search import Graph
from saga_fsm.product import Network
from saga_fsm.properties._view import Occasion


@attrs.frozen(eq=False)
class Sides:
    """
    Who makes which moves.

    A move that both can make is in both heaps; one of the adversary's that changes nothing counts.

    Args:
        others: moves that are fair.
        adversary: moves that need not be.
        enabled: numbers of the adversary's commands that are enabled in some state.
    """

    others: Arrows
    adversary: Arrows
    enabled: frozenset[int] = frozenset()


def one_side(arrows: Arrows) -> Sides:
    """Nobody is the adversary."""
    nothing = np.zeros(0, np.int64)
    return Sides(arrows, Arrows(np.zeros(len(arrows.begins), np.int64), nothing))


def commands_of(network: Network, occasions: Iterable[Occasion]) -> frozenset[int]:
    """The numbers of the commands that are meant."""
    meant = list(occasions)
    commands = enumerate(network.commands)
    return frozenset(number for number, one in commands if any(x.meets(one.token) for x in meant))


def sides_of(graph: Graph, arrows: Arrows, adversarial: frozenset[int]) -> Sides:
    """Tell the moves apart, of every state that was looked at."""
    numbers = {node: number for number, node in enumerate(graph.nodes)}
    known, width = _Known(graph.cores, adversarial), graph.cores.width
    begins, ends = array("q", [0]), array("q")
    # Of those, which nobody else makes.
    alone = array("b")
    for node in graph.nodes[: len(graph.ends)]:
        mask, table = known[node >> width]
        for delta, only in table[node & mask]:
            ends.append(numbers[node + delta])
            alone.append(only)
        begins.append(len(ends))
    size = len(graph.nodes)
    adversary = _arrows(begins, ends, size)
    left_out = np.frombuffer(alone, np.bool_) if alone else np.zeros(0, np.bool_)
    taken = (adversary.sources * size + adversary.ends)[left_out]
    sources = arrows.sources
    kept = ~np.isin(sources * size + arrows.ends, taken)
    others = Arrows.sorted(size, sources[kept], arrows.ends[kept])
    return Sides(others, adversary, frozenset(known.enabled))


def _arrows(begins: array[int], ends: array[int], size: int) -> Arrows:
    found = np.full(size + 1, len(ends), np.int64)
    found[: len(begins)] = np.frombuffer(begins, np.int64)
    return Arrows(found, np.frombuffer(ends, np.int64) if ends else np.zeros(0, np.int64))


class _Known(dict[int, tuple[int, "_Table"]]):
    """Per core: the bits of memory that the adversary's moves hang on, and by these the moves."""

    def __init__(self, cores: Cores, adversarial: frozenset[int]) -> None:
        super().__init__()
        self.cores, self.adversarial = cores, adversarial
        self.enabled: set[int] = set()
        self._nothing = 0, _Table(self, 0, [])

    def __missing__(self, core: int) -> tuple[int, _Table]:
        cores, options = self.cores, self.cores.options(core)
        his = [option for option in options if option.command in self.adversarial]
        found = self._nothing
        if his:
            # Others may make the same move only where they come to the same core.
            ends = {cores.target(core, option.command) for option in his}
            alike = [x for x in options if cores.target(core, x.command) in ends]
            touched = {f for option in alike for f, _ in (*option.asks, *option.update)}
            mask = sum((1 << cores.bits[f]) - 1 << cores.shift[f] for f in touched)
            found = mask, _Table(self, core, alike)
        self[core] = found
        return found


class _Table(dict[int, tuple[tuple[int, bool], ...]]):
    """The adversary's moves in one core by bits of memory; whether he alone makes them."""

    def __init__(self, known: _Known, core: int, options: list[Option]) -> None:
        super().__init__()
        self.known, self.core, self.options = known, core, options

    def __missing__(self, bits: int) -> tuple[tuple[int, bool], ...]:
        cores, his = self.known.cores, self.known.adversarial
        alone: dict[int, bool] = {}
        others: set[int] = set()
        for option in self.options:
            if any(cores.of(bits, f) not in allowed for f, allowed in option.asks):
                continue
            # What it adds to a node.
            delta = (cores.target(self.core, option.command) - self.core) << cores.width
            for f, x in option.update:
                delta += (x - cores.of(bits, f)) << cores.shift[f]
            if option.command in his:
                self.known.enabled.add(option.command)
                alone[delta] = True
            else:
                others.add(delta)
        found = self[bits] = tuple((delta, delta not in others) for delta in alone)
        return found
