"""The weakest contract of each step under which a saga is safe."""

from __future__ import annotations

from typing import Any

import attrs

from saga_fsm.checker._invariants import Invariants
from saga_fsm.checker._product import Product
from saga_fsm.checker._search import search
from saga_fsm.compiler import compile_layout
from saga_fsm.definition import GUARDED, Contract, Kind, Saga
from saga_fsm.definition.layout import lay_out, lay_out_with


_FLAGS = ("idempotent", "sticky", "fenced")


def weakest(saga: Saga[Any, Any, Any], *, limit: int) -> dict[str, Contract]:
    """
    What each step's participant must promise, all others promising everything.

    A promise is required when the saga is not safe without it, the table being compiled for the
    weaker contract. Three searches a step, each of which ends at its first breach; one that the
    limit cuts short requires the promise, since nothing shows that it can be spared. Read-only
    steps need none and are not listed.
    """
    layout = lay_out(saga)
    all_guarded = dict.fromkeys(layout.steps, GUARDED)
    required = {}
    for path, placed in layout.steps.items():
        if placed.kind is not Kind.READONLY:
            needs = {
                flag: not _safe(
                    saga, all_guarded | {path: attrs.evolve(GUARDED, **{flag: False})}, limit
                )
                for flag in _FLAGS
            }
            required[path] = Contract(**needs)
    return required


def _safe(saga: Saga[Any, Any, Any], contracts: dict[str, Contract], limit: int) -> bool:
    layout = lay_out_with(saga, contracts)
    product = Product(layout, compile_layout(layout))
    explored = search(product, Invariants(layout, product), limit=limit, first_only=True)
    return explored.complete and not explored.breaches


def missing(saga: Saga[Any, Any, Any], required: dict[str, Contract]) -> dict[str, set[str]]:
    """What is required and not declared, by path."""
    steps = lay_out(saga).steps
    lacking = {
        path: {
            flag
            for flag in _FLAGS
            if getattr(contract, flag) and not getattr(steps[path].contract, flag)
        }
        for path, contract in required.items()
    }
    return {path: flags for path, flags in lacking.items() if flags}
