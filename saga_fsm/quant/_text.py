"""A forecast in words: outcomes, steps by what they cost, and what an operator will be owed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from saga_fsm.quant._forecast import Forecast


def lines_of(forecast: Forecast) -> Iterator[str]:
    """The whole forecast, line by line."""
    yield forecast.saga
