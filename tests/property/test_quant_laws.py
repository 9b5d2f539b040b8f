"""What holds for every forecast: two ways to the same figures, and three ends to every run."""

from __future__ import annotations

import pytest

from saga_fsm.definition.layout import lay_out
from saga_fsm.machine import Status
from saga_fsm.quant import Odds, even, forecast
from saga_fsm.quant._chain import chain_of
from saga_fsm.quant._figures import Asking, Column, attempts, owes, rests, work
from saga_fsm.quant._legs import legs_of
from tests.reference import REFERENCES, Reference


ODDS = Odds(
    rejected=0.1, transient=0.2, unknown=0.3, seconds=1.0, query_fails=0.3, compensation_fails=0.4
)


def asking(reference: Reference) -> Asking:
    """The chain of a reference saga."""
    saga = reference.make()
    layout = lay_out(saga)
    legs = legs_of(layout, even(saga), ODDS)
    return Asking(chain_of(layout, legs, limit=100_000), legs)


SEQUENCES = [one for one in REFERENCES if "||" not in one.text and "concurrent" not in one.text]


@pytest.mark.parametrize("reference", SEQUENCES, ids=lambda one: one.text)
def test_visits_and_values_agree(reference: Reference) -> None:
    """From the start or from the ends: the bounds of the two overlap, and are close."""
    one = asking(reference)
    assert one.chain.widest == 1
    owed = {what for _, all_owed in one.chain.rests.values() for what in all_owed}
    columns = [
        *(Column(ends=rests(status)) for status in Status),
        *(Column(ends=owes(what)) for what in sorted(owed)),
        *(Column(cost=attempts(leg)) for leg in one.legs),
        Column(cost=work),
    ]
    for forth, back in zip(one.figures(columns), one.by_value(columns), strict=True):
        assert forth.lower <= back.upper
        assert back.lower <= forth.upper
        assert max(forth.upper, back.upper) - min(forth.lower, back.lower) < 1e-12


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda one: one.text)
def test_outcomes_are_all_there_is(reference: Reference) -> None:
    """Every run ends: the three probabilities leave room for 1, and for 1 alone in a sequence."""
    saga = reference.make()
    found = forecast(saga, even(saga), default=ODDS)
    figures = found.probability.values()
    assert sum(x.lower for x in figures) <= 1 <= sum(x.upper for x in figures)
    for figure in (*figures, *found.owed.values(), found.work, *found.attempts.values()):
        assert 0 <= figure.lower <= figure.least.upper
        assert figure.most.lower <= figure.upper
        assert figure.least.lower <= figure.most.upper
        # The work of what may be cut short is known to so much, and no more.
        assert figure is found.work or figure.least.width < 1e-9
    if found.sequential:
        assert sum(x.upper for x in figures) - sum(x.lower for x in figures) < 1e-12
        assert found.elapsed == found.work
    else:
        assert found.elapsed.lower <= found.work.lower
        assert found.elapsed.upper == found.work.upper
