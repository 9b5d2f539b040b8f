"""
Prints all figures of the failure tests: ``python -m tests.benchmarks.failures [section ...]``.

The sections are those of ``SECTIONS``. All of it takes about ten minutes. Times are CPU seconds,
but for Postgres, whose work another process does: there they are the clock's.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from importlib import import_module
from typing import Any, Final
from unittest.mock import patch

import attrs

from saga_fsm.definition.layout import lay_out
from saga_fsm.testing import explore_faults, replay
from saga_fsm.testing import search as searching
from saga_fsm.testing.case import Case
from saga_fsm.testing.coverage import RowCoverage, untakable
from saga_fsm.testing.search import Search
from tests.acceptance.test_examples_under_faults import BASKETS
from tests.benchmarks.worlds import GOALS, measured, worlds
from tests.quality.planted import Planted, all_planted
from tests.quality.test_planted_found import MOST_RUNS
from tests.sql_shops import SAGA


EXAMPLES: Final = (
    "order",
    "order_with_retries",
    "order_recovered",
    "transfer",
    "trip",
    "fulfilment",
)
QUICK: Final = 1_000
ALARMS: Final = 100_000
Row = tuple[str, str, str]


def rates() -> Iterator[Row]:
    """Plans a second in each world, beside the bare calls of such a plan."""
    with ExitStack() as stack:
        for name, make, most in worlds(stack):
            if name in GOALS:
                clock = time.perf_counter if name.startswith("postgres") else time.process_time
                with patch("time.perf_counter", clock):
                    plans, rate, plain = measured(make, most, SAGA)
                told = f"{rate:,.0f} a second, {rate / plain:.0%} of only its calls ({plans} plans)"
                yield f"plans, {name}", told, f"{GOALS[name]:,}"


def modes() -> Iterator[Row]:
    """How long a user waits, for the order of five steps."""
    order = import_module("saga_fsm.examples.order")
    options: Any = {"world": order.World, "input": order.INPUT, "consistent": order.consistent}
    explore_faults(order.saga, **options, max_faults=0, max_runs=20)
    for name, goal, more in [
        (f"quick: {QUICK:,} runs", "2 s", {"max_runs": QUICK, "deeper": 0}),
        ("the tour", "", {"max_faults": 0}),
        ("all single faults and pairs after the tour", "3 s", {"deeper": 0}),
    ]:
        begin = time.process_time()
        found = explore_faults(order.saga, **options, **more)
        spent = time.process_time() - begin
        told = f"{spent:.2f} s, {found.runs:,} runs, {found.pruned:,} left out as equal"
        yield name, told, goal


@attrs.define
class Shrinking:
    """What shrinking costs."""

    seconds: list[float] = attrs.field(factory=list)
    faults: list[int] = attrs.field(factory=list)

    def __call__(self, case: Any, done: Any) -> Any:
        """Shrink, and take the time."""
        begin = time.process_time()
        failure = self.shrunk(case, done)
        self.seconds.append(time.process_time() - begin)
        self.faults.append(len(failure.plan))
        return failure

    shrunk: Any = attrs.field(default=searching.shrunk, kw_only=True)


def bugs() -> Iterator[Row]:
    """The planted bugs: by the tour, and by what other libraries' helpers do."""
    planted = all_planted()
    shrinking, runs, by_one = Shrinking(), [], 0
    for bug in planted:
        with bug.planted(), patch.object(searching, "shrunk", shrinking):
            case = Case.of(bug.saga(), bug.world, bug.input, bug.consistent, bug.answers)
            with closing(case):
                search = Search(case, MOST_RUNS, max_failures=1)
                search.tour()
                if search.failures:
                    runs.append(search.runs)
            by_one += _fails_one_by_one(bug)
    every = len(planted)
    told = f"{len(runs)} of {every} = {len(runs) / every:.0%}; runs: median "
    told += f"{statistics.median(runs):.0f}, at most {max(runs)}"
    yield f"planted bugs found by the tour in {MOST_RUNS:,} runs", told, "90 %"
    yield "planted bugs found where one step fails, before or after", f"{by_one} of {every}", ""
    told = f"median {statistics.median(shrinking.seconds):.3f} s, at most "
    yield "shrinking", f"{told}{max(shrinking.seconds):.2f} s", "1 s"
    told = f"mean {statistics.mean(shrinking.faults):.2f}, at most {max(shrinking.faults)}"
    yield "faults in a shrunk plan", told, "3"


def _fails_one_by_one(bug: Planted) -> bool:
    """One run a step and place: it fails before its effect, or after it. With all our oracles."""
    saga: Any = bug.saga()
    for path in lay_out(saga).steps:
        for fault in ("reject", "lost_reply"):
            again = replay(
                saga,
                f"{path}@0={fault}",
                world=bug.world,
                input=bug.input,
                consistent=bug.consistent,
                answers=bug.answers,
            )
            if again.reason:
                return True
    return False


def coverage() -> Iterator[Row]:
    """The share of rows that the tour takes, of those that can be taken."""
    for name in EXAMPLES:
        example = import_module(f"saga_fsm.examples.{name}")
        taken: set[int] = set()
        runs, found = 0, None
        inputs = BASKETS if name == "fulfilment" else {example.INPUT: 20_000}
        for given, most in inputs.items():
            found = explore_faults(
                example.saga,
                world=example.World,
                input=given,
                consistent=example.consistent,
                max_faults=0,
                max_runs=most,
            )
            taken |= found.taken.keys()
            runs += found.runs
        assert found is not None
        rows = RowCoverage(found.machine)
        rows.taken.update(dict.fromkeys(taken, 1))
        missed = rows.missed()
        cannot = len(untakable(example.saga, missed))
        can = len(taken) + len(missed) - cannot
        told = f"{len(taken)} of {can} that can be, {cannot} cannot, {runs:,} runs"
        yield f"rows of {name}", told, "all"


def alarms() -> Iterator[Row]:
    """Plans on the examples, which are right: the tour, pairs, and deeper ones by luck."""
    plans, wrong = 0, 0
    for seed in range(20):
        for name in EXAMPLES:
            example = import_module(f"saga_fsm.examples.{name}")
            found = explore_faults(
                example.saga,
                world=example.World,
                input=example.INPUT,
                consistent=example.consistent,
                max_runs=10_000,
                deeper=5_000,
                seed=seed,
            )
            plans += found.runs
            wrong += len(found.failures)
        if plans >= ALARMS:
            break
    yield "false alarms on correct sagas", f"{wrong} after {plans:,} plans", "0"


SECTIONS: Final[dict[str, Callable[[], Iterator[Row]]]] = {
    "rates": rates,
    "modes": modes,
    "bugs": bugs,
    "coverage": coverage,
    "alarms": alarms,
}


def main(argv: list[str]) -> None:
    """Print one table."""
    unknown = [name for name in argv if name not in SECTIONS]
    if unknown:
        sys.exit(f"no section {unknown[0]!r}: there are {', '.join(SECTIONS)}")
    print(f"{'what':<60} {'figure':<66} {'goal':<6} load")
    for name in argv or SECTIONS:
        for what, told, goal in SECTIONS[name]():
            print(f"{what:<60} {told:<66} {goal:<6} {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
