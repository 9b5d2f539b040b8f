"""
A participant that keeps its three promises, in memory.

Every action and every compensation of the examples goes through one guard, keyed by the
idempotency key: a repeated action has one effect and answers the same (*idempotent*), a rejection
is remembered (*sticky*), and an undo that comes first refuses the action that comes late
(*fenced*). Record and effect are written under one lock, as a real participant writes them in one
transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any, Literal, TypeVar

import attrs

from saga_fsm import Context, Outcome, Rejected, Status


R = TypeVar("R")
Mark = Literal["applied", "rejected", "compensated", "fenced"]


@attrs.frozen
class Record:
    """What the guard knows of one key: whose it is, its mark, and the result or the reason."""

    run_id: str
    step: str
    mark: Mark
    value: Any = None


def _names(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)


@attrs.define
class Guard:
    """
    Makes actions idempotent, sticky and fenced.

    Args:
        refusing: names of steps whose action is refused, as a business rule would.
        unreachable: names of steps whose compensation cannot be reached, as in an outage.
    """

    refusing: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    unreachable: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    records: dict[str, Record] = attrs.field(factory=dict, init=False)
    _lock: Any = attrs.field(factory=Lock, init=False, repr=False, eq=False)

    def act(self, ctx: Context[Any, Any, Any], effect: Callable[[], R]) -> R:
        """
        Cause the effect once for ``ctx.key`` and answer the same ever after.

        Raises:
            Rejected: the effect refused, now or before, or its undo came first.
        """
        with self._lock:
            known = self.records.get(ctx.key)
            if known is None:
                known = self._first(ctx, effect)
            if known.mark == "applied":
                answer: R = known.value
                return answer
            raise Rejected(str(known.value))

    def _first(self, ctx: Context[Any, Any, Any], effect: Callable[[], R]) -> Record:
        mark: Mark = "rejected"
        value: object = f"{name_of(ctx.step)} is refused"
        if name_of(ctx.step) not in self.refusing:
            try:
                mark, value = "applied", effect()
            except Rejected as refusal:
                value = str(refusal)
        record = self.records[ctx.key] = Record(ctx.run_id, ctx.step, mark, value)
        return record

    def undo(self, ctx: Context[Any, Any, Any], effect: Callable[[Any], object]) -> None:
        """
        Take the effect of ``ctx.action_key`` back, once; where there is none, see that none comes.

        The effect gets the participant's own record of the result: the caller's may be lost.
        """
        if name_of(ctx.step) in self.unreachable:
            raise ConnectionError(f"nobody answers for {name_of(ctx.step)}")
        with self._lock:
            known = self.records.get(ctx.action_key)
            if known is None:
                fenced = Record(ctx.run_id, ctx.step, "fenced", "its undo came first")
                self.records[ctx.action_key] = fenced
            elif known.mark == "applied":
                effect(known.value)
                undone = attrs.evolve(known, mark="compensated", value="it has been undone")
                self.records[ctx.action_key] = undone

    def landed(self, run_id: str) -> frozenset[str]:
        """Paths of the steps of a run whose effect stands."""
        return frozenset(
            record.step
            for record in self.records.values()
            if record.mark == "applied" and record.run_id == run_id
        )

    def standing(self, step: str) -> list[tuple[str, Any]]:
        """Every effect of a step that stands, in all runs and copies: the run and the result."""
        return [
            (record.run_id, record.value)
            for record in self.records.values()
            if record.mark == "applied" and name_of(record.step) == step
        ]


def agrees(
    guard: Guard, outcome: Outcome[Any], *, before: Iterable[str], after: Iterable[str]
) -> bool:
    """
    Say whether the effects that stand are those that the outcome claims.

    Completed: all. Compensated: none. Stuck on the way back: none but those listed as unresolved,
    in the saga that is stuck; what its parent did before stands until that is settled. Stuck on
    the way forward: all that came before the pivot.

    Args:
        guard: knows what stands.
        outcome: says what should.
        before: names of the steps that are undone when the run turns back.
        after: names of the pivot and of what follows it.
    """
    landed = guard.landed(outcome.run_id)
    names = {name_of(path) for path in landed}
    if outcome.status is Status.COMPLETED:
        return names == {*before, *after}
    if outcome.status is Status.COMPENSATED:
        return not landed
    if "compensate" in outcome.unresolved.values():
        owed = [path for path, what in outcome.unresolved.items() if what == "compensate"]
        stuck = {path.rpartition("/")[0] for path in owed}
        return all(
            path in outcome.unresolved
            for path in landed
            if any(not saga or path.startswith(f"{saga}/") for saga in stuck)
        )
    return names >= set(before)


def name_of(path: str) -> str:
    """``trip/hotel[2]`` is the step ``hotel``."""
    return path.rpartition("/")[2].partition("[")[0]
