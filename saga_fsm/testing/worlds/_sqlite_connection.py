"""
A SQLite connection whose every commit can be taken back.

It lives in one outer transaction. To the code that uses it, it is a connection like any other: it
begins, commits and rolls back, by methods, as a context manager or as text, says whether it is in a
transaction, and commits by itself where ``isolation_level`` is None. What it begins is a savepoint.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Literal, Self

from typing_extensions import override

from saga_fsm.errors import SagaError
from saga_fsm.testing.worlds._transactions import SAVEPOINT, kind_of


__all__ = ["KeptConnection"]


class _Cursor(sqlite3.Cursor):
    connection: KeptConnection  # pyright: ignore[reportIncompatibleMethodOverride] - as it is made

    @override
    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        if self.connection.before(sql):
            return super().execute(sql, parameters)
        return self

    @override
    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Self:
        self.connection.before(sql)
        return super().executemany(sql, parameters)

    @override
    def executescript(self, sql_script: str, /) -> Self:
        # As the standard library does: what is open is committed first.
        self.connection.commit()
        for statement in _statements(sql_script):
            if self.connection.before(statement, implied=False):
                super().execute(statement)
        return self


class KeptConnection(sqlite3.Connection):
    """
    The connection that a world gives to the user's code.

    Args:
        database: a path, or ``:memory:``.
        isolation_level: as for ``sqlite3.connect``.
    """

    def __init__(self, database: Any, *, isolation_level: Any = "", **options: Any) -> None:
        # From Python 3.12 on; True is what None is for the level.
        alone = options.pop("autocommit", -1) is True
        super().__init__(database, isolation_level=None, **options)
        self._level = None if alone else isolation_level
        self._raw: sqlite3.Cursor = super().cursor()
        self._raw.row_factory = None
        self._in_transaction = False
        # Savepoints of the user's that are open; and whether the first of them began it all.
        self._names: list[str] = []
        self._by_savepoint = False
        self._deferred = False
        #: Counts whatever may have changed something.
        self.changes = 0

    # ------------------------------------------------------------------ the world's side

    def keep(self) -> None:
        """Begin the outer transaction: from here on everything can be taken back."""
        self.commit()
        self._deferred = bool(
            self.raw("SELECT 1 FROM sqlite_schema WHERE upper(sql) LIKE '%DEFERRED%'")
            and self.raw("PRAGMA foreign_keys")[0][0]
        )
        self.raw("BEGIN")

    def take_back(self) -> None:
        """
        Undo whatever was done since ``keep``.

        Raises:
            SagaError: something has ended the outer transaction.
        """
        if not super().in_transaction:
            raise SagaError(
                "what a plan did to this SQLite database cannot be taken back: something has ended"
                " the transaction around it\n"
                "  RAISE(ROLLBACK), ON CONFLICT ROLLBACK and a full disk do so: use by='copy'."
            )
        self.raw("ROLLBACK")
        self.raw("BEGIN")
        self._over()
        self.changes += 1

    def raw(self, sql: str, *values: Any) -> list[Any]:
        """Run a statement as it stands."""
        return self._raw.execute(sql, values).fetchall()

    def end(self) -> None:
        """Close it indeed."""
        super().close()

    def before(self, sql: str, *, implied: bool = True) -> bool:
        """
        Do for a statement what it means for the transaction; False when that was all.

        Args:
            sql: the statement.
            implied: whether a write begins a transaction, as it does outside of scripts.
        """
        kind, name = kind_of(sql)
        if kind == "read":
            return True
        self.changes += 1
        if kind == "write":
            if implied and self._level is not None and not self._in_transaction:
                self._begin()
        elif kind == "begin":
            if self._in_transaction:
                raise sqlite3.OperationalError("cannot start a transaction within a transaction")
            self._begin()
            return False
        elif kind in {"commit", "rollback"}:
            if not self._in_transaction:
                raise sqlite3.OperationalError(f"cannot {kind} - no transaction is active")
            _ = self.commit() if kind == "commit" else self.rollback()
            return False
        else:
            return self._savepoint(kind, name)
        return True

    def _savepoint(self, kind: str, name: str) -> bool:
        """Follow the user's savepoints: the first one begins a transaction, if none is open."""
        if kind == "savepoint":
            if not self._in_transaction:
                self._begin()
                self._by_savepoint = True
            self._names.append(name)
        elif kind in {"release", "back"} and name in self._names:
            place = len(self._names) - 1 - self._names[::-1].index(name)
            if kind == "release" and place == 0 and self._by_savepoint:
                self.commit()
                return False
            del self._names[place if kind == "release" else place + 1 :]
        return True

    def _begin(self) -> None:
        self.raw(f"SAVEPOINT {SAVEPOINT}")
        self._in_transaction = True

    def _over(self) -> None:
        self._in_transaction = self._by_savepoint = False
        self._names.clear()

    # ------------------------------------------------------------------ the user's side

    @property
    @override
    def in_transaction(self) -> bool:
        return self._in_transaction

    @property
    @override
    def isolation_level(self) -> Any:
        return self._level

    @isolation_level.setter
    def isolation_level(self, level: Any) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        if level is None:
            self.commit()
        self._level = level

    @override
    def cursor(self, factory: Any = None) -> Any:
        if factory is None:
            return super().cursor(_Cursor)
        return super().cursor(type("_Cursor", (_Cursor, factory), {}))

    # The standard library's own do not ask ``cursor`` for one.
    @override
    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return super().cursor(_Cursor).execute(sql, parameters)

    @override
    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        return super().cursor(_Cursor).executemany(sql, parameters)

    @override
    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        return super().cursor(_Cursor).executescript(sql_script)

    @override
    def commit(self) -> None:
        if not self._in_transaction:
            return
        if self._deferred and self.raw("PRAGMA foreign_key_check"):
            raise sqlite3.IntegrityError("FOREIGN KEY constraint failed")
        self.raw(f"RELEASE {SAVEPOINT}")
        self._over()

    @override
    def rollback(self) -> None:
        if self._in_transaction:
            self.changes += 1
            self.raw(f"ROLLBACK TO {SAVEPOINT}")
            self.raw(f"RELEASE {SAVEPOINT}")
            self._over()

    @override
    def close(self) -> None:
        """Take back what is not committed, as a closed connection does; the world goes on."""
        self.rollback()

    @override
    def __exit__(
        self,
        type: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> Literal[False]:
        if type is not None:
            self.rollback()
            return False
        try:
            self.commit()
        except BaseException:
            self.rollback()
            raise
        return False


def _statements(script: str) -> Iterable[str]:
    """The statements of a script, one by one."""
    so_far = ""
    for part in script.split(";"):
        so_far += part + ";"
        if sqlite3.complete_statement(so_far):
            if so_far.strip(" ;\t\r\n"):
                yield so_far
            so_far = ""
