"""What a driver asks its shell to do, once the entries are in the journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs


#: What is called ("call", "query", "compensate", "decide", "expand"), its path, and the attempt.
Leg: TypeAlias = tuple[str, str, int]
#: A leg's kind, or "retry", "pause", "deadline", and the path.
TimerKey: TypeAlias = tuple[str, str]


# Not frozen and compared by identity: one is made for every call, and nobody keeps it.
@attrs.define(eq=False)
class Invoke:
    """Call ``function(*arguments)``, at most ``timeout`` seconds, and report under ``leg``."""

    leg: Leg
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    timeout: float | None = None


@attrs.frozen
class Wake:
    """Report ``key`` at time ``at``, unless it is set anew or taken back by ``at=None``."""

    key: TimerKey
    at: float | None


@attrs.frozen
class Alert:
    """Tell people: ``message`` is for them, and the run goes on."""

    message: str


Command: TypeAlias = Invoke | Wake | Alert
