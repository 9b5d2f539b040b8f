"""What `check` says of the sagas of the failure stories, and of the examples."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from saga_fsm import SKIP, Contract, Retry, Saga, check, choice, parallel
from saga_fsm.examples import (
    fulfilment,
    order,
    order_choreographed,
    order_recovered,
    order_with_retries,
    transfer,
    trip,
)
from tests.acceptance.effects import A, N, P, saga


TWICE = Retry(attempts=3, wait_initial=0.5)
ABC = saga(A("A"), A("B"), P("C"))

SAFE = {
    "F01": saga(A("O"), A("P"), A("I"), P("S")),
    "F03": saga(A("H"), A("F"), P("C")),
    "F06": saga(A("A"), A("B", retry=TWICE)),
    "F07": saga(A("D"), A("C"), A("L", retry=TWICE)),
    "F08": saga(A("H"), P("K")),
    "F09": saga(A("A"), P("B")),
    "F11": saga(A("A"), A("B")),
    "F12": saga(A("R", retry=TWICE), P("X")),
    "F15": saga(A("A"), P("P"), N("N")),
    "F17_F18_F19_F20_F44_F49_F53": ABC,
    "F31": saga(A("F"), parallel(A("A"), A("B")), P("J")),
    "F35": saga(choice(lambda _: True, yes=Saga("inner", A("A"), A("B")), otherwise=SKIP), P("C")),
    "F37": saga(A("A"), P("S"), N("N")),
}


@pytest.mark.parametrize("story", SAFE)
def test_guarded_stories_are_safe(story: str) -> None:
    """With participants that keep their promises no fault leaves the saga wrong."""
    report = check(SAFE[story])
    assert report.verdict == "safe", str(report)
    assert report.states > 0


def test_F08_bare_step_is_refuted_with_a_path() -> None:
    """Without a fence the late effect is found, on the step it belongs to, and shown."""
    report = check(saga(A("H"), P("K"), contract=Contract()))
    assert report.verdict == "unsafe"
    assert any(one.step == "H" and one.path is not None for one in report.findings)
    assert "fenced" in report.missing["H"]


def test_F15_bare_pivot_is_an_error() -> None:
    """A pivot whose doubt nothing can end is W5."""
    report = check(saga(A("A"), P("P"), N("N"), contract=Contract()))
    assert not report.ok
    assert any((one.rule, one.step, one.level) == ("W5", "P", "error") for one in report.findings)


def test_F44_bare_step_names_what_is_missing() -> None:
    """For a crash after the effect the checker says which promises would help."""
    report = check(saga(A("A"), A("B"), P("C"), contract=Contract()))
    assert report.verdict == "unsafe"
    assert {"A", "B", "C"} <= set(report.missing)


@pytest.mark.parametrize(
    "example",
    [order, order_choreographed, order_recovered, order_with_retries, transfer, trip],
    ids=lambda one: one.__name__.rpartition(".")[2],
)
def test_examples_are_safe(example: ModuleType) -> None:
    """Every example that can be searched to the end is safe."""
    report: Any = check(example.saga)
    assert report.verdict == "safe", str(report)


def test_fulfilment_is_never_called_unsafe() -> None:
    """Twelve steps with copies may be more than the limit: then it says so."""
    assert check(fulfilment.saga, limit=20_000).verdict in {"safe", "incomplete"}
