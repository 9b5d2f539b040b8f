"""Trouble with a real SQLite file: nothing is lost, nothing is doubled, and who asked is told."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from saga_fsm.errors import SagaError, StoreBrokenError, StoreUnavailableError
from saga_fsm.journals.sqlite import SqliteJournal
from saga_fsm.machine import Status
from saga_fsm.ports import Append, Birth, Entry


ROOT = Path(__file__).parents[2]
MACHINE = ("order", "f1")
WORLD = """
import os, sys
from saga_fsm.errors import *
from saga_fsm.journals.sqlite import SqliteJournal
from saga_fsm.machine import Status
from saga_fsm.ports import Append, Birth, Entry

def born(run_id):
    birth = Birth(run_id, "order", "f1", "d1")
    return Append(run_id, [Entry("start", 1.0, None)], 0, 0, Status.RUNNING, birth=birth)

def grown(run_id, expected, data=None):
    entries = [Entry(f"{expected}", 2.0, data), Entry(f"{expected + 1}", 2.0, data)]
    return Append(run_id, entries, expected, 1, Status.RUNNING)
"""


def _child(code: str, *args: object, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Start a process that has the words of ``WORLD``."""
    text = WORLD + textwrap.dedent(code)
    command = [*before, sys.executable, "-W", "error", "-c", text, *map(str, args)]
    return subprocess.Popen(  # noqa: S603 - our own
        command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def _said(child: subprocess.Popen[str], timeout: float = 60.0) -> list[str]:
    out, _ = child.communicate(timeout=timeout)
    assert child.returncode == 0, out
    return out.split("\n")[:-1]


def _born(run_id: str, *events: str) -> Append:
    birth = Birth(run_id, *MACHINE, "d1")
    entries = [Entry(event, 1.0, None) for event in events or ("start",)]
    return Append(run_id, entries, 0, 0, Status.RUNNING, birth=birth)


def _next(run_id: str, expected: int, *events: str) -> Append:
    entries = [Entry(event, 2.0, None) for event in events]
    return Append(run_id, entries, expected, 1, Status.RUNNING)


def _events(journal: SqliteJournal, run_id: str) -> list[str]:
    return [entry.event for entry in journal.read(run_id)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is."""
    return tmp_path / "runs.db"


@pytest.fixture
def journal(path: Path) -> Iterator[SqliteJournal]:
    """A journal of one run with one entry, that does not wait long."""
    one = SqliteJournal(path, busy=0.2)
    assert one.commit([_born("a")]) == [None]
    yield one
    one.close()


FULL = """
    path, ballast = sys.argv[1:]
    journal = SqliteJournal(path)
    if not ballast:
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
    journal.commit([born("a")])
    written = 1
    while True:
        one = grown("a", written, "x" * 2_000)
        try:
            assert journal.commit([one]) == [None]
        except StoreUnavailableError as error:
            print(type(error).__name__, error.unknown, str(error).replace("\\n", " "))
            break
        written += 2
        assert written < 5_000, "the disk was never full"
    assert len(journal.read("a")) == written
    # A listing and a reader of its own see the same.
    assert journal.find("a")[0].position == written
    if ballast:
        os.unlink(ballast)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    assert journal.commit([one]) == [None]
    assert journal.commit([born("b")]) == [None]
    events = [entry.event for entry in SqliteJournal(path).read("a")]
    assert events == ["start", *(str(n) for n in range(1, written + 2))], events
    print(len(events) - written)
"""


def _mounts() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],  # noqa: S607
        check=False,
        capture_output=True,
    )
    return tried.returncode == 0


@pytest.mark.parametrize("how", ["a file system of its own", "a limit of the process"])
def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path, how: str) -> None:
    """The append that does not fit is not written at all; with room again, the same one is."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if how == "a limit of the process" or not _mounts():
        (said, more) = _said(_child(FULL, disk / "runs.db", ""))
        assert said.startswith("StoreUnavailableError False")
    else:
        mount = f"mount -t tmpfs -o size=900k tmpfs {disk}"
        fill = f"head -c 300000 /dev/zero >{disk}/ballast"
        before = ("unshare", "-m", "sh", "-c", f'{mount} && {fill} && exec "$@"', "sh")
        (said, more) = _said(_child(FULL, disk / "runs.db", disk / "ballast", before=before))
        assert "full" in said
    assert "Nothing was changed" in said
    assert more == "2"


def test_a_writer_in_another_process_is_waited_for_and_then_told(
    journal: SqliteJournal, path: Path
) -> None:
    """As long as ``busy`` says; reading goes on, and after it the same append is written."""
    child = _child(
        """
        import sqlite3
        db = sqlite3.connect(sys.argv[1], isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        print("locked", flush=True)
        sys.stdin.readline()
        """,
        path,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "locked\n"
    append = _next("a", 1, "x")
    with pytest.raises(StoreUnavailableError, match=r"locked[\s\S]*Nothing was changed"):
        journal.commit([append])
    with pytest.raises(StoreUnavailableError, match="locked"):
        journal.post("a", "cancel")
    assert _events(journal, "a") == ["start"]
    child.communicate("\n", timeout=20.0)
    assert journal.commit([append]) == [None]
    assert _events(journal, "a") == ["start", "x"]


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path) -> None:
    """Somebody gave the wrong path: nothing of it is overwritten."""
    path.write_bytes(b"dear diary, " * 1_000)
    with pytest.raises(StoreBrokenError, match=r"not a database[\s\S]*backup"):
        SqliteJournal(path)
    assert path.read_bytes() == b"dear diary, " * 1_000
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_place_where_no_file_can_be_is_told(tmp_path: Path) -> None:
    """A folder that is not there, or a folder instead of a file."""
    for place in (tmp_path / "missing" / "runs.db", tmp_path):
        with pytest.raises(StoreUnavailableError, match="unable to open"):
            SqliteJournal(place)


def _filled(path: Path) -> None:
    with closing(SqliteJournal(path)) as one:
        one.commit([_born(f"r{n}", *(f"{'event' * 40}{m}" for m in range(20))) for n in range(100)])


def test_a_damaged_file_is_told_and_never_read_as_something_else(path: Path) -> None:
    """Page after page is overwritten: a run is read as it was, or the damage is told."""
    _filled(path)
    whole = path.read_bytes()
    pages, told = len(whole) // 4096, 0
    wanted = [f"{'event' * 40}{m}" for m in range(20)]
    for page in range(0, pages, 7):
        path.write_bytes(whole[: page * 4096] + b"\xa5" * 4096 + whole[(page + 1) * 4096 :])
        try:
            with closing(SqliteJournal(path)) as one:
                found = [[entry.event for entry in run] for run in one.read_many(_hundred())]
                assert found == [wanted] * 100
                assert len(one.list_runs()) == 100
        except StoreBrokenError:
            told += 1
        path.with_name("runs.db-wal").unlink(missing_ok=True)
        path.with_name("runs.db-shm").unlink(missing_ok=True)
    assert told > pages // 7 // 2


def test_a_file_that_was_cut_short_is_told(path: Path) -> None:
    """Half of it is missing: a page that is read is not there."""
    _filled(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // 4096 * 4096)
    with pytest.raises(StoreBrokenError, match="malformed"), closing(SqliteJournal(path)) as one:
        one.read_many(_hundred())


def _hundred() -> list[str]:
    return [f"r{n}" for n in range(100)]


def test_a_log_that_is_torn_anywhere_keeps_whole_commits(tmp_path: Path, path: Path) -> None:
    """As after a power cut: what is left is what was committed first, each commit all or none."""
    lasting = SqliteJournal(path)
    lasting.commit([_born("a", "0", "1")])
    lengths = [2 + 2 * n for n in range(8)]
    for length in lengths[:-1]:
        lasting.commit([_next("a", length, str(length), str(length + 1))])
    log = path.with_name("runs.db-wal").read_bytes()
    file = path.read_bytes()
    seen = set()
    for cut in range(0, len(log) + 1, 1_371):
        copy = tmp_path / f"cut{cut}" / "runs.db"
        copy.parent.mkdir()
        copy.write_bytes(file)
        copy.with_name("runs.db-wal").write_bytes(log[:cut])
        with closing(SqliteJournal(copy)) as one:
            events = _events(one, "a")
            assert events == [str(n) for n in range(len(events))]
            assert len(events) in {0, *lengths}
            found = one.find("a")
            assert found is None if not events else found is not None
            assert found is None or found[0].position == len(events)
            seen.add(len(events))
    lasting.close()
    assert seen >= {0, *lengths[:-1]}


def test_tables_of_a_newer_version_are_refused(path: Path) -> None:
    """What they mean is not known here: nothing is read and nothing is written."""
    SqliteJournal(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO saga_schema VALUES (99)")
    with pytest.raises(StoreBrokenError, match=r"version 99[\s\S]*Install the version"):
        SqliteJournal(path)


def test_tables_that_are_gone_are_told(journal: SqliteJournal, path: Path) -> None:
    """Somebody dropped them while the journal was open; no append is half written."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP TABLE saga_entries")
    with pytest.raises(StoreBrokenError, match="saga_entries"):
        journal.commit([_next("a", 1, "x")])
    found = journal.find("a")
    assert found is not None
    assert found[0].position == 1


def test_a_file_that_can_only_be_read_is_told(path: Path) -> None:
    """By whoever may not write it: an error that says so, and nothing is changed."""
    SqliteJournal(path).close()
    path.chmod(0o444)
    path.parent.chmod(0o555)
    for parent in path.parents[1:3]:
        parent.chmod(0o755)
    child = _child(
        """
        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        try:
            SqliteJournal(sys.argv[1]).commit([born("b")])
        except StoreUnavailableError as error:
            print(str(error).replace("\\n", " "))
        """,
        path,
    )
    (said,) = _said(child)
    assert "readonly" in said or "unable to open" in said
    assert "Nothing was changed" in said


def test_processes_that_start_at_once_make_the_tables_once(path: Path) -> None:
    """Six at one empty file: all can write, and none fails for the others."""
    code = """
        print("ready", flush=True)
        sys.stdin.readline()
        journal = SqliteJournal(sys.argv[1])
        assert journal.commit([born(sys.argv[2])]) == [None]
        print(len(journal.list_runs()) > 0)
    """
    children = [_child(code, path, f"r{n}") for n in range(6)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    assert [_said(child) for child in children] == [["True"]] * 6
    with closing(SqliteJournal(path)) as one:
        assert len(one.list_runs()) == 6
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT version FROM saga_schema").fetchall() == [(1,)]


def test_processes_that_write_one_run_get_each_place_once(path: Path) -> None:
    """Four at the end of one run: nothing is lost, doubled or mixed."""
    with closing(SqliteJournal(path)) as one:
        one.commit([_born("a")])
    code = """
        journal = SqliteJournal(sys.argv[1], busy=60.0)
        won = 0
        for _ in range(60):
            won += journal.commit([grown("a", len(journal.read("a")))]) == [None]
        print(won)
    """
    children = [_child(code, path) for _ in range(4)]
    won = sum(int(_said(child)[0]) for child in children)
    with closing(SqliteJournal(path)) as one:
        events = _events(one, "a")
    assert events == ["start", *(str(n) for n in range(1, 1 + 2 * won))]


def test_it_does_not_cross_a_fork(journal: SqliteJournal) -> None:
    """A child that uses its parent's connections would damage the file: it is refused."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            journal.commit([_next("a", 1, "x")])
        except SagaError as error:
            code = 0 if "before a fork" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert _events(journal, "a") == ["start"]


def test_it_is_copied_while_others_write(journal: SqliteJournal, tmp_path: Path) -> None:
    """A backup is what was committed at one moment, whole, and can be opened."""
    stop = threading.Event()

    def write() -> None:
        length = 1
        while not stop.is_set():
            assert journal.commit([_next("a", length, str(length), str(length + 1))]) == [None]
            length += 2

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for n in range(5):
            journal.backup(tmp_path / f"copy{n}.db")
    finally:
        stop.set()
        writer.join()
    for n in range(5):
        with closing(SqliteJournal(tmp_path / f"copy{n}.db")) as copy:
            events = _events(copy, "a")
            assert events == ["start", *(str(m) for m in range(1, len(events)))]
            assert len(events) % 2 == 1


def test_who_uses_it_after_it_was_closed_is_told(journal: SqliteJournal) -> None:
    """An error of the store, not of the driver."""
    journal.close()
    with pytest.raises(StoreUnavailableError, match="closed"):
        journal.commit([_next("a", 1, "x")])


def test_a_run_is_stored_in_the_callers_transaction(journal: SqliteJournal, path: Path) -> None:
    """With it or not at all; by sqlite3 and by SQLAlchemy."""
    with closing(sqlite3.connect(path)) as mine:
        mine.row_factory = sqlite3.Row
        assert journal.enter(Birth("b", *MACHINE, "d1", "in"), within=mine) is True
        assert journal.find("b") is None
        mine.commit()
        assert journal.enter(Birth("b", *MACHINE, "d1", "in"), within=mine) is False
        journal.enter(Birth("c", *MACHINE, "d1", "in"), within=mine)
        mine.rollback()
    assert [run.run_id for run in journal.list_runs()] == ["b", "a"]


def test_a_run_is_stored_in_the_transaction_of_sqlalchemy(
    journal: SqliteJournal, path: Path
) -> None:
    """Of a Connection and of a Session, whether it has begun or not."""
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="pip install -e '.[servers]'")
    from sqlalchemy.orm import Session

    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        journal.enter(Birth("b", *MACHINE, "d1", "in"), within=connection)
        connection.commit()
    with engine.connect() as connection:
        journal.enter(Birth("c", *MACHINE, "d1", "in"), within=connection)
        connection.rollback()
    with Session(engine) as session, session.begin():
        journal.enter(Birth("d", *MACHINE, "d1", "in"), within=session)
    engine.dispose()
    assert [run.run_id for run in journal.list_runs()] == ["d", "b", "a"]


def test_a_connection_that_cannot_hold_both_is_refused(
    journal: SqliteJournal, tmp_path: Path, path: Path
) -> None:
    """To another file, in autocommit mode, or of another driver."""
    birth = Birth("b", *MACHINE, "d1", "in")
    connections: list[tuple[Any, str]] = [
        (sqlite3.connect(tmp_path / "other.db"), "another database"),
        (sqlite3.connect(path, isolation_level=None), "autocommit"),
    ]
    for connection, told in connections:
        with closing(connection), pytest.raises(SagaError, match=told):
            journal.enter(birth, within=connection)
    with pytest.raises(SagaError, match="this journal is SQLite"):
        journal.enter(birth, within=object())
    asynchronous = pytest.importorskip("sqlalchemy.ext.asyncio", reason="pip install sqlalchemy")
    with pytest.raises(SagaError, match="within= is AsyncSession"):
        journal.enter(birth, within=asynchronous.AsyncSession())
    assert journal.find("b") is None
