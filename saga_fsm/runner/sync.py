"""The shell for synchronous programs: this thread, and more where calls overlap."""

from __future__ import annotations

import asyncio
import queue
import random as luck
import threading
import uuid
from collections.abc import Callable
from typing import Any

from saga_fsm.definition import Saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.errors import RunningLoopError
from saga_fsm.ports import Clock, Journal
from saga_fsm.runner.driver import Driver, Invoke, Leg
from saga_fsm.runner.outcome import Outcome
from saga_fsm.runner.shell import Shell, SystemClock, call


class ThreadShell(Shell):
    """One run on this thread; calls that may not block it get threads of their own."""

    def __init__(self, driver: Driver, journal: Journal | None, clock: Clock) -> None:
        super().__init__(driver, journal, clock)
        self.told: queue.SimpleQueue[tuple[Leg, Any, BaseException | None]] = queue.SimpleQueue()

    def run(self) -> Outcome[Any]:
        """Carry out until the run rests; then re-raise what interrupted it."""
        self.open()
        while not self.driver.state.status.resting:
            try:
                self._once()
            except KeyboardInterrupt as error:
                self.interrupted(error)
        return self.closed()

    def _once(self) -> None:
        """One thing that happens: a call of our own, an answer, or a timer."""
        if self.calls and not self.flying and self._may_block():
            self._inline(self.calls.pop())
            return
        while self.calls:
            self._thread(self.calls.pop(0))
        wait = self.until_due()
        answer = self.clock.wait(
            lambda seconds: self.told.get(timeout=seconds), wait, busy=self.flying > 0
        )
        self.ring()
        if answer is not None:
            self.answered(*answer)

    def _may_block(self) -> bool:
        """One call, no timeout, and no timer but the deadline, which is heard when it returns."""
        return (
            len(self.calls) == 1
            and self.calls[0].timeout is None
            and all(key[0] == "deadline" for key in self.timers)
        )

    def _inline(self, invoke: Invoke) -> None:
        try:
            value, error = call(invoke.function, invoke.arguments), None
        except BaseException as raised:  # noqa: BLE001 - the driver says what it means
            value, error = None, raised
        self.ring()
        self.settle(invoke.leg, value, error)

    def _thread(self, invoke: Invoke) -> None:
        def work() -> None:
            try:
                value = call(invoke.function, invoke.arguments)
            except BaseException as error:  # noqa: BLE001 - the driver says what it means
                self.told.put((invoke.leg, None, error))
            else:
                self.told.put((invoke.leg, value, None))

        # A daemon: a call that never returns keeps neither the run nor the interpreter.
        self.flying += 1
        threading.Thread(target=work, name=f"saga {invoke.leg[1]}", daemon=True).start()


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
    return ThreadShell(driver, journal, clock or SystemClock()).run()
