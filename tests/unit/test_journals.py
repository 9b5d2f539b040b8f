"""The stores that need no server, under the suite that every store has to pass."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from saga_fsm.errors import MissingExtraError
from saga_fsm.journals.memory import MemoryJournal
from saga_fsm.journals.sqlite import SqliteJournal
from saga_fsm.testing.journals import JournalConformance, Opened


def test_the_extra_is_named_that_postgres_needs() -> None:
    """Without psycopg there is a sentence, and not a traceback of an import."""
    from saga_fsm.journals.postgres import PostgresJournal

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(MissingExtraError, match=r"saga-fsm\[postgres\]"):
            PostgresJournal("postgresql://localhost/x")


class TestMemory(JournalConformance):
    """A dictionary: it is forgotten with the process."""

    lasting = False

    @pytest.fixture
    def opened(self) -> Opened:
        """Open it, at first empty."""
        return lambda now: MemoryJournal(now=now)


class TestSqlite(JournalConformance):
    """One file."""

    @pytest.fixture
    def opened(self, tmp_path: Path) -> Opened:
        """Open it, at first empty."""
        return lambda now: SqliteJournal(tmp_path / "runs.db", now=now)
