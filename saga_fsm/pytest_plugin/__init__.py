"""
The pytest plugin for ``@saga_faults`` tests.

pytest imports it at every start, in projects that have no such test too: so this module imports
nothing of the library. The rest is loaded with the first test that needs it.

=========================  ==================================================================
``--saga-faults=quick``    at most 1,000 runs a test, and none by luck
``--saga-faults=full``     ten times the runs
``--saga-seed=N``          other luck
``--saga-replay=PLAN``     only this plan, in each selected test
``--saga-coverage[=DIR]``  which rows were taken; with DIR as a heat map, and each failing path
``--saga-coverage-min=X``  a test that takes less than this share of the rows fails
=========================  ==================================================================

The ini file has ``saga_faults``, ``saga_max_faults``, ``saga_max_runs``, ``saga_deeper``,
``saga_seed`` and ``saga_coverage_min``, for what a test does not say itself; the options go before
what it says. Each such test has the marker ``saga_faults``, by which ``-m`` finds it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest


# As in ``saga_fsm.testing.decorator``, which is not to be imported here.
_MARK = "saga_faults_attack"
_NAME = "saga-fsm-session"
_INI = {
    "saga_faults": "effort of failure tests: quick or full",
    "saga_max_faults": "faults in the plans of failure tests that say nothing",
    "saga_max_runs": "an end to the runs of failure tests that say nothing",
    "saga_deeper": "plans of more faults, in failure tests that say nothing",
    "saga_seed": "of the luck in failure tests that say nothing",
    "saga_coverage_min": "the least share of the rows, in failure tests that say nothing",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say what can be asked of failure tests."""
    group = parser.getgroup("saga-fsm", "failure tests of sagas")
    group.addoption(
        "--saga-faults",
        choices=["quick", "full"],
        help="quick: at most 1,000 runs a test, none by luck; full: ten times the runs",
    )
    group.addoption("--saga-seed", type=int, metavar="N", help="of the plans drawn by luck")
    group.addoption("--saga-replay", metavar="PLAN", help="only this plan: 'charge@0=lost_reply'")
    group.addoption(
        "--saga-coverage",
        nargs="?",
        const="",
        metavar="DIR",
        help="tell which rows were taken; with =DIR draw them, and each failing path",
    )
    group.addoption(
        "--saga-coverage-min",
        type=float,
        metavar="X",
        help="a test that takes less than this share of the rows fails: 1.0 is all of them",
    )
    for name, help_ in _INI.items():
        parser.addini(name, help_)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and whoever collects what the tests find."""
    config.addinivalue_line(
        "markers",
        "saga_faults(coverage, max_faults, max_runs, deeper, seed): set by itself on each test "
        "that @saga_faults has made; its arguments go before the decorator's.",
    )
    config.pluginmanager.register(_Session(config), _NAME)


class _Session:
    """One session: on the controller of xdist too, which runs no test itself."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        #: What each test has found, as plain data: it may come from another process.
        self.records: list[dict[str, Any]] = []
        self._settled: Any = None

    def pytest_sessionstart(self) -> None:
        """
        Look at the options before any test is collected.

        Raises:
            pytest.UsageError: one of them cannot be meant.
        """
        option = self.config.option
        if option.saga_replay is not None or option.saga_coverage is not None or self._ini():
            self.settled()

    def _ini(self) -> bool:
        return self.config.option.saga_coverage_min is not None or any(
            self.config.getini(name) for name in _INI
        )

    def settled(self) -> Any:
        """Give what this session asks of its failure tests."""
        if self._settled is None:
            from saga_fsm.pytest_plugin._asking import settle

            self._settled = settle(self.config)
        return self._settled

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Mark what ``@saga_faults`` has made."""
        if _is_attack(item):
            item.add_marker("saga_faults")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Let the test know what is asked, and hear what it finds."""
        __tracebackhide__ = True
        if not _is_attack(item):
            return (yield)
        from saga_fsm.pytest_plugin._attacked import Attacked

        with Attacked(item, self.settled(), self.records):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put what was found into the report, which xdist brings to the controller."""
        report = yield
        if call.when == "call" and _is_attack(item):
            from saga_fsm.pytest_plugin._attacked import report_on

            report_on(report, item, call)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what was found."""
        self.records.extend(getattr(report, "saga_faults", ()))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell all of it."""
        if self.records:
            from saga_fsm.pytest_plugin._summary import summarise

            summarise(terminalreporter, self.records, self.config)


def _is_attack(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and hasattr(item.obj, _MARK)
