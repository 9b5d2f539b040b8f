"""Relays: they send what outboxes hold, at least once and each stream in order."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final, Self

from saga_fsm.definition import Retry
from saga_fsm.guard import _messages
from saga_fsm.guard._messages import Leased, Message
from saga_fsm.guard._outbox import AsyncOutbox, Outbox
from saga_fsm.guard._rows import Steps


__all__ = ["RETRY", "AsyncRelay", "Relay"]

logger = logging.getLogger("saga_fsm.outbox")

#: Seconds between two marks: so much may be sent twice by a relay that dies.
_MARKED: Final = 0.1
RETRY: Final = Retry(attempts=10, wait_initial=0.5, wait_max=60.0, jitter=0.5)


class _Batch:
    """
    Rows that one relay has leased, and what is to be done with each.

    Args:
        owner: the relay.
        rows: what it has leased, in order.
        retry: when a failed attempt is made again.
    """

    def __init__(self, owner: str, rows: list[Leased], retry: Retry) -> None:
        self._owner = owner
        self._rows = rows
        self._retry = retry
        self._stopped: set[str] = set()
        self._done: list[Leased] = []
        self._marked = time.monotonic()
        self.sent = 0
        self.failed = 0

    def __iter__(self) -> Iterator[Leased]:
        """Each row, but for those behind one of their stream that has failed."""
        return (row for row in self._rows if row.message.stream not in self._stopped)

    def done(self, row: Leased) -> bool:
        """``publish`` has returned; whether it is time to say so to the database."""
        self._done.append(row)
        self.sent += 1
        return time.monotonic() - self._marked > _MARKED

    def marked(self) -> Steps[None]:
        """Mark what was sent, in one transaction: a mark for each would cost more than sending."""
        done, self._done = self._done, []
        for row in done:
            facts = {"owner": self._owner, "number": row.number}
            if not (yield partial(_sent, facts)):
                # Its lease had ended: whoever has it now sends it again, under the same id.
                logger.warning("message %s: sent, and no longer ours", row.message.id)
                self._stopped.add(row.message.stream)
        self._marked = time.monotonic()

    def broken(self, row: Leased, error: Exception) -> Steps[None]:
        """``publish`` has raised."""
        message = row.message
        self._stopped.add(message.stream)
        self.failed += 1
        wait = self._retry.wait(message.attempt + 1, random.random())  # noqa: S311 - jitter
        told = f"{type(error).__name__}: {error}"
        yield from _messages.failed(self._owner, row.number, told, wait)
        if wait is None:
            logger.error("message %s is parked, and its stream waits: %s", message.id, told)
        else:
            logger.warning("message %s: attempt %d: %s", message.id, message.attempt, told)

    def given_back(self) -> Steps[None]:
        """What was sent is marked; what was not tried is anybody's, at once."""
        yield from self.marked()
        owner = self._owner
        yield lambda store: store.execute("give_back", owner=owner)


def _sound(row: Leased) -> Message:
    """The message of a row; one that cannot be decoded is a failed attempt."""
    if row.flaw is not None:
        raise row.flaw
    return row.message


def _sent(facts: dict[str, Any], store: Any) -> Any:
    return store.execute("sent", **facts)


def _renewed(owner: str, seconds: float) -> Steps[None]:
    yield lambda store: store.execute("renew", owner=owner, seconds=seconds)


class _Settings:
    """
    What both colours have in common.

    Args:
        outbox: whose messages.
        publish: sends one; when it returns, the message counts as sent.
        batch: so many at a time.
        lease: seconds after which others take over what this one had, should it be gone.
        retry: attempts of one message, and the waits between; after the last it is parked.
        poll: seconds between two looks, where nobody says ``wake``.
    """

    def __init__(  # noqa: PLR0913 - keyword-only settings
        self,
        outbox: Any,
        publish: Any,
        *,
        batch: int = 100,
        lease: float = 30.0,
        retry: Retry = RETRY,
        poll: float = 1.0,
    ) -> None:
        self.owner = f"{os.getpid()}-{os.urandom(6).hex()}"
        self._outbox = outbox
        self._publish = publish
        self._batch = batch
        self._lease = lease
        self._retry = retry
        self._poll = poll
        #: Messages that were sent by this relay, and attempts that failed.
        self.sent = 0
        self.failed = 0

    def _wanted(self) -> Steps[list[Leased]]:
        return _messages.lease(self.owner, self._batch, self._lease, self._outbox.decode)

    def _counted(self, batch: _Batch) -> int:
        self.sent += batch.sent
        self.failed += batch.failed
        return batch.sent + batch.failed

    def _pause(self, seconds: float | None) -> float:
        return self._poll if seconds is None else min(max(seconds, 0.01), self._poll)


class Relay(_Settings):
    """
    Sends the messages of an outbox: at least once, and those of one stream in order.

    As a context manager it works on a thread of its own until it is closed. Several relays, in
    one process or many, share the work; one that is gone loses it when its lease ends. A relay
    that slept beyond its lease and wakes in ``publish`` may send once more what others have sent
    meanwhile: consumers go by ``message.id``.

    A message whose last attempt has failed is parked, and its stream waits, since order is what
    streams are for; the other streams go on. ``outbox.requeue`` tries it again, and
    ``outbox.discard`` gives it up.

    Args:
        outbox: whose messages.
        publish: called with a ``Message``; when it returns, the message counts as sent.
        batch: so many at a time.
        lease: seconds after which others take over what this one had, should it be gone.
        retry: attempts of one message, and the waits between.
        poll: seconds between two looks, where nobody says ``wake``.
    """

    def __init__(
        self, outbox: Outbox[Any], publish: Callable[[Message], object], **settings: Any
    ) -> None:
        super().__init__(outbox, publish, **settings)
        self._thread: threading.Thread | None = None
        self._signal = threading.Event()
        self._closing = False

    def once(self) -> int:
        """Send one batch of what is due; how many messages were tried."""
        began = time.monotonic()
        rows = self._outbox.transact(self._wanted())
        batch = _Batch(self.owner, rows, self._retry)
        try:
            for row in batch:
                if self._closing:
                    break
                if time.monotonic() - began > self._lease / 2:
                    self._outbox.transact(_renewed(self.owner, self._lease))
                    began = time.monotonic()
                try:
                    self._publish(_sound(row))
                except Exception as error:  # noqa: BLE001 - whatever the broker's client raises
                    self._outbox.transact(batch.broken(row, error))
                else:
                    if batch.done(row):
                        self._outbox.transact(batch.marked())
        finally:
            if rows:
                self._outbox.transact(batch.given_back())
        return self._counted(batch)

    def drain(self, *, timeout: float | None = None) -> int:
        """
        Send until nothing is left to send but what is parked; how many were sent.

        Raises:
            TimeoutError: some are left; they stay where they are.
        """
        end = None if timeout is None else time.monotonic() + timeout
        before = self.sent
        while True:
            tried = self.once()
            seconds = self._outbox.due()
            if seconds is None:
                return self.sent - before
            if end is not None and time.monotonic() > end:
                raise TimeoutError(f"{self._outbox.waiting()} messages are still to be sent")
            if not tried:
                time.sleep(self._pause(seconds))

    def wake(self) -> None:
        """Look at once: something was emitted and committed."""
        self._signal.set()

    def __enter__(self) -> Self:
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="saga-relay", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the message that is being sent, and give the others back."""
        self._closing = True
        self._signal.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._closing = False

    def _work(self) -> None:
        while not self._closing:
            self._signal.clear()
            try:
                if self.once():
                    continue
                seconds = self._outbox.due()
            except Exception:
                # The database is away, or busy: it is asked again.
                logger.exception("relay %s cannot work now", self.owner)
                seconds = None
            self._signal.wait(self._pause(seconds))


class AsyncRelay(_Settings):
    """
    ``Relay`` on an event loop, for an ``AsyncOutbox``; see there.

    Args:
        outbox: whose messages.
        publish: awaited with a ``Message``; when it returns, the message counts as sent.
        settings: as there.
    """

    def __init__(
        self,
        outbox: AsyncOutbox[Any],
        publish: Callable[[Message], Awaitable[object]],
        **settings: Any,
    ) -> None:
        super().__init__(outbox, publish, **settings)
        self._task: asyncio.Task[None] | None = None
        self._signal = asyncio.Event()
        self._closing = False

    async def once(self) -> int:
        """As ``Relay.once``."""
        began = time.monotonic()
        rows = await self._outbox.transact(self._wanted())
        batch = _Batch(self.owner, rows, self._retry)
        try:
            for row in batch:
                if self._closing:
                    break
                if time.monotonic() - began > self._lease / 2:
                    await self._outbox.transact(_renewed(self.owner, self._lease))
                    began = time.monotonic()
                try:
                    await self._publish(_sound(row))
                except Exception as error:  # noqa: BLE001 - whatever the broker's client raises
                    await self._outbox.transact(batch.broken(row, error))
                else:
                    if batch.done(row):
                        await self._outbox.transact(batch.marked())
        finally:
            if rows:
                await asyncio.shield(self._outbox.transact(batch.given_back()))
        return self._counted(batch)

    async def drain(self) -> int:
        """As ``Relay.drain``, within ``asyncio.timeout`` where that is wanted."""
        before = self.sent
        while True:
            tried = await self.once()
            seconds = await self._outbox.due()
            if seconds is None:
                return self.sent - before
            if not tried:
                await asyncio.sleep(self._pause(seconds))

    def wake(self) -> None:
        """As ``Relay.wake``; from the loop's own thread."""
        self._signal.set()

    async def __aenter__(self) -> Self:
        self._closing = False
        self._task = asyncio.create_task(self._work(), name="saga-relay")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """As ``Relay.close``."""
        self._closing = True
        self._signal.set()
        if self._task is not None:
            await self._task
            self._task = None
        self._closing = False

    async def _work(self) -> None:
        while not self._closing:
            self._signal.clear()
            seconds: float | None = None
            try:
                if await self.once():
                    continue
                seconds = await self._outbox.due()
            except Exception:
                logger.exception("relay %s cannot work now", self.owner)
            try:
                async with asyncio.timeout(self._pause(seconds)):
                    await self._signal.wait()
            except TimeoutError:
                continue
