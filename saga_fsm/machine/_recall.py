"""
What a machine has decided before, by what the decision read.

A decision reads few local states: of its event's guards, and of the internal rows that come within
reach. Wherever these are the same, so is the answer, whatever the rest of the state is. So each
event keeps the automata that its decisions have read so far, and under their local states what was
decided. A decision that reads one more automaton makes the others of its event be forgotten: what
was kept did not say what that one was.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any, NamedTuple

from saga_fsm.machine._alphabet import Effect
from saga_fsm.machine._table import Codes, Update


# A decision that reads more than this is seldom met again in other company.
_MOST_READ = 48


class Decision(NamedTuple):
    """
    What an event does, wherever its decision reads the same.

    Args:
        changes: the local states that are new, by automaton.
        effects: what is owed anew, and the timers that are not.
        may_rest: whether the run may rest then: the status has to be looked at.
    """

    changes: tuple[Update, ...]
    effects: tuple[Effect, ...]
    may_rest: bool


class Recall:
    """
    Decisions by event, within a limit.

    Args:
        limit: how many; the next one makes a new start.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._events: dict[str, tuple[frozenset[int], Any, dict[Any, Decision]]] = {}

    def find(self, codes: Codes, event: str) -> Decision | None:
        """What was decided where all that was read then is the same now."""
        known = self._events.get(event)
        return None if known is None else known[2].get(known[1](codes))

    def keep(self, codes: Codes, event: str, read: Iterable[int], decision: Decision) -> None:
        """Remember a decision that has read these automata."""
        known = self._events.get(event)
        reads = frozenset(read) if known is None else known[0].union(read)
        if len(reads) > _MOST_READ:
            return
        if self._size >= self._limit:
            self._events.clear()
            self._size, known = 0, None
        if known is None or len(reads) > len(known[0]):
            # In ascending order: the same machine makes the same keys.
            known = self._events[event] = (reads, itemgetter(*sorted(reads)), {})
        known[2][known[1](codes)] = decision
        self._size += 1
