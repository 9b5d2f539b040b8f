"""The search in arrays: wide states, limits, interrupts, memory, progress, runs."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from saga_fsm.checker._packed import Packing
from saga_fsm.checker._search import search
from tests.benchmarks.families import network, par, seq
from tests.property.test_engines_agree import engine, figures


__all__ = ["engine"]  # the fixture


@pytest.mark.heavy
def test_states_wider_than_63_bits_are_exact(engine: Any) -> None:
    """A saga of 24 steps has 72 bits of memory: no state is lost, and none is taken twice."""
    wide = network(seq(24))
    assert Packing(wide.fields).limbs > 1
    assert figures(engine.explore(wide, limit=10**6)) == figures(search(wide, limit=10**6))


def test_a_limit_of_states_cuts_the_search_short(engine: Any) -> None:
    """What is over the limit is incomplete, and has no opinion on livelocks."""
    found = engine.explore(network(par(3)), limit=5_000)
    assert not found.complete
    assert not found.interrupted
    assert found.short_of == "states"
    assert 5_000 < found.states < 5_200


def test_a_large_limit_is_hardly_passed_either(engine: Any) -> None:
    """However many states are looked at together, not many more than the limit are found."""
    found = engine.explore(network(par(5)), limit=300_000)
    assert 300_000 < found.states < 300_600


def test_a_limit_of_memory_is_kept(engine: Any) -> None:
    """The search stops before it takes more, and says that this was why."""
    found = engine.explore(network(par(3)), limit=10**6, memory=1_500_000)
    assert not found.complete
    assert found.short_of == "memory"
    assert 100 < found.states < 33_448


def test_an_interrupt_gives_what_was_seen(engine: Any) -> None:
    """Ctrl-C ends a search with a partial result."""

    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    found = engine.explore(network(par(3)), limit=10**6, progress=interrupt)
    assert found.interrupted
    assert not found.complete
    assert 0 < found.states < 33_448


def test_progress_is_told_on_the_way(engine: Any) -> None:
    """States and moves grow, and what waits is part of what was found."""
    told: list[tuple[int, ...]] = []
    found = engine.explore(
        network(par(3)), limit=10**6, progress=lambda *figures: told.append(figures)
    )
    assert len(told) >= 3
    assert told == sorted(told)
    assert all(waiting < states <= found.states for states, _, waiting, _ in told)


def test_a_state_without_moves_is_lost_though_the_start_is_not(engine: Any) -> None:
    """A dead end does not lead to rest: I4 is found where the plain search finds it."""
    whole = network(seq(1))
    done = frozenset({whole.fields[0].values.index("done")})
    # Compensated is an end that is no rest now: nothing more can happen there.
    blocked = attrs.evolve(whole, rest=((0, done),), forbidden=())
    expected = search(blocked, limit=10**5)
    assert [x.rule for x in expected.breaches] == ["I4"]
    assert figures(engine.explore(blocked, limit=10**5)) == figures(expected)
