"""
Prints what a journal costs: ``python -m tests.benchmarks.journals [sqlite] [postgres] [rows]``.

Each rate stands beside the raw single-row commits of the same database, sampled before and after it
in the same minute: the disk may be shared, so trust the ratio and the CPU time. ``rows`` are the
appends and listings at 10^4, 10^5 and 10^6 entries, which take a few minutes.
"""

from __future__ import annotations

import contextlib
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from saga_fsm.journals.postgres import PostgresJournal
from saga_fsm.journals.sqlite import SqliteJournal
from saga_fsm.machine import Status
from saga_fsm.ports import Append, Birth, Entry
from tests.postgres import Postgres


SECONDS = 2.0
DATA = '{"result": {"reference": "0123456789abcdef", "amount": 1200}}'
SIZES = (10_000, 100_000, 1_000_000)


def born(run_id: str, *, status: Status = Status.RUNNING, entries: int = 1) -> Append:
    """A birth with so many entries."""
    birth = Birth(run_id, "order", "f1", "d1")
    events = [Entry(f"done(step{n})", 1.0, DATA) for n in range(entries)]
    return Append(run_id, events, 0, 0, status, birth=birth, owner="bench")


def grown(run_id: str, expected: int) -> Append:
    """One more entry."""
    entries = [Entry("done(step)", 1.0, DATA)]
    return Append(run_id, entries, expected, 1, Status.RUNNING, owner="bench")


def raw_sqlite(folder: Path) -> float:
    """Single-row commits a second: WAL, FULL, one writer."""
    with contextlib.closing(sqlite3.connect(folder / "raw.db", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE IF NOT EXISTS raw (n INTEGER PRIMARY KEY, data TEXT)")
        return rate(lambda: db.execute("INSERT INTO raw (data) VALUES (?)", [DATA]), 1.0)


def raw_postgres(url: str) -> float:
    """Single-row commits a second, by one client."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE TABLE IF NOT EXISTS raw (n bigserial PRIMARY KEY, data text)")
        return rate(lambda: db.execute("INSERT INTO raw (data) VALUES (%s)", [DATA]), 1.0)


def rate(act: Callable[[], object], seconds: float) -> float:
    """How often a second."""
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        act()
        count += 1
    return count / (time.perf_counter() - begin)


def appends(journal: Any, threads: int) -> tuple[float, float]:
    """Appends a second by so many threads, each with a run of its own; CPU microseconds of each."""
    counts = [0] * threads
    name = f"{time.time_ns()}"
    journal.commit([born(f"{name}.{n}") for n in range(threads)])
    end = time.perf_counter() + SECONDS

    def one(n: int) -> None:
        while time.perf_counter() < end:
            assert journal.commit([grown(f"{name}.{n}", 1 + counts[n])]) == [None]
            counts[n] += 1

    begin, cpu = time.perf_counter(), time.process_time()
    workers = [threading.Thread(target=one, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    taken = time.perf_counter() - begin
    return sum(counts) / taken, (time.process_time() - cpu) / sum(counts) * 1e6


def compare(kind: str, journal: Any, raw: Callable[[], float]) -> None:
    """Print the rates of one store."""
    print(f"{kind:10}  at once   appends/s   raw commits/s   ratio   CPU us/append (client)")
    for threads in (1, 16, 64):
        before = raw()
        found, cpu = appends(journal, threads)
        limit = statistics.mean((before, raw()))
        figures = f"{found:9,.0f}   {limit:13,.0f}   {found / limit:5.2f}   {cpu:8.0f}"
        print(f"{'':10}  {threads:7}   {figures}")


def fill(journal: Any, runs: int, begin: int) -> None:
    """Store runs of ten entries each, from number ``begin``: one of a hundred is stuck."""
    for first in range(begin, runs, 500):
        status = {True: Status.STUCK, False: Status.COMPLETED}
        journal.commit(
            [
                born(f"r{n}", status=status[n % 100 == 0], entries=10)
                for n in range(first, min(first + 500, runs))
            ]
        )


def milliseconds(act: Callable[[], object]) -> float:
    """Median of eleven."""
    taken: list[float] = []
    for _ in range(11):
        begin = time.perf_counter()
        act()
        taken.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(taken)


def grow(kind: str, journal: Any, raw: Callable[[], float]) -> None:
    """Print what appends and listings cost in journals of different sizes."""
    print(f"{kind:10}    entries  appends/s  ratio  CPU us  ms: 100 stuck / a page of all / claim")
    done = 0
    for size in SIZES:
        fill(journal, size // 10, done)
        done = size // 10
        before = raw()
        found, cpu = appends(journal, 16)
        limit = statistics.mean((before, raw()))
        journal.beat("bench", 1e6)
        middle = f"r{size // 20}"
        times = (
            milliseconds(lambda: journal.list_runs(status=Status.STUCK)),
            milliseconds(partial(journal.list_runs, after=middle)),
            milliseconds(lambda: journal.claim("other", [("order", "f1")], 10)),
        )
        shown = " / ".join(f"{one:.2f}" for one in times)
        figures = f"{found:9,.0f}  {found / limit:5.2f}  {cpu:6.0f}  {shown}"
        print(f"{'':10}  {size:9,}  {figures}")


@contextlib.contextmanager
def stores(kind: str, folder: Path) -> Iterator[tuple[Any, Callable[[], float]]]:
    """A journal, and what measures its database."""
    if kind == "sqlite":
        with contextlib.closing(SqliteJournal(folder / "runs.db")) as journal:
            yield journal, lambda: raw_sqlite(folder)
    else:
        with Postgres() as server, contextlib.closing(PostgresJournal(server.url())) as journal:
            yield journal, lambda: raw_postgres(server.url())


def main() -> None:
    """Print the tables."""
    asked = sys.argv[1:]
    for kind in ("sqlite", "postgres"):
        if asked and kind not in asked:
            continue
        with tempfile.TemporaryDirectory() as name, stores(kind, Path(name)) as (journal, raw):
            compare(kind, journal, raw)
            if "rows" in asked:
                grow(kind, journal, raw)


if __name__ == "__main__":
    main()
