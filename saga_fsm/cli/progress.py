"""Progress of work over a second: one line on a terminal, else a plain line now and then."""

from __future__ import annotations

import sys
import time
from typing import Any

import click


_AFTER = 1.0
_EACH = 0.2
_EACH_PLAIN = 10.0


class Progress:
    """
    Says on standard error how far a search is.

    Args:
        what: of what the first number counts.
        waiting: of what the second counts.
    """

    def __init__(self, what: str, waiting: str) -> None:
        self._what = what
        self._waiting = waiting
        self._began = time.monotonic()
        self._last = self._began
        self._terminal = sys.stderr.isatty()
        self._shown = False

    def __call__(self, done: int, left: int, *_: Any) -> None:
        """Hear of progress; most calls say nothing."""
        now = time.monotonic()
        pause = _EACH if self._terminal else _EACH_PLAIN
        if now - self._began < _AFTER or now - self._last < pause:
            return
        self._last = now
        rate = done / (now - self._began)
        line = f"{done:,} {self._what}, {rate:,.0f} a second, {left:,} {self._waiting}"
        if self._terminal:
            self._shown = True
            click.echo(f"\r\x1b[2K{line}", err=True, nl=False)
        else:
            click.echo(line, err=True)

    def end(self) -> None:
        """Take the line away."""
        if self._shown:
            click.echo("\r\x1b[2K", err=True, nl=False)
