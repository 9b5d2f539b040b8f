"""What is owed when a run is stuck (machine.md 4, "Unresolved")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saga_fsm.machine import _alphabet as a


if TYPE_CHECKING:
    from saga_fsm.machine._interpreter import Machine
    from saga_fsm.machine._table import Automaton, State

_BACK = frozenset({a.DONE, a.UNKNOWN})


def unresolved(machine: Machine, state: State) -> dict[str, str]:
    """
    Each path that is owed something, and what: in definition order.

    A scope that is turning back owes the undo of each of its steps that is done or unknown, through
    nested sagas that are done; one with a compensation of its own is owed as a whole.
    """
    owed: dict[str, str] = {}
    going_back: dict[str, bool] = {}
    for automaton, code in zip(machine.automata, state.codes, strict=True):
        parent = going_back.get(automaton.scope, False) if automaton.scope else False
        if automaton.sort == "scope":
            going_back[automaton.path] = _scope_goes_back(automaton, code, parent=parent)
            whole = "whole" in automaton.traits
            if code == a.WHOLE_FAILED or (whole and parent and code == a.SCOPE_DONE):
                owed[automaton.path] = "compensate"
        else:
            what = _of_unit(automaton, code, parent=parent)
            if what is not None:
                owed[automaton.path] = what
    return owed


def _scope_goes_back(automaton: Automaton, code: int, *, parent: bool) -> bool:
    if code in a.TURNED_BACK:
        return True
    return parent and code == a.SCOPE_DONE and "whole" not in automaton.traits


def _of_unit(automaton: Automaton, code: int, *, parent: bool) -> str | None:
    traits = automaton.traits
    if code == a.STUCK:
        return "complete" if "tail" in traits else "query"
    if code == a.CHOICE_STUCK:
        return "complete"
    if code == a.COMPENSATION_FAILED:
        return "compensate"
    if code == a.ALARM:
        return "query" if "pivot" in traits else "compensate"
    if parent and code in _BACK and "compensatable" in traits:
        return "compensate"
    return None
