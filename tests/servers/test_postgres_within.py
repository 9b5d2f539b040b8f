"""A run in the caller's own transaction on Postgres, by connections that are awaited."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from saga_fsm import GUARDED, AsyncOrchestrator, Saga, Status, pivot, step
from saga_fsm.errors import SagaError, UnknownRunError
from tests.postgres import HINT


psycopg = pytest.importorskip("psycopg", reason=HINT)


async def act(ctx) -> str:
    """Say which step this is."""
    return ctx.step


async def undo(ctx, result) -> None:
    """Nothing."""


ORDER = Saga("order", step(act, name="a", compensate=undo), pivot(act), contract=GUARDED)


def carried(url: str, use: Any) -> None:
    """Use an orchestrator on a journal there."""
    from saga_fsm.journals.postgres import PostgresJournal

    async def main() -> None:
        journal = PostgresJournal(url)
        async with AsyncOrchestrator(ORDER, journal=journal, poll=0.02) as orchestrator:
            await use(orchestrator)
        journal.close()

    asyncio.run(main())


def test_by_psycopg(postgres_url: str) -> None:
    """It is there if, and only if, the transaction is committed; in none it is refused."""

    async def use(orchestrator: AsyncOrchestrator) -> None:
        async with await psycopg.AsyncConnection.connect(postgres_url) as mine:
            await orchestrator.start(ORDER, run_id="dropped", within=mine)
            await mine.rollback()
            assert await orchestrator.start(ORDER, run_id="kept", within=mine) == "kept"
            await mine.commit()
            await mine.set_autocommit(True)
            with pytest.raises(SagaError, match="in autocommit mode"):
                await orchestrator.start(ORDER, run_id="alone", within=mine)
        assert (await orchestrator.wait("kept", timeout=10)).status is Status.COMPLETED
        with pytest.raises(UnknownRunError):
            await orchestrator.show("dropped")

    carried(postgres_url, use)


def test_by_sqlalchemy(postgres_url: str) -> None:
    """A connection and a session; one to another database is refused."""
    sqlalchemy = pytest.importorskip("sqlalchemy.ext.asyncio", reason="needs sqlalchemy")
    address = postgres_url.replace("postgresql://", "postgresql+psycopg://")

    async def use(orchestrator: AsyncOrchestrator) -> None:
        engine = sqlalchemy.create_async_engine(address)
        async with engine.connect() as mine:
            await orchestrator.start(ORDER, run_id="dropped", within=mine)
            await mine.rollback()
            await orchestrator.start(ORDER, run_id="connection", within=mine)
            await mine.commit()
        async with sqlalchemy.AsyncSession(engine) as session:
            await orchestrator.start(ORDER, run_id="session", within=session)
            await session.commit()
        await engine.dispose()
        for run_id in ("connection", "session"):
            assert (await orchestrator.wait(run_id, timeout=10)).status is Status.COMPLETED
        with pytest.raises(UnknownRunError):
            await orchestrator.show("dropped")
        far = postgres_url.rpartition("/")[0] + "/postgres"
        async with await psycopg.AsyncConnection.connect(far) as other:
            with pytest.raises(Exception, match=r"another database|saga_runs"):
                await orchestrator.start(ORDER, run_id="far", within=other)

    carried(postgres_url, use)
