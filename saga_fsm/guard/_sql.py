"""The SQL of the guard: it stands in ``sqlite.sql`` and ``postgres.sql``, one file a database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

from saga_fsm.guard._errors import GuardError


__all__ = ["Database", "outbox_schema", "schema", "statements"]

Database = Literal["sqlite", "postgres"]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")
_SECTION = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def statements(database: Database, table: str) -> Mapping[str, str]:
    """
    Every statement by name, with parameters written ``:key``.

    Raises:
        GuardError: the name is none that needs no quotes; it goes into the text as it is.
    """
    if not _NAME.fullmatch(table):
        raise GuardError(
            message=f"'{table}' is no name for the guard's table",
            remedy="Give a plain name, with its schema where there is one: app.saga_guard.",
        )
    text = (files("saga_fsm.guard") / f"{database}.sql").read_text(encoding="utf-8")
    text = text.replace("{table}", table).replace("{name}", table.rpartition(".")[2])
    _, *parts = _SECTION.split(text)
    return MappingProxyType(dict(zip(parts[::2], map(str.strip, parts[1::2]), strict=True)))


def schema(database: Database, table: str = "saga_guard") -> str:
    """
    The table as SQL, for a migration of your own; ``guard.create_table()`` runs the same.

    It may be run again. A table of this name with other columns is not mended by it.

    Args:
        database: ``"sqlite"`` or ``"postgres"``.
        table: its name, with its schema where there is one.

    >>> print(schema("sqlite", "my_guard").partition(" (")[0])
    CREATE TABLE IF NOT EXISTS my_guard
    """
    return statements(database, table)["schema"]


def outbox_schema(database: Database, table: str = "saga_outbox") -> str:
    """
    The outbox's table as SQL, for a migration of your own; ``outbox.create_table()`` runs the same.

    Args:
        database: ``"sqlite"`` or ``"postgres"``.
        table: its name, with its schema where there is one.

    >>> print(outbox_schema("postgres", "app.letters").partition(" (")[0])
    CREATE TABLE IF NOT EXISTS app.letters
    """
    return statements(database, table)["outbox"]
