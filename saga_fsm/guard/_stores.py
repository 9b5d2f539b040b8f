"""
The connections that a guard can stand on: what each of them calls a transaction and a savepoint.

A store does for one connection, within one transaction, what the steps of ``_steps`` ask for.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from inspect import isawaitable
from typing import Any, NoReturn, Protocol

from saga_fsm.definition import Transient
from saga_fsm.guard._errors import GuardError
from saga_fsm.guard._sql import Database, statements


__all__ = ["SqliteStore", "Store", "busy", "missing", "refuse_autocommit"]

SAVEPOINT = "saga_guard_body"
# serialization_failure, deadlock_detected, lock_not_available: the server has ended it all.
_BUSY_STATES = {"40001": "serialization failure", "40P01": "deadlock", "55P03": "lock timeout"}
_NO_TABLE = "42P01"  # undefined_table
_BUSY_CODES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_PARAMETER = re.compile(r":(\w+)")


class Store(Protocol):
    """One connection, in one transaction. An async one answers each with an awaitable."""

    database: Database

    def execute(self, name: str, **values: Any) -> Any:
        """Run a statement of the guard's by name, and say how many rows it wrote."""

    def find(self, name: str, **values: Any) -> Any:
        """Run a statement of the guard's by name, and give its first row or None."""

    def rows(self, name: str, **values: Any) -> Any:
        """Run a statement by name, and give all its rows."""

    def run(self, text: str) -> Any:
        """Run a statement as it stands."""

    def save(self) -> Any:
        """Set a savepoint."""

    def release(self) -> Any:
        """Keep what was done since the savepoint."""

    def back(self) -> Any:
        """Take back what was done since the savepoint."""

    def call(self, body: Any, *arguments: Any) -> Any:
        """Call a body with the connection and what else it is given."""

    def over(self) -> bool:
        """Whether the transaction that was open has ended."""
        ...


class SqliteStore:
    """
    A connection of the standard library.

    Args:
        connection: the connection.
        given: what a body is given.
        table: the guard's table.
    """

    database: Database = "sqlite"

    def __init__(self, connection: sqlite3.Connection, given: Any, table: str) -> None:
        self._connection = connection
        self._given = given
        self._theirs = False
        self._statements: Mapping[str, str] = statements("sqlite", table)

    def require(self) -> None:
        """Refuse a connection that commits each statement by itself."""
        connection = self._connection
        if not connection.in_transaction and (
            connection.isolation_level is None or getattr(connection, "autocommit", None) is True
        ):
            refuse_autocommit("Execute BEGIN IMMEDIATE first, and commit after.")

    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        """Begin, and commit in the end; where one is open it is the caller's, and stays open."""
        connection = self._connection
        # From Python 3.12: with False there is always one open, and it cannot be whose it is.
        always = getattr(connection, "autocommit", None) is False
        if connection.in_transaction and not always:
            self._theirs = True
            yield
            return
        if not always:
            connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            # Not commit(), which does nothing where autocommit is True.
            if connection.in_transaction:
                self._end("COMMIT", always=always)
        except BaseException:
            if connection.in_transaction:
                self._end("ROLLBACK", always=always)
            raise

    def over(self) -> bool:
        """Whether the transaction that was open has ended."""
        try:
            return not (self._theirs and self._connection.in_transaction)
        except sqlite3.ProgrammingError:
            return True  # it is closed

    def execute(self, name: str, **values: Any) -> int:
        """Run a statement of the guard's by name, and say how many rows it wrote."""
        return self._cursor().execute(self._statements[name], values).rowcount

    def find(self, name: str, **values: Any) -> Any:
        """Run a statement of the guard's by name, and give its first row or None."""
        rows = self._cursor().execute(self._statements[name], values).fetchall()
        return rows[0] if rows else None

    def rows(self, name: str, **values: Any) -> list[Any]:
        """Run a statement by name, and give all its rows."""
        return self._cursor().execute(self._statements[name], values).fetchall()

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

    def _cursor(self) -> sqlite3.Cursor:
        cursor = self._connection.cursor()
        # The user's may make dictionaries of rows.
        cursor.row_factory = None
        return cursor

    def _end(self, how: str, *, always: bool) -> None:
        if always:
            # Another begins at once, as this connection wants it.
            (self._connection.commit if how == "COMMIT" else self._connection.rollback)()
        else:
            self._connection.execute(how)


def called(body: Any, *arguments: Any) -> Any:
    """Call a body where nothing can be awaited."""
    value = body(*arguments)
    if isawaitable(value):
        close = getattr(value, "close", None)
        if close is not None:
            close()
        raise GuardError(
            message="a body is async, and this guard is not",
            remedy="Use AsyncGuard, whose bodies may be either.",
        )
    return value


def refuse_autocommit(remedy: str) -> NoReturn:
    """Say why a connection that commits by itself is of no use."""
    raise GuardError(
        message="the connection is in autocommit mode, and no transaction is open",
        remedy=f"Row and effect must be written together. {remedy}",
    )


def numbered(text: str) -> str:
    """Write parameters as psycopg does: ``%(key)s``."""
    return _PARAMETER.sub(r"%(\1)s", text)


def busy(error: BaseException) -> Transient | None:
    """
    What an error means that is surely the end of a transaction of which nothing stands.

    Returns:
        ``Transient`` for a lock that was not to be had, a deadlock or a serialization failure;
        None for everything else.
    """
    origin = getattr(error, "orig", None) or error
    code = getattr(origin, "sqlite_errorcode", None)
    # The low byte is the primary code: SQLITE_BUSY_SNAPSHOT is a SQLITE_BUSY.
    if isinstance(origin, sqlite3.Error) and code is not None and code & 0xFF in _BUSY_CODES:
        return Transient(f"the database is busy: {origin}")
    state = getattr(origin, "sqlstate", None) or getattr(origin, "pgcode", None)
    why = _BUSY_STATES.get(str(state))
    return None if why is None else Transient(f"{why}, nothing was written: {origin}")


def missing(error: BaseException, table: str) -> GuardError | None:
    """What an error means that says our own table is not there; None for everything else."""
    origin = getattr(error, "orig", None) or error
    state = getattr(origin, "sqlstate", None) or getattr(origin, "pgcode", None)
    told = str(origin)
    if table.rpartition(".")[2] not in told:
        return None
    if state != _NO_TABLE and "no such table" not in told:
        return None
    return GuardError(
        message=f"there is no table '{table}' in this database",
        remedy="Make it once: create_table(); or in a migration what schema(...), or for an outbox "
        "outbox_schema(...), gives.",
    )
