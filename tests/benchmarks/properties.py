"""
What a property costs beside the exploration: ``python -m tests.benchmarks.properties``.

CPU time of one run on the fulfilment example, half a million states. A property is asked with
predicates that nobody has asked before; the moves backwards are sorted once and counted apart.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from saga_fsm.checker._properties import _Judge
from saga_fsm.checker._search import graph_of
from saga_fsm.compiler import compile_saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.examples import fulfilment
from saga_fsm.product import network_of
from saga_fsm.properties import (
    Property,
    always,
    always_possible,
    eventually,
    implies,
    landed,
    leads_to,
    precedes,
    status,
    termination,
    undone,
)
from saga_fsm.properties._view import Terms


GOAL = 0.5  # checker.md: AG EF and leads_to at half of the exploration, or less
HOLD, SHIP = "payment/hold", "dispatch"
ASKED: dict[str, Callable[[], Property]] = {
    "always(implies), functions": lambda: always(
        implies(lambda v: v.landed(SHIP), lambda v: v.landed(HOLD) or v.ended)
    ),
    "precedes, atoms": lambda: precedes(landed(HOLD), landed(SHIP)),
    "always_possible (AG EF)": lambda: always_possible(status("completed", "compensated")),
    "termination": termination,
    "leads_to, atoms": lambda: leads_to(landed(HOLD), landed(SHIP) | undone(HOLD)),
    "leads_to, functions": lambda: leads_to(
        lambda v: v.landed(HOLD), lambda v: v.landed(SHIP) or v.undone(HOLD) or v.ended
    ),
    "eventually, with its run": lambda: eventually(status("completed")),
    "termination, ~crash adversarial": lambda: termination(adversarial=["~crash"]),
}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Give the seconds of CPU that a call takes, and what it gives."""
    begin = time.process_time()
    found = work()
    return time.process_time() - begin, found


def main() -> int:
    """Print one line a property; 1 where the goal is missed."""
    layout, machine = lay_out(fulfilment.saga), compile_saga(fulfilment.saga)
    network = network_of(layout, machine)
    explored, graph = timed(lambda: graph_of(network, limit=1_000_000))
    print(
        f"{len(graph.nodes):,} states, {len(graph.targets):,} moves: explored in {explored:.1f} s"
    )
    made, judge = timed(lambda: _Judge(graph, Terms(layout, network)))
    sorted_, _ = timed(lambda: judge.arrows.back)
    print(f"{'arrays, once':34}{made:8.2f} s {made / explored:6.2f}")
    print(f"{'moves backwards, once':34}{sorted_:8.2f} s {sorted_ / explored:6.2f}")
    missed = False
    for name, make in ASKED.items():
        one = make()
        seconds, found = timed(lambda one=one: list(judge.answer(one)))
        ratio = seconds / explored
        missed |= ratio > GOAL
        print(f"{name:34}{seconds:8.2f} s {ratio:6.2f}  {found[0].level}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
