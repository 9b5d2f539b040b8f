"""
Prints forecasts beside Storm: ``python -m tests.benchmarks.quant``.

The same chain is solved by both for the probability of completing and the mean work; exploring the
saga is counted for neither, and stands in a column of its own. Storm is fed its matrix from Python,
entry by entry: that is what its bindings offer. CPU seconds, one run each.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import attrs

from saga_fsm import GUARDED, Retry, Saga, Status, parallel, retriable
from saga_fsm.definition.layout import lay_out
from saga_fsm.examples import fulfilment
from saga_fsm.quant import Odds, even
from saga_fsm.quant._chain import chain_of
from saga_fsm.quant._figures import Asking, Column, forecast_of, rests, work
from saga_fsm.quant._legs import legs_of
from tests.reference import BOUNDED, C, P, R, act
from tests.storm import Storm


ODDS = Odds(
    rejected=0.01,
    transient=0.05,
    unknown=0.02,
    seconds=0.2,
    compensation_fails=0.05,
    compensation_seconds=0.3,
)
STEADY = Retry.forever(wait_initial=1.0, wait_max=1.0)


def sequence(steps: int) -> Saga[Any, Any]:
    """So many compensatable steps with bounded retries, a pivot, a retriable."""
    names = [C(f"c{n}", retry=BOUNDED) for n in range(steps)]
    return Saga("seq", *names, P("p"), R("r"), contract=GUARDED)


def branches(count: int) -> Saga[Any, Any]:
    """So many branches of two steps."""
    pairs = [Saga(f"n{n}", C("a"), C("b", retry=BOUNDED)) for n in range(count)]
    return Saga("par", parallel(*pairs), P("p"), contract=GUARDED)


def forever(count: int) -> Saga[Any, Any]:
    """So many branches, each retried for ever: nothing but circles."""
    steps = [retriable(act, name=f"r{n}", retry=STEADY) for n in range(count)]
    return Saga("ever", parallel(*steps), contract=GUARDED)


SUBJECTS = [
    ("sequence of 30", sequence(30)),
    ("sequence of 100", sequence(100)),
    ("2 branches of 2", branches(2)),
    ("3 branches of 2", branches(3)),
    ("4 retried for ever", forever(4)),
    ("fulfilment", fulfilment.saga),
]


@attrs.frozen
class Timed:
    """What was done, and its CPU seconds."""

    value: Any
    seconds: float


def timed(does: Any) -> Timed:
    """Do it once."""
    begin = time.process_time()
    value = does()
    return Timed(value, time.process_time() - begin)


@attrs.frozen
class Beside:
    """
    Both solvers on one saga: CPU seconds, and what they differ by.

    Args:
        states: of the chain.
        edges: of it.
        explored: seconds until it was there, for both.
        ours: to solve it, both figures.
        fed: to give it to Storm.
        solved: by Storm, both figures.
        whole: of a whole forecast of ours, every figure.
        off_chance: the largest difference between probabilities.
        off_mean: the same between means.
    """

    states: int
    edges: int
    explored: float
    ours: float
    fed: float
    solved: float
    whole: float
    off_chance: float
    off_mean: float


def beside_storm(saga: Saga[Any, Any]) -> Beside:
    """Solve one saga by both."""
    layout = lay_out(saga)
    legs = legs_of(layout, even(saga), ODDS)
    explored = timed(lambda: chain_of(layout, legs, limit=2_000_000))
    chain = explored.value
    columns = [Column(ends=rests(Status.COMPLETED)), Column(cost=work)]
    asked = Asking(chain, legs)
    ours = timed(lambda: Asking(chain, legs).figures(columns))
    whole = timed(lambda: forecast_of(chain, legs).contributions)
    fed = timed(lambda: Storm(asked, {"work": columns[1]}, exact=False))
    storm = fed.value
    sides = (False, True) if chain.widest > 1 else (False,)
    chances = timed(lambda: [storm.probability(Status.COMPLETED, most=most) for most in sides])
    means = timed(lambda: [storm.mean("work", most=most) for most in sides])
    chance, mean = ours.value
    off_chance = max(
        abs((chance.most if most else chance.least).middle - told)
        for most, told in zip(sides, chances.value, strict=True)
    )
    off_mean = max(
        max(abs(side.lower - low), abs(side.upper - high))
        for side, (low, high) in zip((mean.least, mean.most), means.value, strict=False)
    )
    return Beside(
        states=chain.states,
        edges=len(chain.target),
        explored=explored.seconds,
        ours=ours.seconds,
        fed=fed.seconds,
        # Storm was asked for the mean twice where ours has both sides in one.
        solved=chances.seconds + means.seconds / 2,
        whole=whole.seconds,
        off_chance=off_chance,
        off_mean=off_mean,
    )


def line(name: str, saga: Saga[Any, Any]) -> str:
    """One saga, both solvers."""
    one = beside_storm(saga)
    return (
        f"{name:<20}{one.states:>9,}{one.edges:>11,}{one.explored:>9.2f}{one.ours:>8.2f}"
        f"{one.fed:>8.2f}{one.solved:>8.2f}{(one.fed + one.solved) / one.ours:>7.1f}x"
        f"{one.off_chance:>9.0e}{one.off_mean:>9.0e}{one.whole:>9.2f}"
    )


def main() -> int:
    """Print the table; 1 where a figure differs by more than it may."""
    try:
        import stormpy
    except ModuleNotFoundError:
        print("Storm is absent: pip install stormpy (Linux, 160 MB)", file=sys.stderr)
        return 3
    print(f"Storm {stormpy.__version__}; seconds of CPU; P completed, E work, least and most")
    print(
        f"{'saga':<20}{'states':>9}{'edges':>11}{'explore':>9}{'ours':>8}{'fed':>8}{'Storm':>8}"
        f"{'ratio':>8}{'off P':>9}{'off E':>9}{'all':>9}"
    )
    for name, saga in SUBJECTS:
        print(line(name, saga), flush=True)
    print("ratio: fed and solved by Storm, to ours; all: a whole forecast of ours, every figure")
    return 0


if __name__ == "__main__":
    sys.exit(main())
