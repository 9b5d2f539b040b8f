"""
What a run knows and its machine does not: results, errors, attempts, items, and why it turned back.

All of it is folded from the journal's entries, one ``learn`` each, so that a run which is taken up
again knows what it knew. Nothing here decides what happens next.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from saga_fsm.definition import Saga, Transient
from saga_fsm.definition.layout import ROOT, Layout
from saga_fsm.machine import (
    Call,
    Compensate,
    Decide,
    Event,
    Expand,
    Machine,
    Move,
    Query,
    State,
)
from saga_fsm.machine import _alphabet as a
from saga_fsm.runner.commands import Leg
from saga_fsm.runner.outcome import Cause
from saga_fsm.runner.owed import OPERATORS


KINDS: dict[type, str] = {
    Call: "call",
    Compensate: "compensate",
    Query: "query",
    Decide: "decide",
    Expand: "expand",
}
ENDS: dict[str, frozenset[str]] = {
    "call": frozenset({"done", "rejected", "transient", "unknown"}),
    "query": frozenset({"landed", "absent", "transient", "unknown"}),
    "compensate": frozenset({"compensated", "transient", "unknown"}),
    "decide": frozenset({"chose", "chooser_failed"}),
    "expand": frozenset({"items", "chooser_failed"}),
}
_TURNED = a.TURNED_BACK | {a.SCOPE_COMPENSATED}
_ASKED = frozenset({"querying", "query_waiting"})
_FAILURES = {
    "rejected": "rejected",
    "absent": "rejected",
    "transient": "unknown",
    "unknown": "unknown",
    "exhausted": "unknown",
    "chooser_failed": "unknown",
    "deadline": "deadline",
    "cancel": "cancel",
}


class View:
    """What a context sees of the run: its own scope's input."""

    __slots__ = ("input", "layout", "names", "results", "run_id", "services")

    def __init__(self, facts: Facts, input: Any) -> None:  # noqa: A002 - the interface's word
        # Not the facts themselves: they keep their views, and a circle is left to the collector.
        self.layout = facts.layout
        self.names = facts.names
        self.input = input
        self.results = facts.results
        self.run_id = facts.run_id
        self.services = facts.services

    def locate(self, step: object, within: str) -> str:
        """The path of a step, seen from another."""
        return self.layout.find(step, within)


class Facts:
    """
    The state of one run and the data beside it.

    Args:
        saga: the definition.
        machine: its machine.
        layout: its layout.
        input: the saga's input.
        run_id: the run's id, the first part of every key.
        services: given to every step as ``ctx.services``.
    """

    def __init__(  # noqa: PLR0913 - keyword-only facts of one run
        self,
        saga: Saga[Any, Any],
        *,
        machine: Machine,
        layout: Layout,
        input: Any,  # noqa: A002 - the interface's word
        run_id: str,
        services: Any,
    ) -> None:
        self.saga = saga
        self.machine = machine
        self.layout = layout
        self.input = input
        self.run_id = run_id
        self.services = services
        self.state: State = machine.initial
        self.events: list[Event] = []
        self.results: dict[str, Any] = {}
        self.items: dict[str, list[Any]] = {}
        self.inputs: dict[str, Any] = {}
        self.cause: Cause | None = None
        # (kind, path) -> attempts so far; of these, spent before an operator's retry.
        self.attempts: dict[tuple[str, str], int] = {}
        self.spent: dict[tuple[str, str], int] = {}
        # What is in flight -> since when; and since when a timer runs, by path.
        self.flight: dict[Leg, float] = {}
        self.since: dict[str, float] = {}
        self.after: dict[str, float] = {}
        self.pending: dict[str, int] = {}
        self.doubted: set[tuple[str, int]] = set()
        # What was allowed and surely not called, by kind and path: an owner stopped in between.
        self.unmade: set[tuple[str, str]] = set()
        # What each step said last: in words, and as it was raised.
        self._errors: dict[str, tuple[str, BaseException | None]] = {}
        self._failures: list[Cause] = []
        self.views: dict[str, View] = {}
        # Under which paths steps had begun before they were renamed; under which machines.
        self.names: dict[str, str] = {}
        self.fingerprints: frozenset[str] = frozenset({machine.fingerprint})

    def learn(self, event: Event, data: Any) -> Move:
        """Fold one entry: let the machine move, and keep what came with the event."""
        before = self.state
        move = self.machine.step(before, event)
        self.events.append(event)
        if move.ignored is not None:
            return move
        self.state = move.state
        kind = event.kind
        if kind == "done":
            self.results[event.target] = data
        else:
            self._keep(kind, event.target, data, before)
        if self.cause is None and move.state.codes[0] in _TURNED:
            self.cause = self._why(event.target)
        return move

    def owe(self, kind: str, path: str, at: float) -> Leg:
        """One more attempt is in flight."""
        key = (kind, path)
        attempt = self.attempts[key] = self.attempts.get(key, 0) + 1
        leg = (kind, path, attempt)
        self.flight[leg] = at
        return leg

    def latest(self, kind: str, path: str) -> Leg:
        """The last attempt that was made: if any is in flight, it is this one."""
        return kind, path, self.attempts.get((kind, path), 0)

    def _keep(self, kind: str, path: str, data: Any, before: State) -> None:
        if kind == "landed":
            self.results[path] = data
        elif kind == "items":
            self.items[path] = data
        elif kind == "chose" and path.endswith("/@given"):
            self.inputs[path.removesuffix("/@given")] = data
        elif kind == "retry" and before[path] in OPERATORS:
            # An operator's retry is a new leg: its policy begins again, its numbers go on.
            self.spent |= {key: made for key, made in self.attempts.items() if key[1] == path}
        elif kind in _FAILURES:
            self._fail(kind, path, data, asked=before[path] in _ASKED if path else False)

    # ------------------------------------------------------------------ why it turned back

    def restarted(self) -> None:
        """A journal keeps what was said, and not what was raised: of that nothing is believed."""
        self._errors = {path: (message, None) for path, (message, _) in self._errors.items()}
        self._failures = [attrs.evolve(failure, exception=None) for failure in self._failures]
        if self.cause is not None:
            self.cause = attrs.evolve(self.cause, exception=None)

    def _fail(self, kind: str, path: str, data: Any, *, asked: bool) -> None:
        if isinstance(data, Transient) and data.after is not None:
            self.after[path] = data.after
        # What a query says is not what has happened: the action's own error stays the cause.
        if isinstance(data, BaseException) and not (asked and path in self._errors):
            self._errors[path] = (str(data), data)
        message, error = self._errors.get(path, ("", None))
        self._failures.append(Cause(path, _FAILURES[kind], message, error))

    def _why(self, path: str) -> Cause:
        """The failure that turned the run: this event, or what it ended in its own scope."""
        unit = self._unit(path)
        for failure in reversed(self._failures):
            if self._unit(failure.step) == unit:
                return failure
        return self._failures[-1]

    def why_stuck(self, unresolved: Iterable[str]) -> Cause | None:
        """
        The failure that left a run stuck: of what is owed, the one that failed for good first.

        Why it turned back, if it did, tells more: it has failed before.
        """
        last = {failure.step: number for number, failure in enumerate(self._failures)}
        stuck = [last[path] for path in unresolved if path in last]
        return self.cause or (self._failures[min(stuck)] if stuck else None)

    def _unit(self, path: str) -> str:
        """The outermost nested saga or alternative around a path; the path itself if none is."""
        placed: Any = self.layout.steps.get(path) or self.layout.decisions.get(path)
        at: str | None = path if placed is None else placed.scope
        while at is not None and at != ROOT and at in self.layout.scopes:
            path, at = at, self.layout.scopes[at].parent
        return path

    # ------------------------------------------------------------------ what a context sees

    def view(self, scope: str) -> View:
        """The input of a scope: its own, where it was given one, else its parent's."""
        view = self.views.get(scope)
        if view is None:
            at: str | None = scope
            while at is not None and at not in self.inputs:
                at = self.layout.scopes[at].parent
            value = self.input if at is None else self.inputs[at]
            view = self.views[scope] = View(self, value)
        return view

    def copy(self, copies: tuple[tuple[str, int], ...]) -> tuple[Any, int | None]:
        """The item and the index of the innermost copy."""
        if not copies:
            return None, None
        path, index = copies[-1]
        return self.items[path][index], index
