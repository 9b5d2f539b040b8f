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
            going_back[automaton.path] = goes_back(automaton, code, parent=parent)
        what = machine.owed_to(automaton, code, parent=parent)
        if what is not None:
            owed[automaton.path] = what
    return owed


def goes_back(automaton: Automaton, code: int, *, parent: bool) -> bool:
    """Whether a scope in this local state owes undos; ``parent``: whether the one around does."""
    if code in a.TURNED_BACK:
        return True
    return parent and code == a.SCOPE_DONE and "whole" not in automaton.traits


def owed_to(automaton: Automaton, code: int, *, parent: bool) -> str | None:
    """What is owed to one automaton; ``parent``: whether the scope around it is turning back."""
    traits = automaton.traits
    if code == a.STUCK:
        return "complete" if "tail" in traits else "query"
    if code == a.CHOICE_STUCK:
        return "complete"
    if code == a.ALARM:
        return "query" if "pivot" in traits else "compensate"
    gave_up = code in {a.COMPENSATION_FAILED, a.WHOLE_FAILED}
    left = parent and (
        (code in _BACK and "compensatable" in traits)
        or (code == a.SCOPE_DONE and "whole" in traits)
    )
    return "compensate" if gave_up or left else None
