"""The shell for synchronous programs: this thread, and more where calls overlap."""

from __future__ import annotations

import asyncio
import random as chance
from collections.abc import Callable
from typing import Any

from saga_fsm.definition import Saga
from saga_fsm.errors import RunningLoopError
from saga_fsm.ports import Clock, Journal, Observer
from saga_fsm.runner.audience import Audience, refuse
from saga_fsm.runner.crew import Crew
from saga_fsm.runner.driver import Driver
from saga_fsm.runner.interrupts import Interrupts
from saga_fsm.runner.outcome import Outcome
from saga_fsm.runner.shell import Order, Shell, driver_of


class ThreadShell(Shell):
    """One run on this thread; calls that may not block it are given to a crew of others."""

    def __init__(
        self,
        driver: Driver,
        journal: Journal | None,
        clock: Clock | None,
        order: Order | None = None,
    ) -> None:
        super().__init__(driver, journal, clock, order)
        self.interrupts = Interrupts()
        self.crew: Crew | None = None

    def run(self) -> Outcome[Any]:
        """Carry out until the run rests; then re-raise what interrupted it."""
        self.interrupts.begin()
        try:
            self.open()
            while not self.driver.resting:
                self._alone()
                if not self.driver.resting:
                    self._together()
        finally:
            if self.crew is not None:
                self.crew.close()
            self.interrupts.end()
        return self.closed()

    def _alone(self) -> None:
        """Calls on this thread, as long as there is one at a time and it may block."""
        calls, interrupts, returned = self.calls, self.interrupts, self.driver.returned
        now = self.clock.now
        while len(calls) == 1 and not self.flying:
            invoke = calls[0]
            # Only the deadline may wait until a call returns: it is heard then (R9).
            if invoke.timeout is not None or (self.timers and not self._only_deadlines()):
                return
            calls.clear()
            try:
                interrupts.open = True
                value = invoke.function(*invoke.arguments)
                interrupts.open = False
            except BaseException as error:  # noqa: BLE001 - the driver says what it means
                interrupts.open = False
                self.ring()
                self.settle(invoke.leg, None, error)
            else:
                if hasattr(value, "__await__"):
                    self.flying += 1
                    self._hired().await_(invoke.leg, value)
                    return
                if self.timers:
                    self.ring()
                self.take(returned(invoke.leg, value, now()))
            if interrupts.held:
                self._let_through()

    def _only_deadlines(self) -> bool:
        return all(key[0] == "deadline" for key in self.timers)

    def _together(self) -> None:
        """Give calls to the crew, then hear one answer, or a timer."""
        crew = self._hired()
        while self.calls:
            self.flying += 1
            crew.take(self.calls.pop(0))
        self._wait(crew)
        if self.interrupts.held:
            self._let_through()

    def _let_through(self) -> None:
        try:
            self.interrupts.let_through()
        except BaseException as error:  # noqa: BLE001 - whatever the program's own handler raises
            self.interrupted(error)

    def _wait(self, crew: Crew) -> None:
        """Hear one answer; else wait for one until a timer is due."""
        if not crew.told:
            until = self.until_due()
            try:
                self.interrupts.open = True
                self.clock.wait(crew.listen, until, busy=self.flying > 0)
                self.interrupts.open = False
            except Exception:
                raise
            except BaseException as error:  # noqa: BLE001 - an interrupt, whatever its name
                self.interrupted(error)
                return
            finally:
                self.interrupts.open = False
        if crew.told:
            self.answered(*crew.told.popleft())
        self.ring()

    def _hired(self) -> Crew:
        if self.crew is None:
            self.crew = Crew()
        return self.crew


def run(  # noqa: PLR0913 - keyword-only options of one run
    saga: Saga[Any, Any],
    input: Any = None,  # noqa: A002 - the interface's word
    *,
    services: Any = None,
    journal: Journal | None = None,
    run_id: str | None = None,
    clock: Clock | None = None,
    random: chance.Random | None = None,
    answers: dict[Any, Callable[[Any], Any]] | None = None,
    observer: Observer | None = None,
) -> Outcome[Any]:
    """
    Run a saga to its rest, in memory.

    A saga that went back cleanly is an outcome, not an exception. Whatever interrupts the run
    (``KeyboardInterrupt``, ``SystemExit``) compensates first and is raised again then; a second
    interrupt stops at once. With ``journal=`` and the ``run_id`` of an interrupted run it goes on
    with that run. Branches run at the same time, on threads; async actions on a loop of the run's
    own. A step whose time is up cannot be stopped: it counts as unknown, and its thread keeps
    nobody. A deadline stops nothing either: from then on nothing starts, what is in flight is
    awaited and then undone; only a step's own timeout ends the waiting for it.

    Args:
        saga: the definition.
        input: given to every step as ``ctx.input``.
        services: given to every step as ``ctx.services``.
        journal: where entries are kept; None keeps none.
        run_id: the first part of every idempotency key; None makes one.
        clock: time; None is this machine's.
        random: luck for jitter, a ``random.Random``.
        answers: outcomes of pending steps where nobody delivers, by step.
        observer: told of each move, after it is written.

    Raises:
        RunningLoopError: inside a running event loop.
        RunConflictError: the run id exists with another saga or input.
    """
    if asyncio._get_running_loop() is not None:  # noqa: SLF001 - the public way raises
        raise RunningLoopError
    driver = driver_of(
        saga,
        input=input,
        services=services,
        journal=journal,
        run_id=run_id,
        random=random,
        answers=answers,
    )
    shell = ThreadShell(driver, journal, clock)
    if observer is not None:
        shell.audience = Audience(observer, driver, refuse)
    return shell.run()


def operate(  # noqa: PLR0913 - keyword-only options of one run
    saga: Saga[Any, Any],
    event: str,
    *,
    journal: Journal,
    run_id: str,
    by: str = "",
    note: str = "",
    services: Any = None,
    clock: Clock | None = None,
    random: chance.Random | None = None,
    answers: dict[Any, Callable[[Any], Any]] | None = None,
) -> Outcome[Any]:
    """
    Write an operator's word into a stuck run's journal, and go on with the run until it rests.

    Args:
        saga: the definition of the run.
        event: ``retry(charge)`` or ``resolve(charge,compensated)``, ``done``, ``not_landed``.
        journal: where the run is kept.
        run_id: the run.
        by: who says so; kept with the entry.
        note: why; kept with the entry.
        services: given to every step as ``ctx.services``.
        clock: time; None is this machine's.
        random: luck for jitter.
        answers: outcomes of pending steps where nobody delivers, by step.

    Raises:
        NoTransitionError: it cannot be true in the run's state; nothing was written.
        SagaError: there is no such run.
    """
    if asyncio._get_running_loop() is not None:  # noqa: SLF001 - the public way raises
        raise RunningLoopError
    driver = driver_of(
        saga,
        input=None,
        services=services,
        journal=journal,
        run_id=run_id,
        random=random,
        answers=answers,
    )
    return ThreadShell(driver, journal, clock, Order(event, by, note)).run()
