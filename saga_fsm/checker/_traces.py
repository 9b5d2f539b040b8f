"""From the states of a run to a path: which command led from each to the next, and what changed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import attrs

from saga_fsm.checker._cores import described
from saga_fsm.path import Path, PathMove
from saga_fsm.product import LOCK, Network, Values, hidden


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
    command = next(one for one in network.commands if network.after(one, before) == after)
    changes = tuple(
        (_shown(field.name), _value(field.values[was]), _value(field.values[now]))
        for field, was, now in zip(network.fields, before, after, strict=True)
        if was != now and not hidden(field.name)
    )
    state = described(network, after)
    return PathMove(command.token, says=command.says, state=state, changes=changes)


def _shown(name: str) -> str:
    if name.startswith(LOCK):
        return f"lock {name.removeprefix(LOCK)}"
    return f"{name[1:]}'s participant" if name.startswith("~") else name


def _value(name: str) -> str:
    return name.removeprefix("=")
