"""The table while it grows: automata by path, rows, and the pruning at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from saga_fsm.machine import Automaton, Effect, Event, Row
from saga_fsm.machine._table import Literal, Update


class Table:
    """Collects automata and rows; ``pruned`` gives what can be reached."""

    def __init__(self) -> None:
        self.index: dict[str, int] = {}
        self.rows: list[Row] = []
        self._drafts: list[tuple[str, str, str | None, tuple[str, ...], tuple[str, ...]]] = []
        self._initial: list[int] = []
        self.owed: list[dict[int, Effect]] = []
        self._events: dict[tuple[str, str, str], Event] = {}
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

    def event(self, kind: str, target: str = "", argument: str = "") -> Event:
        """One event value per text."""
        key = (kind, target, argument)
        known = self._events.get(key)
        if known is None:
            self._events[key] = known = Event.of(kind, target, argument)
        return known

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
        row = Row(event, str(event), v, ((v, source), *guard), tuple(updates), self._automata)
        self.rows.append(row)

    def when(self, name: str, v: int, guard: Sequence[Literal], updates: Sequence[Update]) -> None:
        """Add an internal row of automaton ``v``."""
        self.rows.append(Row(None, name, v, tuple(guard), tuple(updates), self._automata))

    def pruned(self) -> tuple[list[Automaton], list[Row]]:
        """
        Keep what can be reached, each automaton taken by itself, to a fixpoint.

        Local states that no enabled row enters go, and with them the rows that ask for them; so a
        step has only the states that its kind and options can reach.
        """
        reached = [{code} for code in self._initial]
        live = self._live_rows(reached)
        interned: dict[frozenset[int], frozenset[int]] = {}
        full = [frozenset(codes) for codes in reached]
        for row in live:
            guard = []
            for v, allowed in row.guard:
                kept = allowed & full[v]
                if v == row.automaton or kept != full[v]:
                    guard.append((v, interned.setdefault(kept, kept)))
            row.guard = tuple(guard)
        self._finish(reached)
        return self._automata, live

    def _live_rows(self, reached: list[set[int]]) -> list[Row]:
        waiting: Iterable[tuple[int, Row]] = enumerate(self.rows)
        live: set[int] = set()
        before = -1
        while len(live) != before:
            before = len(live)
            blocked = []
            for number, row in waiting:
                if any(allowed.isdisjoint(reached[v]) for v, allowed in row.guard):
                    blocked.append((number, row))
                else:
                    live.add(number)
                    for v, x in row.update:
                        reached[v].add(x)
            waiting = blocked
        return [row for number, row in enumerate(self.rows) if number in live]

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
