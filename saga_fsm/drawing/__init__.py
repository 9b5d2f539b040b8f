"""Pictures of sagas: a neutral diagram, then DOT; rendering is a separate call."""

from __future__ import annotations

from typing import Any

from saga_fsm.definition import Saga
from saga_fsm.drawing._dot import PALETTES, to_dot
from saga_fsm.drawing._drawing import Drawing
from saga_fsm.drawing._flow import flow


__all__ = ["Drawing", "draw"]


def draw(saga: Saga[Any, Any, Any], *, theme: str = "light") -> Drawing:
    """
    Draw the flow of a saga.

    Up to five steps go left to right, more top down; the way back goes the other way. ``.source``
    is the DOT text, which needs no engine; ``.pipe("svg")`` and ``.pipe("png")`` draw it.

    Raises:
        ValueError: an unknown theme.
        DrawingEngineError: when it is rendered, and no engine is installed.
    """
    if theme not in PALETTES:
        message = f"theme {theme!r} is not known: there are {', '.join(sorted(PALETTES))}"
        raise ValueError(message)
    return to_dot(flow(saga), theme=theme)
