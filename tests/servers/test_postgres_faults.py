"""
Trouble with a real Postgres: nothing is lost, nothing is doubled, and who asked is told.

Connections run through a ``Wire`` of ours that cuts them where it is told: before a request is
passed on, after the server has answered and before the answer is, or with the request under way.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from saga_fsm.errors import (
    ConcurrentAppendError,
    LeaseLostError,
    SagaError,
    StoreBrokenError,
    StoreUnavailableError,
)
from saga_fsm.machine import Status
from saga_fsm.ports import Append, Birth, Entry
from tests.postgres import HINT, Postgres


psycopg = pytest.importorskip("psycopg", reason=HINT)

MACHINE = ("order", "f1")


class Wire:
    """A TCP proxy that cuts one connection where it is told."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._lock = threading.Lock()
        self._plan: tuple[str, int] | None = None
        self.fired = 0
        self._left: list[socket.socket] = []
        self.through = True  # else whoever comes is turned away
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, how: str, after: int) -> None:
        """
        Cut at the request that comes after so many others.

        Args:
            how: ``request`` loses it, ``reply`` loses its answer, ``late`` passes it on and leaves
                the server with it.
            after: requests that pass before.
        """
        self.fired, self._plan = 0, (how, after)

    def _due(self) -> str:
        with self._lock:
            if self._plan is None:
                return ""
            how, after = self._plan
            self._plan = None if after == 0 else (how, after - 1)
            self.fired += after == 0
            return how if after == 0 else ""

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if self.through:
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()
            else:
                _shut(client)

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            client.close()
            return
        mute = threading.Event()
        answered = threading.Event()

        def back() -> None:
            with contextlib.suppress(OSError):
                while data := server.recv(1 << 16):
                    if mute.is_set():
                        answered.set()
                    else:
                        client.sendall(data)
            answered.set()
            _shut(client)

        threading.Thread(target=back, daemon=True).start()
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                how = self._due()
                if how in {"reply", "late"}:
                    mute.set()
                if how != "request":
                    server.sendall(data)
                if how == "reply":
                    answered.wait(0.5)  # in a pipeline an answer may not be due yet
                if how:
                    _shut(client)
                if how == "late":
                    self._left.append(server)  # it goes on, and nobody listens
                    return
                if how:
                    break
        _shut(server)

    def close(self) -> None:
        """Take no more connections, and end those that were left with the server."""
        _shut(self._server)
        for one in self._left:
            _shut(one)


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


_OPEN: list[Any] = []


def _journal(url: str, **more: Any) -> Any:
    from saga_fsm.journals.postgres import PostgresJournal

    journal = PostgresJournal(url, **more)
    _OPEN.append(journal)
    return journal


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """What a test opens, it need not close."""
    yield
    while _OPEN:
        _OPEN.pop().close()


@pytest.fixture
def wire(postgres: Postgres) -> Iterator[Wire]:
    """A wire to the server of the session."""
    one = Wire(postgres.port)
    yield one
    one.close()


@pytest.fixture
def through(wire: Wire, postgres_url: str) -> str:
    """The database of the test, through the wire."""
    return f"postgresql://postgres@127.0.0.1:{wire.port}/{postgres_url.rpartition('/')[2]}"


def _born(run_id: str, owner: str = "", due: float | None = None) -> Append:
    birth = Birth(run_id, *MACHINE, "d1")
    entries = [Entry("start", 1.0, "{}")]
    return Append(run_id, entries, 0, 0, Status.RUNNING, birth=birth, owner=owner, due=due)


def _next(run_id: str, expected: int, *events: str, owner: str = "", fence: int = 1) -> Append:
    entries = [Entry(event, 2.0, None) for event in events]
    return Append(run_id, entries, expected, fence, Status.RUNNING, owner=owner)


def _events(journal: Any, run_id: str) -> list[str]:
    return [entry.event for entry in journal.read(run_id)]


# The longest commit here is of eleven requests, the last of them its COMMIT.
CUTS = [(how, after) for how in ("request", "reply") for after in range(12)]


@pytest.mark.parametrize(("how", "after"), CUTS)
def test_a_commit_is_written_once_wherever_its_connection_is_cut(
    wire: Wire, through: str, postgres_url: str, how: str, after: int
) -> None:
    """Its caller hears that it is written, and it is; at each request of it, lost or unanswered."""
    journal, plain = _journal(through), _journal(postgres_url)
    assert journal.commit([_born("old"), _born("other")]) == [None, None]
    wire.arm(how, after)
    appends = [
        *(_born("new"), _next("old", 1, "a", "b"), _next("old", 3, "c"), _next("other", 9, "no")),
        *(_born("old"), _next("new", 1, "d")),
    ]
    found = journal.commit(appends)
    assert [one is None for one in found] == [True, True, True, False, False, True]
    # What the first cut left over is met by the next commits.
    assert journal.commit([_next("other", 1, "e")]) == [None]
    assert journal.commit([_next("other", 2, "f")]) == [None]
    assert journal.commit([_next("other", 3, "g")]) == [None]
    assert _events(plain, "old") == ["start", "a", "b", "c"]
    assert _events(plain, "new") == ["start", "d"]
    assert _events(plain, "other") == ["start", "e", "f", "g"]
    # What comes together counts as one: of the later ones there may not be so many.
    assert wire.fired == 1 or after > 5


@pytest.mark.parametrize(("how", "after"), [cut for cut in CUTS if cut[1] < 8])
def test_words_births_and_claims_happen_once_wherever_they_are_cut(
    wire: Wire, through: str, postgres_url: str, how: str, after: int
) -> None:
    """One word, one birth that is new to its caller, and no claimed run that nobody knows of."""
    journal, plain = _journal(through), _journal(postgres_url)
    plain.beat("me", 600.0)
    plain.commit([_born("a", owner="me"), _born("b", due=1.0), _born("c", due=2.0)])
    for act in (
        lambda: journal.post("a", "cancel", by="ann"),
        lambda: journal.enter(Birth("new", *MACHINE, "d1", "in")),
        lambda: journal.beat("me", 600.0),
        lambda: [claim.run.run_id for claim in journal.claim("me", [MACHINE], 9)],
    ):
        wire.arm(how, after)
        found = act()
        assert found in (None, True, ["b", "c", "new"]) or found >= 1
    assert [word.by for word in plain.posted("me")] == ["ann"]
    assert plain.enter(Birth("new", *MACHINE, "d1", "in")) is False
    owned = {run.run_id for run in plain.list_runs() if run.owner == "me"}
    assert owned == {"a", "b", "c", "new"}
    assert plain.commit([_next("b", 1, "x", owner="me", fence=2)]) == [None]


@pytest.mark.parametrize("how", ["request", "reply", "late"])
def test_one_append_is_written_once_when_its_reply_is_lost(
    wire: Wire, through: str, postgres_url: str, how: str
) -> None:
    """Birth, move, giving up, and an append that loses: what became of each is told rightly."""
    journal, plain = _journal(through), _journal(postgres_url)
    assert journal.commit([_born("old", "me")]) == [None]
    for append in (
        _born("a", "me"),
        _next("a", 1, "x", "y", owner="me"),
        _next("a", 3, owner="me"),
        _next("a", 3, "z"),
    ):
        wire.arm(how, 0)
        assert journal.commit([append]) == [None]
        assert wire.fired == 1
    for append in (_born("a", "me"), _next("a", 3, "z"), _next("a", 1, "x", "y", owner="me")):
        wire.arm(how, 0)
        (error,) = journal.commit([append])
        assert isinstance(error, ConcurrentAppendError)
    wire.arm(how, 0)
    (error,) = journal.commit([_next("old", 1, "x", fence=2)])
    assert isinstance(error, LeaseLostError)
    assert (_events(plain, "a"), _events(plain, "old")) == (["start", "x", "y", "z"], ["start"])


def test_a_cut_request_that_is_still_under_way_is_not_written_beside_its_repetition(
    wire: Wire, through: str, postgres_url: str
) -> None:
    """The server holds the first attempt at a lock when the second comes: one is written."""
    journal, plain = _journal(through, patience=20.0), _journal(postgres_url)
    assert journal.commit([_born("a")]) == [None]
    with psycopg.connect(postgres_url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("LOCK TABLE saga_entries IN EXCLUSIVE MODE")
        wire.arm("late", 0)
        waiting = pool.submit(journal.commit, [_next("a", 1, "x"), _born("b")])
        # The first holds the runs and waits for the entries, the second waits for the first.
        _until(lambda: _blocked(postgres_url) == 2)
        other.rollback()
        assert waiting.result(30.0) == [None, None]
    assert wire.fired == 1
    assert (_events(plain, "a"), _events(plain, "b")) == (["start", "x"], ["start"])


def test_a_commit_that_could_not_be_confirmed_can_be_brought_again(
    wire: Wire, through: str, postgres_url: str
) -> None:
    """The error says that nobody knows; the same append counts as written, and is, once."""
    journal, plain = _journal(through, patience=0.3), _journal(postgres_url)
    assert journal.commit([_born("a")]) == [None]
    append = _next("a", 1, "x")
    wire.arm("reply", 0)
    wire.through = False
    with pytest.raises(StoreUnavailableError, match="is not known") as caught:
        journal.commit([append])
    assert caught.value.unknown
    assert _events(plain, "a") == ["start", "x"]
    wire.through = True
    assert journal.commit([append]) == [None]
    assert journal.commit([_next("a", 2, "y")]) == [None]
    assert _events(plain, "a") == ["start", "x", "y"]


@pytest.mark.parametrize("after", range(8))
def test_a_claim_that_nobody_could_confirm_is_found_by_the_next(
    wire: Wire, through: str, postgres_url: str, after: int
) -> None:
    """Runs that were taken without their owner hearing of it are not held for ever."""
    journal, plain = _journal(through, patience=0.3), _journal(postgres_url)
    plain.commit([_born(f"r{n}", due=float(n)) for n in range(3)])
    journal.beat("me", 600.0)
    taken: list[Any] = []
    wire.arm("reply", after)
    wire.through = False
    with contextlib.suppress(StoreUnavailableError):
        taken += journal.claim("me", [MACHINE], 9)
    wire.through, wire._plan = True, None
    taken += journal.claim("me", [MACHINE], 9)
    assert [(claim.run.run_id, claim.fence) for claim in taken] == [
        *(("r0", 2), ("r1", 2), ("r2", 2)),
    ]
    assert plain.commit([_next("r1", 1, "x", owner="me", fence=2)]) == [None]


def test_a_backend_that_is_ended_in_the_middle_of_a_commit(postgres_url: str) -> None:
    """An operator's ``pg_terminate_backend``: the commit is carried out by another connection."""
    journal = _journal(postgres_url, patience=20.0)
    assert journal.commit([_born("a")]) == [None]
    with psycopg.connect(postgres_url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("LOCK TABLE saga_entries IN EXCLUSIVE MODE")
        waiting = pool.submit(journal.commit, [_next("a", 1, "x", "y")])
        _until(lambda: _blocked(postgres_url) == 1)
        assert _terminate(postgres_url, blocked=True) == 1
        other.rollback()
        assert waiting.result(30.0) == [None]
    assert _events(journal, "a") == ["start", "x", "y"]


def test_backends_that_are_ended_all_the_time(postgres_url: str) -> None:
    """Under load: each append that was confirmed is there once, and nothing else is."""
    journal = _journal(postgres_url, patience=30.0)
    end = time.monotonic() + 3.0
    ended = 0
    with ThreadPoolExecutor(6) as pool:
        chains = [pool.submit(_chain, journal, f"r{n}", end) for n in range(6)]
        while time.monotonic() < end:
            ended += _terminate(postgres_url)
            time.sleep(0.05)
        written = [chain.result(60.0) for chain in chains]
    assert ended > 5
    for n, events in enumerate(written):
        assert _events(journal, f"r{n}") == events
        assert len(events) > 1


def test_a_server_that_is_killed_under_load_and_started_again() -> None:
    """SIGKILL to the postmaster: each append that was confirmed is there once, and nothing else."""
    with _server() as server:
        journal = _journal(server.url(), patience=60.0)
        end = time.monotonic() + 4.0
        with ThreadPoolExecutor(6) as pool:
            chains = [pool.submit(_chain, journal, f"r{n}", end) for n in range(6)]
            for _ in range(2):
                time.sleep(0.8)
                assert server._process is not None
                server._process.kill()
                server.kill()
                server.start()
            written = [chain.result(120.0) for chain in chains]
        for n, events in enumerate(written):
            assert _events(journal, f"r{n}") == events
            assert len(events) > 1


FULL = """
import os, random, sys
from pathlib import Path
from saga_fsm.errors import StoreUnavailableError
from saga_fsm.journals.postgres import PostgresJournal
from saga_fsm.machine import Status
from saga_fsm.ports import Append, Birth, Entry
from tests.postgres import Postgres

# With no room for its log a server may die: that would be a test of Postgres.
with Postgres(wal=Path(sys.argv[2]) / "wal") as server:
    journal = PostgresJournal(server.url(), patience=2.0)
    birth = Birth("a", "order", "f1", "d1")
    start = [Entry("start", 1.0, None)]
    journal.commit([Append("a", start, 0, 0, Status.RUNNING, birth=birth)])
    written = 1
    while True:
        noise = [Entry(str(written), 1.0, random.randbytes(40_000).hex())]
        one = Append("a", noise, written, 1, Status.RUNNING)
        try:
            assert journal.commit([one]) == [None]
        except StoreUnavailableError as error:
            print(str(error).replace(chr(10), " "))
            break
        written += 1
        assert written < 5_000, "the disk was never full"
    assert len(journal.read("a")) == journal.find("a")[0].position == written
    os.unlink(sys.argv[1])
    assert journal.commit([one]) == [None]
    events = [entry.event for entry in journal.read("a")]
    assert events == ["start", *(str(n) for n in range(1, written + 1))]
    journal.close()
    print("whole")
"""


def test_a_full_disk_is_told_and_loses_nothing(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The append that does not fit is not written; with room again, the same one is."""
    tried = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    if shutil.which("unshare") is None or subprocess.run(tried, check=False).returncode:  # noqa: S603
        pytest.skip("needs to mount a small file system: run it as root")
    ballast = tmp_path / "ballast"
    mount = f"mount -t tmpfs -o size=150m,mode=1777 tmpfs {tmp_path}"
    fill = f"head -c 60000000 /dev/zero >{ballast}"
    # A worker of pytest-xdist has one folder more.
    for parent in tmp_path.parents[:3]:
        parent.chmod(0o755)
    command = ["unshare", "-m", "sh", "-c", f'{mount} && {fill} && exec "$@"', "sh"]
    log = tmp_path_factory.mktemp("log")
    log.chmod(0o777)
    done = subprocess.run(  # noqa: S603 - our own
        [*command, sys.executable, "-c", FULL, str(ballast), str(log)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said, whole = done.stdout.splitlines()
    assert "No space left on device" in said
    assert "Nothing was changed" in said
    assert whole == "whole"


def test_a_server_that_is_gone_is_told_and_nothing_is_lost() -> None:
    """A clear error within the patience; when it is back, the same append is written once."""
    with _server() as server:
        journal = _journal(server.url(), patience=0.5)
        assert journal.commit([_born("a")]) == [None]
        server.stop()
        append = _next("a", 1, "x")
        begin = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="cannot be used now"):
            journal.commit([append])
        with pytest.raises(StoreUnavailableError, match=r"(?i)refused[\s\S]*Nothing was changed"):
            journal.read("a")
        assert time.monotonic() - begin < 10.0
        with pytest.raises(StoreUnavailableError, match="Nothing was changed"):
            _journal(server.url(), patience=0.2)
        server.start()
        assert journal.commit([append]) == [None]
        assert _events(journal, "a") == ["start", "x"]


def test_a_statement_timeout_changes_nothing(postgres_url: str) -> None:
    """Whoever administers the database may set one: it is told, and the append can be repeated."""
    journal = _journal(f"{postgres_url}?options=-c%20statement_timeout%3D300")
    assert journal.commit([_born("a")]) == [None]
    append = _next("a", 1, "x")
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE saga_entries IN EXCLUSIVE MODE")
        with pytest.raises(StoreUnavailableError, match="statement timeout") as caught:
            journal.commit([append])
    assert not caught.value.unknown
    assert _events(journal, "a") == ["start"]
    assert journal.commit([append]) == [None]


def test_a_lock_of_another_session_is_waited_for_and_then_told(postgres_url: str) -> None:
    """As long as the patience: not for ever; nothing is changed."""
    journal = _journal(postgres_url, patience=0.4)
    assert journal.commit([_born("a")]) == [None]
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE saga_runs IN ACCESS EXCLUSIVE MODE")
        for act in (
            lambda: journal.commit([_next("a", 1, "x")]),
            lambda: journal.post("a", "cancel"),
            lambda: journal.read("a"),
        ):
            with pytest.raises(StoreUnavailableError, match="lock timeout") as caught:
                act()
            assert not caught.value.unknown
    assert journal.commit([_next("a", 1, "x")]) == [None]


def test_a_database_that_only_reads_is_told(postgres_url: str) -> None:
    """As after a switch to a standby: nothing is changed, reading goes on."""
    _journal(postgres_url)
    journal = _journal(f"{postgres_url}?options=-c%20default_transaction_read_only%3Don")
    with pytest.raises(StoreUnavailableError, match="read-only") as caught:
        journal.commit([_born("a")])
    assert not caught.value.unknown
    assert list(journal.list_runs()) == []


def test_tables_of_a_newer_version_are_refused(postgres_url: str) -> None:
    """What they mean is not known here: nothing is read and nothing is written."""
    _journal(postgres_url)
    with psycopg.connect(postgres_url) as other:
        other.execute("INSERT INTO saga_schema VALUES (99)")
    with pytest.raises(StoreBrokenError, match=r"version 99[\s\S]*Install the version"):
        _journal(postgres_url)


def test_tables_that_are_gone_are_told(postgres_url: str) -> None:
    """Somebody dropped them while the journal was open."""
    journal = _journal(postgres_url)
    with psycopg.connect(postgres_url) as other:
        other.execute("DROP TABLE saga_entries")
    with pytest.raises(StoreBrokenError, match="saga_entries"):
        journal.commit([_born("a")])
    with psycopg.connect(postgres_url) as other:
        assert other.execute("SELECT count(*) FROM saga_runs").fetchone() == (0,)


def test_many_that_start_at_once_make_the_tables_once(postgres_url: str) -> None:
    """Eight connections, one empty database."""
    gate = threading.Barrier(8)

    def start(_: int) -> Any:
        gate.wait()
        return _journal(postgres_url)

    with ThreadPoolExecutor(8) as pool:
        journals = list(pool.map(start, range(8)))
    assert journals[0].commit([_born("a")]) == [None]
    assert [len(journal.read("a")) for journal in journals] == [1] * 8
    with psycopg.connect(postgres_url) as other:
        assert other.execute("SELECT version FROM saga_schema").fetchall() == [(1,)]


def test_time_is_the_databases(postgres_url: str) -> None:
    """Whatever the clock of the machine says on which the journal was opened."""
    journal = _journal(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as other:
        moment = "SELECT extract(epoch FROM clock_timestamp())::float8"
        before = other.execute(moment).fetchone()
        journal.commit([_born("a")])
        after = other.execute(moment).fetchone()
    assert before[0] <= journal.find("a")[0].started <= after[0]


def test_a_password_is_never_shown() -> None:
    """Not in the journal's name, not in an error, not when the address cannot be read."""
    url = "postgresql://anna:s3cret@127.0.0.1:1/shop?connect_timeout=1"
    with pytest.raises(StoreUnavailableError) as caught:
        _journal(url, patience=0.1)
    assert caught.value.store == "postgresql://127.0.0.1:1/shop"
    for wrong in ("postgresql://anna:s3cret%zz@db/shop", "host=db password='s3cret", "s3cret"):
        with pytest.raises(SagaError, match="cannot be read") as refused:
            _journal(wrong)
        for error in (refused.value, caught.value):
            chain = [error, error.__cause__]
            assert not any("s3cret" in str(one) or "anna" in str(one) for one in chain)


def test_a_run_is_stored_in_the_callers_transaction(postgres_url: str) -> None:
    """With it or not at all; by psycopg and by SQLAlchemy."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from sqlalchemy.orm import Session

    journal = _journal(postgres_url)
    with psycopg.connect(postgres_url) as mine:
        assert journal.enter(Birth("a", *MACHINE, "d1", "in"), within=mine) is True
        assert journal.find("a") is None
        mine.commit()
        assert journal.enter(Birth("a", *MACHINE, "d1", "in"), within=mine) is False
        journal.enter(Birth("b", *MACHINE, "d1", "in"), within=mine)
        mine.rollback()
    engine = sqlalchemy.create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        journal.enter(Birth("c", *MACHINE, "d1", "in"), within=connection)
        connection.commit()
    with engine.begin() as connection:
        journal.enter(Birth("d", *MACHINE, "d1", "in"), within=connection)
        connection.rollback()
    with Session(engine) as session, session.begin():
        journal.enter(Birth("e", *MACHINE, "d1", "in"), within=session)
    engine.dispose()
    assert [run.run_id for run in journal.list_runs()] == ["e", "c", "a"]


def test_a_connection_that_cannot_hold_both_is_refused(
    postgres: Postgres, postgres_url: str
) -> None:
    """To another database or server, in autocommit mode, or of another driver."""
    journal, birth = _journal(postgres_url), Birth("a", *MACHINE, "d1", "in")
    with (
        psycopg.connect(postgres.url()) as other,
        pytest.raises(SagaError, match="another database"),
    ):
        journal.enter(birth, within=other)
    with psycopg.connect(postgres_url, autocommit=True) as mine:
        with pytest.raises(SagaError, match="autocommit"):
            journal.enter(birth, within=mine)
        with mine.transaction():
            assert journal.enter(birth, within=mine) is True
    with pytest.raises(SagaError, match="this journal is Postgres"):
        journal.enter(birth, within=object())
    asynchronous = pytest.importorskip("sqlalchemy.ext.asyncio", reason="pip install sqlalchemy")
    with pytest.raises(SagaError, match="within= is AsyncSession"):
        journal.enter(birth, within=asynchronous.AsyncSession())
    assert [run.run_id for run in journal.list_runs()] == ["a"]


def _server() -> Postgres:
    from tests.postgres import binaries

    if binaries() is None:
        pytest.skip(HINT)
    return Postgres()


def _chain(journal: Any, run_id: str, end: float) -> list[str]:
    """Append one after the other until the time is over; what was confirmed."""
    assert journal.commit([_born(run_id)]) == [None]
    events = ["start"]
    while time.monotonic() < end:
        event = f"{run_id}.{len(events)}"
        assert journal.commit([_next(run_id, len(events), event)]) == [None]
        events.append(event)
    return events


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20.0
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


_OURS = "datname = current_database() AND pid <> pg_backend_pid()"


def _blocked(url: str) -> int:
    with psycopg.connect(url) as other:
        query = f"SELECT count(*) FROM pg_stat_activity WHERE {_OURS} AND wait_event_type = 'Lock'"
        return int(other.execute(query).fetchone()[0])


def _terminate(url: str, *, blocked: bool = False) -> int:
    which = f"{_OURS} AND wait_event_type = 'Lock'" if blocked else _OURS
    with psycopg.connect(url) as other:
        query = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {which}"
        return len(other.execute(query).fetchall())
