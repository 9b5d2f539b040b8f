"""The guard on a SQLite file that several processes and threads hammer, and that are killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.guard_hammer import Hammered, prepared
from tests.guard_laws import sqlite_sql


class TestSqlite(Hammered):
    """One file, a connection a call."""

    @pytest.fixture
    def sql(self, tmp_path: Path) -> Callable[[str], list[Any]]:
        """SQL by the side."""
        return sqlite_sql(str(tmp_path / "shop.db"))

    @pytest.fixture
    def url(self, tmp_path: Path, sql: Callable[[str], list[Any]]) -> str:
        """Where the database is, with its tables."""
        return prepared(str(tmp_path / "shop.db"), sql)
