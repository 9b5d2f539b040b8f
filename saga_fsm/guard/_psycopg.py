"""The guard on psycopg 3: a connection of either colour, or its outermost transaction."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from typing import Any

from saga_fsm.guard._errors import GuardError
from saga_fsm.guard._sql import Database, statements
from saga_fsm.guard._stores import SAVEPOINT, called, numbered, refuse_autocommit


__all__ = ["AsyncPsycopgStore", "PsycopgStore", "connection_of"]

_IDLE = 0  # psycopg.pq.TransactionStatus


class _Psycopg:
    """
    What both colours have in common.

    Args:
        connection: the connection.
        given: what a body is given.
        table: the guard's table.
    """

    database: Database = "postgres"

    def __init__(self, connection: Any, given: Any, table: str) -> None:
        self._connection = connection
        self._given = given
        self._theirs = False
        texts = statements("postgres", table)
        self._statements = {name: numbered(text) for name, text in texts.items()}

    @property
    def idle(self) -> bool:
        """Whether no transaction is open."""
        return int(self._connection.info.transaction_status) == _IDLE

    def require(self) -> None:
        """Refuse a connection that commits each statement by itself."""
        if self.idle and self._connection.autocommit:
            refuse_autocommit("Open a transaction: with connection.transaction(): ...")

    def over(self) -> bool:
        """Whether the transaction that was open has ended."""
        # Ours has; and somebody else may have the connection of a pool by now.
        return not self._theirs or bool(self._connection.closed) or self.idle

    def _cursor(self) -> Any:
        # The user's may make dictionaries of rows.
        return self._connection.cursor(row_factory=import_module("psycopg.rows").tuple_row)


class PsycopgStore(_Psycopg):
    """A connection that blocks."""

    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        """Begin, and commit in the end; where one is open it is the caller's, and stays open."""
        if self.idle:
            with self._connection.transaction():
                yield
        else:
            self._theirs = True
            yield

    def execute(self, name: str, **values: Any) -> int:
        """Run a statement of the guard's by name, and say how many rows it wrote."""
        with self._cursor() as cursor:
            return int(cursor.execute(self._statements[name], values).rowcount)

    def find(self, name: str, **values: Any) -> Any:
        """Run a statement of the guard's by name, and give its first row or None."""
        with self._cursor() as cursor:
            return cursor.execute(self._statements[name], values).fetchone()

    def rows(self, name: str, **values: Any) -> list[Any]:
        """Run a statement by name, and give all its rows."""
        with self._cursor() as cursor:
            return list(cursor.execute(self._statements[name], values).fetchall())

    def run(self, text: str) -> None:
        """Run a statement as it stands."""
        self._connection.execute(text)

    def save(self) -> None:
        """Set a savepoint."""
        self.run(f"SAVEPOINT {SAVEPOINT}")

    def release(self) -> None:
        """Keep what was done since the savepoint."""
        self.run(f"RELEASE {SAVEPOINT}")

    def back(self) -> None:
        """Take back what was done since the savepoint."""
        self.run(f"ROLLBACK TO {SAVEPOINT}")
        self.run(f"RELEASE {SAVEPOINT}")

    def call(self, body: Any, *arguments: Any) -> Any:
        """Call a body with the connection and what else it is given."""
        return called(body, self._given, *arguments)


class AsyncPsycopgStore(_Psycopg):
    """A connection of an event loop."""

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None, None]:
        """Begin, and commit in the end; where one is open it is the caller's, and stays open."""
        if self.idle:
            async with self._connection.transaction():
                yield
        else:
            self._theirs = True
            yield

    async def execute(self, name: str, **values: Any) -> int:
        """Run a statement of the guard's by name, and say how many rows it wrote."""
        async with self._cursor() as cursor:
            await cursor.execute(self._statements[name], values)
            return int(cursor.rowcount)

    async def find(self, name: str, **values: Any) -> Any:
        """Run a statement of the guard's by name, and give its first row or None."""
        async with self._cursor() as cursor:
            await cursor.execute(self._statements[name], values)
            return await cursor.fetchone()

    async def rows(self, name: str, **values: Any) -> list[Any]:
        """Run a statement by name, and give all its rows."""
        async with self._cursor() as cursor:
            await cursor.execute(self._statements[name], values)
            return list(await cursor.fetchall())

    async def run(self, text: str) -> None:
        """Run a statement as it stands."""
        await self._connection.execute(text)

    async def save(self) -> None:
        """Set a savepoint."""
        await self.run(f"SAVEPOINT {SAVEPOINT}")

    async def release(self) -> None:
        """Keep what was done since the savepoint."""
        await self.run(f"RELEASE {SAVEPOINT}")

    async def back(self) -> None:
        """Take back what was done since the savepoint."""
        await self.run(f"ROLLBACK TO {SAVEPOINT}")
        await self.run(f"RELEASE {SAVEPOINT}")

    def call(self, body: Any, *arguments: Any) -> Any:
        """Call a body with the connection and what else it is given."""
        return body(self._given, *arguments)


def connection_of(given: Any) -> Any:
    """
    The connection of what was given: itself, or a transaction's.

    Raises:
        GuardError: the transaction is a savepoint within another, and commits nothing.
    """
    if hasattr(given, "cursor"):
        return given
    if given.savepoint_name:
        raise GuardError(
            message="the transaction is a savepoint within another, and commits nothing",
            remedy=(
                "Give the outermost one; psycopg has begun it at the connection's first "
                "statement, unless that is in autocommit mode."
            ),
        )
    return given.connection
