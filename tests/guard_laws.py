"""What a guard keeps, on every kind of connection: one suite, and a shop for each kind."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from typing import Any

import attrs
import pytest

from saga_fsm import PENDING, Context, Rejected, Transient
from saga_fsm.guard import Guard, GuardError
from saga_fsm.guard._rows import carry, carry_async


SALES = "CREATE TABLE IF NOT EXISTS sales (name VARCHAR(80), amount INTEGER)"


def ctx_of(name: str = "take", run_id: str = "r1") -> Any:
    """What an action is given; its compensation finds the action's key in it too."""
    return Context(run_id=run_id, step=name, key=f"{run_id}/{name}", action_key=f"{run_id}/{name}")


@attrs.define
class Shop:
    """
    A participant on a database: sales, and a guard before them.

    Args:
        guard: the guard.
        own: gives a transaction of the test's own, on a connection of the guard's kind.
        write: executes SQL on such a connection.
        sql: executes SQL by the side, committed, and gives the rows.
        runner: the loop, where the guard is async.
    """

    guard: Any
    own: Callable[[], Any]
    write: Callable[[Any, str], Any]
    sql: Callable[[str], list[Any]]
    runner: asyncio.Runner | None = None
    bodies: int = 0

    def do(self, asked: Any) -> Any:
        """What the guard answers, awaited where it has to be."""
        return asked if self.runner is None else self.runner.run(asked)

    def coloured(self, steps: Callable[..., Any]) -> Callable[..., Any]:
        """A body of the guard's colour; its steps yield what they want of the connection."""
        if self.runner is None:
            return lambda connection, *given: carry(steps(*given), connection)

        async def body(connection: Any, *given: Any) -> Any:
            return await carry_async(steps(*given), connection)

        return body

    def body(
        self,
        ctx: Any,
        error: BaseException | None = None,
        result: Any = "sold",
        clash: str = "",
    ) -> Callable[..., Any]:
        """Sell one, and answer; or raise; or reject what the database refuses."""

        def sell() -> Any:
            self.bodies += 1
            yield lambda on: self.write(on, f"INSERT INTO sales VALUES ('{ctx.action_key}', 1)")
            try:
                if clash:
                    yield lambda on: self.write(on, clash)
            except Exception as refused:
                raise Rejected("it is there already") from refused
            if error is not None:
                raise error
            return result

        return self.coloured(sell)

    def take(self, ctx: Any, error: BaseException | None = None, result: Any = "sold") -> Any:
        """The action."""
        return self.do(self.guard.act(ctx, self.body(ctx, error, result)))

    def put_back(self, ctx: Any, error: BaseException | None = None) -> list[Any]:
        """The compensation; what its body was given, each time that it was called."""
        given: list[Any] = []

        def unsell(result: Any) -> Any:
            given.append(result)
            yield lambda on: self.write(on, f"INSERT INTO sales VALUES ('{ctx.action_key}', -1)")
            if error is not None:
                raise error

        self.do(self.guard.undo(ctx, self.coloured(unsell)))
        return given

    def ask(self, ctx: Any) -> Any:
        """The query."""
        return self.do(self.guard.ask(ctx))

    def net(self, ctx: Any) -> int:
        """How many effects stand."""
        sql = f"SELECT COALESCE(SUM(amount), 0) FROM sales WHERE name = '{ctx.action_key}'"
        return int(self.sql(sql)[0][0])

    def state(self, ctx: Any) -> str | None:
        """What the guard has written."""
        rows = self.sql(f"SELECT state FROM saga_guard WHERE key = '{ctx.action_key}'")
        return rows[0][0] if rows else None


class Brief:
    """The core of the promises, for each way to a connection; a subclass has a fixture ``shop``."""

    def test_an_action_lands_once_and_answers_the_same(self, shop: Shop) -> None:
        """Idempotent: the same key is one effect, whatever a repeat would do."""
        ctx = ctx_of()
        first = shop.take(ctx, result={"id": 7, "of": [1, 2]})
        again = shop.take(ctx, ValueError("not called"), result="other")
        assert first == again == {"id": 7, "of": [1, 2]}
        assert (shop.net(ctx), shop.bodies, shop.state(ctx)) == (1, 1, "applied")

    def test_a_rejection_is_remembered_and_its_effect_is_not(self, shop: Shop) -> None:
        """Sticky: what the body wrote is rolled back, and what it said is kept."""
        ctx = ctx_of()
        with pytest.raises(Rejected, match=r"^sold out$"):
            shop.take(ctx, Rejected("sold out"))
        with pytest.raises(Rejected, match=r"^sold out$"):
            shop.take(ctx)
        assert (shop.net(ctx), shop.bodies, shop.state(ctx)) == (0, 1, "rejected")
        assert shop.put_back(ctx) == []
        assert (shop.net(ctx), shop.state(ctx)) == (0, "rejected")

    def test_an_undo_is_done_once_and_stays(self, shop: Shop) -> None:
        """A compensation is idempotent, and the action does not come back."""
        ctx = ctx_of()
        shop.take(ctx, result=[3])
        assert shop.put_back(ctx) == [[3]]
        assert shop.put_back(ctx) == []
        with pytest.raises(Rejected, match="has been undone"):
            shop.take(ctx)
        assert (shop.net(ctx), shop.bodies, shop.state(ctx)) == (0, 1, "compensated")

    def test_in_a_transaction_of_ones_own(self, shop: Shop) -> None:
        """The answer is given, the rejection is raised after the commit, and is remembered."""
        good, bad = ctx_of("good"), ctx_of("bad")
        with shop.own() as connection:
            within = shop.guard.within(connection)
            landed = shop.do(within.act(good, shop.body(good)))
            refused = shop.do(within.act(bad, shop.body(bad, Rejected("sold out"))))
            asked = shop.do(within.ask(good))
        assert (landed.landed, refused.landed) == (True, False)
        assert landed.result() == asked.result() == "sold"
        with pytest.raises(Rejected, match="sold out"):
            refused.result()
        assert (shop.net(good), shop.net(bad)) == (1, 0)
        assert (shop.state(good), shop.state(bad)) == ("applied", "rejected")


class Laws(Brief):
    """All the promises."""

    past = "1"  # long ago, in the database's own words

    def test_keys_do_not_meet(self, shop: Shop) -> None:
        """Another run, and another step, has an effect of its own."""
        for ctx in (ctx_of(), ctx_of("take", "r2"), ctx_of("send")):
            shop.take(ctx)
            assert shop.net(ctx) == 1

    def test_a_declared_exception_is_a_rejection(self, shop: Shop) -> None:
        """``rejects=`` of the guard is remembered as what it is."""
        shop.guard = attrs.evolve(shop.guard, rejects=OverflowError)
        ctx = ctx_of()
        with pytest.raises(Rejected, match=r"^too many$"):
            shop.take(ctx, OverflowError("too many"))
        with pytest.raises(Rejected, match=r"^too many$"):
            shop.take(ctx)
        assert (shop.net(ctx), shop.bodies) == (0, 1)

    def test_an_undo_that_comes_first_refuses_what_comes_late(self, shop: Shop) -> None:
        """Fenced: a null compensation does nothing, and leaves a tombstone."""
        ctx = ctx_of()
        assert shop.put_back(ctx) == []
        with pytest.raises(Rejected, match="compensation came first"):
            shop.take(ctx)
        assert shop.put_back(ctx) == []
        assert (shop.net(ctx), shop.bodies, shop.state(ctx)) == (0, 0, "fenced")

    def test_a_query_answers_like_the_action_and_fences(self, shop: Shop) -> None:
        """Its result if it landed, or Rejected: it has not, and from now on cannot."""
        landed, absent = ctx_of("landed"), ctx_of("absent")
        shop.take(landed, result="here")
        assert shop.ask(landed) == "here"
        with pytest.raises(Rejected, match="asked for before it came"):
            shop.ask(absent)
        with pytest.raises(Rejected, match="asked for before it came"):
            shop.take(absent)
        assert shop.put_back(absent) == []
        assert (shop.net(landed), shop.net(absent), shop.state(absent)) == (1, 0, "rejected")

    @pytest.mark.parametrize("error", [ValueError("a bug"), Transient("not now")])
    def test_what_fails_otherwise_leaves_nothing(self, shop: Shop, error: Exception) -> None:
        """An unexpected exception, and Transient: no effect, no row; the next attempt lands."""
        ctx = ctx_of()
        with pytest.raises(type(error), match=str(error)):
            shop.take(ctx, error)
        assert (shop.net(ctx), shop.state(ctx)) == (0, None)
        assert shop.take(ctx) == "sold"
        assert shop.net(ctx) == 1

    @pytest.mark.parametrize("error", [ValueError("a bug"), Rejected("there is no such thing")])
    def test_an_undo_that_fails_is_owed(self, shop: Shop, error: Exception) -> None:
        """A compensation has no rejection (R7): it is rolled back, and tried again."""
        ctx = ctx_of()
        shop.take(ctx)
        with pytest.raises(type(error)):
            shop.put_back(ctx, error)
        assert (shop.net(ctx), shop.state(ctx)) == (1, "applied")
        assert shop.put_back(ctx) == ["sold"]
        assert shop.net(ctx) == 0

    def test_a_body_may_fail_in_the_database_and_reject(self, shop: Shop) -> None:
        """An error of the database that the body takes for a rejection is remembered."""
        ctx = ctx_of()
        body = shop.body(ctx, clash="INSERT INTO saga_guard VALUES (NULL, NULL, NULL, NULL)")
        for _ in range(2):
            with pytest.raises(Rejected, match="it is there already"):
                shop.do(shop.guard.act(ctx, body))
        assert (shop.net(ctx), shop.bodies, shop.state(ctx)) == (0, 1, "rejected")

    def test_a_result_that_cannot_be_kept_is_told_before_it_lands(self, shop: Shop) -> None:
        """What a repeat could not answer must not land."""
        ctx = ctx_of()
        with pytest.raises(GuardError, match="result of type object cannot be kept"):
            shop.take(ctx, result=object())
        assert (shop.net(ctx), shop.state(ctx)) == (0, None)

    def test_a_codec_gives_the_type_back_the_first_time_too(self, shop: Shop) -> None:
        """The first answer and a repeat's are equal, and typed by the caller's hook."""
        shop.guard = attrs.evolve(
            shop.guard,
            encode=lambda pay: json.dumps([pay.seconds]),
            decode=lambda text: timedelta(seconds=json.loads(text)[0]),
        )
        ctx = ctx_of()
        exact = timedelta(seconds=5, milliseconds=250)
        assert [shop.take(ctx, result=exact), shop.take(ctx)] == [timedelta(seconds=5)] * 2
        assert shop.put_back(ctx) == [timedelta(seconds=5)]

    @pytest.mark.parametrize("result", [None, "\x00\ud800", PENDING])
    def test_odd_results_come_back(self, shop: Shop, result: Any) -> None:
        """Nothing, what a database cannot spell, and an answer that comes later."""
        ctx = ctx_of()
        assert shop.take(ctx, result=result) == shop.take(ctx, result="other") == result
        if result is PENDING:
            with pytest.raises(GuardError, match="nothing says what came of it"):
                shop.ask(ctx)

    def test_a_reason_that_no_database_can_spell_comes_back(self, shop: Shop) -> None:
        """The words of a rejection are kept to the letter."""
        ctx = ctx_of()
        for error in (Rejected("no\x00\ud800 'quotes' %s :key"), None):
            with pytest.raises(Rejected) as caught:
                shop.take(ctx, error)
            assert caught.value.reason == "no\x00\ud800 'quotes' %s :key"

    def test_old_keys_can_be_forgotten(self, shop: Shop) -> None:
        """Pruning forgets what is settled and old, and nothing that is owed."""
        for name in ("old", "new", "owed"):
            shop.take(ctx_of(name))
        shop.sql(f"UPDATE saga_guard SET at = {self.past} WHERE key <> 'r1/new'")
        shop.sql("UPDATE saga_guard SET state = 'begun' WHERE key = 'r1/owed'")
        assert shop.do(shop.guard.prune(timedelta(days=1))) == 1
        states = [shop.state(ctx_of(name)) for name in ("old", "new", "owed")]
        assert states == [None, "applied", "begun"]
        with pytest.raises(GuardError, match="nothing is older"):
            shop.do(shop.guard.prune(timedelta(days=-1)))

    def test_a_body_that_commits_by_itself_is_in_doubt(self, shop: Shop) -> None:
        """A row without an outcome says that the effect may stand: it is undone, never done."""
        ctx = ctx_of()
        shop.take(ctx)
        shop.sql("UPDATE saga_guard SET state = 'begun', value = NULL")
        for asked in (shop.take, shop.ask):
            with pytest.raises(GuardError, match="nothing says what came of it") as caught:
                asked(ctx)
            assert caught.value.key == ctx.key
        assert shop.put_back(ctx) == [None]
        assert (shop.net(ctx), shop.state(ctx)) == (0, "compensated")

    def test_the_table_may_be_called_otherwise(self, shop: Shop) -> None:
        """And be made twice."""
        shop.guard = attrs.evolve(shop.guard, table="my_guard")
        shop.do(shop.guard.create_table())
        shop.do(shop.guard.create_table())
        assert shop.take(ctx_of()) == "sold"
        assert shop.sql("SELECT key, state FROM my_guard") == [("r1/take", "applied")]

    def test_who_goes_on_after_an_error_in_his_own_transaction_commits_nothing_of_it(
        self, shop: Shop
    ) -> None:
        """Swallowed: neither the effect nor the row is there, and the rest is."""
        broken, sound = ctx_of("broken"), ctx_of("sound")
        with shop.own() as connection:
            within = shop.guard.within(connection)
            with pytest.raises(ValueError, match="a bug"):
                shop.do(within.act(broken, shop.body(broken, ValueError("a bug"))))
            shop.do(within.act(sound, shop.body(sound)))
        assert (shop.net(broken), shop.state(broken)) == (0, None)
        assert (shop.net(sound), shop.state(sound)) == (1, "applied")

    def test_what_the_caller_rolls_back_has_not_happened(self, shop: Shop) -> None:
        """The guard stands and falls with the transaction it is in."""
        ctx = ctx_of()
        with suppress(ZeroDivisionError), shop.own() as connection:
            shop.do(shop.guard.within(connection).act(ctx, shop.body(ctx)))
            raise ZeroDivisionError
        assert (shop.net(ctx), shop.bodies, shop.state(ctx)) == (0, 1, None)

    def test_a_transaction_that_nobody_commits_is_no_answer(self, shop: Shop) -> None:
        """What ``begin=`` gives has to commit, and not to leave that to somebody else."""
        ctx = ctx_of()
        guard = shop.guard
        with suppress(ZeroDivisionError), shop.own() as connection:
            shop.do(guard.within(connection).act(ctx_of("other"), shop.body(ctx)))
            shop.guard = attrs.evolve(guard, begin=lambda: AsItIs(connection))
            with pytest.raises(GuardError, match="still open"):
                shop.take(ctx)
            raise ZeroDivisionError
        assert (shop.net(ctx), shop.bodies, shop.state(ctx)) == (0, 2, None)


class AsItIs:
    """A context manager of both colours that leaves the transaction to others."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def __enter__(self) -> Any:
        return self.connection

    def __exit__(self, *_: object) -> None:
        return

    async def __aenter__(self) -> Any:
        return self.connection

    async def __aexit__(self, *_: object) -> None:
        return


def sqlite_sql(path: str) -> Callable[[str], list[Any]]:
    """SQL by the side, on SQLite."""

    def sql(text: str) -> list[Any]:
        with closing(sqlite3.connect(path)) as connection, connection:
            return connection.execute(text).fetchall()

    return sql


def sqlite_shop(path: str) -> Shop:
    """A shop on the standard library's SQLite."""

    @contextmanager
    def own() -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(path)) as connection, connection:
            yield connection

    guard = Guard(lambda: closing(sqlite3.connect(path)))
    return opened(Shop(guard, own, lambda on, text: on.execute(text), sqlite_sql(path)))


def opened(shop: Shop) -> Shop:
    """Make the tables."""
    shop.do(shop.guard.create_table())
    shop.sql(SALES)
    return shop
