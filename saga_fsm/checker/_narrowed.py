"""
The same network with guards that ask for nothing that never is.

What stands at a step's participant hangs on where the step is: one that is done has landed. Each
step is taken with its ledger and nothing else, to a fixpoint; of its guards what is left are the
values that go together. No state that a run comes to enables another command than before, so states
and moves are the same; but in most states fewer guards have to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from saga_fsm.product import Command, Guard, Network


def narrowed(network: Network) -> Network:
    """
    Narrow the guards of the commands.

    Args:
        network: machine and environment.
    """
    at = {field.name: f for f, field in enumerate(network.fields)}
    pairs = [(at[name[1:]], f) for name, f in at.items() if name[0] == "~" and name[1:] in at]
    touching: dict[int, list[Command]] = {}
    for one in (*network.commands, *network.internal):
        for f in {f for f, _ in (*one.guard, *one.update)}:
            touching.setdefault(f, []).append(one)
    commands = list(network.commands)
    numbers = {id(one): number for number, one in enumerate(commands)}
    for v, g in pairs:
        asked = (*touching.get(v, ()), *touching.get(g, ()))
        together = _together(v, g, {id(one): one for one in asked}.values())
        for one in touching.get(g, ()):
            number = numbers.get(id(one))
            if number is not None:
                guard = _narrow(commands[number].guard, v, g, together)
                commands[number] = commands[number]._replace(guard=guard)
    return attrs.evolve(network, commands=tuple(commands))


def _together(v: int, g: int, commands: Iterable[Command]) -> set[tuple[int, int]]:
    """The values of two fields that go together, whatever the others are."""
    moves = []
    for one in commands:
        guard, update = dict(one.guard), dict(one.update)
        if v in update or g in update:
            moves.append((guard.get(v), guard.get(g), update.get(v), update.get(g)))
    seen, todo = {(0, 0)}, [(0, 0)]
    while todo:
        x, y = todo.pop()
        for in_v, in_g, to_v, to_g in moves:
            if (in_v is None or x in in_v) and (in_g is None or y in in_g):
                after = x if to_v is None else to_v, y if to_g is None else to_g
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
    return seen


def _narrow(guard: Guard, v: int, g: int, together: set[tuple[int, int]]) -> Guard:
    allowed = dict(guard)
    if v not in allowed or g not in allowed:
        return guard
    both = [(x, y) for x, y in together if x in allowed[v] and y in allowed[g]]
    less = {v: frozenset(x for x, _ in both), g: frozenset(y for _, y in both)}
    return tuple((f, less.get(f, those)) for f, those in guard)
