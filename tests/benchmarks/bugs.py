"""
Prints how soon planted bugs are found in a saga of 12 steps: ``python -m tests.benchmarks.bugs``.

The bugs are those of tests/quality, each in its own small saga; steps are put before it until there
are 12. The time is that of the network and of the search to the first, and so shortest, run.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from typing import Any

import attrs

from saga_fsm.checker._search import graph_of, search
from saga_fsm.definition.layout import Layout
from saga_fsm.errors import DefinitionError
from saga_fsm.machine import Machine
from saga_fsm.product import Network, holds, network_of
from tests.quality.test_planted_bugs import BY_RULE, PLANTED, planted
from tests.reference import C, R


STEPS = 12
GOAL = 0.2
LIMIT = 50_000


def padded(blocks: tuple[Any, ...], change: Any) -> Iterator[tuple[Layout, Machine]]:
    """The saga of a bug with further steps before or behind it, where the bug can be planted."""
    more = STEPS - len(planted(blocks, None)[0].steps)
    for kind, before in itertools.product((C, R), (True, False)):
        others = [kind(f"z{number}") for number in range(more)]
        with contextlib.suppress(DefinitionError, KeyError, AssertionError):
            yield planted((*others, *blocks) if before else (*blocks, *others), change)


@attrs.frozen
class Found:
    """
    A bug that was found.

    Args:
        bug: its name.
        seconds: of CPU, for the network and the search.
        states: that were looked at.
        moves: of the run that was found.
        least: moves of a shortest run, as ``least_of`` has it.
    """

    bug: str
    seconds: float
    states: int
    moves: int
    least: int


def search_for(bug: str) -> Found:
    """Search for one until it is found."""
    blocks, change = (PLANTED.get(bug) or BY_RULE[bug])[:2]
    for layout, machine in padded(blocks, change):
        assert len(layout.steps) == STEPS
        begin = time.process_time()
        network = network_of(layout, machine)
        found = search(network, limit=LIMIT, first_only=True)
        taken = time.process_time() - begin
        if found.breaches:
            moves = len(found.breaches[0].path)
            return Found(bug, taken, found.states, moves, least_of(network))
    message = f"{bug} was not found"
    raise AssertionError(message)


def least_of(network: Network) -> int:
    """
    How many moves it takes to the nearest state that is forbidden, or has no way to rest.

    All states are asked, each for all that is forbidden, whatever the search has made of them.
    """
    graph = graph_of(network, limit=LIMIT)
    depths = [0]
    for parent in graph.parents[1:]:
        depths.append(depths[parent] + 1)
    seen = len(graph.ends)
    states = [graph.values(number) for number in range(seen)]
    into: dict[int, list[int]] = {}
    for number in range(seen):
        for after in graph.after(number):
            into.setdefault(after, []).append(number)
    # What was not looked at any more may rest.
    todo = [number for number, state in enumerate(states) if holds(network.rest, state)]
    todo += range(seen, len(graph.nodes))
    resting = set(todo)
    while todo:
        fresh = [x for x in into.get(todo.pop(), ()) if x not in resting]
        resting.update(fresh)
        todo += fresh
    for number, state in enumerate(states):
        if number not in resting or any(holds(one.guard, state) for one in network.forbidden):
            return depths[number]
    message = "nothing is wrong"
    raise AssertionError(message)


def main() -> None:
    """Print one line a bug, the slowest last, and how many missed the goal."""
    rows = sorted((search_for(bug) for bug in (*PLANTED, *BY_RULE)), key=lambda x: x.seconds)
    for one in rows:
        print(f"{one.seconds * 1000:8.1f} ms {one.states:8,} states {one.moves:4} moves  {one.bug}")
    late = sum(one.seconds > GOAL for one in rows)
    print(f"{len(rows)} bugs in sagas of {STEPS} steps; {late} took over {GOAL} s")


if __name__ == "__main__":
    main()
