"""
A compiled machine as one of the package ``transitions``: its callbacks, its tools, its notation.

It makes the same moves as ``machine.step``: a test shows that for every reachable state and event.
But it knows no effects and is not durable, and it never decides a run.
"""

from __future__ import annotations

from typing import Any

from transitions import Machine as FlatMachine
from transitions.extensions.asyncio import AsyncMachine

from saga_fsm.machine import Machine, State


__all__ = ["state_names", "to_async_machine", "to_machine"]


def state_names(machine: Machine) -> dict[State, str]:
    """A name for each reachable state: as it prints, with a number where two print alike."""
    names: dict[State, str] = {}
    taken: dict[str, int] = {}
    for state in machine.states:
        text = str(state)
        taken[text] = taken.get(text, 0) + 1
        names[state] = text if taken[text] == 1 else f"{text} #{taken[text]}"
    return names


def _options(machine: Machine, model: object | None) -> dict[str, Any]:
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
    return FlatMachine(**_options(machine, model))


def to_async_machine(machine: Machine, model: object | None = None) -> AsyncMachine:
    """The same, with awaited triggers and callbacks."""
    return AsyncMachine(**_options(machine, model))
