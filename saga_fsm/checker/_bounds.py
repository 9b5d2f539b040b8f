"""How far a search may go."""

from __future__ import annotations

from typing import Any

import attrs


# So many new states follow a state at most, but for the first few.
_LEADS_TO = 32


def _at_least_one(_: Any, field: attrs.Attribute[Any], value: object) -> None:
    if value is None and field.name == "memory":
        return
    if type(value) is not int or value < 1:
        what = {"limit": "states", "memory": "bytes"}[field.name]
        raise ValueError(f"{field.name} is {value!r}\n  Give a number of {what}, 1 or more.")


@attrs.frozen
class Bounds:
    """
    How far a search may go; what is cut short is never called safe.

    Args:
        limit: the largest number of states.
        memory: about how many bytes it may take; None for as many as there are.
    """

    limit: int = attrs.field(validator=_at_least_one)
    memory: int | None = attrs.field(default=None, validator=_at_least_one)

    def chunk(self, found: int, most: int, *, least: int = 1) -> int:
        """
        Of how many states what follows them is looked at together: fewer near the limit.

        So that a search that is cut short has found hardly more than it was to find.

        Args:
            found: how many states there are until now.
            most: as many as are best.
            least: no fewer.
        """
        return max(least, min(most, (self.limit - found) // _LEADS_TO))
