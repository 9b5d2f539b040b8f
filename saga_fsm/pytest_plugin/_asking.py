"""What the options, the ini file and a test's marker ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import attrs
import pytest

from saga_fsm.testing.plan import FaultPlan
from saga_fsm.testing.terms import Effort, Efforts


__all__ = ["Settled", "settle"]

T = TypeVar("T")
_EFFORTS = ("quick", "full")


@attrs.frozen
class Settled:
    """
    What is the same for each test of a session.

    Args:
        effort: less or more than the tests say.
        before: goes before what they say.
        after: for what they do not say.
        plan: run only this one.
        drawn: the machines are needed, for pictures.
    """

    effort: Effort
    before: Efforts
    after: Efforts
    plan: FaultPlan | None
    drawn: bool


def settle(config: pytest.Config) -> Settled:
    """
    Read the options and the ini file.

    Raises:
        pytest.UsageError: something in them cannot be meant.
    """
    option = config.option
    effort = option.saga_faults or config.getini("saga_faults") or ""
    if effort and effort not in _EFFORTS:
        raise pytest.UsageError(f"saga_faults is {effort!r}\n  Give quick or full.")
    folder = option.saga_coverage
    if folder and Path(folder).is_file():
        raise pytest.UsageError(
            f"--saga-coverage: '{folder}' is a file, where a folder for pictures is meant\n"
            "  Give --saga-coverage=DIR, or --saga-coverage behind the files."
        )
    least = option.saga_coverage_min
    if least is not None:
        _share(least, "--saga-coverage-min")
    before = Efforts(seed=option.saga_seed, coverage=least)
    after = Efforts(
        max_faults=_number(config, "saga_max_faults", int),
        max_runs=_number(config, "saga_max_runs", int),
        deeper=_number(config, "saga_deeper", int),
        seed=_number(config, "saga_seed", int),
        coverage=_number(config, "saga_coverage_min", float),
    )
    if after.coverage is not None:
        _share(after.coverage, "saga_coverage_min")
    return Settled(cast("Effort", effort), before, after, _plan(option.saga_replay), bool(folder))


def marked(item: pytest.Item) -> Efforts:
    """
    Give what a test's markers say; the closest one goes first.

    Raises:
        pytest.UsageError: a marker has an argument that there is not.
    """
    said = Efforts()
    known = {one.name for one in attrs.fields(Efforts)}
    for mark in item.iter_markers("saga_faults"):
        if mark.args or not set(mark.kwargs) <= known:
            wrong = [*map(repr, mark.args), *sorted(set(mark.kwargs) - known)]
            raise pytest.UsageError(
                f"{item.nodeid}: the marker saga_faults takes no {', '.join(wrong)}\n"
                f"  It takes {', '.join(sorted(known))}, as keywords."
            )
        said = said.over(Efforts(**mark.kwargs))
    return said


def _plan(text: str | None) -> FaultPlan | None:
    try:
        return None if text is None else FaultPlan.parse(text)
    except ValueError as error:
        raise pytest.UsageError(f"--saga-replay: {error}") from error


def _number(config: pytest.Config, name: str, kind: Callable[[Any], T]) -> T | None:
    said = config.getini(name)
    try:
        return kind(said) if said else None
    except ValueError as error:
        raise pytest.UsageError(f"{name} is {said!r}\n  Give a number.") from error


def _share(value: float, name: str) -> None:
    if not 0 <= value <= 1:
        raise pytest.UsageError(f"{name} is {value:g}\n  Give a share from 0 to 1: 1.0 is all.")
