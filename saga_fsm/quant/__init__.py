"""The forecast of a saga."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saga_fsm.definition import Saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.quant._chain import chain_of
from saga_fsm.quant._figures import forecast_of
from saga_fsm.quant._forecast import Contribution, Figure, Forecast, Interval
from saga_fsm.quant._legs import legs_of
from saga_fsm.quant._odds import Odds, Split


__all__ = ["Contribution", "Figure", "Forecast", "Interval", "Odds", "Split", "forecast"]


def forecast(
    saga: Saga[Any, Any, Any],
    odds: Mapping[Any, Odds | Split | Mapping[Any, float]] | None = None,
    *,
    default: Odds | None = None,
    limit: int = 1_000_000,
) -> Forecast:
    """Work it out."""
    layout = lay_out(saga)
    legs = legs_of(layout, odds or {}, default)
    return forecast_of(chain_of(layout, legs, limit=limit), legs)
