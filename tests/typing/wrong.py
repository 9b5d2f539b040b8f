"""Definitions that a type checker must refuse, each at the line marked; never executed."""

from __future__ import annotations

from saga_fsm.definition import Context, Saga, readonly, step


class Order:
    """One input."""


class Shop:
    """The services."""


def undo_text(ctx: Context[Order, Shop], result: str | None) -> None:
    """Undo a text."""


def undo_sure(ctx: Context[Order, Shop], result: int) -> None:
    """Forget that there may be no result."""


def act(ctx: Context[Order, Shop]) -> int:
    """Act."""
    return 1


def item(ctx: Context[Order, Shop, str]) -> int:
    """Need an item."""
    return 1


step(act, compensate=undo_text)  # expect: error
step(act, compensate=undo_sure)  # expect: error
step(act, compensate=undo_text, patience=3)  # expect: error
readonly(act, compensate=undo_text)  # expect: error
Saga[str, Shop]("s", readonly(act))  # expect: error
Saga[Order, Shop]("s", readonly(item))  # expect: error
readonly(act).name = "x"  # expect: error


@step(compensate=undo_text)  # expect: error
def decorated(ctx: Context[Order, Shop]) -> int:
    """Act."""
    return 1
