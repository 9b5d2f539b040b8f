"""Searches over a whole graph at once: arrays of states, and the moves between them both ways."""

from __future__ import annotations

from functools import cached_property
from typing import TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from saga_fsm.checker._search import Graph
from saga_fsm.checker._truth import Flags


Ints: TypeAlias = npt.NDArray[np.int64]


@attrs.frozen(eq=False)
class Arrows:
    """
    Moves by where they begin: those of state ``i`` are ``ends[begins[i]:begins[i + 1]]``.

    Args:
        begins: one more than there are states.
        ends: where they lead.
    """

    begins: Ints
    ends: Ints

    @classmethod
    def sorted(cls, size: int, sources: Ints, ends: Ints) -> Arrows:
        """From pairs in any order."""
        begins = np.zeros(size + 1, np.int64)
        np.cumsum(np.bincount(sources, minlength=size), out=begins[1:])
        return cls(begins, ends[np.argsort(sources, kind="stable")])

    @property
    def sources(self) -> Ints:
        """Where each begins, beside ``ends``."""
        return np.repeat(np.arange(len(self.begins) - 1), np.diff(self.begins))

    @cached_property
    def back(self) -> Arrows:
        """The same moves by where they end."""
        return Arrows.sorted(len(self.begins) - 1, self.ends, self.sources)

    def of(self, states: Ints) -> Ints:
        """The ends of all moves of these states, with repetitions."""
        counts = self.begins[states + 1] - self.begins[states]
        total = int(counts.sum())
        skipped = np.repeat(np.cumsum(counts) - counts, counts)
        places: Ints = np.repeat(self.begins[states], counts) + np.arange(total) - skipped
        return self.ends[places]

    def after(self, state: int) -> Ints:
        """Where the moves of one state lead."""
        return self.ends[self.begins[state] : self.begins[state + 1]]


def arrows_of(graph: Graph) -> Arrows:
    """The moves of a graph; a state that was not looked at has none."""
    size, looked = len(graph.nodes), len(graph.ends)
    begins = np.zeros(size + 1, np.int64)
    begins[1 : looked + 1] = np.asarray(graph.ends)
    begins[looked + 1 :] = begins[looked]
    # What an interrupt cut off in the middle of a state does not count.
    found = np.asarray(graph.targets)[: begins[-1]]
    return Arrows(begins, found.astype(np.int64))


def depths(graph: Graph) -> Ints:
    """How far each state is from the start: they were found nearest first."""
    parents = np.asarray(graph.parents)
    found = np.zeros(len(parents), np.int64)
    begin, end, depth = 0, 1, 0
    while end < len(parents):
        # Those found from the level before: they stand before all that were found from this one.
        begin, end = end, int(np.searchsorted(parents[1:], end)) + 1
        depth += 1
        found[begin:end] = depth
    return found


def distances(arrows: Arrows, goal: Flags, within: Flags | None = None) -> Ints:
    """
    How many moves to the nearest goal, -1 if there is no way.

    ``within``: states that the way may lead through, the goal itself aside.
    """
    found = np.full(len(goal), -1, np.int64)
    found[goal] = 0
    frontier = np.flatnonzero(goal)
    distance = 0
    while len(frontier):
        distance += 1
        before = arrows.back.of(frontier)
        before = before[found[before] < 0]
        if within is not None:
            before = before[within[before]]
        frontier = np.unique(before)
        found[frontier] = distance
    return found


def descent(arrows: Arrows, distance: Ints, state: int) -> list[int]:
    """The states from this one to the nearest goal, itself the first."""
    run = [state]
    while distance[run[-1]] > 0:
        after = arrows.after(run[-1])
        nearer = after[distance[after] == distance[run[-1]] - 1]
        run.append(int(nearer.min()))
    return run


def stay(region: Flags, others: Arrows, adversary: Arrows) -> Flags:
    """
    Where the adversary can keep a run inside a region for ever, whatever the others do.

    The largest part of it where in each state either one of his moves, or each of the others',
    leads to the part again; or the others have none, and he does nothing.
    """
    alive = region.copy()
    escapes = np.bincount(others.sources[~alive[others.ends]], minlength=len(alive)) > 0
    chances = np.bincount(adversary.sources[alive[adversary.ends]], minlength=len(alive))
    dead = np.flatnonzero(alive & escapes & (chances == 0))
    while len(dead):
        alive[dead] = False
        through, chosen = others.back.of(dead), adversary.back.of(dead)
        escapes[through] = True
        np.subtract.at(chances, chosen, 1)
        touched = np.unique(np.concatenate([through, chosen]))
        dead = touched[alive[touched] & escapes[touched] & (chances[touched] == 0)]
    return alive
