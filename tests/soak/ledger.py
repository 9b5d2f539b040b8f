"""
The participants of the soak, and what is true of them afterwards: in a database of their own.

An effect and its undo move money; each is kept under its key, so that one that comes twice, or too
late, changes nothing: idempotent and fenced. Rejections are by chance and not remembered, so a run
that forgets that it has turned back can go on, and is found out.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from saga_fsm import Status
from saga_fsm.ports import Run


STEPS = ("a", "b", "c", "d")
_TABLES = """
CREATE TABLE IF NOT EXISTS effects (
    run TEXT NOT NULL, step TEXT NOT NULL, landed INTEGER NOT NULL, undone INTEGER NOT NULL,
    fenced INTEGER NOT NULL, PRIMARY KEY (run, step)
);
CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, balance INTEGER NOT NULL);
"""


class Ledger:
    """Money, moved by steps and moved back by their undos."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        # Not synchronous: a killed process leaves its pages to the kernel.
        with closing(sqlite3.connect(self.path, isolation_level=None, timeout=60)) as db:
            db.execute("PRAGMA synchronous = OFF")
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")

    def make(self) -> None:
        """Tables, and no money anywhere."""
        with closing(sqlite3.connect(self.path)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_TABLES)
            db.executemany("INSERT OR IGNORE INTO accounts VALUES (?, 0)", [("us",), ("them",)])
            db.commit()

    def act(self, run: str, step: str) -> None:
        """Move one coin, once; not after the undo."""
        with self._writing() as db:
            row = db.execute(
                "SELECT landed, fenced FROM effects WHERE run = ? AND step = ?", (run, step)
            ).fetchone()
            if row is None:
                db.execute("INSERT INTO effects VALUES (?, ?, 1, 0, 0)", (run, step))
                _move(db, 1)

    def undo(self, run: str, step: str) -> None:
        """Move it back, once; if it has not come yet, it shall not come."""
        with self._writing() as db:
            row = db.execute(
                "SELECT landed, undone FROM effects WHERE run = ? AND step = ?", (run, step)
            ).fetchone()
            if row is None:
                db.execute("INSERT INTO effects VALUES (?, ?, 0, 0, 1)", (run, step))
            elif row == (1, 0):
                db.execute(
                    "UPDATE effects SET undone = 1, fenced = 1 WHERE run = ? AND step = ?",
                    (run, step),
                )
                _move(db, -1)

    # ------------------------------------------------------------------ the oracle

    def violations(self, runs: list[Run]) -> list[str]:
        """What is wrong, now that every run rests: nothing, if all was done right."""
        with closing(sqlite3.connect(self.path)) as db:
            rows = db.execute("SELECT run, step, landed, undone FROM effects").fetchall()
            balances = dict(db.execute("SELECT name, balance FROM accounts"))
        nets: dict[str, Counter[str]] = {}
        for run, step, landed, undone in rows:
            nets.setdefault(run, Counter())[step] = landed - undone
        found = [
            f"{run.run_id} is {run.status.value} and has {dict(net)}"
            for run in runs
            if not _right(run.status, net := nets.pop(run.run_id, Counter()))
        ]
        found += [f"{run} was never stored and has {dict(net)}" for run, net in nets.items()]
        coins = sum(landed - undone for _, _, landed, undone in rows)
        if balances != {"us": -coins, "them": coins}:
            found.append(f"{coins} coins were moved and the accounts hold {balances}")
        return found


def _move(db: sqlite3.Connection, coins: int) -> None:
    db.execute("UPDATE accounts SET balance = balance - ? WHERE name = 'us'", (coins,))
    db.execute("UPDATE accounts SET balance = balance + ? WHERE name = 'them'", (coins,))


def _right(status: Status, net: Counter[str]) -> bool:
    if status is Status.COMPLETED:
        return all(net[step] == 1 for step in STEPS)
    return status is Status.COMPENSATED and all(net[step] == 0 for step in STEPS)
