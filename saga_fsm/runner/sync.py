"""The shell for synchronous programs: threads, a queue, a clock."""

from __future__ import annotations

import asyncio
import inspect
import logging
import queue
import random as luck
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from saga_fsm.definition import Saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.errors import RunningLoopError, SagaError
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


def call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call an action, sync or async, to its end."""
    value = function(*arguments)
    if inspect.isawaitable(value):

        async def finish() -> Any:
            return await value

        return asyncio.run(finish())
    return value


class Shell:
    """One run on this thread; calls that may not block it get threads of their own."""

    def __init__(self, driver: Driver, journal: Journal | None, clock: Clock) -> None:
        self.driver = driver
        self.journal = journal
        self.clock = clock
        self.written = 0
        self.timers: dict[TimerKey, float] = {}
        self.answers: queue.SimpleQueue[tuple[Leg, Any, BaseException | None]] = queue.SimpleQueue()
        self.calls: list[Invoke] = []
        self.threads = 0
        self.interrupt: BaseException | None = None

    def run(self) -> Outcome[Any]:
        """Carry out until the run rests; then re-raise what interrupted it."""
        self._open()
        while not self.driver.state.status.resting:
            try:
                self._once()
            except KeyboardInterrupt as error:
                self._interrupted(error)
        if self.interrupt is not None:
            raise self.interrupt
        return self.driver.outcome()

    def _open(self) -> None:
        now = self.clock.now()
        entries = self.journal.read(self.driver.run_id) if self.journal is not None else ()
        if entries:
            self.written = len(entries)
            self._take(self.driver.recover(entries, now))
        else:
            self._take(self.driver.start(now))

    def _once(self) -> None:
        """One thing that happens: a call of our own, an answer, or a timer."""
        if self.calls and not self.threads and self._may_block():
            self._inline(self.calls.pop())
            return
        while self.calls:
            self._thread(self.calls.pop(0))
        now = self.clock.now()
        due = min(self.timers.values(), default=None)
        if due is None and not self.threads:
            raise self._nobody_answers()
        wait = None if due is None else max(0.0, due - now)
        answer = self.clock.wait(
            lambda seconds: self.answers.get(timeout=seconds), wait, busy=self.threads > 0
        )
        self._ring()
        if answer is not None:
            self._answered(*answer)

    def _may_block(self) -> bool:
        """One call, no timeout, and no timer but the deadline, which is heard when it returns."""
        return (
            len(self.calls) == 1
            and self.calls[0].timeout is None
            and all(key[0] == "deadline" for key in self.timers)
        )

    def _inline(self, invoke: Invoke) -> None:
        try:
            value = call(invoke.function, invoke.arguments)
        except BaseException as error:  # noqa: BLE001 - the driver says what it means
            self._ring()
            self._take(self.driver.raised(invoke.leg, error, self.clock.now()))
            if not isinstance(error, Exception):
                self._interrupted(error)
        else:
            self._ring()
            self._take(self.driver.returned(invoke.leg, value, self.clock.now()))

    def _thread(self, invoke: Invoke) -> None:
        def work() -> None:
            try:
                value = call(invoke.function, invoke.arguments)
            except BaseException as error:  # noqa: BLE001 - the driver says what it means
                self.answers.put((invoke.leg, None, error))
            else:
                self.answers.put((invoke.leg, value, None))

        # A daemon: a call that never returns keeps neither the run nor the interpreter.
        self.threads += 1
        threading.Thread(target=work, name=f"saga {invoke.leg[1]}", daemon=True).start()

    def _answered(self, leg: Leg, value: Any, error: BaseException | None) -> None:
        self.threads -= 1
        now = self.clock.now()
        if error is None:
            self._take(self.driver.returned(leg, value, now))
            return
        self._take(self.driver.raised(leg, error, now))
        if not isinstance(error, Exception):
            self._interrupted(error)

    def _ring(self) -> None:
        now = self.clock.now()
        for key, at in sorted(self.timers.items(), key=lambda pair: pair[1]):
            if at <= now and self.timers.pop(key, None) is not None:
                self._take(self.driver.woke(key, now))

    def _interrupted(self, error: BaseException) -> None:
        """Compensate first, then re-raise; the second time stop at once."""
        if self.interrupt is not None:
            raise error
        self.interrupt = error
        logger.info("interrupted: going back", extra={"run_id": self.driver.run_id})
        self._take(self.driver.heard("cancel", self.clock.now()))

    def _take(self, told: tuple[list[Entry], list[Command]]) -> None:
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

    def _nobody_answers(self) -> SagaError:
        waiting = ", ".join(f"'{path}'" for path in self.driver.pending)
        return SagaError(
            f"run '{self.driver.run_id}' waits for {waiting}, and nobody can answer here\n"
            "  Give answers={step: function of ctx}, or the step a timeout."
        )


def run(  # noqa: PLR0913 - keyword-only options of one run
    saga: Saga[Any, Any],
    input: Any = None,  # noqa: A002 - the interface's word
    *,
    services: Any = None,
    journal: Journal | None = None,
    run_id: str | None = None,
    clock: Clock | None = None,
    random: luck.Random | None = None,
    answers: dict[Any, Callable[[Any], Any]] | None = None,
) -> Outcome[Any]:
    """
    Run a saga to its rest, in memory.

    A saga that went back cleanly is an outcome, not an exception. Whatever interrupts the run
    (``KeyboardInterrupt``, ``SystemExit``) compensates first and is raised again then; a second
    interrupt stops at once. With ``journal=`` and the ``run_id`` of an interrupted run it goes on
    with that run. Branches run at the same time, on threads. A step whose time is up cannot be
    stopped: it counts as unknown, and its thread keeps nobody.

    Args:
        saga: the definition.
        input: given to every step as ``ctx.input``.
        services: given to every step as ``ctx.services``.
        journal: where entries are kept; None keeps none.
        run_id: the first part of every idempotency key; None makes one.
        clock: time; None is this machine's.
        random: luck for jitter, a ``random.Random``.
        answers: outcomes of pending steps where nobody delivers, by step.

    Raises:
        RunningLoopError: inside a running event loop.
        RunConflictError: the run id exists with another saga or input.
    """
    if asyncio._get_running_loop() is not None:  # noqa: SLF001 - the public way raises
        raise RunningLoopError
    layout = lay_out(saga)
    driver = Driver(
        saga,
        input=input,
        run_id=run_id or uuid.uuid4().hex,
        services=services,
        answers={layout.find(step): answer for step, answer in (answers or {}).items()},
        luck=(random or luck).random,
    )
    return Shell(driver, journal, clock or SystemClock()).run()
