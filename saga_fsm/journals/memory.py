"""A journal that lives as long as the process: for tests, and for a run that is taken up again."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from saga_fsm.errors import ConcurrentAppendError
from saga_fsm.ports import Entry


class MemoryJournal:
    """Entries per run in a dictionary; safe to share between threads."""

    def __init__(self) -> None:
        self._runs: dict[str, list[Entry]] = {}
        self._lock = threading.Lock()

    def read(self, run_id: str) -> tuple[Entry, ...]:
        """All entries of a run, in order."""
        with self._lock:
            return tuple(self._runs.get(run_id, ()))

    def append(self, run_id: str, entries: Sequence[Entry], *, expected: int) -> int:
        """Add entries after position ``expected``, all or none."""
        with self._lock:
            kept = self._runs.setdefault(run_id, [])
            if len(kept) != expected:
                raise ConcurrentAppendError(run_id=run_id, expected=expected, actual=len(kept))
            kept.extend(entries)
            return len(kept)
