"""The guard on a Postgres that several processes and threads hammer, and that are killed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.guard_hammer import Hammered, prepared
from tests.postgres import HINT


psycopg = pytest.importorskip("psycopg", reason=HINT)


class TestPostgres(Hammered):
    """READ COMMITTED, a connection a call."""

    @pytest.fixture
    def sql(self, postgres_url: str) -> Callable[[str], list[Any]]:
        """SQL by the side."""

        def sql(text: str) -> list[Any]:
            """SQL by the side."""
            with psycopg.connect(postgres_url) as connection:
                cursor = connection.execute(text)
                return cursor.fetchall() if cursor.description else []

        return sql

    @pytest.fixture
    def url(self, postgres_url: str, sql: Callable[[str], list[Any]]) -> str:
        """Where the database is, with its tables."""
        return prepared(postgres_url, sql)
