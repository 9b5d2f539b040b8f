"""The rows of one step (machine.md 2), from its kind, its policies and its contract."""

from __future__ import annotations

from collections.abc import Sequence

from saga_fsm.compiler._table import Table, one_of
from saga_fsm.definition.kinds import Kind
from saga_fsm.definition.layout import PlacedStep
from saga_fsm.machine import Call, Compensate, Effect, Query, SetTimer
from saga_fsm.machine import _alphabet as a
from saga_fsm.machine._table import Update


CALLED = one_of(a.STARTED, a.RESTARTED)


def owed_by_step(path: str) -> dict[int, Effect]:
    """What each local state of a step owes (machine.md 4)."""
    call, timer = Call(path), SetTimer(path)
    return {
        a.STARTED: call,
        a.RESTARTED: call,
        a.WAITING: timer,
        a.QUERY_WAITING: timer,
        a.COMPENSATION_WAITING: timer,
        a.QUERYING: Query(path),
        a.COMPENSATING: Compensate(path),
    }


def traits_of_step(placed: PlacedStep) -> tuple[str, ...]:
    """What the rows do not show, for the fingerprint and for ``unresolved``."""
    contract = placed.contract
    promised = [name for name in ("idempotent", "sticky", "fenced") if getattr(contract, name)]
    traits = [placed.kind.value, *promised]
    if placed.kind is Kind.RETRIABLE or (placed.kind is Kind.READONLY and placed.tail):
        traits.append("tail")
    if placed.step.query is not None:
        traits.append("query")
    return tuple(traits)


def lost(placed: PlacedStep) -> int:
    """What a step becomes when no attempt is left and its outcome is not known."""
    if placed.kind is Kind.COMPENSATABLE:
        # Without a fence it is never undone in doubt: the query has to say what happened.
        in_doubt = placed.step.query is not None and not placed.contract.fenced
        return a.STUCK if in_doubt else a.UNKNOWN
    if placed.kind is Kind.READONLY and not placed.tail:
        return a.REJECTED
    return a.STUCK


def ask(placed: PlacedStep) -> int:
    """The query, where there is one, else ``lost``."""
    return a.QUERYING if placed.step.query is not None else lost(placed)


class StepRows:
    """Writes the input rows of one step, and its giving up; ``commits`` comes with ``done``."""

    def __init__(
        self, table: Table, placed: PlacedStep, v: int, scope: int, commits: Sequence[Update]
    ) -> None:
        self.table = table
        self.placed = placed
        self.path = placed.path
        self.v = v
        self.scope = scope
        self.commits = commits

    def on(self, kind: str, source: frozenset[int], target: int, argument: str = "") -> None:
        updates: list[Update] = [(self.v, target)]
        if target == a.DONE:
            updates.extend(self.commits)
        self.table.on(kind, self.path, self.v, source, updates, argument=argument)

    def write(self) -> None:
        """All of them."""
        self._outcomes()
        self._query()
        if self.placed.kind is Kind.COMPENSATABLE:
            self._compensation()
        self._late()
        self._operator()
        self._give_up()

    def _outcomes(self) -> None:
        placed = self.placed
        bound = placed.retry.bound
        again = bound != "none"
        self.on("done", CALLED, a.DONE)
        self._rejected()
        self.on("transient", CALLED, a.WAITING if again else ask(placed))
        may_repeat = placed.contract.idempotent or placed.kind is Kind.READONLY
        self.on("unknown", CALLED, a.WAITING if again and may_repeat else ask(placed))
        self.on("retry", one_of(a.WAITING), a.RESTARTED)
        if bound == "bounded":
            self.on("exhausted", one_of(a.WAITING), ask(placed))

    def _rejected(self) -> None:
        placed = self.placed
        if placed.kind is Kind.COMPENSATABLE:
            if placed.contract.sticky:
                self.on("rejected", one_of(a.STARTED), a.REJECTED)
                self.on("rejected", one_of(a.RESTARTED), a.UNKNOWN)
            else:
                self.on("rejected", CALLED, a.UNKNOWN)
        elif placed.kind is Kind.PIVOT or (placed.kind is Kind.READONLY and not placed.tail):
            self.on("rejected", CALLED, a.REJECTED)
        else:
            self.on("rejected", CALLED, a.STUCK)

    def _query(self) -> None:
        placed = self.placed
        # A retriable's effect is owed: that it did not land is no end of it.
        absent = a.STUCK if placed.kind is Kind.RETRIABLE else a.REJECTED
        self.on("landed", one_of(a.QUERYING), a.DONE)
        self.on("absent", one_of(a.QUERYING), absent)
        self.on("transient", one_of(a.QUERYING), a.QUERY_WAITING)
        self.on("unknown", one_of(a.QUERYING), a.QUERY_WAITING)
        self.on("retry", one_of(a.QUERY_WAITING), a.QUERYING)
        if placed.retry.bound != "forever":
            self.on("exhausted", one_of(a.QUERY_WAITING), lost(placed))

    def _compensation(self) -> None:
        bound = self.placed.compensation_retry.bound
        failed = a.COMPENSATION_FAILED if bound == "none" else a.COMPENSATION_WAITING
        self.on("compensated", one_of(a.COMPENSATING), a.COMPENSATED)
        self.on("transient", one_of(a.COMPENSATING), failed)
        self.on("unknown", one_of(a.COMPENSATING), failed)
        self.on("retry", one_of(a.COMPENSATION_WAITING), a.COMPENSATING)
        if bound == "bounded":
            self.on("exhausted", one_of(a.COMPENSATION_WAITING), a.COMPENSATION_FAILED)
        self.on("retry", one_of(a.COMPENSATION_FAILED), a.COMPENSATING)

    def _late(self) -> None:
        if self.placed.kind in {Kind.COMPENSATABLE, Kind.PIVOT}:
            self.on("late_done", one_of(a.REJECTED), a.ALARM)
        if self.placed.kind is Kind.COMPENSATABLE and not self.placed.contract.fenced:
            self.on("late_done", one_of(a.COMPENSATED), a.ALARM)

    def _operator(self) -> None:
        placed = self.placed
        queried = placed.step.query is not None and not placed.contract.fenced
        self.on("retry", one_of(a.STUCK), a.QUERYING if queried else a.RESTARTED)
        self.on("resolve", one_of(a.STUCK), a.DONE, "done")
        if placed.kind in {Kind.PIVOT, Kind.COMPENSATABLE}:
            self.on("resolve", one_of(a.STUCK), a.REJECTED, "not_landed")
        if placed.kind is Kind.COMPENSATABLE:
            back = one_of(a.COMPENSATION_FAILED, a.ALARM)
            self.on("retry", one_of(a.ALARM), a.COMPENSATING)
            for source in sorted(back):
                self.on("resolve", one_of(source), a.COMPENSATED, "compensated")
                self.on("resolve", one_of(source), a.REJECTED, "not_landed")
        if placed.kind is Kind.PIVOT:
            # A pivot has no compensation: all that can be said is that the alarm was false.
            self.on("resolve", one_of(a.ALARM), a.REJECTED, "not_landed")

    def _give_up(self) -> None:
        """A wait ends when the scope turns back; a pivot's and a retriable's goes on."""
        placed = self.placed
        if placed.kind is Kind.COMPENSATABLE:
            in_doubt = lost(placed) == a.STUCK
            self._give_up_to(a.WAITING, a.QUERYING if in_doubt else a.UNKNOWN)
            if not in_doubt:
                self._give_up_to(a.QUERY_WAITING, a.UNKNOWN)
        elif placed.kind is Kind.READONLY and not placed.tail:
            self._give_up_to(a.WAITING, a.REJECTED)

    def _give_up_to(self, source: int, target: int) -> None:
        halting = one_of(a.SCOPE_HALTING, a.SCOPE_INTERRUPTED)
        guard = [(self.v, one_of(source)), (self.scope, halting)]
        self.table.when(f"give up waiting {self.path}", self.v, guard, [(self.v, target)])
