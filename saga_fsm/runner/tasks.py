"""The shell for asyncio programs: tasks for async actions, threads for sync ones."""

from __future__ import annotations

import asyncio
import contextvars
import random as chance
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from saga_fsm.definition import Saga
from saga_fsm.ports import Clock, Journal, Observer
from saga_fsm.runner.audience import Attendance, Audience
from saga_fsm.runner.commands import Invoke, Leg
from saga_fsm.runner.driver import Driver
from saga_fsm.runner.loop import is_async, is_awaitable
from saga_fsm.runner.outcome import Outcome
from saga_fsm.runner.shell import Shell, driver_of


class TaskShell(Shell):
    """One run on the running loop; every call is a task or a thread of its own."""

    def __init__(self, driver: Driver, journal: Journal | None, clock: Clock | None) -> None:
        super().__init__(driver, journal, clock, None)
        self.told: deque[tuple[Leg, Any, BaseException | None]] = deque()
        self.tasks: set[asyncio.Task[None]] = set()
        self.loop = asyncio.get_running_loop()
        self.waiter: asyncio.Future[None] | None = None
        self.broken: Exception | None = None
        # Whether a task has changed what the run waits for: its timers, its calls, its end.
        self.news = False
        self.stopped = False
        self.attendance: Attendance | None = None

    def watched(self, observer: Observer) -> None:
        """Somebody wants to be told of each move."""
        self.audience = Audience(observer, self.driver, self._later)
        self.attendance = Attendance(self.audience.missed)

    def _later(self, answer: Awaitable[Any]) -> None:
        assert self.attendance is not None  # noqa: S101 - made with the audience
        self.attendance.add(answer)

    async def run(self) -> Outcome[Any]:
        """Carry out until the run rests; then re-raise what interrupted it."""
        try:
            self.open()
            while not self.driver.resting:
                await self._once()
            if self.attendance is not None:
                await self.attendance.end()
        finally:
            self.stopped = True
            if self.attendance is not None:
                self.attendance.stop()
        return self.closed()

    async def _once(self) -> None:
        """Begin what is to be called, then hear one answer, or a timer."""
        self.news = False
        while self.calls:
            self._begin(self.calls.pop(0))
        if not self.told:
            until = self.until_due()
            try:
                await self.clock.wait_async(self._listen, until, busy=self.flying > 0)
            except asyncio.CancelledError as error:
                # The calls are tasks of their own: they are not cancelled with the waiter.
                self.interrupted(error)
                return
        if self.broken is not None:
            raise self.broken
        if self.told:
            self.answered(*self.told.popleft())
        self.ring()

    async def _listen(self) -> bool:
        """Until something was told; it stays in the deque, where no cancellation can lose it."""
        if not (self.told or self.calls or self.news):
            self.waiter = self.loop.create_future()
            await self.waiter
        return True

    def _tell(self, leg: Leg, value: Any, error: BaseException | None) -> None:
        self.told.append((leg, value, error))
        self._wake()

    def _wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def _begin(self, invoke: Invoke) -> None:
        self.flying += 1
        if is_async(invoke.function):
            self._task(invoke.leg, invoke.function, invoke.arguments)
            return

        def work() -> None:
            try:
                value = invoke.function(*invoke.arguments)
            except BaseException as error:  # noqa: BLE001 - the driver says what it means
                self._from_thread(self._tell, invoke.leg, None, error)
                return
            if is_awaitable(value):
                self._from_thread(self._task, invoke.leg, _same, (value,))
            else:
                self._from_thread(self._tell, invoke.leg, value, None)

        context = contextvars.copy_context()
        name = f"saga {invoke.leg[1]}"
        threading.Thread(target=context.run, args=(work,), name=name, daemon=True).start()

    def _task(
        self, leg: Leg, function: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...]
    ) -> None:
        task = self.loop.create_task(self._finish(leg, function, arguments))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _finish(
        self, leg: Leg, function: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...]
    ) -> None:
        """Await a call; and, as long as one async call follows another, those too: a task less."""
        while True:
            error: BaseException | None = None
            try:
                value = await function(*arguments)
            except BaseException as raised:  # noqa: BLE001 - the driver says what it means
                value, error = None, raised
            # What was told before comes first; who was stopped starts nothing more; and a task
            # that was cancelled, or is to end the program, goes no further.
            if self.told or self.stopped or not (error is None or isinstance(error, Exception)):
                self._tell(leg, value, error)
                return
            invoke = self._next(leg, value, error)
            if invoke is None:
                return
            leg, function, arguments = invoke.leg, invoke.function, invoke.arguments

    def _next(self, leg: Leg, value: Any, error: Exception | None) -> Invoke | None:
        """The one async call that follows this one; ``run`` hears of everything else."""
        timers = self.timers.copy()
        try:
            self.answered(leg, value, error)
        except Exception as broken:  # noqa: BLE001 - the run ends with it, not only this task
            self.broken = broken
        calls = self.calls
        follows = len(calls) == 1 and self.broken is None and is_async(calls[0].function)
        invoke = calls.pop() if follows else None
        self.flying += follows
        if invoke is None or self.timers != timers:
            self.news = True
            self._wake()
        return invoke

    def _from_thread(self, function: Callable[..., None], *arguments: Any) -> None:
        """A loop that has been closed meanwhile wants no news."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(function, *arguments)


def _same(value: Any) -> Any:
    return value


async def arun(  # noqa: PLR0913 - keyword-only options of one run
    saga: Saga[Any, Any, Any],
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
    Run a saga to its rest on the running loop: ``run`` for asyncio, with the same options.

    Async actions are tasks, sync ones run in threads. A deadline cancels none: what is in flight is
    awaited, until its own timeout, and then undone. A cancelled ``arun`` awaits what is in
    flight, compensates, and then raises the same ``CancelledError``; a second cancel stops at once.
    """
    driver = driver_of(
        saga,
        input=input,
        services=services,
        journal=journal,
        run_id=run_id,
        random=random,
        answers=answers,
    )
    shell = TaskShell(driver, journal, clock)
    if observer is not None:
        shell.watched(observer)
    return await shell.run()
