"""Worlds of HTTP services, behind a wire that loses requests and replies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator, Hashable, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal, TypeAlias, TypeVar

import httpx
from typing_extensions import override

from saga_fsm.errors import SagaError
from saga_fsm.testing.plan import Fault, asked_at
from saga_fsm.testing.worlds._apps import Service, Services, again
from saga_fsm.testing.worlds._comparing import NotComparableError, frozen
from saga_fsm.testing.worlds._loopback import DroppedError, Loopback
from saga_fsm.testing.worlds._wire import Exchanges
from saga_fsm.testing.worlds._worlds import Worlds


__all__ = ["Answer", "HttpWire", "HttpWorlds"]

W = TypeVar("W")
Answer: TypeAlias = int | type[httpx.RequestError] | Callable[[httpx.Request], httpx.Response]
Silence: TypeAlias = Literal["reset", "silent"]

_READS: Final = {"GET", "HEAD", "OPTIONS", "TRACE"}
_GARBAGE: Final = b"<html><body>It works!</body></html>"
_HANDLED: Final = {Fault.LOST_REPLY, Fault.BAD_VALUE, Fault.DUPLICATE}


def _garbage(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": "text/html"}, content=_GARBAGE)


# What a client hears. Whether it was the request or the reply that got lost, it cannot know.
_ANSWERS: Final[dict[Fault, Answer]] = {
    Fault.REJECT: 409,
    Fault.TRANSIENT: 503,
    Fault.LOST_REQUEST: httpx.ReadTimeout,
    Fault.LOST_REPLY: httpx.ReadTimeout,
    Fault.LATE: httpx.ReadTimeout,
    Fault.BAD_VALUE: _garbage,
}


class HttpWire(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """
    The wire between clients and services; ``world.wire``.

    It is itself a transport of httpx, for sync and async clients. Other clients take ``url(...)``,
    where the service listens on a socket of this machine.

    Args:
        answers: what clients hear, by fault: a status, an exception of httpx, or a function of the
            request.
        times: so many requests of one call suffer its fault, then they get through; None: all.
        silence: what clients on a socket hear of a reply that is lost: a connection that is reset
            at once, or nothing until their own time is up.
        steps: which steps speak over it, by their paths; None: all.
    """

    def __init__(
        self,
        answers: Mapping[str, Answer],
        times: int | None,
        silence: Silence,
        steps: Collection[str] | None = None,
    ) -> None:
        #: The apps of this plan, by base URL.
        self.services: Mapping[str, Any] = {}
        self._answers = {**_ANSWERS, **{Fault(fault): answers[fault] for fault in answers}}
        self._times = times
        self._silence = silence
        self._steps = None if steps is None else frozenset(steps)
        self._ready = Services()
        self._by_place: dict[tuple[str, str, int | None], Service] = {}
        self._loopbacks: dict[str, Loopback] = {}
        self._clients: list[httpx.Client] = []
        self._held: list[tuple[str, httpx.Request]] = []
        self._suffering: tuple[Fault, str, bool] | None = None
        self._exchanges = Exchanges()
        # Requests may come from several threads; what is counted must not be torn.
        self._lock = threading.RLock()

    # ------------------------------------------------------------------ for the user's clients

    def client(self, base_url: str = "", **options: Any) -> httpx.Client:
        """Make a client on this wire."""
        made = httpx.Client(transport=self, base_url=base_url, trust_env=False, **options)
        self._clients.append(made)
        return made

    def async_client(self, base_url: str = "", **options: Any) -> httpx.AsyncClient:
        """Make an async client on this wire."""
        return httpx.AsyncClient(transport=self, base_url=base_url, trust_env=False, **options)

    def url(self, service: str) -> str:
        """
        Say where a service listens on this machine, for clients that are not httpx'.

        Raises:
            SagaError: there is no such service.
        """
        if service not in self.services:
            known = ", ".join(self.services)
            raise SagaError(f"there is no service '{service}' in this world\n  It has: {known}.")
        if service not in self._loopbacks:
            self._loopbacks[service] = Loopback(service.rstrip("/"), self._on_socket)
        return self._loopbacks[service].url

    @override
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self._exchange(request)

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        # One thing happens at a time in a run under faults: nobody else has to go on meanwhile.
        await request.aread()
        return self._exchange(request)

    @override
    def close(self) -> None:
        """Do nothing: a client that is closed leaves the wire to the others."""

    @override
    async def aclose(self) -> None:
        """Do nothing, as ``close``."""

    # ------------------------------------------------------------------ for the simulation

    def carries(self, site: str, fault: Fault) -> bool:
        """Whether this fault comes to pass on the wire."""
        path, _ = asked_at(site)
        if self._steps is not None and not {path, site} & self._steps:
            return False
        return fault in self._answers or fault is Fault.DUPLICATE

    @contextmanager
    def suffer(
        self, fault: Fault, *, site: str = "", reads: bool = False
    ) -> Generator[Exchanges, None, None]:
        """Let the exchanges within suffer a fault."""
        self._exchanges, self._suffering = Exchanges(), (fault, site, reads)
        try:
            yield self._exchanges
        finally:
            # What arrives later is no part of this.
            self._exchanges, self._suffering = Exchanges(), None

    def deliver(self) -> list[tuple[str, bool]]:
        """Let requests that were held back arrive, unanswered; where each is from, and landed."""
        held, self._held = self._held, []
        return [(site, _landed(request, self._send(request))) for site, request in held]

    @property
    def held(self) -> Hashable:
        """What was held back and has not arrived yet, as a value."""
        return tuple(
            (
                site,
                request.method,
                str(request.url),
                tuple(request.headers.items()),
                request.content,
            )
            for site, request in self._held
        )

    # ------------------------------------------------------------------ for the factory

    def begin(self, services: Mapping[str, Any]) -> None:
        """Take new apps, and forget what was under way."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        self._held.clear()
        if services is not self.services:
            self._ready.close()
            self._by_place = {_place(url): self._ready.of(app) for url, app in services.items()}
            self.services = services

    def end(self) -> None:
        """Close everything."""
        self.begin({})
        self._ready.close()
        for loopback in self._loopbacks.values():
            loopback.close()
        self._loopbacks.clear()

    # ------------------------------------------------------------------ what goes wrong

    def _exchange(self, request: httpx.Request) -> httpx.Response:
        found = self._fault(request)
        if found is None:
            return self._send(request)
        fault, site = found
        if fault in {Fault.LATE, Fault.DUPLICATE}:
            self._held.append((site, again(request)))
        response = self._send(request) if fault in _HANDLED else None
        if fault is Fault.DUPLICATE and response is not None:
            self._send(again(request))
            return response
        answer = self._answers[fault]
        if isinstance(answer, int):
            return httpx.Response(answer, json={"detail": f"injected: {fault}"})
        if isinstance(answer, type):
            raise answer(f"injected: {fault}", request=request)
        return answer(request)

    def _fault(self, request: httpx.Request) -> tuple[Fault, str] | None:
        """What this request suffers, if anything, and for which site."""
        with self._lock:
            if self._suffering is None:
                return None
            fault, site, reads = self._suffering
            if not reads and request.method in _READS:
                return None
            if self._times is not None and self._exchanges.sent >= self._times:
                return None
            self._exchanges.sent += 1
            return fault, site

    def _send(self, request: httpx.Request) -> httpx.Response:
        service = self._by_place.get(_place(request.url))
        if service is None:
            known = ", ".join(self.services)
            raise LookupError(f"no service of this world is at {request.url}; it has: {known}")
        response = service(request)
        self._exchanges.landed |= _landed(request, response)
        return response

    def _on_socket(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._exchange(request)
        except httpx.RequestError as error:
            raise DroppedError(silent=self._silence == "silent") from error


class HttpWorlds(Worlds[W]):
    """
    Worlds whose services are apps, behind one wire.

    Args:
        make: from the wire to the world.
        services: gives the apps of a plan, by base URL.
        wire: the wire.
        snapshot: what two worlds share; None: they are not compared.
    """

    def __init__(
        self,
        make: Callable[[HttpWire], W],
        services: Callable[[], Mapping[str, Any]],
        wire: HttpWire,
        snapshot: Callable[[W], Any] | None,
    ) -> None:
        super().__init__(make)
        self.wire = wire
        self._services = services
        self._snapshot = snapshot

    @override
    def reset(self) -> None:
        self.wire.begin(self._services())

    @override
    def again(self) -> W:
        world = self._world = self._make(self.wire)
        if getattr(world, "wire", None) is None:
            world.wire = self.wire  # type: ignore[attr-defined]
        return world

    @override
    def under_way(self) -> Hashable:
        return self.wire.held

    @override
    def snapshot(self, world: W) -> Hashable:
        if self._snapshot is None:
            raise NotComparableError("what stands behind an app, only its author knows")
        return frozen(self._snapshot(world))

    @override
    def close(self) -> None:
        self.wire.end()


def _landed(request: httpx.Request, response: httpx.Response) -> bool:
    return response.is_success and request.method not in _READS


def _place(url: Any) -> tuple[str, str, int | None]:
    there = httpx.URL(url)
    return there.scheme, there.host, there.port
