"""Worlds on a real Postgres, the same again for each plan."""

from __future__ import annotations

import random
from contextlib import closing, suppress
from typing import Any

import pytest

from saga_fsm import GUARDED, Saga, Status, step
from saga_fsm.errors import SagaError
from saga_fsm.guard import Guard
from saga_fsm.journals.postgres import PostgresJournal
from saga_fsm.testing import explore_faults, replay
from saga_fsm.testing.worlds import killed, snapshot_of
from saga_fsm.testing.worlds import postgres as postgres_world
from saga_fsm.testing.worlds import sqlite as sqlite_world
from tests.postgres import HINT
from tests.sql_shops import SAGA, SCHEMA, Forgetful, SqlShop


psycopg = pytest.importorskip("psycopg", reason=HINT)
KeptConnection: Any = pytest.importorskip(
    "saga_fsm.testing.worlds._psycopg_connection", reason=HINT
).KeptConnection
ALL = ["seen", "effect", "till"]


class PgShop(SqlShop):
    """As psycopg writes it."""

    mark = "%s"


class PgForgetful(Forgetful):
    """As psycopg writes it."""

    mark = "%s"


class UrlShop(PgShop):
    """With a connection of its own for each call."""

    def __init__(self, url: str) -> None:
        super().__init__(None)
        self.url = url

    def _with(self, call: Any, *arguments: Any) -> Any:
        with psycopg.connect(self.url) as db:
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


class SessionShop(SqlShop):
    """With sessions of SQLAlchemy's, one a call."""

    def __init__(self, engine: Any) -> None:
        super().__init__(None)
        self.engine = engine

    def run(self, sql: str, *values: Any) -> list[Any]:
        """As SQLAlchemy writes it."""
        import sqlalchemy

        names = iter("abcdef")
        text = "".join(f":{next(names)}" if part == "?" else part for part in sql)
        given = dict(zip("abcdef", values, strict=False))
        found = self.db.execute(sqlalchemy.text(text), given)
        return [tuple(row) for row in found] if found.returns_rows else []

    def _with(self, call: Any, *arguments: Any) -> Any:
        from sqlalchemy.orm import Session

        with Session(self.engine, join_transaction_mode="create_savepoint") as session:
            self.db = session
            try:
                return call(*arguments)
            finally:
                self.db = None

    def act(self, ctx: Any) -> str:
        """In a session."""
        return str(self._with(super().act, ctx))

    def undo(self, ctx: Any) -> None:
        """Likewise."""
        self._with(super().undo, ctx)

    def is_consistent(self, outcome: Any) -> bool:
        """Likewise."""
        return bool(self._with(super().is_consistent, outcome))


def test_a_right_saga_stays_right(postgres_url: str) -> None:
    """No plan of the tour fails, and all rows are taken."""
    with postgres_world(PgShop, postgres_url, schema=SCHEMA) as shops:
        result = explore_faults(SAGA, world=shops, max_faults=0)
    assert result.ok, str(result)
    assert (result.complete, result.coverage) == (True, 1.0)


@pytest.mark.parametrize("by", ["template", "truncate"])
def test_steps_with_connections_of_their_own(postgres_url: str, by: Any) -> None:
    """They are put back too, if more slowly."""
    more = {"tables": ALL} if by == "truncate" else {}
    with postgres_world(UrlShop, postgres_url, schema=SCHEMA, by=by, **more) as shops:
        first = snapshot_of(shops, shops())
        result = explore_faults(SAGA, world=shops, max_faults=0, max_runs=8)
        assert result.ok, str(result)
        assert snapshot_of(shops, shops()) == first


def test_a_bug_in_the_sql_is_found(postgres_url: str) -> None:
    """Statements that do not look at the key do things twice, and the tour sees it."""
    with postgres_world(PgForgetful, postgres_url, schema=SCHEMA) as shops:
        result = explore_faults(SAGA, world=shops, max_faults=0, max_runs=150)
    assert any("does not agree" in failure.reason for failure in result.failures), str(result)


def test_nothing_is_left_in_the_database(postgres_url: str) -> None:
    """What plans commit is seen by nobody else, and is gone; sequences too."""
    schema = SCHEMA + "CREATE TABLE n (id SERIAL, x INT);"
    with postgres_world(PgShop, postgres_url, schema=schema) as shops:
        first = snapshot_of(shops, shops())
        for _ in range(3):
            shop = shops()
            assert snapshot_of(shops, shop) == first
            assert shop.run("INSERT INTO n (x) VALUES (7) RETURNING id") == [(1,)]
            shop.run("CREATE TABLE more (x INT)")
            shop.db.commit()
            shop.run("UPDATE till SET money = 0")
            with suppress(psycopg.Error):
                shop.run("no statement")
            shop.db.row_factory = psycopg.rows.dict_row
        with psycopg.connect(postgres_url) as other:
            assert other.execute("SELECT money FROM till").fetchall() == [(100,)]
            assert other.execute("SELECT to_regclass('more')").fetchall() == [(None,)]


def test_a_way_back_that_was_lost_is_told(postgres_url: str) -> None:
    """COMMIT hidden in a longer text, or a killed backend, is an error and not a leak."""
    with postgres_world(PgShop, postgres_url, schema=SCHEMA) as shops:
        shops().run("SELECT 1; COMMIT")
        with pytest.raises(SagaError, match="by='template'"):
            shops()


def test_a_table_that_is_not_put_back_is_told(postgres_url: str) -> None:
    """By truncation, what a plan changes elsewhere is a leak; unless it does not matter."""
    for ignore in ([], ["seen"]):
        with (
            psycopg.connect(postgres_url) as connection,
        ):
            connection.execute("DROP TABLE IF EXISTS seen, effect, till")
        shops = postgres_world(
            UrlShop,
            postgres_url,
            schema=SCHEMA,
            by="truncate",
            tables=["effect", "till"],
            ignore=ignore,
        )
        with shops:
            replay(SAGA, "", world=shops)
            if ignore:
                shops()
            else:
                with pytest.raises(SagaError, match="Name more in tables="):
                    shops()


def test_a_transaction_that_a_step_left_open_is_told(postgres_url: str) -> None:
    """By truncation, it would be waited for without end."""
    with (
        postgres_world(UrlShop, postgres_url, schema=SCHEMA, by="truncate", tables=ALL) as shops,
        psycopg.connect(shops().url) as forgotten,
    ):
        forgotten.execute("UPDATE till SET money = 0")
        with pytest.raises(SagaError, match="left a connection with a transaction open"):
            shops()
        forgotten.rollback()


@pytest.mark.parametrize("by", ["template", "truncate"])
def test_processes_that_are_really_killed(postgres_url: str, by: Any) -> None:
    """The world on a server outlives them, and so may the journal."""
    more = {"tables": ALL} if by == "truncate" else {}
    with postgres_world(UrlShop, postgres_url, schema=SCHEMA, by=by, **more) as shops:
        done = killed(
            SAGA,
            "reserve@0=crash_after ship@0=crash_before",
            world=shops,
            journal=lambda: PostgresJournal(postgres_url),
        )
        assert (done.reason, done.kills) == ("", 2)
        assert done.outcome.status is Status.COMPLETED


def test_first_rows_of_any_shape_are_put_back(postgres_url: str) -> None:
    """Identities, generated columns and references, in the order of their tables."""
    schema = """
    CREATE TABLE a (id INT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, x INT,
        y INT GENERATED ALWAYS AS (x * 2) STORED);
    CREATE TABLE b (a INT REFERENCES a);
    INSERT INTO a (x) VALUES (1), (2);
    INSERT INTO b VALUES (1);
    """
    worlds: Any = postgres_world(
        None, postgres_url, schema=schema, by="truncate", tables=["a", "b"], give="connection"
    )
    with worlds:
        for _ in range(2):
            db = worlds().connection
            assert db.execute("SELECT * FROM a, b").fetchall() == [(1, 1, 2, 1), (2, 2, 4, 1)]
            added = db.execute("INSERT INTO a (x) VALUES (5) RETURNING id").fetchone()
            assert added == (3,)
            db.commit()


def test_savepoint_on_a_connection_of_the_users_own(postgres_url: str) -> None:
    """Psycopg's goes back to a savepoint, and who commits on it is told."""
    with psycopg.connect(postgres_url) as db:
        db.execute(SCHEMA)
        with postgres_world(PgShop, connection=db, by="savepoint") as shops:
            first = snapshot_of(shops, shops())
            shops().run("UPDATE till SET money = 0")
            assert snapshot_of(shops, shops()) == first
            shops().db.commit()
            with pytest.raises(SagaError, match="has committed on this connection"):
                shops()
        db.rollback()


@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_sessions_of_sqlalchemy(postgres_url: str, kind: str) -> None:
    """An engine on the world's connection: sessions commit as they like."""
    pytest.importorskip("sqlalchemy")
    make: Any = postgres_world if kind == "postgres" else sqlite_world
    url = [postgres_url] if kind == "postgres" else []
    with make(SessionShop, *url, schema=SCHEMA, give="engine") as shops:
        result = explore_faults(SAGA, world=shops, max_faults=0, max_runs=150)
        assert result.ok, str(result)
        assert result.runs == 150


def test_sessions_that_join_a_connection(postgres_url: str) -> None:
    """A SQLAlchemy connection of the user's own, with sessions that make savepoints."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    url = postgres_url.replace("postgresql:", "postgresql+psycopg:")
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as db:
        for statement in SCHEMA.split(";"):
            if statement.strip():
                db.exec_driver_sql(statement)
        with postgres_world(SessionShop, connection=db, by="savepoint") as shops:
            first = snapshot_of(shops, shops())
            result = explore_faults(SAGA, world=shops, max_faults=0, max_runs=60)
            assert result.ok, str(result)
            assert first is not None
            assert snapshot_of(shops, shops()) == first
        db.rollback()
    engine.dispose()


def _take(ctx: Any) -> str:
    return str(ctx.services.guard.act(ctx, lambda db: (db.execute(SPEND.format("-")), "x")[1]))


def _put_back(ctx: Any, _: str | None) -> None:
    ctx.services.guard.undo(ctx, lambda db, _: db.execute(SPEND.format("+")))


SPEND = "UPDATE till SET money = money {} 1"


class Guarded(PgShop):
    """A participant behind the library's guard."""

    def __init__(self, db: Any) -> None:
        super().__init__(db)
        self.guard = Guard(lambda: closing(db))

    def is_consistent(self, outcome: Any) -> bool:
        """What went back costs nothing."""
        money = self.run("SELECT money FROM till")[0][0]
        return bool(money == 100) or outcome.status is not Status.COMPENSATED


def test_the_guard_on_the_worlds_connection(postgres_url: str) -> None:
    """Its transactions, savepoints and close() mean what they mean."""

    def schema(db: Any) -> None:
        db.execute(SCHEMA)
        db.commit()
        Guard(lambda: closing(db)).create_table()

    saga: Any = Saga(
        "guarded",
        step(_take, compensate=_put_back),
        step(_take, name="b", compensate=_put_back),
        contract=GUARDED,
    )
    with postgres_world(Guarded, postgres_url, schema=schema) as shops:
        result = explore_faults(saga, world=shops, max_faults=0, max_runs=100)
        assert result.ok, str(result)
        assert replay(saga, "", world=shops).world.run("SELECT money FROM till") == [(98,)]


def test_a_deferred_constraint_is_checked_at_commit(postgres_url: str) -> None:
    """As at a real one, each time; and the transaction is over then."""
    schema = """
    CREATE TABLE a (id INT PRIMARY KEY);
    CREATE TABLE b (a INT REFERENCES a DEFERRABLE INITIALLY DEFERRED);
    """
    with postgres_world(None, postgres_url, schema=schema) as worlds:
        db: Any = worlds().connection
        for _ in range(2):
            db.execute("INSERT INTO b VALUES (1)")
            with pytest.raises(psycopg.errors.ForeignKeyViolation):
                db.commit()
            assert db.execute("SELECT * FROM b").fetchall() == []
        db.execute("INSERT INTO b VALUES (1)")
        db.execute("INSERT INTO a VALUES (1)")
        db.commit()
        assert db.execute("SELECT * FROM b").fetchall() == [(1,)]


def test_parts_that_do_not_fit_are_refused() -> None:
    """What cannot be meant says what would be."""
    for match, options in [
        ("Known are: rollback", {"url": "x", "by": "magic"}),
        ("connection=", {"by": "savepoint"}),
        ("no url", {}),
        ("by='template'", {"url": "x", "give": "url"}),
        ("tables=", {"url": "x", "by": "truncate"}),
    ]:
        with pytest.raises(SagaError, match=match):
            postgres_world(**options)  # type: ignore[arg-type]


STEPS = [
    "INSERT INTO t VALUES (1)",
    "/* x */ UPDATE t SET x = x + 10",
    "DELETE FROM t WHERE x > 20",
    "SELECT count(*) FROM t",
    "INSERT INTO t VALUES (NULL)",
    "no statement",
    "CREATE TABLE IF NOT EXISTS u (y INT)",
    ".commit",
    ".rollback",
    ".block",
    ".fails",
    ".nested",
    ".many",
    ".copy",
    ".stream",
    ".autocommit",
    ".close",
]


def _say(db: Any, word: str) -> Any:
    """One thing that a user's code may do, and what it sees."""
    seen: Any = None
    try:
        if word == ".commit":
            db.commit()
        elif word == ".rollback":
            db.rollback()
        elif word == ".autocommit":
            db.autocommit = not db.autocommit
        elif word == ".many":
            with db.cursor() as cursor:
                cursor.executemany("INSERT INTO t VALUES (%s)", [(7,), (8,)])
        elif word == ".copy":
            with db.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
                copy.write_row((5,))
        elif word == ".stream":
            with db.cursor() as cursor:
                seen = list(cursor.stream("SELECT x FROM t ORDER BY x"))
        elif word in {".block", ".fails", ".nested"}:
            with suppress(ZeroDivisionError), db.transaction():
                db.execute("INSERT INTO t VALUES (9)")
                if word == ".nested":
                    with suppress(psycopg.Error), db.transaction():
                        db.execute("INSERT INTO t VALUES (NULL)")
                    db.execute("INSERT INTO t VALUES (10)")
                _ = 1 / (word != ".fails")
        elif word != ".close":
            cursor = db.execute(word)
            seen = cursor.fetchall() if cursor.description else cursor.rowcount
    except psycopg.Error as error:
        seen = type(error)
    return seen, db.autocommit, db.info.transaction_status


@pytest.mark.parametrize("seed", range(40))
def test_it_is_a_connection_like_any_other(postgres_url: str, seed: int) -> None:
    """Whatever code does, it sees what it would see on a connection that commits indeed."""
    luck = random.Random(seed)
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        for schema in "ab":
            admin.execute(f"CREATE SCHEMA {schema}")
            admin.execute(f"CREATE TABLE {schema}.t (x INT NOT NULL)")
    real = psycopg.connect(postgres_url, options="-csearch_path=a")
    kept = KeptConnection.connect(postgres_url, options="-csearch_path=b")
    kept.keep()
    with closing(real):
        for number in range(25):
            word = luck.choice(STEPS)
            assert _say(kept, word) == _say(real, word), (number, word)
            if word == ".close":
                kept.close()
                real.rollback()
            if real.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
                told = [db.execute("SELECT x FROM t ORDER BY x").fetchall() for db in (kept, real)]
                assert told[0] == told[1], (number, word)
                assert kept.info.transaction_status == real.info.transaction_status
        kept.take_back()
        assert kept.execute("SELECT count(*) FROM t").fetchone() == (0,)
    kept.end()
