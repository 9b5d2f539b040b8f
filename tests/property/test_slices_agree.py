"""Slices against whole sagas, of every block, safe and unsafe: one verdict, equally short runs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from saga_fsm.checker._aimed import aimed
from saga_fsm.checker._compose import Composed, compose
from saga_fsm.checker._replayed import TooLargeError, explore
from saga_fsm.checker._search import search
from saga_fsm.compiler import compile_saga
from saga_fsm.definition import GUARDED, Contract, Kind, Saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.product import network_of
from tests.drawn import Lots
from tests.reference import REFERENCES


LIMIT = 4_000
FLAGS = ("idempotent", "sticky", "fenced")
# Each verdict must be drawn often enough to mean something.
SHARE = 0.2


def test_a_saga_is_safe_exactly_if_its_slices_are() -> None:
    """The verdict from the slices is that of the whole search, and a breach has its run."""
    seen: Counter[str] = Counter()
    for seed in range(50):
        saga = Lots(seed, weak=0.25).saga()
        layout = lay_out(saga)
        try:
            whole, _ = explore(layout, limit=LIMIT)
        except TooLargeError:
            continue
        composed = compose(layout)
        assert isinstance(composed, Composed), f"{seed} {composed}\n{saga}"
        assert (composed.breach is None) == (whole is None), f"{seed} {whole}\n{saga}"
        if composed.breach is not None:
            events = composed.breach.path.events
            moves = compile_saga(saga).replay(events)
            assert all(move.ignored is None for move in moves)
        seen["safe" if whole is None else "unsafe"] += 1
    assert seen.total() >= 30, seen
    assert min(seen["safe"], seen["unsafe"]) >= SHARE * seen.total(), seen


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda one: one.text)
def test_the_reference_sagas_are_composed_as_safe(reference: Any) -> None:
    """Every saga of the specification's table is safe by its slices."""
    composed = compose(lay_out(reference.make()))
    assert isinstance(composed, Composed)
    assert composed.breach is None


def lengths(
    saga: Saga[Any, Any], path: str, kept: Contract
) -> tuple[int | None, int | None] | None:
    """How long the shortest run is by the whole search and by the aimed one; None: too large."""
    layout, machine = lay_out(saga), compile_saga(saga)
    every = dict.fromkeys(layout.steps, GUARDED) | {path: kept}
    network = network_of(layout, machine, kept=every, locks=False)
    explored = search(network, limit=LIMIT, first_only=True)
    if not explored.complete and not explored.breaches:
        return None
    run, decided = aimed(layout, machine, path, kept)
    assert decided, path
    whole = len(explored.breaches[0].path) if explored.breaches else None
    return whole, None if run is None else len(run)


@pytest.mark.parametrize("part", range(4))
def test_the_aimed_search_finds_a_shortest_run(part: int) -> None:
    """Without each promise of each step: as short a run as the whole search has, or none."""
    seen: Counter[str] = Counter()
    sagas = [one.make() for one in REFERENCES[part::4]]
    sagas += [Lots(seed, weak=0.1).saga() for seed in range(500 + part, 516, 4)]
    for saga in sagas:
        for path, placed in lay_out(saga).steps.items():
            if placed.kind is Kind.READONLY:
                continue
            for flag in FLAGS:
                kept = Contract(**{x: getattr(placed.contract, x) and x != flag for x in FLAGS})
                found = lengths(saga, path, kept)
                if found is not None:
                    assert found[0] == found[1], f"{path} not {flag}: {found}\n{saga}"
                    seen["none" if found[0] is None else "run"] += 1
    assert seen["run"] >= 25, seen
    assert seen["none"] >= 1, seen
