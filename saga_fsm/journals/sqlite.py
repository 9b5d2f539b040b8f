"""
A journal in one SQLite file: for one machine, with as many processes as it likes.

Write-ahead log, ``synchronous=FULL``: what was committed survives a crash of the process and of the
machine. One connection writes, and what several threads bring at once shares a commit; reading has
connections of its own and waits for nobody.

Backup while it runs: ``journal.backup("copy.db")``, or SQLite's own ``VACUUM INTO 'copy.db'``.
Copying the file with ``cp`` is no backup: the newest commits stand in the ``-wal`` file beside it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from saga_fsm.errors import (
    ConcurrentAppendError,
    JournalError,
    SagaError,
    StoreUnavailableError,
    UnknownRunError,
)
from saga_fsm.journals._checks import holdable, nameable, owning, refused, writable
from saga_fsm.journals._group import Group
from saga_fsm.journals._sql import driver_of, lone, run_of, shown, statements
from saga_fsm.journals._sqlite import connected, make_tables, told
from saga_fsm.machine import Status
from saga_fsm.ports import Append, Birth, Claim, Entry, Run, Word


__all__ = ["SqliteJournal"]

_SQL = statements("sqlite")


class SqliteJournal:
    """
    Runs in one SQLite file; safe to share between threads and between processes.

    Args:
        path: the file; made if it is not there, and its tables if they are not there. It may be the
            file of the caller's own tables: all names here begin with ``saga_``.
        create: whether file and tables are made where they are not; else that is an error, and
            nothing is written.
        busy: seconds to wait for another process that writes.
        now: the store's clock, seconds since the epoch: leases and listings go by it.

    Raises:
        StoreUnavailableError: the file cannot be opened or written.
        StoreBrokenError: it is no SQLite file, is damaged, or is of a newer version.
    """

    #: Data of entries is text: a plain run writes its values as such.
    keeps_text = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        create: bool = True,
        busy: float = 10.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.path = Path(path)
        self._busy = busy
        self._now = now
        self._pid = os.getpid()
        self._group = Group(self._carry_out, str(self.path))
        # All writing by one connection, one thread at a time; reading by others.
        self._lock = threading.Lock()
        self._readers: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        with told(self.path):
            self._writer = connected(self._found(path, create=create), busy)
            try:
                make_tables(self._writer, self.path, busy, create=create)
            except BaseException:
                self._writer.close()
                raise

    def __repr__(self) -> str:
        return f"SqliteJournal({str(self.path)!r})"

    # ------------------------------------------------------------------ writing

    def append(self, run_id: str, entries: Sequence[Entry], *, expected: int) -> int:
        """
        Add entries whose data is text, after position ``expected``, all or none.

        A run that is written in this way is nobody's: no orchestrator takes it up.
        """
        standing = self._standing(run_id) if expected else None
        position = 0 if standing is None else standing[0]
        if position != expected:
            raise ConcurrentAppendError(run_id=run_id, expected=expected, actual=position)
        (error,) = self.commit([lone(run_id, entries, standing)])
        if error is not None:
            raise error
        return expected + len(entries)

    def commit(self, appends: Sequence[Append]) -> list[JournalError | None]:
        """Carry out each append, all of its entries or none; durable on return."""
        for append in appends:
            writable(append)
        self._same_process()
        return self._group.commit(appends)

    def _carry_out(self, appends: Sequence[Append]) -> list[JournalError | None]:
        with self._writing() as db:
            now = self._now()
            return [self._one(db, append, now) for append in appends]

    def _one(self, db: sqlite3.Connection, append: Append, now: float) -> JournalError | None:
        position = append.expected
        after = position + len(append.entries)
        lists = shown(append.unresolved), shown(append.waiting)
        status, owner = append.status.value, append.owner
        if append.birth is not None:
            born = append.birth
            # A run that somebody has is due at once, should its owner be gone.
            due = now if owner else append.due
            facts = (append.run_id, born.saga, born.fingerprint, born.digest, None)
            row = db.execute(
                _SQL["born"], (*facts, status, now, now, *lists, after, owner, due)
            ).fetchone()
        else:
            moved = (after, status, now, *lists, owner, append.due)
            key = (append.run_id, position, append.fence, append.fingerprint)
            row = db.execute(_SQL["moved"], (*moved, *key)).fetchone()
        if row is None:
            standing = db.execute(_SQL["standing"], (append.run_id,)).fetchone()
            return refused(append, standing)
        for entry in append.entries:
            position += 1
            db.execute(_SQL["entry"], (row[0], position, entry.event, entry.at, entry.data))
        for number, answer in append.answers.items():
            db.execute(_SQL["answered"], (answer, number))
        return None

    def _standing(self, run_id: str) -> tuple[Any, ...] | None:
        """Position, fence and status of a run."""
        with self._reading() as db:
            row: tuple[Any, ...] | None = db.execute(_SQL["standing"], (run_id,)).fetchone()
        return row

    def enter(self, birth: Birth, *, within: Any = None) -> bool:
        """
        Store a run for others to carry out.

        Args:
            birth: with the input as text.
            within: a sqlite3 connection, or an SQLAlchemy Connection or Session on one, to this
                file: the run is stored in its transaction, and with it or not at all.

        Returns:
            Whether it is new.
        """
        nameable(birth.run_id, birth.saga, birth.fingerprint, birth.digest)
        holdable(birth.input)
        now = self._now()
        facts = (birth.run_id, birth.saga, birth.fingerprint, birth.digest, birth.input)
        fields = (*facts, Status.NEW.value, now, now, "{}", "[]", 0, "", now)
        if within is not None:
            cursor = self._within(within)
            return cursor.execute(_SQL["born"], fields).fetchone() is not None
        with self._writing() as db:
            return db.execute(_SQL["born"], fields).fetchone() is not None

    def _within(self, given: Any) -> sqlite3.Cursor:
        """Give a cursor of the caller's connection, in its transaction."""
        connection = driver_of(given)
        if not isinstance(connection, sqlite3.Connection):
            raise SagaError(
                f"within= is {type(given).__name__}, and this journal is SQLite\n"
                "  Give the sqlite3.Connection, or the SQLAlchemy Session or Connection, in whose "
                "transaction the run shall be stored."
            )
        # Python 3.12 has a second way to say it: `autocommit`.
        alone = (
            connection.isolation_level is None and getattr(connection, "autocommit", 0) is not False
        )
        if alone and not connection.in_transaction:
            raise SagaError(
                "within= is a connection in autocommit mode, outside of a transaction\n"
                "  Nothing would hold the run and your own rows together: execute BEGIN first."
            )
        cursor = sqlite3.Cursor(connection)
        cursor.row_factory = None
        files = {row[2] for row in cursor.execute("PRAGMA database_list")}
        if str(self.path.resolve()) not in files:
            raise SagaError(
                f"within= is a connection to another database, not to {self.path}\n"
                "  A transaction spans one database: keep the journal in the same file."
            )
        return cursor

    # ------------------------------------------------------------------ owners

    def claim(self, owner: str, machines: Collection[tuple[str, str]], limit: int) -> list[Claim]:
        """Take runs that are due and whose owner, if any, is gone: those due longest first."""
        owning(owner)
        now = self._now()
        # Most of the time nothing is due, and then nobody has to wait for the writer's place.
        with self._reading() as db:
            if not db.execute(_SQL["any_due"], {"now": now}).fetchone()[0]:
                return []
        known = json.dumps([list(pair) for pair in machines])
        with self._writing() as db:
            found = {"now": now, "machines": known, "limit": limit}
            rows = db.execute(_SQL["due"], found).fetchall()
            for row in rows:
                db.execute(_SQL["taken"], (owner, now, row[0]))
            db.execute(_SQL["bury"], (now,))
        return [
            Claim(run_of((*row[:9], owner)), row[10] + 1, row[11], bool(row[12])) for row in rows
        ]

    def beat(self, owner: str, lease: float) -> None:
        """Say that an owner lives: what it has is its own for so many seconds more."""
        owning(owner)
        with self._writing() as db:
            db.execute(_SQL["beat"], (owner, self._now() + lease))

    def retire(self, owner: str) -> None:
        """Say that an owner is gone: what it has is everybody's, at once."""
        owning(owner)
        with self._writing() as db:
            db.execute(_SQL["released"], (self._now(), owner))
            db.execute(_SQL["gone"], (owner,))

    # ------------------------------------------------------------------ reading

    def read(self, run_id: str) -> tuple[Entry, ...]:
        """All entries of a run, in order; their data is text."""
        holdable(run_id)
        with self._reading() as db:
            return tuple(Entry(*row) for row in db.execute(_SQL["read"], (run_id,)))

    def read_many(self, run_ids: Sequence[str]) -> list[tuple[Entry, ...]]:
        """All entries of each run, in order."""
        holdable(*run_ids)
        with self._reading() as db:
            query = _SQL["read"]
            return [tuple(Entry(*row) for row in db.execute(query, (one,))) for one in run_ids]

    def find(self, run_id: str) -> tuple[Run, str] | None:
        """What a listing shows of one run, and the digest of its input."""
        holdable(run_id)
        with self._reading() as db:
            row = db.execute(_SQL["find"], (run_id,)).fetchone()
        return None if row is None else (run_of(row), row[10])

    def list_runs(  # noqa: PLR0913 - one keyword a filter
        self,
        *,
        status: Status | None = None,
        saga: str | None = None,
        waiting: str | None = None,
        run_ids: Sequence[str] | None = None,
        limit: int | None = 100,
        after: str | None = None,
    ) -> list[Run]:
        """Runs, the newest first."""
        holdable(saga, waiting, after, *(run_ids or ()))
        asked: list[tuple[str, Any]] = []
        if status is not None:
            asked.append(("status = ?", status.value))
        if saga is not None:
            asked.append(("saga = ?", saga))
        if waiting is not None:
            among = "EXISTS (SELECT 1 FROM json_each(waiting) WHERE value = ?)"
            asked.append((f"waiting <> '[]' AND {among}", waiting))
        if run_ids is not None:
            asked.append(("run_id IN (SELECT value FROM json_each(?))", json.dumps(list(run_ids))))
        if after is not None:
            asked.append(("number < (SELECT number FROM saga_runs WHERE run_id = ?)", after))
        where = f" WHERE {' AND '.join(text for text, _ in asked)}" if asked else ""
        query = f"{_SQL['listed']}{where} ORDER BY number DESC LIMIT ?"
        values = [*(value for _, value in asked), -1 if limit is None else limit]
        with self._reading() as db:
            return [run_of(row) for row in db.execute(query, values)]

    # ------------------------------------------------------------------ words from outside

    def post(
        self, run_id: str, word: str, data: str | None = None, *, by: str = "", note: str = ""
    ) -> int:
        """Say something to a run; who has it, or takes it, will hear."""
        holdable(run_id, word, data, by, note)
        now = self._now()
        with self._writing() as db:
            row = db.execute(_SQL["post"], (word, data, by, note, now, run_id)).fetchone()
            db.execute(_SQL["wake"], {"now": now, "run_id": run_id})
        if row is None:
            raise UnknownRunError(run_id=run_id, store=str(self.path))
        return int(row[0])

    def posted(self, owner: str) -> list[Word]:
        """Words to the runs of an owner that are not answered yet, in the order of their coming."""
        holdable(owner)
        with self._reading() as db:
            return [Word(*row) for row in db.execute(_SQL["posted"], (owner,))]

    def answer(self, number: int) -> str | None:
        """What became of a word; None as long as nothing did."""
        with self._reading() as db:
            row = db.execute(_SQL["answer"], (number,)).fetchone()
        return None if row is None else row[0]

    def words(self, run_id: str) -> list[Word]:
        """All words to a run with what became of them, in the order of their coming."""
        holdable(run_id)
        with self._reading() as db:
            return [Word(*row) for row in db.execute(_SQL["words"], (run_id,))]

    # ------------------------------------------------------------------ keeping house

    def prune(self, before: float, *, saga: str | None = None) -> int:
        """Delete runs that were completed or compensated before a time; how many."""
        holdable(saga)
        pruned = 0
        while True:
            # A thousand at a time: others want to write in between.
            with self._writing() as db:
                count = db.execute(_SQL["prune"], (before, saga, saga)).rowcount
            pruned += count
            if not count:
                return pruned

    def forget(self, run_id: str) -> bool:
        """Delete one run that is completed or compensated, with all that is of it."""
        holdable(run_id)
        with self._writing() as db:
            return db.execute(_SQL["forget"], (run_id,)).rowcount > 0

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Copy everything that is committed into another file, while others go on writing."""
        with self._reading() as db, closing(sqlite3.connect(path)) as copy:
            db.backup(copy)

    def close(self) -> None:
        """Give back connections; what was committed stays."""
        with self._lock:
            self._writer.close()
        while True:
            try:
                self._readers.get_nowait().close()
            except Empty:
                return

    # ------------------------------------------------------------------ connections

    def _found(self, path: str | os.PathLike[str], *, create: bool) -> Path:
        if "://" in str(path):
            raise SagaError(
                f"{str(path)!r} is a URL, and SqliteJournal takes a path\n"
                "  Give what stands behind 'sqlite:///', as in SqliteJournal('sagas.db')."
            )
        if not create and not self.path.is_file():
            raise StoreUnavailableError(store=str(path), message="there is no such file")
        return self.path

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection]:
        """One transaction of the writer's connection: committed at the end, else rolled back."""
        self._same_process()
        with self._lock, told(self.path):
            db = self._writer
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        """Lend a connection that only reads; as many as there are who read at once."""
        self._same_process()
        with told(self.path):
            try:
                db = self._readers.get_nowait()
            except Empty:
                db = connected(self.path, self._busy)
            try:
                yield db
            finally:
                self._readers.put(db)

    def _same_process(self) -> None:
        if os.getpid() != self._pid:
            raise SagaError(
                f"the journal {self.path} was opened in another process, before a fork\n"
                "  Open it where it is used: SQLite's connections do not survive a fork."
            )
