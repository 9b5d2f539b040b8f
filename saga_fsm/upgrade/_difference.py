"""What a comparison of two sagas has found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from saga_fsm.checker import Finding
from saga_fsm.definition import Saga
from saga_fsm.machine import Codes, State
from saga_fsm.path import Path
from saga_fsm.upgrade._mapping import Obstacle, Renaming


SCHEMA = 1
RULE = "W16"
UNSEEN = (
    "bodies of actions, compensations, queries and choosers, and the types of their results",
    "waiting times, numbers of attempts, timeouts and lengths of deadlines",
    "whether who goes on gives a renamed step the idempotency key and the result of its old name",
)


@attrs.frozen
class Refusal:
    """
    States of the old machine in which a run cannot go on under the new one, for one reason.

    Args:
        obstacle: the reason.
        states: how many states.
        example: the nearest of them, as the old machine prints it.
        path: the shortest run of the old saga to it.
    """

    obstacle: Obstacle
    states: int
    example: str
    path: Path

    @property
    def finding(self) -> Finding:
        """The same as a report of ``check`` has it: an error by the rule W16."""
        notes = (f"{_counted(self.states)} as this: {self.example}", self.obstacle.remedy)
        return Finding(RULE, "error", self.obstacle.step, self.obstacle.reason, self.path, notes)


@attrs.frozen(eq=False)
class Difference:
    """
    Whether runs of an old saga may go on under a new one.

    Args:
        old: name and version of the old saga.
        new: name and version of the new one.
        fingerprints: of their machines, old and new.
        verdict: "compatible", "incompatible" or, where the search was cut short, "incomplete".
        states: how many states of the old machine a run in flight can be in, of those looked at.
        refusals: where it cannot go on, and why; nearest first.
        limit: the largest number of states of each product that were looked at.
        sagas: the old one and the new one.
    """

    old: str
    new: str
    fingerprints: tuple[str, str]
    verdict: str
    states: int
    refusals: tuple[Refusal, ...]
    limit: int
    sagas: tuple[Saga[Any, Any, Any], Saga[Any, Any, Any]] = attrs.field(repr=False)
    _carried: Mapping[Codes, State] = attrs.field(alias="carried", repr=False)
    _renaming: Renaming = attrs.field(alias="renaming", repr=False)
    _obstacles: Mapping[Codes, Obstacle] = attrs.field(alias="obstacles", factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        """Whether every run in flight may go on."""
        return self.verdict == "compatible"

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Each refusal as a finding, rule W16; none where the search was cut short too early."""
        return tuple(one.finding for one in self.refusals)

    @property
    def same(self) -> bool:
        """Whether the two machines have one fingerprint."""
        return self.fingerprints[0] == self.fingerprints[1]

    def maps(self, state: State) -> State | None:
        """The state in which a run goes on under the new machine; None if it may not."""
        return self._carried.get(state.codes)

    def why(self, state: State) -> str:
        """Why a run may not go on there; empty where it may."""
        if state.codes in self._carried:
            return ""
        obstacle = self._obstacles.get(state.codes)
        if obstacle is not None and self.verdict == "incompatible":
            return obstacle.reason
        if self.verdict == "incomplete":
            return f"diff was cut short at {self.limit:,} states, and nothing is proven"
        return "no run that is in flight comes to this state"

    def path(self, old: str) -> str:
        """What a path of the old saga is called in the new one."""
        return self._renaming(old)

    def __str__(self) -> str:
        refused = sum(one.states for one in self.refusals)
        head = f"{self.old} -> {self.new}: {self.verdict}"
        lines = [head, f"  fingerprints: {'equal' if self.same else ' -> '.join(_short(self))}"]
        lines.append(f"  {self.states:,} states in flight, {self.states - refused:,} may go on")
        if self.verdict == "incomplete":
            lines.append(f"  cut short: more than {self.limit:,} states; a larger limit= goes on")
        for one in self.refusals:
            lines.append(f"  error {RULE}: {_counted(one.states)} may not: {one.obstacle.reason}")
            lines.append(f"    for instance {one.example}")
            lines.append(f"    after {one.path.encode()}")
            lines.append(f"    {one.obstacle.remedy}")
        lines.extend(f"  not looked at: {one}" for one in UNSEEN)
        return "\n".join(lines)

    def to_json(self) -> str:
        """The same as one JSON object with a schema number; paths are encoded."""
        plain = {
            "schema": SCHEMA,
            "ok": self.ok,
            "old": self.old,
            "new": self.new,
            "fingerprints": list(self.fingerprints),
            "verdict": self.verdict,
            "states": self.states,
            "limit": self.limit,
            "findings": [one.plain() for one in self.findings],
            "refusals": [
                {
                    "step": one.obstacle.step,
                    "reason": one.obstacle.reason,
                    "remedy": one.obstacle.remedy,
                    "states": one.states,
                    "example": one.example,
                    "path": one.path.encode(),
                }
                for one in self.refusals
            ],
            "unseen": list(UNSEEN),
        }
        return json.dumps(plain)


def _counted(states: int) -> str:
    return "1 state" if states == 1 else f"{states:,} states"


def _short(found: Difference) -> list[str]:
    return [fingerprint[:8] for fingerprint in found.fingerprints]
