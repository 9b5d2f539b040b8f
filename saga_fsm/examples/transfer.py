"""
A transfer between two accounts that no single database holds.

The money is withdrawn first and deposited as the pivot: while it is on its way it belongs to
nobody, and a transfer that turns back gives it to its owner again.

Transfers meet on the accounts. They add and take amounts and never set a balance, which is what
``commutes_with`` says: ``check(saga, instances=2)`` finds two of them safe, and without it the
write that is lost.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs

from saga_fsm import GUARDED, Context, Outcome, Rejected, Saga, pivot, retriable, step
from saga_fsm.examples._world import Guard, agrees


__all__ = ["INPUT", "World", "consistent", "saga"]


@attrs.frozen
class Transfer:
    """From whom to whom, and how much, in cents."""

    source: str
    target: str
    amount: int


@attrs.frozen
class Posting:
    """An amount that was put on an account; below zero: taken from it."""

    account: str
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
    _opening: dict[str, int] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._opening = dict(self.accounts)

    def post(self, account: str, amount: int) -> Posting:
        """Put an amount, below zero to take it, on an account; the rest is on its way."""
        if account not in self.accounts:
            raise Rejected(f"no account of {account}")
        if self.accounts[account] + amount < 0:
            raise Rejected(f"{account} has only {self.accounts[account]}")
        self.accounts[account] += amount
        self.on_the_way -= amount
        return Posting(account, amount)

    def take_back(self, posting: Posting) -> None:
        """Undo a posting, whatever the account's balance is by now."""
        self.accounts[posting.account] -= posting.amount
        self.on_the_way += posting.amount

    def is_consistent(self, outcome: Outcome[Any]) -> bool:
        """What the outcome claims stands and nothing else, and the books add up to just that."""
        before, after = ("withdraw",), ("deposit", "send_statement")
        return agrees(self.guard, outcome, before=before, after=after) and self._adds_up()

    def _adds_up(self) -> bool:
        """Every account is what the postings that stand have made of it; the rest is on its way."""
        accounts, moving = dict(self._opening), 0
        for name in ("withdraw", "deposit"):
            for _, posting in self.guard.standing(name):
                accounts[posting.account] += posting.amount
                moving -= posting.amount
        told = sorted(run_id for run_id, _ in self.guard.standing("send_statement"))
        return (self.accounts, self.on_the_way, sorted(self.statements)) == (accounts, moving, told)


Ctx: TypeAlias = Context[Transfer, World]


def withdraw(ctx: Ctx) -> Posting:
    """Take the money from its owner."""
    order = ctx.input
    return ctx.services.guard.act(ctx, lambda: ctx.services.post(order.source, -order.amount))


def give_back(ctx: Ctx, _posting: Posting | None) -> None:
    """Give it to its owner again."""
    ctx.services.guard.undo(ctx, ctx.services.take_back)


def deposit(ctx: Ctx) -> Posting:
    """Give it to its new owner."""
    order = ctx.input
    return ctx.services.guard.act(ctx, lambda: ctx.services.post(order.target, order.amount))


def send_statement(ctx: Ctx) -> None:
    """Tell both."""
    ctx.services.guard.act(ctx, lambda: ctx.services.statements.append(ctx.run_id))


saga = Saga(
    "transfer",
    step(withdraw, compensate=give_back, writes="accounts", commutes_with="accounts"),
    pivot(deposit, writes="accounts", commutes_with="accounts"),
    retriable(send_statement),
    deadline=60.0,
    contract=GUARDED,
)


def consistent(world: World, outcome: Outcome[Any]) -> bool:
    """Say whether the world agrees with the outcome."""
    return world.is_consistent(outcome)
