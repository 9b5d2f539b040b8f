"""A service of a world on a real socket, for clients that cannot be given a transport."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import httpx
from typing_extensions import override


__all__ = ["DroppedError", "Loopback"]

_HOP_BY_HOP: Final = {"connection", "keep-alive", "transfer-encoding", "content-length", "date"}
# A client that has no timeout of its own would wait for ever.
_LONGEST: Final = 60.0


class DroppedError(Exception):
    """No reply comes: the connection is reset, or stays silent."""

    def __init__(self, *, silent: bool) -> None:
        super().__init__("no reply comes")
        self.silent = silent


class Loopback:
    """
    A server on a free port of this machine, until it is closed.

    Args:
        base: the URL by which the service is known; requests are handed on with it.
        handle: answers a request, or raises ``DroppedError``.
    """

    def __init__(self, base: str, handle: Callable[[httpx.Request], httpx.Response]) -> None:
        handler = type(
            "_Handler", (_Handler,), {"base": base, "handle_whole": staticmethod(handle)}
        )
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="saga_fsm_loopback", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Small replies are sent at once.
    disable_nagle_algorithm = True
    base: str
    handle_whole: Callable[[httpx.Request], httpx.Response]

    def _any(self) -> None:
        request = httpx.Request(
            self.command,
            self.base + self.path,
            headers=[(k, v) for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP],
            content=self._body(),
        )
        try:
            response = self.handle_whole(request)
        except DroppedError as error:
            self._drop(silent=error.silent)
            return
        self.send_response(response.status_code)
        for name, value in response.headers.multi_items():
            if name not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.content)

    def __getattr__(self, name: str) -> Any:
        # The standard library asks for do_GET, do_POST and so on: all are served alike.
        if name.startswith("do_"):
            return self._any
        raise AttributeError(name)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts: list[bytes] = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _drop(self, *, silent: bool) -> None:
        self.close_connection = True
        if silent:
            # Until the client has had enough.
            self.connection.settimeout(_LONGEST)
            with suppress(OSError):
                self.connection.recv(1)
        # With no time to linger, closing is a reset.
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: there are thousands of requests."""
