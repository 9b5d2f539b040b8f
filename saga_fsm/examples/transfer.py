"""
A transfer between two accounts that no single database holds.

The money is withdrawn first and deposited as the pivot: while it is on its way it belongs to
nobody, and a transfer that turns back gives it to its owner again.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs

from saga_fsm import GUARDED, Context, Outcome, Rejected, Saga, Status, pivot, retriable, step
from saga_fsm.examples._world import Guard, agrees


__all__ = ["INPUT", "World", "consistent", "saga"]


@attrs.frozen
class Transfer:
    """From whom to whom, and how much, in cents."""

    source: str
    target: str
    amount: int


INPUT = Transfer(source="ada", target="grace", amount=300)


@attrs.define
class World:
    """
    A bank with two customers.

    Args:
        accounts: what each customer has.
        guard: keeps the promises of the participants.
    """

    accounts: dict[str, int] = attrs.field(factory=lambda: {"ada": 1_000, "grace": 0})
    guard: Guard = attrs.field(factory=Guard)
    on_the_way: int = 0
    statements: list[str] = attrs.field(factory=list)
    _wealth: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._wealth = sum(self.accounts.values())

    def move(self, account: str, amount: int) -> int:
        """Put an amount, below zero to take it, on an account; answer the new balance."""
        if account not in self.accounts:
            raise Rejected(f"no account of {account}")
        if self.accounts[account] + amount < 0:
            raise Rejected(f"{account} has only {self.accounts[account]}")
        self.accounts[account] += amount
        self.on_the_way -= amount
        return self.accounts[account]

    def is_consistent(self, outcome: Outcome[Any]) -> bool:
        """No cent appears or is lost, and at rest none is on its way."""
        if sum(self.accounts.values()) + self.on_the_way != self._wealth:
            return False
        landed = self.guard.landed(outcome.run_id)
        moved = {"withdraw", "deposit"} <= landed
        if outcome.status is Status.COMPLETED:
            return moved and "send_statement" in landed and self.on_the_way == 0
        if outcome.status is Status.COMPENSATED and self.on_the_way != 0:
            return False
        return agrees(self.guard, outcome) and (moved or "deposit" not in landed)


Ctx: TypeAlias = Context[Transfer, World]


def withdraw(ctx: Ctx) -> int:
    """Take the money from its owner."""
    order = ctx.input
    return ctx.services.guard.act(ctx, lambda: ctx.services.move(order.source, -order.amount))


def give_back(ctx: Ctx, _balance: int | None) -> None:
    """Give it to its owner again."""
    order = ctx.input
    ctx.services.guard.undo(ctx, lambda _: ctx.services.move(order.source, order.amount))


def deposit(ctx: Ctx) -> int:
    """Give it to its new owner."""
    order = ctx.input
    return ctx.services.guard.act(ctx, lambda: ctx.services.move(order.target, order.amount))


def send_statement(ctx: Ctx) -> None:
    """Tell both."""
    ctx.services.guard.act(ctx, lambda: ctx.services.statements.append(ctx.run_id))


saga = Saga(
    "transfer",
    step(withdraw, compensate=give_back),
    pivot(deposit),
    retriable(send_statement),
    deadline=60.0,
    contract=GUARDED,
)


def consistent(world: World, outcome: Outcome[Any]) -> bool:
    """Say whether the world agrees with the outcome."""
    return world.is_consistent(outcome)
