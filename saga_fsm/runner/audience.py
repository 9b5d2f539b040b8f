"""Who watches a run: told of each move after it is written, and never able to change it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from saga_fsm.ports import Observer
from saga_fsm.runner.driver import Driver
from saga_fsm.runner.loop import is_awaitable


logger = logging.getLogger("saga_fsm")


class Audience:
    """
    Tells an observer each move of a run, once and in order.

    The moves are found again from the events: the driver does not know that somebody watches.

    Args:
        observer: who watches.
        driver: of the run.
        later: what is done with an answer that has to be awaited.
    """

    def __init__(
        self, observer: Observer, driver: Driver, later: Callable[[Awaitable[Any]], None]
    ) -> None:
        self._observer = observer
        self._facts = driver.facts
        self._later = later
        self._told = 0
        self._state = driver.machine.initial
        self._extra = {"run_id": driver.run_id, "saga": driver.machine.name}

    def skip(self, moves: int) -> None:
        """Leave out what was told before, when the run was last under way."""
        machine, events = self._facts.machine, self._facts.events
        for event in events[self._told : moves]:
            self._state = machine.step(self._state, event).state
        self._told = moves

    def tell(self) -> None:
        """Tell what is new."""
        machine, events = self._facts.machine, self._facts.events
        while self._told < len(events):
            event, before = events[self._told], self._state
            move = machine.step(before, event)
            self._told, self._state = self._told + 1, move.state
            try:
                answer = self._observer(event, before, move)
                if is_awaitable(answer):
                    self._later(answer)  # type: ignore[arg-type]
            except BaseException as error:  # noqa: BLE001 - the run is not the observer's
                self.missed(error)

    def missed(self, error: BaseException) -> None:
        """Log what the observer has raised."""
        run_id, extra = self._extra["run_id"], self._extra
        logger.error("the observer of run %s raised", run_id, extra=extra, exc_info=error)


def refuse(answer: Awaitable[Any]) -> None:
    """A run without a loop cannot await its observer."""
    _drop(answer)
    raise TypeError(
        "the observer gave something to be awaited, and run() has no loop for it\n"
        "  Use arun, or an observer that is a plain function."
    )


def _drop(answer: Awaitable[Any]) -> None:
    if inspect.iscoroutine(answer):
        answer.close()


class Attendance:
    """
    Awaits what an observer answers, one after the other, beside the run.

    Args:
        missed: called with what an answer raised.
    """

    def __init__(self, missed: Callable[[BaseException], None]) -> None:
        self._missed = missed
        self._answers: deque[Awaitable[Any]] = deque()
        self._task: asyncio.Task[None] | None = None

    def add(self, answer: Awaitable[Any]) -> None:
        """Await this one too, after those before it."""
        self._answers.append(answer)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._attend())

    async def _attend(self) -> None:
        while self._answers:
            try:
                await self._answers.popleft()
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001 - the run is not the observer's
                self._missed(error)

    async def end(self) -> None:
        """Until all are awaited."""
        if self._task is not None:
            await self._task

    def stop(self) -> None:
        """Await no more: the run was stopped at once."""
        if self._task is not None:
            self._task.cancel()
        for answer in self._answers:
            _drop(answer)
