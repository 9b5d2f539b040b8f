"""Worlds of HTTP services: real apps, real clients, and a wire that loses what it carries."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

import pytest

from saga_fsm import GUARDED, Rejected, Retry, Saga, Status, Transient, readonly, step
from saga_fsm.errors import SagaError
from saga_fsm.testing import Fault, explore_faults, harm, replay
from saga_fsm.testing.worlds import http as http_world
from saga_fsm.testing.worlds import snapshot_of


httpx = pytest.importorskip("httpx", reason="needs httpx: pip install 'saga-fsm[http]'")
BANK = "http://bank"


class Bank:
    """A service: effects by key, and what was undone."""

    def __init__(self) -> None:
        self.marks: dict[str, str] = {}
        self.effects: list[str] = []

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """What it does, whatever the framework."""
        if method == "GET":
            return 200, {"effects": self.effects}
        mark = self.marks.get(body["key"])
        if path == "/effects":
            if mark == "undone":
                return 409, {"detail": "it has been undone"}
            if mark is None:
                self.effects.append(body["step"])
            self.marks[body["key"]] = "applied"
        elif path == "/undone":
            if mark == "applied":
                self.effects.remove(body["step"])
            self.marks[body["key"]] = "undone"
        else:
            return 404, {"detail": "what?"}
        return 200, {"step": body["step"]}

    def asgi(self) -> Any:
        """As an ASGI app, that wants to be started before it is asked."""
        started: list[bool] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                assert (await receive())["type"] == "lifespan.startup"
                started.append(True)
                await send({"type": "lifespan.startup.complete"})
                assert (await receive())["type"] == "lifespan.shutdown"
                await send({"type": "lifespan.shutdown.complete"})
                return
            assert started
            body = b""
            more = True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            status, answer = self.answer(scope["method"], scope["path"], json.loads(body or b"0"))
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

        app.bank = self  # type: ignore[attr-defined]
        return app

    def wsgi(self) -> Any:
        """As a WSGI app."""

        def app(environ: Any, start: Any) -> Iterable[bytes]:
            size = int(environ.get("CONTENT_LENGTH") or 0)
            body = json.loads(environ["wsgi.input"].read(size) or b"0")
            status, answer = self.answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], body)
            start(f"{status} So", [("Content-Type", "application/json")])
            return [json.dumps(answer).encode()]

        app.bank = self  # type: ignore[attr-defined]
        return app


class Shop:
    """The user's client code, right."""

    def __init__(self, wire: Any) -> None:
        self.wire = wire
        self.bank: Bank = wire.services[BANK].bank
        self.http = wire.client(BANK)

    def post(self, path: str, body: Any) -> Any:
        """What becomes of an answer: nobody guesses."""
        answer = self.http.post(path, json=body)
        if answer.status_code == 409:
            raise Rejected(answer.json()["detail"])
        if answer.status_code == 503:
            raise Transient("busy")
        answer.raise_for_status()
        return answer.json()["step"]

    def act(self, ctx: Any) -> str:
        """Look, then act."""
        self.http.get("/").raise_for_status()
        return str(self.post("/effects", {"key": ctx.key, "step": ctx.step}))

    def undo(self, ctx: Any) -> None:
        """Take it back."""
        self.post("/undone", {"key": ctx.action_key, "step": ctx.step})

    def is_consistent(self, outcome: Any) -> bool:
        """Nothing is there twice, and nothing when all went back."""
        effects = self.bank.effects
        return len(set(effects)) == len(effects) and not (
            effects and outcome.status is Status.COMPENSATED
        )


class TimeoutIsNo(Shop):
    """Bug: no answer is taken for a refusal."""

    def post(self, path: str, body: Any) -> Any:
        """Guess."""
        try:
            return super().post(path, body)
        except httpx.TimeoutException as error:
            raise Rejected("no answer") from error


class GarbageIsNo(Shop):
    """Bug: an answer that is no JSON is taken for a refusal."""

    def post(self, path: str, body: Any) -> Any:
        """Guess."""
        try:
            return super().post(path, body)
        except json.JSONDecodeError as error:
            raise Rejected("broken answer") from error


class ErrorIsNothing(Shop):
    """Bug: after a 500 nothing is said to have landed."""

    def post(self, path: str, body: Any) -> Any:
        """Guess."""
        try:
            return super().post(path, body)
        except httpx.HTTPStatusError as error:
            raise Rejected("their mistake") from error


class NewKey(Shop):
    """Bug: the client's own retry is a new request to the service."""

    def post(self, path: str, body: Any) -> Any:
        """Try twice."""
        try:
            return super().post(path, body)
        except httpx.TimeoutException:
            return super().post(path, {**body, "key": uuid4().hex})


class AsyncShop(Shop):
    """The same with an async client."""

    def __init__(self, wire: Any) -> None:
        super().__init__(wire)
        self.http = wire.async_client(BANK)

    async def act(self, ctx: Any) -> str:  # type: ignore[override]
        """Await it."""
        answer = await self.http.post("/effects", json={"key": ctx.key, "step": ctx.step})
        if answer.status_code == 409:
            raise Rejected("no")
        answer.raise_for_status()
        return str(answer.json()["step"])

    async def undo(self, ctx: Any) -> None:  # type: ignore[override]
        """Await it."""
        body = {"key": ctx.action_key, "step": ctx.step}
        (await self.http.post("/undone", json=body)).raise_for_status()


class UrllibShop(Shop):
    """The same with the standard library's client, on a socket."""

    def post(self, path: str, body: Any) -> Any:
        """What becomes of an answer."""
        request = urllib.request.Request(  # noqa: S310 - our own server
            self.wire.url(BANK) + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - as above
                return json.loads(answer.read())["step"]
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 409:
                    raise Rejected("no") from error
            raise

    def act(self, ctx: Any) -> str:
        """Act."""
        return str(self.post("/effects", {"key": ctx.key, "step": ctx.step}))


def _act(ctx: Any) -> Any:
    return ctx.services.act(ctx)


def _undo(ctx: Any, _: Any) -> Any:
    return ctx.services.undo(ctx)


SAGA: Any = Saga(
    "http",
    step(_act, name="reserve", compensate=_undo, retry=Retry(attempts=2)),
    step(_act, name="charge", compensate=_undo),
    contract=GUARDED,
)


def _asgi() -> dict[str, Any]:
    return {BANK: Bank().asgi()}


def _wsgi() -> dict[str, Any]:
    return {BANK: Bank().wsgi()}


RIGHT: list[tuple[type[Shop], Callable[[], Any]]] = [
    (Shop, _asgi),
    (Shop, _wsgi),
    (AsyncShop, _asgi),
    (UrllibShop, _wsgi),
]


@pytest.mark.parametrize(("shop", "services"), RIGHT)
def test_a_right_client_stays_right(shop: Any, services: Any) -> None:
    """No plan of the tour fails when faults come to pass within the client's own code."""
    with http_world(shop, services) as shops:
        result = explore_faults(SAGA, world=shops, max_faults=0, max_runs=200)
    assert result.ok, str(result)
    assert {"lost_reply", "lost_request", "late", "duplicate", "reject"} <= set(result.fired)


class RefusedError(Exception):
    """What the user's own client raises for a 409."""


class OwnWords(Shop):
    """Right, in exceptions of its own, with a till in the same process."""

    def __init__(self, wire: Any) -> None:
        super().__init__(wire)
        self.till = 0

    def post(self, path: str, body: Any) -> Any:
        """Say it in its own words."""
        try:
            return super().post(path, body)
        except Rejected as error:
            raise RefusedError from error

    def count(self, _ctx: Any) -> None:
        """Speak to nobody."""
        self.till += 1


def _count(ctx: Any) -> Any:
    return ctx.services.count(ctx)


def test_a_refusal_in_the_clients_own_words_is_one() -> None:
    """A key that was refused is refused to a late copy too, whatever the refusal is called."""
    charge = step(_act, name="charge", compensate=_undo, rejects=RefusedError)
    saga: Any = Saga("own", charge, contract=GUARDED)
    with http_world(OwnWords, _wsgi) as shops:
        again = replay(saga, "charge@0=second_owner charge@1=reject", world=shops)
        assert again.consistent, again.reason
        assert explore_faults(saga, world=shops, max_faults=0, max_runs=300).ok


def test_what_goes_wrong_with_other_steps_is_done_to_their_functions() -> None:
    """A step that does not speak over the wire is attacked like any other."""
    steps = [step(_act, name="charge", compensate=_undo, rejects=RefusedError), readonly(_count)]
    saga: Any = Saga("mixed", *steps, contract=GUARDED)
    plan = "_count@0=lost_request"
    with http_world(OwnWords, _wsgi) as shops:
        assert replay(saga, plan, world=shops).outcome.status is Status.COMPLETED
    with http_world(OwnWords, _wsgi, steps=["charge"]) as shops:
        found = replay(saga, plan, world=shops)
        assert (found.outcome.status, found.world.till) == (Status.COMPENSATED, 0)
        assert shops().wire.carries("charge/compensation", Fault.LOST_REPLY)


WRONG: list[tuple[type[Shop], dict[str, Any], str]] = [
    (TimeoutIsNo, {}, "lost_reply"),
    (ErrorIsNothing, {"answers": {"lost_reply": 500}}, "lost_reply"),
    (NewKey, {"times": 1}, "lost_reply"),
]


@pytest.mark.parametrize(("shop", "options", "fault"), WRONG)
def test_a_wrong_client_is_found(shop: Any, options: dict[str, Any], fault: str) -> None:
    """What a client makes of a lost or broken reply is attacked too, and told with its plan."""
    with http_world(shop, _wsgi, **options) as shops:
        failures = explore_faults(SAGA, world=shops, max_faults=0, max_runs=150).failures
        assert any(fault in str(failure.plan) for failure in failures), failures
        assert all(not replay(SAGA, one.plan, world=shops).consistent for one in failures)


@pytest.mark.parametrize(("shop", "consistent"), [(Shop, True), (GarbageIsNo, False)])
def test_a_reply_that_makes_no_sense(shop: Any, consistent: Any) -> None:
    """A client that takes it for a refusal leaves behind what has landed."""
    with http_world(shop, _wsgi) as shops:
        assert replay(SAGA, "charge@0=bad_value", world=shops).consistent is consistent


@pytest.mark.parametrize("shop", [TimeoutIsNo, NewKey])
def test_at_the_boundary_of_the_step_they_are_not_seen(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why there is a wire: faults around the function leave the client's code alone."""
    monkeypatch.setattr(harm, "_carries", lambda *_: False)
    with http_world(shop, _wsgi) as shops:
        assert explore_faults(SAGA, world=shops, max_faults=0, max_runs=300).ok


@pytest.mark.parametrize("services", [_asgi, _wsgi])
def test_what_each_fault_is_on_the_wire(services: Any) -> None:
    """Whether it arrives, whether it is answered, and that reading gets through."""
    with http_world(Shop, services) as shops:
        seen: dict[str, Any] = {}
        for fault in Fault:
            shop: Shop = shops()
            if not shop.wire.carries("x", fault):
                continue
            with shop.wire.suffer(fault) as exchanges:
                assert shop.http.get("/").json() == {"effects": []}
                try:
                    heard: Any = shop.http.post("/effects", json={"key": "1", "step": "a"})
                    heard = heard.status_code
                except httpx.HTTPError as error:
                    heard = type(error).__name__
            before = len(shop.bank.effects)
            held = bool(shop.wire.deliver())
            seen[fault] = (heard, exchanges.sent, exchanges.landed, before, held)
            assert not shop.wire.deliver()
            assert len(shop.bank.effects) == max(before, int(held))
    assert seen == {
        "reject": (409, 1, False, 0, False),
        "transient": (503, 1, False, 0, False),
        "lost_request": ("ReadTimeout", 1, False, 0, False),
        "lost_reply": ("ReadTimeout", 1, True, 1, False),
        "late": ("ReadTimeout", 1, False, 0, True),
        "duplicate": (200, 1, True, 1, True),
        "bad_value": (200, 1, True, 1, False),
    }


@pytest.mark.parametrize("silence", ["reset", "silent"])
def test_on_a_socket_a_reply_is_lost_indeed(silence: Any) -> None:
    """A client that knows nothing of us hears a connection that ends, or its own timeout."""
    with http_world(Shop, _asgi, silence=silence) as shops:
        shop = shops()
        place = shop.wire.url(BANK).removeprefix("http://")
        connection = http.client.HTTPConnection(place, timeout=0.2)
        body = json.dumps({"key": "1", "step": "a"})
        with shop.wire.suffer(Fault.LOST_REPLY) as exchanges:
            connection.request("POST", "/effects", body)
            expected = ConnectionError if silence == "reset" else TimeoutError
            with pytest.raises(expected):
                connection.getresponse()
        connection.close()
        assert exchanges.landed
        connection.request(
            "POST",
            "/effects",
            iter([body.encode()]),
            encode_chunked=True,
            headers={"Transfer-Encoding": "chunked"},
        )
        assert json.loads(connection.getresponse().read()) == {"step": "a"}
        connection.close()
        assert shop.bank.effects == ["a"]


def test_a_server_elsewhere_is_a_service_too() -> None:
    """An address stands for an app: the wire is between it and the client."""
    with http_world(Shop, _wsgi) as real:
        bank = real().bank
        there = real.wire.url(BANK)

        def front(wire: Any) -> Any:
            return wire.client(BANK)

        with http_world(front, {BANK: there}, reset=bank.effects.clear) as shops:
            client = shops()
            assert client.post("/effects", json={"key": "1", "step": "a"}).json() == {"step": "a"}
            with shops.wire.suffer(Fault.LOST_REPLY), pytest.raises(httpx.ReadTimeout):
                client.post("/effects", json={"key": "2", "step": "b"})
            assert client.get("/").json() == {"effects": ["a", "b"]}
            assert shops().get("/").json() == {"effects": []}


def test_nothing_leaks_from_plan_to_plan() -> None:
    """Each plan has new services, new clients without cookies, and nothing under way."""
    with http_world(Shop, _wsgi, snapshot=lambda shop: shop.bank.effects) as shops:
        shop = shops()
        first = snapshot_of(shops, shop)
        shop.http.cookies.set("who", "ada")
        with shop.wire.suffer(Fault.LATE), pytest.raises(httpx.ReadTimeout):
            shop.http.post("/effects", json={"key": "1", "step": "a"})
        # Nothing has arrived, and something will.
        assert snapshot_of(shops, shop) not in {None, first}
        shop.http.post("/effects", json={"key": "2", "step": "b"})
        assert snapshot_of(shops, shop) not in {None, first}
        other = shops()
        assert not other.wire.deliver()
        assert (other.bank.effects, dict(other.http.cookies)) == ([], {})
        assert snapshot_of(shops, other) == first
    with http_world(Shop, _wsgi) as shops:
        assert snapshot_of(shops, shops()) is None


def test_what_is_missing_is_said() -> None:
    """Services that stay need a reset; a service that is not there is named."""
    with pytest.raises(SagaError, match="reset="):
        http_world(Shop, _wsgi())
    with http_world(Shop, _wsgi) as shops:
        with pytest.raises(SagaError, match="no service 'http://stock'"):
            shops().wire.url("http://stock")
        with pytest.raises(LookupError, match="no service of this world"):
            shops().wire.client("http://stock").get("/")
