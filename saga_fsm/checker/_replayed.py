"""
One layout's first breach, and what a given run breaks: all that slices ask of an engine.

The two functions are the only place where slices, contracts and composition meet a search, so that
another engine can take its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import attrs

from saga_fsm.checker._cores import state_of
from saga_fsm.checker._search import search
from saga_fsm.checker._traces import Breach, trace
from saga_fsm.compiler import compile_layout
from saga_fsm.definition import Contract
from saga_fsm.definition.layout import Layout
from saga_fsm.machine import Machine
from saga_fsm.product import Command, holds, network_of


__all__ = [
    "LIMIT",
    "Breach",
    "Compile",
    "TooLargeError",
    "broken_by",
    "explore",
    "first_breach",
    "nearest",
]

Compile: TypeAlias = Callable[[Layout], Machine]
# Slices are small; one that is nested very deeply may not be.
LIMIT = 400_000


class TooLargeError(Exception):
    """A slice has more states than are looked at: nothing can be said."""


def explore(
    layout: Layout, compiled: Compile = compile_layout, *, crashes: bool = True, limit: int = LIMIT
) -> tuple[Breach | None, int]:
    """
    The nearest breach of a layout, and how many states were looked at.

    Locks are left out: one that is never let go of is the definition's fault, and no slice holds
    all that may let go of it.

    Raises:
        TooLargeError: there are more states than ``limit``, and no breach among so many.
    """
    network = network_of(layout, compiled(layout), crashes=crashes, locks=False)
    explored = search(network, limit=limit, first_only=True)
    if explored.interrupted:
        raise KeyboardInterrupt
    breach = next(iter(explored.breaches), None)
    if breach is None and not explored.complete:
        raise TooLargeError(f"{layout.saga.name} has more than {limit:,} states")
    return breach, explored.states


def first_breach(layout: Layout) -> Breach | None:
    """The nearest breach of a slice, under its own contracts."""
    return explore(layout)[0]


def broken_by(
    layout: Layout, machine: Machine, run: Sequence[str], kept: dict[str, Contract] | None = None
) -> Breach | None:
    """What a run breaks, replayed token by token beside its participants; None if nothing."""
    network = network_of(layout, machine, kept=kept, locks=False)
    by_token: dict[str, list[Command]] = {}
    for command in network.commands:
        by_token.setdefault(command.token, []).append(command)
    forbidden = [(one, one.guard) for one in network.forbidden]
    states = [network.initial]
    for token in run:
        ends = (network.after(command, states[-1]) for command in by_token.get(token, ()))
        after = next((end for end in ends if end is not None), None)
        if after is None:
            return None
        states.append(after)
        broken = next((one for one, guard in forbidden if holds(guard, after)), None)
        if broken is not None:
            said = broken.said(state_of(network, after).status.value)
            return Breach(*said, trace(network, states))
    return None


def nearest(found: Sequence[Breach], *, decided: bool) -> Breach | None:
    """
    The nearest of several breaches.

    Args:
        found: these.
        decided: whether each is at its shortest run, and none is missing among them.
    """
    breach = min(found, key=lambda one: len(one.path), default=None)
    return breach and attrs.evolve(breach, shortest=decided)
