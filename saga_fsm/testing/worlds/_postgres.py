"""Worlds on Postgres, as psycopg sees it."""

from __future__ import annotations

import itertools
import os
import weakref
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any, Final, TypeVar

import attrs
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from typing_extensions import override

from saga_fsm.errors import SagaError
from saga_fsm.testing.worlds._comparing import NotComparableError, frozen
from saga_fsm.testing.worlds._engine import engine_on
from saga_fsm.testing.worlds._psycopg_connection import KeptConnection, positions
from saga_fsm.testing.worlds._rows import postgres_digest
from saga_fsm.testing.worlds._worlds import Worlds


__all__ = ["ByRollback", "ByTemplate", "ByTruncation", "PostgresDatabase", "bare", "digest_of"]

W = TypeVar("W")
_NAMES: Final = itertools.count()
_FIRST: Final = "saga_fsm_first"
_COLUMNS: Final = """
SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""


@attrs.frozen
class PostgresDatabase:
    """
    The world of who gives no class: a database and nothing else.

    Args:
        connection: to it, where the world has one.
        url: where it is.
    """

    connection: Any
    url: str


class _PostgresWorlds(Worlds[W]):
    """What the ways of going back share: a schema, and how the user's world is made."""

    def __init__(  # noqa: PLR0913, PLR0917 - what the entry was given
        self,
        make: Callable[[Any], W] | None,
        url: str,
        schema: Any,
        give: str,
        ignore: Collection[str],
        options: dict[str, Any],
    ) -> None:
        super().__init__(make or self._bare)
        self.url = url
        self.connection: Any = None
        self._schema = schema
        self._give = give
        self._ignore = frozenset(ignore)
        self._options = options
        self._engine: Any = None

    def _bare(self, _: Any) -> Any:
        return PostgresDatabase(self.connection, self.url)

    @override
    def again(self) -> W:
        self._world = self._make(self._given())
        return self._world

    def _given(self) -> Any:
        if self._give == "url":
            return self.url
        if self._give == "connection":
            return self.connection
        if self._engine is None:
            self._engine = engine_on("postgresql+psycopg", lambda: self.connection)
        return self._engine

    def _set_up(self, connection: Any) -> None:
        if callable(self._schema):
            self._schema(connection)
        elif self._schema:
            connection.execute(self._schema)
        connection.commit()

    @override
    def process_died(self) -> None:
        if self.connection is not None:
            self.connection.rollback()

    @override
    def snapshot(self, world: W) -> Hashable:
        known = [part for part in (self.connection, self._engine) if part is not None]
        return self._digest(), frozen(world, known)

    def _digest(self) -> str:
        with psycopg.connect(self.url) as connection:
            return digest_of(connection, self._ignore)


class ByRollback(_PostgresWorlds[W]):
    """One connection, in one transaction that is rolled back."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connection = KeptConnection.connect(self.url, **self._options)
        self._ended = weakref.finalize(self, KeptConnection.end, self.connection)
        self._row_factory = self.connection.row_factory
        self._autocommit = self.connection.autocommit
        self._set_up(self.connection)
        self.connection.keep()

    @override
    def reset(self) -> None:
        self.connection.take_back()
        self.connection.row_factory = self._row_factory
        self.connection.autocommit = self._autocommit

    @override
    def _digest(self) -> str:
        # Where something is not committed, a crash would show another world.
        if self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            raise NotComparableError("a transaction is open")
        digest = digest_of(self.connection, self._ignore)
        self.connection.rollback()
        return digest

    @override
    def close(self) -> None:
        self._ended()


class _Committing(_PostgresWorlds[W]):
    """Worlds whose steps commit indeed, on connections of ours or of their own."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.outside = self._give == "url"

    def _connect(self) -> None:
        if self._give != "url":
            self.connection = psycopg.connect(self.url, **self._options)

    def _disconnect(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
        if self.connection is not None:
            self.connection.close()
        self._engine = self.connection = None

    @override
    def close(self) -> None:
        self._disconnect()


class ByTemplate(_Committing[W]):
    """Each plan gets a database of its own, copied from one that was set up once."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._home = self.url
        name = f"saga_fsm_{os.getpid()}_{next(_NAMES)}"
        self._template, self._plan = f"{name}_template", f"{name}_plan"
        self._ended = weakref.finalize(self, _drop, self._home, (self._plan, self._template))
        self._run(f"CREATE DATABASE {self._template}")
        with psycopg.connect(_at(self._home, self._template)) as connection:
            self._set_up(connection)
        self.url = _at(self._home, self._plan)

    @override
    def reset(self) -> None:
        self._disconnect()
        self._run(
            f"DROP DATABASE IF EXISTS {self._plan} WITH (FORCE)",
            f"CREATE DATABASE {self._plan} TEMPLATE {self._template}",
        )
        self._connect()

    def _run(self, *statements: str) -> None:
        with psycopg.connect(self._home, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    @override
    def close(self) -> None:
        super().close()
        self._ended()


class ByTruncation(_Committing[W]):
    """The listed tables are emptied, and their first rows put in again."""

    def __init__(self, *arguments: Any, tables: Sequence[str]) -> None:
        super().__init__(*arguments)
        self._tables = tables
        with psycopg.connect(self.url) as connection:
            self._set_up(connection)
            self._statement = self._prepared(connection)
            self._first = digest_of(connection, self._ignore)
        # What is put back need not survive a crash of the server; who holds a lock is told of.
        settings = "-c synchronous_commit=off -c lock_timeout=2s"
        self._admin = psycopg.connect(self.url, options=settings)
        self._ended = weakref.finalize(self, self._admin.close)
        self._connect()

    def _prepared(self, connection: Any) -> str:
        """What puts it all back; the first rows are kept beside, in a schema of ours."""
        connection.execute(f"DROP SCHEMA IF EXISTS {_FIRST} CASCADE")
        connection.execute(f"CREATE SCHEMA {_FIRST}")
        fill: list[str] = []
        for number, table in enumerate(self._tables):
            kept = f"{_FIRST}.t{number}"
            connection.execute(f"CREATE TABLE {kept} AS TABLE {table}")
            columns = connection.execute(_COLUMNS, [table]).fetchone()[0]
            fill.append(
                f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE"  # noqa: S608 - names from the catalogue
                f" SELECT {columns} FROM {kept}"
            )
        empty = f"TRUNCATE {', '.join(self._tables)} CASCADE"
        return "; ".join(filter(None, [empty, *fill, positions(connection)]))

    @override
    def reset(self) -> None:
        self._disconnect()
        try:
            self._admin.execute(self._statement.encode())
        except psycopg.errors.LockNotAvailable as error:
            self._admin.rollback()
            raise SagaError(
                "the tables cannot be put back: a step has left a connection with a transaction"
                " open\n  Let steps commit or roll back, and close what they open."
            ) from error
        found = digest_of(self._admin, self._ignore)
        self._admin.commit()
        if found != self._first:
            raise SagaError(
                "a plan has changed more than the tables that are put back: the next one would"
                f" find it changed\n  Put back are: {', '.join(self._tables)}. Name more in"
                " tables=, or say ignore= of what does not matter."
            )
        self._connect()

    @override
    def close(self) -> None:
        super().close()
        if not self._admin.closed:
            self._admin.execute(f"DROP SCHEMA IF EXISTS {_FIRST} CASCADE".encode())
            self._admin.commit()
        self._ended()


def bare(connection: Any) -> Any:
    """A database on a connection of the user's own."""
    return PostgresDatabase(connection, "")


def digest_of(connection: Any, ignore: Collection[str]) -> str:
    """Sum up what a connection sees."""
    with psycopg.Cursor(connection) as cursor:
        return postgres_digest(lambda sql: cursor.execute(sql.encode()).fetchall(), ignore)


def _at(url: str, database: str) -> str:
    parts: dict[str, Any] = {**conninfo_to_dict(url), "dbname": database}
    return make_conninfo(**parts)


def _drop(url: str, names: Sequence[str]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
