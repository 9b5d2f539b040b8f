"""Storm, a probabilistic model checker of its own, finds the same figures in the same chain."""

from __future__ import annotations

from typing import Any

import pytest

from saga_fsm import GUARDED, Retry, Saga, Status, parallel, retriable
from saga_fsm.definition.layout import lay_out
from saga_fsm.quant import Odds, even
from saga_fsm.quant._chain import chain_of
from saga_fsm.quant._figures import Asking, Column, attempts, rests, work
from saga_fsm.quant._legs import legs_of
from tests.reference import BOUNDED, REFERENCES, C, Reference, act
from tests.storm import NAMES, Storm


pytest.importorskip("stormpy", reason="Storm is absent: pip install stormpy (Linux, 160 MB)")

ODDS = Odds(
    rejected=0.07,
    transient=0.05,
    unknown=0.2,
    landed_when_unknown=0.3,
    seconds=0.2,
    query_fails=0.1,
    query_seconds=0.3,
    compensation_fails=0.3,
    compensation_seconds=0.4,
)
STEADY = Retry.forever(wait_initial=1.0, wait_max=1.0)
MORE = [
    Reference(
        "R || R",
        lambda: Saga(
            "s",
            parallel(
                retriable(act, name="r", retry=STEADY), retriable(act, name="t", retry=STEADY)
            ),
            contract=GUARDED,
        ),
        (0, 0),
        (0, 0),
        (0, 0, 0),
    ),
    Reference(
        "{C+ ; C} || C+",
        lambda: Saga(
            "s",
            parallel(Saga("n", C("a", retry=BOUNDED), C("b")), C("c", retry=BOUNDED)),
            contract=GUARDED,
        ),
        (0, 0),
        (0, 0),
        (0, 0, 0),
    ),
    Reference(
        "C for ever || C for ever",
        lambda: Saga(
            "s",
            parallel(C("a", retry=STEADY), C("b", retry=STEADY, compensation_retry=STEADY)),
            contract=GUARDED,
        ),
        (0, 0),
        (0, 0),
        (0, 0, 0),
    ),
]


def asking(saga: Saga[Any, Any]) -> Asking:
    """The chain of a saga under the odds of this test."""
    layout = lay_out(saga)
    legs = legs_of(layout, even(saga), ODDS)
    return Asking(chain_of(layout, legs, limit=100_000), legs)


@pytest.mark.parametrize("reference", [*REFERENCES, *MORE], ids=lambda one: one.text)
def test_storm_finds_the_same(reference: Reference) -> None:
    """
    Each probability and mean, least and most, lies between our bounds, and these are close.

    Storm reckons in rational numbers, exactly; probabilities agree within 1e-9, means within 1e-7.
    """
    ours = asking(reference.make())
    last = max(leg for leg in ours.legs if leg[0] == "call")
    costs = {"work": Column(cost=work), "attempts": Column(cost=attempts(last))}
    storm = Storm(ours, costs, exact=True)
    chances = ours.figures([Column(ends=rests(status)) for status in NAMES])
    means = ours.figures(list(costs.values()))
    for most in (False, True):
        for status, figure in zip(NAMES, chances, strict=True):
            side = figure.most if most else figure.least
            assert storm.probability(status, most=most) in side
            assert side.width < 1e-9
        for name, figure in zip(costs, means, strict=True):
            side = figure.most if most else figure.least
            low, high = storm.mean(name, most=most)
            assert side.lower <= low <= side.lower + 1e-7
            assert side.upper - 1e-7 <= high <= side.upper
    total = sum(figure.middle for figure in chances)
    assert ours.chain.widest > 1 or total == pytest.approx(1, abs=1e-12)


def test_storm_is_asked_of_every_kind() -> None:
    """Sequences and overlapping calls, with circles and without: all are among the sagas."""
    chains = [asking(one.make()) for one in [*REFERENCES, *MORE]]
    assert {one.chain.widest for one in chains} >= {1, 2}
    assert sum(any(level.circles for level in one.model.levels) for one in chains) >= 3
    assert any(one.model.loop.any() for one in chains)
    statuses = {status for one in chains for status, _ in one.chain.rests.values()}
    assert statuses == {Status.COMPLETED, Status.COMPENSATED, Status.STUCK}
