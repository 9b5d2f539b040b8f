"""Definitions that a type checker must accept; never executed."""

from __future__ import annotations

from typing import assert_type

from saga_fsm.definition import (
    PENDING,
    SKIP,
    Context,
    Pending,
    Saga,
    Step,
    choice,
    each,
    parallel,
    pivot,
    readonly,
    step,
)


class Order:
    """The input."""

    lines: list[str]


class Shop:
    """The services."""


class Payment:
    """A result."""


Ctx = Context[Order, Shop]
Line = Context[Order, Shop, str]


def refund(ctx: Ctx, payment: Payment | None) -> None:
    """Undo with the result."""


def cancel(ctx: Ctx, result: object) -> None:
    """Undo whatever it was."""


def charge(ctx: Ctx) -> Payment:
    """Act."""
    return Payment()


async def charge_slowly(ctx: Ctx) -> Payment:
    """Act, async."""
    return Payment()


def ask(ctx: Ctx) -> Payment | Pending:
    """Answer later."""
    return PENDING


def look(ctx: Context) -> int:
    """Need nothing."""
    return 1


def pick(ctx: Line) -> str:
    """Need an item."""
    return ctx.item


def lines(ctx: Ctx) -> list[str]:
    """Give the items."""
    return ctx.input.lines


@step(compensate=refund)
def decorated(ctx: Ctx) -> Payment:
    """Act."""
    return Payment()


@step(compensate=cancel, timeout=3.0)
async def decorated_async(ctx: Ctx) -> Payment:
    """Act, async."""
    return Payment()


@readonly
def bare(ctx: Ctx) -> int:
    """Look."""
    return 1


assert_type(step(charge, compensate=refund), Step[Order, Shop, object, Payment])
assert_type(step(charge_slowly, compensate=refund), Step[Order, Shop, object, Payment])
assert_type(step(ask, compensate=cancel), Step[Order, Shop, object, Payment])
assert_type(decorated, Step[Order, Shop, object, Payment])
assert_type(decorated_async, Step[Order, Shop, object, Payment])
assert_type(bare, Step[Order, Shop, object, int])

saga = Saga(
    "order",
    decorated,
    readonly(look),
    parallel(step(charge, compensate=cancel), readonly(look, name="again")),
    each(lines, readonly(pick), max_items=3),
    choice(lambda ctx: True, yes=readonly(look, name="third"), otherwise=SKIP),
    pivot(charge, name="settle"),
)


def later(ctx: Ctx) -> None:
    """Read results with their types."""
    assert_type(ctx.result_of(decorated), Payment)
    assert_type(ctx.result_of(bare, None), int | None)
    assert_type(ctx.results_of(decorated), list[Payment])
