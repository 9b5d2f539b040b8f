"""``http``: the entry to worlds of HTTP services, which loads httpx when it is called."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from saga_fsm.errors import MissingExtraError, SagaError


if TYPE_CHECKING:
    from saga_fsm.testing.worlds._http import Answer, HttpWire, HttpWorlds, Silence

__all__ = ["http"]

W = TypeVar("W")


def http(  # noqa: PLR0913 - keyword-only parts of one world
    world: Callable[[HttpWire], W],
    services: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
    *,
    steps: Collection[str] | None = None,
    reset: Callable[[], object] | None = None,
    answers: Mapping[str, Answer] | None = None,
    times: int | None = None,
    silence: Silence = "reset",
    snapshot: Callable[[W], Any] | None = None,
) -> HttpWorlds[W]:
    """
    Make a factory of worlds whose services are HTTP APIs, on a wire that loses what it carries.

    The user's own client code is attacked: its timeouts, its retries, what it makes of a 409 and
    of a reply that is no JSON. During the call that a plan says something about, requests that ask
    for a change suffer it: ``lost_request`` (does not arrive), ``lost_reply`` (is carried out, and
    the client hears nothing), ``late`` (arrives when all is over), ``duplicate``, ``reject`` (409),
    ``transient`` (503), ``bad_value`` (200, and no JSON). All else is done to the step's function::

        class Shop:
            def __init__(self, wire):
                self.bank = BankClient(wire.client("http://bank"))

        shops = worlds.http(Shop, lambda: {"http://bank": make_bank_app()})
        explore_faults(order, world=shops).assert_ok()

    Args:
        world: your class, or a function; called with the wire, of which it asks
            ``wire.client("http://bank")``, ``wire.async_client(...)``, both of httpx, or
            ``wire.url("http://bank")`` for other clients: a server on this machine. It has
            ``wire.services`` as given, to look behind the APIs.
        services: by base URL an ASGI app, a WSGI app, or the URL of a server; or a function that
            gives new ones for each plan.
        steps: those that speak over the wire, by their paths, where others act on something else,
            as a database: what goes wrong with these is done to their functions. None: all speak.
        reset: puts services that are given once back to their first state.
        answers: what clients hear instead, by fault: a status (``{"lost_reply": 500}``), an
            exception of httpx, or a function from the request to a reply.
        times: so many requests of a call suffer, then they get through: 1 lets a client's own
            retry succeed. None: all of them.
        silence: on sockets a lost reply is a connection that is ``reset``, or ``silent`` until the
            client's time is up.
        snapshot: what tells two worlds apart, for pruning; none is compared without.

    Raises:
        MissingExtraError: httpx is not installed.
        SagaError: nothing puts the services back to their first state.
    """
    try:
        from saga_fsm.testing.worlds._http import HttpWire, HttpWorlds
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        raise MissingExtraError(what="httpx", extra="http") from error
    if callable(services):
        each = services
    elif reset is None:
        raise SagaError(
            "the services of this world stay what they are, and one plan would change the next"
            " one's\n  Give a function that makes new ones, or reset=..."
        )
    else:
        each = _kept(services, reset)
    wire = HttpWire(answers or {}, times, silence, steps)
    return HttpWorlds(world, each, wire, snapshot)


def _kept(
    services: Mapping[str, Any], reset: Callable[[], object]
) -> Callable[[], Mapping[str, Any]]:
    def give() -> Mapping[str, Any]:
        reset()
        return services

    return give
