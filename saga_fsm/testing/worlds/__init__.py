"""
Worlds for failure tests: what the steps act on, the same again for every plan.

A user's world is any class with the methods that the steps call. These functions make a factory of
it that ``explore_faults``, ``saga_faults`` and ``replay`` take as ``world=``: ``memory`` (Python
objects), ``sqlite`` and ``postgres`` (a database that is put back by rollback, savepoint or
template), ``http`` (services behind a wire that loses requests and replies). ``killed`` runs a plan
in processes that really die. ``reused`` is for an object that knows how to reset itself.
"""

from __future__ import annotations

from saga_fsm.testing.worlds._comparing import NotComparableError
from saga_fsm.testing.worlds._http_entry import http
from saga_fsm.testing.worlds._killed import Killed, killed
from saga_fsm.testing.worlds._memory import memory
from saga_fsm.testing.worlds._postgres_entry import postgres
from saga_fsm.testing.worlds._sqlite import sqlite
from saga_fsm.testing.worlds._wire import Exchanges, Wire
from saga_fsm.testing.worlds._worlds import Worlds, reused, snapshot_of


__all__ = [
    "Exchanges",
    "Killed",
    "NotComparableError",
    "Wire",
    "Worlds",
    "http",
    "killed",
    "memory",
    "postgres",
    "reused",
    "snapshot_of",
    "sqlite",
]
