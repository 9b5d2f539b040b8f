"""The table as values: automata, rows, composite states and moves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import attrs

from saga_fsm.machine._alphabet import FIRST_LABEL, LOCAL, Effect, Event, Status


if TYPE_CHECKING:
    from saga_fsm.machine._interpreter import Machine

Codes: TypeAlias = bytes | tuple[int, ...]
Literal: TypeAlias = tuple[int, frozenset[int]]
Guard: TypeAlias = tuple[Literal, ...]
Update: TypeAlias = tuple[int, int]
Fork: TypeAlias = tuple[int, ...]


@attrs.frozen
class Automaton:
    """
    One small automaton: a step, a scope, a block's control or a ``@stop``.

    Args:
        path: its name, unique in the machine.
        sort: "step", "scope", "choice", "each", "alternatives" or "stop".
        locals: the codes of its local states, the initial one first.
        scope: path of the scope it belongs to, None for the root.
        labels: of a choice or an each: the label of code ``FIRST_LABEL + k`` is ``labels[k]``.
        traits: what the rows do not show and the fingerprint must (kind, contract, policies).
        owed: the effects that a local state owes, by code.
        back: what an operator owes when this unit stands in the way of going back.

    """

    path: str
    sort: str
    locals: tuple[int, ...]
    scope: str | None = None
    labels: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    owed: Mapping[int, Effect] = attrs.field(factory=dict, hash=False)

    def local(self, code: int) -> str:
        """The name of a local state: ``started``, or the label that was chosen."""
        return self.labels[code - FIRST_LABEL] if code >= FIRST_LABEL else LOCAL[code]


class Row:
    """
    A guarded command with constant updates: ``event | guard | update``.

    ``guard`` is a conjunction of (automaton index, allowed codes), ``update`` of (index, code).
    ``event`` is None for an internal row.
    """

    __slots__ = ("automata", "automaton", "event", "guard", "name", "update")

    def __init__(  # noqa: PLR0913, PLR0917 - a row has these parts; 10^5 are made, so no attrs class
        self,
        event: Event | None,
        name: str,
        automaton: int,
        guard: Guard,
        update: tuple[Update, ...],
        automata: tuple[Automaton, ...] | list[Automaton],
    ) -> None:
        self.event = event
        self.name = name
        self.automaton = automaton
        self.guard = guard
        self.update = update
        self.automata = automata

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What the local states that this row enters owe."""
        automata = self.automata
        return tuple(automata[v].owed[x] for v, x in self.update if x in automata[v].owed)

    def __str__(self) -> str:
        """The row on one line, as machine.md 7 writes it."""
        automata = self.automata

        def one(v: int, allowed: frozenset[int]) -> str:
            names = [automata[v].local(code) for code in automata[v].locals if code in allowed]
            if len(names) == 1:
                return f"{automata[v].path}={names[0]}"
            return f"{automata[v].path} in {{{', '.join(names)}}}"

        guard = ", ".join(one(v, allowed) for v, allowed in self.guard)
        update = ", ".join(f"{automata[v].path}:={automata[v].local(x)}" for v, x in self.update)
        return f"{self.event or self.name} | {guard} | {update}"

    def __repr__(self) -> str:
        return f"<Row {self}>"


class State:
    """
    A composite state: one local state per automaton.

    Prints as its status and every local state that is not the first one; equal states have equal
    codes. ``state["charge"]`` is the local state of one automaton by name.
    """

    __slots__ = ("_status", "codes", "machine")

    def __init__(self, codes: Codes, machine: Machine) -> None:
        self.codes = codes
        self.machine = machine
        self._status: Status | None = None

    def __getitem__(self, path: str) -> str:
        """The local state of the automaton at ``path``, by name."""
        v = self.machine.index[path]
        return self.machine.automata[v].local(self.codes[v])

    @property
    def status(self) -> Status:
        """What the run is in this state: worked out once."""
        known = self._status
        if known is None:
            known = self._status = self.machine.status(self)
        return known

    @property
    def unresolved(self) -> dict[str, str]:
        """What is owed, by path; empty unless stuck."""
        return self.machine.unresolved(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self.codes == other.codes

    def __hash__(self) -> int:
        return hash(self.codes)

    def __str__(self) -> str:
        return self.machine.describe(self)

    def __repr__(self) -> str:
        return f"State('{self}')"


class Move(NamedTuple):
    """
    What ``step`` decides: the next state, the effects it asks for, and why nothing happened, if so.

    ``ignored`` is None for a move, else the listed reason; the state is then the old one.
    """

    state: State
    effects: tuple[Effect, ...] = ()
    ignored: str | None = None


class Transition(NamedTuple):
    """One arrow of the flattened machine."""

    source: State
    event: Event
    target: State
