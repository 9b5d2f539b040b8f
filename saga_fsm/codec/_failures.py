"""Exceptions as text and back: what was said is kept, what was raised is only named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from saga_fsm.definition.outcomes import Rejected, Transient


__all__ = ["RememberedError", "from_tree", "to_tree"]

_LONGEST = 10_000


class RememberedError(Exception):
    """
    An exception that another process raised: its words and its name.

    Args:
        message: what it said.
        kind: the name of its class, with its module: ``stripe.error.CardError``.
    """

    def __init__(self, message: str = "", kind: str = "Exception") -> None:
        super().__init__(message)
        self.kind = kind

    def __reduce__(self) -> tuple[type[RememberedError], tuple[str, str]]:
        return RememberedError, (str(self), self.kind)

    def __repr__(self) -> str:
        return f"RememberedError({str(self)!r}, {self.kind!r})"


def to_tree(error: BaseException) -> dict[str, Any]:
    """
    Write an exception down; this never fails, however the exception is made.

    >>> to_tree(Transient("busy", after=2.0))
    {'error': 'saga_fsm.definition.outcomes.Transient', 'message': 'busy', 'after': 2.0}
    """
    tree: dict[str, Any] = {"error": _name(type(error)), "message": _message(error)}
    if isinstance(error, Transient):
        tree["after"] = _seconds(error.after)
    elif isinstance(error, Rejected) and type(error) is not Rejected:
        tree["is"] = "Rejected"
    return tree


def from_tree(tree: Any) -> BaseException | None:
    """
    What an exception was, as far as it is told.

    >>> from_tree({"error": "shop.SoldOut", "message": "no teapots"})
    RememberedError('no teapots', 'shop.SoldOut')
    """
    if not isinstance(tree, dict):
        return None
    kind, message = str(tree.get("error", "Exception")), str(tree.get("message", ""))
    if "after" in tree:
        return Transient(message, tree["after"])
    if tree.get("is") == "Rejected":
        return Rejected(message)
    known = _KNOWN.get(kind)
    return RememberedError(message, kind) if known is None else known(message)


def _cancelled(message: str) -> BaseException:
    # Only who has cancelled a task has asyncio in memory; who reads of it later may not.
    from asyncio import CancelledError

    return CancelledError(message)


def _name(kind: type) -> str:
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the user's __str__; the name of the class is left
        return ""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _seconds(after: Any) -> float | None:
    finite = isinstance(after, int | float) and abs(after) < float("inf")
    return float(after) if finite else None


_KNOWN: dict[str, Callable[[str], BaseException]] = {
    _name(Rejected): Rejected,
    "TimeoutError": TimeoutError,
    "asyncio.exceptions.CancelledError": _cancelled,
}
