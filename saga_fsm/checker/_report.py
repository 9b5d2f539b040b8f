"""What a check says: findings, and how much was looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from typing import Any

import attrs

from saga_fsm.definition import Contract
from saga_fsm.errors import PropertyViolationError
from saga_fsm.path import Path


SCHEMA = 1


@attrs.frozen
class Finding:
    """
    One thing that was found.

    Args:
        rule: "W5", "I2".
        level: "error", "warning" or "info".
        step: path of the step, or empty.
        message: one sentence.
        path: the shortest run that shows it, or None for what the definition shows.
    """

    rule: str
    level: str
    step: str
    message: str
    path: Path | None = None

    def __str__(self) -> str:
        text = f"{self.level} {self.rule}: {self.message}"
        return text if self.path is None else f"{text}\n{self.path}\n  {self.path.encode()}"


# Not slotted: what is asked for late is kept on it.
@attrs.frozen(slots=False)
class Report:
    """
    The verdict on a saga, and under what it holds.

    Args:
        saga: its name.
        fingerprint: of its machine.
        verdict: "safe", "unsafe" or "incomplete".
        findings: what was found, errors first.
        states: how many states of machine x environment were reached.
        transitions: how many moves between them.
        depth: levels of the search.
        engine: who searched.
        faults: what could go wrong.
        without: what was left out on request; a saga is never called safe under fewer faults.
        limit: the bound on states.
    """

    saga: str
    fingerprint: str
    verdict: str
    findings: tuple[Finding, ...]
    states: int
    transitions: int
    depth: int
    engine: str
    faults: tuple[str, ...]
    without: tuple[str, ...]
    limit: int
    _weakest: Callable[[], dict[str, Contract]] = attrs.field(repr=False, eq=False)
    _missing: Callable[[dict[str, Contract]], dict[str, set[str]]] = attrs.field(
        repr=False, eq=False
    )

    @cached_property
    def required(self) -> dict[str, Contract]:
        """The weakest contract of each step under which the saga is safe; searched when asked."""
        return self._weakest()

    @cached_property
    def missing(self) -> dict[str, set[str]]:
        """What is required and not declared, by path."""
        return self._missing(self.required)

    @property
    def ok(self) -> bool:
        """Whether the saga is safe; False also when the search was cut short."""
        return self.verdict == "safe"

    def assert_ok(self) -> None:
        """
        Raise what is wrong.

        Raises:
            PropertyViolationError: the saga is not safe; with the first finding's path.
        """
        if not self.ok:
            errors = [finding for finding in self.findings if finding.level == "error"]
            path = errors[0].path if errors else None
            raise PropertyViolationError(message=str(self), path=path)

    def __str__(self) -> str:
        lines = [
            f"{self.saga}: {self.verdict}",
            (
                f"  {self.states:,} states, {self.transitions:,} moves, {self.depth} levels, "
                f"engine {self.engine}, limit {self.limit:,}"
            ),
            f"  faults: {', '.join(self.faults)}",
            "  every number of attempts; each retried call is answered at last (fair)",
        ]
        if self.without:
            lines.append(f"  left out: {', '.join(self.without)}: never called safe")
        shown = [x for x in self.findings if x.level != "info"]
        for finding in shown:
            lines.extend("  " + line for line in str(finding).splitlines())
        return "\n".join(lines)

    def to_json(self) -> str:
        """The report as one JSON object with a schema number; paths are encoded."""
        plain: dict[str, Any] = {"schema": SCHEMA, "ok": self.ok}
        for field in attrs.fields(Report):
            if field.name.startswith("_"):
                continue
            plain[field.name] = getattr(self, field.name)
        plain["findings"] = [
            {
                "rule": x.rule,
                "level": x.level,
                "step": x.step,
                "message": x.message,
                "path": None if x.path is None else x.path.encode(),
            }
            for x in self.findings
        ]
        return json.dumps(plain)
