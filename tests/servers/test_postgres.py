"""The Postgres of the tests: what starts it, and that nothing of it stays."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.postgres import HINT, Postgres, binaries


psycopg = pytest.importorskip("psycopg", reason=HINT)
POSTGRES = pytest.mark.skipif(binaries() is None, reason=HINT)


def test_each_test_has_a_database_of_its_own(postgres: Postgres, postgres_url: str) -> None:
    """What one test writes, another does not see."""
    other = postgres.create()
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE mine (n int)")
    with psycopg.connect(postgres.url(other)) as connection:
        assert connection.execute("SELECT to_regclass('mine')").fetchone() == (None,)
    postgres.drop(other)


def test_it_writes_to_the_disk_as_in_production(postgres_url: str) -> None:
    """A kill harness on a store that does not sync would prove nothing."""
    with psycopg.connect(postgres_url) as connection:
        settings = [
            connection.execute(f"SHOW {name}").fetchone()
            for name in ("fsync", "synchronous_commit", "full_page_writes")
        ]
    assert settings == [("on",), ("on",), ("on",)]


@POSTGRES
def test_a_committed_row_outlives_a_crash_of_the_server() -> None:
    """It can be killed and started again, on the same port and data."""
    with Postgres() as server:
        with psycopg.connect(server.url()) as connection:
            connection.execute("CREATE TABLE t AS SELECT 17 AS n")
        port = server.port
        server.kill()
        server.start()
        assert server.port == port
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("SELECT n FROM t").fetchone() == (17,)


_STARTS_AND_WAITS = """
import time
from tests.postgres import Postgres
with Postgres() as server:
    print(server._process.pid, server._folder, flush=True)
    time.sleep(600)
"""


@POSTGRES
@pytest.mark.skipif(not Path("/usr/bin/setpriv").exists(), reason="needs setpriv (util-linux)")
def test_it_dies_with_the_process_that_started_it() -> None:
    """Tests that are killed leave no server behind."""
    child = subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-c", _STARTS_AND_WAITS],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    server, folder = child.stdout.readline().split()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    end = time.monotonic() + 30
    while _runs(int(server)):
        assert time.monotonic() < end, "the server still runs"
        time.sleep(0.02)
    shutil.rmtree(folder)


def _runs(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    try:
        return state.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
