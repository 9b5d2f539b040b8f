"""SQLite for a journal: connections, tables of this version, and what its errors mean."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from saga_fsm.errors import StoreBrokenError, StoreUnavailableError
from saga_fsm.journals._sql import split, versions


__all__ = ["connected", "make_tables", "told"]

# What mending the machine mends; anything else says that the file is not what it should be.
_PASSING = {
    *("SQLITE_FULL", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_CANTOPEN"),
    *("SQLITE_READONLY", "SQLITE_NOMEM", "SQLITE_PERM", "SQLITE_PROTOCOL"),
}
_BROKEN = {"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_SCHEMA", "SQLITE_FORMAT"}


def connected(path: Path, busy: float) -> sqlite3.Connection:
    """Open a connection in which nothing is in doubt once it is committed."""
    db = sqlite3.connect(path, timeout=busy, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    return db


def make_tables(db: sqlite3.Connection, path: Path, busy: float, *, create: bool) -> None:
    """
    Make the tables of a journal, or bring them to this version.

    Raises:
        StoreBrokenError: they are of a newer one, or are not there and are not to be made.
    """
    there = "SELECT 1 FROM sqlite_master WHERE name = 'saga_schema'"
    if not create and db.execute(there).fetchone() is None:
        raise StoreBrokenError(
            store=str(path),
            message="it holds no runs: there are no tables of saga_fsm in it",
            remedy="Give the file of a journal; an orchestrator or 'run --journal' makes one.",
        )
    _write_ahead(db, busy)
    db.execute("BEGIN IMMEDIATE")
    try:
        _brought_up(db, path)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _brought_up(db: sqlite3.Connection, path: Path) -> None:
    scripts = versions("sqlite")
    db.execute("CREATE TABLE IF NOT EXISTS saga_schema (version INTEGER NOT NULL)")
    (version,) = db.execute("SELECT coalesce(max(version), 0) FROM saga_schema").fetchone()
    if version > len(scripts):
        raise StoreBrokenError(
            store=str(path),
            message=f"its tables are of version {version}, this saga_fsm knows {len(scripts)}",
            remedy="Install the version of saga_fsm that wrote it, or a newer one.",
        )
    for number, script in enumerate(scripts[version:], version + 1):
        for statement in split(script):
            db.execute(statement)
        db.execute("INSERT INTO saga_schema (version) VALUES (?)", (number,))


def _write_ahead(db: sqlite3.Connection, busy: float) -> None:
    # SQLite waits for nobody while it changes the mode (it could wait for ever),
    # so that several who open one new file at once would fail for each other.
    until = time.monotonic() + busy
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


@contextmanager
def told(path: Path) -> Generator[None]:
    """Say what the store's trouble means to who asked."""
    try:
        yield
    except sqlite3.ProgrammingError as error:
        raise StoreUnavailableError(store=str(path), message=str(error)) from error
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        short = "_".join(name.split("_")[:2])
        if short in _PASSING:
            raise StoreUnavailableError(store=str(path), message=str(error)) from error
        if short in _BROKEN or "no such" in str(error):
            raise StoreBrokenError(store=str(path), message=str(error)) from error
        raise
