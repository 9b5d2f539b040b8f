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
    """What the guard knows of one key: its mark, and the result or the reason that goes with it."""

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
        if _name(ctx.step) in self.refusing:
            record = Record("rejected", f"{_name(ctx.step)} is refused")
        else:
            try:
                record = Record("applied", effect())
            except Rejected as refusal:
                record = Record("rejected", str(refusal))
        self.records[ctx.key] = record
        return record

    def undo(self, ctx: Context[Any, Any, Any], effect: Callable[[Any], object]) -> None:
        """
        Take the effect of ``ctx.action_key`` back, once; where there is none, see that none comes.

        The effect gets the participant's own record of the result: the caller's may be lost.
        """
        if _name(ctx.step) in self.unreachable:
            raise ConnectionError(f"nobody answers for {_name(ctx.step)}")
        with self._lock:
            known = self.records.get(ctx.action_key)
            if known is None:
                self.records[ctx.action_key] = Record("fenced", "its undo came first")
            elif known.mark == "applied":
                effect(known.value)
                self.records[ctx.action_key] = Record("compensated", "it has been undone")

    def landed(self, run_id: str) -> frozenset[str]:
        """Paths of the steps of a run whose effect stands."""
        return frozenset(
            key.removeprefix(f"{run_id}/")
            for key, record in self.records.items()
            if record.mark == "applied" and key.startswith(f"{run_id}/")
        )


def agrees(guard: Guard, outcome: Outcome[Any]) -> bool:
    """
    Say whether the effects that stand are those that the outcome claims.

    Compensated: none. Stuck on the way back: none but those listed as unresolved, in the saga that
    is stuck; what its parent did before stands until that is settled. Completed,
    or stuck on the way forward: what must stand is the business of each world.
    """
    landed = guard.landed(outcome.run_id)
    if outcome.status is Status.COMPENSATED:
        return not landed
    if outcome.status is Status.STUCK:
        owed = [path for path, what in outcome.unresolved.items() if what == "compensate"]
        stuck = {path.rpartition("/")[0] for path in owed}
        return all(
            path in outcome.unresolved
            for path in landed
            if any(not saga or path.startswith(f"{saga}/") for saga in stuck)
        )
    return True


def _name(path: str) -> str:
    """``trip/hotel[2]`` is the step ``hotel``."""
    return path.rpartition("/")[2].partition("[")[0]
