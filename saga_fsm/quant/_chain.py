"""
The chain: every state that a run can be in, with the attempt numbers of its open legs.

A state of the chain is a state of the machine and the number of the attempt of each leg that is
open. What is open, calls and waits, is a *choice*: which of them ends next is for a scheduler
to say. What comes of it then is for the odds: the *edges* of the choice. Each edge is a move of
``Machine.step``, with what the driver adds to it (machine.md 5): ``exhausted`` when no attempt is
left, and the end of a pause whose scope turns back. A wait beside which nothing is open is part of
the edge that begins it.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import attrs

from saga_fsm.compiler import compile_saga
from saga_fsm.definition import Kind
from saga_fsm.definition.layout import Layout, PlacedEach
from saga_fsm.errors import StateSpaceLimitError
from saga_fsm.machine import (
    CancelTimer,
    Codes,
    Event,
    Query,
    SetTimer,
    State,
    Status,
)
from saga_fsm.machine import _alphabet as a
from saga_fsm.quant._legs import Leg, Patience, patience_of


#: By automaton, for open legs only: twice the number of the attempt, plus 1 if the effect landed.
Legs: TypeAlias = tuple[tuple[int, int], ...]
Owed: TypeAlias = tuple[tuple[str, str], ...]
#: The number of a place, with the legs that are not at their first attempt.
Key: TypeAlias = int | tuple[int, Legs]
LegKey: TypeAlias = tuple[str, str]

_FIRST = 2  # the first attempt, and nothing landed: what is not said of an open leg
_TIMERS = frozenset({a.WAITING, a.QUERY_WAITING, a.COMPENSATION_WAITING, a.WHOLE_WAITING})
# A wait and the attempt after it, for ever: the only circles that there are.
_AGAIN = {
    a.WAITING: a.RESTARTED,
    a.QUERY_WAITING: a.QUERYING,
    a.COMPENSATION_WAITING: a.COMPENSATING,
    a.WHOLE_WAITING: a.WHOLE_COMPENSATING,
}
_KIND = {
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


@attrs.define(auto_exc=True, kw_only=True)
class ChainLimitError(StateSpaceLimitError):
    """The chain of a saga is larger than the limit asked for."""

    def __str__(self) -> str:
        return (
            f"the chain of saga '{self.saga}' has more than {self.limit:,} states\n"
            "  Parallel branches multiply, and so do bounded attempts in them. Forecast its parts "
            "as sagas of their own, or give a larger limit=."
        )


class Label(NamedTuple):
    """
    What an edge is: the outcome that it stands for, and what it costs.

    Args:
        leg: whose attempt ends, or None where a wait does.
        outcome: of the attempt.
        landed: of an unknown attempt whose effect matters: whether it landed.
        seconds: of the attempt, or of the wait that ends.
        waited: of waits beside which nothing was open.
        cut: seconds of waits and pauses that this edge ends, each at most.
        also: legs of which it ends an attempt too.
    """

    leg: LegKey | None
    outcome: str = ""
    landed: bool | None = None
    seconds: float = 0.0
    waited: float = 0.0
    cut: float = 0.0
    also: tuple[LegKey, ...] = ()


@attrs.frozen
class Chain:
    """
    The states, choices and edges, as rows of three tables.

    The choices of state s are ``choices[s]:choices[s + 1]``, the edges of choice c are
    ``edges[c]:edges[c + 1]``; state 0 is the first. ``group`` is the same for states that lie on a
    circle. ``rests`` are the states that have no choice, by what they are.
    """

    saga: str
    fingerprint: str
    choices: array[int]
    edges: array[int]
    target: array[int]
    label: array[int]
    labels: list[Label]
    group: array[int]
    rests: dict[int, tuple[Status, Owed]]
    widest: int

    @property
    def states(self) -> int:
        """How many."""
        return len(self.choices) - 1


def chain_of(layout: Layout, legs: dict[LegKey, Leg], *, limit: int) -> Chain:
    """
    Explore all that has odds, from the start.

    Raises:
        StateSpaceLimitError: more than ``limit`` states.
    """
    exploring = _Exploring(layout, legs, limit)
    exploring.run()
    return Chain(
        layout.saga.name,
        exploring.machine.fingerprint,
        exploring.choices,
        exploring.edges,
        exploring.target,
        exploring.label,
        list(exploring.labels),
        exploring.group,
        exploring.rests,
        exploring.widest,
    )


class _Place:
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
        alone = len(open_) == 1 and state.codes[open_[0]] in _TIMERS
        self.lone = open_[0] if alone else -1
        self.moves: dict[Event, _Move] = {}
        self.rest: tuple[Status, Owed] | None = None


class _Move(NamedTuple):
    """
    One move of the machine, as its effects matter to the numbers of the legs.

    Args:
        place: where it leads.
        cuts: waits that it ends, with their patience.
        begins: legs that begin, and whether it is a query.
        timers: waits that begin.
    """

    place: _Place
    cuts: tuple[tuple[int, Patience], ...]
    begins: tuple[tuple[int, bool], ...]
    timers: tuple[tuple[int, Patience], ...]


class _Walk:
    """A move on its way: where it is, the numbers of the open legs, and what it costs."""

    __slots__ = ("also", "cut", "legs", "place", "waited")

    def __init__(self, place: _Place, legs: dict[int, int]) -> None:
        self.place = place
        self.legs = legs
        self.waited = 0.0
        self.cut = 0.0
        self.also: tuple[LegKey, ...] = ()


class _Exploring:
    """A breadth-first walk over everything that has odds."""

    def __init__(self, layout: Layout, legs: dict[LegKey, Leg], limit: int) -> None:
        self.layout = layout
        self.legs = legs
        self.limit = limit
        self.machine = compile_saga(layout.saga)
        self.patience = patience_of(layout)
        self.paths = [automaton.path for automaton in self.machine.automata]
        self.open_in = _finder(self.machine.initial.codes)
        self.early = _early(layout, legs)
        self.queried = {path for path, x in layout.steps.items() if x.step.query is not None}
        # Numbers of attempts multiply the states of the chain, and not those of the machine.
        self.places: dict[Codes, _Place] = {}
        self.numbers: dict[Key, int] = {}
        self.at: list[_Place] = []
        self.having: list[Legs] = []
        self.circles: dict[tuple[Codes, Legs], int] = {}
        self.owed: dict[Codes, Owed] = {}
        self.labels: dict[Label, int] = {}
        self.priced: dict[tuple[int, float, float, tuple[LegKey, ...]], int] = {}
        self.choices, self.edges = array("q", [0]), array("q", [0])
        self.target, self.label, self.group = array("q"), array("q"), array("q")
        self.rests: dict[int, tuple[Status, Owed]] = {}
        self.widest = 1
        # What may come of a choice: remembered by automaton, local state and number.
        self.answers: dict[tuple[int, int, int], list[tuple[int, Event, int]]] = {}

    def run(self) -> None:
        walk = _Walk(self._place(self.machine.initial), {})
        self._take(walk, self.machine.event("start"))
        self._number(walk)
        done = 0
        while done < len(self.at):
            self._expand(done)
            done += 1

    def _expand(self, number: int) -> None:
        place, known = self.at[number], dict(self.having[number])
        codes, open_ = place.state.codes, place.open
        if not open_:
            self.rests[number] = self._rest(place)
        elif len(open_) > self.widest:
            self.widest = len(open_)
        target, labelled = self.target.append, self.label.append
        for v in open_:
            leg = known.get(v, _FIRST)
            choice = (v, codes[v], leg)
            answers = self.answers.get(choice)
            if answers is None:
                found = self._answers(*choice)
                answers = [(self._listed(label), event, after) for label, event, after in found]
                self.answers[choice] = answers
            for label, event, after in answers:
                walk = _Walk(place, known.copy())
                if after != leg:
                    walk.legs[v] = after
                self._take(walk, event)
                target(self._number(walk))
                if walk.waited or walk.cut or walk.also:
                    priced = (label, walk.waited, walk.cut, walk.also)
                    labelled(self.priced.get(priced) or self._price(*priced))
                else:
                    labelled(label)
            self.edges.append(len(self.target))
        self.choices.append(len(self.edges) - 1)

    def _listed(self, label: Label) -> int:
        return self.labels.setdefault(label, len(self.labels))

    def _price(self, label: int, waited: float, cut: float, also: tuple[LegKey, ...]) -> int:
        """A label with what came on top of it."""
        plain = next(x for x, number in self.labels.items() if number == label)
        dearer = self._listed(plain._replace(waited=waited, cut=cut, also=also))
        self.priced[label, waited, cut, also] = dearer
        return dearer

    def _number(self, walk: _Walk) -> int:
        """The number of the state that a walk has come to, waits passed that stand alone."""
        while (v := walk.place.lone) >= 0:
            walk.waited += self._wait(v, walk.place.state.codes[v], walk.legs[v])
            self._take(walk, self.machine.event("retry", self.paths[v]))
        place, numbers = walk.place, walk.legs
        legs: Legs = ()
        if numbers:
            legs = tuple([(v, numbers[v]) for v in place.open if numbers.get(v, _FIRST) != _FIRST])
        key = (place.number, legs) if legs else place.number
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = len(self.at)
            if number >= self.limit:
                raise ChainLimitError(saga=self.layout.saga.name, limit=self.limit)
            self.at.append(place)
            self.having.append(legs)
            alone = len(place.open) < 2
            self.group.append(number if alone else self._group(number, place.state.codes, legs))
        return number

    def _group(self, number: int, codes: Codes, legs: Legs) -> int:
        """The same for a wait and the attempt after it where both come for ever."""
        after, circles = list(codes), False
        for v, n in legs:
            patience = self.patience.get((_KIND[codes[v]], self.paths[v]))
            if patience is not None and patience.forever and n >> 1 == patience.last:
                circles = True
                after[v] = _AGAIN.get(codes[v], codes[v])
        if not circles:
            return number
        return self.circles.setdefault((codes.__class__(after), legs), number)

    def _rest(self, place: _Place) -> tuple[Status, Owed]:
        """What a place is in which nothing is open; the many ways to be clean owe the same."""
        if place.rest is None:
            state = place.state
            owed: Owed = ()
            if state.status is Status.STUCK:
                codes = state.codes
                alike = codes.translate(_ALIKE) if isinstance(codes, bytes) else codes
                owed = self.owed.get(alike, ())
                if not owed:
                    owed = self.owed[alike] = tuple(state.unresolved.items())
            place.rest = state.status, owed
        return place.rest

    # ------------------------------------------------------------------ what may come

    def _answers(self, v: int, code: int, leg: int) -> list[tuple[Label, Event, int]]:
        """Each edge of a choice: its label, its event, and the leg's number at that event."""
        path, event = self.paths[v], self.machine.event
        if code in _TIMERS:
            wait = self._wait(v, code, leg)
            return [(Label(None, seconds=wait), event("retry", path), leg)]
        key = _KIND[code], path
        found = []
        for outcome, _, seconds in self.legs[key].chances:
            if key[0] == "decide":
                told = self._chosen(path, outcome)
            elif outcome == "answered":
                told = event("landed" if leg & 1 else "absent", path)
            else:
                told = event(outcome, path)
            # What landed once has landed, whatever the next attempts do.
            matters = outcome == "unknown" and key[0] == "call" and path in self.queried
            if matters and not leg & 1:
                found.append((Label(key, outcome, landed=True, seconds=seconds), told, leg | 1))
                found.append((Label(key, outcome, landed=False, seconds=seconds), told, leg))
            else:
                found.append((Label(key, outcome, seconds=seconds), told, leg))
        return found

    def _chosen(self, path: str, outcome: str) -> Event:
        if outcome == "chooser_failed":
            return self.machine.event(outcome, path)
        each = isinstance(self.layout.decisions[path], PlacedEach)
        return self.machine.event("items" if each else "chose", path, outcome)

    def _wait(self, v: int, code: int, leg: int) -> float:
        wait = self.patience[_KIND[code], self.paths[v]].wait(leg >> 1)
        assert wait is not None  # noqa: S101 - else it was exhausted
        return wait

    # ------------------------------------------------------------------ the driver's part

    def _place(self, state: State) -> _Place:
        place = self.places.get(state.codes)
        if place is None:
            open_ = tuple(self.open_in(state.codes))
            place = self.places[state.codes] = _Place(len(self.places), state, open_)
        return place

    def _move(self, place: _Place, event: Event) -> _Move:
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
        after = self._place(move.state)
        found = place.moves[event] = _Move(after, tuple(cuts), tuple(begins), tuple(timers))
        return found

    def _patience(self, v: int, state: State) -> Patience:
        return self.patience[_KIND[state.codes[v]], self.paths[v]]

    def _take(self, walk: _Walk, first: Event) -> None:
        """Let the machine decide on an event, and on what the driver adds to it."""
        todo = [first]
        legs = walk.legs
        while todo or (self.early and self._end_early(walk, todo)):
            event = todo.pop(0)
            move = walk.place.moves.get(event) or self._move(walk.place, event)
            walk.place = move.place
            for v, patience in move.cuts:
                walk.cut += patience.wait(legs[v] >> 1) or 0.0
            for v, query in move.begins:
                # The number begins again; whether the effect landed is for the query to find.
                landed = legs.pop(v, _FIRST) & 1
                if landed and query:
                    legs[v] = _FIRST | landed
            for v, patience in move.timers:
                leg = legs.get(v, _FIRST) + 2
                if not patience.forever and leg >> 1 > patience.last:
                    todo.append(self.machine.event("exhausted", self.paths[v]))
                else:
                    legs[v] = min(leg, patience.last << 1 | leg & 1)

    def _end_early(self, walk: _Walk, todo: list[Event]) -> bool:
        """Pauses and pending answers of a scope that turns back: their time is up."""
        state, index = walk.place.state, self.machine.index
        for path, (scope, seconds) in self.early.items():
            called = state.codes[index[path]] in {a.STARTED, a.RESTARTED}
            if called and state.codes[index[scope]] not in a.FORWARD:
                todo.append(self.machine.event("unknown", path))
                walk.cut += seconds
                walk.also = (*walk.also, ("call", path))
        return bool(todo)


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
