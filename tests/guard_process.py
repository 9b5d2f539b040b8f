"""
A participant as a process of its own, to run beside others and to be killed.

``python -m tests.guard_process hammer URL SEED FIRST KEYS`` asks for actions, compensations and
queries of so many keys, in an order of its own for each, and prints one line an answer:
``key verb answer``.
``... pause URL WHERE VERB`` does one, says ``here`` at one place of it, and waits to be killed.
``... outside URL VERB`` does so in an effect outside the database.
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

from saga_fsm import Rejected, Transient
from saga_fsm.guard import Guard
from tests.guard_laws import ctx_of


VERBS = ("act", "act", "undo", "ask")


def connect(url: str) -> AbstractContextManager[Any]:
    """A connection to a SQLite file, or a Postgres database, closed in the end."""
    if not url.startswith("postgresql://"):
        return closing(sqlite3.connect(url, timeout=30.0))
    import psycopg

    return closing(psycopg.connect(url))


def guard_of(url: str) -> Guard[Any]:
    """Its guard."""
    return Guard(lambda: connect(url))


def perform(guard: Guard[Any], ctx: Any, verb: str, nonce: str, *, here: Any = None) -> str:
    """One action, compensation or query, and what it answered."""

    def sell(connection: Any) -> str:
        if nonce.endswith("7"):
            # One in ten is refused, after its effect.
            connection.execute(f"INSERT INTO sales VALUES ('{ctx.action_key}', 1)")
            raise Rejected(nonce)
        connection.execute(f"INSERT INTO sales VALUES ('{ctx.action_key}', 1)")
        if here is not None:
            here()
        return nonce

    def unsell(connection: Any, _: str) -> None:
        connection.execute(f"INSERT INTO sales VALUES ('{ctx.action_key}', -1)")
        if here is not None:
            here()

    while True:
        try:
            if verb == "act":
                return f"landed:{guard.act(ctx, sell)}"
            if verb == "ask":
                return f"landed:{guard.ask(ctx)}"
            guard.undo(ctx, unsell)
        except Rejected as refused:
            return f"rejected:{refused.reason.replace(' ', '_')}"
        except Transient:
            continue
        return "undone"


def hammer(url: str, seed: int, first: int, keys: int) -> None:
    """Ask for everything, in an order of its own."""
    luck = random.Random(seed)
    guard = guard_of(url)
    # Key by key, so that those who do the same meet.
    for number in range(first, first + keys):
        for verb in luck.sample(VERBS, len(VERBS)):
            nonce = f"{os.getpid()}-{luck.randrange(1_000)}"
            answer = perform(guard, ctx_of(f"k{number}"), verb, nonce)
            print(f"k{number}", verb, answer, flush=True)


def pause(url: str, where: str, verb: str) -> None:
    """Do one thing, and stop at one place of it."""

    def here() -> None:
        print("here", flush=True)
        time.sleep(600)

    @contextmanager
    def begin() -> Iterator[Any]:
        with connect(url) as connection:
            connection.execute("BEGIN IMMEDIATE" if ":" not in url else "SELECT 1")
            yield connection
            if where == "before the commit":
                here()
            connection.commit()
            if where == "after the commit":
                here()

    perform(Guard(begin), ctx_of(), verb, "1", here=here if where == "in the body" else None)


def outside(url: str, verb: str) -> None:
    """Do one thing outside, and stop in it."""

    def effect(*_: Any) -> str:
        print("here", flush=True)
        time.sleep(600)
        return ""

    guard = guard_of(url).outside()
    if verb == "act":
        guard.act(ctx_of(), effect)
    else:
        guard.undo(ctx_of(), effect)


if __name__ == "__main__":
    if sys.argv[1] == "hammer":
        hammer(sys.argv[2], *map(int, sys.argv[3:]))
    elif sys.argv[1] == "outside":
        outside(*sys.argv[2:])
    else:
        pause(*sys.argv[2:])
