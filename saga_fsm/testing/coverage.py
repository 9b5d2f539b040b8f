"""Which rows of the table a run has taken: the measure of a failure test."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from saga_fsm.checker import check
from saga_fsm.definition import Saga
from saga_fsm.definition.layout import ROOT, lay_out
from saga_fsm.machine import Codes, Machine, Row


# States of machine and participants: some seconds at most, and most sagas have far fewer.
_SEARCHED = 1_000_000
_NO_DEADLINE = "the saga has no deadline"


class RowCoverage:
    """
    The rows that were taken, by number, over many runs of one machine.

    Args:
        machine: whose table is meant.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        #: How many runs have taken each row.
        self.taken: Counter[int] = Counter()
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
        self._known: dict[tuple[Codes, str], frozenset[int]] = {}

    def add(self, events: Iterable[str]) -> None:
        """Take a run's events from the start, and count the rows that they take."""
        state = self.machine.initial
        taken: set[int] = set()
        for event in events:
            move = self.machine.step(state, event)
            rows = self._known.get((state.codes, event))
            if rows is None:
                rows = frozenset() if move.ignored else self._rows(state.codes, event)
                self._known[state.codes, event] = rows
            taken |= rows
            state = move.state
        self.taken.update(taken)

    def _rows(self, codes: Codes, event: str) -> frozenset[int]:
        rows, now = self.machine.rows, list(codes)
        (number,) = (n for n in self._inputs[event] if _enabled(rows[n], now))
        todo, taken = deque([number]), set[int]()
        while todo:
            number = todo.popleft()
            if not _enabled(rows[number], now):
                continue
            taken.add(number)
            for v, code in rows[number].update:
                now[v] = code
                todo.extend(self._internal.get((v, code), ()))
        return frozenset(taken)

    def missed(self) -> list[str]:
        """The rows that were not taken, as the table writes them."""
        return [
            str(row) for number, row in enumerate(self.machine.rows) if number not in self.taken
        ]


def untakable(saga: Saga[Any, Any, Any], missed: list[str]) -> dict[str, str]:
    """
    Which of the rows that no plan took no plan can take, and why.

    What the checker has searched to its end and not taken, no honest world can show. Where that
    is too much to search, only what the definition shows is known.
    """
    root = lay_out(saga).scopes[ROOT]
    known: dict[str, str] = {}
    if missed:
        known = {one.row: one.reason for one in check(saga, limit=_SEARCHED).never_taken}
        # The checker searches a deadline as the cancel that does the same.
        known |= {
            f"deadline |{row.removeprefix('cancel |')}": reason
            for row, reason in known.items()
            if row.startswith("cancel |")
        }
    if root.deadline is None:
        known |= {row: _NO_DEADLINE for row in missed if row.startswith("deadline |")}
    return {row: known[row] for row in missed if row in known}


def _enabled(row: Row, codes: list[int]) -> bool:
    return all(codes[v] in allowed for v, allowed in row.guard)
