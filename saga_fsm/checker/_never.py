"""Rows of the table that no run takes, and why, where that is known."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import attrs

from saga_fsm.checker._search import Explored, reached_within
from saga_fsm.definition import Contract
from saga_fsm.definition.layout import Layout
from saga_fsm.machine import Machine, Row
from saga_fsm.product import network_of


# The weak world is far larger than the declared one; what it has to show lies near the start.
_BUDGET = 20_000
_WEAK = "only where a participant breaks its promise"


@attrs.frozen
class NeverTaken:
    """
    One row that no run takes.

    Args:
        row: as the table writes it.
        reason: why.
    """

    row: str
    reason: str


class Untaken:
    """
    The rows that a search to the end has not taken; why, is searched when it is asked for.

    The saga's deadline does what cancel does and is not searched twice: its rows are not listed.

    Args:
        layout: the saga, laid out.
        machine: its machine.
        explored: what a search of it, to the end, has seen.
    """

    def __init__(self, layout: Layout, machine: Machine, explored: Explored) -> None:
        self._layout = layout
        self._machine = machine
        self._reached = explored.reached
        self._taken = explored.taken
        self._left = {
            number: row
            for number, row in enumerate(machine.rows)
            if number not in explored.taken and row.event != "deadline"
        }

    def __str__(self) -> str:
        return (
            f"{len(self._left)} of the table's {len(self._machine.rows)} rows are never taken; "
            "deadline does what cancel does and is searched as cancel"
        )

    @cached_property
    def rows(self) -> tuple[NeverTaken, ...]:
        """Each of them, in the table's order, with the reason."""
        machine, layout = self._machine, self._layout
        weak = network_of(layout, machine, kept=dict.fromkeys(layout.steps, Contract()))
        there = reached_within(weak, limit=_BUDGET)
        reached = [x | y for x, y in zip(self._reached, there.reached, strict=True)]
        reasons = _Reasons(machine, [machine.rows[number] for number in self._taken], reached)
        return tuple(
            NeverTaken(str(row), _WEAK if number in there.taken else reasons.of(row))
            for number, row in self._left.items()
        )


class _Reasons:
    def __init__(
        self, machine: Machine, taken: Iterable[Row], reached: list[frozenset[int]]
    ) -> None:
        self.machine = machine
        self.twins = {_does(row): row for row in taken}
        self.reached = reached

    def of(self, row: Row) -> str:
        """Why a row is not taken, whatever the participants promise."""
        twin = self.twins.get(_does(row))
        if row.event is not None and twin is not None:
            return f"it does what {twin.event} does there, which is searched"
        automaton = self.machine.automata[row.automaton]
        asked = dict(row.guard).get(row.automaton, frozenset())
        if asked and asked.isdisjoint(self.reached[row.automaton]):
            names = " or ".join(automaton.local(code) for code in sorted(asked))
            return f"no run comes to {automaton.path}={names}"
        if row.event is not None and row.event.kind == "resolve":
            if "whole" in automaton.traits:
                return "an operator tries the undo of a whole again, which comes to the same"
            return "no honest operator says so there"
        if row.event is not None and row.event.kind == "rejected":
            return "what must be done at last is not rejected: its participant retries"
        return "no run meets its guard"


def _does(row: Row) -> object:
    return row.event is not None, frozenset(row.guard), frozenset(row.update)
