"""Worlds on SQLite: real databases, the same again for each plan."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from saga_fsm import GUARDED, Saga, Status, step
from saga_fsm.errors import SagaError
from saga_fsm.guard import Guard
from saga_fsm.testing import explore_faults, replay
from saga_fsm.testing.worlds import snapshot_of, sqlite
from saga_fsm.testing.worlds._sqlite_connection import KeptConnection
from tests.sql_shops import SAGA, SCHEMA, Forgetful, PathShop, SqlShop, act, undo


# The slower ones do not run the whole tour.
WAYS: list[tuple[str, type[SqlShop], int]] = [
    ("rollback", SqlShop, 20_000),
    ("copy", SqlShop, 400),
    ("template", PathShop, 150),
]


@pytest.mark.heavy
@pytest.mark.parametrize(("by", "shop", "most"), WAYS)
def test_a_right_saga_stays_right(by: Any, shop: type[SqlShop], most: int):
    """No plan fails on a real database, however it is put back; the tour takes every row."""
    with sqlite(shop, schema=SCHEMA, by=by) as shops:
        result = explore_faults(SAGA, world=shops, max_faults=0, max_runs=most)
    assert result.ok, str(result)
    assert (result.runs == most) or (result.complete, result.coverage) == (True, 1.0)


@pytest.mark.parametrize("by", ["rollback", "copy"])
def test_a_bug_in_the_sql_is_found(by: Any):
    """Statements that do not look at the key do things twice, and the tour sees it."""
    with sqlite(Forgetful, schema=SCHEMA, by=by) as shops:
        result = explore_faults(SAGA, world=shops, max_faults=0, max_runs=200)
    assert any("does not agree" in failure.reason for failure in result.failures), result
    assert max(len(failure.plan) for failure in result.failures) <= 3


@pytest.mark.parametrize("by", ["rollback", "copy", "template"])
def test_nothing_leaks_from_plan_to_plan(by: Any):
    """What was committed, made or left open, and a schema changed, is gone for the next one."""
    with sqlite(schema=SCHEMA, by=by, give="connection") as worlds:
        first = snapshot_of(worlds, worlds())
        for _ in range(3):
            database: Any = worlds().connection
            assert snapshot_of(worlds, worlds()) == first
            database = worlds().connection
            database.execute("CREATE TABLE more (x)")
            database.execute("INSERT INTO effect VALUES ('a')")
            database.commit()
            database.execute("UPDATE till SET money = 0")
            database.row_factory = sqlite3.Row
            assert worlds().connection.execute("SELECT money FROM till").fetchone() == (100,)
    assert first is not None


def test_a_way_back_that_was_lost_is_told():
    """What ends the transaction around a plan is an error of that plan's world, not a leak."""
    trigger = """
    CREATE TRIGGER no BEFORE UPDATE ON till BEGIN SELECT RAISE(ROLLBACK, 'no'); END;
    """
    with sqlite(SqlShop, schema=SCHEMA + trigger) as shops:
        with suppress(sqlite3.IntegrityError):
            shops().run("UPDATE till SET money = 0")
        with pytest.raises(SagaError, match="by='copy'"):
            shops()


def test_a_connection_of_the_users_own():
    """Steps on a given connection go back to a savepoint; who commits on it is told."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(SCHEMA)
        with sqlite(SqlShop, connection=db, by="savepoint") as shops:
            first = snapshot_of(shops, shops())
            shops().run("UPDATE till SET money = 0")
            assert snapshot_of(shops, shops()) == first
            shops().run("UPDATE till SET money = 1")
        assert db.execute("SELECT money FROM till").fetchone() == (100,)
        with sqlite(SqlShop, connection=db, by="savepoint") as shops:
            shops().db.commit()
            with pytest.raises(SagaError, match="has committed on this connection"):
                shops()


def test_a_step_that_does_not_commit():
    """Its writes are there for itself only: the end of its process takes them back."""
    with sqlite(SqlShop, schema=SCHEMA) as shops:
        shop = shops()
        shop.effect("kept")
        shop.db.commit()
        shop.effect("lost")
        assert shop.db.in_transaction
        shops.process_died()
        assert shop.run("SELECT step FROM effect") == [("kept",)]


def test_template_files_are_removed():
    """Each plan has a file, and in the end none is left."""
    shops = sqlite(PathShop, schema=SCHEMA, by="template")
    paths = [Path(shops().path) for _ in range(3)]
    assert [path.exists() for path in paths] == [False, False, True]
    assert len(list(paths[0].parent.iterdir())) == 2
    shops.close()
    assert not paths[0].parent.exists()


def test_worlds_are_compared_by_rows():
    """Order does not count, an ignored column does not, all else does; also what Python keeps."""
    with sqlite(SqlShop, schema=SCHEMA, ignore=["seen.key"]) as shops:
        shop = shops()
        first = snapshot_of(shops, shop)
        shop.run("INSERT INTO effect VALUES ('a'), ('b')")
        # A crash would take it back: another world than it seems.
        assert snapshot_of(shops, shop) is None
        shop.db.commit()
        one = snapshot_of(shops, shop)
        assert one not in {None, first}
        shop = shops()
        shop.run("INSERT INTO effect VALUES ('b')")
        shop.run("INSERT INTO effect VALUES ('a')")
        shop.db.commit()
        assert snapshot_of(shops, shop) == one
        shop.run("INSERT INTO seen VALUES ('1', 'x')")
        shop.db.commit()
        other = snapshot_of(shops, shop)
        shop.run("UPDATE seen SET key = '2'")
        shop.db.commit()
        assert snapshot_of(shops, shop) == other != one
        shop.cache = 1  # type: ignore[attr-defined]
        assert snapshot_of(shops, shop) != other


def test_two_files_with_the_same_rows_are_the_same_world():
    """The path tells nobody apart."""
    with sqlite(PathShop, schema=SCHEMA, by="template") as shops:
        assert snapshot_of(shops, shops()) == snapshot_of(shops, shops())


def _take(ctx: Any) -> str:
    return str(ctx.services.guard.act(ctx, lambda db: (db.execute(SPEND.format("-")), "x")[1]))


def _put_back(ctx: Any, _: str | None) -> None:
    ctx.services.guard.undo(ctx, lambda db, _: db.execute(SPEND.format("+")))


SPEND = "UPDATE till SET money = money {} 1"


class Guarded(SqlShop):
    """A participant behind the library's guard, which begins and closes as it does anywhere."""

    def __init__(self, db: Any) -> None:
        super().__init__(db)
        self.guard = Guard(lambda: closing(db))

    def is_consistent(self, outcome: Any) -> bool:
        """What went back costs nothing."""
        money = self.run("SELECT money FROM till")[0][0]
        return bool(money == 100) or outcome.status is not Status.COMPENSATED


def test_the_guard_on_the_worlds_connection():
    """BEGIN IMMEDIATE, savepoints, COMMIT and close() mean what they mean."""

    def schema(db: sqlite3.Connection) -> None:
        Guard(lambda: closing(db)).create_table()
        db.executescript(SCHEMA)

    saga: Any = Saga(
        "guarded",
        step(_take, compensate=_put_back),
        step(_take, name="b", compensate=_put_back),
        contract=GUARDED,
    )
    with sqlite(Guarded, schema=schema) as shops:
        result = explore_faults(saga, world=shops, max_faults=0, max_runs=400)
        assert result.ok, str(result)
        assert replay(saga, "", world=shops).world.run("SELECT money FROM till") == [(98,)]


def test_a_deferred_constraint_is_checked_at_commit():
    """As at a real one; and what failed to commit can be rolled back."""
    schema = """
    PRAGMA foreign_keys = ON;
    CREATE TABLE a (id INTEGER PRIMARY KEY);
    CREATE TABLE b (a REFERENCES a DEFERRABLE INITIALLY DEFERRED);
    """
    with sqlite(schema=schema) as worlds:
        database: Any = worlds().connection
        database.execute("INSERT INTO b VALUES (1)")
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            database.commit()
        database.rollback()
        with database:
            database.execute("INSERT INTO b VALUES (1)")
            database.execute("INSERT INTO a VALUES (1)")
        assert database.execute("SELECT * FROM b").fetchall() == [(1,)]


def test_parts_that_do_not_fit_are_refused():
    """What cannot be meant says what would be."""
    with pytest.raises(SagaError, match="Known are: rollback"):
        sqlite(by="magic")  # type: ignore[arg-type]
    with pytest.raises(SagaError, match="by='template'"):
        sqlite(give="path")
    with pytest.raises(SagaError, match="connection="):
        sqlite(by="savepoint")
    with pytest.raises(SagaError, match="autocommit=False"):
        sqlite(autocommit=False)


class Incomparable(SqlShop):
    """Nobody can say what it is made of."""

    def __init__(self, db: Any) -> None:
        super().__init__(db)
        self.generator = (x for x in "x")


@pytest.mark.heavy
def test_plans_that_begin_from_the_same_world_are_left_out():
    """By rows worlds are the same, and fewer plans are run; without comparing, all are."""
    saga: Any = Saga("short", step(act, name="a", compensate=undo), contract=GUARDED)
    found: dict[type, Any] = {}
    for shop in (SqlShop, Incomparable):
        with sqlite(shop, schema=SCHEMA) as shops:
            found[shop] = explore_faults(saga, world=shops, max_faults=2)
            assert found[shop].ok, str(found[shop])
    assert found[SqlShop].pruned > 0 == found[Incomparable].pruned
    assert found[SqlShop].runs < found[Incomparable].runs


STEPS = [
    "INSERT INTO t VALUES (1)",
    "insert into t values (2) -- two",
    "/* x */ UPDATE t SET x = x + 10",
    "DELETE FROM t WHERE x > 20",
    "SELECT count(*) FROM t",
    "BEGIN",
    "begin immediate;",
    "COMMIT",
    "END TRANSACTION",
    "ROLLBACK",
    "SAVEPOINT one",
    "SAVEPOINT two",
    "RELEASE one",
    "RELEASE SAVEPOINT two",
    "ROLLBACK TO one",
    "INSERT INTO t VALUES (NULL)",
    "CREATE TABLE IF NOT EXISTS u (y)",
    ".commit",
    ".rollback",
    ".script",
    ".with",
    ".fails",
    ".many",
]


def _say(db: Any, word: str) -> Any:
    """One thing that a user's code may do, and what it sees."""
    seen: Any = None
    try:
        if word == ".commit":
            db.commit()
        elif word == ".rollback":
            db.rollback()
        elif word == ".script":
            db.executescript("INSERT INTO t VALUES (5); INSERT INTO t VALUES (6);")
        elif word == ".many":
            db.executemany("INSERT INTO t VALUES (?)", [(7,), (8,)])
        elif word in {".with", ".fails"}:
            with suppress(ZeroDivisionError), db:
                db.execute("INSERT INTO t VALUES (9)")
                _ = 1 / (word == ".with")
        else:
            seen = db.execute(word).fetchall()
    except sqlite3.Error as error:
        seen = type(error)
    return seen, db.in_transaction, sorted(db.execute("SELECT x FROM t"))


@settings(max_examples=300)
@given(st.lists(st.sampled_from(STEPS), max_size=12), st.sampled_from(["", "IMMEDIATE", None]))
@example(["SAVEPOINT two", "COMMIT", "RELEASE SAVEPOINT two"], "")
@example(["SAVEPOINT one", "SAVEPOINT one", "RELEASE one", "ROLLBACK"], None)
def test_it_is_a_connection_like_any_other(words: list[str], level: str | None) -> None:
    """Whatever code does, it sees what it would see on a connection that commits indeed."""
    real = sqlite3.connect(":memory:", isolation_level=level)  # type: ignore[arg-type]
    kept = KeptConnection(":memory:", isolation_level=level)
    try:
        for db in (real, kept):
            db.execute("CREATE TABLE t (x NOT NULL)")
            db.commit()
        kept.keep()
        for number, word in enumerate(words):
            assert _say(kept, word) == _say(real, word), (number, word)
        kept.take_back()
        assert kept.execute("SELECT count(*) FROM t").fetchone() == (0,)
    finally:
        real.close()
        kept.end()
