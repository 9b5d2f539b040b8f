"""The laws of the guard on every kind of connection that needs more than the standard library."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from saga_fsm import Rejected, Transient
from saga_fsm.guard import AsyncGuard, Guard, GuardError
from tests.guard_laws import Brief, Laws, Shop, ctx_of, opened, sqlite_sql
from tests.postgres import HINT


psycopg = pytest.importorskip("psycopg", reason=HINT)
sqlalchemy = pytest.importorskip("sqlalchemy", reason=HINT)
dict_row = pytest.importorskip("psycopg.rows", reason=HINT).dict_row
asyncio_ = pytest.importorskip("sqlalchemy.ext.asyncio", reason=HINT)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """The loop."""
    with asyncio.Runner() as runner:
        yield runner


@contextmanager
def entered(block: Any, runner: asyncio.Runner) -> Iterator[Any]:
    """Enter an asynchronous context manager where nothing can be awaited."""
    given = runner.run(_call(block.__aenter__))
    try:
        yield given
    except BaseException as error:
        if not runner.run(_call(block.__aexit__, type(error), error, error.__traceback__)):
            raise
    else:
        runner.run(_call(block.__aexit__, None, None, None))


async def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return await function(*arguments)


def postgres_sql(url: str) -> Callable[[str], list[Any]]:
    """SQL by the side, on Postgres."""

    def sql(text: str) -> list[Any]:
        with psycopg.connect(url) as connection:
            cursor = connection.execute(text)
            return cursor.fetchall() if cursor.description else []

    return sql


def alchemy(url: str) -> str:
    """The same address for SQLAlchemy."""
    return url.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def psycopg_shop(postgres_url: str) -> Iterator[Callable[[str], Shop]]:
    """A shop for each way to a connection."""
    from psycopg_pool import ConnectionPool

    one = psycopg.connect(postgres_url, autocommit=True)

    @contextmanager
    def transaction() -> Iterator[Any]:
        with one.transaction():
            yield one

    def write(on: Any, text: str) -> Any:
        return getattr(on, "connection", on).execute(text)

    with one, ConnectionPool(postgres_url, min_size=1, max_size=2) as pool:
        ways: dict[str, Any] = {
            "connect": lambda: psycopg.connect(postgres_url),
            "autocommit": lambda: closing(psycopg.connect(postgres_url, autocommit=True)),
            "dictionaries": lambda: psycopg.connect(postgres_url, row_factory=dict_row),
            "pool": pool.connection,
            "transaction": one.transaction,
        }
        yield lambda way: opened(
            Shop(Guard(ways[way]), transaction, write, postgres_sql(postgres_url))
        )


class TestPsycopg(Laws):
    """On a pool."""

    past = "to_timestamp(1)"

    @pytest.fixture
    def shop(self, psycopg_shop: Callable[[str], Shop]) -> Shop:
        """The participant."""
        return psycopg_shop("pool")


class TestPsycopgWays(Brief):
    """On other ways to a connection."""

    @pytest.fixture(params=["connect", "autocommit", "dictionaries", "transaction"])
    def shop(self, request: pytest.FixtureRequest, psycopg_shop: Callable[[str], Shop]) -> Shop:
        """The participant."""
        return psycopg_shop(request.param)


class TestAsyncPsycopg(Laws):
    """On a new connection a call, in a loop."""

    past = "to_timestamp(1)"

    @pytest.fixture
    def shop(self, postgres_url: str, runner: asyncio.Runner) -> Shop:
        """The participant."""

        @asynccontextmanager
        async def begin() -> AsyncIterator[Any]:
            async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
                yield connection

        sql = postgres_sql(postgres_url)
        return opened(
            Shop(AsyncGuard(begin), lambda: entered(begin(), runner), _execute, sql, runner)
        )


def _execute(on: Any, text: str) -> Any:
    return on.execute(text)


def _execute_text(on: Any, text: str) -> Any:
    return on.execute(sqlalchemy.text(text))


@contextmanager
def alchemy_shop(url: str, sql: Any, way: str) -> Iterator[Shop]:
    """A shop for each way to a connection."""
    from sqlalchemy.orm import scoped_session, sessionmaker

    engine = sqlalchemy.create_engine(url)
    session = sessionmaker(engine)
    scoped = scoped_session(session)
    begin: Any = {
        "connection": engine.begin,
        "connect": engine.connect,
        "session": session.begin,
        "new session": session,
        "scoped session": lambda: nullcontext(scoped),
    }[way]
    own = session.begin if "session" in way else engine.begin
    yield opened(Shop(Guard(begin), own, _execute_text, sql))
    scoped.remove()
    engine.dispose()


class TestAlchemyOnSqlite(Laws):
    """On an engine."""

    @pytest.fixture
    def shop(self, tmp_path: Path) -> Iterator[Shop]:
        """The participant."""
        path = str(tmp_path / "shop.db")
        with alchemy_shop(f"sqlite:///{path}", sqlite_sql(path), "connection") as shop:
            yield shop


class TestAlchemyOnPostgres(Laws):
    """On a session."""

    past = "to_timestamp(1)"

    @pytest.fixture
    def shop(self, postgres_url: str) -> Iterator[Shop]:
        """The participant."""
        with alchemy_shop(alchemy(postgres_url), postgres_sql(postgres_url), "session") as shop:
            yield shop


class TestAlchemyWays(Brief):
    """On each way to a connection."""

    @pytest.fixture(params=["connection", "connect", "new session", "scoped session"])
    def shop(self, request: pytest.FixtureRequest, postgres_url: str) -> Iterator[Shop]:
        """The participant."""
        sql = postgres_sql(postgres_url)
        with alchemy_shop(alchemy(postgres_url), sql, request.param) as shop:
            yield shop


@contextmanager
def async_alchemy_shop(url: str, runner: asyncio.Runner, way: str) -> Iterator[Shop]:
    """A shop for each way to a connection."""
    engine = asyncio_.create_async_engine(alchemy(url))
    session = asyncio_.async_sessionmaker(engine)
    begin = {
        "connection": engine.begin,
        "connect": engine.connect,
        "session": session.begin,
        "new session": session,
    }[way]
    own = session.begin if "session" in way else engine.begin
    guard = AsyncGuard(begin)
    yield opened(
        Shop(guard, lambda: entered(own(), runner), _execute_text, postgres_sql(url), runner)
    )
    runner.run(engine.dispose())


class TestAsyncAlchemy(Laws):
    """On a session, in a loop."""

    past = "to_timestamp(1)"

    @pytest.fixture
    def shop(self, postgres_url: str, runner: asyncio.Runner) -> Iterator[Shop]:
        """The participant."""
        with async_alchemy_shop(postgres_url, runner, "session") as shop:
            yield shop


class TestAsyncAlchemyWays(Brief):
    """On other ways to a connection, in a loop."""

    @pytest.fixture(params=["connection", "connect", "new session"])
    def shop(
        self, request: pytest.FixtureRequest, postgres_url: str, runner: asyncio.Runner
    ) -> Iterator[Shop]:
        """The participant."""
        with async_alchemy_shop(postgres_url, runner, request.param) as shop:
            yield shop


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_stricter_level_says_transient_where_it_cannot_go_on(
    postgres_url: str, level: str
) -> None:
    """A serialization failure is surely nothing: the next attempt answers the first's result."""
    engine = sqlalchemy.create_engine(alchemy(postgres_url), isolation_level=level)
    shop = opened(
        Shop(Guard(engine.begin), engine.begin, _execute_text, postgres_sql(postgres_url))
    )
    ctx = ctx_of()
    with engine.connect() as late:
        # Its snapshot is older than what the other one commits.
        _execute_text(late, "SELECT 1 FROM sales")
        assert shop.take(ctx) == "sold"
        with pytest.raises(Transient, match="serialization failure"):
            shop.guard.within(late).act(ctx, shop.body(ctx))
    assert shop.take(ctx) == "sold"
    assert (shop.net(ctx), shop.bodies) == (1, 1)
    engine.dispose()


def test_a_lock_that_is_not_to_be_had_is_transient(postgres_url: str) -> None:
    """With lock_timeout a second copy does not wait for ever, and surely did not land."""
    shop = opened(
        Shop(
            Guard(lambda: psycopg.connect(postgres_url, options="-c lock_timeout=50")),
            lambda: psycopg.connect(postgres_url),
            _execute,
            postgres_sql(postgres_url),
        )
    )
    ctx = ctx_of()
    with shop.own() as connection:
        shop.guard.within(connection).act(ctx, shop.body(ctx))
        with pytest.raises(Transient, match="lock timeout, nothing was written"):
            shop.take(ctx)
        with pytest.raises(Transient, match="lock timeout, nothing was written"):
            shop.put_back(ctx)
    assert (shop.net(ctx), shop.bodies, shop.take(ctx)) == (1, 1, "sold")


def test_autocommit_is_refused_in_a_transaction_of_ones_own(postgres_url: str) -> None:
    """There is none: row and effect would not be written together."""
    engine = sqlalchemy.create_engine(alchemy(postgres_url), isolation_level="AUTOCOMMIT")
    guard = Guard(engine.begin)
    ctx = ctx_of()
    with engine.connect() as connection, pytest.raises(GuardError, match="autocommit"):
        guard.within(connection).act(ctx, lambda _: 1)
    with pytest.raises(GuardError, match="autocommit"):
        guard.create_table()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        within = Guard(lambda: connection).within(connection)
        with pytest.raises(GuardError, match="autocommit"):
            within.act(ctx, lambda _: 1)
    engine.dispose()


def test_a_savepoint_is_no_transaction(postgres_url: str) -> None:
    """What is rolled back with something else must not be answered."""
    engine = sqlalchemy.create_engine(alchemy(postgres_url))
    ctx = ctx_of()
    Guard(engine.begin).create_table()
    with psycopg.connect(postgres_url) as one:
        one.execute("SELECT 1")
        with pytest.raises(GuardError, match="savepoint within another"):
            Guard(one.transaction).act(ctx, lambda _: 1)
    with engine.begin() as two:
        with pytest.raises(GuardError, match="savepoint within another"):
            Guard(two.begin_nested).act(ctx, lambda _: 1)
        two.begin_nested()
        with pytest.raises(GuardError, match="savepoint within another"):
            Guard(lambda: nullcontext(two)).act(ctx, lambda _: 1)
    engine.dispose()


def test_the_colours_are_told_apart(postgres_url: str) -> None:
    """Each guard names the other where the connection is the other's."""
    engine = asyncio_.create_async_engine(alchemy(postgres_url))
    other = sqlalchemy.create_engine(alchemy(postgres_url))
    with pytest.raises(GuardError, match=r"AsyncConnection is not for Guard\n  Use AsyncGuard"):
        Guard(other.begin).within(engine.connect()).act(ctx_of(), lambda _: 1)
    with other.connect() as connection, asyncio.Runner() as runner:
        asked = AsyncGuard(engine.begin).within(connection).ask(ctx_of())
        with pytest.raises(GuardError, match=r"Connection is not for AsyncGuard\n  Use Guard"):
            runner.run(asked)
    other.dispose()


def test_a_session_forgets_what_was_rejected(postgres_url: str) -> None:
    """Objects of a rejected body are not written by a later flush of the same session."""
    from sqlalchemy import orm

    class Model(orm.DeclarativeBase):
        pass

    class Sale(Model):
        __tablename__ = "sale"
        id = orm.mapped_column(sqlalchemy.Integer, primary_key=True)

    engine = sqlalchemy.create_engine(alchemy(postgres_url))
    Model.metadata.create_all(engine)
    guard = Guard(orm.sessionmaker(engine).begin)
    guard.create_table()

    def sell(session: Any, number: int, *, refused: bool) -> int:
        session.add(Sale(id=number))
        if refused:
            raise Rejected("sold out")
        return number

    with orm.Session(engine) as session, session.begin():
        within = guard.within(session)
        no = within.act(ctx_of("no"), lambda s: sell(s, 1, refused=True))
        yes = within.act(ctx_of("yes"), lambda s: sell(s, 2, refused=False))
        with pytest.raises(sqlalchemy.exc.IntegrityError):
            within.act(ctx_of("twice"), lambda s: sell(s, 2, refused=False))
    assert (no.landed, yes.landed) == (False, True)
    sql = postgres_sql(postgres_url)
    assert sql("SELECT id FROM sale") == [(2,)]
    assert sql("SELECT count(*) FROM saga_guard") == [(2,)]
    engine.dispose()


def test_a_connection_that_somebody_else_has_by_now_is_no_error(postgres_url: str) -> None:
    """A pool gives it on as soon as it is back, and another transaction may be open on it."""
    with closing(psycopg.connect(postgres_url)) as one:

        @contextmanager
        def begin() -> Iterator[Any]:
            yield one
            one.execute("SELECT 'of somebody else'")

        Guard(lambda: psycopg.connect(postgres_url)).create_table()
        assert Guard(begin).act(ctx_of(), lambda _: 1) == 1


def test_a_connection_that_breaks_leaves_nothing_and_is_unknown(postgres_url: str) -> None:
    """Whoever lost the server does not know; the next attempt lands once."""
    with alchemy_shop(alchemy(postgres_url), postgres_sql(postgres_url), "session") as shop:
        ctx = ctx_of()
        end = "SELECT pg_terminate_backend(pg_backend_pid())"

        def sell(session: Any) -> None:
            _execute_text(session, f"INSERT INTO sales VALUES ('{ctx.key}', 1)")
            _execute_text(session, end)

        with pytest.raises(sqlalchemy.exc.OperationalError):
            shop.guard.act(ctx, sell)
        assert (shop.net(ctx), shop.state(ctx)) == (0, None)
        assert shop.take(ctx) == "sold"
        assert shop.net(ctx) == 1


def test_a_cancelled_action_leaves_nothing(postgres_url: str, runner: asyncio.Runner) -> None:
    """A task that is cancelled in its body rolls back, and the next attempt lands."""
    with async_alchemy_shop(postgres_url, runner, "session") as shop:
        ctx = ctx_of()

        async def sell(session: Any) -> None:
            await _execute_text(session, f"INSERT INTO sales VALUES ('{ctx.key}', 1)")
            asyncio.current_task().cancel()  # type: ignore[union-attr]
            await asyncio.sleep(600)

        with pytest.raises(asyncio.CancelledError):
            shop.do(shop.guard.act(ctx, sell))
        assert (shop.net(ctx), shop.state(ctx)) == (0, None)
        assert shop.take(ctx) == "sold"


def test_outside_in_a_loop(postgres_url: str, runner: asyncio.Runner) -> None:
    """The second form for an event loop: begun, committed, before the effect."""
    with async_alchemy_shop(postgres_url, runner, "connection") as shop:
        outside = shop.guard.outside()
        seen: list[Any] = []
        ctx, lost = ctx_of(), ctx_of("lost")

        async def charge() -> str:
            seen.append(shop.state(ctx))
            return "receipt"

        async def lose() -> str:
            raise OSError("reply lost")

        async def refund(result: str | None) -> None:
            seen.append((shop.state(ctx), result))

        async def find() -> str:
            return "found"

        assert [shop.do(outside.act(ctx, charge)) for _ in range(2)] == ["receipt"] * 2
        for _ in range(2):
            shop.do(outside.undo(ctx, refund))
        assert seen == ["begun", ("undoing", "receipt")]
        with pytest.raises(OSError, match="reply lost"):
            shop.do(outside.act(lost, lose))
        assert shop.do(outside.ask(lost, find)) == shop.do(outside.ask(lost)) == "found"


def test_two_make_the_table_at_once(postgres_url: str) -> None:
    """They would meet in the catalogue, and do not."""
    guard = Guard(lambda: psycopg.connect(postgres_url))
    errors: list[BaseException] = []

    def make() -> None:
        try:
            guard.create_table()
        except BaseException as error:  # noqa: BLE001 - looked at below
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
