"""The outbox as users hold it: messages written with the effect that they tell of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import timedelta
from typing import Any, Generic, TypeVar

import attrs

from saga_fsm.definition import Context
from saga_fsm.guard import _messages, _steps
from saga_fsm.guard._async import AsyncGuard
from saga_fsm.guard._async import store_of as async_store_of
from saga_fsm.guard._guard import Guard, check_begin, check_settings, seconds_of, store_of
from saga_fsm.guard._messages import Parked
from saga_fsm.guard._rows import Steps, carry, carry_async
from saga_fsm.guard._stores import missing


__all__ = ["AsyncOutbox", "Outbox"]

C = TypeVar("C")
T = TypeVar("T")
Given = Context[Any, Any, Any] | str
TABLE = "saga_outbox"


class _Written:
    """What both colours have in common."""

    table: str
    encode: Callable[[Any], str]
    decode: Callable[[str], Any]

    def _draft(  # noqa: PLR0913, PLR0917 - the parts of a message
        self,
        given: Given,
        topic: str,
        payload: Any,
        name: str,
        stream: str | None,
        headers: Mapping[str, str] | None,
    ) -> Steps[str]:
        draft = _messages.written(
            given,
            topic,
            payload,
            name=name,
            stream=stream,
            headers=headers,
            encode=self.encode,
        )
        return _steps.required(_messages.emit(draft))


@attrs.frozen
class Outbox(_Written, Generic[C]):
    """
    Messages that are sent if, and only if, the transaction is committed in which they are emitted.

    A step that changes its database and then tells a broker of it may die in between. Here it
    writes the message beside its effect, in one local transaction, and a ``Relay`` sends it: at
    least once, in the order of each stream.

    ``begin`` is as for ``Guard``. The table must be there: ``outbox.create_table()``, or
    ``outbox_schema(...)`` in a migration.

    Args:
        begin: called without arguments; gives a context manager that gives a connection, session
            or transaction of the participant's own database.
        table: the outbox's table, with its schema where there is one.
        encode: turns a payload into text; default JSON. One whose payloads are bytes already:
            ``encode=bytes.hex, decode=bytes.fromhex``.
        decode: turns the text into ``message.payload``.

    >>> import sqlite3
    >>> from contextlib import closing
    >>> from saga_fsm import Context
    >>> url = "file:outbox?mode=memory&cache=shared"
    >>> keep = sqlite3.connect(url, uri=True)
    >>> outbox = Outbox(lambda: closing(sqlite3.connect(url, uri=True)))
    >>> outbox.create_table()
    >>> ctx = Context(input=None, run_id="order-17", step="charge")
    >>> with keep:
    ...     _ = keep.execute("BEGIN IMMEDIATE")
    ...     outbox.emit(keep, ctx, "payments.charged", {"total": 30})
    'order-17/charge#payments.charged'
    >>> from saga_fsm.guard import Relay
    >>> sent = []
    >>> Relay(outbox, sent.append).drain()
    1
    >>> sent[0].id, sent[0].payload
    ('order-17/charge#payments.charged', {'total': 30})

    In a guarded step ``emit`` stands in the body, so that a late action that the guard refuses
    emits nothing; and whoever consumes the message does so once by its id:

    ::

        def body(connection):
            connection.execute("UPDATE purses SET ...")
            outbox.emit(connection, ctx, "payments.charged", {"total": 30})
        return guard.act(ctx, body)

        def consume(message):                    # at the other side, with a guard of its own
            ctx = Context(input=message.payload, run_id=message.id, step="consume")
            guard.act(ctx, lambda connection: connection.execute("INSERT INTO ..."))

    >>> keep.close()

    Raises:
        GuardError: the table's name is none, or ``begin`` opens nothing.
    """

    begin: Callable[[], AbstractContextManager[C]]
    table: str = attrs.field(default=TABLE, kw_only=True)
    encode: Callable[[Any], str] = attrs.field(default=json.dumps, kw_only=True)
    decode: Callable[[str], Any] = attrs.field(default=json.loads, kw_only=True)

    def __attrs_post_init__(self) -> None:
        check_begin(self.begin)
        check_settings(self.table, None)

    def emit(  # noqa: PLR0913 - the parts of a message
        self,
        connection: C,
        ctx: Given,
        topic: str,
        payload: Any,
        *,
        name: str = "",
        stream: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """
        Write a message in the transaction that is open on a connection; its id.

        Emitted again under the same id it is the same message, and one row. The id is made of the
        step's key, the topic and ``name``: a step that emits two messages of one topic names them.

        Args:
            connection: of the participant's database, in the transaction of the effect.
            ctx: of the action or compensation; or a text that is the same at each attempt.
            topic: what it is about.
            payload: plain JSON, or what ``encode`` takes.
            name: tells several messages of one step and topic apart.
            stream: messages of one stream are sent in order; default the run's id. Two transactions
                that overlap have no order, on Postgres, whichever emitted first.
            headers: short texts beside the payload.

        Raises:
            GuardError: no transaction is open, so that it would be sent although the step fails;
                the payload cannot be encoded; the id was emitted with another payload.
        """
        steps = self._draft(ctx, topic, payload, name, stream, headers)
        try:
            return carry(steps, store_of(connection, self.table))
        except Exception as error:
            known = missing(error, self.table)
            if known is None:
                raise
            raise known from error

    def create_table(self) -> None:
        """Make the outbox's table, where there is none; several may do so at once."""
        self.transact(_steps.create(self.table, "outbox"))

    def waiting(self) -> int:
        """How many messages are to be sent, those behind a parked one included."""
        return int(self.transact(_one("waiting")))

    def due(self) -> float | None:
        """In how many seconds one could be sent; None when none can, unless people decide."""
        seconds = self.transact(_one("next"))
        return None if seconds is None else float(seconds)

    def parked(self) -> list[Parked]:
        """Messages that were set aside; what is behind each in its stream waits."""
        return self.transact(_messages.parked(self.decode))

    def requeue(self, message_id: str) -> bool:
        """Try a parked message again; False when none of this id is parked."""
        return bool(self.transact(_decide("reopen", message_id)))

    def discard(self, message_id: str) -> bool:
        """Give a parked message up, so that its stream goes on; False when none is parked."""
        return bool(self.transact(_decide("discard", message_id)))

    def prune(self, older_than: timedelta) -> int:
        """
        Forget messages that were sent or discarded so long ago, and say how many.

        A step that is tried again after that would emit its message anew: prune only what is
        older than any run can last.
        """
        return self.transact(_sweep(seconds_of(older_than)))

    def transact(self, steps: Steps[T]) -> T:
        """Carry steps out in one transaction of our own."""
        guard: Guard[C] = Guard(self.begin, table=self.table)
        return guard._transact(steps)  # noqa: SLF001 - one room


@attrs.frozen
class AsyncOutbox(_Written, Generic[C]):
    """
    ``Outbox`` for psycopg's and SQLAlchemy's async connections and sessions; see there.

    Args:
        begin: as there, with an asynchronous context manager.
        table: as there.
        encode: as there.
        decode: as there.
    """

    begin: Callable[[], AbstractAsyncContextManager[C]]
    table: str = attrs.field(default=TABLE, kw_only=True)
    encode: Callable[[Any], str] = attrs.field(default=json.dumps, kw_only=True)
    decode: Callable[[str], Any] = attrs.field(default=json.loads, kw_only=True)

    def __attrs_post_init__(self) -> None:
        check_begin(self.begin)
        check_settings(self.table, None)

    async def emit(  # noqa: PLR0913 - the parts of a message
        self,
        connection: C,
        ctx: Given,
        topic: str,
        payload: Any,
        *,
        name: str = "",
        stream: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """As ``Outbox.emit``."""
        steps = self._draft(ctx, topic, payload, name, stream, headers)
        try:
            return await carry_async(steps, async_store_of(connection, self.table))
        except Exception as error:
            known = missing(error, self.table)
            if known is None:
                raise
            raise known from error

    async def create_table(self) -> None:
        """As ``Outbox.create_table``."""
        await self.transact(_steps.create(self.table, "outbox"))

    async def waiting(self) -> int:
        """As ``Outbox.waiting``."""
        return int(await self.transact(_one("waiting")))

    async def due(self) -> float | None:
        """As ``Outbox.due``."""
        seconds = await self.transact(_one("next"))
        return None if seconds is None else float(seconds)

    async def parked(self) -> list[Parked]:
        """As ``Outbox.parked``."""
        return await self.transact(_messages.parked(self.decode))

    async def requeue(self, message_id: str) -> bool:
        """As ``Outbox.requeue``."""
        return bool(await self.transact(_decide("reopen", message_id)))

    async def discard(self, message_id: str) -> bool:
        """As ``Outbox.discard``."""
        return bool(await self.transact(_decide("discard", message_id)))

    async def prune(self, older_than: timedelta) -> int:
        """As ``Outbox.prune``."""
        return await self.transact(_sweep(seconds_of(older_than)))

    async def transact(self, steps: Steps[T]) -> T:
        """Carry steps out in one transaction of our own."""
        guard: AsyncGuard[C] = AsyncGuard(self.begin, table=self.table)
        return await guard._transact(steps)  # noqa: SLF001 - one room


def _one(name: str) -> Steps[Any]:
    row = yield lambda store: store.find(name)
    return row[0]


def _decide(name: str, message_id: str) -> Steps[int]:
    return (yield lambda store: store.execute(name, id=message_id))  # type: ignore[no-any-return]


def _sweep(seconds: float) -> Steps[int]:
    return (yield lambda store: store.execute("sweep", seconds=seconds))  # type: ignore[no-any-return]
