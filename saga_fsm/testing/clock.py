"""A clock that jumps: waits cost nothing, and no test sleeps."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Awaitable, Callable
from typing import Any


class VirtualClock:
    """
    Time that passes only by waiting for it.

    When no call is in flight, a wait ends at once and its seconds have passed. While one is in
    flight, an answer may come first: it is given ``patience`` real seconds, and only then do the
    seconds pass, so that a step that never answers meets its timeout.

    Args:
        start: the first time, seconds since the epoch.
        patience: real seconds that a call in flight is given to answer before a timer rings.

    >>> clock = VirtualClock(start=100.0)
    >>> clock.wait(None, 30.0, busy=False)
    >>> clock.now(), clock.waits
    (130.0, [30.0])
    """

    def __init__(self, *, start: float = 0.0, patience: float = 0.2) -> None:
        self._now = start
        self._patience = patience
        self.waits: list[float] = []

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def wait(self, get: Any, seconds: float | None, *, busy: bool) -> Any:
        """Wait for ``get(timeout)``; jump when nobody answers."""
        if seconds is None:
            return get(None)
        if busy:
            try:
                return get(self._patience)
            except queue.Empty:
                pass
        self._pass(seconds)
        return None

    async def wait_async(
        self, get: Callable[[], Awaitable[Any]], seconds: float | None, *, busy: bool
    ) -> Any:
        """Wait for ``await get()``; jump when nobody answers."""
        if seconds is None:
            return await get()
        if busy:
            try:
                return await asyncio.wait_for(get(), self._patience)
            except TimeoutError:
                pass
        self._pass(seconds)
        return None

    def _pass(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._now += seconds
