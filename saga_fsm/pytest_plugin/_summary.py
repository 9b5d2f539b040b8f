"""What the terminal tells at the end, put together over all tests and processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs
import pytest


__all__ = ["Together", "summarise"]

_TEST = 60


@attrs.frozen
class Together:
    """
    What all tests of one machine have found.

    Args:
        saga: its name.
        records: one a test.
        taken: in how many runs each row was taken, by number.
        missed: rows that no test took.
        outside: rows that no plan can take, with the reason.
        fired: how often each fault was injected.
    """

    saga: str
    records: tuple[dict[str, Any], ...]
    taken: dict[int, int]
    missed: tuple[str, ...]
    outside: dict[str, str]
    fired: dict[str, int]

    @classmethod
    def of(cls, records: Sequence[dict[str, Any]]) -> Together:
        """Put together the records of one machine."""
        taken: Counter[int] = Counter()
        fired: Counter[str] = Counter()
        reasons: dict[str, str] = {}
        for record in records:
            taken.update(dict(record["taken"]))
            fired.update(record["fired"])
            reasons |= record["outside"]
        never = [{*record["missed"], *record["outside"]} for record in records]
        in_none = [
            row
            for row in [*records[0]["missed"], *records[0]["outside"]]
            if all(row in rows for rows in never)
        ]
        return cls(
            records[0]["saga"],
            tuple(records),
            dict(taken),
            tuple(row for row in in_none if row not in reasons),
            {row: reasons[row] for row in in_none if row in reasons},
            dict(fired),
        )

    @property
    def runs(self) -> int:
        """How many plans were run."""
        return sum(int(record["runs"]) for record in self.records)

    @property
    def takeable(self) -> int:
        """How many rows can be taken."""
        return len(self.taken) + len(self.missed)

    @property
    def coverage(self) -> float:
        """The share of the rows that can be taken that was."""
        return len(self.taken) / self.takeable

    @property
    def complete(self) -> bool:
        """Whether each tour came to its end."""
        return all(record["complete"] for record in self.records)


def summarise(
    reporter: pytest.TerminalReporter, records: Sequence[dict[str, Any]], config: pytest.Config
) -> None:
    """Write the section about failure tests."""
    by_machine: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        by_machine.setdefault((record["saga"], record["machine"]), []).append(record)
    sagas = [Together.of(some) for some in by_machine.values()]
    folder = config.option.saga_coverage
    reporter.write_sep("=", "failure tests of sagas")
    for saga in sagas:
        _told(reporter, saga, whole=folder is not None)
    for record in records:
        for failure in record["failures"]:
            first = failure["reason"].partition("\n")[0]
            reporter.write_line(f"FAILED {record['test']}: {first}", red=True)
            reporter.write_line(f"  {failure['replay']}")
    if folder:
        from saga_fsm.pytest_plugin._pictures import write_pictures

        for line in write_pictures(sagas, folder):
            reporter.write_line(line)


def _told(reporter: pytest.TerminalReporter, saga: Together, *, whole: bool) -> None:
    tests = len(saga.records)
    many = f"{tests} tests" if tests > 1 else "1 test"
    cut = "" if saga.complete else "; not complete"
    reporter.write_line(f"{saga.saga}: {saga.runs:,} plans run in {many}, {_share(saga)}{cut}")
    if reporter.verbosity >= 0:
        fired = ", ".join(f"{fault} {count:,}" for fault, count in sorted(saga.fired.items()))
        reporter.write_line(f"  faults fired: {fired or 'none'}")
    if not whole:
        return
    for record in saga.records:
        how = " (interrupted)" if record["interrupted"] else ""
        taken, least = len(record["taken"]), len(record["taken"]) + len(record["missed"])
        name = record["test"]
        short = name if len(name) <= _TEST else f"...{name[3 - _TEST :]}"
        share = f"{taken} of {least} rows"
        reporter.write_line(
            f"  {short:<{_TEST}} {share:>14} {taken / least:>6.1%} {record['runs']:>8,} runs{how}"
        )
    for row in saga.missed:
        reporter.write_line(f"  never taken: {row}")
    for row, reason in saga.outside.items():
        reporter.write_line(f"  cannot be taken: {row}: {reason}")


def _share(saga: Together) -> str:
    taken, outside = len(saga.taken), len(saga.outside)
    besides = f", {outside} cannot be" if outside else ""
    return f"{taken} of {saga.takeable} rows taken ({saga.coverage:.1%}){besides}"
