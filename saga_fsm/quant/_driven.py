"""
The machine's moves, with what the driver adds to them (machine.md 5).

That is the number of the attempt of each open leg, ``exhausted`` when no attempt is left, the waits
between, and the early end of a pause whose scope turns back. A move is worked out once, for all
numbers of attempts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from saga_fsm.compiler import compile_saga
from saga_fsm.definition import Kind
from saga_fsm.definition.layout import Layout
from saga_fsm.machine import CancelTimer, Codes, Event, Query, SetTimer, State, Status
from saga_fsm.machine import _alphabet as a
from saga_fsm.quant._legs import Leg, Patience, patience_of


#: By automaton, for open legs only: twice the number of the attempt, plus 1 if the effect landed.
Legs: TypeAlias = tuple[tuple[int, int], ...]
Owed: TypeAlias = tuple[tuple[str, str], ...]
LegKey: TypeAlias = tuple[str, str]

#: The first attempt, and nothing landed: what is not said of an open leg.
FIRST = 2
TIMERS = frozenset({a.WAITING, a.QUERY_WAITING, a.COMPENSATION_WAITING, a.WHOLE_WAITING})
# A wait and the attempt after it, for ever: the only circles that there are.
AGAIN = {
    a.WAITING: a.RESTARTED,
    a.QUERY_WAITING: a.QUERYING,
    a.COMPENSATION_WAITING: a.COMPENSATING,
    a.WHOLE_WAITING: a.WHOLE_COMPENSATING,
}
KIND = {
    a.STARTED: "call",
    a.RESTARTED: "call",
    a.WAITING: "call",
    a.QUERYING: "query",
    a.QUERY_WAITING: "query",
    a.COMPENSATING: "compensate",
    a.COMPENSATION_WAITING: "compensate",
    a.WHOLE_COMPENSATING: "compensate",
    a.WHOLE_WAITING: "compensate",
    a.DECIDING: "decide",
}
# To be undone is to be undone, and what is clean is owed nothing.
_ALIKE = bytes.maketrans(
    bytes([a.REJECTED, a.COMPENSATED, a.UNKNOWN]), bytes([a.PENDING, a.PENDING, a.DONE])
)


class Place:
    """
    A state of the machine, and what is known of its moves.

    Args:
        number: of this place.
        state: the state.
        open_: the automata that owe an event.
    """

    __slots__ = ("lone", "moves", "number", "open", "rest", "state")

    def __init__(self, number: int, state: State, open_: tuple[int, ...]) -> None:
        self.number = number
        self.state = state
        self.open = open_
        # The wait beside which nothing is open.
        alone = len(open_) == 1 and state.codes[open_[0]] in TIMERS
        self.lone = open_[0] if alone else -1
        self.moves: dict[Event, Move] = {}
        self.rest: tuple[Status, Owed] | None = None


class Move(NamedTuple):
    """
    One move of the machine, as its effects matter to the numbers of the legs.

    Args:
        place: where it leads.
        cuts: waits that it ends, with their patience.
        begins: legs that begin, and whether it is a query.
        timers: waits that begin.
    """

    place: Place
    cuts: tuple[tuple[int, Patience], ...]
    begins: tuple[tuple[int, bool], ...]
    timers: tuple[tuple[int, Patience], ...]


class Walk:
    """A move on its way: where it is, the numbers of the open legs, and what it costs."""

    __slots__ = ("also", "cut", "legs", "place", "waited")

    def __init__(self, place: Place, legs: dict[int, int]) -> None:
        self.place = place
        self.legs = legs
        self.waited = 0.0
        self.cut = 0.0
        self.also: tuple[LegKey, ...] = ()


class Driven:
    """
    A saga's machine beside its driver.

    Args:
        layout: of the saga.
        legs: what may come of them.
    """

    def __init__(self, layout: Layout, legs: dict[LegKey, Leg]) -> None:
        self.machine = compile_saga(layout.saga)
        self.patience = patience_of(layout)
        self.paths = [automaton.path for automaton in self.machine.automata]
        self._open_in = _finder(self.machine.initial.codes)
        self._early = _early(layout, legs)
        self._places: dict[Codes, Place] = {}
        self._owed: dict[Codes, Owed] = {}

    def place(self, state: State) -> Place:
        place = self._places.get(state.codes)
        if place is None:
            open_ = tuple(self._open_in(state.codes))
            place = self._places[state.codes] = Place(len(self._places), state, open_)
        return place

    def _move(self, place: Place, event: Event) -> Move:
        """Let the machine decide, once for all numbers of attempts."""
        before = place.state
        move = self.machine.step(before, event)
        assert move.ignored is None, (str(before), event, move.ignored)  # noqa: S101 - it has odds
        cuts, begins, timers = [], [], []
        for effect in move.effects:
            path = getattr(effect, "target", "")
            v = self.machine.index.get(path, -1)
            if v < 0 or path.endswith("@stop"):
                continue
            own = event.target == path
            if effect.__class__ is CancelTimer:
                # Of a wait that is over before its time, because its scope turns back.
                if not (own and event.kind in {"retry", "exhausted"}):
                    cuts.append((v, self._patience(v, before)))
            elif effect.__class__ is SetTimer:
                timers.append((v, self._patience(v, move.state)))
            elif not (own and event.kind == "retry"):
                begins.append((v, effect.__class__ is Query))
        after = self.place(move.state)
        found = place.moves[event] = Move(after, tuple(cuts), tuple(begins), tuple(timers))
        return found

    def _patience(self, v: int, state: State) -> Patience:
        return self.patience[KIND[state.codes[v]], self.paths[v]]

    def take(self, walk: Walk, first: Event) -> None:
        """Let the machine decide on an event, and on what the driver adds to it."""
        todo = [first]
        legs = walk.legs
        while todo or (self._early and self._end_early(walk, todo)):
            event = todo.pop(0)
            move = walk.place.moves.get(event) or self._move(walk.place, event)
            walk.place = move.place
            for v, patience in move.cuts:
                walk.cut += patience.wait(legs[v] >> 1) or 0.0
            for v, query in move.begins:
                # The number begins again; whether the effect landed is for the query to find.
                landed = legs.pop(v, FIRST) & 1
                if landed and query:
                    legs[v] = FIRST | landed
            for v, patience in move.timers:
                leg = legs.get(v, FIRST) + 2
                if not patience.forever and leg >> 1 > patience.last:
                    todo.append(self.machine.event("exhausted", self.paths[v]))
                else:
                    legs[v] = min(leg, patience.last << 1 | leg & 1)

    def _end_early(self, walk: Walk, todo: list[Event]) -> bool:
        """Pauses and pending answers of a scope that turns back: their time is up."""
        state, index = walk.place.state, self.machine.index
        for path, (scope, seconds) in self._early.items():
            called = state.codes[index[path]] in {a.STARTED, a.RESTARTED}
            if called and state.codes[index[scope]] not in a.FORWARD:
                todo.append(self.machine.event("unknown", path))
                walk.cut += seconds
                walk.also = (*walk.also, ("call", path))
        return bool(todo)

    def wait(self, v: int, code: int, leg: int) -> float:
        wait = self.patience[KIND[code], self.paths[v]].wait(leg >> 1)
        assert wait is not None  # noqa: S101 - else it was exhausted
        return wait

    def rest(self, place: Place) -> tuple[Status, Owed]:
        """What a place is in which nothing is open; the many ways to be clean owe the same."""
        if place.rest is None:
            state = place.state
            owed: Owed = ()
            if state.status is Status.STUCK:
                codes = state.codes
                alike = codes.translate(_ALIKE) if isinstance(codes, bytes) else codes
                owed = self._owed.get(alike, ())
                if not owed:
                    owed = self._owed[alike] = tuple(state.unresolved.items())
            place.rest = state.status, owed
        return place.rest


def _early(layout: Layout, legs: dict[LegKey, Leg]) -> dict[str, tuple[str, float]]:
    """What the end of its scope ends at once: its scope, and its seconds at most."""
    found = {}
    for path in sorted(layout.steps):
        placed, leg = layout.steps[path], legs["call", path]
        if leg.pending and placed.kind not in {Kind.PIVOT, Kind.RETRIABLE}:
            found[path] = placed.scope, max(x.seconds for x in leg.chances)
    return found


def _finder(codes: Codes) -> Callable[[Any], list[int]]:
    """A function that finds the automata that owe an event, in definition order."""
    if isinstance(codes, bytes):
        scan = re.compile(b"[" + re.escape(bytes(sorted(a.OWING))) + b"]").finditer
        return lambda given: [found.start() for found in scan(given)]
    return lambda given: [v for v, code in enumerate(given) if code in a.OWING]
