"""From the states of a run to a path: which command led from each to the next, and what changed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import attrs

from saga_fsm.checker._cores import described
from saga_fsm.path import Path, PathMove
from saga_fsm.product import LOCK, Command, Network, Values, hidden, holds


@attrs.frozen
class Breach:
    """
    A rule that is broken, and a run to it.

    Args:
        rule: its name.
        step: path of the step.
        message: one sentence.
        path: the run.
        shortest: whether no shorter run can be; False where the search for one was cut short.
    """

    rule: str
    step: str
    message: str
    path: Path
    shortest: bool = True


def trace(network: Network, states: Sequence[Values]) -> Path:
    """The path through these states, the first of them the start."""
    moves = [_move(network, before, after) for before, after in itertools.pairwise(states)]
    machines = [part.machine for part in network.parts] or [network.machine]
    saga = ",".join(part.name for part in network.parts) or network.machine.name
    fingerprint = ",".join(machine.fingerprint for machine in machines)
    return Path(saga, fingerprint, tuple(moves))


def _move(network: Network, before: Values, after: Values) -> PathMove:
    command = _between(network, before, after)
    changes = tuple(
        (_shown(field.name), _value(field.values[was]), _value(field.values[now]))
        for field, was, now in zip(network.fields, before, after, strict=True)
        if was != now and not hidden(field.name)
    )
    state = described(network, after)
    return PathMove(command.token, says=command.says, state=state, changes=changes)


def _between(network: Network, before: Values, after: Values) -> Command:
    """The first command that leads from one state to the other."""
    for one in network.commands:
        if network.after(one, before) == after:
            return one
    # Engines settle in orders of their own. Where these come to different states, which the
    # compiler's tables never do, each of them is one.
    for one in network.commands:
        if holds(one.guard, before) and after in _settled(network, one, before):
            return one
    message = f"no command leads from {described(network, before)} to {described(network, after)}"
    raise RuntimeError(f"{message}\n  The table was changed while it was searched: search again.")


def _settled(network: Network, command: Command, before: Values) -> set[Values]:
    """Where a command leads, whatever the order of settling."""
    todo = [_written(command, before)]
    seen, ends = set(todo), set()
    while todo:
        now = todo.pop()
        enabled = [row for row in network.internal if holds(row.guard, now)]
        if not enabled:
            ends.add(now)
        fresh = {_written(row, now) for row in enabled} - seen
        seen |= fresh
        todo += fresh
    return ends


def _written(command: Command, values: Values) -> Values:
    now = list(values)
    for f, x in command.update:
        now[f] = x
    return tuple(now)


def _shown(name: str) -> str:
    if name.startswith(LOCK):
        return f"lock {name.removeprefix(LOCK)}"
    return f"{name[1:]}'s participant" if name.startswith("~") else name


def _value(name: str) -> str:
    return name.removeprefix("=")
