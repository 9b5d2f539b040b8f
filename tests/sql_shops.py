"""A shop on a database, right and wrong, for tests of the worlds that databases make."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from saga_fsm import GUARDED, Rejected, Retry, Saga, Status, pivot, retriable, step


# One row for each key that was ever seen, and the effects that stand.
SCHEMA = """
CREATE TABLE seen (key VARCHAR(99) PRIMARY KEY, mark VARCHAR(9) NOT NULL);
CREATE TABLE effect (step VARCHAR(99) NOT NULL);
CREATE TABLE till (money INTEGER NOT NULL);
INSERT INTO till VALUES (100);
"""


class SqlShop:
    """
    Keeps its promises, in plain SQL, one transaction a call.

    Args:
        db: a connection, of sqlite3 or psycopg.
    """

    mark = "?"

    def __init__(self, db: Any) -> None:
        self.db = db

    def run(self, sql: str, *values: Any) -> list[Any]:
        """Run a statement."""
        cursor = self.db.execute(sql.replace("?", self.mark), values)
        return cursor.fetchall() if cursor.description else []

    def seen(self, key: str) -> str:
        """What was written down for a key."""
        return next((row[0] for row in self.run("SELECT mark FROM seen WHERE key = ?", key)), "")

    def act(self, ctx: Any) -> str:
        """Cause the effect of a step once for its key, unless its undo came first."""
        mark = self.seen(ctx.key)
        if not mark:
            self.run("INSERT INTO seen VALUES (?, 'applied')", ctx.key)
            self.effect(ctx.step)
        self.db.commit()
        if mark == "undone":
            raise Rejected("it has been undone")
        return str(ctx.step)

    def effect(self, step: str) -> None:
        """Cause it."""
        self.run("INSERT INTO effect VALUES (?)", step)
        self.run("UPDATE till SET money = money - 1")

    def undo(self, ctx: Any) -> None:
        """Take it back, or see that it does not come."""
        mark = self.seen(ctx.action_key)
        if mark == "applied":
            self.run("UPDATE seen SET mark = 'undone' WHERE key = ?", ctx.action_key)
            self.run("DELETE FROM effect WHERE step = ?", ctx.step)
            self.run("UPDATE till SET money = money + 1")
        elif not mark:
            self.run("INSERT INTO seen VALUES (?, 'undone')", ctx.action_key)
        self.db.commit()

    def is_consistent(self, outcome: Any) -> bool:
        """Each effect stands once at most, all money is somewhere, and nothing stands when back."""
        steps = [row[0] for row in self.run("SELECT step FROM effect")]
        money = self.run("SELECT money FROM till")[0][0]
        whole = money + len(steps) == 100 and len(steps) == len(set(steps))
        return whole and not (steps and outcome.status is Status.COMPENSATED)


class Forgetful(SqlShop):
    """The planted bug: no look at the key."""

    def act(self, ctx: Any) -> str:
        """Do it, whatever was done before."""
        self.effect(ctx.step)
        self.db.commit()
        return str(ctx.step)

    def undo(self, ctx: Any) -> None:
        """Take back whatever is there."""
        gone = self.run("DELETE FROM effect WHERE step = ? RETURNING 1", ctx.step)
        self.run("UPDATE till SET money = money + ?", len(gone))
        self.db.commit()


class PathShop(SqlShop):
    """The same with a connection of its own for each call."""

    def __init__(self, path: str) -> None:
        super().__init__(None)
        self.path = path

    def _with(self, call: Any, *arguments: Any) -> Any:
        with closing(sqlite3.connect(self.path)) as db:
            self.db = db
            try:
                return call(*arguments)
            finally:
                self.db = None

    def act(self, ctx: Any) -> str:
        """On a connection of its own."""
        return str(self._with(super().act, ctx))

    def undo(self, ctx: Any) -> None:
        """Likewise."""
        self._with(super().undo, ctx)

    def is_consistent(self, outcome: Any) -> bool:
        """Likewise."""
        return bool(self._with(super().is_consistent, outcome))


def act(ctx: Any) -> str:
    """The action of every step here."""
    return str(ctx.services.act(ctx))


def undo(ctx: Any, _: str | None) -> None:
    """And the compensation."""
    ctx.services.undo(ctx)


SAGA: Any = Saga(
    "sql",
    step(act, name="reserve", compensate=undo, retry=Retry(attempts=2)),
    step(act, name="charge", compensate=undo),
    pivot(act, name="ship"),
    retriable(act, name="tell"),
    contract=GUARDED,
)
