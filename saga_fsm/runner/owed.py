"""What a stuck run owes, in the order in which somebody can decide about it."""

from __future__ import annotations

from collections.abc import Sequence

from saga_fsm.machine import Machine, State


# Local states that only an operator's word leaves.
OPERATORS = frozenset({"stuck", "compensation_failed", "whole_failed", "alarm"})


def owed(machine: Machine, state: State) -> dict[str, str]:
    """
    What is owed, by path: first what can be decided now, then what is only asked for after that.

    Empty unless stuck.
    """
    found = machine.unresolved(state)
    # Sorting is stable: within both, the order of the definition.
    return dict(sorted(found.items(), key=lambda pair: state[pair[0]] not in OPERATORS))


def waits(machine: Machine, state: State) -> dict[str, tuple[str, ...]]:
    """For each path that is owed and cannot be decided yet: the paths that come before."""
    found = machine.unresolved(state)
    later = [path for path in found if state[path] not in OPERATORS]
    if not later:
        return {}
    blocked = _blocked(machine, state)
    return {path: _before(machine, found, blocked, path) for path in later}


def asked_after(paths: Sequence[str]) -> str:
    """Say what has to be decided before."""
    return f" (after {', '.join(repr(path) for path in paths)})" if paths else ""


def _blocked(machine: Machine, state: State) -> dict[int, set[int]]:
    """For each automaton, which others its internal rows wait for."""
    codes = state.codes
    blocked: dict[int, set[int]] = {}
    for row in machine.rows:
        if row.event is not None:
            continue
        unmet = [v for v, allowed in row.guard if codes[v] not in allowed]
        for v, _ in row.update:
            # A row that asks for another local state of its own is not the next one.
            if v not in unmet:
                blocked.setdefault(v, set()).update(unmet)
    return blocked


def _before(
    machine: Machine, found: dict[str, str], blocked: dict[int, set[int]], path: str
) -> tuple[str, ...]:
    seen = {machine.index[path]}
    todo = list(seen)
    names: set[str] = set()
    while todo:
        for v in blocked.get(todo.pop(), ()):
            if v in seen:
                continue
            seen.add(v)
            if machine.automata[v].path in found:
                names.add(machine.automata[v].path)
            else:
                todo.append(v)
    return tuple(one for one in found if one in names)
