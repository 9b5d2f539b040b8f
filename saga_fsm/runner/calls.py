"""From what the machine owes to what a shell has to do: which function, with what, until when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from saga_fsm.definition import Context, Retry
from saga_fsm.definition.layout import PlacedChoice, PlacedEach, PlacedScope, PlacedStep
from saga_fsm.machine import CancelTimer, Effect, Refused, SetTimer
from saga_fsm.runner.commands import Alert, Command, Invoke, TimerKey, Wake
from saga_fsm.runner.facts import KINDS, Facts


Told = tuple[str, Any]


class Calls:
    """
    Makes commands of effects.

    Args:
        facts: of the run.
        answers: outcomes of pending steps, by path, where nobody delivers.
        luck: a function that gives a float in [0, 1), for jitter.
    """

    def __init__(
        self, facts: Facts, answers: dict[str, Callable[[Any], Any]], luck: Callable[[], float]
    ) -> None:
        self.facts = facts
        self.answers = answers
        self.luck = luck
        # Pauses and pending answers: what a scope that turns back ends at once.
        self.waits: set[str] = set()
        self.timed: set[TimerKey] = set()

    def of(self, effect: Effect, now: float, todo: list[Told]) -> list[Command]:
        """What an effect asks for at time ``now``; what it decides by itself goes to ``todo``."""
        kind = KINDS.get(effect.__class__)
        if kind is not None:
            return self.make(kind, cast("Any", effect).target, now, todo)
        if isinstance(effect, SetTimer):
            return self._timer(effect.target, now, todo)
        if isinstance(effect, CancelTimer):
            what = "deadline" if effect.target.endswith("@stop") else "retry"
            return [Wake((what, effect.target), None)]
        if isinstance(effect, Refused):
            return [Alert(f"past the point of no return: {effect.target} was refused")]
        return []

    def make(self, kind: str, path: str, now: float, todo: list[Told]) -> list[Command]:
        """The call that is in flight at this path."""
        facts = self.facts
        leg = (kind, path, facts.flight[kind, path])
        placed = facts.layout.steps.get(path)
        if placed is None:
            if kind in {"decide", "expand"}:
                return self._ask(leg, facts.layout.decisions[path])
            return self._whole(leg, facts.layout.scopes[path], now)
        item, index = facts.copy(placed.copies) if placed.copies else (None, None)
        undoing = kind == "compensate"
        context = Context._of(facts.view(placed.scope), path, leg[2], undoing, item, index)  # noqa: SLF001 - one library
        step = placed.step
        if undoing:
            arguments: tuple[Any, ...] = (context, facts.results.get(path))
            return self._timed(leg, step.compensate, arguments, placed.compensation_timeout, now)
        if kind == "call" and step.pause_for is not None:
            return self._pause(path, context, step.pause_for, now, todo)
        function = step.query if kind == "query" else step.action
        return self._timed(leg, function, (context,), placed.timeout, now)

    def _timed(
        self,
        leg: tuple[str, str, int],
        function: Any,
        arguments: tuple[Any, ...],
        timeout: float | None,
        now: float,
    ) -> list[Command]:
        if timeout is None:
            return [Invoke(leg, function, arguments)]
        key = leg[:2]
        self.timed.add(key)
        return [Invoke(leg, function, arguments, timeout), Wake(key, now + timeout)]

    def _pause(
        self, path: str, context: Any, seconds: Any, now: float, todo: list[Told]
    ) -> list[Command]:
        try:
            at = now + (seconds(context) if callable(seconds) else seconds)
        except Exception as error:  # noqa: BLE001 - the user's function: a failure of the step
            del self.facts.flight["call", path]
            todo.append((f"unknown({path})", error))
            return []
        self.waits.add(path)
        self.timed.add(("pause", path))
        return [Wake(("pause", path), at)]

    def _whole(self, leg: tuple[str, str, int], scope: PlacedScope, now: float) -> list[Command]:
        facts = self.facts
        _, path, attempt = leg
        item, index = facts.copy(scope.copies)
        context = Context._of(facts.view(path), path, attempt, True, item, index)  # noqa: FBT003, SLF001 - one library
        inside = f"{path}/"
        results = {
            inner.removeprefix(inside): value
            for inner, value in facts.results.items()
            if inner.startswith(inside)
        }
        arguments = (context, results)
        return self._timed(leg, scope.compensate, arguments, scope.compensation_timeout, now)

    def _ask(self, leg: tuple[str, str, int], placed: PlacedChoice | PlacedEach) -> list[Command]:
        facts = self.facts
        path, scope = leg[1], placed.scope
        function = placed.chooser if isinstance(placed, PlacedChoice) else placed.items
        if path.endswith("/@given"):
            scope = facts.layout.scopes[scope].parent or scope
        item, index = facts.copy(placed.copies)
        context = Context._of(facts.view(scope), path, leg[2], False, item, index)  # noqa: FBT003, SLF001 - one library
        return [Invoke(leg, function, (context,))]

    def answer(self, placed: PlacedStep, attempt: int, since: float) -> list[Command]:
        """A pending step: its time goes on, and ``answers=`` may know the outcome."""
        path = placed.path
        self.waits.add(path)
        commands: list[Command] = []
        if placed.timeout is not None:
            self.timed.add(("call", path))
            commands.append(Wake(("call", path), since + placed.timeout))
        if path in self.answers:
            item, index = self.facts.copy(placed.copies)
            view = self.facts.view(placed.scope)
            context = Context._of(view, path, attempt, False, item, index)  # noqa: FBT003, SLF001 - one library
            commands.append(Invoke(("call", path, attempt), self.answers[path], (context,)))
        return commands

    def over(self, kind: str, path: str) -> list[Command]:
        """A call has ended: its timers are taken back."""
        self.waits.discard(path)
        keys = [key for key in ((kind, path), ("pause", path)) if key in self.timed]
        self.timed.difference_update(keys)
        return [Wake(key, None) for key in keys]

    # ------------------------------------------------------------------ patience

    def _timer(self, path: str, now: float, todo: list[Told]) -> list[Command]:
        facts = self.facts
        if path.endswith("@stop"):
            scope = path.removesuffix("@stop").rstrip("/") or "@saga"
            deadline = facts.layout.scopes[scope].deadline
            assert deadline is not None  # noqa: S101 - only then does the machine set a timer
            return [Wake(("deadline", path), now + deadline)]
        kind, retry = self._patience(path)
        leg = (kind, path)
        attempt = facts.attempts.get(leg, 1) - facts.spent.get(leg, 0) + 1
        wait = retry.wait(attempt, self.luck())
        after = facts.after.pop(path, 0.0)
        if wait is None:
            todo.append((f"exhausted({path})", None))
            return []
        return [Wake(("retry", path), now + max(wait, after))]

    def _patience(self, path: str) -> tuple[str, Retry]:
        local = self.facts.state[path]
        if local == "whole_waiting":
            return "compensate", self.facts.layout.scopes[path].compensation_retry
        placed = self.facts.layout.steps[path]
        if local == "compensation_waiting":
            return "compensate", placed.compensation_retry
        return "query" if local == "query_waiting" else "call", placed.retry
