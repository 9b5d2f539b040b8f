"""The weakest contract of each step under which a saga is safe, and a run for each lack of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import combinations
from typing import Any

import attrs

from saga_fsm.checker._report import Finding
from saga_fsm.checker._search import search
from saga_fsm.checker._text import PROMISE, plain
from saga_fsm.checker._traces import Breach
from saga_fsm.compiler import compile_layout, compile_saga
from saga_fsm.definition import GUARDED, Contract, Kind, Saga
from saga_fsm.definition.layout import Layout, PlacedStep, lay_out, lay_out_with
from saga_fsm.product import Network, network_of


_FLAGS = ("idempotent", "sticky", "fenced")
# What a step needs does not hang on its neighbours (machine.md 9): so much of the saga is enough.
_BUDGET = 5_000


class Needs:
    """
    What a saga's participants must promise and do not, searched when it is asked for.

    Args:
        saga: whose.
    """

    def __init__(self, saga: Saga[Any, Any, Any]) -> None:
        self.saga = saga
        self._layout = lay_out(saga)
        self._paths = _by_name(self._layout)

    @property
    def promised_whole(self) -> bool:
        """Whether every promise is made, so that none can be missing."""
        declared = (self._layout.steps[paths[0]].contract for paths in self._paths.values())
        return all(promised(contract).issuperset(_FLAGS) for contract in declared)

    @cached_property
    def required(self) -> dict[str, Contract]:
        """
        What each step's participant must promise, all others promising everything; by step name.

        Whole contracts are tried, not single promises: with a fencing query a step can do without
        ``sticky`` or without ``fenced``, and not without both. The table is compiled for the
        contract that is tried. Of several the one that asks for least beyond what is declared is
        taken, so a step lacks nothing if its own contract will do. Copies of one block are one
        step; read-only steps need nothing and are not listed.
        """
        required = {}
        for name, paths in self._paths.items():
            tries = _contracts(self._layout.steps[paths[0]].contract)
            # Where no promise helps, the fault is elsewhere; then nothing can be spared either.
            safe = (one for one in tries if _safe(self._layout, paths, one))
            required[name] = next(safe, GUARDED)
        return required

    @cached_property
    def missing(self) -> dict[str, set[str]]:
        """What is required and not declared, by step name."""
        lacking = {
            name: promised(self.required[name]) - promised(self._layout.steps[paths[0]].contract)
            for name, paths in self._paths.items()
        }
        return {name: set(flags) for name, flags in lacking.items() if flags}

    @cached_property
    def shown(self) -> dict[tuple[str, str], Finding]:
        """
        By step name and promise: each that is missing, with the shortest run that shows why.

        The saga's own table, and participants that keep all that is declared or required but this
        one promise.
        """
        layout, machine = self._layout, compile_saga(self.saga)
        found = {}
        for name, flags in self.missing.items():
            for flag in sorted(flags, key=_FLAGS.index):
                paths = self._paths[name]
                declared = promised(layout.steps[paths[0]].contract)
                kept = dict.fromkeys(layout.steps, GUARDED)
                every = declared | promised(self.required[name])
                kept |= dict.fromkeys(paths, Contract(**dict.fromkeys(every - {flag}, True)))
                breach = _first(network_of(layout, machine, kept=kept, locks=False))
                if breach is not None:
                    message = _sentence(layout.steps[paths[0]], name, flag, breach)
                    found[name, flag] = Finding(breach.rule, "error", name, message, breach.path)
        return found


def _sentence(placed: PlacedStep, name: str, flag: str, breach: Breach) -> str:
    text = f"{PROMISE}'{name}' must promise to be {flag}; without it: {breach.message}"
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
            names.setdefault(plain(path), []).append(path)
    return names


def _safe(layout: Layout, paths: list[str], contract: Contract) -> bool:
    # The step alone is small and refutes most tries; the saga around it has the last word.
    alone = _alone(layout.steps[paths[0]])
    return _sound(alone, list(alone.steps), contract) and _sound(layout, paths, contract)


def _sound(layout: Layout, paths: list[str], contract: Contract) -> bool:
    contracts = dict.fromkeys(layout.steps, GUARDED) | dict.fromkeys(paths, contract)
    tried = lay_out_with(layout.saga, contracts)
    return _first(network_of(tried, compile_layout(tried), locks=False)) is None


def _first(network: Network) -> Breach | None:
    # A lock that is never let go is the definition's fault, and no promise mends it.
    explored = search(network, limit=_BUDGET, first_only=True)
    return next(iter(explored.breaches), None)


def _alone(placed: PlacedStep) -> Layout:
    step = attrs.evolve(
        placed.step, retry=placed.retry, compensation_retry=placed.compensation_retry, policy=None
    )
    return lay_out(Saga(placed.step.name, step))
