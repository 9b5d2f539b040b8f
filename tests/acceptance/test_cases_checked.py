"""What `check` says of the sagas of the failure stories, and of the examples."""

from __future__ import annotations

from types import ModuleType

import pytest

from saga_fsm import Path, check, compile_saga
from saga_fsm.examples import (
    fulfilment,
    order,
    order_choreographed,
    order_recovered,
    order_with_retries,
    transfer,
    trip,
)
from tests.acceptance.stories import VERDICTS, Verdict


@pytest.mark.parametrize(
    "story",
    [pytest.param(story, id=story.number.replace(" ", "_")) for story in VERDICTS],
)
def test_verdict_on_the_story(story: Verdict) -> None:
    """The saga that a story runs is safe, or is refuted as the story says, by its shortest run."""
    report = check(story.saga)
    assert report.verdict == ("unsafe" if story.findings else "safe"), str(report)
    assert report.states > 0
    assert len(report.faults) == 10, "under every fault"
    errors = {}
    for one in report.findings:
        if one.level == "error":
            errors.setdefault((one.rule, one.step), one)
    for what, tokens in story.findings.items():
        path = errors[what].path
        assert (path and [move.token for move in path.moves]) == tokens
        if path is not None:
            again = Path.decode(path.encode())
            assert all(
                move.ignored is None for move in compile_saga(story.saga).replay(again.events)
            )
    if story.findings:
        assert report.missing == story.missing


COUNTED = [
    (order, 665, 1_737),
    (order_choreographed, 665, 1_737),
    (order_recovered, 665, 1_737),
    (order_with_retries, 701, 1_861),
    (transfer, 169, 463),
    (trip, 3_197, 8_676),
]


@pytest.mark.parametrize(
    ("example", "states", "moves"),
    COUNTED,
    ids=[example.__name__.rpartition(".")[2] for example, _, _ in COUNTED],
)
def test_examples_are_safe(example: ModuleType, states: int, moves: int) -> None:
    """Every example that can be searched to the end is safe, in exactly so many states."""
    report = check(example.saga)
    assert report.verdict == "safe", str(report)
    assert not [one for one in report.findings if one.level != "info"]
    assert (report.states, report.transitions) == (states, moves)


def test_fulfilment_is_never_called_unsafe() -> None:
    """Twelve steps with copies are more than the limit: then it says so, and finds nothing."""
    report = check(fulfilment.saga, limit=20_000)
    assert report.verdict == "incomplete"
    assert not [one for one in report.findings if one.level == "error"]
