"""The journal of one run, which loses appends when it is told to: unwritten, or unconfirmed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from saga_fsm.errors import ConcurrentAppendError, JournalError
from saga_fsm.ports import Entry
from saga_fsm.testing.plan import Fault


class AppendLostError(JournalError):
    """An append that was not written, or was written and not confirmed, as a plan asked for."""


class FragileJournal:
    """
    One run in a list; an append can fail.

    Args:
        fault: asked at each append: ``LOST_REQUEST`` loses it, ``LOST_REPLY`` the confirmation.
    """

    def __init__(self, fault: Callable[[], Fault | None]) -> None:
        self._entries: list[Entry] = []
        self.fault = fault

    @property
    def length(self) -> int:
        """How many entries there are."""
        return len(self._entries)

    def read(self, _run_id: str) -> tuple[Entry, ...]:
        """All entries, in order."""
        return tuple(self._entries)

    def append(self, run_id: str, entries: Sequence[Entry], *, expected: int) -> int:
        """Add entries after position ``expected``, all or none, if nothing goes wrong."""
        fault = self.fault()
        if fault is Fault.LOST_REQUEST:
            raise AppendLostError("injected: the append was not written")
        length = len(self._entries)
        if length != expected:
            raise ConcurrentAppendError(run_id=run_id, expected=expected, actual=length)
        self._entries.extend(entries)
        if fault is Fault.LOST_REPLY:
            raise AppendLostError("injected: the append was written, and nobody heard")
        return len(self._entries)
