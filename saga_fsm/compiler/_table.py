"""The table while it grows: automata by path, rows, and the pruning at the end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import compress

from saga_fsm.machine import Automaton, Effect, Event, Row
from saga_fsm.machine._table import Guard, Literal, Update


@cache
def one_of(*codes: int) -> frozenset[int]:
    """Some local states: made once, since thousands of rows ask for the same ones."""
    return frozenset(codes)


class Table:
    """Collects automata and rows; ``pruned`` gives what can be reached."""

    def __init__(self) -> None:
        self.index: dict[str, int] = {}
        self.rows: list[Row] = []
        self._drafts: list[tuple[str, str, str | None, tuple[str, ...], tuple[str, ...]]] = []
        self._initial: list[int] = []
        self.owed: list[dict[int, Effect]] = []
        # Equal parts are made once: a large table is thousands of the same few.
        self._events: dict[Event, Event] = {}
        self._guards: dict[Guard, Guard] = {}
        self._updates: dict[tuple[Update, ...], tuple[Update, ...]] = {}
        self._literals: dict[Literal, Literal] = {}
        self._automata: list[Automaton] = []

    def add(  # noqa: PLR0913 - the parts of an automaton
        self,
        path: str,
        sort: str,
        initial: int,
        *,
        scope: str | None,
        labels: tuple[str, ...] = (),
        traits: tuple[str, ...] = (),
        owed: dict[int, Effect] | None = None,
    ) -> int:
        """Add an automaton; its local states are those that its rows turn out to reach."""
        v = len(self._drafts)
        self.index[path] = v
        self._drafts.append((path, sort, scope, labels, traits))
        self._initial.append(initial)
        self.owed.append(owed or {})
        return v

    def event(self, kind: str, target: str, argument: str) -> Event:
        """One event value per text."""
        event = Event.of(kind, target, argument)
        return self._events.setdefault(event, event)

    def on(  # noqa: PLR0913 - a row is written on one line, as in machine.md
        self,
        kind: str,
        target: str,
        v: int,
        source: frozenset[int],
        updates: Sequence[Update],
        *,
        guard: Sequence[Literal] = (),
        argument: str = "",
    ) -> None:
        """Add an input row of automaton ``v``: its own literal first, since it fails first."""
        event = self.event(kind, target, argument)
        whole = self._shared(((v, source), *guard))
        self.rows.append(Row(event, event, v, whole, self._update(updates), self._automata))

    def when(self, name: str, v: int, guard: Sequence[Literal], updates: Sequence[Update]) -> None:
        """Add an internal row of automaton ``v``."""
        whole = self._shared(tuple(guard))
        self.rows.append(Row(None, name, v, whole, self._update(updates), self._automata))

    def _update(self, updates: Sequence[Update]) -> tuple[Update, ...]:
        update = tuple(updates)
        return self._updates.setdefault(update, update)

    def _shared(self, guard: Guard) -> Guard:
        """One guard value per content: most rows of a step ask the same few things."""
        known = self._guards.get(guard)
        if known is None:
            known = tuple(self._literals.setdefault(literal, literal) for literal in guard)
            self._guards[known] = known
        return known

    def pruned(self) -> tuple[list[Automaton], list[Row]]:
        """
        Keep what can be reached, each automaton taken by itself, to a fixpoint.

        Local states that no enabled row enters go, and with them the rows that ask for them; so a
        step has only the states that its kind and options can reach.
        """
        reached = [{code} for code in self._initial]
        live = self._live_rows(reached)
        self._guards.clear()
        self._narrow(live, [frozenset(codes) for codes in reached])
        self._finish(reached)
        return self._automata, live

    def _live_rows(self, reached: list[set[int]]) -> list[Row]:
        rows = self.rows
        live = bytearray(len(rows))
        waiting: Sequence[int] = range(len(rows))
        while True:
            blocked = []
            for number in waiting:
                row = rows[number]
                for v, allowed in row.guard:
                    if allowed.isdisjoint(reached[v]):
                        blocked.append(number)
                        break
                else:
                    live[number] = True
                    for v, x in row.update:
                        reached[v].add(x)
            if len(blocked) == len(waiting):
                return list(compress(rows, live))
            waiting = blocked

    def _narrow(self, live: list[Row], full: list[frozenset[int]]) -> None:
        """Ask only for codes that can be reached."""
        known: dict[Guard, Guard] = {}
        sets: dict[frozenset[int], frozenset[int]] = {}
        literals = self._literals
        for row in live:
            narrow = known.get(row.guard)
            if narrow is None:
                parts = []
                for v, allowed in row.guard:
                    codes = allowed & full[v]
                    literal = (v, sets.setdefault(codes, codes))
                    parts.append(literals.setdefault(literal, literal))
                narrow = known[row.guard] = tuple(parts)
            row.guard = narrow

    def _finish(self, reached: list[set[int]]) -> None:
        for draft, initial, codes, owed in zip(
            self._drafts, self._initial, reached, self.owed, strict=True
        ):
            path, sort, scope, labels, traits = draft
            local = (initial, *sorted(codes - {initial}))
            self._automata.append(
                Automaton(
                    path=path,
                    sort=sort,
                    locals=local,
                    scope=scope,
                    labels=labels,
                    traits=traits,
                    owed={code: owed[code] for code in local if code in owed},
                )
            )
