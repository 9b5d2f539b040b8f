"""Definitions that type checkers must accept, strictly; never executed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, assert_type

import attrs

from saga_fsm import (
    GUARDED,
    PENDING,
    SKIP,
    Block,
    Context,
    Contract,
    Outcome,
    Pending,
    Policy,
    Rejected,
    Retry,
    Saga,
    Status,
    Step,
    Transient,
    alternatives,
    arun,
    check,
    choice,
    compile_saga,
    draw,
    each,
    parallel,
    pause,
    pivot,
    readonly,
    retriable,
    run,
    step,
)
from saga_fsm.definition import Alternatives, Choice, Each, Parallel
from saga_fsm.errors import DefinitionError, SagaError
from saga_fsm.properties import (
    Predicate,
    Property,
    View,
    Word,
    always,
    always_possible,
    at,
    at_rest,
    event,
    eventually,
    happened,
    implies,
    landed,
    leads_to,
    never,
    precedes,
    predicate,
    reachable,
    started,
    status,
    termination,
    undone,
)


@dataclass
class Trip:
    """The input of a nested saga."""

    city: str


@dataclass
class Order:
    """The input."""

    lines: list[str]
    trip: Trip


class Bank(Protocol):
    """One part of the services."""

    def pay(self, key: str) -> int:
        """Take the money."""
        ...


class Stock(Protocol):
    """Another part."""

    def take(self, line: str) -> None:
        """Take it from the shelf."""
        ...


class Shop:
    """The services, all of them."""

    def pay(self, key: str) -> int:
        """Take the money."""
        return len(key)

    def take(self, line: str) -> None:
        """Take it from the shelf."""


class Payment:
    """A result."""


class Decision:
    """The answer of a person."""


class CardDeclinedError(Exception):
    """What the bank raises."""


Ctx = Context[Order, Shop]
Line = Context[Order, Shop, str]


def declined(error: Exception) -> bool:
    """Say whether the bank meant no."""
    return "no" in str(error)


# ---------------------------------------------------------------- actions and what undoes them


def refund(ctx: Ctx, payment: Payment | None) -> None:
    """Undo with the result."""


async def refund_slowly(ctx: Ctx, payment: Payment | None) -> None:
    """Undo with the result, async."""


def cancel(ctx: Ctx, result: object) -> None:
    """Undo whatever it was."""


def charge(ctx: Ctx) -> Payment:
    """Act."""
    if ctx.attempt > 1:
        raise Transient("busy", after=30.0)
    return Payment()


async def charge_slowly(ctx: Ctx) -> Payment:
    """Act, async."""
    raise Rejected("no")


def find(ctx: Ctx) -> Payment:
    """Ask whether it landed."""
    return Payment()


async def find_slowly(ctx: Ctx) -> Payment:
    """Ask whether it landed, async."""
    return Payment()


def ask(ctx: Ctx) -> Decision | Pending:
    """Answer later."""
    return PENDING


async def ask_slowly(ctx: Ctx) -> Decision | Pending:
    """Answer later, async."""
    return PENDING


def withdraw(ctx: Ctx, decision: Decision | None) -> None:
    """Take the question back."""


assert_type(step(charge, compensate=refund), Step[Order, Shop, object, Payment])
assert_type(step(charge, compensate=refund_slowly), Step[Order, Shop, object, Payment])
assert_type(step(charge, compensate=cancel), Step[Order, Shop, object, Payment])
assert_type(step(charge_slowly, compensate=refund), Step[Order, Shop, object, Payment])
assert_type(step(charge_slowly, compensate=refund_slowly), Step[Order, Shop, object, Payment])
assert_type(step(charge_slowly, compensate=cancel), Step[Order, Shop, object, Payment])

# `Decision | Pending` is a step with a Decision, whatever takes it back.
assert_type(step(ask, compensate=withdraw), Step[Order, Shop, object, Decision])
assert_type(step(ask, compensate=cancel), Step[Order, Shop, object, Decision])
assert_type(step(ask_slowly, compensate=withdraw), Step[Order, Shop, object, Decision])
assert_type(readonly(ask), Step[Order, Shop, object, Decision])
assert_type(readonly(ask_slowly), Step[Order, Shop, object, Decision])

# A query takes and answers what the action does, sync or async whatever the action is.
assert_type(step(charge, compensate=refund, query=find), Step[Order, Shop, object, Payment])
assert_type(pivot(charge, query=find_slowly), Step[Order, Shop, object, Payment])
assert_type(pivot(charge_slowly, query=find), Step[Order, Shop, object, Payment])
assert_type(retriable(charge_slowly, query=find_slowly), Step[Order, Shop, object, Payment])


# ---------------------------------------------------------------- decorators


@step(compensate=refund)
def decorated(ctx: Ctx) -> Payment:
    """Act."""
    return Payment()


@step(compensate=cancel, timeout=3.0)
async def decorated_async(ctx: Ctx) -> Payment:
    """Act, async."""
    return Payment()


@step(compensate=refund, query=find)
def decorated_queried(ctx: Ctx) -> Payment:
    """Act."""
    return Payment()


@step(compensate=cancel, query=find_slowly)
async def decorated_queried_async(ctx: Ctx) -> Payment:
    """Act, async."""
    return Payment()


@step(compensate=withdraw)
def decorated_pending(ctx: Ctx) -> Decision | Pending:
    """Answer later."""
    return PENDING


@readonly
def bare(ctx: Ctx) -> int:
    """Look."""
    return 1


@readonly(name="look", timeout=1.0)
async def bare_async(ctx: Ctx) -> int:
    """Look, async."""
    return 1


@pivot
def settle(ctx: Ctx) -> Payment:
    """Decide."""
    return Payment()


@pivot(query=find, retry=Retry.forever(wait_initial=1.0))
async def settle_queried(ctx: Ctx) -> Payment:
    """Decide."""
    return Payment()


@retriable
async def mail(ctx: Ctx) -> None:
    """Must happen."""


@retriable(retry=Retry(attempts=9))
def mail_often(ctx: Ctx) -> None:
    """Must happen."""


assert_type(decorated, Step[Order, Shop, object, Payment])
assert_type(decorated_async, Step[Order, Shop, object, Payment])
assert_type(decorated_queried, Step[Order, Shop, object, Payment])
assert_type(decorated_queried_async, Step[Order, Shop, object, Payment])
assert_type(decorated_pending, Step[Order, Shop, object, Decision])
assert_type(bare, Step[Order, Shop, object, int])
assert_type(bare_async, Step[Order, Shop, object, int])
assert_type(settle, Step[Order, Shop, object, Payment])
assert_type(settle_queried, Step[Order, Shop, object, Payment])
assert_type(mail, Step[Order, Shop, object, None])
assert_type(mail_often, Step[Order, Shop, object, None])
assert_type(attrs.evolve(decorated, name="deposit"), Step[Order, Shop, object, Payment])


# ---------------------------------------------------------------- options

BANK = Policy(
    timeout=10.0,
    retry=Retry(attempts=5, wait_initial=0.5, jitter=0.5),
    rejects=CardDeclinedError,
    transient=(ConnectionRefusedError, TimeoutError),
)
optioned = step(
    charge,
    compensate=refund,
    name="pay",
    retry=Retry(attempts=None),
    compensation_retry=Retry(attempts=2),
    timeout=3.0,
    compensation_timeout=4,
    policy=BANK,
    contract=Contract(idempotent=True),
    rejects=declined,
    transient=lambda error: "later" in str(error),
    reads="stock",
    writes=("purse",),
    locks=["card"],
    commutes_with="purse",
    participant="payments",
)
assert_type(optioned, Step[Order, Shop, object, Payment])
assert_type(optioned.timeout, float | None)


# ---------------------------------------------------------------- what needs less fits everywhere


def look(ctx: Context) -> int:
    """Need nothing."""
    return ctx.attempt


def count(ctx: Context[Order]) -> int:
    """Need the input only."""
    return len(ctx.input.lines)


def pick(ctx: Line) -> str:
    """Need an item."""
    return ctx.item


def put_back(ctx: Line, item: str | None) -> None:
    """Need an item."""


def lines(ctx: Ctx) -> list[str]:
    """Give the items."""
    return ctx.input.lines


async def lines_slowly(ctx: Ctx) -> tuple[str, ...]:
    """Give the items, async."""
    return tuple(ctx.input.lines)


def is_large(ctx: Ctx) -> bool:
    """Choose."""
    return len(ctx.input.lines) > 3


def patience(ctx: Ctx) -> float:
    """Give seconds."""
    return 3.0


async def colour(ctx: Context[Order]) -> str:
    """Choose, async."""
    return ctx.input.trip.city


assert_type(readonly(look), Step[object, object, object, int])
anywhere: Block[Order, Shop, str] = readonly(look)
assert_type(parallel(readonly(look), decorated), Parallel[Order, Shop, object])
assert_type(alternatives(decorated, readonly(look)), Alternatives[Order, Shop, object])
assert_type(each(lines, readonly(pick), max_items=3), Each[Order, Shop, object])
assert_type(each(lines_slowly, readonly(pick), max_items=3), Each[Order, Shop, object])
assert_type(choice(is_large, yes=readonly(look), otherwise=SKIP), Choice[Order, Shop, object])
assert_type(pause(3.0), Step[object, object, object, None])
assert_type(pause(patience), Step[Order, Shop, object, None])

line = Saga[Order, Shop, str]("line", step(pick, compensate=put_back), readonly(look))
saga = Saga(
    "order",
    decorated,
    readonly(look),
    readonly(count),
    parallel(step(charge, compensate=cancel), readonly(look, name="again")),
    each(lines, line, max_items=3),
    each(lambda ctx: ctx.input.lines, readonly(pick), max_items=3, concurrent=True, name="picks"),
    choice(lambda ctx: True, yes=readonly(look, name="third"), otherwise=SKIP),
    choice(is_large, yes=readonly(ask), no=SKIP, otherwise=decorated_async),
    choice(colour, red=SKIP, blue=readonly(count, name="fourth"), otherwise=SKIP, name="colour"),
    alternatives(readonly(ask, name="owner"), readonly(ask, name="deputy"), name="asked"),
    pause(3.0),
    pause(lambda ctx: 3.0, name="second"),
    pause(patience, name="third_pause"),
    settle,
    mail,
    deadline=1800.0,
    contract=GUARDED,
    policy=BANK,
    version="2",
    input=Order,
)
assert_type(saga, Saga[Order, Shop, object])


# ---------------------------------------------------------------- different parts: name the whole


@readonly
def pay(ctx: Context[Order, Bank]) -> int:
    """Need the bank."""
    return ctx.services.pay(ctx.key)


@readonly
def reserve(ctx: Context[Order, Stock]) -> None:
    """Need the stock."""


@readonly
def reserve_line(ctx: Context[Order, Stock, str]) -> None:
    """Need the stock, and an item."""
    ctx.services.take(ctx.item)


@readonly
def fly(ctx: Context[Trip, Stock]) -> str:
    """Need another input."""
    return ctx.input.city


def items(ctx: Context[Order, Bank]) -> list[str]:
    """Need the bank for the items."""
    return ctx.input.lines


def solvent(ctx: Context[Order, Bank]) -> bool:
    """Need the bank to choose."""
    return ctx.services.pay(ctx.key) > 0


def its_trip(ctx: Context[Order, Bank]) -> Trip:
    """Need the bank for the input of the nested saga."""
    return ctx.input.trip


def their_trip(ctx: Ctx) -> Trip:
    """Need the whole shop for it."""
    return ctx.input.trip


def cancel_trip(ctx: Context[Trip, Stock], results: dict[str, object]) -> None:
    """Undo the whole of a nested saga, from all its results."""


trip = Saga("trip", fly, compensate=cancel_trip)
assert_type(trip, Saga[Trip, Stock, object])
whole = Saga[Order, Shop](
    "whole",
    pay,
    reserve,
    parallel(pay, reserve),
    parallel(pay, reserve, readonly(look)),
    parallel(pay, parallel(reserve, pay), reserve, reserve),
    alternatives(pay, reserve),
    alternatives(pay, reserve, reserve, name="several"),
    each(items, reserve_line, max_items=2),
    choice(solvent, yes=reserve, otherwise=SKIP),
    choice(solvent, yes=reserve, otherwise=pay),
    trip.given(lambda ctx: ctx.input.trip),
    trip.given(its_trip),
    trip.given(their_trip),
)
apart: Block[Order, Shop] = parallel(pay, reserve)


# ---------------------------------------------------------------- results


def later(ctx: Ctx) -> None:
    """Read results with their types."""
    assert_type(ctx.result_of(decorated), Payment)
    assert_type(ctx.result_of(decorated_pending), Decision)
    assert_type(ctx.result_of(fly), str)
    assert_type(ctx.result_of(bare, None), int | None)
    assert_type(ctx.results_of(decorated), list[Payment])
    assert_type((ctx.input, ctx.services, ctx.item), tuple[Order, Shop, object])
    assert_type((ctx.key, ctx.action_key, ctx.run_id, ctx.step), tuple[str, str, str, str])
    assert_type((ctx.attempt, ctx.index), tuple[int, int | None])


def within(ctx: Line) -> None:
    """An item has its type."""
    assert_type(ctx.item, str)


shop = Shop()
order = Order([], Trip("Rome"))
by_hand: Ctx = Context(input=order, services=shop, results={"look": 1})
refund(by_hand, None)
decorated(by_hand)

outcome: Outcome = run(saga, order, services=shop, answers={decorated_pending: lambda ctx: 1})
assert_type(outcome.result_of(decorated), Payment)
assert_type(check(saga).ok, bool)
assert_type(compile_saga(saga).fingerprint, str)
picture = draw(saga)


async def main() -> None:
    """Run on a loop."""
    assert_type((await arun(saga, order, services=shop)).result_of(bare), int)


def mended(error: DefinitionError) -> SagaError:
    """Every fact is an attribute."""
    assert_type((error.rule, error.saga, error.step), tuple[str, str, str])
    assert_type((error.file, error.line, error.remedy), tuple[str, int, str])
    return error


# ---------------------------------------------------------------- properties


def paid(view: View) -> bool:
    """Look at one state; steps go by value, path, name or function."""
    assert_type(view["trip/fly"], Word)
    assert_type(view[trip], Word)
    assert_type(view.status, Status)
    assert_type((view.up, view.ended), tuple[bool, bool])
    assert_type(
        (view.started(bare), view.landed(charge), view.undone("bare")), tuple[bool, bool, bool]
    )
    assert_type(view.net(decorated), int)
    return view["bare"] == "done" and view.status is not Status.STUCK


atoms: list[Predicate] = [
    *(
        at(bare, "done", "started"),
        at(trip, "undoing"),
        started(charge),
        landed("bare"),
        undone(pay),
    ),
    *(status("stuck", Status.COMPLETED), event("done(bare)"), event(bare, "done"), at_rest),
    *(happened(charge, "rejected"), predicate(paid), predicate(lambda view: view.up)),
    *(implies(paid, landed(bare)), implies("done(bare)", lambda view: view.ended)),
]
assert_type(landed(bare) & ~undone(bare) | at_rest, Predicate)
assert_type(landed(bare) & paid, Predicate)
assert_type(landed(bare) & predicate(lambda view: view.up) | "cancel", Predicate)
assert_type(paid | landed(bare), Predicate)
assert_type("~crash" & landed(bare), Predicate)
wanted: list[Property] = [
    *(always(paid), never(landed(bare), name="none"), reachable(lambda view: view.net(bare) > 1)),
    *(eventually("done(bare)", adversarial=["~crash"]), eventually(at_rest, adversarial="retry")),
    *(leads_to(paid, lambda view: view["bare"] != "done"), precedes("start", atoms[0])),
    *(always_possible(at_rest), termination(adversarial=("retry", "resolve"), name="ends")),
]
assert_type(check(saga, properties=wanted).ok, bool)
