"""What an action says when it has no result: rejected, not yet, not now."""

from __future__ import annotations

from typing import Final, final


__all__ = ["PENDING", "SKIP", "Pending", "Rejected", "Skip", "Transient"]


class Rejected(Exception):  # noqa: N818 - an outcome, not a fault
    """
    Raised by an action: surely nothing landed, and asking again will not help.

    Args:
        reason: for people.

    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class Transient(Exception):  # noqa: N818 - an outcome, not a fault
    """
    Raised by an action: this attempt surely did not land, the next one may.

    Args:
        reason: for people.
        after: at least so many seconds before the next attempt.

    """

    def __init__(self, reason: str = "", after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after

    def __reduce__(self) -> tuple[type[Transient], tuple[str, float | None]]:
        return Transient, (self.reason, self.after)


@final
class Pending:
    """The type of ``PENDING``: the answer comes later, by ``orchestrator.deliver``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "PENDING"

    def __reduce__(self) -> str:
        return "PENDING"


@final
class Skip:
    """The type of ``SKIP``: a branch that does nothing."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SKIP"

    def __reduce__(self) -> str:
        return "SKIP"


PENDING: Final = Pending()
SKIP: Final = Skip()
