"""What a check says: findings, and how much was looked at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from saga_fsm.checker._text import lines_of, noted, run_of
from saga_fsm.definition import Contract, Saga
from saga_fsm.errors import PropertyViolationError
from saga_fsm.path import Path


if TYPE_CHECKING:
    from saga_fsm.checker._clashes import Together
    from saga_fsm.checker._never import NeverTaken, Untaken
    from saga_fsm.checker._weakest import Needs

SCHEMA = 1


@attrs.frozen
class Finding:
    """
    One thing that was found.

    Args:
        rule: "W5", "I2", "P:name" for a property.
        level: "error", "warning" or "info".
        step: path of the step, or empty.
        message: one sentence.
        path: the shortest run that shows it, or None for what the definition shows.
        notes: what else is to be seen on that run.
        shortest: False where a shorter run may be: the search for it was cut short.
    """

    rule: str
    level: str
    step: str
    message: str
    path: Path | None = None
    notes: tuple[str, ...] = ()
    shortest: bool = True

    def __str__(self) -> str:
        text = f"{self.level} {self.rule}: {self.message}"
        lines = [] if self.path is None else run_of(self.path)
        return "\n".join([text, *lines, *noted(self)])

    def plain(self) -> dict[str, Any]:
        """As JSON has it: the path encoded."""
        path = None if self.path is None else self.path.encode()
        return {
            "rule": self.rule,
            "level": self.level,
            "step": self.step,
            "message": self.message,
            "path": path,
            "notes": list(self.notes),
            "shortest": self.shortest,
        }


@attrs.frozen
class Answers:
    """
    What became of the properties that were asked.

    Args:
        findings: those that fail, those that hold, and what makes an answer worth little.
        decided: whether each of them was answered.
        interrupted: the user ended the search.
        notes: what was explored besides the search, and why.
    """

    findings: tuple[Finding, ...] = ()
    decided: bool = True
    interrupted: bool = False
    notes: tuple[str, ...] = ()


@attrs.frozen
class Report:
    """
    The verdict on a saga, and under what it holds.

    Args:
        saga: its name.
        fingerprint: of its machine.
        verdict: "safe", "unsafe" or "incomplete".
        findings: what was found, errors first.
        states: how many states of machine x environment were reached.
        transitions: how many moves between them; None where the engine does not count them.
        depth: levels of the search; None where it has none.
        engine: who searched.
        reductions: what was left out because it comes to the same, and what could not be; what was
            explored more than once, and why.
        fairness: which runs count as never ending.
        faults: what could go wrong.
        without: what was left out on request; a saga is never called safe under fewer faults.
        bounds: what was searched up to a bound only.
        limit: the bound on states.
        memory: the bound on the bytes that the search may take; None for none.
        short_of: why a search did not come to its end: "states" or "memory" where there was no room
            for more, "found" where what is wrong was found near the start.
        complete: whether the search came to its end.
        interrupted: the user ended the search; it is then at best "incomplete".
        together: what several runs do to each other, if that was asked.
    """

    saga: str
    fingerprint: str
    verdict: str
    findings: tuple[Finding, ...]
    states: int
    transitions: int | None
    depth: int | None
    engine: str
    reductions: tuple[str, ...]
    fairness: str
    faults: tuple[str, ...]
    without: tuple[str, ...]
    bounds: tuple[str, ...]
    limit: int
    memory: int | None
    short_of: str
    complete: bool
    interrupted: bool
    together: Together | None
    _needs: Needs = attrs.field(alias="needs", repr=False, eq=False)
    _untaken: Untaken | None = attrs.field(alias="untaken", repr=False, eq=False)

    @property
    def definition(self) -> Saga[Any, Any, Any]:
        """The saga itself."""
        return self._needs.saga

    @property
    def required(self) -> dict[str, Contract]:
        """The weakest contract of each step under which the saga is safe; searched when asked."""
        return self._needs.required

    @property
    def undecided(self) -> tuple[str, ...]:
        """Steps of whose contract it is not known whether it is enough: too many states to ask."""
        return self._needs.undecided

    @property
    def missing(self) -> dict[str, set[str]]:
        """What is required and not declared, by path."""
        return self._needs.missing

    @property
    def never_taken(self) -> tuple[NeverTaken, ...]:
        """Rows of the machine that no run takes, with the reason; none if it is not known."""
        return () if self._untaken is None else self._untaken.rows

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
        return "\n".join(lines_of(self))

    def to_json(self) -> str:
        """
        The report as one JSON object with a schema number; paths are encoded.

        ``required``, ``missing``, ``undecided`` and ``never_taken`` are searched for it, unless the
        search was interrupted: then they are null, and so are rows never taken where it did not
        come to its end. ``missing`` has, by step and promise, a run that shows why; the finding of
        it says by ``shortest`` whether none is shorter.
        """
        plain: dict[str, Any] = {"schema": SCHEMA, "ok": self.ok}
        for field in attrs.fields(Report):
            if not field.name.startswith("_"):
                plain[field.name] = getattr(self, field.name)
        plain["together"] = None if self.together is None else self.together.plain()
        plain["findings"] = [finding.plain() for finding in self.findings]
        plain["required"] = plain["missing"] = plain["undecided"] = plain["never_taken"] = None
        if not self.interrupted:
            if self._untaken is not None:
                plain["never_taken"] = [attrs.asdict(one) for one in self.never_taken]
            plain["undecided"] = list(self.undecided)
            plain["required"] = {x: attrs.asdict(one) for x, one in self.required.items()}
            plain["missing"] = {x: self._runs(x, flags) for x, flags in self.missing.items()}
        return json.dumps(plain)

    def _runs(self, name: str, flags: set[str]) -> dict[str, Any]:
        shown = self._needs.shown
        runs = {flag: shown.get((name, flag)) for flag in sorted(flags)}
        return {flag: None if one is None else one.plain()["path"] for flag, one in runs.items()}
