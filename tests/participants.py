"""Participants that keep their promises, each a name, and steps that call them."""

from __future__ import annotations

from typing import Any

from saga_fsm import Status, pivot, retriable, step
from saga_fsm.examples._world import Guard


class Shop:
    """A world in which each step has one effect, counted; ``is_consistent`` counts them."""

    def __init__(self) -> None:
        self.guard = Guard()
        self.stands: dict[str, int] = {}

    def act(self, ctx: Any) -> str:
        """Cause the effect of a step."""
        return self.guard.act(ctx, lambda: self.count(ctx.step, 1))

    def undo(self, ctx: Any) -> None:
        """Take it back."""
        self.guard.undo(ctx, lambda _: self.count(ctx.step, -1))

    def count(self, name: str, by: int) -> str:
        """One effect more, or less."""
        self.stands[name] = self.stands.get(name, 0) + by
        return name

    def is_consistent(self, outcome: Any) -> bool:
        """Nothing stands when all was undone, and nothing stands twice."""
        if outcome.status is Status.COMPENSATED:
            return not any(self.stands.values())
        return all(count in {0, 1} for count in self.stands.values())


def act(ctx: Any) -> str:
    """The action of every step here."""
    return ctx.services.act(ctx)


def undo(ctx: Any, _: str | None) -> None:
    """And the compensation."""
    ctx.services.undo(ctx)


def C(name: str, **options: Any) -> Any:
    """A compensatable step."""
    return step(act, compensate=undo, name=name, **options)


def P(name: str, **options: Any) -> Any:
    """A pivot."""
    return pivot(act, name=name, **options)


def R(name: str, **options: Any) -> Any:
    """A retriable step."""
    return retriable(act, name=name, **options)
