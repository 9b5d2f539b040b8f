"""Which rows of the table a run has taken: the measure of a failure test."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from saga_fsm.machine import Codes, Machine, Row


class RowCoverage:
    """
    The rows that were taken, by number, over many runs of one machine.

    Args:
        machine: whose table is meant.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.taken: set[int] = set()
        self._inputs: dict[str, list[int]] = {}
        # Per automaton and code: the internal rows that a write of it may have enabled.
        self._internal: dict[tuple[int, int], list[int]] = {}
        for number, row in enumerate(machine.rows):
            if row.event is not None:
                self._inputs.setdefault(row.event, []).append(number)
                continue
            for v, allowed in row.guard:
                for code in allowed:
                    self._internal.setdefault((v, code), []).append(number)
        self._known: set[tuple[Codes, str]] = set()

    def add(self, events: Iterable[str]) -> None:
        """Take a run's events from the start, and count the rows that they take."""
        state = self.machine.initial
        for event in events:
            move = self.machine.step(state, event)
            if (state.codes, event) not in self._known:
                self._known.add((state.codes, event))
                if move.ignored is None:
                    self._take(state.codes, event)
            state = move.state

    def _take(self, codes: Codes, event: str) -> None:
        rows, now = self.machine.rows, list(codes)
        (number,) = (n for n in self._inputs[event] if _enabled(rows[n], now))
        todo = deque([number])
        while todo:
            number = todo.popleft()
            if not _enabled(rows[number], now):
                continue
            self.taken.add(number)
            for v, code in rows[number].update:
                now[v] = code
                todo.extend(self._internal.get((v, code), ()))

    @property
    def share(self) -> float:
        """The share of the table that was taken, from 0 to 1."""
        return len(self.taken) / len(self.machine.rows)

    @property
    def missed(self) -> tuple[Row, ...]:
        """The rows that were not."""
        return tuple(
            row for number, row in enumerate(self.machine.rows) if number not in self.taken
        )


def _enabled(row: Row, codes: list[int]) -> bool:
    return all(codes[v] in allowed for v, allowed in row.guard)
