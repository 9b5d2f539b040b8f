"""The guard on SQLAlchemy 2: a ``Connection``, a ``Session``, their async kin, and transactions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from typing import Any

from saga_fsm.guard._errors import GuardError
from saga_fsm.guard._sql import Database, statements
from saga_fsm.guard._stores import called, refuse_autocommit


__all__ = ["AsyncSqlalchemyStore", "SqlalchemyStore"]

_DATABASES: dict[str, Database] = {"sqlite": "sqlite", "postgresql": "postgres"}


class SqlalchemyStore:
    """
    A connection or a session, or the transaction of one, that blocks.

    Args:
        given: what a body is given; a transaction stands for its connection or session.
        table: the guard's table.
    """

    def __init__(self, given: Any, table: str) -> None:
        self._given = given
        self._on = _owner(given)
        self._open: Any = None
        self._nested: Any = None
        dialect = self._on.get_bind().dialect if _is_session(self._on) else self._on.dialect
        database = _DATABASES.get(dialect.name)
        if database is None:
            raise GuardError(
                message=f"the guard does not know {dialect.name}",
                remedy="It knows SQLite and Postgres.",
            )
        self.database: Database = database
        self._statements = statements(database, table)

    def require(self) -> None:
        """Refuse a connection that commits each statement by itself; begin, as it would itself."""
        if not self._on.in_transaction():
            self._on.begin()
        if _commits_alone(self._connection()):
            refuse_autocommit("Use an engine without isolation_level='AUTOCOMMIT'.")

    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        """Begin, and commit in the end; where one is open it is the caller's, and stays open."""
        if self._on.in_nested_transaction():
            raise GuardError(
                message="the transaction is a savepoint within another, and commits nothing",
                remedy="Give what begins the outermost one: engine.begin, or sessionmaker.begin.",
            )
        if self._on.in_transaction():
            self.require()
            self._open = self._on.get_transaction()
            yield
            return
        with self._on.begin():
            self.require()
            yield

    def over(self) -> bool:
        """Whether the transaction that was open has ended."""
        return self._open is None or not self._open.is_active

    def execute(self, name: str, **values: Any) -> int:
        """Run a statement of the guard's by name, and say how many rows it wrote."""
        return int(self._run(self._statements[name], values).rowcount)

    def find(self, name: str, **values: Any) -> Any:
        """Run a statement of the guard's by name, and give its first row or None."""
        return self._run(self._statements[name], values).first()

    def rows(self, name: str, **values: Any) -> list[Any]:
        """Run a statement by name, and give all its rows."""
        return list(self._run(self._statements[name], values).all())

    def run(self, text: str) -> None:
        """Run a statement as it stands."""
        self._run(text, {})

    def save(self) -> None:
        """Set a savepoint; a session writes first what it holds back."""
        self._nested = self._on.begin_nested()

    def release(self) -> None:
        """Keep what was done since the savepoint; a session writes what it holds back."""
        self._nested.commit()

    def back(self) -> None:
        """Take back what was done since the savepoint; a session forgets it too."""
        self._nested.rollback()

    def call(self, body: Any, *arguments: Any) -> Any:
        """Call a body with the connection and what else it is given."""
        return called(body, self._given, *arguments)

    def _run(self, text: str, values: dict[str, Any]) -> Any:
        return self._connection().execute(import_module("sqlalchemy").text(text), values)

    def _connection(self) -> Any:
        return self._on.connection() if _is_session(self._on) else self._on


class AsyncSqlalchemyStore:
    """
    The same for ``AsyncConnection`` and ``AsyncSession``, on the sync one behind each.

    Args:
        given: what a body is given; a transaction stands for its connection or session.
        table: the guard's table.
    """

    def __init__(self, given: Any, table: str) -> None:
        self._given = given
        owner = _owner(given)
        self._owner = owner
        session = getattr(owner, "sync_session", None)
        self._sync = SqlalchemyStore(owner.sync_connection if session is None else session, table)
        self.database = self._sync.database

    async def require(self) -> None:
        """Refuse a connection that commits each statement by itself."""
        await self._do(self._sync.require)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None, None]:
        """Begin, and commit in the end; where one is open it is the caller's, and stays open."""
        block = self._sync.transaction()
        await self._do(block.__enter__)
        try:
            yield
        except BaseException as error:
            if not await self._do(block.__exit__, type(error), error, error.__traceback__):
                raise
        else:
            await self._do(block.__exit__, None, None, None)

    def over(self) -> bool:
        """Whether the transaction that was open has ended."""
        return self._sync.over()

    async def execute(self, name: str, **values: Any) -> int:
        """Run a statement of the guard's by name, and say how many rows it wrote."""
        return int(await self._do(lambda: self._sync.execute(name, **values)))

    async def find(self, name: str, **values: Any) -> Any:
        """Run a statement of the guard's by name, and give its first row or None."""
        return await self._do(lambda: self._sync.find(name, **values))

    async def rows(self, name: str, **values: Any) -> list[Any]:
        """Run a statement by name, and give all its rows."""
        return list(await self._do(lambda: self._sync.rows(name, **values)))

    async def run(self, text: str) -> None:
        """Run a statement as it stands."""
        await self._do(self._sync.run, text)

    async def save(self) -> None:
        """Set a savepoint; a session writes first what it holds back."""
        await self._do(self._sync.save)

    async def release(self) -> None:
        """Keep what was done since the savepoint; a session writes what it holds back."""
        await self._do(self._sync.release)

    async def back(self) -> None:
        """Take back what was done since the savepoint; a session forgets it too."""
        await self._do(self._sync.back)

    def call(self, body: Any, *arguments: Any) -> Any:
        """Call a body with the connection and what else it is given."""
        return body(self._given, *arguments)

    async def _do(self, function: Any, *arguments: Any) -> Any:
        return await self._owner.run_sync(lambda _: function(*arguments))


def _is_session(owner: Any) -> bool:
    return hasattr(owner, "get_bind")


def _owner(given: Any) -> Any:
    """
    The connection or session of what was given: itself, or a transaction's.

    Raises:
        GuardError: the transaction is a savepoint within another, and commits nothing.
    """
    registry = getattr(given, "registry", None)
    if callable(registry):
        return registry()  # scoped_session: the session of this thread
    if hasattr(given, "execute"):
        return given
    if getattr(given, "nested", False):
        raise GuardError(
            message="the transaction is a savepoint within another, and commits nothing",
            remedy="Give the outermost one.",
        )
    for name in ("session", "connection"):
        owner = getattr(given, name, None)
        if owner is not None:
            return owner
    raise GuardError(
        message=f"a {type(given).__name__} is no connection that the guard knows",
        remedy="It knows SQLAlchemy's Connection and Session, sync and async.",
    )


def _commits_alone(connection: Any) -> bool:
    raw = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite":
        # No statement has begun it yet, or an event of the user's did.
        begun = getattr(raw, "in_transaction", True)
        return getattr(raw, "isolation_level", "") is None and not begun
    return getattr(raw, "autocommit", False) is True
