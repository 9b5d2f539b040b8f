"""The weakest contract of each step under which a saga is safe, and a run for each lack of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import attrs

from saga_fsm.checker._invariants import Invariants
from saga_fsm.checker._product import Product
from saga_fsm.checker._report import Finding
from saga_fsm.checker._search import Breach, search
from saga_fsm.compiler import compile_layout, compile_saga
from saga_fsm.definition import GUARDED, Contract, Kind, Saga
from saga_fsm.definition.layout import Layout, PlacedStep, lay_out, lay_out_with


_FLAGS = ("idempotent", "sticky", "fenced")
# A try that is neither refuted nor searched to its end within so many states is decided by the
# step alone: what a step needs does not hang on its neighbours (machine.md 9).
_BUDGET = 5_000


def weakest(saga: Saga[Any, Any, Any]) -> dict[str, Contract]:
    """
    What each step's participant must promise, all others promising everything; by step name.

    Whole contracts are tried, not single promises: with a fencing query a step can do without
    ``sticky`` or without ``fenced``, and not without both. The table is compiled for the contract
    that is tried. Of several the one that asks for least beyond what is declared is taken, so a
    step lacks nothing if its own contract will do. Copies of one block are one step; read-only
    steps need nothing and are not listed.
    """
    layout = lay_out(saga)
    required = {}
    for name, paths in _by_name(layout).items():
        declared = layout.steps[paths[0]].contract
        tries = _contracts(declared)
        # Where no promise helps, the fault is elsewhere; then nothing can be spared either.
        required[name] = next((one for one in tries if _safe(layout, paths, one)), GUARDED)
    return required


def missing(saga: Saga[Any, Any, Any], required: dict[str, Contract]) -> dict[str, set[str]]:
    """What is required and not declared, by step name."""
    layout = lay_out(saga)
    lacking = {
        name: promised(required[name]) - promised(layout.steps[paths[0]].contract)
        for name, paths in _by_name(layout).items()
    }
    return {name: set(flags) for name, flags in lacking.items() if flags}


def lacks(saga: Saga[Any, Any, Any], required: dict[str, Contract]) -> Iterator[Finding]:
    """
    Each promise that is missing, with the shortest run that shows why.

    The saga's own table, and participants that keep all that is required but this one promise.
    """
    layout, machine = lay_out(saga), compile_saga(saga)
    paths = _by_name(layout)
    for name, flags in missing(saga, required).items():
        for flag in sorted(flags, key=_FLAGS.index):
            kept = dict.fromkeys(layout.steps, GUARDED)
            kept |= dict.fromkeys(paths[name], attrs.evolve(required[name], **{flag: False}))
            breach, _ = _first(layout, Product(layout, machine, kept=kept))
            if breach is not None:
                message = _sentence(layout.steps[paths[name][0]], name, flag, breach)
                yield Finding(breach.rule, "error", name, message, breach.path)


def _sentence(placed: PlacedStep, name: str, flag: str, breach: Breach) -> str:
    text = f"the participant of '{name}' must promise to be {flag}; without it: {breach.message}"
    if flag == "fenced" and placed.step.query is None:
        text += ". A query= that fences, and sticky, would do instead"
    return text


def promised(contract: Contract) -> frozenset[str]:
    """The names of what a contract promises."""
    return frozenset(flag for flag in _FLAGS if getattr(contract, flag))


def _contracts(declared: Contract) -> Iterator[Contract]:
    has = promised(declared)
    every = [set(x) for count in range(len(_FLAGS) + 1) for x in combinations(_FLAGS, count)]
    for flags in sorted(every, key=lambda flags: (len(flags - has), len(flags))):
        yield Contract(**dict.fromkeys(flags, True))


def _by_name(layout: Layout) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for path, placed in layout.steps.items():
        if placed.kind is not Kind.READONLY:
            plain = "/".join(part.partition("[")[0] for part in path.split("/"))
            names.setdefault(plain, []).append(path)
    return names


def _safe(layout: Layout, paths: list[str], contract: Contract) -> bool:
    breach, complete = _under(layout, paths, contract)
    if breach is None and not complete:
        alone = _alone(layout.steps[paths[0]])
        breach, _ = _under(alone, list(alone.steps), contract)
    return breach is None


def _under(layout: Layout, paths: list[str], contract: Contract) -> tuple[Breach | None, bool]:
    contracts = dict.fromkeys(layout.steps, GUARDED) | dict.fromkeys(paths, contract)
    tried = lay_out_with(layout.saga, contracts)
    return _first(tried, Product(tried, compile_layout(tried)))


def _first(layout: Layout, product: Product) -> tuple[Breach | None, bool]:
    # A lock that is never let go is the definition's fault, and no promise mends it.
    invariants = Invariants(layout, product, locks=False)
    explored = search(product, invariants, limit=_BUDGET, first_only=True)
    return next(iter(explored.breaches), None), explored.complete


def _alone(placed: PlacedStep) -> Layout:
    step = attrs.evolve(
        placed.step, retry=placed.retry, compensation_retry=placed.compensation_retry, policy=None
    )
    return lay_out(Saga(placed.step.name, step))
