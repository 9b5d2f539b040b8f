"""
What a run knows and its machine does not: results, errors, attempts, items, and why it turned back.

All of it is folded from the journal's entries, one ``learn`` each, so that a run which is taken up
again knows what it knew. Nothing here decides what happens next.
"""

from __future__ import annotations

from typing import Any

from saga_fsm.definition import Saga, Transient
from saga_fsm.definition.layout import ROOT, Layout
from saga_fsm.machine import Call, Compensate, Decide, Effect, Expand, Machine, Move, Query, State
from saga_fsm.machine import _alphabet as a
from saga_fsm.runner.outcome import Cause


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
_OPERATORS = frozenset({"stuck", "compensation_failed", "whole_failed", "alarm"})
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

    __slots__ = ("facts", "input", "results", "run_id", "services")

    def __init__(self, facts: Facts, input: Any) -> None:  # noqa: A002 - the interface's word
        self.facts = facts
        self.input = input
        self.results = facts.results
        self.run_id = facts.run_id
        self.services = facts.services

    def locate(self, step: object, within: str) -> str:
        """The path of a step, seen from another."""
        return self.facts.layout.find(step, within)


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
        self.events: list[str] = []
        self.results: dict[str, Any] = {}
        self.items: dict[str, list[Any]] = {}
        self.inputs: dict[str, Any] = {}
        self.cause: Cause | None = None
        # (kind, path) -> attempts so far; of these, spent before an operator's retry; in flight.
        self.attempts: dict[tuple[str, str], int] = {}
        self.spent: dict[tuple[str, str], int] = {}
        self.flight: dict[tuple[str, str], int] = {}
        self.since: dict[str, float] = {}
        self.after: dict[str, float] = {}
        self.pending: dict[str, int] = {}
        self.doubted: set[tuple[str, int]] = set()
        self._errors: dict[str, BaseException] = {}
        self._failures: list[Cause] = []
        self._views: dict[str, View] = {}

    def learn(self, event: str, data: Any, at: float) -> Move:
        """Fold one entry: let the machine move, and keep what came with the event."""
        before = self.state
        move = self.machine.step(before, event)
        self.events.append(event)
        if move.ignored is not None:
            return move
        self.state = move.state
        name, _, inside = event.partition("(")
        path = inside[:-1]
        if name == "done":
            self.results[path] = data
        else:
            self._keep(name, path, data, before)
        for effect in move.effects:
            self._owe(effect, at)
        if self.cause is None and move.state.codes[0] in _TURNED:
            self.cause = self._why(name, path)
        return move

    def passed(self, event: str, path: str, value: Any, state: State) -> None:
        """What ``learn`` does for a call that is done and turns nothing."""
        del self.flight["call", path]
        self.events.append(event)
        self.results[path] = value
        self.state = state

    def started(self, path: str, at: float) -> int:
        """A call is in flight: the number of its attempt."""
        leg = ("call", path)
        attempt = self.attempts[leg] = self.flight[leg] = self.attempts.get(leg, 0) + 1
        self.since[path] = at
        return attempt

    def _keep(self, name: str, path: str, data: Any, before: State) -> None:
        if name == "landed":
            self.results[path] = data
        elif name == "items":
            self.items[path.rpartition(",")[0]] = data
        elif name == "chose" and path.endswith("/@given,given"):
            self.inputs[path.removesuffix("/@given,given")] = data
        elif name == "retry" and before[path] in _OPERATORS:
            # An operator's retry is a new leg: its policy begins again, its numbers go on.
            for kind in ("call", "query", "compensate"):
                self.spent[kind, path] = self.attempts.get((kind, path), 0)
        elif name in _FAILURES:
            self._fail(name, path, data)

    def _owe(self, effect: Effect, at: float) -> None:
        kind = KINDS.get(effect.__class__)
        target: str = getattr(effect, "target", "")
        self.since[target] = at
        if kind is not None:
            leg = (kind, target)
            self.attempts[leg] = self.flight[leg] = self.attempts.get(leg, 0) + 1

    # ------------------------------------------------------------------ why it turned back

    def _fail(self, name: str, path: str, data: Any) -> None:
        if isinstance(data, Transient) and data.after is not None:
            self.after[path] = data.after
        if isinstance(data, BaseException):
            self._errors[path] = data
        error = self._errors.get(path)
        self._failures.append(Cause(path, _FAILURES[name], str(error or ""), error))

    def _why(self, name: str, path: str) -> Cause:
        """The failure that turned the run: this event, or what it ended in its own scope."""
        if name not in _FAILURES:
            unit = self._unit(path)
            for failure in reversed(self._failures):
                if self._unit(failure.step) == unit:
                    return failure
        return self._failures[-1]

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
        view = self._views.get(scope)
        if view is None:
            at: str | None = scope
            while at is not None and at not in self.inputs:
                at = self.layout.scopes[at].parent
            value = self.input if at is None else self.inputs[at]
            view = self._views[scope] = View(self, value)
        return view

    def copy(self, copies: tuple[tuple[str, int], ...]) -> tuple[Any, int | None]:
        """The item and the index of the innermost copy."""
        if not copies:
            return None, None
        path, index = copies[-1]
        return self.items[path][index], index
