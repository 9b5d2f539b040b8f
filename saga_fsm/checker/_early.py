"""A livelock, told before all states are known: as soon as nothing unknown could change it."""

from __future__ import annotations

from collections.abc import Callable, Sequence


# How many states there are before it is looked for, and how many times as many until it is again.
_FIRST, _AGAIN = 512, 1.1


class Livelock:
    """
    The nearest state of a search, still going on, from which no run can come to rest.

    Args:
        resting: whether a state is a rest.
    """

    def __init__(self, resting: Callable[[int], bool]) -> None:
        self._resting = resting
        # Of each state whether it is known to come to rest; those that are not, nearest first.
        self._known = bytearray()
        self._left: list[int] = []
        self._asked = 0
        self._next = _FIRST

    def nearest(self, found: int, targets: Sequence[int], ends: Sequence[int]) -> int | None:
        """
        It, where what was looked at shows that it is that; now and then, for it takes time.

        Args:
            found: how many states were found; the first ``len(ends)`` of them were looked at.
            targets: the moves, as ``Graph`` has them.
            ends: as ``Graph`` has them.
        """
        if found < self._next:
            return None
        self._next = int(found * _AGAIN)
        self._learn(found, targets, ends)
        # All that are nearer come to rest. This one does not, if it leads to nothing unknown.
        return self._left[0] if self._left and self._closed(targets, ends) else None

    def _learn(self, found: int, targets: Sequence[int], ends: Sequence[int]) -> None:
        known = self._known
        known += bytes(found - len(known))
        for number in range(self._asked, len(ends)):
            if self._resting(number):
                known[number] = 1
            else:
                self._left.append(number)
        self._asked = len(ends)
        count = -1
        while count != len(self._left):
            count, lost = len(self._left), []
            for number in reversed(self._left):
                begin = ends[number - 1] if number else 0
                if any(known[target] for target in targets[begin : ends[number]]):
                    known[number] = 1
                else:
                    lost.append(number)
            self._left = lost[::-1]

    def _closed(self, targets: Sequence[int], ends: Sequence[int]) -> bool:
        """Whether nothing that was not looked at can be reached from the nearest."""
        seen, todo = {self._left[0]}, [self._left[0]]
        while todo:
            number = todo.pop()
            for target in targets[ends[number - 1] if number else 0 : ends[number]]:
                if target >= len(ends):
                    return False
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        return True
