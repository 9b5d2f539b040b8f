"""
Leaving out crashes, where a crash does nothing that unanswered calls do not do as well.

A crash and the recovery after it change ``@up`` alone; in between each open call goes unanswered,
which may happen at any time without a crash. So whatever state is reached with crashes is reached
without, but for ``@up``, which nothing forbidden asks for. That is not assumed: it is read off the
commands, and where one does not say so, nothing is left out. What is read off:

1. Who writes ``@up`` writes nothing else.
2. Each command that asks for the orchestrator to be down has one that asks for it to be up, of the
   same row and update, whose guard asks for no more: a state ``(v, down)`` is simulated by
   ``(v, up)``.
3. No internal command and nothing forbidden asks for ``@up``; a rest asks for it to be up.
4. From ``(v, down)`` a run can come to some ``(w, up)``: what closes an open call asks for no more
   than that call, closes each, and what it and the internal commands do to the local state of the
   call goes round in no circle. So rest can be reached from there as well as from ``(w, up)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from saga_fsm.product import UP, Command, Network


_UP, _DOWN = 0, 1
SAID = (
    "crashes: a crash and its recovery do what unanswered calls do; states in between were not "
    "looked at"
)


def without_takeovers(network: Network) -> Network | None:
    """The network without crashes, with the same breaches; None where that cannot be told."""
    up = next((f for f, field in enumerate(network.fields) if field.name == UP), None)
    if up is None or not _known_by_commands_only(network, up):
        return None
    flips = [one for one in network.commands if any(f == up for f, _ in one.update)]
    moves = [one for one in network.commands if all(f != up for f, _ in one.update)]
    alive = [one for one in moves if _UP in _asked(one, up)]
    closing = [one for one in moves if _UP not in _asked(one, up)]
    if any(len(one.update) > 1 for one in flips):
        return None
    if not all(any(_covers(other, one, up) for other in alive) for one in closing):
        return None
    if not _recovers(network, closing, [one for one in flips if (up, _UP) in one.update], up):
        return None
    return attrs.evolve(network, commands=tuple(alive))


def _asked(command: Command, f: int) -> frozenset[int]:
    return dict(command.guard).get(f, frozenset({_UP, _DOWN}))


def _known_by_commands_only(network: Network, up: int) -> bool:
    guards = [one.guard for one in network.internal]
    guards += [one.guard for one in network.forbidden]
    if any(f == up for guard in guards for f, _ in guard):
        return False
    return dict(network.rest).get(up) == frozenset({_UP})


def _covers(other: Command, one: Command, up: int) -> bool:
    """Whether the other does the same, wherever the first is enabled but for ``@up``."""
    asked = dict(one.guard)
    return (
        other.row == one.row
        and dict(other.update) == dict(one.update)
        and all(f in asked and asked[f] <= allowed for f, allowed in other.guard if f != up)
    )


def _recovers(
    network: Network, closing: Sequence[Command], recoveries: Iterable[Command], up: int
) -> bool:
    """Whether every call can be closed while the orchestrator is down, and it then comes back."""
    closed: dict[int, set[int]] = {}
    for one in closing:
        literals = [literal for literal in one.guard if literal[0] != up]
        if len(literals) != 1:
            return False
        ((f, values),) = literals
        if dict(one.update).get(f, -1) in {*values, -1}:
            return False
        closed.setdefault(f, set()).update(values)
    if any(_goes_round((*closing, *network.internal), f) for f in closed):
        return False
    return any(
        all(
            f == up or values | closed.get(f, set()) >= set(range(len(network.fields[f].values)))
            for f, values in one.guard
        )
        for one in recoveries
    )


def _goes_round(commands: Iterable[Command], f: int) -> bool:
    """Whether these commands could bring a field back to a value that it has left."""
    leads: dict[int, set[int]] = {}
    for one in commands:
        target = dict(one.update).get(f)
        if target is not None:
            asked = dict(one.guard).get(f)
            if asked is None:
                return True
            for x in asked - {target}:
                leads.setdefault(x, set()).add(target)
    while leads:
        ends = [x for x, after in leads.items() if after.isdisjoint(leads)]
        if not ends:
            return True
        for x in ends:
            del leads[x]
    return False
