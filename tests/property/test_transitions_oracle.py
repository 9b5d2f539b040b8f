"""The package `transitions`, an implementation of its own, makes the same moves as `step`."""

from __future__ import annotations

import asyncio

import pytest
from transitions import MachineError

from saga_fsm.compiler import compile_saga
from saga_fsm.interop.transitions import state_names, to_async_machine, to_machine
from tests.reference import REFERENCES, Reference


SMALL = [one for one in REFERENCES if one.machine[0] < 500]


@pytest.mark.parametrize("reference", SMALL, ids=lambda one: one.text)
def test_every_state_and_event(reference: Reference) -> None:
    """For each reachable state and event: the same next state, or no transition in both."""
    machine = compile_saga(reference.make())
    names = state_names(machine)
    assert len(set(names.values())) == len(machine.states)
    other = to_machine(machine)
    for state in machine.states:
        for event in machine.events:
            move = machine.step(state, event)
            other.set_state(names[state])
            if move.ignored is None:
                assert other.trigger(str(event))
                assert other.state == names[move.state]
            else:
                with pytest.raises(MachineError):
                    other.trigger(str(event))


def test_the_async_machine_goes_the_same_way() -> None:
    """Awaited triggers reach the same states."""
    machine = compile_saga(REFERENCES[2].make())
    names = state_names(machine)
    events = ["start", "done(a)", "unknown(b)", "compensated(b)", "compensated(a)"]

    async def drive() -> list[str]:
        other = to_async_machine(machine)
        seen = []
        for event in events:
            await other.trigger(event)
            seen.append(other.state)
        return seen

    assert asyncio.run(drive()) == [names[move.state] for move in machine.replay(events)]
