"""What a failure test gives: one run under a plan, a plan that fails, and a whole search."""

from __future__ import annotations

from typing import Any

import attrs

from saga_fsm.machine import Machine
from saga_fsm.path import Path
from saga_fsm.runner.outcome import Outcome
from saga_fsm.testing.effects import EffectLog
from saga_fsm.testing.plan import FaultPlan, Injection


__all__ = ["Exploration", "Failure", "Replay"]

_SHOWN = 10


@attrs.frozen
class Replay:
    """
    One run under a plan.

    Args:
        plan: what was to go wrong.
        outcome: how the run ended.
        reason: what is wrong with that; empty when nothing is.
        world: what the steps acted on.
        log: each call that reached it.
        unfired: injections whose call never came: they tested nothing.
    """

    plan: FaultPlan
    outcome: Outcome[Any]
    reason: str
    world: Any = attrs.field(repr=False)
    log: EffectLog = attrs.field(repr=False)
    unfired: tuple[Injection, ...] = ()

    @property
    def consistent(self) -> bool:
        """Whether nothing is wrong."""
        return not self.reason

    @property
    def path(self) -> Path:
        """The moves of the run; prints itself."""
        return self.outcome.path


@attrs.frozen
class Failure:
    """
    A plan after which the world does not agree, as short as it could be made.

    Args:
        plan: replays by ``replay(saga, str(plan), ...)``.
        outcome: how the run ended.
        reason: what is wrong, in one sentence.
        path: the moves of the run.
    """

    plan: FaultPlan
    outcome: Outcome[Any]
    reason: str
    path: Path

    def __str__(self) -> str:
        moves = "\n".join(f"    {line}" for line in str(self.path).splitlines())
        return f"{self.reason}\n  plan: {str(self.plan) or '(no fault)'}\n{moves}"


@attrs.frozen
class Exploration:
    """
    What a search found.

    Args:
        saga: the saga's name.
        runs: how many plans were run.
        coverage: the share of the rows that can be taken that was, from 0 to 1.
        failures: one for each different reason, each shrunk.
        missed: rows that no plan took, though one might: with another input, or more faults.
        outside: rows that no plan can take, with the reason; they stand outside the share.
        fired: how often each fault was injected.
        complete: whether the tour came to its end within ``max_runs``.
        machine: the saga's machine, whose rows are counted.
        taken: in how many runs each row was taken, by its number in ``machine.rows``.
        untested: promises that a step declares and that no call has put to the test, by path. To
            test a rejection that is remembered takes an input that the participant refuses.
        pruned: plans that were left out, since they begin at a moment that was begun from before.
        compared: whether the world could be compared; else no plan is left out.
    """

    saga: str
    runs: int
    coverage: float
    failures: tuple[Failure, ...]
    missed: tuple[str, ...]
    outside: dict[str, str]
    fired: dict[str, int]
    complete: bool
    machine: Machine = attrs.field(repr=False)
    taken: dict[int, int] = attrs.field(repr=False)
    untested: dict[str, tuple[str, ...]] = attrs.field(factory=dict)
    pruned: int = 0
    compared: bool = False

    @property
    def vacuous(self) -> bool:
        """Whether nothing ever went wrong: then nothing was tested."""
        return not self.fired

    @property
    def ok(self) -> bool:
        """Whether something went wrong, and no plan failed."""
        return not self.failures and not self.vacuous

    def assert_ok(self) -> None:
        """
        Raise unless no plan failed.

        Raises:
            AssertionError: with each failure and the plan that replays it; or nothing went wrong.
        """
        if not self.ok:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        faults = ", ".join(f"{fault} {count}" for fault, count in sorted(self.fired.items()))
        cut = "" if self.complete else ", the tour was cut short"
        lines = [
            f"{self.saga}: {self._verdict} after {self.runs:,} runs{cut}",
            f"  rows taken: {self.coverage:.1%} of those that can be; {len(self.outside)} cannot",
            f"  faults injected: {faults or 'none'}",
        ]
        if self.pruned:
            lines.append(f"  left out: {self.pruned:,} plans that go on as others, world and all")
        if self.untested:
            told = ", ".join(f"{path} {' '.join(names)}" for path, names in self.untested.items())
            lines.append(f"  promises that no call put to the test: {told}")
        if self.missed:
            more = len(self.missed) - _SHOWN
            lines.append(f"  never taken ({len(self.missed)}):")
            lines.extend(f"    {row}" for row in self.missed[:_SHOWN])
            lines.extend([f"    and {more} more"] if more > 0 else [])
        for failure in self.failures:
            lines.extend(["", str(failure)])
        return "\n".join(lines)

    @property
    def _verdict(self) -> str:
        if self.failures:
            return f"{len(self.failures)} kinds of failure"
        return "nothing was tested, no fault was ever injected" if self.vacuous else "consistent"
