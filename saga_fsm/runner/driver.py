"""
One run, without I/O: what the machine leaves to data, and nothing that the machine decides.

The driver adds the four pure decisions of machine.md 5: the outcome of a call, the next attempt or
exhaustion, staleness, and timers. A shell (``sync``, ``tasks``) gives it what happened, appends the
entries, and only then carries out the commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from saga_fsm.compiler import compile_saga
from saga_fsm.definition import PENDING, Kind, Rejected, Saga, Transient
from saga_fsm.definition.layout import PlacedEach, PlacedStep, lay_out
from saga_fsm.errors import NoTransitionError
from saga_fsm.machine import Event, Finished, Refused, Status
from saga_fsm.ports import Entry
from saga_fsm.runner.calls import Calls, Told
from saga_fsm.runner.commands import Alert, Command, Leg, TimerKey
from saga_fsm.runner.facts import KINDS, Facts
from saga_fsm.runner.outcome import Outcome
from saga_fsm.runner.owed import asked_after, owed, waits
from saga_fsm.runner.recovery import again, fold


_WELL = {"call": "done", "compensate": "compensated", "query": "landed"}
_LABELS = {True: "yes", False: "no"}
#: Is given what a call was, its path and its answer.
Admit: TypeAlias = Callable[[str, str, Any], None]


class Driver:
    """
    One run: told what happened, it says what to write down and then what to do.

    Args:
        saga: the definition.
        input: the saga's input.
        run_id: the run's id, the first part of every key.
        services: given to every step as ``ctx.services``.
        answers: outcomes of pending steps, by path, where nobody delivers.
        luck: a function that gives a float in [0, 1), for jitter.
        keeps: whether anybody wants the entries; without a journal none are made.
        admit: raises where an answer could not be kept: such a one is no answer.
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
        keeps: bool = True,
        admit: Admit | None = None,
    ) -> None:
        machine = compile_saga(saga)
        self.layout = lay_out(saga)
        self.facts = Facts(
            saga,
            machine=machine,
            layout=self.layout,
            input=input,
            run_id=run_id,
            services=services,
        )
        self.calls = Calls(self.facts, answers, luck)
        self.machine = machine
        self.run_id = run_id
        self.keeps = keeps
        self.admit = admit
        self.resting = False
        self._ignored: dict[str, int] = {}

    # ------------------------------------------------------------------ being told

    def start(self, now: float) -> tuple[list[Entry], list[Command]]:
        """Begin: the first entry holds what must be the same when the run is taken up again."""
        header = None
        if self.keeps:
            header = {
                "saga": self.facts.saga.name,
                "fingerprint": self.machine.fingerprint,
                "input": self.facts.input,
            }
        return self._feed([(self.machine.event("start"), header)], now, [])

    def recover(self, entries: Iterable[Entry], now: float) -> tuple[list[Entry], list[Command]]:
        """
        Fold a journal and go on: what is owed is asked for again (machine.md 4).

        Waits go on where they were: a pause, a back-off, a deadline and the time of a pending
        answer count from when they began, not from now.

        Raises:
            RunConflictError: the journal is that of another saga, machine or input.
        """
        recoveries = fold(self.facts, entries)
        self.resting = self.facts.state.status.resting
        if self.resting:
            return [], []
        todo: list[Told] = []
        commands: list[Command] = []
        for effect in self.machine.owed(self.facts.state):
            again(self.facts, self.calls, recoveries, effect, now, todo, commands)
        written, then = self._feed(todo, now, commands)
        return [Entry("#recovered", now), *written], then

    def recall(self, entries: Iterable[Entry]) -> None:
        """
        Fold a journal, only to say how the run stands.

        Raises:
            RunConflictError: the journal is that of another saga, machine or input.
        """
        fold(self.facts, entries)
        self.resting = self.facts.state.status.resting

    def heard(self, event: str, now: float, data: Any = None) -> tuple[list[Entry], list[Command]]:
        """An event from outside: cancel."""
        return ([], []) if self.resting else self._feed([(self.machine.read(event), data)], now, [])

    def ordered(self, event: str, now: float, data: Any) -> tuple[list[Entry], list[Command]]:
        """
        An operator's word: ``retry(step)`` or ``resolve(step,as)``.

        Raises:
            NoTransitionError: it cannot be true in this state; nothing was written.
        """
        state = self.facts.state
        if not self.machine.knows(event) or self.machine.step(state, event).ignored is not None:
            path = event.partition("(")[2].removesuffix(")").partition(",")[0]
            raise NoTransitionError(
                saga=self.machine.name,
                state=str(state),
                event=event,
                accepted=tuple(map(str, self.machine.accepts(state))),
                run_id=self.run_id,
                after=waits(self.machine, state).get(path, ()),
            )
        return self._feed([(self.machine.read(event), data)], now, [])

    def returned(self, leg: Leg, value: Any, now: float) -> tuple[list[Entry], list[Command]]:
        """A call came back with a value."""
        kind, path, attempt = leg
        if leg not in self.facts.flight:
            return self._stale(leg, value, now)
        if value is PENDING and kind == "call":
            return self._now_pending(path, attempt, now)
        if self.admit is not None and kind != "compensate":
            try:
                # What is kept of items is a list of them, whatever they came in.
                value = list(value) if kind == "expand" else value
                self.admit(kind, path, value)
            except Exception as error:  # noqa: BLE001 - the user's types and codec
                return self._unkept(leg, error, now)
        well = _WELL.get(kind)
        if well is None:
            return self._settled(leg, *self._decision(path, value), now)
        # What an undo returns is nobody's result.
        data = None if kind == "compensate" else value
        return self._settled(leg, self.machine.event(well, path), data, now)

    def raised(
        self, leg: Leg, error: BaseException, now: float
    ) -> tuple[list[Entry], list[Command]]:
        """A call raised, or its time was up (R2)."""
        kind, path, attempt = leg
        if leg not in self.facts.flight:
            return self._stale(leg, error, now)
        if kind in {"decide", "expand"}:
            return self._settled(leg, self.machine.event("chooser_failed", path), error, now)
        name = outcome_of(kind, self.layout.steps.get(path), error)
        if kind == "call" and name == "unknown":
            self.facts.doubted.add((path, attempt))
        return self._settled(leg, self.machine.event(name, path), error, now)

    def _unkept(self, leg: Leg, error: Exception, now: float) -> tuple[list[Entry], list[Command]]:
        """An effect may have landed whose result would be lost at a restart: that is unknown."""
        kind, path, attempt = leg
        if kind in {"decide", "expand"}:
            return self._settled(leg, self.machine.event("chooser_failed", path), error, now)
        if kind == "call":
            self.facts.doubted.add((path, attempt))
        entries, commands = self._settled(leg, self.machine.event("unknown", path), error, now)
        return entries, [Alert(f"a result that cannot be kept: {error}"), *commands]

    def woke(self, key: TimerKey, now: float) -> tuple[list[Entry], list[Command]]:
        """A timer rang."""
        what, path = key
        if what == "deadline":
            scope = path.removesuffix("@stop").removesuffix("/")
            return self._feed([(self.machine.event("deadline", scope), None)], now, [])
        if what == "retry":
            return self._feed([(self.machine.event("retry", path), None)], now, [])
        kind = "call" if what == "pause" else what
        leg = self.facts.latest(kind, path)
        if what == "pause":
            return self.returned(leg, None, now)
        return self.raised(leg, TimeoutError(f"no answer from {path} in time"), now)

    # ------------------------------------------------------------------ deciding

    def _decision(self, path: str, value: Any) -> tuple[Event, Any]:
        event = self.machine.event
        placed = self.layout.decisions[path]
        if isinstance(placed, PlacedEach):
            try:
                items = list(value)
            except Exception as error:  # noqa: BLE001 - the user's iterator: a failure of the block
                return event("chooser_failed", path), error
            if len(items) > len(placed.body):
                return event("chooser_failed", path), ValueError(
                    f"{len(items)} items for '{path}', at most {len(placed.body)} are allowed"
                )
            return event("items", path, str(len(items))), items
        if path.endswith("/@given"):
            return event("chose", path, "given"), value
        label = _LABELS[value] if isinstance(value, bool) else value
        known = isinstance(label, str) and label in placed.labels
        return event("chose", path, label if known else "otherwise"), None

    def _settled(
        self, leg: Leg, event: Event, data: Any, now: float
    ) -> tuple[list[Entry], list[Command]]:
        calls, facts = self.calls, self.facts
        del facts.flight[leg]
        commands: list[Command] = []
        if calls.timed or calls.waits:
            kind, path, _ = leg
            facts.pending.pop(path, None)
            commands = calls.over(kind, path)
        return self._feed([(event, data)], now, commands)

    def _now_pending(
        self, path: str, attempt: int, now: float
    ) -> tuple[list[Entry], list[Command]]:
        facts = self.facts
        facts.pending[path] = attempt
        since = facts.flight["call", path, attempt]
        commands = self.calls.answer(self.layout.steps[path], attempt, since)
        entries, then = self._feed([], now, commands)
        return [Entry(f"#pending({path})", now), *entries], then

    def _stale(self, leg: Leg, value: Any, now: float) -> tuple[list[Entry], list[Command]]:
        """An attempt that is decided already (R11): late news of an effect may be an alarm."""
        kind, path, attempt = leg
        late = self.machine.event("late_done", path)
        answered = kind == "call" and not isinstance(value, BaseException) and value is not PENDING
        if answered and (path, attempt) in self.facts.doubted and self.machine.knows(late):
            return self._feed([(late, value)], now, [])
        # The first of a kind is recorded, further ones are counted.
        count = self._ignored[path] = self._ignored.get(path, 0) + 1
        return ([Entry(f"#ignored({kind} {path} {attempt})", now)] if count == 1 else []), []

    def _feed(
        self, todo: list[Told], now: float, commands: list[Command]
    ) -> tuple[list[Entry], list[Command]]:
        """Let the machine decide on events, one after the other; what follows follows."""
        facts, calls = self.facts, self.calls
        entries: list[Entry] = []
        ended = self.resting
        while todo or (calls.waits and self._end_waits(todo, commands)):
            event, data = todo.pop(0)
            if self.keeps:
                entries.append(Entry(str(event), now, data))
            for effect in facts.learn(event, data).effects:
                kind = KINDS.get(effect.__class__)
                if kind is not None:
                    leg = facts.owe(kind, effect.target, now)  # type: ignore[union-attr]
                    calls.make(leg, now, todo, commands)
                elif effect.__class__ is Finished:
                    ended = True
                else:
                    calls.of(effect, now, todo, commands)
                    if effect.__class__ is Refused:
                        entries.append(Entry(f"#alert({event})", now))
        if ended:
            self._rest(now, entries, commands)
        while calls.endless:
            path, attempt = calls.endless.pop()
            self._alert(
                f"attempt({path})", f"attempt {attempt} of '{path}'", now, entries, commands
            )
        return entries, commands

    def _rest(self, now: float, entries: list[Entry], commands: list[Command]) -> None:
        status = self.facts.state.status
        self.resting = status.resting
        if status is Status.STUCK:
            after = waits(self.machine, self.facts.state)
            told = ", ".join(
                f"{what} '{path}'{asked_after(after.get(path, ()))}"
                for path, what in owed(self.machine, self.facts.state).items()
            )
            more = {"after": {path: list(paths) for path, paths in after.items()}} if after else {}
            self._alert("stuck", f"stuck: {told}", now, entries, commands, **more)

    def _alert(
        self,
        name: str,
        told: str,
        now: float,
        entries: list[Entry],
        commands: list[Command],
        **more: Any,
    ) -> None:
        """Tell people, in the journal too."""
        if self.keeps:
            entries.append(Entry(f"#alert({name})", now, {"message": told, **more}))
        commands.append(Alert(told))

    def _end_waits(self, todo: list[Told], commands: list[Command]) -> bool:
        """Pending answers and pauses of a scope that turns back: their time is up."""
        facts = self.facts
        for path in sorted(self.calls.waits):
            placed = self.layout.steps[path]
            lasting = placed.kind in {Kind.PIVOT, Kind.RETRIABLE}
            if lasting or facts.state[placed.scope] in {"running", "committed"}:
                continue
            leg = facts.latest("call", path)
            del facts.flight[leg]
            facts.doubted.add((path, leg[2]))
            facts.pending.pop(path, None)
            commands.extend(self.calls.over("call", path))
            todo.append((self.machine.event("unknown", path), None))
        return bool(todo)

    def outcome(self) -> Outcome[Any]:
        """How it stands."""
        facts, cause = self.facts, self.facts.cause
        status = facts.state.status
        unresolved: dict[str, str] = {}
        if status is Status.STUCK:
            unresolved = owed(self.machine, facts.state)
            cause = facts.why_stuck(unresolved)
        return Outcome(
            self.run_id,
            status,
            dict(facts.results),
            tuple(facts.events),
            cause,
            unresolved,
            self.layout,
            self.machine,
        )


def outcome_of(kind: str, placed: PlacedStep | None, error: BaseException) -> str:
    """
    What an exception says of a call (R2): rejected, absent, transient, or else unknown.

    An undo has no rejection. A predicate of the user's that raises has not spoken.
    """
    if isinstance(error, Transient):
        return "transient"
    if kind == "compensate":
        return "unknown"
    rejects = None if placed is None else placed.rejects
    transient = None if placed is None else placed.transient
    if isinstance(error, Rejected) or _says(rejects, error):
        return "absent" if kind == "query" else "rejected"
    return "transient" if _says(transient, error) else "unknown"


def _says(predicate: Callable[[BaseException], bool] | None, error: BaseException) -> bool:
    if predicate is None or not isinstance(error, Exception):
        return False
    try:
        return bool(predicate(error))
    except Exception:  # noqa: BLE001 - the outcome is unknown then, and the run goes on
        return False
