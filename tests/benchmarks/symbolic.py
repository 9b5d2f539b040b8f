"""
Prints what sets of states cost: ``python -m tests.benchmarks.symbolic [--large] [--without-cudd]``.

One line a family and size: states, CPU seconds (network made and search, no import), nodes of the
diagram of all states. Goals by CUDD: PAR(20) in 2 s, SEQ(40) in 10 s; with ``--large``, PAR(200)
and SEQ(60) come to their end, which takes minutes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple

from saga_fsm import Saga
from saga_fsm.checker._bdd import NAMES
from saga_fsm.checker._symbolic import explore_symbolically
from tests.benchmarks.families import network, par, seq


_FAMILIES: dict[str, Callable[[int], Saga[Any, Any, Any]]] = {"PAR": par, "SEQ": seq}
_USUAL = {
    "cudd": [("PAR", 6), ("PAR", 20), ("SEQ", 20), ("SEQ", 40)],
    "autoref": [("PAR", 6), ("PAR", 10), ("SEQ", 10), ("SEQ", 20)],
}
_LARGE = [("PAR", 50), ("SEQ", 60), ("PAR", 200)]
GOALS = {("cudd", "PAR", 20): 2.0, ("cudd", "SEQ", 40): 10.0}


class Row(NamedTuple):
    """
    What one search took.

    Args:
        backend: "cudd" or "autoref".
        family: "PAR" or "SEQ".
        size: branches or steps.
        states: exactly.
        seconds: of CPU.
        nodes: of the diagram of all states.
        proved: whether it came to its end, and found nothing.
        goal: seconds that it may take; None for any.
    """

    backend: str
    family: str
    size: int
    states: int
    seconds: float
    nodes: int
    proved: bool
    goal: float | None

    @property
    def reached(self) -> bool:
        """Whether it was proved, in time."""
        return self.proved and (self.goal is None or self.seconds <= self.goal)


def measured(backend: str, family: str, size: int) -> Row:
    """One search."""
    saga = _FAMILIES[family](size)
    begin = time.process_time()
    proved = explore_symbolically(network(saga), backend=backend)
    seconds = time.process_time() - begin
    safe = proved.complete and not proved.breaches
    goal = GOALS.get((backend, family, size))
    return Row(backend, family, size, proved.states, seconds, proved.nodes, safe, goal)


def rows(*, large: bool = False, cudd: bool = True) -> Iterator[Row]:
    """All searches, by each library that is there, the smaller ones first."""
    for backend, sizes in _USUAL.items():
        if find_spec(f"dd.{backend}") is None or (backend == "cudd" and not cudd):
            continue
        # What importing takes is measured with none.
        measured(backend, "SEQ", 1)
        for family, size in [*sizes, *(_LARGE if large and backend == "cudd" else [])]:
            yield measured(backend, family, size)


def line(row: Row) -> str:
    """A row in words."""
    states = f"{row.states:,}" if row.states < 10**12 else f"{float(row.states):.1e}"
    goal = "" if row.goal is None else f"   goal {row.goal:g} s"
    verdict = "" if row.proved else "   NOT PROVED"
    return (
        f"{NAMES[row.backend]:11} {f'{row.family}({row.size})':9} {states:>17} states"
        f" {row.seconds:8.2f} s {row.nodes:7,} nodes{goal}{verdict}"
    )


def main() -> int:
    """Print the figures; 0 if the goals are reached."""
    if find_spec("dd") is None:
        print("dd is missing\n  pip install 'saga-fsm[symbolic]'", file=sys.stderr)
        return 3
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    missed = 0
    for row in rows(large="--large" in sys.argv, cudd="--without-cudd" not in sys.argv):
        print(line(row), flush=True)
        missed += not row.reached
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
