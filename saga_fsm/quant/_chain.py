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

from array import array
from typing import NamedTuple, TypeAlias

import attrs

from saga_fsm.definition.layout import Layout, PlacedEach
from saga_fsm.errors import StateSpaceLimitError
from saga_fsm.machine import (
    Codes,
    Event,
    Status,
)
from saga_fsm.quant._driven import (
    AGAIN,
    FIRST,
    KIND,
    TIMERS,
    Driven,
    LegKey,
    Legs,
    Owed,
    Place,
    Walk,
)
from saga_fsm.quant._legs import Leg


#: The number of a place, with the legs that are not at their first attempt.
Key: TypeAlias = int | tuple[int, Legs]


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
        exploring.driven.machine.fingerprint,
        exploring.choices,
        exploring.edges,
        exploring.target,
        exploring.label,
        list(exploring.labels),
        exploring.group,
        exploring.rests,
        exploring.widest,
    )


class _Exploring:
    """A breadth-first walk over everything that has odds."""

    def __init__(self, layout: Layout, legs: dict[LegKey, Leg], limit: int) -> None:
        self.layout = layout
        self.legs = legs
        self.limit = limit
        self.driven = Driven(layout, legs)
        self.queried = {path for path, x in layout.steps.items() if x.step.query is not None}
        self.numbers: dict[Key, int] = {}
        self.at: list[Place] = []
        self.having: list[Legs] = []
        self.circles: dict[tuple[Codes, Legs], int] = {}
        self.labels: dict[Label, int] = {}
        self.priced: dict[tuple[int, float, float, tuple[LegKey, ...]], int] = {}
        self.choices, self.edges = array("q", [0]), array("q", [0])
        self.target, self.label, self.group = array("q"), array("q"), array("q")
        self.rests: dict[int, tuple[Status, Owed]] = {}
        self.widest = 1
        # What may come of a choice: remembered by automaton, local state and number.
        self.answers: dict[tuple[int, int, int], list[tuple[int, Event, int]]] = {}

    def run(self) -> None:
        walk = Walk(self.driven.place(self.driven.machine.initial), {})
        self.driven.take(walk, self.driven.machine.event("start"))
        self._number(walk)
        done = 0
        while done < len(self.at):
            self._expand(done)
            done += 1

    def _expand(self, number: int) -> None:
        place, known = self.at[number], dict(self.having[number])
        codes, open_ = place.state.codes, place.open
        if not open_:
            self.rests[number] = self.driven.rest(place)
        elif len(open_) > self.widest:
            self.widest = len(open_)
        target, labelled = self.target.append, self.label.append
        for v in open_:
            leg = known.get(v, FIRST)
            choice = (v, codes[v], leg)
            answers = self.answers.get(choice)
            if answers is None:
                found = self._answers(*choice)
                answers = [(self._listed(label), event, after) for label, event, after in found]
                self.answers[choice] = answers
            for label, event, after in answers:
                walk = Walk(place, known.copy())
                if after != leg:
                    walk.legs[v] = after
                self.driven.take(walk, event)
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

    def _number(self, walk: Walk) -> int:
        """The number of the state that a walk has come to, waits passed that stand alone."""
        while (v := walk.place.lone) >= 0:
            walk.waited += self.driven.wait(v, walk.place.state.codes[v], walk.legs[v])
            self.driven.take(walk, self.driven.machine.event("retry", self.driven.paths[v]))
        place, numbers = walk.place, walk.legs
        legs: Legs = ()
        if numbers:
            legs = tuple([(v, numbers[v]) for v in place.open if numbers.get(v, FIRST) != FIRST])
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
            patience = self.driven.patience.get((KIND[codes[v]], self.driven.paths[v]))
            if patience is not None and patience.forever and n >> 1 == patience.last:
                circles = True
                after[v] = AGAIN.get(codes[v], codes[v])
        if not circles:
            return number
        return self.circles.setdefault((codes.__class__(after), legs), number)

    # ------------------------------------------------------------------ what may come

    def _answers(self, v: int, code: int, leg: int) -> list[tuple[Label, Event, int]]:
        """Each edge of a choice: its label, its event, and the leg's number at that event."""
        path, event = self.driven.paths[v], self.driven.machine.event
        if code in TIMERS:
            wait = self.driven.wait(v, code, leg)
            return [(Label(None, seconds=wait), event("retry", path), leg)]
        key = KIND[code], path
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
            return self.driven.machine.event(outcome, path)
        each = isinstance(self.layout.decisions[path], PlacedEach)
        return self.driven.machine.event("items" if each else "chose", path, outcome)
