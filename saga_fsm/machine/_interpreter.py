"""
The machine, and the one place that decides.

Rule 1. Everything that decides what a saga does next is a row of the table. Nobody else decides.
Rule 2. The table knows no results, no number of attempts and no time: those are data, and whoever
        has them turns them into events.

Theory of operation
-------------------
A saga is a network of small automata: one per step, one per scope (the root saga, a nested saga,
an alternative), one per choice, each and alternatives block, one ``stop``. The composite state has
one local state per automaton. A row is ``event | guard | update``: the guard asks some automata for
their local states, the update is constant. *Input rows* carry an event, *internal rows* none.

``step(state, event)`` applies the one input row of that event whose guard holds, then internal rows
until none is enabled (*settling*). What was decided is remembered twice: by the whole state, and by
what the decision read of it (``_recall``); a test compares both with the table.
Settling is confluent: each internal row moves its automaton one
way along pending -> forward -> turned back -> clean and reads only monotone facts, so any order
gives the same quiet state. No row for the pair: the event is ignored, for a listed reason.

Effects are a function of the state (a Moore machine): certain local states *owe* one. A move emits
what the new state owes and the old one did not, so an effect of a local state that settling has
left again is never emitted, and recovery needs nothing but the state: ``owed(state)``.

Sequence and parallel have no automaton: they are wiring, in the guards. The product is never built;
``flatten`` enumerates it on demand, up to a limit.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from saga_fsm.errors import NoTransitionError, StateSpaceLimitError
from saga_fsm.machine import _alphabet as a
from saga_fsm.machine._alphabet import CancelTimer, Effect, Event, Finished, SetTimer, Status
from saga_fsm.machine._index import Index
from saga_fsm.machine._print import describe
from saga_fsm.machine._reasons import reason
from saga_fsm.machine._recall import Decision, Recall
from saga_fsm.machine._table import Automaton, Codes, Fork, Move, Row, State, Transition, Update
from saga_fsm.machine._verdict import owed_to, unresolved


_NO_EFFECTS: tuple[Effect, ...] = ()
# Over this no byte holds a label: the state is then a tuple, and all else stays as it is.
_WIDEST_BYTE = 256
_MEMO_BYTES = 1 << 20


class Machine:
    """
    A saga compiled: automata, rows, and ``step``, which reads them.

    Made by ``compile_saga``. Immutable by convention; safe to share between threads.

    Args:
        name: the saga's name.
        automata: in definition order; the first is the root scope ``@saga``.
        rows: input and internal rows, in definition order.
        forks: each parallel block, outer ones first: where the automata of its branches begin, and
            where the last one's end. They decide nothing: a state prints itself by them.

    """

    def __init__(
        self,
        name: str,
        automata: Sequence[Automaton],
        rows: Sequence[Row],
        forks: Iterable[Fork] = (),
    ) -> None:
        self.name = name
        self.automata = tuple(automata)
        self.rows = tuple(rows)
        self.forks = tuple(forks)
        self.index = {automaton.path: v for v, automaton in enumerate(self.automata)}
        wide = any(max(automaton.locals) >= _WIDEST_BYTE for automaton in self.automata)
        self._thaw: Any = list if wide else bytearray
        self._freeze: Any = tuple if wide else bytes
        self.initial = State(self._freeze(x.locals[0] for x in self.automata), self)
        self._owed = [automaton.owed for automaton in self.automata]
        self._index = Index(self.rows, len(self.automata))
        self.events = self._index.events
        # A pure function asked the same thing by every run: remembered, within some megabytes.
        self._memo: dict[tuple[Codes, str], Move] = {}
        self._said: dict[tuple[str, str, str], Event] = {}
        self._memo_size = max(64, _MEMO_BYTES // len(self.automata))
        self._recall = Recall(self._memo_size)
        self._owing = _any_of(a.OWING)
        self._failed = _any_of(a.BROKEN)

    # ------------------------------------------------------------------ deciding

    def step(self, state: State, event: str) -> Move:
        """
        Decide: the state after ``event``, and the effects it asks for.

        Pure: the same answer for the same arguments, nothing is called and nothing is changed.

        Raises:
            NoTransitionError: no state of this machine knows the event.

        """
        known = self._memo.get((state.codes, event))
        if known is not None:
            return known
        move = self._decide(state, event)
        if len(self._memo) >= self._memo_size:
            self._memo.clear()
        self._memo[state.codes, event] = move
        return move

    def _decide(self, state: State, event: str) -> Move:
        codes = state.codes
        decision = self._recall.find(codes, event)
        if decision is None:
            decision = self._work_out(codes, event)
            if decision is None:
                if event not in self._index:
                    raise self._unknown_event(state, event)
                return Move(state, _NO_EFFECTS, reason(self, state, event))
        changes, effects, may_rest = decision
        after = self._thaw(codes)
        for v, x in changes:
            after[v] = x
        new = State(self._freeze(after), self)
        if may_rest:
            status = new.status
            if status.resting and status is not state.status:
                return Move(new, (*effects, Finished(status)))
        return Move(new, effects)

    def _work_out(self, codes: Codes, event: str) -> Decision | None:
        """Apply the row of an event, and settle; None when no row holds."""
        read: set[int] = set()
        for row in self._index.of(event):
            for v, allowed in row.guard:
                read.add(v)
                if codes[v] not in allowed:
                    break
            else:
                after = self._thaw(codes)
                written = self._settle(after, row, read)
                changes = tuple((v, after[v]) for v in written if codes[v] != after[v])
                effects = self._owed_anew(codes, changes)
                may_rest = _MAY_REST.issuperset(effect.__class__ for effect in effects)
                decision = Decision(changes, effects, may_rest)
                # What is written was read too: what it was says what it owed.
                self._recall.keep(codes, event, read.union(written), decision)
                return decision
        return None

    def _settle(self, codes: Any, first: Row, read: set[int]) -> list[int]:
        """
        Take a row, then internal rows until none is enabled.

        Adds every automaton that is read to ``read``; gives those that are written, in order.
        """
        watching = self._index.watching
        todo = []
        for v, x in first.update:
            codes[v] = x
            todo.append(v)
        written = set(todo)
        while todo:
            v = todo.pop()
            for row in watching(v, codes[v]):
                for w, allowed in row.guard:
                    read.add(w)
                    if codes[w] not in allowed:
                        break
                else:
                    for w, x in row.update:
                        codes[w] = x
                        written.add(w)
                        todo.append(w)
        return sorted(written)

    def _owed_anew(self, before: Codes, changes: tuple[Update, ...]) -> tuple[Effect, ...]:
        """What the new local states owe and the old ones did not, in definition order."""
        effects: list[Effect] = []
        for v, after in changes:
            owed = self._owed[v]
            was, now = owed.get(before[v]), owed.get(after)
            if was is not now:
                if isinstance(was, SetTimer):
                    effects.append(CancelTimer(was.target))
                if now is not None:
                    effects.append(now)
        return tuple(effects)

    def quiet(self, codes: Codes) -> bool:
        """Whether no internal row is enabled; every state that ``step`` gives is quiet."""
        return not any(
            all(codes[v] in allowed for v, allowed in row.guard)
            for row in self.rows
            if row.event is None
        )

    def accepts(self, state: State) -> tuple[Event, ...]:
        """The events that have a row in this state, in the alphabet's order."""
        codes = state.codes
        return tuple(
            event
            for event in self.events
            if any(all(codes[v] in ok for v, ok in row.guard) for row in self._index.of(event))
        )

    def replay(self, path: Iterable[str]) -> tuple[Move, ...]:
        """Take a path's events from the start: the moves, ignored ones included."""
        state = self.initial
        moves = []
        for event in getattr(path, "events", path):
            move = self.step(state, event)
            moves.append(move)
            state = move.state
        return tuple(moves)

    def knows(self, event: str) -> bool:
        """Whether the event is in the alphabet: some state has a row for it."""
        return event in self._index

    def event(self, kind: str, target: str = "", argument: str = "") -> Event:
        """The event of these parts, made once."""
        known = self._said.get((kind, target, argument))
        if known is None:
            known = self._said[kind, target, argument] = Event.of(kind, target, argument)
        return known

    def read(self, text: str) -> Event:
        """
        The event that a journal or an operator has written.

        Raises:
            NoTransitionError: no state of this machine knows the event.
        """
        try:
            return self._texts[text]
        except KeyError:
            raise self._unknown_event(self.initial, text) from None

    @cached_property
    def _texts(self) -> dict[str, Event]:
        return {str(event): event for event in self.events}

    def _unknown_event(self, state: State, event: str) -> NoTransitionError:
        return NoTransitionError(
            saga=self.name,
            state=str(state),
            event=str(event),
            accepted=tuple(map(str, self.accepts(state))),
        )

    # ------------------------------------------------------------------ reading a state

    def status(self, state: State) -> Status:
        """What a run in this state is (machine.md 4)."""
        codes = state.codes
        root = codes[0]
        if root == a.SCOPE_PENDING:
            return Status.NEW
        if self._moving(codes):
            return Status.RUNNING if root in a.FORWARD else Status.COMPENSATING
        # An alarm after the end is owed an undo; while that is open nothing is compensated.
        if root in _ENDED and not self._broken(codes):
            return Status.COMPLETED if root == a.SCOPE_DONE else Status.COMPENSATED
        return Status.STUCK

    def _moving(self, codes: Codes) -> bool:
        if codes.__class__ is bytes:
            return self._owing(codes) is not None
        return not a.OWING.isdisjoint(codes)

    def _broken(self, codes: Codes) -> bool:
        if codes.__class__ is bytes:
            return self._failed(codes) is not None
        return not a.BROKEN.isdisjoint(codes)

    def unresolved(self, state: State) -> dict[str, str]:
        """What is owed in a stuck state, by path: compensate, complete or query."""
        return unresolved(self, state) if self.status(state) is Status.STUCK else {}

    def owed_to(self, automaton: Automaton, code: int, *, parent: bool) -> str | None:
        """What a stuck run owes to one automaton; ``parent``: its scope is turning back."""
        return owed_to(automaton, code, parent=parent)

    def owed(self, state: State) -> tuple[Effect, ...]:
        """Everything outstanding, in definition order: what recovery asks for again."""
        return tuple(
            owed[code]
            for owed, code in zip(self._owed, state.codes, strict=True)
            if code in owed and owed[code].__class__ is not a.Refused
        )

    def describe(self, state: State) -> str:
        """The state as text: its status and every local state that is not the first."""
        return describe(self, state)

    # ------------------------------------------------------------------ the machine as a whole

    @cached_property
    def fingerprint(self) -> str:
        """Names, kinds, structure, rows and contracts, hashed: the same in every process."""
        digest = hashlib.sha256(b"saga_fsm 1\n")
        for x in self.automata:
            digest.update(repr((x.path, x.sort, x.locals, x.scope, x.labels, x.traits)).encode())
        for row in self.rows:
            guard = tuple((v, tuple(sorted(allowed))) for v, allowed in row.guard)
            digest.update(repr((str(row.event), row.name, guard, row.update)).encode())
        return digest.hexdigest()[:16]

    @cached_property
    def ignored(self) -> Mapping[tuple[str, str, str], str]:
        """
        Each (automaton, local state, event kind) without a row, and the reason.

        With the rows this covers every pair: nothing is left undefined.
        """
        mine: dict[int, dict[str, list[Row]]] = {}
        for row in self.rows:
            if row.event is not None:
                mine.setdefault(row.automaton, {}).setdefault(row.event, []).append(row)
        listed = {}
        for v, events in mine.items():
            automaton = self.automata[v]
            for event, rows in events.items():
                for code in automaton.locals:
                    if not any(dict(row.guard).get(v, {code}) >= {code} for row in rows):
                        why = reason(self, None, event, code)
                        listed[automaton.path, automaton.local(code), str(event)] = why
        return listed

    def flatten(self, *, limit: int = 100_000) -> tuple[tuple[State, ...], tuple[Transition, ...]]:
        """
        Enumerate the reachable states and transitions, every event offered at every state.

        Raises:
            StateSpaceLimitError: more than ``limit`` states; parallel blocks multiply.

        """
        seen: dict[Codes, State] = {self.initial.codes: self.initial}
        todo = deque([self.initial])
        transitions = []
        while todo:
            state = todo.popleft()
            for event in self.accepts(state):
                target = self.step(state, event).state
                known = seen.setdefault(target.codes, target)
                if known is target:
                    if len(seen) > limit:
                        raise StateSpaceLimitError(saga=self.name, limit=limit)
                    todo.append(target)
                transitions.append(Transition(state, event, known))
        return tuple(seen.values()), tuple(transitions)

    @cached_property
    def _flat(self) -> tuple[tuple[State, ...], tuple[Transition, ...]]:
        return self.flatten()

    @property
    def states(self) -> tuple[State, ...]:
        """The reachable states, flattened on demand."""
        return self._flat[0]

    @property
    def transitions(self) -> tuple[Transition, ...]:
        """The arrows between them."""
        return self._flat[1]

    @property
    def final(self) -> tuple[State, ...]:
        """The reachable states in which a run rests."""
        return tuple(state for state in self.states if state.status.resting)

    def __repr__(self) -> str:
        return f"<Machine {self.name}: {len(self.automata)} automata, {len(self.rows)} rows>"


def _any_of(codes: frozenset[int]) -> Any:
    """A search for any of these codes at the speed of C."""
    return re.compile(b"[" + re.escape(bytes(sorted(codes))) + b"]").search


_ENDED = frozenset({a.SCOPE_DONE, a.SCOPE_COMPENSATED})
# After these a run may rest: they ask for nothing that will come back as an event.
_MAY_REST = frozenset({CancelTimer, a.Refused})
