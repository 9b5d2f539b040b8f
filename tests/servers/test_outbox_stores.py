"""The laws of the outbox on psycopg and SQLAlchemy; and awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from saga_fsm import Retry
from saga_fsm.guard import AsyncOutbox, AsyncRelay, GuardError, Message
from tests.outbox_laws import Laws, Place, ctx_of
from tests.postgres import HINT


psycopg = pytest.importorskip("psycopg", reason=HINT)
sqlalchemy = pytest.importorskip("sqlalchemy", reason=HINT)
alchemy_async = pytest.importorskip("sqlalchemy.ext.asyncio", reason=HINT)


def alchemy(url: str) -> str:
    """The same address for SQLAlchemy."""
    return url.replace("postgresql://", "postgresql+psycopg://")


class TestPsycopg(Laws):
    """A connection that blocks; a new one each time."""

    many = 1_000

    @pytest.fixture
    def place(self, postgres_url: str) -> Place:
        """A database of its own."""

        @contextmanager
        def opened() -> Iterator[Any]:
            with psycopg.connect(postgres_url) as connection, connection.transaction():
                yield connection

        return Place(lambda: psycopg.connect(postgres_url), opened)


class TestSqlalchemy(Laws):
    """An engine of SQLAlchemy on Postgres."""

    many = 2_000

    @pytest.fixture
    def place(self, postgres_url: str) -> Iterator[Place]:
        """A database of its own."""
        engine = sqlalchemy.create_engine(alchemy(postgres_url))
        yield Place(engine.begin, engine.begin)
        engine.dispose()


class TestSqlalchemyOnSqlite(Laws):
    """An engine of SQLAlchemy on a file."""

    many = 2_000

    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[Place]:
        """A file of its own."""
        engine = sqlalchemy.create_engine(
            f"sqlite:///{tmp_path / 'shop.db'}", connect_args={"timeout": 20}
        )
        yield Place(engine.begin, engine.begin)
        engine.dispose()


def test_a_connection_that_commits_by_itself_is_refused(postgres_url: str) -> None:
    """The message would be sent although the step fails."""
    outbox: Any = AsyncOutbox(lambda: psycopg.AsyncConnection.connect(postgres_url))

    async def emit() -> None:
        connection = await psycopg.AsyncConnection.connect(postgres_url, autocommit=True)
        async with connection:
            await outbox.emit(connection, ctx_of(), "t", 1)

    with pytest.raises(GuardError, match="autocommit"):
        asyncio.run(emit())


@pytest.mark.parametrize("library", ["psycopg", "sqlalchemy"])
def test_it_is_the_same_awaited(postgres_url: str, library: str) -> None:
    """Emitted, rolled back, tried again, sent in order, parked, decided and forgotten."""
    asyncio.run(_awaited(postgres_url, library))


async def _awaited(url: str, library: str) -> None:
    engine = alchemy_async.create_async_engine(alchemy(url))

    @asynccontextmanager
    async def by_psycopg() -> Any:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            yield connection

    begin: Any = by_psycopg if library == "psycopg" else engine.begin
    outbox: AsyncOutbox[Any] = AsyncOutbox(begin)
    await outbox.create_table()

    async def emit(stream: str, *numbers: int) -> None:
        async with begin() as connection:
            for number in numbers:
                await outbox.emit(connection, f"{stream}{number}", "t", number, stream=stream)

    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the error comes in a block
        async with begin() as connection:
            await outbox.emit(connection, "lost", "t", 0)
            1 / 0  # noqa: B018 - the failure that is meant
    await emit("a", 0, 1, 2)
    await emit("a", 0, 1, 2)
    await emit("b", 0, 1, 2)
    got: list[Message] = []
    poison = [True]

    async def publish(message: Message) -> None:
        await asyncio.sleep(0)
        if poison[0] and message.id == "a1#t":
            raise ConnectionError("no broker")
        got.append(message)

    relay = AsyncRelay(outbox, publish, retry=Retry(attempts=2, wait_initial=0.01), batch=2)
    assert await relay.drain() == 4
    assert [one.payload for one in got if one.stream == "b"] == [0, 1, 2]
    (parked,) = await outbox.parked()
    assert (parked.message.id, parked.error) == ("a1#t", "ConnectionError: no broker")
    poison[0] = False
    assert await outbox.requeue("a1#t")
    async with AsyncRelay(outbox, publish, poll=60.0) as working:
        async with asyncio.timeout(20):
            while await outbox.waiting():
                working.wake()
                await asyncio.sleep(0.02)
    assert [one.payload for one in got if one.stream == "a"] == [0, 1, 2]
    assert await outbox.prune(timedelta(0)) == 6
    assert not await outbox.discard("a1#t")
    await engine.dispose()
