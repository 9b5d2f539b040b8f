"""Many runs at once, from an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saga_fsm import (
    GUARDED,
    PENDING,
    AsyncOrchestrator,
    Pending,
    Saga,
    Status,
    parallel,
    pivot,
    step,
)
from saga_fsm.errors import RunConflictError, SagaError
from saga_fsm.journals.sqlite import SqliteJournal


async def nap(ctx) -> str:
    """An async action, on the caller's loop."""
    await asyncio.sleep(0.001)
    if ctx.services is not None:
        ctx.services.append(threading.current_thread().name)
    return ctx.step


def work(ctx) -> str:
    """A sync action, on a worker's thread."""
    if ctx.services is not None:
        ctx.services.append(threading.current_thread().name)
    return ctx.step


async def undo(ctx, result) -> None:
    """An async compensation."""


def ask(ctx) -> str | Pending:
    """Wait for somebody."""
    return PENDING


MIXED = Saga(
    "mixed",
    step(nap, compensate=undo),
    parallel(step(nap, name="x", compensate=undo), step(work, name="y", compensate=undo)),
    pivot(nap, name="p"),
    contract=GUARDED,
)
ASKED = Saga("asked", step(ask, compensate=undo), contract=GUARDED)


async def waiting(orchestrator: AsyncOrchestrator, count: int) -> None:
    """So many runs wait for an answer: that is in the store, and there is no event for it."""
    async with asyncio.timeout(10):
        while len(await orchestrator.runs(waiting="ask")) < count:  # noqa: ASYNC110 - as it says
            await asyncio.sleep(0.01)


@pytest.fixture
def go(tmp_path: Path) -> Callable[..., Any]:
    """Run a coroutine with an orchestrator and its journal."""

    def go(use: Any, *sagas: Any, **options: Any) -> Any:
        async def main() -> Any:
            journal = SqliteJournal(tmp_path / "sagas.db")
            try:
                async with AsyncOrchestrator(
                    *sagas, journal=journal, **{"poll": 0.02, **options}
                ) as orchestrator:
                    return await use(orchestrator, journal)
            finally:
                journal.close()

        return asyncio.run(main())

    return go


def test_many_runs_share_a_loop(go) -> None:
    """Async steps run on the loop, sync ones on workers, a hundred runs at once."""
    names: list[str] = []

    async def use(orchestrator: AsyncOrchestrator, _journal: Any) -> None:
        runs = [orchestrator.run(MIXED, n, run_id=f"r-{n}") for n in range(100)]
        outcomes = await asyncio.gather(*runs)
        assert {outcome.status for outcome in outcomes} == {Status.COMPLETED}
        with pytest.raises(RunConflictError):
            await orchestrator.start(MIXED, "another", run_id="r-0")

    go(use, MIXED, services=names)
    assert set(names) == {"MainThread", "saga worker"}


def test_cancelling_who_waits_cancels_the_wait(go) -> None:
    """The run knows nothing of it."""

    async def use(orchestrator: AsyncOrchestrator, _journal: Any) -> None:
        waiter = asyncio.create_task(orchestrator.run(ASKED, run_id="r"))
        await waiting(orchestrator, 1)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        with pytest.raises(TimeoutError, match=r"run 'r' .* it waits for the answer of 'ask'"):
            await orchestrator.wait("r", timeout=0.05)
        with pytest.raises(TimeoutError, match="still in flight"):
            await orchestrator.drain(timeout=0.05)
        assert await orchestrator.deliver("r", "ask", "yes", by="ada")
        assert (await orchestrator.wait("r")).results == {"ask": "yes"}
        assert not await orchestrator.cancel("r")

    go(use, ASKED)


def test_it_decides_as_the_other_does(go) -> None:
    """Cancel, reject, retry, drain, recover and show, with await."""

    async def use(orchestrator: AsyncOrchestrator, _journal: Any) -> None:
        for run_id in ("a", "b"):
            await orchestrator.start("asked", run_id=run_id)
        await waiting(orchestrator, 2)
        assert await orchestrator.cancel("a", by="ada")
        assert await orchestrator.reject("b", "ask", "too dear")
        await orchestrator.drain(timeout=10)
        assert {(await orchestrator.show(one)).status for one in "ab"} == {Status.COMPENSATED}
        assert not await orchestrator.retry("a")
        assert await orchestrator.recover() == 0

    go(use, ASKED)


def test_one_orchestrator_belongs_to_one_loop(tmp_path: Path) -> None:
    """Used from another loop, it says so."""
    journal = SqliteJournal(tmp_path / "sagas.db")
    orchestrator = AsyncOrchestrator(MIXED, journal=journal)
    asyncio.run(orchestrator.run(MIXED))

    async def again() -> None:
        with pytest.raises(RuntimeError, match="belongs to the loop"):
            await orchestrator.run(MIXED)

    asyncio.run(again())
    orchestrator._engine.tell(orchestrator._desk.end)
    orchestrator._engine.join()
    journal.close()


def test_closed_is_closed(go) -> None:
    """After its end it refuses, and says what to do."""
    kept: list[AsyncOrchestrator] = []

    async def use(orchestrator: AsyncOrchestrator, _journal: Any) -> None:
        kept.append(orchestrator)
        await orchestrator.close()
        await orchestrator.close()
        with pytest.raises(SagaError, match="closed"):
            await orchestrator.start(MIXED)

    go(use, MIXED)


def test_a_run_is_stored_in_the_callers_own_transaction(go: Any, tmp_path: Path) -> None:
    """By a connection of this thread; one that is awaited is refused in words on SQLite."""
    import sqlite3

    class Awaited:
        async def __aenter__(self) -> None: ...

    async def use(orchestrator: AsyncOrchestrator, _journal: Any) -> None:
        db = sqlite3.connect(tmp_path / "sagas.db")
        await orchestrator.start(MIXED, run_id="kept", within=db)
        db.commit()
        assert (await orchestrator.wait("kept", timeout=10)).status is Status.COMPLETED
        with pytest.raises(SagaError, match=r"Awaited, and SqliteJournal.*\n  Give the connection"):
            await orchestrator.start(MIXED, run_id="other", within=Awaited())
        db.close()

    go(use, MIXED)
