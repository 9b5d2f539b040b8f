"""The guard for an event loop: the same steps, awaited."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any, Generic, TypeVar

import attrs

from saga_fsm.definition.policy import Errors
from saga_fsm.guard import _outside, _steps
from saga_fsm.guard._errors import GuardError
from saga_fsm.guard._guard import (
    TABLE,
    Ctx,
    check_begin,
    check_settings,
    codec_of,
    library_of,
    seconds_of,
)
from saga_fsm.guard._rows import Answer, Steps, carry_async
from saga_fsm.guard._stores import busy, missing


__all__ = ["AsyncGuard", "AsyncOutside", "AsyncWithin"]

C = TypeVar("C")
R = TypeVar("R")


@attrs.frozen
class AsyncGuard(Generic[C]):
    """
    ``Guard`` for psycopg's and SQLAlchemy's async connections and sessions; see there.

    Args:
        begin: as there, with an asynchronous context manager: ``pool.connection``,
            ``engine.begin``, ``async_sessionmaker.begin``.
        table: as there.
        encode: as there.
        decode: as there.
        rejects: as there.
    """

    begin: Callable[[], AbstractAsyncContextManager[C]]
    table: str = attrs.field(default=TABLE, kw_only=True)
    encode: Callable[[Any], str] = attrs.field(default=json.dumps, kw_only=True)
    decode: Callable[[str], Any] = attrs.field(default=json.loads, kw_only=True)
    rejects: Errors | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        check_begin(self.begin)
        check_settings(self.table, self.rejects)

    async def act(self, ctx: Ctx, body: Callable[[C], Awaitable[R]]) -> R:
        """As ``Guard.act``."""
        answer: Answer[R] = await self._transact(_steps.act(ctx.key, codec_of(self), body))
        return answer.result()

    async def undo(self, ctx: Ctx, body: Callable[[C, R | None], Awaitable[object]]) -> None:
        """As ``Guard.undo``."""
        await self._transact(_steps.undo(ctx.action_key, codec_of(self), body))

    async def ask(self, ctx: Ctx) -> Any:
        """As ``Guard.ask``."""
        return (await self._transact(_steps.ask(ctx.key, codec_of(self)))).result()

    def within(self, connection: C) -> AsyncWithin[C]:
        """As ``Guard.within``."""
        return AsyncWithin(self, connection)

    def outside(self, *, lifetime: float = 0.0) -> AsyncOutside:
        """As ``Guard.outside``."""
        return AsyncOutside(self, lifetime)

    async def create_table(self) -> None:
        """As ``Guard.create_table``."""
        await self._transact(_steps.create(self.table))

    async def prune(self, older_than: timedelta) -> int:
        """As ``Guard.prune``, with its warning."""
        return await self._transact(_steps.prune(seconds_of(older_than)))

    async def _transact(self, steps: Steps[R], *, landed: bool = False) -> R:
        try:
            async with self._store() as store:
                return await carry_async(steps, store)
        except Exception as error:
            known = missing(error, self.table) or (None if landed else busy(error))
            if known is None:
                raise
            raise known from error

    @asynccontextmanager
    async def _store(self) -> AsyncGenerator[Any, None]:
        async with self.begin() as given:
            store = store_of(given, self.table)
            async with store.transaction():
                yield store
        if not store.over():
            raise GuardError(
                message="the transaction is still open, though its block has ended",
                remedy="begin= must give one that commits: use guard.within(connection) in yours.",
            )


@attrs.frozen
class AsyncWithin(Generic[C]):
    """``Within``, awaited: ``answer.result()`` comes after the commit."""

    _guard: AsyncGuard[C]
    _connection: C

    async def act(self, ctx: Ctx, body: Callable[[C], Awaitable[R]]) -> Answer[R]:
        """As ``Within.act``."""
        return await self._carry(_steps.act(ctx.key, codec_of(self._guard), body))

    async def undo(self, ctx: Ctx, body: Callable[[C, R | None], Awaitable[object]]) -> None:
        """As ``Within.undo``."""
        await self._carry(_steps.undo(ctx.action_key, codec_of(self._guard), body))

    async def ask(self, ctx: Ctx) -> Answer[Any]:
        """As ``Within.ask``."""
        return await self._carry(_steps.ask(ctx.key, codec_of(self._guard)))

    async def _carry(self, steps: Steps[R]) -> R:
        try:
            store = store_of(self._connection, self._guard.table)
            return await carry_async(_steps.required(steps), store)
        except Exception as error:
            known = missing(error, self._guard.table) or busy(error)
            if known is None:
                raise
            raise known from error


@attrs.frozen
class AsyncOutside:
    """``Outside``, awaited; see there for what holds."""

    _guard: AsyncGuard[Any]
    _lifetime: float = 0.0

    async def act(self, ctx: Ctx, effect: Callable[[], Awaitable[R]]) -> R:
        """As ``Outside.act``."""
        steps = _outside.act_outside(ctx.key, codec_of(self._guard), effect)
        answer: Answer[R] = await carry_async(steps, self)
        return answer.result()

    async def undo(self, ctx: Ctx, effect: Callable[[R | None], Awaitable[object]]) -> None:
        """As ``Outside.undo``."""
        codec = codec_of(self._guard)
        steps = _outside.undo_outside(ctx.action_key, codec, self._lifetime, effect)
        await carry_async(steps, self)

    async def ask(self, ctx: Ctx, find: Callable[[], Awaitable[R]] | None = None) -> R:
        """As ``Outside.ask``."""
        codec = codec_of(self._guard)
        steps = _outside.ask_outside(ctx.key, codec, self._lifetime, find)
        answer: Answer[R] = await carry_async(steps, self)
        return answer.result()

    async def transact(self, steps: Steps[R], *, landed: bool = False) -> R:
        """One transaction, for the steps."""
        return await self._guard._transact(steps, landed=landed)  # noqa: SLF001 - one room

    def call(self, effect: Callable[..., R], *arguments: Any) -> R:
        """The effect, for the steps."""
        return effect(*arguments)


def store_of(given: Any, table: str) -> Any:
    """What knows how to work with an async connection, by its type."""
    if library_of(given, "AsyncGuard", asynchronous=True) == "psycopg":
        from saga_fsm.guard._psycopg import AsyncPsycopgStore, connection_of

        return AsyncPsycopgStore(connection_of(given), given, table)
    from saga_fsm.guard._sqlalchemy import AsyncSqlalchemyStore

    return AsyncSqlalchemyStore(given, table)
