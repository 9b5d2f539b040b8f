"""What settles after a command, for a whole set of states at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from saga_fsm.checker._actions import Action
from saga_fsm.checker._bdd import Diagrams, Set


class Settling:
    """
    Internal actions, until none is enabled; and which rows were taken.

    Args:
        diagrams: in which the states are written.
        internal: the internal actions.
        tick: called before each application.
    """

    def __init__(
        self, diagrams: Diagrams, internal: Sequence[Action], tick: Callable[[], None]
    ) -> None:
        self.diagrams = diagrams
        self.internal = internal
        self.tick = tick
        self.taken: set[int] = set()
        self._untaken: dict[int, list[tuple[int, Set]]] = {}
        # States in which an internal command that writes what all share is enabled: they wait.
        self.waiting: Set = diagrams.false
        self._calls: Set = diagrams.false
        for action in internal:
            if action.shared:
                self._calls |= action.guard

    def note(self, action: Action, states: Set) -> None:
        """The rows of an action that these states take."""
        key = id(action)
        left = self._untaken.get(key)
        if left is None:
            left = [one for one in action.rows if one[0] >= 0]
        if left:
            now = [row for row, guard in left if states & guard != self.diagrams.false]
            self.taken.update(now)
            left = [one for one in left if one[0] not in self.taken]
        self._untaken[key] = left

    def settled(self, states: Set, wakes: Iterable[int], *, shared: bool) -> Set:
        """The states when none is enabled; without ``shared``, none of those of one part."""
        internal, false = self.internal, self.diagrams.false
        todo = [x for x in wakes if shared or not internal[x].shared]
        due = set(todo)
        while todo:
            number = todo.pop()
            due.discard(number)
            states, moved, woken = self.moved(states, internal[number])
            if moved == false:
                continue
            for x in woken:
                if x not in due and (shared or not internal[x].shared):
                    todo.append(x)
                    due.add(x)
        return states

    def quiet(self, states: Set, wakes: Iterable[int]) -> Set:
        """What is quiet when each part has settled; what all parts will hear waits for them."""
        states = self.settled(states, wakes, shared=False)
        calling = states & self._calls
        if calling == self.diagrams.false:
            return states
        self.waiting |= calling
        return states & ~calling

    def heard(self) -> Iterator[Set]:
        """What all parts hear, until nothing waits: the quiet states that come of it."""
        false = self.diagrams.false
        while self.waiting != false:
            for action in self.internal:
                if not action.shared:
                    continue
                here = self.waiting & action.guard
                if here == false:
                    continue
                self.waiting &= ~here
                _, moved, woken = self.moved(here, action)
                yield self.quiet(moved, woken)

    def moved(self, states: Set, action: Action) -> tuple[Set, Set, list[int]]:
        """The states after one of them, and of its rivals where they are enabled beside it."""
        self.tick()
        diagrams = self.diagrams
        moved = diagrams.image(states, action.guard, action.written, action.cube)
        if moved == diagrams.false:
            return states, moved, []
        self.note(action, states)
        woken = list(action.wakes)
        if action.rivals and states & action.clash != diagrams.false:
            here = states & action.guard
            for number in action.rivals:
                rival = self.internal[number]
                other = diagrams.image(here, rival.guard, rival.written, rival.cube)
                if other != diagrams.false:
                    self.note(rival, here)
                    moved |= other
                    woken += rival.wakes
        return (states & ~action.guard) | moved, moved, woken
