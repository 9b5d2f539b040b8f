"""
A compiled machine as one of the package ``transitions``: its callbacks, its tools, its notation.

It makes the same moves as ``machine.step``: a test shows that for every reachable state and event.
But it knows no effects and is not durable, and it never decides a run. A run can drive one, for its
callbacks: ``run(trip, data, observer=observer(trip, model))``.
"""

from __future__ import annotations

from typing import Any

from transitions import Machine as FlatMachine
from transitions.extensions.asyncio import AsyncMachine

from saga_fsm.compiler import compile_saga
from saga_fsm.definition import Saga
from saga_fsm.machine import Event, Machine, Move, State


__all__ = [
    "AsyncDriven",
    "Driven",
    "async_observer",
    "observer",
    "options",
    "state_names",
    "to_async_machine",
    "to_machine",
]


def state_names(machine: Machine) -> dict[State, str]:
    """A name for each reachable state: as it prints, with a number where two print alike."""
    names: dict[State, str] = {}
    taken: dict[str, int] = {}
    for state in machine.states:
        text = str(state)
        taken[text] = taken.get(text, 0) + 1
        names[state] = text if taken[text] == 1 else f"{text} #{taken[text]}"
    return names


def options(machine: Machine, model: object | None = None) -> dict[str, Any]:
    """
    What ``transitions.Machine(**options(machine))`` takes: states by name, arrows, the first state.

    Raises:
        StateSpaceLimitError: the machine has too many states to be flattened.
    """
    names = state_names(machine)
    return {
        "states": list(names.values()),
        "transitions": [
            [str(event), names[source], names[target]]
            for source, event, target in machine.transitions
        ],
        "initial": names[machine.initial],
        "auto_transitions": False,
        "send_event": True,
        **({} if model is None else {"model": model}),
    }


def to_machine(machine: Machine, model: object | None = None) -> FlatMachine:
    """
    The flattened machine for ``transitions``; events are triggers: ``m.trigger("done(charge)")``.

    An event without a row raises ``transitions.MachineError`` there, and is ignored here.

    Raises:
        StateSpaceLimitError: the machine has too many states to be flattened.
    """
    return FlatMachine(**options(machine, model))


def to_async_machine(machine: Machine, model: object | None = None) -> AsyncMachine:
    """The same, with awaited triggers and callbacks."""
    return AsyncMachine(**options(machine, model))


class Driven:
    """
    A machine of ``transitions`` that goes where a run goes: what ``observer`` gives.

    Its callbacks (``on_enter_...``, ``after_state_change``) are called with an event whose
    ``kwargs`` hold the ``move``. What they raise, and a condition that says no, changes nothing of
    the run; the next move begins where the run is.

    Args:
        compiled: the machine that decides.
        machine: the machine that follows: add states' callbacks here.
    """

    def __init__(self, compiled: Machine, machine: FlatMachine) -> None:
        self.machine = machine
        self._names = state_names(compiled)

    def __call__(self, event: Event, before: State, move: Move, /) -> object:
        """Make the same move."""
        if move.ignored is None:
            self._stand_at(before)
            for model in self.machine.models:
                self.machine.events[str(event)].trigger(model, move=move)
        return None

    def _stand_at(self, state: State) -> None:
        """A run that is taken up again, or a callback that refused: go there without callbacks."""
        name = self._names[state]
        for model in self.machine.models:
            if self.machine.get_model_state(model).name != name:
                self.machine.set_state(name, model)


class AsyncDriven(Driven):
    """The same for ``arun``, with awaited callbacks: what ``async_observer`` gives."""

    def __call__(self, event: Event, before: State, move: Move, /) -> object:
        """Make the same move, once those before it are made."""
        return None if move.ignored is not None else self._follow(event, before, move)

    async def _follow(self, event: Event, before: State, move: Move) -> None:
        self._stand_at(before)
        for model in self.machine.models:
            done: Any = self.machine.events[str(event)].trigger(model, move=move)
            await done


def observer(saga: Saga[Any, Any, Any] | Machine, model: object | None = None) -> Driven:
    """
    For ``run(..., observer=)``: drive a machine of ``transitions`` beside the run.

    Args:
        saga: what is run, or its compiled machine.
        model: whose callbacks are called; None is the machine of ``transitions`` itself.

    Raises:
        StateSpaceLimitError: the machine has too many states to be flattened.
    """
    compiled = saga if isinstance(saga, Machine) else compile_saga(saga)
    return Driven(compiled, to_machine(compiled, model))


def async_observer(saga: Saga[Any, Any, Any] | Machine, model: object | None = None) -> AsyncDriven:
    """The same for ``arun``: callbacks may be async, and are awaited beside the run."""
    compiled = saga if isinstance(saga, Machine) else compile_saga(saga)
    return AsyncDriven(compiled, to_async_machine(compiled, model))
