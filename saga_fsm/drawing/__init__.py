"""Pictures of sagas: a neutral diagram, then DOT or Mermaid; rendering is a separate call."""

from __future__ import annotations

from typing import Any

from saga_fsm.definition import Saga
from saga_fsm.drawing._dot import to_dot
from saga_fsm.drawing._drawing import Drawing
from saga_fsm.drawing._ledger import sized_flow
from saga_fsm.drawing._mermaid import mermaid_text
from saga_fsm.drawing._palette import THEMES


__all__ = ["Drawing", "draw", "to_mermaid"]


def draw(saga: Saga[Any, Any, Any], *, theme: str = "light", stage: int | None = None) -> Drawing:
    """
    Draw the flow of a saga.

    Up to five steps go left to right, more top down; the way back goes the other way. ``.source``
    is the DOT text, which needs no engine; ``.pipe("svg")`` and ``.pipe("png")`` draw it.

    Raises:
        ValueError: an unknown theme.
        DrawingEngineError: when it is rendered, and no engine is installed.
    """
    if theme not in THEMES:
        message = f"theme {theme!r} is not known: there are {', '.join(sorted(THEMES))}"
        raise ValueError(message)
    return to_dot(sized_flow(saga, stage=stage), theme=theme)


def to_mermaid(saga: Saga[Any, Any, Any]) -> str:
    """Write a saga as Mermaid text."""
    return mermaid_text(sized_flow(saga))
