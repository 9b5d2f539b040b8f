"""A network that remembers: one more bit for each event that a property names."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from saga_fsm.product import Command, Field, Network
from saga_fsm.properties._atoms import Happened, Remembered
from saga_fsm.properties._predicates import Predicate
from saga_fsm.properties._view import Occasion, Terms


def remembered(predicates: Iterable[Predicate], terms: Terms) -> dict[str, Remembered]:
    """What these predicates want to be remembered, by the name of its field."""
    return {
        leaf.field(terms): leaf
        for one in predicates
        for leaf in one.leaves()
        if isinstance(leaf, Remembered)
    }


def watched(network: Network, memory: dict[str, Remembered], terms: Terms) -> Network:
    """
    The network with a further field for each of these.

    The bit of what has happened is set by its commands and never cleared. The bit of what happens
    now is cleared by all others, so a command that changed nothing may now change that.
    """
    fields, commands = list(network.fields), list(network.commands)
    for name, leaf in sorted(memory.items()):
        f, occasion = len(fields), leaf.occasion(terms)
        fields.append(Field(name, ("no", "yes")))
        kept = isinstance(leaf, Happened)
        commands = [_updated(one, f, occasion, kept=kept) for one in commands]
    return attrs.evolve(network, fields=tuple(fields), commands=tuple(commands))


def _updated(command: Command, f: int, occasion: Occasion, *, kept: bool) -> Command:
    if occasion.meets(command.token):
        return command._replace(update=(*command.update, (f, 1)))
    return command if kept else command._replace(update=(*command.update, (f, 0)))
