"""What becomes of a step when the saga turns back: the four kinds."""

from __future__ import annotations

from enum import Enum


__all__ = ["Kind"]


class Kind(Enum):
    """
    The role of a step on its path (Mehrotra et al. 1992; Richardson's three words and one more).

    On every path: compensatable steps, at most one pivot, retriable steps; read-only ones anywhere.
    """

    COMPENSATABLE = "compensatable"
    PIVOT = "pivot"
    RETRIABLE = "retriable"
    READONLY = "readonly"

    def __str__(self) -> str:
        return self.value
