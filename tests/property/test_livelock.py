"""A livelock that is told early, against the definition, on drawn graphs."""

from __future__ import annotations

from array import array
from unittest import mock

from hypothesis import given, target
from hypothesis import strategies as st

from saga_fsm.checker import _early
from saga_fsm.checker._early import Livelock
from saga_fsm.checker._search import search
from saga_fsm.product import network_of
from tests.benchmarks.bugs import padded
from tests.quality.test_planted_bugs import BY_RULE, PLANTED


def by_definition(graph: list[set[int]], rests: set[int], start: int) -> set[int]:
    """All that can be reached and cannot come to a rest."""

    def reach(number: int) -> set[int]:
        seen, todo = {number}, [number]
        while todo:
            fresh = graph[todo.pop()] - seen
            seen |= fresh
            todo += fresh
        return seen

    return {one for one in reach(start) if not reach(one) & rests}


@given(st.data())
def test_a_livelock_is_told_early_and_rightly(data: st.DataObject) -> None:
    """What is told at any level is the nearest; at the end it is told if there is one."""
    size = data.draw(st.integers(1, 12))
    numbers = st.integers(0, size - 1)
    graph = [data.draw(st.sets(numbers, max_size=3)) for _ in range(size)]
    rests = data.draw(st.sets(numbers, max_size=4))
    lost = by_definition(graph, rests, 0)
    order, places = [0], {0: 0}
    targets, ends = array("I"), array("I")
    with mock.patch.multiple(_early, _FIRST=1, _AGAIN=1.0):
        livelock = Livelock(lambda number: order[number] in rests)
    level, told = [0], None
    while level and told is None:
        below = len(order)
        for one in level:
            for after in sorted(graph[one]):
                if after not in places:
                    places[after] = len(order)
                    order.append(after)
                targets.append(places[after])
            ends.append(len(targets))
        level = order[below:]
        with mock.patch.object(_early, "_AGAIN", 1.0):
            told = livelock.nearest(len(order), targets, ends)
    target(float(bool(level) and told is not None))
    assert told == min((places[x] for x in lost if x in places), default=None)
    assert (told is None) == (not lost)


def test_a_search_for_the_first_breach_ends_at_a_livelock() -> None:
    """Of twelve steps not all states are looked at, and the run is that of the whole search."""
    bug = "an undo that never ends"
    blocks, change = (PLANTED.get(bug) or BY_RULE[bug])[:2]
    network = network_of(*next(padded(blocks, change)))
    early = search(network, limit=50_000, first_only=True)
    whole = search(network, limit=50_000)
    assert [one for one in whole.breaches if one.rule == "I4"] == list(early.breaches)
    assert early.states < whole.states * 0.8
    assert not early.complete
