"""Guards that ask for nothing that never is: less to look at, and the same states."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings

from saga_fsm import GUARDED, Saga
from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._explicit import explore
from saga_fsm.checker._narrowed import narrowed
from saga_fsm.checker._search import graph_of, search
from saga_fsm.product import Network
from tests.benchmarks.families import network, par, seq
from tests.property.test_checker_product import sagas
from tests.property.test_engines_agree import SHAPES, confluent, figures, settles, tampered


LIMIT = 20_000


@pytest.mark.heavy
@settings(max_examples=25)
@given(saga=sagas())
def test_narrowed_guards_reach_the_same(saga: Saga[Any, Any]) -> None:
    """States, moves, depth, rows and breaches are those of the table as it is."""
    whole = search(network(saga), limit=LIMIT)
    if whole.complete:
        assert figures(search(narrowed(network(saga)), limit=LIMIT)) == figures(whole)


def test_narrowed_guards_of_wrong_tables_reach_the_same() -> None:
    """What a tampered table lets happen is not left out either."""
    luck = random.Random(8)
    unsafe = 0
    for _ in range(30):
        saga = Saga("planted", *luck.choice(SHAPES)(), contract=GUARDED)
        net = tampered(saga, luck)
        if not settles(net):
            continue
        whole = search(net, limit=LIMIT)
        assert figures(search(narrowed(net), limit=LIMIT)) == figures(whole)
        unsafe += bool(whole.breaches)
    assert unsafe >= 5


def options(net: Network) -> int:
    """How many commands are looked at, in all cores together."""
    cores = graph_of(net, limit=LIMIT).cores
    return sum(len(cores.options(core)) for core in range(len(cores.codes)))


def test_there_is_less_to_look_at() -> None:
    """A step that is done has landed: of ten done steps none is asked whether it lands."""
    assert options(narrowed(network(seq(10)))) < 0.6 * options(network(seq(10)))


@pytest.mark.heavy
@pytest.mark.parametrize("narrow", [0, 10**6])
def test_narrow_levels_and_wide_ones_are_the_same(
    narrow: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Command by command, or all commands at once: the same states, moves and rows."""
    monkeypatch.setattr("saga_fsm.checker._explicit._NARROW", narrow)
    for saga in (seq(8), par(3), seq(3, contract=GUARDED)):
        whole = search(network(saga), limit=10**6)
        assert figures(explore(network(saga), Bounds(10**6))) == figures(whole)
    luck = random.Random(5)
    unsafe = 0
    for _ in range(15):
        net = tampered(Saga("planted", *luck.choice(SHAPES)(), contract=GUARDED), luck)
        if not (settles(net) and confluent(net, search(net, limit=LIMIT))):
            continue
        whole = search(net, limit=LIMIT)
        assert figures(explore(net, Bounds(LIMIT))) == figures(whole)
        unsafe += bool(whole.breaches)
    assert unsafe >= 3
