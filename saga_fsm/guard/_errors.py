"""What the guard refuses to do."""

from __future__ import annotations

import attrs

from saga_fsm.errors import SagaError


__all__ = ["GuardError"]


@attrs.define(auto_exc=True, kw_only=True)
class GuardError(SagaError):
    """
    The guard could not keep its promises, and has not acted as if it could.

    For a step this is an unknown outcome.

    Args:
        message: one sentence of fact.
        remedy: what to do.
        key: the idempotency key, where one is to blame.
    """

    message: str
    remedy: str = ""
    key: str = ""

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message
