"""Profiles of Hypothesis, what pytest must not import, and gates that may not be skipped."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.postgres import _database, postgres, postgres_url


# The fixtures that any test may ask for.
__all__ = ["_database", "postgres", "postgres_url"]

# What it asserts of a store says what it compares, as our own tests do.
pytest.register_assert_rewrite("saga_fsm.testing")

_TYPING = Path(__file__).parent / "typing"

# Read by the type checkers and never executed: the wrong ones would raise, as they should.
collect_ignore = [str(path) for path in _TYPING.glob("*.py") if not path.name.startswith("test_")]

# No deadline: a slow machine is no failed law.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
# Which lines are taken hangs little on how many examples there are.
settings.register_profile("few", deadline=None, derandomize=True, max_examples=10)
settings.register_profile("nightly", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a job in which every tool is installed say so."""
    parser.addoption(
        "--no-skips",
        action="store_true",
        help="a skipped test fails: for jobs in which every tool is installed",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make a failure of a skip where nothing may be skipped."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.config.getoption("no_skips"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and nothing may be with --no-skips: {call.excinfo}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same where a whole module is skipped."""
    report = yield
    if report.skipped and collector.config.getoption("no_skips"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and nothing may be with --no-skips: {report.longrepr}"
    return report
