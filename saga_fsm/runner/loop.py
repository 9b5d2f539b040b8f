"""An event loop of a synchronous run's own, for its async actions."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from types import FunctionType
from typing import Any


Tell = Callable[[Any, BaseException | None], None]


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a call gives a coroutine: a function, a partial of one, or an async ``__call__``."""
    # Most are plain functions with nothing noted on them, and say so at once.
    if isinstance(function, FunctionType) and not function.__dict__:
        return bool(function.__code__.co_flags & inspect.CO_COROUTINE)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - not asked whether, but how, it is called
    )


def is_awaitable(value: object) -> bool:
    """Whether a value still has to be awaited."""
    return hasattr(value, "__await__")


class PrivateLoop:
    """One loop on one thread, started when it is first needed: all async actions share it."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._open = 0

    def begin(self, call: Callable[[], Awaitable[Any]], tell: Tell) -> None:
        """Call and await it there, and tell how it ended."""

        async def finish() -> Any:
            return await call()

        def ended(future: Future[Any]) -> None:
            self._open -= 1
            error: BaseException | None = (
                asyncio.CancelledError() if future.cancelled() else future.exception()
            )
            tell(None if error is not None else future.result(), error)

        with self._lock:
            loop = self._loop or self._start()
            self._open += 1
        asyncio.run_coroutine_threadsafe(finish(), loop).add_done_callback(ended)

    def _start(self) -> asyncio.AbstractEventLoop:
        self._loop = loop = asyncio.new_event_loop()

        def work() -> None:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.get_loop().run_forever()

        self._thread = threading.Thread(target=work, name="saga loop", daemon=True)
        self._thread.start()
        return loop

    def close(self) -> None:
        """End the loop; an action that nobody waits for any more is cancelled."""
        if self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        if not self._open:
            self._thread.join()
