"""A journal that loses appends when it is told to: before they are written, or after."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from saga_fsm.errors import JournalError
from saga_fsm.journals.memory import MemoryJournal
from saga_fsm.ports import Entry
from saga_fsm.testing.plan import Fault


class AppendLostError(JournalError):
    """An append that was not written, or was written and not confirmed, as a plan asked for."""


class FragileJournal:
    """
    A memory journal whose appends can fail.

    Args:
        fault: asked at each append: ``LOST_REQUEST`` loses it, ``LOST_REPLY`` the confirmation;
            after ``TRANSIENT``, a locked store, it is written all the same.
    """

    def __init__(self, fault: Callable[[], Fault | None]) -> None:
        self._memory = MemoryJournal()
        self.fault = fault
        self.length = 0

    def read(self, run_id: str) -> tuple[Entry, ...]:
        """All entries of a run, in order."""
        return self._memory.read(run_id)

    def append(self, run_id: str, entries: Sequence[Entry], *, expected: int) -> int:
        """Add entries after position ``expected``, all or none, if nothing goes wrong."""
        fault = self.fault()
        if fault is Fault.LOST_REQUEST:
            raise AppendLostError("injected: the append was not written")
        length = self.length = self._memory.append(run_id, entries, expected=expected)
        if fault is Fault.LOST_REPLY:
            raise AppendLostError("injected: the append was written, and nobody heard")
        return length
