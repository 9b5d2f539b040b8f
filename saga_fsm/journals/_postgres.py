"""Connections to Postgres: lent, replaced when they are cut, and what their errors mean."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from saga_fsm.errors import MissingExtraError, SagaError, StoreBrokenError, StoreUnavailableError
from saga_fsm.journals._sql import versions


if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

T = TypeVar("T")

# "saga_fsm" as a number: whoever makes or changes tables holds this lock.
_LOCK = 0x736167615F66736D

# By what they begin with. Nothing was written, and the same may do well at once: a deadlock, a
# serialization failure, a server that starts or has no place for one more connection.
_AGAIN = ("40", "57P03", "53300")
# Nothing was written, and somebody has to mend something: full, read-only, a lock, a time limit, a
# right that is missing.
_PASSING = ("08", "25", "28", "3D", "42501", "53", "54", "55", "57", "58", "F0", "XX000")
# Tables that are not there, or not as they should be; damage.
_BROKEN = ("3F", "42", "XX")
# A peer that is gone without a word shall be noticed; what the caller gives goes before.
_WATCH = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}


def driver() -> Any:
    """
    Give psycopg.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import psycopg
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise MissingExtraError(what="psycopg", extra="postgres") from error
    return psycopg


def parsed(conninfo: str) -> dict[str, Any]:
    """
    Read a URL or ``key=value`` pairs.

    Raises:
        SagaError: it is neither; without its text, which may hold a password.
    """
    psycopg = driver()
    from psycopg.conninfo import conninfo_to_dict

    # SQLAlchemy names its driver in the scheme.
    _, named, rest = conninfo.partition("postgresql+psycopg://")
    try:
        return dict(conninfo_to_dict(f"postgresql://{rest}" if named else conninfo))
    except psycopg.Error:
        raise SagaError(
            "the address of the Postgres journal cannot be read\n"
            "  Give postgresql://user:password@host:port/database, with odd characters of the "
            "password percent-encoded."
        ) from None


def shown_as(facts: dict[str, Any]) -> str:
    """Name a server and its database, and nobody who may use it."""
    hosts = str(facts.get("host") or facts.get("hostaddr") or "").split(",")
    ports = str(facts.get("port") or "").split(",")
    places = [
        f"{host}:{port}" if port else host
        for host, port in zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=False)
    ]
    return f"postgresql://{','.join(places)}/{facts.get('dbname') or ''}"


def make_tables(connection: Connection, shown: str, *, create: bool) -> None:
    """
    Make the tables of a journal, or bring them to this version.

    Raises:
        StoreBrokenError: they are of a newer one, or are not there and are not to be made.
    """
    scripts = versions("postgres")
    version = _version(connection, shown, len(scripts))
    if version == len(scripts):
        return
    if not (version or create):
        raise StoreBrokenError(
            store=shown,
            message="it holds no runs: there are no tables of saga_fsm in it",
            remedy="Give the database of a journal; an orchestrator or 'run --journal' makes one.",
        )
    with connection.transaction():
        # Two that come at once: the second finds what the first has made.
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        connection.execute("CREATE TABLE IF NOT EXISTS saga_schema (version INTEGER NOT NULL)")
        version = _version(connection, shown, len(scripts))
        for number, script in enumerate(scripts[version:], version + 1):
            text: Any = script
            connection.execute(text, prepare=False)
            connection.execute("INSERT INTO saga_schema (version) VALUES (%s)", [number])


def _version(connection: Connection, shown: str, known: int) -> int:
    if connection.execute("SELECT to_regclass('saga_schema')").fetchone() == (None,):
        return 0
    row = connection.execute("SELECT coalesce(max(version), 0) FROM saga_schema").fetchone()
    version = int(row[0]) if row else 0
    if version > known:
        raise StoreBrokenError(
            store=shown,
            message=f"its tables are of version {version}, this saga_fsm knows {known}",
            remedy="Install the version of saga_fsm that wrote it, or a newer one.",
        )
    return version


class Line:
    """
    Connections to one database, lent to one thread each.

    Args:
        facts: of the address.
        shown: the address without credentials.
        most: so many connections at once; whoever comes then, waits.
        patience: seconds in which a store that cannot be reached may come back.
        prepare: what a new connection has to be told.
    """

    def __init__(
        self,
        facts: dict[str, Any],
        shown: str,
        most: int,
        patience: float,
        prepare: Callable[[Connection], None],
    ) -> None:
        self._facts = {**_WATCH, "connect_timeout": max(2, int(patience)), **facts}
        self._shown = shown
        self._patience = patience
        self._prepare = prepare
        self._room = threading.BoundedSemaphore(most)
        self._idle: deque[Connection] = deque()
        self._closed = False

    def ask(self, work: Callable[[Connection, int], T], *, writes: bool = True) -> T:
        """
        Have work done; again, on another connection, when its connection is cut.

        Args:
            work: gets a connection, and how many were cut under it so far: what it has committed
                then, nobody has heard.
            writes: whether it changes anything.

        Raises:
            StoreUnavailableError: no attempt came to an end.
            StoreBrokenError: these are no tables of a journal.
        """
        errors = driver()
        end = time.monotonic() + self._patience
        pause, cuts = 0.02, 0
        with self._room:
            while True:
                try:
                    connection = self._take()
                except errors.Error as error:
                    trouble, again = error, True
                else:
                    try:
                        done = work(connection, cuts)
                    except errors.Error as error:
                        trouble = error
                        cut = self._back(connection)
                        cuts += cut and writes
                        again = cut or _is(error, _AGAIN)
                    except BaseException:
                        # Stopped in the middle, by a signal for instance: nobody reads its answer.
                        connection.close()
                        raise
                    else:
                        self._back(connection)
                        return done
                if not again or time.monotonic() + pause > end or self._closed:
                    raise self._told(trouble, unknown=cuts > 0) from trouble
                time.sleep(pause)
                pause = min(pause * 2, 1.0)

    def close(self) -> None:
        """Give back the connections that nobody uses; the others, when they are through."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> Connection:
        if self._closed:
            raise StoreUnavailableError(store=self._shown, message="it was closed")
        try:
            return self._idle.pop()
        except IndexError:
            return self._connected()

    def _connected(self) -> Connection:
        connection: Connection = driver().connect(**self._facts, autocommit=True)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _back(self, connection: Connection) -> bool:
        """Take a connection back; whether it was cut, and then all that idle are suspect."""
        if connection.closed:
            while self._idle:
                self._idle.pop().close()
            return True
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)
        return False

    def _told(self, error: Exception, *, unknown: bool) -> Exception:
        """Say what the store's trouble means to who asked."""
        message = self._message(error)
        code = getattr(error, "sqlstate", None)
        if code is None:
            known = not isinstance(error, driver().OperationalError | driver().InterfaceError)
            if known:
                return error
        elif _is(error, _BROKEN) and not _is(error, _PASSING):
            remedy = "Restore it from a backup, or give the database of a journal."
            return StoreBrokenError(store=self._shown, message=message, remedy=remedy)
        elif not _is(error, (*_AGAIN, *_PASSING)):
            return error
        return StoreUnavailableError(store=self._shown, message=message, unknown=unknown)

    def _message(self, error: Exception) -> str:
        primary = getattr(getattr(error, "diag", None), "message_primary", None)
        lines = (primary or str(error) or type(error).__name__).strip().splitlines()
        message = "; ".join(line.strip() for line in lines)
        secret = self._facts.get("password")
        return message.replace(str(secret), "***") if secret else message


def _is(error: Exception, codes: tuple[str, ...]) -> bool:
    return str(getattr(error, "sqlstate", None) or "-").startswith(codes)


def in_transaction(given: Any, connection: Any, kind: Any) -> None:
    """
    Refuse what is no connection in whose transaction a run can be stored.

    Args:
        given: what the caller gave.
        connection: the driver's connection behind it.
        kind: which it has to be: psycopg's ``Connection`` or ``AsyncConnection``.
    """
    psycopg = driver()
    if not isinstance(connection, kind):
        awaited = kind is psycopg.AsyncConnection
        mark = "Async" if awaited else ""
        other = "" if awaited else " One that is awaited goes to AsyncOrchestrator.start."
        raise SagaError(
            f"within= is {type(given).__name__}, and this journal is Postgres by psycopg 3\n"
            f"  Give a psycopg.{mark}Connection, or an SQLAlchemy {mark}Session or "
            f"{mark}Connection of an engine postgresql+psycopg://, in whose transaction the run "
            f"shall be stored.{other}"
        )
    idle = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    if connection.autocommit and idle:
        raise SagaError(
            "within= is a connection in autocommit mode, outside of a transaction\n"
            "  Nothing would hold the run and your own rows together: begin one, "
            "`with connection.transaction():`."
        )
