"""
One run, without I/O: what the machine leaves to data, and nothing that the machine decides.

The driver keeps results, errors, numbers of attempts and the answers of choosers, all folded from
the journal's entries. What it adds to the machine is the four pure decisions of machine.md 5: the
outcome of a call, the next attempt or exhaustion, staleness, and timers. A shell (``sync``,
``tasks``) gives it what happened, appends the entries, and only then carries out the commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import attrs

from saga_fsm.compiler import compile_saga
from saga_fsm.definition import PENDING, Context, Kind, Rejected, Retry, Saga, Transient
from saga_fsm.definition.layout import PlacedChoice, PlacedEach, PlacedStep, lay_out
from saga_fsm.errors import RunConflictError
from saga_fsm.machine import (
    Call,
    CancelTimer,
    Compensate,
    Decide,
    Effect,
    Expand,
    Query,
    SetTimer,
    State,
    Status,
)
from saga_fsm.ports import Entry
from saga_fsm.runner.outcome import Cause, Outcome


Leg: TypeAlias = tuple[str, str, int]
TimerKey: TypeAlias = tuple[str, str]

_POISONOUS = 3  # at this recovery an open call counts as unknown: it may be what kills its owners


@attrs.frozen
class Invoke:
    """Call ``function(*arguments)``, at most ``timeout`` seconds, and report under ``leg``."""

    leg: Leg
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    timeout: float | None = None


@attrs.frozen
class Wake:
    """Report ``key`` at time ``at``, unless it is set anew or taken back by ``at=None``."""

    key: TimerKey
    at: float | None


Command: TypeAlias = Invoke | Wake


class _View:
    """What a context sees of the run: its own scope's input."""

    __slots__ = ("driver", "input")

    def __init__(self, driver: Driver, input: Any) -> None:  # noqa: A002 - the interface's word
        self.driver = driver
        self.input = input

    @property
    def services(self) -> Any:
        return self.driver.services

    @property
    def results(self) -> dict[str, Any]:
        return self.driver.results

    @property
    def run_id(self) -> str:
        return self.driver.run_id

    def locate(self, step: object, within: str) -> str:
        return self.driver.layout.find(step, within)


class Driver:
    """
    The state and the data of one run.

    Args:
        saga: the definition.
        input: the saga's input.
        run_id: the run's id, the first part of every key.
        services: given to every step as ``ctx.services``.
        answers: outcomes of pending steps, by path, where nobody delivers.
        luck: a function that gives a float in [0, 1), for jitter.
    """

    def __init__(  # noqa: PLR0913 - keyword-only facts of one run
        self,
        saga: Saga[Any, Any],
        *,
        input: Any,  # noqa: A002 - the interface's word
        run_id: str,
        services: Any,
        answers: dict[str, Callable[[Any], Any]],
        luck: Callable[[], float],
    ) -> None:
        self.saga = saga
        self.machine = compile_saga(saga)
        self.layout = lay_out(saga)
        self.input = input
        self.run_id = run_id
        self.services = services
        self.answers = answers
        self.luck = luck
        self.state: State = self.machine.initial
        self.results: dict[str, Any] = {}
        self.events: list[str] = []
        self.cause: Cause | None = None
        self.attempts: dict[tuple[str, str], int] = {}
        self.flight: dict[tuple[str, str], int] = {}
        self.pending: dict[str, int] = {}
        self.doubted: set[tuple[str, int]] = set()
        self.items: dict[str, list[Any]] = {}
        self.inputs: dict[str, Any] = {}
        self.recoveries: dict[tuple[str, str], int] = {}
        self.after: dict[str, float] = {}
        self.ignored = 0
        self._views: dict[str, _View] = {}

    # ------------------------------------------------------------------ being told

    def start(self, now: float) -> tuple[list[Entry], list[Command]]:
        """Begin: the first entry holds what must be the same when the run is taken up again."""
        header = {
            "saga": self.saga.name,
            "fingerprint": self.machine.fingerprint,
            "input": self.input,
        }
        return self._feed([("start", header)], now)

    def heard(self, event: str, now: float) -> tuple[list[Entry], list[Command]]:
        """An event from outside: cancel, or an operator's word."""
        return self._feed([(event, None)], now)

    def returned(self, leg: Leg, value: Any, now: float) -> tuple[list[Entry], list[Command]]:
        """A call came back with a value."""
        kind, path, attempt = leg
        if self.flight.get((kind, path)) != attempt:
            return self._stale(leg, value, now)
        if kind == "call":
            if value is PENDING:
                return self._now_pending(path, attempt, now)
            return self._settled(leg, [(f"done({path})", value)], now)
        if kind == "query":
            return self._settled(leg, [(f"landed({path})", value)], now)
        if kind == "compensate":
            return self._settled(leg, [(f"compensated({path})", None)], now)
        return self._settled(leg, [self._decision(path, value)], now)

    def raised(
        self, leg: Leg, error: BaseException, now: float
    ) -> tuple[list[Entry], list[Command]]:
        """A call raised, or its time was up (R2)."""
        kind, path, attempt = leg
        if self.flight.get((kind, path)) != attempt:
            return self._stale(leg, error, now)
        if kind in {"decide", "expand"}:
            return self._settled(leg, [(f"chooser_failed({path})", error)], now)
        return self._settled(leg, [(f"{self._outcome(kind, path, error)}({path})", error)], now)

    def woke(self, key: TimerKey, now: float) -> tuple[list[Entry], list[Command]]:
        """A timer rang."""
        what, path = key
        if what == "deadline":
            scope = path.removesuffix("@stop").rstrip("/")
            return self._feed([(f"deadline({scope})" if scope else "deadline", None)], now)
        if what == "retry":
            return self._feed([(f"retry({path})", None)], now)
        kind = "call" if what == "pause" else what
        leg = (kind, path, self.flight.get((kind, path), 0))
        if what == "pause":
            return self.returned(leg, None, now)
        return self.raised(leg, TimeoutError(f"no answer from {path} in time"), now)

    # ------------------------------------------------------------------ deciding

    def _outcome(self, kind: str, path: str, error: BaseException) -> str:
        placed = self.layout.steps.get(path)
        if isinstance(error, Transient):
            if error.after is not None:
                self.after[path] = error.after
            return "transient"
        if kind == "compensate":
            return "unknown"
        if isinstance(error, Rejected):
            return "absent" if kind == "query" else "rejected"
        if placed is not None and isinstance(error, Exception):
            if placed.rejects is not None and placed.rejects(error):
                return "absent" if kind == "query" else "rejected"
            if placed.transient is not None and placed.transient(error):
                return "transient"
        return "unknown"

    def _decision(self, path: str, value: Any) -> tuple[str, Any]:
        placed = self.layout.decisions[path]
        if isinstance(placed, PlacedEach):
            items = list(value)
            if len(items) > len(placed.body):
                return f"chooser_failed({path})", ValueError(
                    f"{len(items)} items for '{path}', at most {len(placed.body)} are allowed"
                )
            return f"items({path},{len(items)})", items
        if path.endswith("/@given"):
            return f"chose({path},given)", value
        label = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
        known = label in placed.labels
        return f"chose({path},{label if known else 'otherwise'})", None

    def _settled(
        self, leg: Leg, told: list[tuple[str, Any]], now: float
    ) -> tuple[list[Entry], list[Command]]:
        kind, path, attempt = leg
        del self.flight[kind, path]
        self.pending.pop(path, None)
        if kind == "call" and told[0][0].startswith("unknown("):
            self.doubted.add((path, attempt))
        entries, commands = self._feed(told, now)
        return entries, [Wake((kind, path), None), *commands]

    def _now_pending(
        self, path: str, attempt: int, now: float
    ) -> tuple[list[Entry], list[Command]]:
        self.pending[path] = attempt
        commands: list[Command] = []
        if path in self.answers:
            leg = ("call", path, attempt)
            context = self._context(self.layout.steps[path], attempt, compensating=False)
            commands.append(Invoke(leg, self.answers[path], (context,)))
        entries = [Entry(f"#pending({path})", now)]
        more, then = self._feed([], now)
        return [*entries, *more], [*commands, *then]

    def _stale(self, leg: Leg, value: Any, now: float) -> tuple[list[Entry], list[Command]]:
        """An attempt that is decided already (R11): late news of an effect may be an alarm."""
        kind, path, attempt = leg
        late = f"late_done({path})"
        if (
            kind == "call"
            and not isinstance(value, BaseException)
            and (path, attempt) in self.doubted
            and late in self.machine.events
        ):
            return self._feed([(late, value)], now)
        self.ignored += 1
        return [Entry(f"#ignored({kind} {path} {attempt})", now)], []

    def _feed(
        self, told: Iterable[tuple[str, Any]], now: float
    ) -> tuple[list[Entry], list[Command]]:
        """Let the machine decide on events, one after the other; what follows follows."""
        todo = list(told)
        entries: list[Entry] = []
        commands: list[Command] = []
        while True:
            while todo:
                event, data = todo.pop(0)
                entries.append(Entry(event, now, data))
                for effect in self._apply(event, data):
                    commands.extend(self._command(effect, now, todo))
            if not (ended := self._ended_waits()):
                return entries, commands
            todo.extend(ended)

    def _apply(self, event: str, data: Any) -> tuple[Effect, ...]:
        """Fold one entry into the run."""
        before = self.state
        move = self.machine.step(before, event)
        self.events.append(event)
        self.state = move.state
        if move.ignored is not None:
            self.ignored += 1
            return ()
        name, _, inside = event.partition("(")
        path = inside[:-1]
        if name in {"done", "landed"}:
            self.results[path] = data
        elif name == "items":
            self.items[path.rpartition(",")[0]] = data
        elif name == "chose" and path.endswith("/@given,given"):
            self.inputs[path.removesuffix("/@given,given")] = data
        if self.cause is None:
            self._find_cause(name, path, data)
        return move.effects

    def _find_cause(self, name: str, path: str, data: Any) -> None:
        if self.machine.status(self.state) is not Status.COMPENSATING and (
            self.state["@saga"] in {"running", "committed", "done"}
        ):
            return
        error = data if isinstance(data, BaseException) else None
        kind = {"rejected": "rejected", "absent": "rejected", "deadline": "deadline"}
        kind["cancel"] = "cancel"
        where = "" if name in {"deadline", "cancel"} else path
        self.cause = Cause(where, kind.get(name, "unknown"), str(error or ""), error)

    def _ended_waits(self) -> list[tuple[str, Any]]:
        """Pending answers and pauses of a scope that turns back: their time is up."""
        ended = []
        for (kind, path), attempt in list(self.flight.items()):
            placed = self.layout.steps.get(path)
            if kind != "call" or placed is None:
                continue
            waits = path in self.pending or placed.step.pause_for is not None
            if not waits or placed.kind in {Kind.PIVOT, Kind.RETRIABLE}:
                continue
            if self.state[placed.scope] not in {"running", "committed"}:
                del self.flight[kind, path]
                self.doubted.add((path, attempt))
                ended.append((f"unknown({path})", None))
        return ended

    # ------------------------------------------------------------------ carrying out

    def _command(self, effect: Effect, now: float, todo: list[tuple[str, Any]]) -> list[Command]:
        kind = _KINDS.get(type(effect))
        if kind is not None:
            return self._call(kind, effect.target, now)  # type: ignore[union-attr]
        if isinstance(effect, Decide | Expand):
            return self._ask(effect.target)
        if isinstance(effect, SetTimer):
            return self._wait(effect.target, now, todo)
        if isinstance(effect, CancelTimer):
            what = "deadline" if effect.target.endswith("@stop") else "retry"
            return [Wake((what, effect.target), None)]
        return []

    def _call(self, kind: str, path: str, now: float) -> list[Command]:
        attempt = self.attempts[kind, path] = self.attempts.get((kind, path), 0) + 1
        self.flight[kind, path] = attempt
        return self._invoke(kind, path, attempt, now)

    def _invoke(self, kind: str, path: str, attempt: int, now: float) -> list[Command]:
        leg = (kind, path, attempt)
        placed = self.layout.steps.get(path)
        if placed is None:
            return self._invoke_whole(leg, now)
        context = self._context(placed, attempt, compensating=kind == "compensate")
        if kind == "compensate":
            function, timeout = placed.step.compensate, placed.compensation_timeout
            arguments: tuple[Any, ...] = (context, self.results.get(path))
        else:
            function = placed.step.query if kind == "query" else placed.step.action
            timeout = placed.timeout
            arguments = (context,)
            if kind == "call" and placed.step.pause_for is not None:
                pause = placed.step.pause_for
                seconds = pause(context) if callable(pause) else pause
                return [Wake(("pause", path), now + seconds)]
        assert function is not None  # noqa: S101 - the machine has no such leg otherwise
        commands: list[Command] = [Invoke(leg, function, arguments, timeout)]
        if timeout is not None:
            commands.append(Wake((kind, path), now + timeout))
        return commands

    def _invoke_whole(self, leg: Leg, now: float) -> list[Command]:
        kind, path, attempt = leg
        scope = self.layout.scopes[path]
        assert scope.compensate is not None  # noqa: S101 - only then does the machine ask
        context = Context._of(self._view(path), path, attempt, True, *self._copy(scope.copies))  # noqa: FBT003, SLF001 - one library
        timeout = scope.compensation_timeout
        results = {
            inner.removeprefix(f"{path}/"): value
            for inner, value in self.results.items()
            if inner.startswith(f"{path}/")
        }
        commands: list[Command] = [Invoke(leg, scope.compensate, (context, results), timeout)]
        if timeout is not None:
            commands.append(Wake((kind, path), now + timeout))
        return commands

    def _ask(self, path: str) -> list[Command]:
        placed = self.layout.decisions[path]
        kind = "expand" if isinstance(placed, PlacedEach) else "decide"
        self.flight[kind, path] = 1
        function = placed.chooser if isinstance(placed, PlacedChoice) else placed.items
        scope = placed.scope
        if path.endswith("/@given"):
            scope = self.layout.scopes[scope].parent or scope
        context = Context._of(self._view(scope), path, 1, False, *self._copy(placed.copies))  # noqa: FBT003, SLF001 - one library
        return [Invoke((kind, path, 1), function, (context,))]

    def _wait(self, path: str, now: float, todo: list[tuple[str, Any]]) -> list[Command]:
        if path.endswith("@stop"):
            scope = path.removesuffix("@stop").rstrip("/") or "@saga"
            deadline = self.layout.scopes[scope].deadline
            assert deadline is not None  # noqa: S101 - only then does the machine set a timer
            return [Wake(("deadline", path), now + deadline)]
        kind, retry = self._patience(path)
        wait = retry.wait(self.attempts.get((kind, path), 1) + 1, self.luck())
        after = self.after.pop(path, 0.0)
        if wait is None:
            todo.append((f"exhausted({path})", None))
            return []
        return [Wake(("retry", path), now + max(wait, after))]

    def _patience(self, path: str) -> tuple[str, Retry]:
        local = self.state[path]
        if local == "whole_waiting":
            return "compensate", self.layout.scopes[path].compensation_retry
        placed = self.layout.steps[path]
        if local == "compensation_waiting":
            return "compensate", placed.compensation_retry
        return "query" if local == "query_waiting" else "call", placed.retry

    def _view(self, scope: str) -> _View:
        """The input of a scope: its own, where it was given one, else its parent's."""
        view = self._views.get(scope)
        if view is None:
            at: str | None = scope
            while at is not None and at not in self.inputs:
                at = self.layout.scopes[at].parent
            value = self.input if at is None else self.inputs[at]
            view = self._views[scope] = _View(self, value)
        return view

    def _copy(self, copies: tuple[tuple[str, int], ...]) -> tuple[Any, int | None]:
        if not copies:
            return None, None
        path, index = copies[-1]
        return self.items[path][index], index

    def _context(self, placed: PlacedStep, attempt: int, *, compensating: bool) -> Any:
        item, index = self._copy(placed.copies)
        view = self._view(placed.scope)
        return Context._of(view, placed.path, attempt, compensating, item, index)  # noqa: SLF001 - one library

    # ------------------------------------------------------------------ going on

    def recover(self, entries: Iterable[Entry], now: float) -> tuple[list[Entry], list[Command]]:
        """
        Fold a journal and go on: what is owed is asked for again (machine.md 4).

        A call that was open is made again under the same key when the step is idempotent, without
        counting as an attempt; else, and at the third recovery of the same call, it is unknown.
        """
        for entry in entries:
            self._fold(entry)
        if self.state.status.resting:
            return [], []
        notes: list[Entry] = [Entry("#recovered", now)]
        commands: list[Command] = []
        todo: list[tuple[str, Any]] = []
        for effect in self.machine.owed(self.state):
            commands.extend(self._again(effect, now, todo))
        more, then = self._feed(todo, now)
        return [*notes, *more], [*commands, *then]

    def _fold(self, entry: Entry) -> None:
        if entry.event.startswith("#"):
            if entry.event == "#recovered":
                for leg in self.flight:
                    self.recoveries[leg] = self.recoveries.get(leg, 0) + 1
            elif entry.event.startswith("#pending("):
                path = entry.event.removeprefix("#pending(")[:-1]
                self.pending[path] = self.flight.get(("call", path), 1)
            return
        if entry.event == "start":
            self._same(entry.data)
        name, _, inside = entry.event.partition("(")
        path = inside[:-1].partition(",")[0]
        for kind in ("call", "query", "compensate", "decide", "expand"):
            if name in _ENDS[kind] and (kind, path) in self.flight:
                attempt = self.flight.pop((kind, path))
                self.recoveries.pop((kind, path), None)
                self.pending.pop(path, None)
                if name == "unknown":
                    self.doubted.add((path, attempt))
        for effect in self._apply(entry.event, entry.data):
            self._command(effect, entry.at, [])

    def _same(self, header: Any) -> None:
        if header["saga"] != self.saga.name:
            message = f"belongs to saga '{header['saga']}', not to '{self.saga.name}'"
            raise RunConflictError(run_id=self.run_id, message=message)
        if header["fingerprint"] != self.machine.fingerprint:
            theirs, ours = header["fingerprint"], self.machine.fingerprint
            message = f"was started by machine {theirs}, this is {ours}"
            raise RunConflictError(run_id=self.run_id, message=message)
        if self.input is not None and header["input"] != self.input:
            raise RunConflictError(run_id=self.run_id, message="was started with another input")
        self.input = header["input"]

    def _again(self, effect: Effect, now: float, todo: list[tuple[str, Any]]) -> list[Command]:
        if isinstance(effect, Call):
            placed = self.layout.steps[effect.target]
            leg = ("call", effect.target)
            if effect.target in self.pending:
                return []
            worn = self.recoveries.get(leg, 0) + 1 >= _POISONOUS
            readonly = placed.kind is Kind.READONLY
            if worn or not (placed.contract.idempotent or readonly):
                attempt = self.flight.pop(leg)
                self.doubted.add((effect.target, attempt))
                todo.append((f"unknown({effect.target})", None))
                return []
            return self._invoke("call", effect.target, self.flight[leg], now)
        if isinstance(effect, Compensate | Query):
            kind = "compensate" if isinstance(effect, Compensate) else "query"
            if kind == "compensate" and self.recoveries.get((kind, effect.target), 0) + 1 >= (
                _POISONOUS
            ):
                self.flight.pop((kind, effect.target))
                todo.append((f"unknown({effect.target})", None))
                return []
            return self._invoke(kind, effect.target, self.flight[kind, effect.target], now)
        return self._command(effect, now, todo)

    def outcome(self) -> Outcome[Any]:
        """How it stands."""
        return Outcome(
            self.run_id,
            self.machine.status(self.state),
            dict(self.results),
            tuple(self.events),
            self.cause,
            self.machine.unresolved(self.state),
            self.layout,
        )


_KINDS: dict[type, str] = {Call: "call", Compensate: "compensate", Query: "query"}
_ENDS = {
    "call": {"done", "rejected", "transient", "unknown"},
    "query": {"landed", "absent", "transient", "unknown"},
    "compensate": {"compensated", "transient", "unknown"},
    "decide": {"chose", "chooser_failed"},
    "expand": {"items", "chooser_failed"},
}
