"""
A journal in a Postgres database: for as many machines as reach it.

What several threads bring at once is one statement, and so one commit and one round trip. Time is
the database's: a lease ends by one clock for all, whatever the clocks of the machines say.

A connection that is cut is made anew. When it was cut after a commit was sent and before its reply
came, the run is looked at: what stands is not written twice, and what does not stand is written.

Behind a pooler the sessions have to be real ones (PgBouncer: ``pool_mode = session``). Backup while
it runs: ``pg_dump`` or a base backup, as of any database.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from saga_fsm.errors import (
    ConcurrentAppendError,
    JournalError,
    SagaError,
    StoreUnavailableError,
    UnknownRunError,
)
from saga_fsm.journals._checks import holdable, nameable, owning, writable
from saga_fsm.journals._group import Group
from saga_fsm.journals._postgres import (
    Line,
    driver,
    in_transaction,
    make_tables,
    parsed,
    shown_as,
)
from saga_fsm.journals._sql import async_driver_of, driver_of, lone, run_of, statements
from saga_fsm.journals._writer import Writer
from saga_fsm.machine import Status
from saga_fsm.ports import Append, Birth, Claim, Entry, Run, Word


if TYPE_CHECKING:
    from saga_fsm.journals._postgres import Connection

__all__ = ["PostgresJournal"]

T = TypeVar("T")

_SQL = statements("postgres")


class PostgresJournal:
    """
    Runs in a Postgres database (10 or newer); safe to share between threads and processes.

    Args:
        conninfo: ``postgresql://user:password@host:port/database`` or ``key=value`` pairs, as libpq
            takes them. Its tables are made if they are not there; all names begin with ``saga_``.
        create: whether the tables are made where they are not; else that is an error, and nothing
            is written.
        patience: seconds in which a database that cannot be reached may come back, and to wait
            for a lock that another session holds.
        connections: at most so many for all but appending, which has one of its own.
        now: a clock for tests, seconds since the epoch; None is the database's.

    Raises:
        MissingExtraError: psycopg is not installed.
        StoreUnavailableError: the database cannot be reached.
        StoreBrokenError: the tables are of a newer version, or no tables of a journal.
    """

    #: Data of entries is text: a plain run writes its values as such.
    keeps_text = True

    def __init__(
        self,
        conninfo: str,
        *,
        create: bool = True,
        patience: float = 10.0,
        connections: int = 8,
        now: Callable[[], float] | None = None,
    ) -> None:
        driver()
        facts = parsed(conninfo)
        self.shown = shown_as(facts)
        self._patience = patience
        self._now: Callable[[], float | None] = now or (lambda: None)
        self._pid = os.getpid()
        self._line = Line(facts, self.shown, 1, patience, self._prepare_writer)
        self._others = Line(facts, self.shown, connections, patience, self._prepare)
        writer = Writer(self._line, self._rows, self._now)
        self._group = Group(writer.carry_out, self.shown)
        # Claims of which nobody knows whether they were made.
        self._claims: list[tuple[str, int, list[tuple[Any, ...]]]] = []
        self._lock = threading.Lock()
        self._place: tuple[Any, ...] | None = None  # of the database, once somebody asks
        try:
            self._others.ask(lambda db, _: make_tables(db, self.shown, create=create))
        except BaseException:
            self._others.close()
            raise

    def __repr__(self) -> str:
        return f"PostgresJournal({self.shown!r})"

    # ------------------------------------------------------------------ writing

    def append(self, run_id: str, entries: Sequence[Entry], *, expected: int) -> int:
        """
        Add entries whose data is text, after position ``expected``, all or none.

        A run that is written in this way is nobody's: no orchestrator takes it up.
        """
        rows = self._rows("standing", run_ids=[run_id]) if expected else []
        standing = rows[0][1:] if rows else None
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

    def enter(self, birth: Birth, *, within: Any = None) -> bool:
        """
        Store a run for others to carry out.

        Args:
            birth: with the input as text.
            within: a psycopg connection, or an SQLAlchemy Connection or Session on psycopg, to this
                database: the run is stored in its transaction, and with it or not at all.

        Returns:
            Whether it is new.
        """
        nameable(birth.run_id, birth.saga, birth.fingerprint, birth.digest)
        holdable(birth.input)
        mark = secrets.randbits(62)
        asked = {**attrs.asdict(birth), "now": self._now(), "mark": mark}
        if within is not None:
            cursor = self._within(within)
            return cursor.execute(_SQL["entered"], asked).fetchone() is not None

        def work(connection: Connection, cuts: int) -> bool:
            if connection.execute(_SQL["entered"], asked).fetchone() is not None:
                return True
            if not cuts:
                return False
            row = connection.execute(_SQL["standing"], {"run_ids": [birth.run_id]}).fetchone()
            return row is not None and row[4] == mark

        return self._ask(work)

    async def enter_within(self, birth: Birth, within: Any) -> bool:
        """
        Store a run in the transaction of a connection that is awaited: as ``enter``.

        Args:
            birth: with the input as text.
            within: a psycopg AsyncConnection, or an SQLAlchemy AsyncConnection or AsyncSession on
                psycopg, to this database.
        """
        nameable(birth.run_id, birth.saga, birth.fingerprint, birth.digest)
        holdable(birth.input)
        psycopg = driver()
        connection = await async_driver_of(within)
        in_transaction(within, connection, psycopg.AsyncConnection)
        cursor = psycopg.AsyncCursor(connection, row_factory=psycopg.rows.tuple_row)
        await cursor.execute(_SQL["place"])
        place = await cursor.fetchone()
        await asyncio.to_thread(self._same_place, place)
        asked = {**attrs.asdict(birth), "now": self._now(), "mark": secrets.randbits(62)}
        await cursor.execute(_SQL["entered"], asked)
        return await cursor.fetchone() is not None

    def _within(self, given: Any) -> Any:
        """Give a cursor of the caller's connection, in its transaction."""
        psycopg = driver()
        connection = driver_of(given)
        in_transaction(given, connection, psycopg.Connection)
        cursor = psycopg.Cursor(connection, row_factory=psycopg.rows.tuple_row)
        self._same_place(cursor.execute(_SQL["place"]).fetchone())
        return cursor

    def _same_place(self, place: tuple[Any, ...] | None) -> None:
        if place != self._place:
            # A server that was started again is the same, and says so now.
            self._place = self._ask(lambda db, _: db.execute(_SQL["place"]).fetchone())
        if place != self._place:
            raise SagaError(
                f"within= is a connection to another database, not to {self.shown}\n"
                "  A transaction spans one database: keep the journal in the same one, and in the "
                "same schema."
            )

    # ------------------------------------------------------------------ owners

    def claim(self, owner: str, machines: Collection[tuple[str, str]], limit: int) -> list[Claim]:
        """Take runs that are due and whose owner, if any, is gone: those due longest first."""
        owning(owner)
        found = [_claim(row) for row in self._settled(owner)][:limit]
        # Most of the time nothing is due, and then nothing is written.
        now = self._now()
        if found or not self._rows("any_due", now=now)[0][0]:
            return found
        mark = secrets.randbits(62)
        known = {
            "sagas": [one for one, _ in machines],
            "fingerprints": [one for _, one in machines],
        }
        asked = {"owner": owner, "now": now, "limit": limit, "mark": mark, **known}
        taken: list[tuple[Any, ...]] = []

        def work(connection: Connection, cuts: int) -> None:
            if cuts and taken:
                taken[:] = _still(connection, cuts, owner, mark, taken)
                if taken:
                    return
            taken.clear()
            with connection.transaction():
                rows = connection.execute(_SQL["claimed"], asked).fetchall()
                # In the order of due, then of number.
                taken.extend(sorted(rows, key=lambda row: row[12:14]))
                connection.execute(_SQL["bury"], {"now": now})

        try:
            self._ask(work)
        except StoreUnavailableError as error:
            if error.unknown and taken:
                with self._lock:
                    self._claims.append((owner, mark, taken))
            raise
        return [_claim(row) for row in taken]

    def _settled(self, owner: str) -> list[tuple[Any, ...]]:
        """Runs that an owner has taken, and of which it did not hear."""
        with self._lock:
            mine = [one for one in self._claims if one[0] == owner]
            self._claims = [one for one in self._claims if one[0] != owner]
        found: list[tuple[Any, ...]] = []
        try:
            while mine:
                found += self._ask(partial(_still, owner=owner, mark=mine[-1][1], rows=mine[-1][2]))
                mine.pop()
        finally:
            with self._lock:
                self._claims += mine
        return found

    def beat(self, owner: str, lease: float) -> None:
        """Say that an owner lives: what it has is its own for so many seconds more."""
        owning(owner)
        self._do("beat", owner=owner, now=self._now(), lease=lease)

    def retire(self, owner: str) -> None:
        """Say that an owner is gone: what it has is everybody's, at once."""
        owning(owner)
        self._do("retired", owner=owner, now=self._now())

    # ------------------------------------------------------------------ reading

    def read(self, run_id: str) -> tuple[Entry, ...]:
        """All entries of a run, in order; their data is text."""
        return self.read_many([run_id])[0]

    def read_many(self, run_ids: Sequence[str]) -> list[tuple[Entry, ...]]:
        """All entries of each run, in order."""
        holdable(*run_ids)
        found: dict[str, list[Entry]] = defaultdict(list)
        for run_id, *entry in self._rows("read", run_ids=list(run_ids)):
            found[run_id].append(Entry(*entry))
        return [tuple(found.get(run_id, ())) for run_id in run_ids]

    def find(self, run_id: str) -> tuple[Run, str] | None:
        """What a listing shows of one run, and the digest of its input."""
        holdable(run_id)
        rows = self._rows("find", run_id=run_id)
        return (run_of(rows[0]), rows[0][10]) if rows else None

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
            asked.append(("status = %s", status.value))
        if saga is not None:
            asked.append(("saga = %s", saga))
        if waiting is not None:
            asked.append(("waiting <> '[]' AND waiting::jsonb ? %s", waiting))
        if run_ids is not None:
            asked.append(("run_id = ANY(%s::text[])", list(run_ids)))
        if after is not None:
            asked.append(("number < (SELECT number FROM saga_runs WHERE run_id = %s)", after))
        where = f" WHERE {' AND '.join(text for text, _ in asked)}" if asked else ""
        query: Any = f"{_SQL['listed']}{where} ORDER BY number DESC LIMIT %s"
        values = [*(value for _, value in asked), limit]
        # Planned each time: which index is right hangs on the values.
        rows = self._ask(
            lambda db, _: db.execute(query, values, prepare=False).fetchall(), writes=False
        )
        return [run_of(row) for row in rows]

    # ------------------------------------------------------------------ words from outside

    def post(
        self, run_id: str, word: str, data: str | None = None, *, by: str = "", note: str = ""
    ) -> int:
        """Say something to a run; who has it, or takes it, will hear."""
        holdable(run_id, word, data, by, note)
        mark = secrets.randbits(62)
        said = {"run_id": run_id, "word": word, "data": data, "by": by, "note": note}
        asked = {**said, "now": self._now(), "mark": mark}

        def work(connection: Connection, cuts: int) -> Any:
            row = connection.execute(_SQL["posted_one"], asked).fetchone()
            if row is None and cuts:
                row = connection.execute(_SQL["posted_before"], {"mark": mark}).fetchone()
            return row

        row = self._ask(work)
        if row is None:
            raise UnknownRunError(run_id=run_id, store=self.shown)
        return int(row[0])

    def posted(self, owner: str) -> list[Word]:
        """Words to the runs of an owner that are not answered yet, in the order of their coming."""
        holdable(owner)
        return [Word(*row) for row in self._rows("posted", owner=owner)]

    def answer(self, number: int) -> str | None:
        """What became of a word; None as long as nothing did."""
        rows = self._rows("answer", number=number)
        return rows[0][0] if rows else None

    def words(self, run_id: str) -> list[Word]:
        """All words to a run with what became of them, in the order of their coming."""
        holdable(run_id)
        return [Word(*row) for row in self._rows("words", run_id=run_id)]

    # ------------------------------------------------------------------ keeping house

    def prune(self, before: float, *, saga: str | None = None) -> int:
        """Delete runs that were completed or compensated before a time; how many."""
        holdable(saga)
        pruned = 0
        # A thousand at a time: others want to write in between.
        while count := self._do("prune", before=before, saga=saga):
            pruned += count
        return pruned

    def forget(self, run_id: str) -> bool:
        """Delete one run that is completed or compensated, with all that is of it."""
        holdable(run_id)
        return self._do("forget", run_id=run_id) > 0

    def close(self) -> None:
        """Give back connections; what was committed stays."""
        self._line.close()
        self._others.close()

    # ------------------------------------------------------------------ connections

    def _ask(self, work: Callable[[Connection, int], T], *, writes: bool = True) -> T:
        self._same_process()
        return self._others.ask(work, writes=writes)

    def _rows(self, name: str, **asked: Any) -> list[tuple[Any, ...]]:
        return self._ask(lambda db, _: db.execute(_SQL[name], asked).fetchall(), writes=False)

    def _do(self, name: str, **asked: Any) -> int:
        return self._ask(lambda db, _: db.execute(_SQL[name], asked).rowcount)

    def _prepare(self, connection: Connection) -> None:
        wait = str(max(1, int(self._patience * 1000)))
        connection.execute(_SQL["settings"], {"patience": wait}, prepare=False)

    def _prepare_writer(self, connection: Connection) -> None:
        self._prepare(connection)
        connection.execute(_SQL["settings_writer"], prepare=False)
        connection.prepare_threshold = 0

    def _same_process(self) -> None:
        if os.getpid() != self._pid:
            raise SagaError(
                f"the journal {self.shown} was opened in another process, before a fork\n"
                "  Open it where it is used: connections do not survive a fork."
            )


def _claim(row: tuple[Any, ...]) -> Claim:
    return Claim(run_of(row), row[10], row[11], row[14])


def _still(
    connection: Connection, _: int, owner: str, mark: int, rows: Sequence[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    """Those of the rows that an owner has taken, whose commit nobody has confirmed."""
    asked = {"run_ids": [row[0] for row in rows], "owner": owner, "mark": mark}
    # It waits for the end of that commit, should it be under way.
    found = {row[0] for row in connection.execute(_SQL["still_claimed"], asked)}
    return [row for row in rows if row[0] in found]
