"""Which rows an event or a local state may enable, so that a step tries few of many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from saga_fsm.machine._alphabet import Event
    from saga_fsm.machine._table import Row

_NONE: tuple[Row, ...] = ()


class Index:
    """
    The rows of a machine, by automaton; those of one automaton are sorted when first asked for.

    A large machine is made for a run that passes through a small part of it; and one list per event
    and local state would be half of all that a machine is made of.

    Args:
        rows: of the machine.
        automata: how many there are.
    """

    def __init__(self, rows: Iterable[Row], automata: int) -> None:
        inputs: list[list[Row]] = [[] for _ in range(automata)]
        asking: list[list[Row]] = [[] for _ in range(automata)]
        # In the order of the alphabet.
        where: dict[str, int] = {}
        events: list[Event] = []
        for row in rows:
            if row.event is None:
                for v, _ in row.guard:
                    asking[v].append(row)
            else:
                inputs[row.automaton].append(row)
                if row.event not in where:
                    where[row.event] = row.automaton
                    events.append(row.event)
        self.events = tuple(events)
        self._inputs = inputs
        self._asking = asking
        self._where = where
        self._by_event: dict[str, Sequence[Row]] = {}
        self._by_code: dict[int, Mapping[int, Sequence[Row]]] = {}

    def __contains__(self, event: str) -> bool:
        """Whether any row is one of this event."""
        return event in self._where

    def of(self, event: str) -> Sequence[Row]:
        """The input rows of an event; none when it is not in the alphabet."""
        known = self._by_event.get(event)
        if known is None:
            v = self._where.get(event)
            if v is None:
                return _NONE
            known = tuple(row for row in self._inputs[v] if row.event == event)
            self._by_event[event] = known
        return known

    def watching(self, v: int, code: int) -> Sequence[Row]:
        """The internal rows that ask for this local state of automaton ``v``."""
        known = self._by_code.get(v)
        if known is None:
            by_code: dict[int, list[Row]] = {}
            for row in self._asking[v]:
                for w, allowed in row.guard:
                    if w == v:
                        for one in allowed:
                            by_code.setdefault(one, []).append(row)
            known = self._by_code[v] = by_code
        return known.get(code, _NONE)
