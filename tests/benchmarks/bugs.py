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

from saga_fsm.checker._search import search
from saga_fsm.definition.layout import Layout
from saga_fsm.errors import DefinitionError
from saga_fsm.machine import Machine
from saga_fsm.product import network_of
from tests.quality.test_planted_bugs import BY_RULE, PLANTED, planted
from tests.reference import C, R


STEPS = 12
GOAL = 0.2


def padded(blocks: tuple[Any, ...], change: Any) -> Iterator[tuple[Layout, Machine]]:
    """The saga of a bug with further steps before or behind it, where the bug can be planted."""
    more = STEPS - len(planted(blocks, None)[0].steps)
    for kind, before in itertools.product((C, R), (True, False)):
        others = [kind(f"z{number}") for number in range(more)]
        with contextlib.suppress(DefinitionError, KeyError, AssertionError):
            yield planted((*others, *blocks) if before else (*blocks, *others), change)


def seconds_of(bug: str) -> tuple[float, int, int]:
    """CPU seconds, states looked at, moves of the shortest run."""
    blocks, change = (PLANTED.get(bug) or BY_RULE[bug])[:2]
    for layout, machine in padded(blocks, change):
        assert len(layout.steps) == STEPS
        begin = time.process_time()
        found = search(network_of(layout, machine), limit=50_000, first_only=True)
        taken = time.process_time() - begin
        if found.breaches:
            return taken, found.states, len(found.breaches[0].path)
    message = f"{bug} was not found"
    raise AssertionError(message)


def main() -> None:
    """Print one line a bug, the slowest last, and how many missed the goal."""
    rows = sorted((*seconds_of(bug), bug) for bug in (*PLANTED, *BY_RULE))
    for taken, states, moves, bug in rows:
        print(f"{taken * 1000:8.1f} ms {states:8,} states {moves:4} moves  {bug}")
    late = sum(taken > GOAL for taken, *_ in rows)
    print(f"{len(rows)} bugs in sagas of {STEPS} steps; {late} took over {GOAL} s")


if __name__ == "__main__":
    main()
