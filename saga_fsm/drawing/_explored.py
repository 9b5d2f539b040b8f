"""
The states of a machine, as far as a picture needs them, and the boxes that they are put in.

A picture of two thousand states shows nothing. Up to 40 are drawn one by one; above that, states
become one box when the same step is going forward, or the same one is undone, or they have ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

import attrs

from saga_fsm.drawing._flow import without_index
from saga_fsm.machine import Event, Finished, Machine, Row, State, Status, Transition
from saga_fsm.machine import _alphabet as a


WHOLE: Final = 40
LIMIT: Final = 5_000
_UNITS: Final = 14
# Phase ("forward", "undoing", "repair", "new", "completed", ...) and number of the unit in it.
Box: TypeAlias = tuple[str, int]


@attrs.frozen
class Explored:
    """
    What was found.

    Args:
        boxes: the box of each state, in the order of the picture.
        transitions: between the states.
        units: the names of the steps, or of groups of them, that boxes are numbered by.
        whole: each state has a box for itself.
        complete: nothing was left out.
        put: gives the box of any other state.
    """

    boxes: dict[State, Box]
    transitions: tuple[Transition, ...]
    units: tuple[tuple[str, ...], ...]
    whole: bool
    complete: bool
    put: Callable[[State], Box] = attrs.field(repr=False, eq=False)

    def box(self, state: State) -> Box:
        """The box of a state, found or not."""
        return self.boxes.get(state) or self.put(state)


def explore(machine: Machine, *, limit: int = LIMIT) -> Explored:
    """Find the states and put them in boxes; of more than ``limit``, some of each box."""
    owing = [x.path for x in machine.automata if x.owed and x.sort != "stop"]
    names = list(dict.fromkeys(map(without_index, owing)))
    search = _Search(machine, _by_unit([(name,) for name in names]), limit)
    usual = search.run()
    if search.complete and len(search.seen) <= WHOLE:
        boxes: dict[State, Box] = {state: ("alone", i) for i, state in enumerate(search.seen)}
        units: list[tuple[str, ...]] = [(name,) for name in names]
        put = _by_unit(units)
    else:
        units = _grouped(_beside(names, usual))
        put = _with_repairs(_by_unit(units), usual if search.settled else None)
        boxes = {state: put(state) for state in search.seen}
    return Explored(
        boxes,
        tuple(search.transitions),
        tuple(units),
        whole=boxes[machine.initial] == ("alone", 0),
        complete=search.complete,
        put=put,
    )


class _Offers:
    """
    The events that have a row in a state: ``Machine.accepts``, made for asking thousands of times.

    A row is looked up by the local state of its own automaton, and most automata of a long saga
    are in a state that knows no event.
    """

    def __init__(self, machine: Machine) -> None:
        self.number = {event: i for i, event in enumerate(machine.events)}
        self.rows: dict[tuple[int, int], list[Row]] = {}
        self.always: list[Row] = []
        for row in machine.rows:
            if row.event is None:
                continue
            codes = next((allowed for v, allowed in row.guard if v == row.automaton), None)
            if codes is None:
                self.always.append(row)
            for code in codes or ():
                self.rows.setdefault((row.automaton, code), []).append(row)

    def of(self, state: State) -> list[Event]:
        codes = state.codes
        rows = self.always.copy()
        for place in enumerate(codes):
            rows += self.rows.get(place, ())
        events = {
            row.event: None
            for row in rows
            if row.event is not None and all(codes[v] in allowed for v, allowed in row.guard)
        }
        return sorted(events, key=self.number.__getitem__)


class _Search:
    """Breadth first, box by box in turn, so that every box is seen before the limit."""

    def __init__(self, machine: Machine, put: Callable[[State], Box], limit: int) -> None:
        self.machine = machine
        self.offers = _Offers(machine)
        self.put = put
        self.limit = limit
        self.seen: dict[State, None] = {machine.initial: None}
        self.transitions: list[Transition] = []
        self.todo: dict[Box, deque[State]] = {}
        self.taken: dict[Box, int] = {}
        self.settled = True
        self.complete = True

    def run(self) -> set[State]:
        """Search; answer the states that need no operator and no late answer."""
        late: list[Transition] = []
        self._wait(self.machine.initial)
        while (state := self._next(self.limit // 2)) is not None:
            for event in self.offers.of(state):
                target = self.machine.step(state, event).state
                move = Transition(state, event, target)
                if _is_late(state, event):
                    late.append(move)
                else:
                    self._take(move)
        usual = set(self.seen)
        self.settled = self.complete
        for move in late:
            self._take(move)
        while (state := self._next(self.limit)) is not None:
            for event in self.offers.of(state):
                self._take(Transition(state, event, self.machine.step(state, event).state))
        return usual

    def _take(self, move: Transition) -> None:
        new = move.target not in self.seen
        if new and len(self.seen) >= self.limit:
            self.complete = False
            return
        self.transitions.append(move)
        if new:
            self.seen[move.target] = None
            self._wait(move.target)

    def _wait(self, state: State) -> None:
        self.todo.setdefault(self.put(state), deque()).append(state)

    def _next(self, limit: int) -> State | None:
        open_boxes = [box for box, states in self.todo.items() if states]
        if not open_boxes:
            return None
        if len(self.seen) >= limit:
            self.complete = False
            return None
        box = min(open_boxes, key=lambda one: self.taken.get(one, 0))
        self.taken[box] = self.taken.get(box, 0) + 1
        return self.todo[box].popleft()


def _is_late(state: State, event: Event) -> bool:
    if event.kind == "retry":
        return state.codes[state.machine.index[event.target]] in a.BROKEN
    return event.kind in {"resolve", "late_done"}


def active(state: State) -> tuple[str, ...]:
    """The paths of all that is in flight, deadlines left out."""
    owed = state.machine.owed(state)
    targets = (effect.target for effect in owed if not isinstance(effect, Finished))
    return tuple(dict.fromkeys(path for path in targets if not path.endswith("@stop")))


def _by_unit(units: Sequence[tuple[str, ...]]) -> Callable[[State], Box]:
    """Put a state where its first step goes on, or its last one is undone."""
    number = {name: i for i, names in enumerate(units) for name in names}

    def put(state: State) -> Box:
        status = state.status
        if status not in {Status.RUNNING, Status.COMPENSATING}:
            return status.value, 0
        going = [number.get(without_index(path), 0) for path in active(state)] or [0]
        if status is Status.RUNNING:
            return "forward", min(going)
        return "undoing", max(going)

    return put


def _with_repairs(put: Callable[[State], Box], usual: set[State] | None) -> Callable[[State], Box]:
    """What goes on only after an operator or a late answer is a box of its own."""

    def put_late(state: State) -> Box:
        box = put(state)
        if box[0] in {"forward", "undoing"}:
            late = not a.BROKEN.isdisjoint(state.codes) if usual is None else state not in usual
            return ("repair", 0) if late else box
        return box

    return put_late


def _beside(names: Sequence[str], usual: set[State]) -> list[tuple[str, ...]]:
    """What is in flight at the same time is one unit: parallel branches have no order."""
    head = {name: name for name in names}

    def root(name: str) -> str:
        while head[name] != name:
            name = head[name]
        return name

    for state in usual:
        if state.status is Status.RUNNING:
            first, *others = [root(without_index(path)) for path in active(state)] or [""]
            for other in others:
                # The smaller one, whatever comes first: a set has no order to rely on.
                one, two = sorted((root(first), root(other)))
                head[two] = one
    units: dict[str, list[str]] = {}
    for name in names:
        units.setdefault(root(name), []).append(name)
    return [tuple(unit) for unit in units.values()]


def _grouped(units: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """At most 14 units: neighbours are put together."""
    most = min(_UNITS, len(units))
    cuts = [len(units) * i // most for i in range(most + 1)]
    return [tuple(name for unit in units[a:b] for name in unit) for a, b in pairwise(cuts)]
