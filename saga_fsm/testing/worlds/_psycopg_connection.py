"""
A psycopg connection whose every commit can be taken back.

It lives in one outer transaction. To the code that uses it, it is a connection like any other: it
begins, commits and rolls back, by methods, as a context manager, with ``transaction()`` or as text,
says whether it is in a transaction, and commits by itself with ``autocommit``. What it begins is a
savepoint. Only ``now()`` stands still, as in any transaction.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import psycopg
from psycopg import Transaction, errors
from psycopg.pq import ExecStatus, TransactionStatus
from typing_extensions import override

from saga_fsm.errors import SagaError
from saga_fsm.testing.worlds._transactions import SAVEPOINT, kind_of


__all__ = ["KeptConnection", "positions"]

_FINE = {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}
_BACK = f"ROLLBACK TO {SAVEPOINT}"
# Those of transactions that were committed stay below: nobody goes back to them, and to release
# each would cost a journey.
_ANEW = f"SAVEPOINT {SAVEPOINT}"
_DEFERRED = """
SELECT string_agg(format('%I.%I', n.nspname, c.conname), ', ')
FROM pg_constraint AS c JOIN pg_namespace AS n ON n.oid = c.connamespace
WHERE c.condeferred AND c.contype <> 't'
"""
# Sequences are in no transaction: they are put back by hand.
_SEQUENCES = """
SELECT 'SELECT ' || string_agg(
    format('setval(%L, %s, %s)', format('%I.%I', schemaname, sequencename),
        coalesce(last_value, start_value), (last_value IS NOT NULL)::text), ', ')
FROM pg_sequences
"""


class _Info(psycopg.ConnectionInfo):
    begun = False

    @property
    @override
    def transaction_status(self) -> TransactionStatus:
        return super().transaction_status if self.begun else TransactionStatus.IDLE


class _Cursor(psycopg.Cursor[Any]):
    @override
    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        connection: Any = self.connection
        if isinstance(query, str) and not connection.heard(kind_of(query)[0]):
            return self
        text: Any = query
        return super().execute(text, params, **options)

    @override
    def executemany(self, *args: Any, **options: Any) -> None:
        # psycopg sends these in a pipeline, and nothing else can be said in it.
        connection: Any = self.connection
        connection.before_statement()
        super().executemany(*args, **options)


class KeptConnection(psycopg.Connection[Any]):
    """The connection that a world gives to the user's code."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.cursor_factory = _Cursor
        self._kept = self._begun = self._alone = self._fresh = False
        self._deferred = self._again = ""

    # ------------------------------------------------------------------ the world's side

    def keep(self) -> None:
        """Begin the outer transaction: from here on everything can be taken back."""
        self.commit()
        self._deferred = self._one(_DEFERRED)
        back = ["ROLLBACK", positions(self), "BEGIN", f"SAVEPOINT {SAVEPOINT}"]
        self._again = "; ".join(filter(None, back))
        self.rollback()
        self.raw(f"BEGIN; SAVEPOINT {SAVEPOINT}")
        self._kept = self._fresh = True

    def take_back(self) -> None:
        """
        Undo whatever was done since ``keep``.

        Raises:
            SagaError: something has ended the outer transaction, or the connection.
        """
        if self.pgconn.transaction_status == TransactionStatus.IDLE or super().closed:
            raise SagaError(
                "what a plan did to this Postgres database cannot be taken back: something has"
                " ended the transaction around it\n"
                "  COMMIT within a longer text does so, and a lost connection: use by='template'."
            )
        self.raw(self._again)
        self._begun = self._alone = False
        self._fresh = True
        self._num_transactions = 0

    def raw(self, sql: str) -> None:
        """Run statements as they stand, in one journey."""
        result = self.pgconn.exec_(sql.encode())
        if result.status not in _FINE:
            raise errors.error_from_result(result)

    def end(self) -> None:
        """Close it indeed."""
        self._kept = False
        super().close()

    def heard(self, kind: str) -> bool:
        """Do for a statement what it means for the transaction; False when that was all."""
        if not self._kept or kind not in {"begin", "commit", "rollback"}:
            return True
        if kind == "begin":
            self._settle_alone()
            self._begin()
        elif kind == "commit":
            self.commit()
        else:
            self.rollback()
        return False

    def _one(self, sql: str) -> str:
        with psycopg.Cursor(self) as cursor:
            row = cursor.execute(sql.encode()).fetchone()
        return str(row[0] or "") if row else ""

    def _begin(self) -> None:
        if not self._begun:
            if not self._fresh:
                self.raw(_ANEW)
            self._begun, self._fresh = True, False

    @override
    def _start_query(self) -> Any:
        """Begin, as psycopg does before whatever statement, if nothing is begun."""
        if not self._kept:
            yield from super()._start_query()
        elif self._pipeline is None:
            self.before_statement()

    def before_statement(self) -> None:
        """Begin the transaction that a statement is in, unless one has begun."""
        if self._kept and self._num_transactions == 0:
            self._settle_alone()
            if not self._begun:
                self._begin()
                self._alone = self._autocommit

    def _settle_alone(self) -> None:
        """End the transaction of a statement that was one by itself."""
        if self._alone:
            self._alone = False
            failed = self.pgconn.transaction_status == TransactionStatus.INERROR
            self._take_back_own() if failed else self._commit_own()

    def _commit_own(self) -> None:
        if not self._begun:
            return
        if self.pgconn.transaction_status == TransactionStatus.INERROR:
            # As Postgres does with COMMIT after an error.
            self._take_back_own()
            return
        if self._deferred:
            try:
                self.raw("SET CONSTRAINTS ALL IMMEDIATE")
            except psycopg.Error:
                self._take_back_own()
                raise
            self.raw(f"SET CONSTRAINTS {self._deferred} DEFERRED")
        self._begun = False

    def _take_back_own(self) -> None:
        if self._begun:
            self.raw(_BACK)
            self._begun, self._fresh = False, True

    # ------------------------------------------------------------------ the user's side

    @property
    @override
    def info(self) -> psycopg.ConnectionInfo:
        info = _Info(self.pgconn)
        info.begun = not self._kept or (self._begun and not self._alone)
        return info

    @override
    def commit(self) -> None:
        if not self._kept or self._num_transactions:
            super().commit()
            return
        self._settle_alone()
        self._commit_own()

    @override
    def rollback(self) -> None:
        if not self._kept or self._num_transactions:
            super().rollback()
            return
        self._settle_alone()
        self._take_back_own()

    @override
    def set_autocommit(self, value: bool) -> None:
        if not self._kept:
            super().set_autocommit(value)
            return
        self._settle_alone()
        if self._begun:
            raise psycopg.ProgrammingError(
                "can't change 'autocommit' now: connection in transaction status INTRANS"
            )
        self._autocommit = bool(value)

    @contextmanager
    @override
    def pipeline(self) -> Generator[psycopg.Pipeline, None, None]:
        self.before_statement()
        with super().pipeline() as pipeline:
            yield pipeline

    @contextmanager
    @override
    def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> Generator[Transaction, None, None]:
        self._settle_alone()
        outermost = self._kept and not self._begun
        try:
            # Within the outer transaction psycopg makes a savepoint of it by itself.
            with super().transaction(savepoint_name, force_rollback) as transaction:
                if outermost:
                    self._begun, self._fresh = True, False
                yield transaction
        finally:
            if outermost:
                self._begun = False

    @override
    def close(self) -> None:
        """Take back what is not committed, as a closed connection does; the world goes on."""
        if not super().closed:
            self.rollback()

    @override
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if exc_type is None:
            self.commit()
        else:
            self.rollback()
        self.close()


def positions(connection: psycopg.Connection[Any]) -> str:
    """Give the statement that puts all sequences to where they are now; empty without any."""
    with psycopg.Cursor(connection) as cursor:
        row = cursor.execute(_SEQUENCES.encode()).fetchone()
    return str(row[0] or "") if row else ""
