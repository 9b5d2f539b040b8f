"""Group commit: whoever comes while a commit is under way shares the next one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from saga_fsm.errors import JournalError, StoreBrokenError, StoreUnavailableError
from saga_fsm.ports import Append


Results = list[JournalError | None]

# Seconds: less than a commit to the disk takes, and long enough to be called and come again.
_GATHER = 0.0003


def _turn() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


class _Ticket:
    """Appends of one caller, and what became of them."""

    __slots__ = ("appends", "error", "leads", "results", "turn")

    def __init__(self, appends: Sequence[Append]) -> None:
        self.appends = appends
        self.results: Results | None = None
        self.error: BaseException | None = None
        self.leads = False
        # Released when it is written, or when it is its caller's turn to write.
        self.turn = _turn()


class Group:
    """
    One writer at a time, who writes what all have brought.

    Whoever comes while nobody writes, writes at once: alone, a caller pays a lock and no other
    thread. Whoever comes while another writes, waits; then the first of those who wait writes for
    all of them, in one transaction.

    Args:
        carry_out: writes appends in one transaction, durably.
        name: of the store, for errors.
    """

    def __init__(self, carry_out: Callable[[Sequence[Append]], Results], name: str) -> None:
        self._name = name
        self._carry_out = carry_out
        self._lock = threading.Lock()
        self._busy = False
        self._brought: list[_Ticket] = []
        self._shared = False

    def commit(self, appends: Sequence[Append]) -> Results:
        """Have appends written, by this thread or by another."""
        if not appends:
            return []
        ticket = _Ticket(appends)
        with self._lock:
            self._brought.append(ticket)
            if not self._busy:
                self._busy = ticket.leads = True
                ticket.turn.release()
        try:
            ticket.turn.acquire()
            if ticket.leads:
                self._lead(ticket)
        except BaseException:
            self._leave(ticket)
            raise
        if ticket.error is not None:
            raise ticket.error
        assert ticket.results is not None  # noqa: S101 - whoever led has written it
        return ticket.results

    def _lead(self, ticket: _Ticket) -> None:
        if self._shared:
            time.sleep(_GATHER)
        with self._lock:
            tickets, self._brought = self._brought, []
        self._shared = len(tickets) > 1
        try:
            self._write(tickets)
        finally:
            for other in tickets:
                if other is not ticket:
                    other.turn.release()
            self._hand_on(ticket)

    def _hand_on(self, ticket: _Ticket) -> None:
        """Let the next write, if anybody waits."""
        with self._lock:
            ticket.leads = False
            if self._brought:
                self._brought[0].leads = True
                self._brought[0].turn.release()
            else:
                self._busy = False

    def _leave(self, ticket: _Ticket) -> None:
        """Wait no more: a signal came. What nobody has taken up yet is not written."""
        with self._lock:
            if ticket in self._brought:
                self._brought.remove(ticket)
        if ticket.leads:
            self._hand_on(ticket)

    def _write(self, tickets: list[_Ticket]) -> None:
        try:
            results = self._carry_out([one for ticket in tickets for one in ticket.appends])
        except (StoreUnavailableError, StoreBrokenError) as error:
            for ticket in tickets:
                ticket.error = error
        except Exception as error:  # noqa: BLE001 - raised again where it belongs
            # What one has brought cannot be written at all; the others shall not suffer for it.
            if len(tickets) == 1:
                tickets[0].error = error
                return
            for ticket in tickets:
                self._write([ticket])
        except BaseException as error:
            # A signal ends this thread's wait; whether it was written, the others have to ask.
            for ticket in tickets:
                ticket.error = StoreUnavailableError(
                    store=self._name,
                    message=f"the thread that wrote was stopped by {type(error).__name__}",
                    unknown=True,
                )
            raise
        else:
            begin = 0
            for ticket in tickets:
                end = begin + len(ticket.appends)
                ticket.results = results[begin:end]
                begin = end
