"""Group commit: whoever comes while a commit is under way shares the next one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from saga_fsm.errors import JournalError, StoreBrokenError, StoreUnavailableError
from saga_fsm.ports import Append


Results = list[JournalError | None]


class _Ticket:
    """Appends of one caller, and what became of them."""

    __slots__ = ("appends", "error", "results")

    def __init__(self, appends: Sequence[Append]) -> None:
        self.appends = appends
        self.results: Results | None = None
        self.error: BaseException | None = None


class Group:
    """
    One writer at a time, who writes what all have brought.

    Callers queue for the writer's place; the first to get it carries out everything that was
    brought in the meantime, in one transaction, and the others find theirs done. Alone, a caller
    pays one lock and no other thread.

    Args:
        carry_out: writes appends in one transaction, durably.
        name: of the store, for errors.
    """

    def __init__(self, carry_out: Callable[[Sequence[Append]], Results], name: str) -> None:
        self._name = name
        self._carry_out = carry_out
        self._place = threading.Lock()
        self._brought: deque[_Ticket] = deque()

    def commit(self, appends: Sequence[Append]) -> Results:
        """Have appends written, by this thread or by another."""
        if not appends:
            return []
        ticket = _Ticket(appends)
        self._brought.append(ticket)
        with self._place:
            if ticket.results is None and ticket.error is None:
                self._write([self._brought.popleft() for _ in range(len(self._brought))])
        if ticket.error is not None:
            raise ticket.error
        assert ticket.results is not None  # noqa: S101 - whoever had the place has written it
        return ticket.results

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
