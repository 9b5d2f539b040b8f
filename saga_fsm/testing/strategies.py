"""Hypothesis strategies: fault plans that shrink towards fewer and earlier faults."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from saga_fsm.definition import Kind, Saga
from saga_fsm.definition.layout import Layout, lay_out
from saga_fsm.testing.fitting import FITTING
from saga_fsm.testing.plan import AROUND, Fault, FaultPlan, Injection, site_at
from saga_fsm.testing.stage import Kindred


__all__ = ["fault_plans"]

# Most calls are the only ones of their site: a later one seldom comes.
_NUMBERS = (0, 0, 0, 0, 1, 1, 2, 3)
# A run writes as often as anything happens in it.
_APPENDS = 12


def fault_plans(saga: Saga[Any, Any, Any], *, max_faults: int = 4) -> st.SearchStrategy[FaultPlan]:
    """
    Generate plans over a saga's own sites: its calls, compensations, appends and recoveries.

    Not each of them fires: a plan may ask for the fault of a call that never comes
    (``Replay.unfired``).

    Args:
        saga: whose sites are meant.
        max_faults: the most faults in one plan.
    """
    sites = [(site, fault) for site, kind in _sites(lay_out(saga)) for fault in FITTING[kind]]
    sites += [(site, Fault.SLOW) for site, fault in sites if fault is Fault.DUPLICATE]
    injections = st.one_of(
        st.builds(
            lambda place, number: Injection(place[0], number, place[1]),
            st.sampled_from(sites),
            st.sampled_from(_NUMBERS),
        ),
        st.builds(
            Injection,
            st.just("journal"),
            st.integers(0, _APPENDS),
            st.sampled_from(FITTING["journal"]),
        ),
    )
    return st.lists(
        injections,
        max_size=max_faults,
        unique_by=lambda one: (one.site, one.number, one.fault in AROUND),
    ).map(lambda injections: FaultPlan(tuple(injections)))


def _sites(layout: Layout) -> list[tuple[str, Kindred]]:
    sites: list[tuple[str, Kindred]] = []
    for path, placed in layout.steps.items():
        if placed.step.pause_for is None:
            sites.append((site_at(path), "readonly" if placed.kind is Kind.READONLY else "action"))
        if placed.step.compensate is not None:
            sites.append((site_at(path, "compensation"), "compensation"))
        if placed.step.query is not None:
            sites.append((site_at(path, "query"), "query"))
    sites.extend((site_at(path), "ask") for path in layout.decisions)
    sites.extend(
        (site_at(path, "compensation"), "compensation")
        for path, scope in layout.scopes.items()
        if scope.compensate is not None
    )
    return [*sites, ("recover", "recover")]
