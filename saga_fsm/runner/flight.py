"""
One run in flight at an orchestrator.

It hears and decides at once, and does nothing before its entries are stored: they wait for the next
commit, which other runs share, and so do the calls that they allow.
"""

from __future__ import annotations

import logging
import time
from asyncio import CancelledError
from collections.abc import Callable, Sequence
from typing import Any

from saga_fsm.definition import Rejected
from saga_fsm.errors import NoTransitionError
from saga_fsm.machine import Refused, Status
from saga_fsm.ports import Append, Birth, Clock, Entry, Word
from saga_fsm.runner.commands import Command, Invoke, Leg, TimerKey, Wake
from saga_fsm.runner.driver import Driver
from saga_fsm.runner.owed import owed
from saga_fsm.runner.roster import Part
from saga_fsm.runner.shell import Shell


logger = logging.getLogger("saga_fsm")

_UNKNOWN = frozenset({"unknown", "chooser_failed"})


class Flight(Shell):
    """
    A run, what it has to write, and what it may do once that is written.

    Args:
        part: its saga.
        driver: of the run.
        clock: time.
        fence: what its appends carry.
        changed: told each time that there is something to write.
    """

    def __init__(
        self, part: Part, driver: Driver, clock: Clock, fence: int, changed: Callable[[Any], None]
    ) -> None:
        super().__init__(driver, None, clock, None)
        self.part = part
        self.fence = fence
        self.run_id = driver.run_id
        self.birth: Birth | None = None
        self.fingerprint = ""  # of the machine under which it goes on, where that is another
        self.answers: dict[int, str] = {}
        self.heard: set[int] = set()  # words from outside, by number
        self.unwritten: list[Entry] = []
        self.held: list[Command] = []
        # What waits for the append that is on its way.
        self.allowed: list[Command] = []
        # Calls on a worker's thread that may outlive their time; those that have.
        self.threads: dict[TimerKey, Leg] = {}
        self.lost: set[Leg] = set()
        # Whether there is something to write; how many appends were made; if one is on its way.
        self.dirty = False
        self.appends = 0
        self.writing = False
        self.moved = 0.0  # by the monotonic clock
        # It is not ours any more; it is to be given back; those who wait know that it rests;
        # ``on_rest`` has been called, and before that, is being called.
        self.gone = self.released = self.told = self.announced = self.announcing = False
        # Words that were said before it was taken are not heard yet: it is not given up before.
        self.deaf = False
        self.turns = 0  # how often it has moved: ``on_rest`` is told of one rest, and not the next
        self._changed = changed
        self._timers: list[tuple[TimerKey, float]] = []

    # ------------------------------------------------------------------ hearing

    def begin(self) -> None:
        """Start."""
        self.take(self.driver.start(self.clock.now()))

    def resume(self, entries: Sequence[Entry]) -> None:
        """Take the run up from its entries as they are stored."""
        self.written = len(entries) - len(self.unwritten)
        entries = self.part.recalled(self.driver, entries)
        self.take(self.driver.recover(entries, self.clock.now()))

    def go_on(self, note: Entry, entries: Sequence[Entry]) -> None:
        """Take the run up under a new version: a note says so, before anything else is written."""
        self.fingerprint = self.driver.machine.fingerprint
        self.unwritten.append(note)
        self.resume([*entries, note])

    def take(self, told: tuple[list[Entry], list[Command]]) -> None:
        """Keep for the next commit; timers are nobody else's business and are set at once."""
        entries, commands = told
        if entries:
            self.unwritten += self.part.written(entries)
            self.released = False
            # A note moves nothing: of the same rest nobody is told twice.
            if not all(entry.event.startswith("#") for entry in entries):
                self.announced = self.announcing = False
                self.turns += 1
        for command in commands:
            if isinstance(command, Wake):
                self.carry_out([command])
                if command.at is not None:
                    self._timers.append((command.key, command.at))
            else:
                self.held.append(command)
        if entries or commands:
            self.mark()

    def refuse(self, word: Word, why: str) -> None:
        """Keep, in the run and for people, that a word from outside cannot be true."""
        kind, _, rest = word.word.partition("(")
        step = rest[:-1].partition(",")[0]
        data = {"word": word.word, "by": word.by, "note": word.note, "why": why}
        event = f"#refused({kind} {step})" if step else f"#refused({kind})"
        self.unwritten += self.part.written([Entry(event, self.clock.now(), data)])
        who = f" by {word.by}" if word.by else ""
        extra = {"run_id": self.run_id, "saga": self.driver.machine.name}
        logger.warning("run %s: %s%s is refused: %s", self.run_id, word.word, who, why, extra=extra)

    def mark(self) -> None:
        """There is something to write."""
        if not self.dirty:
            self.dirty = True
            self._changed(self)

    def settle(self, leg: Leg, value: Any, error: BaseException | None) -> None:
        """Let the driver decide what an answer means; people hear what an unknown outcome was."""
        events = self.driver.facts.events
        before = len(events)
        super().settle(leg, value, error)
        # The first event is that of the answer; none came of one that was decided before.
        if isinstance(error, Exception | CancelledError) and len(events) > before:
            if events[before].kind not in _UNKNOWN:
                return
            kind, path, attempt = leg
            logger.warning(
                "run %s: attempt %d to %s '%s' raised what it has not declared: unknown",
                self.run_id,
                attempt,
                kind,
                path,
                exc_info=error,
                extra={"run_id": self.run_id, "saga": self.driver.machine.name, "step": path},
            )

    def interrupted(self, error: BaseException) -> None:
        """An action has raised what ends programs: the outcome is unknown, and this one goes on."""
        logger.error(
            "run %s: a step raised %s; its outcome is unknown, and the orchestrator goes on",
            self.run_id,
            type(error).__name__,
            extra={"run_id": self.run_id, "saga": self.driver.machine.name},
        )

    # ------------------------------------------------------------------ deciding

    def decide(self, word: str, data: Any, by: str, note: str) -> bool:
        """
        Act on a word from outside.

        Returns:
            Whether it changed anything: not where it was decided before.

        Raises:
            SagaError: it cannot be true in this state; nothing was written.
        """
        kind, _, rest = word.partition("(")
        told = {"by": by, "note": note}
        if kind == "cancel":
            return self._cancel(told)
        if kind in {"deliver", "reject"}:
            error = Rejected(str(data or note)) if kind == "reject" else None
            return self._deliver(rest[:-1], data, error, told)
        now = self.clock.now()
        if kind == "retry" and not rest:
            return self._retry_all(told)
        self.take(self.driver.ordered(word, now, told))
        return True

    def _cancel(self, told: dict[str, str]) -> bool:
        machine, state = self.driver.machine, self.driver.facts.state
        move = machine.step(state, "cancel")
        if move.ignored is not None or any(isinstance(one, Refused) for one in move.effects):
            return False
        self.take(self.driver.heard("cancel", self.clock.now(), told))
        return True

    def _retry_all(self, told: dict[str, str]) -> bool:
        """Everything that is owed, where asking again may help."""
        driver = self.driver
        again = [
            event
            for path in driver.machine.unresolved(driver.facts.state)
            if driver.machine.knows(event := f"retry({path})")
            and driver.machine.step(driver.facts.state, event).ignored is None
        ]
        for event in again:
            self.take(driver.ordered(event, self.clock.now(), told))
        return bool(again)

    def _deliver(self, path: str, data: Any, error: Exception | None, told: Any) -> bool:
        driver = self.driver
        leg = driver.facts.latest("call", path)
        open_ = leg in driver.facts.flight
        if not open_ and not driver.facts.attempts.get(("call", path)):
            raise NoTransitionError(
                saga=driver.machine.name,
                state=str(driver.facts.state),
                event=f"done({path})",
                accepted=tuple(map(str, driver.machine.accepts(driver.facts.state))),
                run_id=self.run_id,
            )
        if open_ and error is None and driver.admit is not None:
            # Who forgot the result shall give it: for the run nothing has been said.
            driver.admit("call", path, data)
        now = self.clock.now()
        if told["by"] or told["note"]:
            data_of = {"by": told["by"], "note": told["note"], "step": path}
            note = "#delivered" if error is None else "#rejected"
            self.take(([Entry(f"{note}({path})", now, data_of)], []))
        if error is not None:
            self.take(driver.raised(leg, error, now))
        else:
            self.take(driver.returned(leg, data, now))
        return open_

    # ------------------------------------------------------------------ writing

    def append(self, owner: str, due: float | None) -> Append:
        """
        What is to be written, and whose the run is from then on; what comes later is the next one.

        Args:
            owner: who has it; empty gives it up.
            due: of one that is given up, when it has to be taken up again.
        """
        driver = self.driver
        status = driver.facts.state.status
        unresolved: dict[str, str] = {}
        if status is Status.STUCK:
            unresolved = owed(driver.machine, driver.facts.state)
        append = Append(
            self.run_id,
            self.unwritten,
            self.written,
            self.fence,
            status,
            unresolved,
            tuple(driver.facts.pending),
            self.birth,
            owner,
            due,
            self.answers,
            self.fingerprint,
        )
        self.unwritten, self.answers, self.fingerprint = [], {}, ""
        self.allowed, self.held = self.held, []
        self.dirty, self.writing = False, True
        self.appends += 1
        return append

    def stand(self, append: Append) -> list[Invoke]:
        """What was to be written is: the calls that it allows."""
        self.written += len(append.entries)
        self.birth, self.writing = None, False
        self.moved = time.monotonic()
        allowed, self.allowed = self.allowed, []
        self.carry_out(allowed)
        calls, self.calls = self.calls, []
        return calls

    def new_timers(self) -> list[tuple[TimerKey, float]]:
        """Those that were set since this was last asked."""
        timers, self._timers = self._timers, []
        return timers

    def unmade(self, calls: Sequence[Invoke]) -> None:
        """Note that these calls were allowed and surely not made: who takes the run up may."""
        now = self.clock.now()
        notes = [Entry(f"#unmade({' '.join(call.leg[:2])})", now) for call in calls]
        self.take((notes, []))

    @property
    def idle(self) -> bool:
        """Whether nothing is under way: only time, or a word from outside, moves the run."""
        return not (self.flying or self.dirty or self.writing or self.calls)

    def next_due(self) -> float | None:
        """When somebody has to take it up again: when the next timer rings."""
        return min(self.timers.values()) if self.timers else None
