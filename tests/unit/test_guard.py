"""The guard on the standard library's SQLite: the laws, what it refuses, effects outside."""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import attrs
import pytest

from saga_fsm import Rejected, Transient
from saga_fsm.errors import DefinitionError, MalformedReplyError
from saga_fsm.guard import AsyncGuard, Guard, GuardError, _rows, schema
from tests.guard_laws import Brief, Laws, Shop, ctx_of, opened, sqlite_shop, sqlite_sql


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the database is."""
    return str(tmp_path / "shop.db")


class TestSqlite(Laws):
    """A new connection a call, closed after."""

    @pytest.fixture
    def shop(self, path: str) -> Shop:
        """The participant."""
        return sqlite_shop(path)


class TestSqliteWays(Brief):
    """Other ways to a connection."""

    @pytest.fixture(params=["one", "one in autocommit", "rows by name", "begun"])
    def shop(self, request: pytest.FixtureRequest, path: str) -> Any:
        """The participant."""
        one = sqlite3.connect(path, isolation_level=None)
        other = sqlite3.connect(path)
        other.row_factory = sqlite3.Row

        def begun() -> sqlite3.Connection:
            one.execute("BEGIN IMMEDIATE")
            return one

        ways: dict[str, Callable[[], Any]] = {
            "one": lambda: other,
            "one in autocommit": lambda: one,
            "rows by name": lambda: nullcontext(other),
            "begun": begun,
        }
        own: Any = lambda: other  # noqa: E731
        guard = Guard(ways[request.param])
        with closing(one), closing(other):
            yield opened(Shop(guard, own, lambda on, sql: on.execute(sql), sqlite_sql(path)))


# ------------------------------------------------------------------ what it refuses


def test_autocommit_is_refused_in_a_transaction_of_ones_own(path: str) -> None:
    """Without a transaction, row and effect would not be written together."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        guard = Guard(lambda: connection)
        guard.create_table()
        within = guard.within(connection)
        for asked in (
            lambda: within.act(ctx_of(), lambda _: 1),
            lambda: within.undo(ctx_of(), lambda *_: 1),
            lambda: within.ask(ctx_of()),
        ):
            with pytest.raises(GuardError, match=r"autocommit mode.*\n.*BEGIN IMMEDIATE"):
                asked()
        connection.execute("BEGIN IMMEDIATE")
        assert within.act(ctx_of(), lambda _: 1).result() == 1


def test_a_busy_database_is_transient(path: str) -> None:
    """A lock that is not to be had: surely nothing was written, and the next attempt may be."""
    shop = sqlite_shop(path)
    shop.guard = attrs.evolve(shop.guard, begin=lambda: closing(sqlite3.connect(path, timeout=0)))
    ctx = ctx_of()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for asked in (shop.take, shop.put_back, shop.ask):
            with pytest.raises(Transient, match="database is busy: database is locked"):
                asked(ctx)
    assert (shop.take(ctx), shop.bodies) == ("sold", 1)


def test_a_snapshot_that_is_too_old_is_transient(path: str) -> None:
    """Whoever read first, in a transaction of his own, cannot write after somebody else did."""
    shop = sqlite_shop(path)
    shop.sql("PRAGMA journal_mode = WAL")
    ctx = ctx_of()
    with closing(sqlite3.connect(path, isolation_level=None)) as late:
        late.execute("BEGIN")
        late.execute("SELECT * FROM sales").fetchall()
        shop.take(ctx_of("meanwhile"))
        with pytest.raises(Transient, match="database is busy"):
            shop.guard.within(late).act(ctx, shop.body(ctx))
        late.execute("ROLLBACK")
    assert (shop.take(ctx), shop.net(ctx)) == ("sold", 1)


def test_a_body_that_ends_the_transaction_is_told(path: str) -> None:
    """The effect stands and the guard knows no more than that: unknown, and then undone."""
    shop = sqlite_shop(path)
    ctx = ctx_of()

    def sell_and_commit(connection: sqlite3.Connection) -> str:
        connection.execute(f"INSERT INTO sales VALUES ('{ctx.key}', 1)")
        connection.commit()
        return "sold"

    with pytest.raises(sqlite3.OperationalError, match="no such savepoint"):
        shop.guard.act(ctx, sell_and_commit)
    assert (shop.net(ctx), shop.state(ctx)) == (1, "begun")
    assert shop.put_back(ctx) == [None]
    assert (shop.net(ctx), shop.state(ctx)) == (0, "compensated")


def test_a_body_that_deletes_its_row_is_told(path: str) -> None:
    """Nothing is written where the guard cannot write its row."""
    shop = sqlite_shop(path)

    def forget(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM saga_guard")

    with pytest.raises(GuardError, match="'r1/take' is gone from its own transaction"):
        shop.guard.act(ctx_of(), forget)


def test_a_row_that_is_pruned_as_fast_as_it_comes_is_told() -> None:
    """It is looked for again, and not for ever."""

    class Pruned:
        def execute(self, _: str, **values: Any) -> int:
            return 0

        def find(self, _: str, **values: Any) -> None:
            return None

    with pytest.raises(GuardError, match="the row of 'r1/take' comes and goes"):
        _rows.carry(_rows.claim("r1/take", "begun"), Pruned())


def test_an_async_body_is_refused(path: str) -> None:
    """A coroutine that nobody awaits would be an effect that never comes."""

    async def sell(_: Any) -> None: ...

    with pytest.raises(GuardError, match="a body is async"):
        sqlite_shop(path).guard.act(ctx_of(), sell)


@pytest.mark.parametrize("table", ["", "a b", "x;DROP TABLE y", "a.b.c", '"quoted"', "1st"])
def test_a_table_is_named_plainly(table: str) -> None:
    """The name goes into the SQL as it is."""
    for make in (Guard, AsyncGuard):
        with pytest.raises(GuardError, match="is no name for the guard's table"):
            make(list, table=table)


def test_rejects_are_exceptions() -> None:
    """What would fail at the first action is refused when the guard is made."""
    with pytest.raises(DefinitionError, match="rejects of the guard is 'CardDeclined'"):
        Guard(list, rejects="CardDeclined")  # type: ignore[arg-type]


def test_a_predicate_may_say_what_a_rejection_is(path: str) -> None:
    """As for a step; one that raises has not spoken."""
    shop = sqlite_shop(path)
    shop.guard = attrs.evolve(shop.guard, rejects=lambda error: error.args[0] == "no")
    with pytest.raises(Rejected, match=r"^no$"):
        shop.take(ctx_of("a"), ValueError("no"))
    for error in (ValueError("perhaps"), ValueError()):
        with pytest.raises(ValueError, match=r"^(perhaps)?$"):
            shop.take(ctx_of("b"), error)
    assert shop.state(ctx_of("b")) is None


def test_what_is_no_connection_is_told() -> None:
    """The message says what it knows."""
    with pytest.raises(GuardError, match=r"a str is no connection.*\n.*sqlite3, psycopg 3"):
        Guard(lambda: nullcontext("shop.db")).create_table()


def test_the_error_travels() -> None:
    """Its facts are attributes, and come back with the same text."""
    error = GuardError(message="m", remedy="r", key="k")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (again.key, str(again)) == ("k", "m\n  r")


def test_the_schema_is_what_the_guard_makes(path: str) -> None:
    """A migration that runs the text makes the same table; for Postgres there is one too."""
    other = path + ".other"
    sqlite_shop(path)
    with closing(sqlite3.connect(other)) as connection:
        connection.executescript(schema("sqlite"))
    made = "SELECT sql FROM sqlite_master WHERE name LIKE 'saga_guard%' ORDER BY name"
    assert sqlite_sql(path)(made) == sqlite_sql(other)(made) != []
    assert "app.saga_guard (" in schema("postgres", "app.saga_guard")


def test_a_table_may_stand_in_a_schema(path: str) -> None:
    """Its index stands beside it."""
    guard = Guard(lambda: closing(sqlite3.connect(path)), table="main.mine")
    guard.create_table()
    assert guard.act(ctx_of(), lambda _: [1]) == [1]


# ------------------------------------------------------------------ effects outside


@attrs.define
class Card:
    """A card API that has never heard of the database."""

    shop: Shop
    lifetime: float = 0.0
    asked: list[str] = attrs.field(factory=list)
    charged: dict[str, str] = attrs.field(factory=dict)

    @property
    def guard(self) -> Any:
        """The guard before it."""
        return self.shop.guard.outside(lifetime=self.lifetime)

    def charge(self, ctx: Any, error: BaseException | None = None) -> Any:
        """The action; the effect, then the error."""

        def effect() -> str:
            self.asked.append(f"charge {self.shop.state(ctx)}")
            if not isinstance(error, Rejected):
                self.charged.setdefault(ctx.key, "receipt")
            if error is not None:
                raise error
            return self.charged[ctx.key]

        return self.guard.act(ctx, effect)

    def refund(self, ctx: Any, error: BaseException | None = None) -> None:
        """The compensation; the effect, then the error."""

        def effect(result: str | None) -> None:
            self.asked.append(f"refund {self.shop.state(ctx)} {result}")
            self.charged.pop(ctx.action_key, None)
            if error is not None:
                raise error

        self.guard.undo(ctx, effect)

    def find(self, ctx: Any) -> Any:
        """The query of the other side."""

        def find() -> str:
            if ctx.key not in self.charged:
                raise Rejected("no such charge")
            return self.charged[ctx.key]

        return self.guard.ask(ctx, find)


@pytest.fixture
def card(path: str) -> Card:
    """The other side, and the guard before it."""
    return Card(sqlite_shop(path))


def test_outside_the_row_is_committed_before_the_effect(card: Card) -> None:
    """Begun, then the effect, then its outcome; a repeat asks nobody."""
    ctx = ctx_of()
    assert card.charge(ctx) == card.charge(ctx) == "receipt"
    assert (card.asked, card.shop.state(ctx)) == (["charge begun"], "applied")
    card.refund(ctx)
    card.refund(ctx)
    assert card.asked[1:] == ["refund undoing receipt"]
    assert (card.charged, card.shop.state(ctx)) == ({}, "compensated")
    with pytest.raises(Rejected, match="has been undone"):
        card.charge(ctx)


def test_outside_an_undo_never_thinks_that_it_is_empty(card: Card) -> None:
    """An action that began and said no more may have landed (apache/incubator-seata#6374)."""
    ctx = ctx_of()
    with pytest.raises(OSError, match="reply lost"):
        card.charge(ctx, OSError("reply lost"))
    assert (card.charged, card.shop.state(ctx)) == ({ctx.key: "receipt"}, "begun")
    card.refund(ctx)
    assert (card.charged, card.asked[-1]) == ({}, "refund undoing None")


def test_outside_what_began_is_asked_for_again_with_the_same_key(card: Card) -> None:
    """The other side knows the key, and so the effect is one."""
    ctx = ctx_of()
    for error in (OSError("reply lost"), Transient("busy")):
        with pytest.raises(type(error)):
            card.charge(ctx, error)
    assert card.charge(ctx) == "receipt"
    assert card.asked == ["charge begun"] * 3


def test_outside_a_rejection_is_remembered(card: Card) -> None:
    """And nothing is undone."""
    ctx = ctx_of()
    for error in (Rejected("declined"), None):
        with pytest.raises(Rejected, match="declined"):
            card.charge(ctx, error)
    card.refund(ctx)
    assert (card.asked, card.shop.state(ctx)) == (["charge begun"], "rejected")


def test_outside_an_undo_that_comes_first_refuses_what_comes_late(card: Card) -> None:
    """No effect is asked for, of either."""
    ctx = ctx_of()
    card.refund(ctx)
    with pytest.raises(Rejected, match="compensation came first"):
        card.charge(ctx)
    assert (card.asked, card.shop.state(ctx)) == ([], "fenced")


def test_outside_an_undo_that_failed_is_run_again(card: Card) -> None:
    """Its own effect may have landed or not: the other side knows its key."""
    ctx = ctx_of()
    card.charge(ctx)
    with pytest.raises(OSError, match="reply lost"):
        card.refund(ctx, OSError("reply lost"))
    with pytest.raises(Rejected, match="is being undone"):
        card.charge(ctx)
    card.refund(ctx)
    assert card.asked[1:] == ["refund undoing receipt"] * 2
    assert card.shop.state(ctx) == "compensated"


def test_outside_a_query_asks_the_other_side_where_it_does_not_know(card: Card) -> None:
    """What landed is known from then on; what did not is refused from then on."""
    landed, lost, never = ctx_of("landed"), ctx_of("lost"), ctx_of("never")
    for ctx in (landed, lost):
        with pytest.raises(OSError, match="reply lost"):
            card.charge(ctx, OSError("reply lost"))
    del card.charged[lost.key]
    with pytest.raises(GuardError, match=r"nothing says what came of it.*\n.*needs find="):
        card.guard.ask(landed)
    assert card.find(landed) == card.guard.ask(landed) == "receipt"
    for ctx in (lost, never):
        with pytest.raises(Rejected):
            card.find(ctx)
        with pytest.raises(Rejected):
            card.charge(ctx)
    assert card.charged == {landed.key: "receipt"}


def test_outside_a_lifetime_is_waited_out(card: Card) -> None:
    """An effect that may still be under way is neither undone nor denied, and then it is."""
    ctx = ctx_of()
    card.lifetime = 60.0
    with pytest.raises(OSError, match="reply lost"):
        card.charge(ctx, OSError("reply lost"))
    for asked in (card.refund, card.find):
        with pytest.raises(Transient, match="may be under way") as caught:
            asked(ctx)
        assert caught.value.after is not None
        assert 0 < caught.value.after <= 60.0
    card.shop.sql("UPDATE saga_guard SET at = at - 60")
    card.refund(ctx)
    assert (card.charged, card.shop.state(ctx)) == ({}, "compensated")


@pytest.mark.parametrize("meanwhile", ["refund", "find"])
def test_outside_what_lands_after_its_end_is_told_and_can_be_undone(
    card: Card, meanwhile: str
) -> None:
    """No lifetime, and the other side does not refuse: it must not be silent."""
    ctx = ctx_of()

    def slow() -> str:
        if meanwhile == "refund":
            card.refund(ctx)
        else:
            with pytest.raises(Rejected):
                card.find(ctx)
        card.charged[ctx.key] = "receipt"
        return "receipt"

    with pytest.raises(MalformedReplyError, match=r"'r1/take' landed, though it (has|was)"):
        card.guard.act(ctx, slow)
    card.refund(ctx)
    assert (card.charged, card.shop.state(ctx)) == ({}, "compensated")


def test_outside_what_lands_while_it_is_undone_is_undone_again(card: Card) -> None:
    """An undo does not say that it is done where the action landed behind its back."""
    ctx = ctx_of()

    def slow_refund(_: Any) -> None:
        with pytest.raises(MalformedReplyError, match="it is being undone"):
            land()

    def slow_charge() -> str:
        with pytest.raises(Transient, match="landed while it was being undone"):
            card.guard.undo(ctx, slow_refund)
        return "receipt"

    def land() -> None:
        # The outcome of the first copy, recorded while the undo is at the other side.
        from saga_fsm.guard import _guard, _outside

        codec = _guard.codec_of(card.shop.guard)
        told = card.guard.transact(_outside._end(ctx.key, codec, "applied", '"receipt"'))
        raise told

    with pytest.raises(OSError, match="reply lost"):
        card.charge(ctx, OSError("reply lost"))
    assert card.guard.act(ctx, slow_charge) == "receipt"
    card.refund(ctx)
    assert (card.asked[-1], card.shop.state(ctx)) == ("refund undoing receipt", "compensated")


def test_outside_two_copies_are_one_outcome(card: Card) -> None:
    """The second to record answers what stands, whichever it is."""
    ctx = ctx_of()

    def rejected_after_another() -> str:
        assert card.charge(ctx) == "receipt"
        raise Rejected("a duplicate")

    def landed_after_another() -> str:
        assert card.charge(other) == "receipt"
        return "another receipt"

    assert card.guard.act(ctx, rejected_after_another) == "receipt"
    other = ctx_of("other")
    assert card.guard.act(other, landed_after_another) == "receipt"


def test_outside_a_lock_after_the_effect_is_not_transient(card: Card, path: str) -> None:
    """Transient would say that nothing landed."""
    begin = lambda: closing(sqlite3.connect(path, timeout=0))  # noqa: E731
    card.shop.guard = attrs.evolve(card.shop.guard, begin=begin)
    ctx = ctx_of()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:

        def effect() -> str:
            other.execute("BEGIN IMMEDIATE")
            return "receipt"

        with pytest.raises(sqlite3.OperationalError, match="locked"):
            card.guard.act(ctx, effect)
        with pytest.raises(Transient, match="database is busy"):
            card.guard.act(ctx_of("next"), effect)
    assert card.shop.state(ctx) == "begun"
