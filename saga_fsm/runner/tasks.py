"""The shell for asyncio programs: tasks for async actions, threads for sync ones."""

from __future__ import annotations

import asyncio
import inspect
import random as luck
import threading
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from saga_fsm.definition import Saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.ports import Clock, Journal
from saga_fsm.runner.driver import Driver, Invoke, Leg
from saga_fsm.runner.outcome import Outcome
from saga_fsm.runner.shell import Shell, SystemClock, call


class TaskShell(Shell):
    """One run on the running loop; every call is a task or a thread of its own."""

    def __init__(self, driver: Driver, journal: Journal | None, clock: Clock) -> None:
        super().__init__(driver, journal, clock)
        self.told: asyncio.Queue[tuple[Leg, Any, BaseException | None]] = asyncio.Queue()
        self.tasks: set[asyncio.Task[None]] = set()
        self.loop = asyncio.get_running_loop()

    async def run(self) -> Outcome[Any]:
        """Carry out until the run rests; then re-raise what interrupted it."""
        self.open()
        while not self.driver.state.status.resting:
            try:
                await self._once()
            except asyncio.CancelledError as error:
                # The calls are tasks of their own: they are not cancelled with the waiter.
                self.interrupted(error)
        return self.closed()

    async def _once(self) -> None:
        while self.calls:
            self._begin(self.calls.pop(0))
        wait = self.until_due()
        answer = await self.clock.wait_async(self.told.get, wait, busy=self.flying > 0)
        self.ring()
        if answer is not None:
            self.answered(*answer)

    def _begin(self, invoke: Invoke) -> None:
        self.flying += 1
        if inspect.iscoroutinefunction(invoke.function):
            task = self.loop.create_task(
                self._finish(invoke.leg, invoke.function(*invoke.arguments))
            )
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            return

        def work() -> None:
            try:
                answer = (invoke.leg, call(invoke.function, invoke.arguments), None)
            except BaseException as error:  # noqa: BLE001 - the driver says what it means
                self._tell((invoke.leg, None, error))
            else:
                self._tell(answer)

        threading.Thread(target=work, name=f"saga {invoke.leg[1]}", daemon=True).start()

    async def _finish(self, leg: Leg, awaitable: Awaitable[Any]) -> None:
        try:
            value = await awaitable
        except BaseException as error:  # noqa: BLE001 - the driver says what it means
            self.told.put_nowait((leg, None, error))
        else:
            self.told.put_nowait((leg, value, None))

    def _tell(self, answer: tuple[Leg, Any, BaseException | None]) -> None:
        """From a thread; a loop that has been closed meanwhile wants no news."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.told.put_nowait, answer)


async def arun(  # noqa: PLR0913 - keyword-only options of one run
    saga: Saga[Any, Any, Any],
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
    Run a saga to its rest on the running loop: ``run`` for asyncio, with the same options.

    Async actions are tasks, sync ones run in threads. A cancelled ``arun`` awaits what is in
    flight, compensates, and then raises the same ``CancelledError``; a second cancel stops at once.
    """
    layout = lay_out(saga)
    driver = Driver(
        saga,
        input=input,
        run_id=run_id or uuid.uuid4().hex,
        services=services,
        answers={layout.find(step): answer for step, answer in (answers or {}).items()},
        luck=(random or luck).random,
    )
    return await TaskShell(driver, journal, clock or SystemClock()).run()
