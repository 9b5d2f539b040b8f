"""What the runners need from outside: a journal and a clock. The docstrings are the contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import attrs

from saga_fsm.machine import Event, Move, State


@attrs.frozen
class Entry:
    """
    One line of a run's journal: an event, when it was decided, and the data that came with it.

    Args:
        event: text of the event; one that begins with "#" is a note and moves nothing.
        at: seconds since the epoch, from the injected clock.
        data: the result, the error, the label, the items: what the machine does not know.
    """

    event: str
    at: float
    data: Any = None


class Journal(Protocol):
    """Durable, ordered entries per run."""

    def read(self, run_id: str) -> tuple[Entry, ...]:
        """All entries of a run, in order; empty when there is none."""
        ...

    def append(self, run_id: str, entries: Sequence[Entry], *, expected: int) -> int:
        """
        Add entries after position ``expected``, all or none, durable on return.

        Returns:
            The new length.

        Raises:
            ConcurrentAppendError: the journal is not at ``expected``.
        """
        ...


class Observer(Protocol):
    """
    Whoever watches a run: a function, or an object that can be called.

    Called once per event, in order, after the event is in the journal and before the calls that it
    allows begin. A move whose process died between the two is not told again. Whatever an observer
    raises is logged, and changes nothing; but as long as it takes, the run waits for it. From
    ``arun`` it may be async: then it is awaited beside the run, and to its end before ``arun``
    returns.
    """

    def __call__(self, event: Event, before: State, move: Move, /) -> object:
        """Hear that ``event`` made this move from ``before``, or why it was ignored."""
        ...


class Clock(Protocol):
    """Time, injected: no test sleeps."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def wait(self, get: Any, seconds: float | None, *, busy: bool) -> Any:
        """
        Wait for ``get(timeout)`` at most so many seconds; None without end.

        ``busy`` says that a call is in flight, so that an answer may come by itself.

        Returns:
            What ``get`` gave, or None when the time was up.
        """
        ...

    async def wait_async(self, get: Any, seconds: float | None, *, busy: bool) -> Any:
        """Wait for ``await get()`` at most so many seconds, on the running loop; else the same."""
        ...


class Progress(Protocol):
    """Who is told how far a search is: every few thousand states, and never by a clock."""

    def __call__(self, states: int, transitions: int, frontier: int, depth: int, /) -> None:
        """
        So far: states and moves explored, states waiting to be, and levels from the start.

        A ``KeyboardInterrupt`` raised here ends the search as one from the keyboard does.
        """
        ...
