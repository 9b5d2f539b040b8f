"""
One layout's first breach, and what a given run breaks: all that slices ask of an engine.

The two functions are the only place where slices, contracts and composition meet a search, so that
another engine can take its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from saga_fsm.checker._invariants import Invariants
from saga_fsm.checker._product import Product
from saga_fsm.checker._search import Breach, _written, search
from saga_fsm.compiler import compile_layout
from saga_fsm.definition import Contract
from saga_fsm.definition.layout import Layout
from saga_fsm.machine import Machine
from saga_fsm.path import Path


__all__ = ["LIMIT", "Breach", "Compile", "TooLargeError", "broken_by", "explore", "first_breach"]

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
    product = Product(layout, compiled(layout), crashes=crashes)
    invariants = Invariants(layout, product, locks=False)
    explored = search(product, invariants, limit=limit, first_only=True)
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
    product = Product(layout, machine, kept=kept)
    invariants = Invariants(layout, product, locks=False)
    node, moves = product.initial, []
    for token in run:
        arrow = next((x for x in product.arrows(node) if x.token == token), None)
        if arrow is None:
            return None
        moves.append(_written(product, node, arrow.node))
        before, node = product.state(node).codes, arrow.node
        broken = [
            *invariants.broken(node),
            *invariants.moves.broken(before, product.state(node).codes),
        ]
        if broken:
            rule, step, message = broken[0]
            path = Path(machine.name, machine.fingerprint, tuple(moves))
            return Breach(rule, step, message, path)
    return None
