"""
What durable runs cost, beside what the store itself can do in the same minutes, and beside DBOS.

``python -m tests.benchmarks.durable [sqlite] [postgres] [recovery]`` prints a table. Where the
package ``dbos`` is installed (``pip install dbos``), or DBOS_PYTHON names a Python that has it, the
same saga is run by DBOS on the same stores, in the same run. Disks here are noisy: look at ratios
and at CPU time.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import attrs

from saga_fsm import GUARDED, Orchestrator, Saga, Status, step
from saga_fsm.journals.sqlite import SqliteJournal
from saga_fsm.ports import Append, Birth, Entry, Store
from saga_fsm.runner.roster import Part


STEPS: Final = 4
COMMITS: Final = STEPS + 1
_ROUNDS: Final = 3


def _act(_ctx: Any) -> None:
    """Do nothing."""


def _undo(_ctx: Any, _result: object) -> None:
    """Undo nothing."""


SAGA: Final = Saga(
    "four", *[step(_act, name=f"s{i}", compensate=_undo) for i in range(STEPS)], contract=GUARDED
)


@attrs.frozen
class Row:
    """One measurement, and what was wanted of it."""

    what: str
    figure: str
    goal: str = ""

    def __str__(self) -> str:
        return f"{self.what:<58} {self.figure:<46} {self.goal}"


# ------------------------------------------------------------------ the raw limits


def raw_sqlite(folder: Path, seconds: float = 0.7) -> float:
    """Commits of one row a second, WAL and synchronous=FULL, one writer."""
    with closing(sqlite3.connect(folder / "raw.db", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, x TEXT)")
        return _rate(lambda: db.execute("INSERT INTO t (x) VALUES ('x')"), seconds)


def raw_postgres(url: str, seconds: float = 0.7) -> float:
    """Commits of one row a second, one client."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE TABLE IF NOT EXISTS raw (n bigserial PRIMARY KEY, x text)")
        return _rate(lambda: db.execute("INSERT INTO raw (x) VALUES ('x')"), seconds)


def _rate(call: Callable[[], object], seconds: float) -> float:
    begin, count = time.perf_counter(), 0
    while time.perf_counter() < begin + seconds:
        call()
        count += 1
    return count / (time.perf_counter() - begin)


# ------------------------------------------------------------------ sagas a second


def carried(journal: Store, at_once: int, seconds: float) -> tuple[float, float]:
    """Sagas a second, and milliseconds of CPU a saga, with so many in flight."""
    with Orchestrator(SAGA, journal=journal) as orchestrator:
        for _ in range(20):
            orchestrator.run(SAGA)
        gc.collect()
        begin, spent, count = time.perf_counter(), time.process_time(), 0
        waiting: deque[Any] = deque()
        while time.perf_counter() < begin + seconds:
            asked = orchestrator._asked(SAGA, count, None, stored=False, rest=True)
            waiting.append(asked.rest)
            count += 1
            if len(waiting) >= at_once:
                waiting.popleft().result()
        while waiting:
            waiting.popleft().result()
        took, spent = time.perf_counter() - begin, time.process_time() - spent
    return count / took, spent / count * 1e3


def throughput(
    make: Callable[[], Store], raw: Callable[[], float], *, many: int, seconds: float
) -> Iterator[tuple[int, float, float, float]]:
    """One at a time and many at a time, in turns, with the raw limit around each."""
    found: dict[int, list[tuple[float, float, float]]] = {1: [], many: []}
    for _ in range(_ROUNDS):
        for at_once, rows in found.items():
            before = raw()
            with closing(make()) as journal:
                rate, spent = carried(journal, at_once, seconds)
            rows.append((rate, spent, (before + raw()) / 2))
    for at_once, rows in found.items():
        rate, spent, limit = (statistics.median(column) for column in zip(*rows, strict=True))
        yield at_once, rate, spent, limit


def on_sqlite(folder: Path, seconds: float) -> Iterator[Row]:
    """SQLite, one at a time and 64 at a time."""
    rates = {}
    for at_once, rate, spent, raw in throughput(
        lambda: SqliteJournal(folder / "sagas.db"),
        lambda: raw_sqlite(folder),
        many=64,
        seconds=seconds,
    ):
        rates[at_once] = rate
        ratio = rate / (raw / COMMITS)
        yield Row(
            f"SQLite FULL, {at_once} at a time: sagas/s",
            f"{rate:,.0f}  {ratio:.2f} of raw {raw:,.0f}/s / {COMMITS}",
            "0.8 of raw / 5" if at_once == 1 else "",
        )
        yield Row(f"SQLite FULL, {at_once} at a time: CPU", f"{spent:.2f} ms a saga", "0.6 at 64")
    yield Row("SQLite, 64 at a time over one at a time", f"{rates[64] / rates[1]:.1f} times", "8")
    yield from beside_dbos("SQLite", f"sqlite:///{folder / 'dbos.db'}", rates[64], seconds)


def on_postgres(url: str, seconds: float) -> Iterator[Row]:
    """Postgres, one at a time and 32 at a time."""
    from saga_fsm.journals.postgres import PostgresJournal

    rates = {}
    for at_once, rate, spent, raw in throughput(
        lambda: PostgresJournal(url), lambda: raw_postgres(url), many=32, seconds=seconds
    ):
        rates[at_once] = rate
        ratio = rate / (raw / COMMITS)
        yield Row(
            f"Postgres, {at_once} at a time: sagas/s",
            f"{rate:,.0f}  {ratio:.2f} of raw {raw:,.0f}/s / {COMMITS}",
        )
        yield Row(f"Postgres, {at_once} at a time: CPU here", f"{spent:.2f} ms a saga")
    yield Row("Postgres, 32 at a time over one at a time", f"{rates[32] / rates[1]:.1f} times", "3")
    yield from beside_dbos("Postgres", url, rates[32], seconds)


# ------------------------------------------------------------------ DBOS

_DBOS = """
import json, sys, time
from collections import deque
from dbos import DBOS
url, at_once, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
DBOS(config={"name": "bench", "system_database_url": url, "application_version": "1",
             "run_admin_server": False})
@DBOS.step()
def s(n): return None
@DBOS.workflow()
def four(x):
    for n in range(4): s(n)
DBOS.launch()
for _ in range(3): four(0)
begin, count, waiting = time.perf_counter(), 0, deque()
while time.perf_counter() < begin + seconds:
    waiting.append(DBOS.start_workflow(four, count)); count += 1
    if len(waiting) >= at_once: waiting.popleft().get_result()
while waiting: waiting.popleft().get_result()
print(json.dumps(count / (time.perf_counter() - begin)))
"""


def beside_dbos(store: str, url: str, ours: float, seconds: float) -> Iterator[Row]:
    """The same saga by DBOS, on the same store; the better of one and 16 at a time."""
    python = os.environ.get("DBOS_PYTHON", sys.executable)
    if python == sys.executable and importlib.util.find_spec("dbos") is None:
        yield Row(f"{store}: times DBOS", "not measured: pip install dbos", "10")
        return
    rates = []
    for at_once in (1, 16):
        done = subprocess.run(  # noqa: S603 - ours
            [python, "-c", _DBOS, url, str(at_once), str(seconds)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode:
            yield Row(f"{store}: DBOS failed", done.stderr.strip().splitlines()[-1][:60])
            return
        rates.append(json.loads(done.stdout.strip().splitlines()[-1]))
    best = max(rates)
    yield Row(f"{store}: DBOS, sagas/s at 1 and 16", " and ".join(f"{r:,.1f}" for r in rates))
    yield Row(f"{store}: times DBOS, each at its best", f"{ours / best:.1f} times", "10")


# ------------------------------------------------------------------ recovery


def abandoned(journal: Store, runs: int, owner: str) -> None:
    """So many runs in flight, whose owner is gone: in their second step."""
    part = Part.of(SAGA)
    header = part.header(None)
    entries = [Entry("start", time.time(), header), Entry("done(s0)", time.time(), None)]
    for first in range(0, runs, 500):
        journal.commit(
            [
                Append(
                    f"left-{n}",
                    entries,
                    0,
                    1,
                    Status.RUNNING,
                    birth=Birth(f"left-{n}", *part.key, part.digest(None)),
                    owner=owner,
                )
                for n in range(first, min(runs, first + 500))
            ]
        )
    journal.beat(owner, -1.0)


def recovery(make: Callable[[], Store], runs: int, name: str) -> Iterator[Row]:
    """How soon the first of many runs moves, how fast they go on, and what they cost in memory."""
    with closing(make()) as journal:
        abandoned(journal, runs, "gone")
        # The most that this process ever had: what recovery adds to it.
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        first: list[float] = []

        def act(_ctx: Any) -> None:
            if not first:
                first.append(time.perf_counter())

        begin = time.perf_counter()
        saga = Saga(
            "four",
            *[step(act, name=f"s{i}", compensate=_undo) for i in range(STEPS)],
            contract=GUARDED,
        )
        with Orchestrator(saga, journal=journal) as orchestrator:
            orchestrator.recover()
            orchestrator.drain()
            took = time.perf_counter() - begin
            while journal.list_runs(status=Status.RUNNING, limit=1):
                time.sleep(0.01)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    yield Row(
        f"{name}: {runs:,} runs in flight, first move after", f"{first[0] - begin:.2f} s", "2 s"
    )
    yield Row(f"{name}: all of them at rest after", f"{took:.1f} s, {grown:.0f} MB more")


def main(argv: list[str]) -> None:
    """Print the table, as it comes."""
    seconds = float(os.environ.get("BENCH_SECONDS", "3"))
    folder = Path(tempfile.mkdtemp(prefix="durable", dir=os.environ.get("BENCH_FOLDER")))
    asked = set(argv) or {"sqlite", "postgres", "recovery"}
    try:
        if "sqlite" in asked:
            _show(on_sqlite(folder, seconds))
        if "recovery" in asked:
            _show(recovery(lambda: SqliteJournal(folder / "left.db"), 10_000, "SQLite"))
        if "postgres" in asked:
            from tests.postgres import Postgres

            with Postgres() as server:
                _show(on_postgres(server.url(server.create()), seconds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _show(rows: Iterator[Row]) -> None:
    for row in rows:
        load = os.getloadavg()[0]
        print(f"{row}   (load {load:.1f})", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
