"""Participants that keep their promises, each a name, and steps that call them."""

from __future__ import annotations

from typing import Any

import attrs

from saga_fsm import Rejected, Status, pivot, retriable, step
from saga_fsm.examples._world import Guard, Record


class Shop:
    """A world in which each step has one effect, counted; ``is_consistent`` counts them."""

    def __init__(self) -> None:
        self.guard = Guard()
        self.stands: dict[str, int] = {}
        #: Sagas that were undone as a whole: nothing in them lands any more.
        self.gone: set[str] = set()

    def act(self, ctx: Any) -> str:
        """Cause the effect of a step."""
        if any(ctx.step.startswith(f"{whole}/") for whole in self.gone):
            raise Rejected("the whole was undone")
        return self.guard.act(ctx, lambda: self.count(ctx.step, 1))

    def undo(self, ctx: Any) -> None:
        """Take it back."""
        self.guard.undo(ctx, lambda _: self.count(ctx.step, -1))

    def ask(self, ctx: Any) -> str:
        """Say what came of an action; what has not landed by now never will."""
        known = self.guard.records.get(ctx.key)
        if known is None:
            known = Record(ctx.run_id, ctx.step, "fenced", "it was asked for before it came")
            self.guard.records[ctx.key] = known
        if known.mark != "applied":
            raise Rejected(str(known.value))
        return str(known.value)

    def undo_whole(self, ctx: Any) -> None:
        """Take back whatever stands of a nested saga, and see that nothing of it comes."""
        self.gone.add(ctx.step)
        for key, known in self.guard.records.items():
            if known.mark == "applied" and known.step.startswith(f"{ctx.step}/"):
                self.count(known.step, -1)
                self.guard.records[key] = attrs.evolve(known, mark="compensated")

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


def ask(ctx: Any) -> str:
    """The query."""
    return ctx.services.ask(ctx)


def undo_whole(ctx: Any, _: Any) -> None:
    """The compensation of a nested saga as a whole."""
    ctx.services.undo_whole(ctx)


async def act_later(ctx: Any) -> str:
    """The same action, for a loop."""
    return ctx.services.act(ctx)


async def undo_later(ctx: Any, _: str | None) -> None:
    """And its compensation."""
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
