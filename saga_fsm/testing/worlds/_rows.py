"""What stands in a database, as one short value: all rows, in whatever order they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from typing import Any


__all__ = ["digest", "postgres_digest", "sqlite_digest"]

Ask = Callable[[str], Iterable[tuple[Any, ...]]]
_SQLITE_TABLES = """
SELECT name, sql FROM sqlite_schema
WHERE type = 'table' AND name NOT LIKE 'sqlite_stat%' ORDER BY name
"""
_POSTGRES_COLUMNS = """
SELECT format('%I.%I', n.nspname, c.relname),
    string_agg(quote_ident(a.attname), ',' ORDER BY a.attnum)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'saga_fsm_first')
    AND NOT (c.relname || '.' || a.attname = ANY ({0})) AND NOT (c.relname = ANY ({0}))
GROUP BY 1 ORDER BY 1
"""


def digest(parts: Iterable[tuple[str, Iterable[tuple[Any, ...]]]]) -> str:
    """
    Sum up tables, each with its rows.

    >>> digest([("t", [(1, "a"), (2, "b")])]) == digest([("t", [(2, "b"), (1, "a")])])
    True
    """
    sum_ = hashlib.blake2b(digest_size=16)
    for name, rows in parts:
        sum_.update(f"{name}\n".encode())
        for row in sorted(map(repr, rows)):
            sum_.update(f"{row}\n".encode("utf-8", "surrogatepass"))
    return sum_.hexdigest()


def sqlite_digest(ask: Ask, ignore: Collection[str]) -> str:
    """
    Sum up a SQLite database: its tables, as they were made, and their rows.

    Args:
        ask: runs a query.
        ignore: tables (``audit``) and columns (``orders.created``) that do not count.
    """
    parts: list[tuple[str, Iterable[tuple[Any, ...]]]] = []
    for name, made in ask(_SQLITE_TABLES):
        if name in ignore:
            continue
        columns = "*"
        if any(one.startswith(f"{name}.") for one in ignore):
            known = [row[1] for row in ask(f"PRAGMA table_info({_quoted(name)})")]
            kept = [_quoted(one) for one in known if f"{name}.{one}" not in ignore]
            columns = ", ".join(kept) or "1"
        parts.append((f"{name} {made}", ask(f"SELECT {columns} FROM {_quoted(name)}")))  # noqa: S608 - names from the catalogue
    return digest(parts)


def postgres_digest(ask: Ask, ignore: Collection[str]) -> str:
    """
    Sum up a Postgres database: the tables of all its schemas, and their rows.

    Args:
        ask: runs a query.
        ignore: tables (``audit``) and columns (``orders.created``) that do not count.
    """
    names = ",".join("'" + one.replace("'", "''") + "'" for one in ignore)
    listed = list(ask(_POSTGRES_COLUMNS.format(f"ARRAY[{names}]::text[]")))
    if not listed:
        return digest([])
    # One journey for all tables; the rows as Postgres itself writes them.
    each = " UNION ALL ".join(
        f"SELECT '{table.replace(chr(39), chr(39) * 2)}', ROW({columns})::text FROM {table}"  # noqa: S608 - as above
        for table, columns in listed
    )
    return digest([(str(listed), ask(each))])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
