"""How a run ended, and why it turned back."""

from __future__ import annotations

from typing import Any, Generic, cast

import attrs
from typing_extensions import TypeVar

from saga_fsm.definition.layout import Layout
from saga_fsm.definition.steps import Step
from saga_fsm.machine import Machine, Status
from saga_fsm.path import Path


Input = TypeVar("Input", default=Any)
R = TypeVar("R")


@attrs.frozen
class Cause:
    """
    Why a run turned back; of one that is stuck on its way forward, why it is.

    Args:
        step: path of the step that failed; empty for a deadline or a cancel.
        kind: "rejected", "unknown", "deadline" or "cancel".
        message: what the step said.
        exception: what it raised; None after a restart.
    """

    step: str
    kind: str
    message: str = ""
    exception: BaseException | None = None


@attrs.frozen
class Outcome(Generic[Input]):
    """
    The end of a run, or where it rests.

    Args:
        run_id: the run.
        status: COMPLETED, COMPENSATED or STUCK.
        results: result of each step that was done, by path.
        events: what the machine heard, in order.
        cause: why it turned back, or, where it did not, why it is stuck; None when it is completed.
        unresolved: what is owed when stuck: "compensate", "complete" or "query", by path; first
            what can be decided now, then what is only asked for after that.
    """

    run_id: str
    status: Status
    results: dict[str, Any]
    events: tuple[str, ...]
    cause: Cause | None
    unresolved: dict[str, str]
    _layout: Layout = attrs.field(repr=False, eq=False)
    _machine: Machine = attrs.field(repr=False, eq=False)

    @property
    def path(self) -> Path:
        """Each move of the run, in order: prints itself, and replays."""
        return Path.of_events(self._machine, self.events)

    def result_of(self, step: Step[Any, Any, Any, R] | str) -> R:
        """
        The result of one step.

        Raises:
            KeyError: it was not taken, or is not done.
        """
        return cast("R", self.results[self._layout.find(step)])
