"""What stands between a world's client code and its services, and can go wrong by itself."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

import attrs

from saga_fsm.testing.plan import Fault


__all__ = ["Exchanges", "Wire"]


@attrs.define
class Exchanges:
    """
    What happened on the wire during one call of a step's function.

    Args:
        sent: requests that suffered the fault; with none it has tested nothing.
        landed: whether a service has carried out a request that asked for a change.
    """

    sent: int = 0
    landed: bool = False


class Wire(Protocol):
    """
    A world's ``wire``: faults of a plan come to pass on it, within the user's own client code.

    A fault at the boundary of a step's function skips the timeouts, retries and the mapping of
    errors that are written in it. With a wire the function is called, its requests and replies are
    lost, and what it makes of that is its answer.
    """

    def carries(self, site: str, fault: Fault) -> bool:
        """Whether this fault, at this site, comes to pass on the wire."""
        ...

    def suffer(self, fault: Fault, *, site: str, reads: bool) -> AbstractContextManager[Exchanges]:
        """
        Let the exchanges within suffer a fault.

        Args:
            fault: which one.
            site: where, as plans name it; ``deliver`` says it again.
            reads: whether requests that only read suffer too; else they get through.
        """
        ...

    def deliver(self) -> list[tuple[str, bool]]:
        """Let requests that were held back arrive, unanswered; where each is from, and landed."""
        ...
