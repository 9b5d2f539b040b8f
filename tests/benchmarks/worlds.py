"""
How many plans a second each world lets a search run, and how far that is from the bare calls.

``python -m tests.benchmarks.worlds`` runs the tour of one saga of four steps on each world, and
then makes the calls of an average plan without any search: what is left is the share of the search.
Postgres and HTTP are left out where they are not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import attrs

from saga_fsm import Context
from saga_fsm.testing import explore_faults
from saga_fsm.testing.worlds import http, memory, postgres, sqlite
from tests.participants import Shop
from tests.sql_shops import SAGA, SCHEMA, PathShop, SqlShop


GOALS = {"memory, the class": 3_000, "sqlite, rollback": 800, "postgres, rollback": 300}


@attrs.define
class Counted:
    """A world's factory, that counts the calls of its steps."""

    make: Callable[[], Any]
    calls: int = 0

    def __call__(self) -> Any:
        """Give the next world."""
        world = self.make()
        act, undo = world.act, world.undo

        def counted(ctx: Any) -> Any:
            self.calls += 1
            return act(ctx)

        def uncounted(ctx: Any) -> Any:
            self.calls += 1
            return undo(ctx)

        world.act, world.undo = counted, uncounted
        return world


def measured(make: Callable[[], Any], most: int, saga: Any) -> tuple[int, float, float]:
    """Plans that were run, how many a second, and how many of only their calls a second."""
    counted = Counted(make)
    # What is loaded at first use is no plan's.
    explore_faults(saga, world=make, max_faults=0, max_runs=5)
    begin = time.perf_counter()
    result = explore_faults(saga, world=counted, max_faults=0, max_runs=most)
    seconds = time.perf_counter() - begin
    result.assert_ok()
    world, done = make(), 200
    begin = time.perf_counter()
    for number in range(done):
        world.act(Context(run_id=str(number), step="reserve", services=world))
    plain = (time.perf_counter() - begin) / done * counted.calls / result.runs
    return result.runs, result.runs / seconds, 1 / plain


def worlds(stack: ExitStack) -> Iterator[tuple[str, Callable[[], Any], int]]:
    """Each world, and at most how many plans."""
    yield "memory, the class", Shop, 20_000
    yield "memory, copied", memory(Shop), 20_000
    yield "sqlite, rollback", stack.enter_context(sqlite(SqlShop, schema=SCHEMA)), 20_000
    yield "sqlite, copy", stack.enter_context(sqlite(SqlShop, schema=SCHEMA, by="copy")), 20_000
    by_template = sqlite(PathShop, schema=SCHEMA, by="template")
    yield "sqlite, template", stack.enter_context(by_template), 500
    if importlib.util.find_spec("psycopg") is not None:
        yield from _postgres(stack)
    if importlib.util.find_spec("httpx") is not None:
        yield from _http(stack)


def _postgres(stack: ExitStack) -> Iterator[tuple[str, Callable[[], Any], int]]:
    from tests.postgres import Postgres
    from tests.servers.test_worlds_postgres import ALL, PgShop, UrlShop

    server = stack.enter_context(Postgres())
    for name, shop, more, most in [
        ("rollback", PgShop, {}, 20_000),
        ("truncate", UrlShop, {"by": "truncate", "tables": ALL}, 60),
        ("template", UrlShop, {"by": "template"}, 30),
    ]:
        url = server.url(server.create())
        made: Any = postgres(shop, url, schema=SCHEMA, **more)  # type: ignore[call-overload]
        yield f"postgres, {name}", stack.enter_context(made), most


def _http(stack: ExitStack) -> Iterator[tuple[str, Callable[[], Any], int]]:
    from tests.servers import test_worlds_http as apps

    for name, shop, services in [
        ("http, WSGI in process", apps.Shop, apps._wsgi),
        ("http, ASGI in process", apps.Shop, apps._asgi),
        ("http, on a socket", apps.UrllibShop, apps._wsgi),
    ]:
        made: Any = http(shop, services)
        yield name, stack.enter_context(made), 300


def _saga(name: str) -> Any:
    if not name.startswith("http"):
        return SAGA
    from tests.servers import test_worlds_http as apps

    return apps.SAGA


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="worlds whose name begins so")
    only = parser.parse_args().only
    print(f"{'world':24}{'plans':>8}{'plans/s':>10}{'goal':>8}{'only calls/s':>14}{'share':>8}")
    with ExitStack() as stack:
        for name, make, most in worlds(stack):
            if name.startswith(only):
                plans, rate, plain = measured(make, most, _saga(name))
                goal = str(GOALS.get(name, "-"))
                share = f"{rate / plain:.0%}"
                print(f"{name:24}{plans:>8}{rate:>10.0f}{goal:>8}{plain:>14.0f}{share:>8}")


if __name__ == "__main__":
    main()
