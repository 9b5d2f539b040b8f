"""From what the machine owes to what a shell has to do: which function, with what, until when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from saga_fsm.definition import Context, Retry
from saga_fsm.definition.layout import PlacedChoice, PlacedEach, PlacedScope, PlacedStep
from saga_fsm.machine import CancelTimer, Effect, Event, Refused, SetTimer
from saga_fsm.runner.commands import Alert, Command, Invoke, Leg, TimerKey, Wake
from saga_fsm.runner.facts import Facts


Told = tuple[Event, Any]

# Of a step that is attempted without end, the attempts that people hear of.
_TOLD = frozenset(10**digits for digits in range(1, 9))


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
        # Steps that are attempted without end, with the number of the attempt to come, where it is
        # one that people shall hear of.
        self.endless: list[tuple[str, int]] = []

    def of(self, effect: Effect, now: float, todo: list[Told], commands: list[Command]) -> None:
        """What an effect without a call asks for; what it decides by itself goes to ``todo``."""
        if isinstance(effect, SetTimer):
            self._timer(effect.target, now, todo, commands)
        elif isinstance(effect, CancelTimer):
            what = "deadline" if effect.target.endswith("@stop") else "retry"
            commands.append(Wake((what, effect.target), None))
        elif isinstance(effect, Refused):
            commands.append(Alert(f"past the point of no return: {effect.target} was refused"))

    def make(self, leg: Leg, now: float, todo: list[Told], commands: list[Command]) -> None:
        """The call that is in flight as ``leg``."""
        kind, path, attempt = leg
        facts = self.facts
        placed = facts.layout.steps.get(path)
        if placed is None:
            self._make_of_block(leg, now, commands)
            return
        view = facts.view(placed.scope)
        item, index = facts.copy(placed.copies)
        # Typed loosely: which of its functions a step has, the machine has asked.
        step: Any = placed.step
        if kind == "compensate":
            context = Context._of(view, path, attempt, True, item, index)  # noqa: FBT003, SLF001 - one library
            invoke = Invoke(leg, step.compensate, (context, facts.results.get(path)))
            timeout = placed.compensation_timeout
        else:
            context = Context._of(view, path, attempt, False, item, index)  # noqa: FBT003, SLF001 - one library
            timeout = placed.timeout
            if kind == "query":
                invoke = Invoke(leg, step.query, (context,))
            elif step.pause_for is None:
                invoke = Invoke(leg, step.action, (context,))
            else:
                self._pause(leg, context, step.pause_for, now, todo, commands)
                return
        commands.append(invoke)
        if timeout is not None:
            self._limit(invoke, timeout, now, commands)

    def _limit(self, invoke: Invoke, timeout: float, now: float, commands: list[Command]) -> None:
        invoke.timeout = timeout
        key = invoke.leg[:2]
        self.timed.add(key)
        commands.append(Wake(key, now + timeout))

    def _make_of_block(self, leg: Leg, now: float, commands: list[Command]) -> None:
        kind, path, _ = leg
        layout = self.facts.layout
        if kind == "compensate":
            self._whole(leg, layout.scopes[path], now, commands)
        else:
            commands.append(self._ask(leg, layout.decisions[path]))

    def _pause(  # noqa: PLR0913, PLR0917 - a call, and the two lists that all calls are given
        self,
        leg: Leg,
        context: Any,
        seconds: Any,
        now: float,
        todo: list[Told],
        commands: list[Command],
    ) -> None:
        path = leg[1]
        try:
            wait: Any = seconds(context) if callable(seconds) else seconds
            at = now + wait
        except Exception as error:  # noqa: BLE001 - the user's function: a failure of the step
            del self.facts.flight[leg]
            todo.append((self.facts.machine.event("unknown", path), error))
            return
        self.waits.add(path)
        self.timed.add(("pause", path))
        commands.append(Wake(("pause", path), at))

    def _whole(self, leg: Leg, scope: PlacedScope, now: float, commands: list[Command]) -> None:
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
        undo: Any = scope.compensate
        invoke = Invoke(leg, undo, (context, results))
        commands.append(invoke)
        if scope.compensation_timeout is not None:
            self._limit(invoke, scope.compensation_timeout, now, commands)

    def _ask(self, leg: Leg, placed: PlacedChoice | PlacedEach) -> Invoke:
        facts = self.facts
        path, scope = leg[1], placed.scope
        function = placed.chooser if isinstance(placed, PlacedChoice) else placed.items
        if path.endswith("/@given"):
            scope = facts.layout.scopes[scope].parent or scope
        item, index = facts.copy(placed.copies)
        context = Context._of(facts.view(scope), path, leg[2], False, item, index)  # noqa: FBT003, SLF001 - one library
        return Invoke(leg, function, (context,))

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

    def _timer(self, path: str, now: float, todo: list[Told], commands: list[Command]) -> None:
        facts = self.facts
        if path.endswith("@stop"):
            scope = path.removesuffix("@stop").removesuffix("/") or "@saga"
            deadline = facts.layout.scopes[scope].deadline
            assert deadline is not None  # noqa: S101 - only then does the machine set a timer
            commands.append(Wake(("deadline", path), now + deadline))
            return
        kind, retry = self._patience(path)
        leg = (kind, path)
        attempt = facts.attempts[leg] - facts.spent.get(leg, 0) + 1
        wait = retry.wait(attempt, self.luck())
        after = facts.after.pop(path, 0.0)
        if wait is None:
            todo.append((facts.machine.event("exhausted", path), None))
        else:
            if retry.attempts is None and attempt in _TOLD:
                self.endless.append((path, attempt))
            commands.append(Wake(("retry", path), now + max(wait, after)))

    def _patience(self, path: str) -> tuple[str, Retry]:
        local = self.facts.state[path]
        if local == "whole_waiting":
            return "compensate", self.facts.layout.scopes[path].compensation_retry
        placed = self.facts.layout.steps[path]
        if local == "compensation_waiting":
            return "compensate", placed.compensation_retry
        return "query" if local == "query_waiting" else "call", placed.retry
