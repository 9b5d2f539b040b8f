"""
From a saga to its machine.

One small automaton per step and per block's control; sequence and parallel are wiring, in the
guards. No block is ever multiplied out: n steps give O(n) rows. What the rows mean is said in
``saga_fsm.machine``; which automata there are is ``_automata``, which rows is ``_steps`` (one step)
and ``_scopes`` (blocks, scopes, the point of no return, deadline and cancel).
"""

from __future__ import annotations

from typing import Any

from saga_fsm.compiler._automata import Automata
from saga_fsm.compiler._order import Order
from saga_fsm.compiler._scopes import Rows
from saga_fsm.definition.layout import Layout, check_saga, lay_out
from saga_fsm.definition.saga import Saga
from saga_fsm.errors import DuplicateStepError
from saga_fsm.machine import Machine


__all__ = ["Order", "compile_layout", "compile_saga"]


def compile_saga(saga: Saga[Any, Any]) -> Machine:
    """
    Turn a saga into its machine: the full table of moves, forward and back.

    The table has O(n) rows for n steps: attempts are counted outside it, which only adds the events
    ``retry`` and ``exhausted``. Compensations run in reverse order of the steps that *may* have
    taken effect, the failed one included. Garcia-Molina & Salem (1987, backward recovery) can leave
    the failed one out because their T_i is atomic; a remote call is not, its reply can be lost.

    Returns:
        A machine in which each (state, event) pair is a row, or is ignored for a listed reason.
        The same saga gives the same machine, made once.

    """
    check_saga(saga)
    machine: Machine | None = saga.__dict__.get("_machine")
    if machine is None:
        machine = saga.__dict__["_machine"] = compile_layout(lay_out(saga))
    return machine


def compile_layout(layout: Layout) -> Machine:
    """The machine of a layout, whatever contracts it stands under."""
    made = Automata(layout)
    Rows(made).wire_scope(layout.root)
    automata, rows = made.table.pruned()
    machine = Machine(layout.saga.name, automata, rows, made.forks)
    if len(machine.index) != len(machine.automata):
        raise _duplicate(layout.saga.name, [automaton.path for automaton in automata])
    return machine


def _duplicate(saga: str, paths: list[str]) -> DuplicateStepError:
    twice = sorted({path for path in paths if paths.count(path) > 1})
    return DuplicateStepError(saga=saga, step=twice[0])
