"""The line of the user's code that is defining something."""

from __future__ import annotations

import sys


_OURS = __file__.rpartition("/")[0] or __file__.rpartition("\\")[0]


def where() -> tuple[str, int]:
    """Give file and line of the nearest caller outside this package."""
    frame = sys._getframe(1)  # noqa: SLF001 - inspect.stack reads source files, this is free
    while frame.f_back is not None and (
        frame.f_code.co_filename.startswith(_OURS) or frame.f_code.co_filename[:1] == "<"
    ):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno
