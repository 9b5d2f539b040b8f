"""Statements by their names, and the steps from one version of the tables to the next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from saga_fsm.machine import Status
from saga_fsm.ports import Append, Birth, Entry, Run


_FOLDER = files("saga_fsm.journals") / "sql"


def statements(dialect: str) -> dict[str, Any]:
    """Give each statement of ``sql/DIALECT.sql`` by the name above it; drivers type text apart."""
    text = (_FOLDER / f"{dialect}.sql").read_text(encoding="utf-8")
    found: dict[str, Any] = {}
    for part in text.split("-- name: ")[1:]:
        name, _, body = part.partition("\n")
        lines = [line for line in body.splitlines() if not line.startswith("--")]
        found[name.strip()] = "\n".join(lines).strip().rstrip(";")
    return found


def versions(dialect: str) -> list[str]:
    """Give the script that makes each version of the tables of the one before, the first first."""
    scripts: list[str] = []
    while (script := _FOLDER / f"{dialect}-{len(scripts) + 1}.sql").is_file():
        scripts.append(script.read_text(encoding="utf-8"))
    return scripts


def run_of(row: tuple[Any, ...]) -> Run:
    """Make a run of the first ten columns of a row, in the order of ``Run``."""
    run_id, saga, fingerprint, status, started, updated, unresolved, waiting, position, owner = row[
        :10
    ]
    return Run(
        run_id,
        saga,
        fingerprint,
        Status(status),
        started,
        updated,
        json.loads(unresolved),
        tuple(json.loads(waiting)),
        position,
        owner,
    )


def shown(value: Mapping[str, str] | Sequence[str]) -> str:
    """Write what a listing shows as text; most of the time there is nothing."""
    if not value:
        return "{}" if isinstance(value, Mapping) else "[]"
    return json.dumps(dict(value) if isinstance(value, Mapping) else list(value))


def lone(run_id: str, entries: Sequence[Entry], standing: tuple[Any, ...] | None) -> Append:
    """
    Make the append of who writes a run without an orchestrator.

    Args:
        run_id: the run.
        entries: what is new.
        standing: position, fence and status of the run; None when there is none.
    """
    if standing is None:
        return Append(run_id, entries, 0, 0, Status.RUNNING, birth=Birth(run_id, "", "", ""))
    position, fence, status = standing[:3]
    return Append(run_id, entries, position, fence, Status(status))


def split(script: str) -> list[str]:
    """Give the statements of a script: ``executescript`` would commit before it begins."""
    from sqlite3 import complete_statement

    found: list[str] = []
    text = ""
    for line in script.splitlines():
        text += f"{line}\n"
        if complete_statement(text):
            found.append(text)
            text = ""
    return found


def driver_of(given: Any) -> Any:
    """
    Give the driver's connection behind an SQLAlchemy Session or Connection; others as they are.

    Its transaction has begun then, as with SQLAlchemy's own first statement.
    """
    if hasattr(given, "sync_session") or hasattr(given, "sync_connection"):
        return given  # asynchronous: nothing here awaits
    if callable(getattr(given, "connection", None)):  # a Session
        given = given.connection()
    pooled = getattr(given, "connection", None)
    if pooled is None or not hasattr(pooled, "driver_connection"):
        return given
    if not given.in_transaction():
        given.begin()
    return pooled.driver_connection


async def async_driver_of(given: Any) -> Any:
    """
    Give the driver's connection behind an SQLAlchemy AsyncSession or AsyncConnection.

    Others as they are. Its transaction has begun then.
    """
    if hasattr(given, "sync_session"):
        given = await given.connection()
    if not hasattr(given, "sync_connection"):
        return given
    if not given.in_transaction():
        await given.begin()
    return (await given.get_raw_connection()).driver_connection
