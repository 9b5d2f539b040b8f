"""How a compiled table is tampered with: what a planted bug changes in a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from saga_fsm.machine import Row


Change: TypeAlias = Callable[[Row, dict[str, int]], Row | None]


def changed(row: Row, *, guard: Any = None, update: Any = None) -> Row:
    """The same row with another guard or update."""
    return Row(
        row.event,
        row.name,
        row.automaton,
        row.guard if guard is None else tuple(guard),
        row.update if update is None else tuple(update),
        row.automata,
    )


def without(row: Row, v: int) -> Row:
    """The row, not asking automaton ``v``."""
    return changed(row, guard=[literal for literal in row.guard if literal[0] != v])


def only(name: str, change: Callable[[Row, dict[str, int]], Row | None]) -> Change:
    """Change the rows of one name."""
    return lambda row, at: change(row, at) if row.name == name else row


def to(name: str, path: str, code: int) -> Change:
    """Let a row write another local state."""
    return only(
        name,
        lambda row, at: changed(
            row, update=[(v, code if v == at[path] else x) for v, x in row.update]
        ),
    )
