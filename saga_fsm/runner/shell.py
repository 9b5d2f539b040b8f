"""What both shells do: journal first, keep timers, hear answers and interrupts."""

from __future__ import annotations

import asyncio
import inspect
import logging
import queue
import time
from collections.abc import Awaitable, Callable
from typing import Any

from saga_fsm.errors import SagaError
from saga_fsm.ports import Clock, Entry, Journal
from saga_fsm.runner.driver import Command, Driver, Invoke, Leg, TimerKey, Wake
from saga_fsm.runner.outcome import Outcome


logger = logging.getLogger("saga_fsm")


class SystemClock:
    """The time of this machine."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

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
        try:
            return await asyncio.wait_for(get(), seconds)
        except TimeoutError:
            return None


def call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call an action, sync or async, to its end."""
    value = function(*arguments)
    if inspect.isawaitable(value):

        async def finish() -> Any:
            return await value

        return asyncio.run(finish())
    return value


class Shell:
    """The part of a run that needs a journal and a clock, but neither threads nor tasks."""

    def __init__(self, driver: Driver, journal: Journal | None, clock: Clock) -> None:
        self.driver = driver
        self.journal = journal
        self.clock = clock
        self.written = 0
        self.timers: dict[TimerKey, float] = {}
        self.calls: list[Invoke] = []
        self.flying = 0
        self.interrupt: BaseException | None = None

    def open(self) -> None:
        """Start the run, or take it up from its journal."""
        now = self.clock.now()
        entries = self.journal.read(self.driver.run_id) if self.journal is not None else ()
        if entries:
            self.written = len(entries)
            self.take(self.driver.recover(entries, now))
        else:
            self.take(self.driver.start(now))

    def closed(self) -> Outcome[Any]:
        """The outcome, unless the run was interrupted: then that is raised, once all is undone."""
        if self.interrupt is not None:
            raise self.interrupt
        return self.driver.outcome()

    def until_due(self) -> float | None:
        """Seconds to the next timer; None when there is none and an answer will come."""
        due = min(self.timers.values(), default=None)
        if due is not None:
            return max(0.0, due - self.clock.now())
        if self.flying:
            return None
        waiting = ", ".join(f"'{path}'" for path in self.driver.pending)
        raise SagaError(
            f"run '{self.driver.run_id}' waits for {waiting}, and nobody can answer here\n"
            "  Give answers={step: function of ctx}, or the step a timeout."
        )

    def answered(self, leg: Leg, value: Any, error: BaseException | None) -> None:
        """A call that was in flight has ended."""
        self.flying -= 1
        self.settle(leg, value, error)

    def settle(self, leg: Leg, value: Any, error: BaseException | None) -> None:
        """Let the driver decide what an answer means."""
        now = self.clock.now()
        if error is None:
            self.take(self.driver.returned(leg, value, now))
            return
        self.take(self.driver.raised(leg, error, now))
        if not isinstance(error, Exception):
            self.interrupted(error)

    def ring(self) -> None:
        """Let the timers ring whose time has come, earliest first."""
        now = self.clock.now()
        for key, at in sorted(self.timers.items(), key=lambda pair: pair[1]):
            if at <= now and self.timers.pop(key, None) is not None:
                self.take(self.driver.woke(key, now))

    def interrupted(self, error: BaseException) -> None:
        """Compensate first, then re-raise; the second time stop at once."""
        if self.interrupt is not None:
            raise error
        self.interrupt = error
        logger.info("interrupted: going back", extra={"run_id": self.driver.run_id})
        self.take(self.driver.heard("cancel", self.clock.now()))

    def take(self, told: tuple[list[Entry], list[Command]]) -> None:
        """Journal first; only then do anything."""
        entries, commands = told
        if self.journal is not None and entries:
            self.written = self.journal.append(self.driver.run_id, entries, expected=self.written)
        for command in commands:
            if isinstance(command, Invoke):
                self.calls.append(command)
            elif isinstance(command, Wake):
                if command.at is None:
                    self.timers.pop(command.key, None)
                else:
                    self.timers[command.key] = command.at
