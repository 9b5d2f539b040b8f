"""What both shells do: journal first, keep timers, hear answers and interrupts."""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import random as chance
import time
from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from saga_fsm.definition import Saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.errors import NobodyAnswersError, SagaError
from saga_fsm.ports import Clock, Entry, Journal
from saga_fsm.runner.audience import Audience
from saga_fsm.runner.commands import Alert, Command, Invoke, Leg, TimerKey, Wake
from saga_fsm.runner.driver import Driver
from saga_fsm.runner.kept import kept
from saga_fsm.runner.outcome import Outcome


logger = logging.getLogger("saga_fsm")


class SystemClock:
    """The time of this machine."""

    # Seconds since the epoch; as it is, without a frame around it.
    now = staticmethod(time.time)

    def wait(self, get: Callable[[float | None], Any], seconds: float | None, *, busy: bool) -> Any:  # noqa: ARG002 - a real clock runs by itself
        """Wait for an answer at most so long."""
        try:
            return get(seconds)
        except queue.Empty:
            return None

    async def wait_async(  # the same for a loop
        self,
        get: Callable[[], Awaitable[Any]],
        seconds: float | None,
        *,
        busy: bool,  # noqa: ARG002 - a real clock runs by itself
    ) -> Any:
        """Wait for an answer at most so long, on the running loop."""
        if seconds is None:
            return await get()
        try:
            async with asyncio.timeout(seconds):
                return await get()
        except TimeoutError:
            return None


SYSTEM_CLOCK = SystemClock()


@attrs.frozen
class Order:
    """An operator's word, with who said it and why."""

    event: str
    by: str = ""
    note: str = ""


def driver_of(  # noqa: PLR0913 - keyword-only facts of one run
    saga: Saga[Any, Any, Any],
    *,
    input: Any,  # noqa: A002 - the interface's word
    services: Any,
    journal: Journal | None,
    run_id: str | None,
    random: chance.Random | None,
    answers: dict[Any, Callable[[Any], Any]] | None,
) -> Driver:
    """The driver of one run, with what a shell was given."""
    known: dict[str, Callable[[Any], Any]] = {}
    if answers:
        find = lay_out(saga).find
        known = {find(step): answer for step, answer in answers.items()}
    if journal is not None and not (hasattr(journal, "read") and hasattr(journal, "append")):
        raise TypeError(
            f"journal is {type(journal).__name__}, which is no journal\n"
            "  Give MemoryJournal(), or what has read and append as saga_fsm.ports.Journal says."
        )
    return Driver(
        saga,
        input=input,
        run_id=run_id or os.urandom(16).hex(),
        services=services,
        answers=known,
        luck=(random or chance).random,
        keeps=journal is not None,
    )


class Shell:
    """The part of a run that needs a journal and a clock, but neither threads nor tasks."""

    def __init__(
        self, driver: Driver, journal: Journal | None, clock: Clock | None, order: Order | None
    ) -> None:
        self.driver = driver
        self.clock = clock or SYSTEM_CLOCK
        self.journal: Journal | None = kept(journal, driver, self.clock)
        self.order = order
        self.written = 0
        self.timers: dict[TimerKey, float] = {}
        self.calls: list[Invoke] = []
        self.flying = 0
        self.interrupt: BaseException | None = None
        self.audience: Audience | None = None

    def open(self) -> None:
        """Start the run, or take it up from its journal."""
        now = self.clock.now()
        entries = self.journal.read(self.driver.run_id) if self.journal is not None else ()
        if entries:
            self.written = len(entries)
            told = self.driver.recover(entries, now)
            if self.audience is not None:
                self.audience.skip(sum(not entry.event.startswith("#") for entry in entries))
            self.take(told)
        elif self.order is not None:
            raise SagaError(
                f"there is no run '{self.driver.run_id}' in this journal\n"
                "  An operator decides about a run that was started: check the id and the journal."
            )
        else:
            self.take(self.driver.start(now))
        if self.order is not None:
            data = {"by": self.order.by, "note": self.order.note}
            self.take(self.driver.ordered(self.order.event, now, data))

    def closed(self) -> Outcome[Any]:
        """The outcome, unless the run was interrupted: then that is raised, once all is undone."""
        if self.interrupt is not None:
            raise self.interrupt
        return self.driver.outcome()

    def until_due(self) -> float | None:
        """Seconds to the next timer; None when there is none and an answer will come."""
        if self.timers:
            return max(0.0, min(self.timers.values()) - self.clock.now())
        if self.flying:
            return None
        waiting = tuple(self.driver.facts.pending)
        raise NobodyAnswersError(run_id=self.driver.run_id, waiting=waiting)

    def answered(self, leg: Leg, value: Any, error: BaseException | None) -> None:
        """A call that was in flight has ended; a deadline that came while it was comes first."""
        self.flying -= 1
        if self.timers:
            self.ring("deadline")
        self.settle(leg, value, error)

    def settle(self, leg: Leg, value: Any, error: BaseException | None) -> None:
        """Let the driver decide what an answer means."""
        now = self.clock.now()
        if error is None:
            self.take(self.driver.returned(leg, value, now))
            return
        self.take(self.driver.raised(leg, error, now))
        # A step that cancelled itself has an unknown outcome (R2); nobody has cancelled the run.
        if not isinstance(error, Exception | asyncio.CancelledError):
            self.interrupted(error)

    def ring(self, only: str = "") -> None:
        """Let the timers ring whose time has come, earliest first: all, or those of one sort."""
        if not self.timers:
            return
        now = self.clock.now()
        for key, at in sorted(self.timers.items(), key=lambda pair: pair[1]):
            # What an earlier one set anew, or took back, does not ring.
            if at <= now and self.timers.get(key) == at and only in {"", key[0]}:
                del self.timers[key]
                self.take(self.driver.woke(key, now))

    def interrupted(self, error: BaseException) -> None:
        """Compensate first, then re-raise; the second time stop at once."""
        if self.interrupt is not None:
            raise error
        self.interrupt = error
        logger.info("interrupted: going back", extra={"run_id": self.driver.run_id})
        self.take(self.driver.heard("cancel", self.clock.now()))

    def write(self, entries: list[Entry]) -> None:
        """Append; whoever else has written in the meantime owns the run, and this raises."""
        if self.journal is not None:
            self.written = self.journal.append(self.driver.run_id, entries, expected=self.written)

    def take(self, told: tuple[list[Entry], list[Command]]) -> None:
        """Journal first; only then do anything."""
        entries, commands = told
        if entries:
            self.write(entries)
        self.carry_out(commands)
        if self.audience is not None:
            self.audience.tell()

    def carry_out(self, commands: list[Command]) -> None:
        """What may be done, now that it is written."""
        for command in commands:
            if command.__class__ is Invoke:
                self.calls.append(command)  # pyright: ignore[reportArgumentType] - by its class
            elif isinstance(command, Wake):
                if command.at is None:
                    self.timers.pop(command.key, None)
                else:
                    self.timers[command.key] = command.at
            elif isinstance(command, Alert):
                self.alert(command)

    def alert(self, command: Alert) -> None:
        """Tell people."""
        extra = {"run_id": self.driver.run_id, "saga": self.driver.machine.name}
        logger.warning("run %s: %s", self.driver.run_id, command.message, extra=extra)
