"""
Prints what composition costs: ``python -m tests.benchmarks.compose``.

CPU seconds, layout and slices included; branches of one to five steps.
"""

from __future__ import annotations

import sys
import time

from saga_fsm.checker._compose import Composed, compose
from saga_fsm.checker._weakest import Needs
from saga_fsm.definition import GUARDED, Saga, parallel
from saga_fsm.definition.layout import lay_out
from tests.reference import C


GOAL, RATIO = 3.0, 12.0
ROUNDS = 3


def branches(count: int) -> Saga[object, object]:
    """So many parallel branches, of one to five steps."""
    inside = [Saga(f"n{i}", *(C(f"c{i}_{j}") for j in range(1 + i % 5))) for i in range(count)]
    return Saga("wide", parallel(*inside), contract=GUARDED)


def seconds(count: int) -> float:
    """CPU seconds to compose them, at best."""
    best = float("inf")
    for _ in range(ROUNDS):
        saga = branches(count)
        begin = time.process_time()
        composed = compose(lay_out(saga))
        best = min(best, time.process_time() - begin)
        assert isinstance(composed, Composed)
        assert composed.breach is None
    return best


def main() -> int:
    """Print the figures; 0 if the goals are reached."""
    few, many = seconds(100), seconds(1_000)
    steps = Saga("long", *(C(f"c{i}") for i in range(100)), contract=GUARDED)
    begin = time.process_time()
    required = Needs(steps).required
    asked = time.process_time() - begin
    print(f"compose, 100 branches      {few:6.3f} s")
    print(f"compose, 1,000 branches    {many:6.3f} s   goal {GOAL} s")
    print(f"time(1,000) / time(100)    {many / few:6.1f}     goal {RATIO}")
    print(f"required, {len(required)} steps        {asked:6.3f} s   goal 2 s")
    return int(many > GOAL or many / few > RATIO)


if __name__ == "__main__":
    sys.exit(main())
