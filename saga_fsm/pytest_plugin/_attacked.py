"""Where a failure test runs: what it is asked, and what becomes of what it finds."""

from __future__ import annotations

import base64
import pickle
import shlex
from types import TracebackType
from typing import Any, Self

import pytest

from saga_fsm.pytest_plugin._asking import Settled, marked
from saga_fsm.testing.attack import FailureTestError
from saga_fsm.testing.merged import merged
from saga_fsm.testing.results import Exploration, Failure
from saga_fsm.testing.terms import Terms, agreed


__all__ = ["Attacked", "report_on"]

_RECORDS = pytest.StashKey[list[dict[str, Any]]]()


class Attacked:
    """
    The call of one failure test.

    Args:
        item: the test.
        settled: what the session asks.
        interrupted: records of searches whose test makes no report, since the user ended it.
    """

    def __init__(
        self, item: pytest.Item, settled: Settled, interrupted: list[dict[str, Any]]
    ) -> None:
        self._item = item
        self._settled = settled
        self._interrupted = interrupted
        self._found: list[Exploration] = []
        self._replayed: list[Failure] = []
        wanted = Terms(
            effort=settled.effort,
            before=settled.before.over(marked(item)),
            after=settled.after,
            plan=settled.plan,
            heard=self._found.append,
            replayed=self._replayed.append,
        )
        self._agreed = agreed(wanted)

    def __enter__(self) -> Self:
        self._agreed.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._agreed.__exit__(kind, error, trace)
        by_machine: dict[str, list[Exploration]] = {}
        for one in self._found:
            by_machine.setdefault(one.machine.fingerprint, []).append(one)
        records = [self._record(merged(some)) for some in by_machine.values()]
        if isinstance(error, KeyboardInterrupt):
            self._interrupted.extend(record | {"interrupted": True} for record in records)
            return
        self._item.stash[_RECORDS] = records
        # For JUnit's files, which have these of each test.
        properties = self._item.user_properties
        for record in records:
            properties.append(("saga", record["saga"]))
            properties.append(("saga_runs", record["runs"]))
            properties.append(("saga_coverage", round(record["coverage"], 4)))
            properties.extend(("saga_plan", failure["plan"]) for failure in record["failures"])
        properties.extend(("saga_plan", str(failure.plan)) for failure in self._replayed)

    def _record(self, found: Exploration) -> dict[str, Any]:
        """Plain data, since it may go to another process."""
        return {
            "test": self._item.nodeid,
            "saga": found.saga,
            "machine": found.machine.fingerprint,
            "pickled": _pickled(found) if self._settled.drawn else "",
            "rows": len(found.machine.rows),
            "runs": found.runs,
            "coverage": found.coverage,
            "complete": found.complete,
            "interrupted": False,
            "taken": [list(pair) for pair in sorted(found.taken.items())],
            "missed": list(found.missed),
            "outside": dict(found.outside),
            "fired": dict(found.fired),
            "failures": [self._failure(one) for one in found.failures],
        }

    def _here(self) -> str:
        """The test, as it is named where pytest was started."""
        # A type of its own since pytest 9.2, a plain text before.
        config: Any = self._item.config
        return str(config.cwd_relative_nodeid(self._item.nodeid))

    def _failure(self, failure: Failure) -> dict[str, str]:
        plan = str(failure.plan)
        line = shlex.join(["pytest", self._here(), "--saga-replay", plan])
        return {
            "reason": failure.reason,
            "plan": plan,
            "path": failure.path.encode(),
            "replay": line,
        }


def _pickled(found: Exploration) -> str:
    return base64.b64encode(pickle.dumps(found.machine)).decode()


def report_on(report: pytest.TestReport, item: pytest.Item, call: pytest.CallInfo[Any]) -> None:
    """Add what was found to a test's report; a failure is its text, without a page of ours."""
    records = item.stash.get(_RECORDS, [])
    # More attributes of a report are kept, and sent along.
    vars(report)["saga_faults"] = records
    error = None if call.excinfo is None else call.excinfo.value
    # One plan that was replayed is looked at closely: nothing is left out there.
    if isinstance(error, FailureTestError) and call.excinfo is not None and report.failed:
        told = call.excinfo.getrepr(style="value", chain=False)
        if told.reprcrash is not None:
            # For the line of the short summary: there is little room before it is cut.
            told.reprcrash.message = str(error)
        report.longrepr = told
