"""The compiled tables of the reference sagas have the specification's exact figures."""

from __future__ import annotations

import pytest

from saga_fsm.compiler import compile_saga
from tests.reference import REFERENCES, Reference


each_reference = pytest.mark.parametrize("reference", REFERENCES, ids=lambda one: one.text)


@each_reference
def test_rows(reference: Reference) -> None:
    """Each reference saga compiles to as many input and internal rows as specified."""
    machine = compile_saga(reference.make())
    inputs = sum(row.event is not None for row in machine.rows)
    assert (inputs, len(machine.rows) - inputs) == reference.rows


@each_reference
def test_states_and_moves(reference: Reference) -> None:
    """Each flattened reference machine has as many states and moves as specified."""
    machine = compile_saga(reference.make())
    assert (len(machine.states), len(machine.transitions)) == reference.machine
