"""The stores that need no server, under the suite that every store has to pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from saga_fsm.journals.memory import MemoryJournal
from saga_fsm.journals.sqlite import SqliteJournal
from saga_fsm.testing.journals import JournalConformance, Opened


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
