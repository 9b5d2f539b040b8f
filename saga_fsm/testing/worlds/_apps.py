"""From an app, or the address of one, to what answers a request: by httpx' own transports."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import httpx


__all__ = ["Service", "Services", "again"]

#: Answers a request, in whatever thread it is asked.
Service: TypeAlias = Callable[[httpx.Request], httpx.Response]


class Services:
    """
    Apps, ready to be asked: ASGI's on one loop in a thread of its own, as on a server.

    Args:
        apps: by base URL: an ASGI app, a WSGI app, or the URL of who answers in truth.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closers: list[Callable[[], object]] = []

    def of(self, app: Any) -> Service:
        """Give what answers for an app."""
        if isinstance(app, str):
            return self._elsewhere(httpx.URL(app))
        if _is_asgi(app):
            return self._asgi(app)
        wsgi = httpx.WSGITransport(app=app, raise_app_exceptions=False)

        def ask(request: httpx.Request) -> httpx.Response:
            response = wsgi.handle_request(request)
            return _whole(response, response.read())

        return ask

    def close(self) -> None:
        """End apps, connections and the loop."""
        for closer in self._closers:
            closer()
        self._closers.clear()
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = self._thread = None

    def _asgi(self, app: Any) -> Service:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        lifespan = _Lifespan(app)
        self._wait_for(lifespan.begin())
        self._closers.append(lambda: self._wait_for(lifespan.end()))

        async def ask(request: httpx.Request) -> httpx.Response:
            response = await transport.handle_async_request(request)
            return _whole(response, await response.aread())

        return lambda request: self._wait_for(ask(request))

    def _elsewhere(self, url: httpx.URL) -> Service:
        transport = httpx.HTTPTransport()
        self._closers.append(transport.close)

        def ask(request: httpx.Request) -> httpx.Response:
            path = url.raw_path.rstrip(b"/") + request.url.raw_path
            there = request.url.copy_with(
                scheme=url.scheme, host=url.host, port=url.port, raw_path=path
            )
            headers = [(k, v) for k, v in request.headers.multi_items() if k != "host"]
            moved = httpx.Request(request.method, there, headers=headers, content=request.content)
            response = transport.handle_request(moved)
            return _whole(response, response.read())

        return ask

    def _wait_for(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._loop.run_forever, name="saga_fsm_world", daemon=True
            )
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


class _Lifespan:
    """What a server tells an ASGI app when it starts and when it ends."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        self._task = asyncio.ensure_future(self._live())
        await self._said.put({"type": "lifespan.startup"})
        answer = await self._told.get()
        if answer["type"] == "lifespan.startup.failed":
            raise RuntimeError(f"the app does not start: {answer.get('message', '')}")

    async def end(self) -> None:
        if self._task is not None and not self._task.done():
            await self._said.put({"type": "lifespan.shutdown"})
            await self._told.get()
            await self._task

    async def _live(self) -> None:
        try:
            scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
            await self._app(scope, self._said.get, self._told.put)
        except Exception:  # noqa: BLE001, S110 - an app that knows no lifespan raises, and is served
            pass
        finally:
            await self._told.put({"type": "over"})


def _is_asgi(app: Any) -> bool:
    call = app if inspect.isroutine(app) else getattr(app, "__call__", app)  # noqa: B004 - its function is asked about
    return inspect.iscoroutinefunction(inspect.unwrap(call))


def _whole(response: httpx.Response, content: bytes) -> httpx.Response:
    """A reply that has arrived, its body as it was sent, still encoded if it was."""
    gone = {"content-length", "transfer-encoding"}
    if "content-encoding" in response.headers:
        gone.add("content-encoding")  # ``content`` has been decoded
    headers = [(k, v) for k, v in response.headers.multi_items() if k not in gone]
    return httpx.Response(response.status_code, headers=headers, content=content)


def again(request: httpx.Request) -> httpx.Request:
    """Copy a request that has been read."""
    return httpx.Request(
        request.method, request.url, headers=request.headers, content=request.content
    )
