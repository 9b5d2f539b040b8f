"""
Prints how much of PAR(w) decides all rules: ``python -m tests.benchmarks.reduction [w]``.

All states are counted by orbits, exactly; CPU seconds, the network included.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._quotient import explore as explore_orbits
from saga_fsm.checker._reduced import explore
from saga_fsm.checker._search import Explored
from saga_fsm.product import Network
from tests.benchmarks.families import network, par


# Of all states of PAR(6) over those that are looked at.
GOAL = 100.0
LARGEST = 6


def measured(search: Callable[[Network, Bounds], Explored], width: int) -> tuple[Explored, float]:
    """What a search found, and its CPU seconds."""
    begin = time.process_time()
    found = search(network(par(width)), Bounds(10**8))
    assert found.complete
    assert not found.breaches
    return found, time.process_time() - begin


def main(largest: int = LARGEST) -> int:
    """Print the figures; 0 if the goal is reached at the largest."""
    ratio = 0.0
    print("          all states     orbits        s    reduced        s    all / reduced")
    for width in range(2, largest + 1):
        whole, slow = measured(explore_orbits, width)
        part, fast = measured(explore, width)
        ratio = whole.states / part.looked_at
        figures = f"{whole.looked_at:10,} {slow:8.1f} {part.looked_at:10,} {fast:8.1f}"
        print(f"PAR({width}) {whole.states:13,} {figures} {ratio:10,.0f}", flush=True)
    return int(ratio < GOAL)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
