"""The rows of scopes, blocks and entries (machine.md 3)."""

from __future__ import annotations

from collections.abc import Sequence

from saga_fsm.compiler._automata import Automata, Unit, stop_path, stops
from saga_fsm.compiler._order import Order
from saga_fsm.compiler._steps import StepRows
from saga_fsm.compiler._table import one_of
from saga_fsm.definition.kinds import Kind
from saga_fsm.definition.layout import (
    Placed,
    PlacedAlternatives,
    PlacedChoice,
    PlacedEach,
    PlacedParallel,
    PlacedScope,
    PlacedStep,
)
from saga_fsm.machine import _alphabet as a
from saga_fsm.machine._table import Literal, Update


_RUNNING = one_of(a.SCOPE_RUNNING)
_COMMITTED = one_of(a.SCOPE_COMMITTED)
_UNDOING = one_of(a.SCOPE_UNDOING)
_HALTED = one_of(a.SCOPE_HALTING, a.SCOPE_INTERRUPTED)
_TO_UNDO = one_of(a.DONE, a.UNKNOWN)
_ALL = frozenset(range(a.FIRST_LABEL))
_NOT_FLIGHT = _ALL - a.FLIGHT


class Rows:
    """
    The second walk through a layout: the rows of its automata.

    Args:
        automata: what the first walk has made.
    """

    def __init__(self, automata: Automata) -> None:
        self.layout = automata.layout
        self.table = automata.table
        self._automata = automata

    def at(self, path: str) -> int:
        return self.table.index[path]

    def commit(self, scope: str) -> list[Update]:
        """
        The point of no return: this scope and those around it.

        Up to and including the first saga that can be undone as a whole. It is part of the pivot's
        own update: as a separate internal row it would race with "scope done".
        """
        updates = []
        path: str | None = scope
        while path is not None:
            updates.append((self.at(path), a.SCOPE_COMMITTED))
            placed = self.layout.scopes[path]
            path = None if placed.compensate is not None else placed.parent
        return updates

    def exit(self, block: Placed) -> list[Literal]:
        """The literals that say that a block has ended forward."""
        if isinstance(block, PlacedStep):
            return [(self.at(block.path), one_of(a.DONE))]
        if isinstance(block, PlacedScope):
            return [(self.at(block.path), one_of(a.SCOPE_DONE))]
        if isinstance(block, PlacedParallel):
            return [literal for branch in block.branches for literal in self.exit(branch)]
        return [(self.at(block.path), one_of(a.BLOCK_DONE))]

    def wire(self, block: Placed, entry: Sequence[Literal]) -> None:
        """The rows that let a block start after ``entry``, and those of what is inside it."""
        if isinstance(block, PlacedStep):
            self._enter(block.path, block, entry, a.PENDING, a.STARTED)
            self._step(block)
        elif isinstance(block, PlacedScope):
            self._enter(block.path, block, entry, a.SCOPE_PENDING, a.SCOPE_RUNNING)
            self.wire_scope(block)
            if not block.tail:
                self._turn_back(block.path, a.SCOPE_COMPENSATED, self.at(self._parent(block)))
        elif isinstance(block, PlacedParallel):
            for branch in block.branches:
                self.wire(branch, entry)
        elif isinstance(block, PlacedChoice):
            self._choice(block, entry)
        elif isinstance(block, PlacedEach):
            self._each(block, entry)
        else:
            self._alternatives(block, entry)

    def _enter(
        self,
        path: str,
        block: PlacedStep | PlacedScope | PlacedChoice | PlacedEach,
        entry: Sequence[Literal],
        first: int,
        target: int,
    ) -> None:
        """Start a unit: before the tail while its scope runs, in the tail once it is committed."""
        scope_path = self._parent(block) if isinstance(block, PlacedScope) else block.scope
        v, scope = self.at(path), self.at(scope_path)
        own: Literal = (v, one_of(first))
        name = f"enter {path}"
        if block.tail or block.gated:
            self.table.when(name, v, [own, (scope, _COMMITTED), *entry], [(v, target)])
        if not block.gated:
            commits = self.commit(scope_path) if block.tail else []
            self.table.when(name, v, [own, (scope, _RUNNING), *entry], [(v, target), *commits])

    @staticmethod
    def _parent(scope: PlacedScope) -> str:
        assert scope.parent is not None  # noqa: S101 - the root is never a unit
        return scope.parent

    def _turn_back(self, path: str, failed: int, scope: int) -> None:
        v = self.at(path)
        guard = [(v, one_of(failed)), (scope, _RUNNING)]
        self.table.when(f"fail {path}", v, guard, [(scope, a.SCOPE_HALTING)])

    def _step(self, placed: PlacedStep) -> None:
        v, scope = self.at(placed.path), self.at(placed.scope)
        commits = self.commit(placed.scope) if placed.kind is Kind.PIVOT else []
        StepRows(self.table, placed, v, scope, commits).write()
        self._turn_back(placed.path, a.REJECTED, scope)
        self._turn_back(placed.path, a.UNKNOWN, scope)

    def _choice(self, block: PlacedChoice, entry: Sequence[Literal]) -> None:
        v, scope = self._decide(block, entry)
        for k, (label, branch) in enumerate(block.branches):
            code = a.FIRST_LABEL + k
            chosen: Literal = (v, one_of(code))
            self.table.on("chose", block.path, v, one_of(a.DECIDING), [(v, code)], argument=label)
            ends = [] if branch is None else self.exit(branch)
            guard = [chosen, (scope, a.FORWARD), *ends]
            self.table.when(f"{block.path}={label} done", v, guard, [(v, a.BLOCK_DONE)])
            if branch is not None:
                self.wire(branch, [chosen])

    def _each(self, block: PlacedEach, entry: Sequence[Literal]) -> None:
        v, scope = self._decide(block, entry)
        most = len(block.body)
        exits = [self.exit(copy) for copy in block.body]
        for n in range(most + 1):
            code = a.FIRST_LABEL + n
            self.table.on("items", block.path, v, one_of(a.DECIDING), [(v, code)], argument=str(n))
            ends = [
                x for e in (exits[:n] if block.concurrent else exits[max(n - 1, 0) : n]) for x in e
            ]
            guard = [(v, one_of(code)), (scope, a.FORWARD), *ends]
            self.table.when(f"{block.path}={n} done", v, guard, [(v, a.BLOCK_DONE)])
        for i, copy in enumerate(block.body):
            more = frozenset(range(a.FIRST_LABEL + i + 1, a.FIRST_LABEL + most + 1))
            before = [] if block.concurrent or i == 0 else exits[i - 1]
            self.wire(copy, [(v, more), *before])

    def _decide(
        self, block: PlacedChoice | PlacedEach, entry: Sequence[Literal]
    ) -> tuple[int, int]:
        """Ask the chooser; that it raises turns back before the tail, and is stuck in it."""
        v, scope = self.at(block.path), self.at(block.scope)
        self._enter(block.path, block, entry, a.BLOCK_PENDING, a.DECIDING)
        asked = one_of(a.DECIDING)
        if block.tail:
            self.table.on("chooser_failed", block.path, v, asked, [(v, a.CHOICE_STUCK)])
            stuck = one_of(a.CHOICE_STUCK)
            self.table.on("retry", block.path, v, stuck, [(v, a.DECIDING)])
        else:
            self.table.on("chooser_failed", block.path, v, asked, [(v, a.CHOOSER_FAILED)])
            self._turn_back(block.path, a.CHOOSER_FAILED, scope)
        return v, scope

    def _alternatives(self, block: PlacedAlternatives, entry: Sequence[Literal]) -> None:
        v, scope = self.at(block.path), self.at(block.scope)
        pending: Literal = (v, one_of(a.BLOCK_PENDING))
        for option in block.options:
            self._enter(option.path, option, entry, a.SCOPE_PENDING, a.SCOPE_RUNNING)
            self.wire_scope(option)
            done: Literal = (self.at(option.path), one_of(a.SCOPE_DONE))
            self.table.when(f"{block.path} done", v, [pending, done], [(v, a.BLOCK_DONE)])
            entry = [(self.at(option.path), one_of(a.SCOPE_COMPENSATED)), pending]
        if not block.tail:
            self._turn_back(block.options[-1].path, a.SCOPE_COMPENSATED, scope)

    # ------------------------------------------------------------------ scopes

    def wire_scope(self, scope: PlacedScope) -> None:
        """The rows of a scope's own automaton, and of all that is in it."""
        v = self.at(scope.path)
        if scope.parent is None:
            pending = one_of(a.SCOPE_PENDING)
            self.table.on("start", "", v, pending, [(v, a.SCOPE_RUNNING)])
        entry: list[Literal] = []
        if scope.given is not None:
            self._choice(scope.given, entry)
            entry = self.exit(scope.given)
        for block in scope.body:
            self.wire(block, entry)
            entry = self.exit(block)
        self.table.when(f"{scope.path} done", v, [(v, a.FORWARD), *entry], [(v, a.SCOPE_DONE)])
        order = Order(scope.body)
        self._back(scope, v, order)
        for unit in self._automata.units[scope.path]:
            self._undo(unit, v, order)
        if scope.compensate is not None:
            self._whole(scope, v)
        if stops(scope):
            self._stop(scope, v)

    def _rest(self, scope: str) -> list[Literal]:
        """No child in flight: nothing started that has not been decided."""
        quiet: list[Literal] = [
            (self.at(unit.path), _NOT_FLIGHT) for unit in self._automata.units[scope]
        ]
        for block in self._automata.deciding[scope]:
            count = len(block.branches if isinstance(block, PlacedChoice) else block.body) + 1
            labels = frozenset(range(a.FIRST_LABEL, a.FIRST_LABEL + count))
            quiet.append((self.at(block.path), _NOT_FLIGHT | labels))
        return quiet

    def _back(self, scope: PlacedScope, v: int, order: Order) -> None:
        """Halt, drain, undo, clean."""
        rest = self._rest(scope.path)
        halting = one_of(a.SCOPE_HALTING)
        self.table.when(f"{scope.path} drained", v, [(v, halting), *rest], [(v, a.SCOPE_UNDOING)])
        if scope.parent is not None:
            parent = self.at(scope.parent)
            interrupted = one_of(a.SCOPE_INTERRUPTED)
            self.table.when(
                f"interrupt {scope.path}",
                v,
                [(v, _RUNNING), (parent, _HALTED)],
                [(v, a.SCOPE_INTERRUPTED)],
            )
            self.table.when(f"hold {scope.path}", v, [(v, interrupted), *rest], [(v, a.SCOPE_HELD)])
        clean: list[Literal] = [(self.at(path), a.CLEAN) for path in order.first]
        self.table.when(
            f"{scope.path} clean", v, [(v, _UNDOING), *clean], [(v, a.SCOPE_COMPENSATED)]
        )

    def _undo(self, unit: Unit, scope: int, order: Order) -> None:
        """Let a unit go back, once its successors are clean."""
        v = self.at(unit.path)
        guard: list[Literal] = [(scope, _UNDOING)]
        guard.extend((self.at(path), a.CLEAN) for path in order.successors[unit.path])
        name = f"undo {unit.path}"
        if isinstance(unit, PlacedScope):
            held, done = one_of(a.SCOPE_HELD), one_of(a.SCOPE_DONE)
            if unit.compensate is None:
                self.table.when(name, v, [(v, held | done), *guard], [(v, a.SCOPE_UNDOING)])
            else:
                self.table.when(name, v, [(v, done), *guard], [(v, a.WHOLE_COMPENSATING)])
                self.table.when(name, v, [(v, held), *guard], [(v, a.SCOPE_UNDOING)])
        elif unit.kind is Kind.COMPENSATABLE:
            self.table.when(name, v, [(v, _TO_UNDO), *guard], [(v, a.COMPENSATING)])
        elif unit.kind is Kind.READONLY and not unit.tail:
            done = one_of(a.DONE)
            self.table.when(f"release {unit.path}", v, [(v, done), *guard], [(v, a.COMPENSATED)])

    def _whole(self, scope: PlacedScope, v: int) -> None:
        """The compensation of a nested saga as a whole: as that of a step."""
        at = one_of(a.WHOLE_COMPENSATING)
        waiting, failed = one_of(a.WHOLE_WAITING), one_of(a.WHOLE_FAILED)
        bound = scope.compensation_retry.bound
        after = a.WHOLE_FAILED if bound == "none" else a.WHOLE_WAITING
        on, path = self.table.on, scope.path
        on("compensated", path, v, at, [(v, a.SCOPE_COMPENSATED)])
        on("transient", path, v, at, [(v, after)])
        on("unknown", path, v, at, [(v, after)])
        on("retry", path, v, waiting, [(v, a.WHOLE_COMPENSATING)])
        if bound == "bounded":
            on("exhausted", path, v, waiting, [(v, a.WHOLE_FAILED)])
        on("retry", path, v, failed, [(v, a.WHOLE_COMPENSATING)])
        on("resolve", path, v, failed, [(v, a.SCOPE_COMPENSATED)], argument="compensated")

    def _stop(self, scope: PlacedScope, v: int) -> None:
        """Deadline and cancel turn back only before the point of no return (R9, R10)."""
        stop = self.at(stop_path(scope.path))
        events = [("deadline", "" if scope.parent is None else scope.path)]
        if scope.parent is None:
            events.append(("cancel", ""))
        pivots = [
            self.at(pivot.path)
            for pivot in self._automata.pivots
            if (v, a.SCOPE_COMMITTED) in self.commit(pivot.scope)
        ]
        quiet: list[Literal] = [(pivot, _NOT_FLIGHT) for pivot in pivots]
        is_open = one_of(a.STOP_OPEN)
        running: Literal = (v, _RUNNING)
        for kind, target in events:
            heard = [(v, a.SCOPE_HALTING), (stop, a.STOP_HEARD)]
            self.table.on(kind, target, stop, is_open, heard, guard=[running, *quiet])
            asked = [(stop, a.STOP_ASKED)]
            for pivot in pivots:
                flying = [running, (pivot, a.FLIGHT)]
                self.table.on(kind, target, stop, is_open, asked, guard=flying)
            late = [(v, _COMMITTED)]
            refused = [(stop, a.STOP_REFUSED)]
            self.table.on(kind, target, stop, is_open, refused, guard=late)
        waiting: Literal = (stop, one_of(a.STOP_ASKED))
        past = one_of(a.SCOPE_COMMITTED, a.SCOPE_DONE)
        back = one_of(a.SCOPE_HALTING, a.SCOPE_UNDOING, a.SCOPE_COMPENSATED)
        name = f"{stop_path(scope.path)} refused"
        self.table.when(name, stop, [waiting, (v, past)], [(stop, a.STOP_REFUSED)])
        name = f"{stop_path(scope.path)} heard"
        self.table.when(name, stop, [waiting, (v, back)], [(stop, a.STOP_HEARD)])
