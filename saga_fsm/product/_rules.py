"""
What may never be, as guards: I1 to I3, I4 (deadlock), I5 to I7, I9, I11 of semantics.md 1.11.

Written from the definition (own precedence, own kinds, own reading of what is owed), never from the
rows that are checked. A guard is a conjunction; where a rule is a disjunction it is several.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from saga_fsm.compiler import Order
from saga_fsm.definition import Kind
from saga_fsm.definition.layout import Layout
from saga_fsm.machine import Machine
from saga_fsm.machine._alphabet import BROKEN, OWING
from saga_fsm.product._conditions import Condition, Cube, Reader, both
from saga_fsm.product._duties import BACK, CLEAN, OPEN, Duties
from saga_fsm.product._environment import LANDED, NONE, TWICE
from saga_fsm.product._network import Field, Forbidden, Guard, Literal
from saga_fsm.product._pivots import awaited_by, made_final


_CAUSES = {*OPEN, "whole_failed"}
_ENDED = {"done", "compensated"}
_FORWARD = {"started", "restarted", "querying", "waiting", "query_waiting"}
_DRAINED = {"held", "undoing", "compensated"}
_COMPLETED, _COMPENSATED, _STUCK = "completed", "compensated", "stuck"


class Mark(NamedTuple):
    """
    Rows that may not be taken where one field has one of these values.

    Args:
        rule: the invariant that it breaks.
        step: path of the step it is about.
        sentence: what is wrong.
        rows: numbers of the machine's rows.
        when: the field and its values.
    """

    rule: str
    step: str
    sentence: str
    rows: frozenset[int]
    when: Literal


class Rules:
    """
    The rules of one saga.

    Args:
        layout: the saga, laid out.
        machine: whose states they are about.
        fields: the machine's automata and the ledgers, ``~path``.
        up: the field of the orchestrator's health; None where it never fails.
        locks: whether a lock that nobody lets go is a breach.
    """

    def __init__(
        self,
        layout: Layout,
        machine: Machine,
        fields: Sequence[Field],
        up: int | None,
        *,
        locks: bool = True,
    ) -> None:
        self.layout = layout
        self.machine = machine
        self.fields = fields
        self.read = Reader(fields)
        self.at = self.read.at
        self._in, self._but = self.read.among, self.read.but
        self.duties = Duties(layout, machine, self.read)
        self._locks = list(_locks(layout)) if locks else []
        self._automata = range(len(machine.automata))
        quiet = [self.read.coded(v, OWING, among=False) for v in self._automata]
        full = [len(self.fields[v].values) for v in self._automata]
        self._at_rest: Cube = {v: x for v, x in enumerate(quiet) if len(x) < full[v]}
        begun = self._but(machine.automata[0].path, {"pending"})
        self._resting = both([self._at_rest], begun)
        alive: Cube = {} if up is None else {up: frozenset({0})}
        self.rest: Guard = tuple(both(self._resting, [alive])[0].items())
        self._unbroken: Cube = {v: self.read.coded(v, BROKEN, among=False) for v in self._automata}
        self.marks = [*self._starts(), *self._ends()]

    # ------------------------------------------------------------------ reading the fields

    # ------------------------------------------------------------------ what no state may be

    def forbidden(self) -> Iterator[Forbidden]:
        """All of it, but for the marks of rows."""
        yield from self._twice()
        yield from self._order()
        yield from self._no_return()
        yield from self._deadlock()
        yield from self._lists()
        yield from self._nets()
        yield from self._let_go()

    def _say(
        self, step: str, when: Condition, sayings: Mapping[str, tuple[str, str]]
    ) -> Iterator[Forbidden]:
        for one in when:
            # What is asked of few comes first: most states fail there.
            guard = sorted(one.items(), key=lambda literal: literal[0] in self._at_rest)
            yield Forbidden(step, tuple(guard), sayings)

    def _twice(self) -> Iterator[Forbidden]:
        for path, placed in self.layout.steps.items():
            if placed.kind is not Kind.READONLY:
                when: Condition = [{self.at[f"~{path}"]: frozenset({TWICE})}]
                yield from self._say(path, when, {"": ("I6", f"{path} has landed twice")})

    def _order(self) -> Iterator[Forbidden]:
        for scope, placed in self.layout.scopes.items():
            for unit, successors in Order(placed.body).successors.items():
                if not unit:
                    continue
                undone = self._in(unit, {"compensating", "compensation_waiting"})
                for later in successors:
                    when = both(undone, self._in(scope, {"undoing"}), self._but(later, CLEAN))
                    text = f"{unit} is undone while {later}, after it, is not"
                    yield from self._say(unit, when, {"": ("I5", text)})
                for here in sorted(_FORWARD):
                    text = f"{unit} is {here} in a scope that has drained to be undone"
                    when = both(self._in(unit, {here}), self._in(scope, _DRAINED))
                    yield from self._say(unit, when, {"": ("I5", text)})
                text = f"{unit} is undone past the point of no return"
                when = both(
                    self._in(unit, {"compensating"}),
                    self._in(scope, {"committed", "done"}),
                )
                yield from self._say(unit, when, {"": ("I7", text)})

    def _no_return(self) -> Iterator[Forbidden]:
        for path, placed in self.layout.steps.items():
            if placed.kind is not Kind.PIVOT:
                continue
            for inside in made_final(self.layout, placed):
                text = f"{inside} is undone after the pivot {path} is done"
                when = both(self._in(inside, {"compensating"}), self._in(path, {"done"}))
                yield from self._say(inside, when, {"": ("I7", text)})

    def _deadlock(self) -> Iterator[Forbidden]:
        root = self.machine.automata[0].path
        when = both(self._resting, self._but(root, _ENDED), [self._unbroken])
        text = "at rest, with no end and nothing that gave up: a deadlock"
        yield from self._say("", when, {"": ("I4", text)})

    def _lists(self) -> Iterator[Forbidden]:
        """I3: what is owed is listed, all of it and nothing else; I1, I2: at an end it is not."""
        root = self.machine.automata[0].path
        ended, not_ended = self._in(root, _ENDED), self._but(root, _ENDED)
        for path, (owed, settled) in self.duties.owed():
            listed, unlisted = self.duties.listed(path)
            open_ = f"and what became of {path} is open"
            sayings = {
                _COMPLETED: ("I1", f"completed, {open_}"),
                _COMPENSATED: ("I2", f"compensated, {open_}"),
                _STUCK: ("I3", f"stuck, and {path}, which is open, is not listed"),
            }
            yield from self._say(path, both(self._resting, owed, unlisted), sayings)
            when = both(self._resting, ended, [self._unbroken], owed, listed)
            yield from self._say(path, when, sayings)
            text = f"stuck, and {path} is listed, for which nothing is owed"
            when = both(self._resting, not_ended, settled, listed)
            yield from self._say(path, when, {"": ("I3", text)})

    def _nets(self) -> Iterator[Forbidden]:
        """I1 to I3: whose effect stands, and whose is missing."""
        for path, placed in self.layout.steps.items():
            if placed.kind is Kind.READONLY:
                continue
            none = both(self._resting, self.duties.covered[placed.scope][1])
            wholes = [x for x in self.duties.around(placed.scope) if x in self.duties.inside]
            unwhole: Cube = {self.at[f"~{x}"]: frozenset({NONE}) for x in wholes}
            ledger = self.at[f"~{path}"]
            stands = both(none, self._in(path, CLEAN), [unwhole])
            for value, times in ((LANDED, 1), (TWICE, 2)):
                when = both(stands, [{ledger: frozenset({value})}])
                yield from self._say(path, when, _unwanted(path, times, 0))
            wanted = both(none, self._in(path, {"done"}), self.duties.back[placed.scope][1])
            missing = [{ledger: frozenset(range(6)) - {LANDED, TWICE}}]
            missing += [{self.at[f"~{x}"]: frozenset(range(1, 6))} for x in wholes]
            yield from self._say(path, both(wanted, missing), _unwanted(path, 0, 1))
        for path in self.duties.inside:
            by, _ = self.duties.covered[path]
            when = both(
                self._resting,
                by[path],
                self._in(path, {"compensated"}),
                [{self.at[f"~{path}"]: frozenset({NONE})}],
            )
            text = f"{path} counts as undone as a whole, and nothing undid it"
            yield from self._say(path, when, {"": ("I2", text)})

    def _let_go(self) -> Iterator[Forbidden]:
        """I11: a semantic lock is let go by the undo, or by a retriable that names it."""
        root = self.machine.automata[0].path
        for path, lock, releases in self._locks:
            when = both(
                self._resting,
                self._in(root, {"done"}),
                [self._unbroken],
                self._in(path, {"done"}),
                *(self._but(one, {"done"}) for one in releases),
            )
            text = f"completed, and nothing let go of the lock '{lock}' of {path}"
            yield from self._say(path, when, {"": ("I11", text)})

    # ------------------------------------------------------------------ what no row may do

    def _starts(self) -> Iterator[Mark]:
        """I5: nothing starts in a scope that is turning back; I7: no retriable before its pivot."""
        scope_of = {path: placed.scope for path, placed in self.layout.steps.items()}
        scope_of |= {path: placed.scope for path, placed in self.layout.decisions.items()}
        scope_of |= {
            path: x.parent for path, x in self.layout.scopes.items() if x.parent is not None
        }
        awaited = awaited_by(self.layout)
        for path, scope in scope_of.items():
            rows = self._starting(path)
            around = "the saga" if self.layout.scopes[scope].parent is None else scope
            text = f"{path} starts while {around} is turning back"
            yield from self._mark("I5", path, text, rows, self._in(scope, BACK))
            for pivot, surely in awaited.get(path, ()):
                text = f"{path} starts before the pivot {pivot} is done"
                open_ = {*_FORWARD, "stuck"}
                early = self._but(pivot, {"done"}) if surely else self._in(pivot, open_)
                yield from self._mark("I7", path, text, rows, early)

    def _starting(self, path: str) -> list[int]:
        v = self.machine.index[path]
        first = self.machine.automata[v].locals[0]
        return [
            number
            for number, row in enumerate(self.machine.rows)
            if first in dict(row.guard).get(v, ()) and dict(row.update).get(v, first) != first
        ]

    def _ends(self) -> Iterator[Mark]:
        """I9: a run that has ended stays as it is."""
        root = self.machine.automata[0]
        for name in sorted(_ENDED):
            ended = self._in(root.path, {name})
            rows = [
                number
                for number, row in enumerate(self.machine.rows)
                if any(v == 0 and root.local(x) != name for v, x in row.update)
            ]
            text = f"the run had ended as {name} and goes on"
            yield from self._mark("I9", "", text, rows, ended)

    def _mark(
        self, rule: str, path: str, text: str, rows: Iterable[int], when: Condition
    ) -> Iterator[Mark]:
        """Rows whose own guard does not exclude it; of a right table there are few or none."""
        for one in when:
            ((f, values),) = one.items()
            asked = {self.fields[f].codes[x] for x in values}
            left = [
                x
                for x in rows
                if not asked.isdisjoint(dict(self.machine.rows[x].guard).get(f, asked))
            ]
            if left:
                yield Mark(rule, path, text, frozenset(left), (f, values))


def _unwanted(path: str, times: int, want: int) -> dict[str, tuple[str, str]]:
    stuck = "whose effect stands" if times else "whose effect is missing"
    back = "the effect of {} stands" if times else "the effect of {} is missing"
    return {
        _COMPLETED: ("I1", f"completed, and {path} stands {times} times, not {want}"),
        _COMPENSATED: ("I2", f"compensated, and {back.format(path)}"),
        _STUCK: ("I3", f"stuck, and {path}, {stuck}, is not listed"),
    }


def _locks(layout: Layout) -> Iterator[tuple[str, str, list[str]]]:
    """Each lock that a compensatable step takes, and the retriable steps that let go of it."""
    for path, placed in layout.steps.items():
        if placed.kind is Kind.COMPENSATABLE:
            for lock in placed.step.locks:
                releases = [
                    one
                    for one, other in layout.steps.items()
                    if other.kind is Kind.RETRIABLE and lock in other.step.locks
                ]
                yield path, lock, releases
