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
from saga_fsm.product._network import NOWHERE, Field, Forbidden, Guard, Literal, conjunction
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
        automata = range(len(machine.automata))
        quiet = [self.read.coded(v, OWING, among=False) for v in automata]
        full = [len(self.fields[v].values) for v in automata]
        at_rest: Cube = {v: x for v, x in enumerate(quiet) if len(x) < full[v]}
        begun = self._but(machine.automata[0].path, {"pending"})
        (resting,) = both([at_rest], begun)
        # What many rules ask is made once and shared: there are as many rules as steps.
        self._resting: Guard = tuple(resting.items())
        unbroken = ((v, self.read.coded(v, BROKEN, among=False)) for v in automata)
        self._sound = conjunction(self._resting, unbroken) or NOWHERE
        self.rest = self._resting if up is None else (*self._resting, (up, frozenset({0})))
        self._by_first = self._starting_rows()
        self.marks = [*self._starts(), *self._ends()]

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
        self,
        step: str,
        when: Condition,
        sayings: Mapping[str, tuple[str, str]],
        shared: Guard = (),
    ) -> Iterator[Forbidden]:
        for one in when:
            yield Forbidden(step, tuple(one.items()), sayings, shared)

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
        text = "at rest, with no end and nothing that gave up: a deadlock"
        yield from self._say("", self._but(root, _ENDED), {"": ("I4", text)}, self._sound)

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
            yield from self._say(path, both(owed, unlisted), sayings, self._resting)
            yield from self._say(path, both(ended, owed, listed), sayings, self._sound)
            text = f"stuck, and {path} is listed, for which nothing is owed"
            when = both(not_ended, settled, listed)
            yield from self._say(path, when, {"": ("I3", text)}, self._resting)

    def _nets(self) -> Iterator[Forbidden]:
        """I1 to I3: whose effect stands, and whose is missing."""
        for path, placed in self.layout.steps.items():
            if placed.kind is Kind.READONLY:
                continue
            none = self.duties.covered[placed.scope][1]
            wholes = [x for x in self.duties.around(placed.scope) if x in self.duties.inside]
            unwhole: Cube = {self.at[f"~{x}"]: frozenset({NONE}) for x in wholes}
            ledger = self.at[f"~{path}"]
            stands = both(none, self._in(path, CLEAN), [unwhole])
            for value, times in ((LANDED, 1), (TWICE, 2)):
                when = both(stands, [{ledger: frozenset({value})}])
                yield from self._say(path, when, _unwanted(path, times, 0), self._resting)
            wanted = both(none, self._in(path, {"done"}), self.duties.back[placed.scope][1])
            missing = [{ledger: frozenset(range(6)) - {LANDED, TWICE}}]
            missing += [{self.at[f"~{x}"]: frozenset(range(1, 6))} for x in wholes]
            when = both(wanted, missing)
            yield from self._say(path, when, _unwanted(path, 0, 1), self._resting)
        for path in self.duties.inside:
            by, _ = self.duties.covered[path]
            when = both(
                by[path],
                self._in(path, {"compensated"}),
                [{self.at[f"~{path}"]: frozenset({NONE})}],
            )
            text = f"{path} counts as undone as a whole, and nothing undid it"
            yield from self._say(path, when, {"": ("I2", text)}, self._resting)

    def _let_go(self) -> Iterator[Forbidden]:
        """I11: a semantic lock is let go by the undo, or by a retriable that names it."""
        root = self.machine.automata[0].path
        for path, lock, releases in self._locks:
            when = both(
                self._in(root, {"done"}),
                self._in(path, {"done"}),
                *(self._but(one, {"done"}) for one in releases),
            )
            text = f"completed, and nothing let go of the lock '{lock}' of {path}"
            yield from self._say(path, when, {"": ("I11", text)}, self._sound)

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
            rows = self._by_first.get(self.machine.index[path], [])
            around = "the saga" if self.layout.scopes[scope].parent is None else scope
            text = f"{path} starts while {around} is turning back"
            yield from self._mark("I5", path, text, rows, self._in(scope, BACK))
            for pivot, surely in awaited.get(path, ()):
                text = f"{path} starts before the pivot {pivot} is done"
                open_ = {*_FORWARD, "stuck"}
                early = self._but(pivot, {"done"}) if surely else self._in(pivot, open_)
                yield from self._mark("I7", path, text, rows, early)

    def _starting_rows(self) -> dict[int, list[int]]:
        """Per automaton: the rows by which it leaves its first local state."""
        automata = self.machine.automata
        found: dict[int, list[int]] = {}
        for number, row in enumerate(self.machine.rows):
            asked = dict(row.guard)
            for v, code in row.update:
                first = automata[v].locals[0]
                if code != first and first in asked.get(v, ()):
                    found.setdefault(v, []).append(number)
        return found

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
