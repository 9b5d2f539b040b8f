"""What a participant promises; the checker assumes it, the failure tests try it."""

from __future__ import annotations

import attrs


__all__ = ["GUARDED", "Contract"]


@attrs.frozen(kw_only=True)
class Contract:
    """
    The promises of a step's participant. None is made by default.

    Args:
        idempotent: requests with the same key have one effect.
        sticky: a rejection is remembered for its key.
        fenced: a compensation that comes first refuses the action that comes late.

    """

    idempotent: bool = False
    sticky: bool = False
    fenced: bool = False

    def __str__(self) -> str:
        names = [field.name for field in attrs.fields(Contract) if getattr(self, field.name)]
        return ", ".join(names) or "nothing promised"


GUARDED = Contract(idempotent=True, sticky=True, fenced=True)
CONTRACT = "Contract(idempotent=True, ...), or GUARDED"  # what a message says to give
