"""Many runs at once, kept in a journal: for programs with an event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Self, TypeVar

from saga_fsm.errors import DecisionPendingError, MachineChangedError, SagaError
from saga_fsm.machine import Status
from saga_fsm.ports import Run
from saga_fsm.runner.front import GRACE, AnySaga, Front
from saga_fsm.runner.loop import Tell
from saga_fsm.runner.outcome import Outcome


R = TypeVar("R")


class HostLoop:
    """The caller's own loop: async steps are tasks there."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def join(self) -> asyncio.AbstractEventLoop:
        """Remember the running loop: steps that are async run there."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError(
                "an AsyncOrchestrator belongs to the loop in which it was first used\n"
                "  Make one for each loop; they may share a journal."
            )
        return loop

    def begin(self, call: Callable[[], Any], tell: Tell) -> None:
        """Call and await there, and tell how it ended."""
        assert self._loop is not None  # noqa: S101 - nothing runs before it was joined
        try:
            self._loop.call_soon_threadsafe(self._begin, call, tell)
        except RuntimeError as error:  # the loop is closed
            tell(None, error)

    def _begin(self, call: Callable[[], Any], tell: Tell) -> None:
        task = asyncio.get_running_loop().create_task(_finish(call, tell))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Nothing: the loop is the caller's."""


async def _finish(call: Callable[[], Any], tell: Tell) -> None:
    try:
        value = await call()
    except BaseException as error:  # noqa: BLE001 - the driver says what it means
        tell(None, error)
    else:
        tell(value, None)


class AsyncOrchestrator(Front):
    """
    ``Orchestrator`` for asyncio: the same options and methods, with ``await``.

    Async steps are tasks on the caller's loop, sync ones run on ``workers`` threads; the journal is
    written by a thread of its own, and never by the loop. Cancelling who waits cancels the wait,
    and nothing of the run.

    >>> import asyncio
    >>> from saga_fsm import Saga, pivot
    >>> from saga_fsm.journals.memory import MemoryJournal
    >>> async def pay(ctx) -> int: return 42
    >>> async def main():
    ...     async with AsyncOrchestrator(payment, journal=MemoryJournal()) as orchestrator:
    ...         return await orchestrator.run(payment, run_id="payment-1")
    >>> payment = Saga("payment", pivot(pay))
    >>> asyncio.run(main()).results
    {'pay': 42}
    """

    _loop: HostLoop

    def _made_loop(self) -> HostLoop:
        return HostLoop()

    async def __aenter__(self) -> Self:
        """Take up what was left."""
        await self._off(self._ready().open)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    async def _off(self, function: Callable[..., R], *arguments: Any, **options: Any) -> R:
        """Away from the loop: it may read or write the journal."""
        self._loop.join()
        return await asyncio.to_thread(function, *arguments, **options)

    async def run(
        self,
        saga: AnySaga | str,
        input: Any = None,  # noqa: A002 - the interface's word
        *,
        run_id: str | None = None,
    ) -> Outcome[Any]:
        """Start a run, or attach to the one that has this id, and wait for its rest."""
        asked = await self._off(self._asked, saga, input, run_id, stored=False, rest=True)
        assert asked.rest is not None  # noqa: S101 - just asked for
        return await asyncio.wrap_future(asked.rest)

    async def start(
        self,
        saga: AnySaga | str,
        input: Any = None,  # noqa: A002 - the interface's word
        *,
        run_id: str | None = None,
        within: Any = None,
    ) -> str:
        """
        Start a run; returns its id when it is stored. Waits when too many are in flight.

        Args:
            saga: one of this orchestrator's, or its name.
            input: given to every step as ``ctx.input``.
            run_id: the first part of every idempotency key; None makes one.
            within: a connection to the journal's database, in a transaction: one that is awaited
                (of psycopg, or SQLAlchemy's on psycopg), or any that ``Orchestrator.start`` takes.
                What holds of SQLite's write lock is said there.
        """
        if within is not None:
            return await self._started_within(saga, input, run_id, within)
        asked = await self._off(self._asked, saga, input, run_id, stored=True, rest=False)
        assert asked.stored is not None  # noqa: S101 - just asked for
        await asyncio.wrap_future(asked.stored)
        return asked.run_id

    async def _started_within(
        self, saga: AnySaga | str, value: Any, run_id: str | None, within: Any
    ) -> str:
        self._loop.join()
        if not hasattr(within, "__aenter__"):
            # On this thread, to which the caller's connection may be bound.
            return self._start_within(saga, value, run_id, within)
        enter = getattr(self.journal, "enter_within", None)
        if enter is None:
            raise SagaError(
                f"within= is {type(within).__name__}, and {type(self.journal).__name__} cannot be "
                "written by a connection that is awaited\n"
                "  Give the connection that is not: a sqlite3.Connection, or SQLAlchemy's "
                "Connection or Session on one."
            )
        birth = await self._off(self._birth_of, saga, value, run_id)
        await enter(birth, within)
        return birth.run_id

    async def wait(  # the same as of threads
        self,
        run_id: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - a keyword of both orchestrators
    ) -> Outcome[Any]:
        """Wait for a run's rest, whoever carries it out; ``TimeoutError`` when it takes longer."""
        self._loop.join()
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.wrap_future(self._watched(run_id))
        except TimeoutError:
            raise await self._off(self._not_yet, run_id, timeout) from None

    async def drain(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> None:
        """Wait until no run is in flight here; ``TimeoutError`` when it takes longer."""
        self._loop.join()
        future: Future[None] = Future()
        self._ready().tell(self._desk.drain, future)
        try:
            async with asyncio.timeout(timeout):
                await asyncio.wrap_future(future)
        except TimeoutError:
            raise self._undrained(timeout) from None

    async def recover(self) -> int:
        """Take up every run whose owner is gone; how many. It is also done by itself."""
        self._loop.join()
        future: Future[int] = Future()
        self._ready().tell(self._house.recover, future)
        return await asyncio.wrap_future(future)

    async def stranded(  # type: ignore[override]
        self, *, limit: int = 1_000
    ) -> list[MachineChangedError]:
        """Runs of these sagas that wait for a version which is not here, with both fingerprints."""
        return await self._off(super().stranded, limit=limit)

    async def show(self, run_id: str) -> Run:  # type: ignore[override]
        """How a run stands, as it is stored."""
        return await self._off(super().show, run_id)

    async def runs(  # type: ignore[override]
        self,
        *,
        status: Status | str | None = None,
        saga: AnySaga | str | None = None,
        waiting: Any = None,
        limit: int | None = 100,
        after: str | None = None,
    ) -> Sequence[Run]:
        """Runs as they are stored, the newest first."""
        listing = super().runs
        return await self._off(
            listing, status=status, saga=saga, waiting=waiting, limit=limit, after=after
        )

    async def cancel(self, run_id: str, *, by: str = "", note: str = "") -> bool:
        """Turn a run back; False, with the run untouched, past the pivot and when it is over."""
        return await self._decided(run_id, "cancel", by=by, note=note)

    async def retry(self, run_id: str, *, step: Any = None, by: str = "", note: str = "") -> bool:
        """Ask again for what a stuck run owes: for all of it, or for one step."""
        return await self._decided(run_id, "retry", step=step, by=by, note=note)

    async def resolve(
        self, run_id: str, *, step: Any, as_: str, by: str = "", note: str = ""
    ) -> bool:
        """Say what a person has found out or done about a step on which a run is stuck."""
        return await self._decided(run_id, "resolve", step=step, as_=as_, by=by, note=note)

    async def deliver(
        self, run_id: str, step: Any, result: Any = None, *, by: str = "", note: str = ""
    ) -> bool:
        """The answer of a pending step; False when it was decided before."""
        return await self._decided(run_id, "deliver", step=step, value=result, by=by, note=note)

    async def reject(
        self, run_id: str, step: Any, reason: str = "", *, by: str = "", note: str = ""
    ) -> bool:
        """The refusal of a pending step; False when it was decided before."""
        return await self._decided(run_id, "reject", step=step, by=by, note=note or reason)

    async def _decided(self, run_id: str, word: str, **said: Any) -> bool:
        future = await self._off(self._said, run_id, word, **said)
        try:
            async with asyncio.timeout(self._engine.options.lease):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise DecisionPendingError(run_id=run_id, word=word) from None

    async def close(
        self,
        *,
        timeout: float | None = GRACE,  # noqa: ASYNC109 - as above
    ) -> None:
        """Begin nothing more, wait for what is in flight, and leave the rest to be taken up."""
        engine = self._engine
        if engine.ended or os.getpid() != self._pid:
            return
        closed: Future[None] = Future()
        engine.tell(self._desk.close, closed)
        try:
            async with asyncio.timeout(timeout):
                await asyncio.wrap_future(closed)
        except TimeoutError:
            engine.tell(self._desk.end)
        await asyncio.to_thread(engine.join)
