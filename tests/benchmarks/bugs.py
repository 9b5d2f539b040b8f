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

from saga_fsm import GUARDED, Saga, compile_saga, parallel
from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._engines import ENGINES, Subject
from saga_fsm.checker._search import Explored, graph_of, search
from saga_fsm.definition.layout import Layout, lay_out
from saga_fsm.errors import DefinitionError
from saga_fsm.machine import Machine
from saga_fsm.product import Network, holds, network_of
from tests.quality.test_planted_bugs import BY_RULE, PLANTED, planted
from tests.reference import BOUNDED, C, R


STEPS = 12
GOAL = 0.2
LIMIT = 50_000
ROUNDS = 5


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
        seconds: of CPU, for the network and the search, in the best of ``ROUNDS``.
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
        found, taken = _searched(layout, machine)
        if found.breaches:
            least = least_of(network_of(layout, machine))
            return Found(bug, taken, found.states, len(found.breaches[0].path), least)
    message = f"{bug} was not found"
    raise AssertionError(message)


def _searched(layout: Layout, machine: Machine) -> tuple[Explored, float]:
    """What is found, and the CPU seconds of the best round: a busy machine slows some of them."""
    taken = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        found = search(network_of(layout, machine), limit=LIMIT, first_only=True)
        taken.append(time.process_time() - begin)
    return found, min(taken)


def sequence(steps: int) -> Saga[Any, Any, Any]:
    """So many steps, the last of which is not idempotent."""
    return Saga("sequence", *_with_one_weak(steps), contract=GUARDED)


def branches(width: int) -> Saga[Any, Any, Any]:
    """So many branches, the last of which is not idempotent."""
    return Saga("branches", parallel(*_with_one_weak(width)), contract=GUARDED)


def _with_one_weak(many: int) -> list[Any]:
    weak = attrs.evolve(GUARDED, idempotent=False)
    strong = [C(f"s{number}", retry=BOUNDED) for number in range(many - 1)]
    return [*strong, C(f"s{many - 1}", retry=BOUNDED, contract=weak)]


def in_the_whole(saga: Saga[Any, Any, Any]) -> Found:
    """What ``check`` does until it has a run: the best of ``ROUNDS``, compiling not counted."""
    layout, machine = lay_out(saga), compile_saga(saga)
    taken = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        subject = Subject(layout, network_of(layout, machine))
        found = ENGINES["auto"](subject, Bounds(5_000_000), None)
        taken.append(time.process_time() - begin)
    (breach, *_) = found.breaches
    assert breach.shortest
    return Found(saga.name, min(taken), found.states, len(breach.path), len(breach.path))


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
