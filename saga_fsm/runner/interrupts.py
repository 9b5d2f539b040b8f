"""SIGINT, held back while a run's own books are open."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


_SIGINT = int(signal.SIGINT)
# Without the wrappers that turn numbers into enumerations: they would take a third of a short run.
_plain: Any = sys.modules.get("_signal", signal)


class Interrupts:
    """
    Let an interrupt through only where it does no harm: in the user's code, and in a wait.

    A ``KeyboardInterrupt`` between an append and the calls that it allows would lose those calls.
    So what handled SIGINT before is called at once while ``open``, and otherwise at the next
    ``let_through``. Outside the main thread, and where nobody handles SIGINT, this does nothing.

    Tested on Linux only. SIGTERM is not handled: it ends the process, and a journalled run can be
    taken up again.
    """

    def __init__(self) -> None:
        self.open = False
        self.held: list[tuple[int, FrameType | None]] = []
        self._previous: Callable[[int, FrameType | None], Any] | None = None

    def begin(self) -> None:
        """Take the signal over."""
        if threading.get_ident() == threading.main_thread().ident:
            previous = _plain.getsignal(_SIGINT)
            if callable(previous):
                self._previous = previous
                _plain.signal(_SIGINT, self._handle)

    def end(self) -> None:
        """Give it back; what is still held comes now."""
        if self._previous is not None:
            _plain.signal(_SIGINT, self._previous)
            self.let_through()

    def let_through(self) -> None:
        """Whatever was held back happens here."""
        if self.held and self._previous is not None:
            self._previous(*self.held.pop(0))

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.open or self._previous is None:
            self.held.append((number, frame))
            return
        try:
            self._previous(number, frame)
        except BaseException:
            self.open = False
            raise
