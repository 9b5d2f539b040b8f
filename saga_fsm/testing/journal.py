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
            after ``TRANSIENT``, a locked store, it is written all the same; before
            ``SECOND_OWNER`` another writes.
        another: writes to the run, as somebody else who takes it up.
        broken: told when an append was taken that came after somebody else's.
    """

    def __init__(
        self,
        fault: Callable[[], Fault | None],
        another: Callable[[], object],
        broken: Callable[[str], object],
    ) -> None:
        self._memory = MemoryJournal()
        self.fault = fault
        self.another = another
        self._broken = broken
        self.length = 0

    def read(self, run_id: str) -> tuple[Entry, ...]:
        """All entries of a run, in order."""
        return self._memory.read(run_id)

    def append(self, run_id: str, entries: Sequence[Entry], *, expected: int) -> int:
        """Add entries after position ``expected``, all or none, if nothing goes wrong."""
        fault = self.fault()
        if fault is Fault.LOST_REQUEST:
            raise AppendLostError("injected: the append was not written")
        if fault is Fault.SECOND_OWNER:
            self.another()
        before = self.length
        length = self.length = self._memory.append(run_id, entries, expected=expected)
        if expected != before:
            self._broken("the journal took what came after another owner's entries")
        if fault is Fault.LOST_REPLY:
            raise AppendLostError("injected: the append was written, and nobody heard")
        return length

    def close(self) -> None:
        """Let go of who is asked: they and the journal know each other."""
        self.fault, self.another = (lambda: None), (lambda: None)
