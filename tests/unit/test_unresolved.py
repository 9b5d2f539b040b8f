"""What is owed when a run is stuck: the list is exact (I3)."""

from __future__ import annotations

from saga_fsm import Saga, alternatives, compile_saga
from tests.reference import GUARDED, C


def stuck(saga: Saga, *events: str) -> dict[str, str]:
    """What is owed after these events."""
    return compile_saga(saga).replay(["start", *events])[-1].state.unresolved


def test_what_came_before_a_nested_saga_that_cannot_be_undone_is_owed_too():
    """The parent hears of the failure only when the nested saga is compensated; its end is sure."""
    saga = Saga("trip", C("hotel"), Saga("flights", C("out")), contract=GUARDED)
    owed = stuck(
        saga,
        "done(hotel)",
        "unknown(flights/out)",
        "unknown(flights/out)",
        "exhausted(flights/out)",
    )
    assert owed == {"hotel": "compensate", "flights/out": "compensate"}


def test_an_alternative_that_cannot_be_undone_says_nothing_about_what_came_before():
    """Another alternative is tried when it is compensated, and the run may still complete."""
    saga = Saga(
        "trip", C("hotel"), alternatives(C("train"), C("bus"), name="way"), contract=GUARDED
    )
    owed = stuck(saga, "done(hotel)", "unknown(train)", "unknown(train)", "exhausted(train)")
    assert owed == {"train": "compensate"}


def test_the_last_alternative_that_cannot_be_undone_dooms_what_came_before():
    """No alternative is left: the parent will turn back."""
    saga = Saga(
        "trip", C("hotel"), alternatives(C("train"), C("bus"), name="way"), contract=GUARDED
    )
    first = ("done(hotel)", "unknown(train)", "compensated(train)")
    owed = stuck(saga, *first, "unknown(bus)", "unknown(bus)", "exhausted(bus)")
    assert owed == {"hotel": "compensate", "bus": "compensate"}
