"""
From a set that is broken back to the start: a run of single states.

Rings are the states at one distance. They grow fast where branches are many, so they are made only
as far as a budget goes; beyond it a run follows the order in which the search itself found things,
and is not proved to be a shortest one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from saga_fsm.checker._actions import Action, Actions
from saga_fsm.checker._bdd import Diagrams, Set
from saga_fsm.checker._settling import Settling
from saga_fsm.checker._traces import Breach, trace
from saga_fsm.path import Path
from saga_fsm.product import Values


Said: TypeAlias = tuple[str, str, str]
# Nodes of all rings, times operations on them: some seconds.
_BUDGET = 60_000_000
# How many states before one are tried, where a table is not confluent.
_TRIES = 20


class _Budget:
    """
    What may be spent, and what one operation costs: not exactly, for sizes are dear to ask.

    It does not know the rings: diagrams in a cycle would outlive the library that holds them.
    """

    def __init__(self, left: int) -> None:
        self.left = left
        self.each = 0

    def spend(self) -> None:
        """One operation."""
        self.left -= self.each


class Rings:
    """
    Runs to broken states.

    Args:
        diagrams: in which the states are written.
        actions: of the network.
        trail: the sets that a search finds, one command at a time, growing.
        budget: how far rings go.
    """

    def __init__(
        self,
        diagrams: Diagrams,
        actions: Actions,
        trail: Callable[[], Sequence[Set]],
        budget: int = _BUDGET,
    ) -> None:
        self.diagrams = diagrams
        self.network = diagrams.network
        self.actions = actions
        self.trail = trail
        self.budget = _Budget(budget)
        self.shortest = True
        self.all = [action for some in actions.by_path.values() for action in some]
        self.settling = Settling(diagrams, actions.internal, self.budget.spend)
        self.rings: list[Set] = [diagrams.point(self.network.initial)]
        self._seen = self.rings[0]

    def breaches(self, broken: Sequence[tuple[Said, Set]]) -> Iterator[Breach]:
        """One breach for each rule and step, the nearest of them; each as soon as it is found."""
        false = self.diagrams.false
        wanted: dict[tuple[str, str], list[tuple[str, Set]]] = {}
        for (rule, step, sentence), states in broken:
            wanted.setdefault((rule, step), []).append((sentence, states))
        number = 0
        while wanted:
            for key, parts in list(wanted.items()):
                for sentence, states in parts:
                    near = states & self.rings[number]
                    if near != false:
                        del wanted[key]
                        yield Breach(*key, sentence, self._path(self.rings[: number + 1], near))
                        break
            number += 1
            if wanted and not self._grow():
                break
        if wanted:
            self.shortest = False
            sets = self.trail()
            for key, parts in wanted.items():
                sentence, states = parts[0]
                end = self._first(sets, states)
                run = self._path(sets[: end + 1], states & sets[end])
                yield Breach(*key, sentence, run)

    def _first(self, sets: Sequence[Set], states: Set) -> int:
        """The first of these sets, which grow, that has some of the states."""

        def has(one: Set) -> bool:
            return bool(one & states != self.diagrams.false)

        return bisect_left(sets, x=True, key=has)

    def _grow(self) -> bool:
        """The next ring; False over the budget."""
        last = self.rings[-1]
        self.budget.each = self.diagrams.size(last)
        ring = self.diagrams.false
        for action in self.all:
            self.budget.spend()
            if self.budget.left < 0:
                return False
            ring |= self._after(last, action)
        ring &= ~self._seen
        self._seen |= ring
        self.rings.append(ring)
        return bool(ring != self.diagrams.false)

    def _after(self, states: Set, action: Action) -> Set:
        now = self.diagrams.image(states, action.guard, action.written, action.cube)
        if now == self.diagrams.false:
            return now
        return self.settling.settled(now, action.wakes, shared=True)

    def _path(self, sets: Sequence[Set], broken: Set) -> Path:
        """A run to one of these, of which the last set has some."""
        at = self.diagrams.pick(broken)
        run, end = [at], len(sets) - 1
        while at != self.network.initial:
            point = self.diagrams.point(at)
            end = next(i for i in range(end + 1) if sets[i] & point != self.diagrams.false)
            at = self._previous(sets[end - 1], at, point)
            run.append(at)
        return trace(self.network, run[::-1])

    def _previous(self, states: Set, at: Values, point: Set) -> Values:
        """One of the states from which one command leads here."""
        diagrams = self.diagrams
        for action in self.all:
            touched = self._touched(action)
            kept = tuple((f, x) for f, x in enumerate(at) if f not in touched)
            left = states & action.guard & diagrams.cube(kept)
            for _ in range(_TRIES):
                if self._after(left, action) & point == diagrams.false:
                    break
                one = self._narrowed(left, action, point, touched)
                values = diagrams.pick(one)
                if any(self.network.after(x, values) == at for x in self.network.commands):
                    return values
                left &= ~one
        raise LookupError(
            f"no state leads to {at}: the table's internal rows contradict each other"
        )

    def _narrowed(self, left: Set, action: Action, point: Set, touched: set[int]) -> Set:
        """One state that leads there, by halves."""
        diagrams = self.diagrams
        for f in touched:
            for bit in diagrams.bits[f]:
                half = left & diagrams.bdd.var(bit)
                if half == diagrams.false:
                    continue
                left = half if self._after(half, action) & point != diagrams.false else left & ~half
        return left

    def _touched(self, action: Action) -> set[int]:
        """The fields that an action, and what settles after it, may write."""
        bits, todo, seen = set(action.written), list(action.wakes), set(action.wakes)
        while todo:
            one = self.actions.internal[todo.pop()]
            bits |= set(one.written)
            for x in (*one.wakes, *one.rivals):
                if x not in seen:
                    seen.add(x)
                    todo.append(x)
        return {f for f, names in self.diagrams.bits.items() if bits & set(names)}
