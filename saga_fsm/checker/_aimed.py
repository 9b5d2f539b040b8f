"""
The shortest run by which one step's participant breaks a saga, in sagas too large to search whole.

A search of the saga's own machine that is aimed at one step: it keeps that step's ledger alone.
Everybody else keeps to what is promised, and what happens to them is not hurried: no late copies,
no crash. None of that can make a run shorter, since each such move is one more, and whatever it
leads to is led to without it: a step that lands late could have answered, a call that a crash cuts
off could have gone unanswered. So of the others only their local states matter.

Before the step starts, only that happens which leads there (found backwards through the guards).
After that, of the others only the first that has something to do moves: what units of one scope do
at the same time may be done one after the other. Nodes are taken by the length so far and what is
at least still to come (A*): each call that is open must be answered before the run can rest.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from saga_fsm.checker._distances import PROVEN, Distances, Way
from saga_fsm.compiler import Order
from saga_fsm.definition import Contract, Kind
from saga_fsm.definition.layout import ROOT, Layout
from saga_fsm.machine import Codes, Machine, State
from saga_fsm.machine._alphabet import FIRST_LABEL, SCOPE_HALTING, SCOPE_UNDOING
from saga_fsm.product import Guard, holds, network_of
from saga_fsm.product._environment import LANDED, LEDGER, NONE, TWICE, of_step


# So many nodes are taken for the shortest run, and then as many again for a run at all.
BUDGET = 4_000
_HASTE = 4
_NEVER = 1 << 30

_CALLED = {"started", "restarted"}
# Of runs that seem equal the first is tried first: who is rejected has nothing to undo.
_ANSWERS = {
    **dict.fromkeys(_CALLED, ("rejected", "done", "unknown", "transient")),
    "querying": ("absent", "unknown"),
    "compensating": ("compensated", "unknown"),
    "whole_compensating": ("compensated", "unknown"),
    **dict.fromkeys(
        ("waiting", "query_waiting", "compensation_waiting", "whole_waiting"),
        ("exhausted", "retry"),
    ),
}
# Each of these ends with an event of its own, before the run can rest.
_IN_FLIGHT = frozenset({*_CALLED, "querying", "deciding"})
_UNANSWERED = _IN_FLIGHT | {"compensating", "whole_compensating", "unknown"}

# A scope that turns back by itself: halting, undoing.
_BACK = frozenset({SCOPE_HALTING, SCOPE_UNDOING})

Node: TypeAlias = tuple[Codes, int]


class Aimed(NamedTuple):
    """
    What an aimed search found.

    Args:
        run: the tokens of a run; None if there is none, or none was found.
        decided: whether no shorter run can be, or no run at all; False where the budget ran out.
    """

    run: list[str] | None
    decided: bool


def aimed(layout: Layout, machine: Machine, path: str, kept: Contract) -> Aimed:
    """
    A shortest run in which a participant that keeps so much breaks the saga.

    Where it cannot be told from others within the budget, a run that may be longer.
    """
    aim = _Aim(layout, machine, path, kept)
    run = aim.search(1)
    if run is None and aim.cut_short:
        return Aimed(aim.search(_HASTE), decided=False)
    return Aimed(run, decided=True)


class _Aim:
    def __init__(self, layout: Layout, machine: Machine, path: str, kept: Contract) -> None:
        self.cut_short = False
        self.machine = machine
        self._asking: dict[str, list[dict[int, frozenset[int]]]] = {}
        for row in machine.rows:
            if row.event is not None:
                self._asking.setdefault(row.event, []).append(dict(row.guard))
        self.wrong = _Wrong(layout, machine, path, kept)
        self.placed = layout.steps[path]
        self.path, self.kept = path, kept
        self.at = machine.index[path]
        self.pending = machine.automata[self.at].locals[0]
        self.leads = _leading(machine, self.at)
        owners = {*layout.steps, *layout.decisions, *layout.scopes}
        own = {*layout.steps, *layout.decisions}
        own |= {one for one, scope in layout.scopes.items() if scope.compensate is not None}
        self.far = Distances(machine, self.placed, kept)
        self.way = Way(layout, machine, path)
        self.free = [
            str(event)
            for event in machine.events
            if event.target not in own and event != "deadline"
        ]
        self.events = {
            v: self._events_of(v, event_path)
            for v, event_path in enumerate(x.path for x in machine.automata)
            if event_path in owners and v != self.at
        }
        self.unanswered = self._codes(_UNANSWERED, ROOT)
        self.undone = list(self._undone(layout))
        # Who must be undone after this step; and who flies in its scope, which then has drained.
        scope = self.placed.scope
        self.scope = machine.index[scope]
        later = Order(layout.scopes[scope].body).successors
        self.earlier = [machine.index[x] for x, after in later.items() if x and path in after]
        self.flying = self._codes(_IN_FLIGHT, scope)

    def _undone(self, layout: Layout) -> Iterator[tuple[int, int, frozenset[int]]]:
        """
        Units that nothing comes after, their scope, and where they have one more move to make.

        In a scope that turns back they are undone, whoever waits: unless somebody in it is stuck.
        """
        may_stick = {
            automaton.scope
            for automaton in self.machine.automata
            if any(x < FIRST_LABEL and automaton.local(x) == "stuck" for x in automaton.locals)
        }
        last = {
            path
            for scope in layout.scopes.values()
            for path, after in Order(scope.body).successors.items()
            if not after
        }
        for path, placed in layout.steps.items():
            v = self.machine.index[path]
            if v == self.at or placed.kind is not Kind.COMPENSATABLE or may_stick:
                continue
            if path not in last:
                continue
            names = {"done"} if placed.contract.sticky else {"done", *_CALLED}
            automaton = self.machine.automata[v]
            codes = frozenset(x for x in automaton.locals if automaton.local(x) in names)
            yield v, self.machine.index[placed.scope], codes

    def _codes(self, names: frozenset[str], scope: str) -> list[tuple[int, frozenset[int]]]:
        """The local states with these names of everybody else in a scope, where there are any."""
        found = []
        inside = {scope}
        for v, automaton in enumerate(self.machine.automata):
            if automaton.scope in inside or scope == ROOT:
                inside.add(automaton.path)
                codes = frozenset(x for x in automaton.locals if automaton.local(x) in names)
                if codes and v in self.events:
                    found.append((v, codes))
        return found

    def _events_of(self, v: int, path: str) -> dict[int, list[str]]:
        """By local state, what may be heard of somebody else."""
        automaton = self.machine.automata[v]
        known = [event for event in self.machine.events if event.target == path]
        found = {}
        for code in automaton.locals:
            local = automaton.local(code)
            kinds: tuple[str, ...] = _ANSWERS.get(local, ())
            if automaton.sort in {"choice", "each"}:
                # A label is the user's word, and no local state of that name.
                asked = local == "deciding" and code == min(
                    x for x in automaton.locals if automaton.local(x) == "deciding"
                )
                kinds = ("chose", "items", "chooser_failed") if asked else ()
            if "retriable" in automaton.traits:
                # What must be done at last is not rejected.
                kinds = tuple(kind for kind in kinds if kind != "rejected")
            events = [str(event) for kind in kinds for event in known if event.kind == kind]
            if events:
                found[code] = [e for e in events if self._hears(v, code, e)]
        return found

    # ------------------------------------------------------------------ the search

    def search(self, haste: int) -> list[str] | None:
        """Best first; ``haste`` 1 gives a shortest run, more a run sooner."""
        start: Node = (self.machine.initial.codes, NONE)
        length = {start: 0}
        came: dict[Node, tuple[Node, str]] = {}
        order = itertools.count()
        heap = [(0, 0, 0, start)]
        self.cut_short = True
        for _ in range(BUDGET):
            if not heap:
                self.cut_short = False
                return None
            _, _, _, node = heapq.heappop(heap)
            if self.broken(node):
                return _tokens(came, node)
            steps = length[node] + 1
            for token, after in self.moves(node):
                if steps < length.get(after, steps + 1):
                    length[after] = steps
                    came[after] = node, token
                    first = steps + haste * self.least(after)
                    heapq.heappush(heap, (first, -steps, next(order), after))
        return None

    def least(self, node: Node) -> int:
        """At least so many moves are still to come."""
        codes, ledger = node
        here = codes[self.at], ledger
        twice = self.far.twice.get(here, _NEVER)
        calls = sum(codes[v] in open_ for v, open_ in self.unanswered)
        calls += sum(codes[v] in owed for v, scope, owed in self.undone if codes[scope] in _BACK)
        rest = calls + self.far.wrong.get(here, _NEVER)
        late = _NEVER
        if self.earlier:
            flying = sum(codes[v] in flight for v, flight in self.flying)
            late = flying + self.far.alarm.get(here, _NEVER)
        bound = min(twice, rest, late)
        if codes[self.at] != self.pending:
            return bound
        # Calls that are open on the way are answered on the way.
        bound = min(twice, self.far.wrong.get(here, _NEVER), self.far.alarm.get(here, _NEVER))
        return bound + self.way.left(codes)

    def broken(self, node: Node) -> bool:
        """Whether the step's effect stands where it must not, or does not where it must."""
        codes, ledger = node
        if ledger == TWICE:
            return True
        local = self.machine.automata[self.at].local(codes[self.at])
        state = State(codes, self.machine)
        if local == "alarm" and self._out_of_order(codes):
            return True
        if PROVEN.get(local) in {None, int(ledger == LANDED)}:
            return False
        if not state.status.resting:
            return False
        return self.wrong.holds(codes, ledger)

    def _out_of_order(self, codes: Codes) -> bool:
        """I5: an effect that came late stands while a step before it is being undone."""
        if self.machine.automata[self.scope].local(codes[self.scope]) != "undoing":
            return False
        undone = (self.machine.automata[v].local(codes[v]) for v in self.earlier)
        return any(local in {"compensating", "compensation_waiting"} for local in undone)

    def moves(self, node: Node) -> Iterator[tuple[str, Node]]:
        """What may happen next, as far as it may matter."""
        codes, ledger = node
        started = codes[self.at] != self.pending
        if started:
            local = self.machine.automata[self.at].local(codes[self.at])
            for row in of_step(self.placed, self.kept, local, ledger, up=True):
                after = ledger if row.ledger is None else row.ledger
                if row.event is None:
                    yield row.token, (codes, after)
                elif self._hears(self.at, codes[self.at], row.event):
                    yield from self._heard(codes, row.event, after)
        for event in self.free:
            if started or event in self.leads:
                yield from self._heard(codes, event, ledger)
        for v, by_code in self.events.items():
            events = by_code.get(codes[v], ())
            if not started:
                events = [event for event in events if event in self.leads]
            if events:
                for event in events:
                    yield from self._heard(codes, event, ledger)
                return

    def _heard(self, codes: Codes, event: str, ledger: int) -> Iterator[tuple[str, Node]]:
        if event not in self._asking:
            return
        after = self.machine.step(State(codes, self.machine), event).state.codes
        if after != codes:
            yield event, (after, ledger)

    def _hears(self, v: int, code: int, event: str) -> bool:
        """Whether an automaton in this local state may have a row for the event at all."""
        return any(code in asked.get(v, (code,)) for asked in self._asking.get(event, ()))


class _Wrong:
    """What the product forbids of one step at rest, whatever became of the other participants."""

    def __init__(self, layout: Layout, machine: Machine, path: str, kept: Contract) -> None:
        network = network_of(layout, machine, kept={path: kept}, locks=False)
        self.fields = network.fields
        names = [field.name for field in self.fields]
        self.ledger = names.index(f"~{path}")
        self.guards: list[Guard] = [
            one.guard
            for one in network.forbidden
            if one.step == path and any(f == self.ledger for f, _ in one.asks)
        ]

    def holds(self, codes: Codes, ledger: int) -> bool:
        """Whether it is so here; a saga around it is taken as not undone as a whole."""
        values = [0] * len(self.fields)
        for v, code in enumerate(codes):
            values[v] = self.fields[v].codes.index(code)
        values[self.ledger] = self.fields[self.ledger].values.index(LEDGER[ledger])
        return any(holds(guard, values) for guard in self.guards)


def _tokens(came: dict[Node, tuple[Node, str]], node: Node) -> list[str]:
    tokens = []
    while node in came:
        node, token = came[node]
        tokens.append(token)
    return tokens[::-1]


def _leading(machine: Machine, at: int) -> frozenset[str]:
    """The events without which a step cannot start, or by which it may start: found backwards."""
    entering: dict[tuple[int, int], list[int]] = {}
    for number, row in enumerate(machine.rows):
        for literal in row.update:
            entering.setdefault(literal, []).append(number)
    first = [automaton.locals[0] for automaton in machine.automata]
    todo = [(at, code) for code in machine.automata[at].locals if code != first[at]]
    todo = [x for x in todo if machine.automata[at].local(x[1]) == "started"]
    seen, rows = set(todo), set()
    while todo:
        for number in entering.get(todo.pop(), ()):
            if number in rows:
                continue
            rows.add(number)
            for v, allowed in machine.rows[number].guard:
                for literal in ((v, code) for code in allowed if v != at and code != first[v]):
                    if literal not in seen:
                        seen.add(literal)
                        todo.append(literal)
    return frozenset(str(row.event) for row in (machine.rows[x] for x in rows) if row.event)
