"""Where in the user's files something was defined."""

from __future__ import annotations

import sys


_OWN = __name__.partition(".")[0]


def called_from() -> tuple[str, int]:
    """File and line of the nearest caller outside this library."""
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way costs a stack of frame objects
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith((f"{_OWN}.definition", "attr")) and name != _OWN:
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back  # type: ignore[assignment]
    return "", 0
