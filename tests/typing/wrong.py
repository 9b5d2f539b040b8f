"""Definitions that type checkers must refuse, each at the line marked; never executed."""

from __future__ import annotations

from typing import Any

from saga_fsm import (
    PENDING,
    SKIP,
    Block,
    Context,
    Contract,
    Pending,
    Policy,
    Retry,
    Saga,
    alternatives,
    check,
    choice,
    each,
    parallel,
    pause,
    pivot,
    readonly,
    retriable,
    step,
)
from saga_fsm.properties import (
    View,
    always,
    at,
    event,
    eventually,
    implies,
    landed,
    leads_to,
    never,
    predicate,
    started,
    status,
    termination,
)


class Order:
    """One input."""

    lines: list[str]


class Trip:
    """Another."""


class Shop:
    """The services."""


class Bank:
    """Others."""


Ctx = Context[Order, Shop]


def act(ctx: Ctx) -> int:
    """Act."""
    return 1


async def act_slowly(ctx: Ctx) -> int:
    """Act, async."""
    return 1


def act_later(ctx: Ctx) -> int | Pending:
    """Answer later."""
    return PENDING


def act_for_item(ctx: Context[Order, Shop, str]) -> int:
    """Need an item."""
    return 1


def act_elsewhere(ctx: Context[Trip, Shop]) -> int:
    """Need another input."""
    return 1


def act_at_bank(ctx: Context[Order, Bank]) -> int:
    """Need other services."""
    return 1


def act_alone() -> int:
    """Take no context."""
    return 1


def act_on_two(ctx: Ctx, other: int) -> int:
    """Take too much."""
    return other


def undo(ctx: Ctx, result: int | None) -> None:
    """Undo."""


def undo_text(ctx: Ctx, result: str | None) -> None:
    """Undo another's result."""


def undo_sure(ctx: Ctx, result: int) -> None:
    """Forget that there may be no result."""


def undo_alone(ctx: Ctx) -> None:
    """Forget the result."""


def undo_elsewhere(ctx: Context[Trip, Shop], result: object) -> None:
    """Undo with another input."""


def find_text(ctx: Ctx) -> str:
    """Answer another result than the action."""
    return ""


def find_elsewhere(ctx: Context[Trip, Shop]) -> int:
    """Ask with another input."""
    return 1


def find_by_result(ctx: Ctx, result: object) -> int:
    """Take what no query is given."""
    return 1


def pick_trip(ctx: Ctx) -> Trip:
    """Give the input of a nested saga."""
    return Trip()


def lines(ctx: Ctx) -> list[str]:
    """Give items."""
    return ctx.input.lines


def is_no(error: str) -> bool:
    """Take no exception."""
    return bool(error)


# A compensation takes what its action gave, or None, in the same context.
step(act, compensate=undo_text)  # expect: error
step(act, compensate=undo_sure)  # expect: error
step(act, compensate=undo_alone)  # expect: error
step(act_slowly, compensate=undo_text)  # expect: error
step(act_slowly, compensate=undo_sure)  # expect: error
step(act_later, compensate=undo_text)  # expect: error
Saga[Order, Shop]("s", step(act, compensate=undo_elsewhere))  # expect: error

# Actions take a context, and nothing else.
step(act_alone, compensate=undo)  # expect: error
readonly(act_on_two)  # expect: error
pivot(3)  # expect: error

# Options are those there are, of their types.
step(act, compensate=undo, patience=3)  # expect: error
step(act, compensate=undo, timeout="3")  # expect: error
step(act, compensate=undo, retry=3)  # expect: error
step(act, compensate=undo, contract="idempotent")  # expect: error
step(act, compensate=undo, rejects=3)  # expect: error
step(act, compensate=undo, rejects=is_no)  # expect: error
step(act, compensate=undo, transient=KeyboardInterrupt)  # expect: error
step(act, compensate=undo, locks=3)  # expect: error
readonly(act, compensate=undo)  # expect: error
pivot(act, compensation_retry=Retry())  # expect: error
retriable(act, compensation_timeout=3.0)  # expect: error
Retry(3)  # expect: error
Retry(attempts="3")  # expect: error
Policy(retries=Retry())  # expect: error
Contract(guarded=True)  # expect: error

# A query takes and answers what the action does.
step(act, compensate=undo, query=find_text)  # expect: error
step(act, compensate=undo, query=find_by_result)  # expect: error
Saga[Order, Shop]("s", pivot(act, query=find_elsewhere))  # expect: error

# What is made is frozen.
readonly(act).name = "x"  # expect: error
Retry().attempts = 3  # expect: error
Context(input=1).input = 2  # expect: error


@step(compensate=undo_text)  # expect: error
def other_result(ctx: Ctx) -> int:
    """Give what the compensation does not take."""
    return 1


@step(compensate=undo_sure)  # expect: error
def sure_result(ctx: Ctx) -> int:
    """Have a compensation that forgets None."""
    return 1


@step(compensate=undo_elsewhere)  # expect: error
def other_context(ctx: Ctx) -> int:
    """Have a compensation in another context."""
    return 1


@pivot(query=find_text)  # expect: error
def other_answer(ctx: Ctx) -> int:
    """Have a query that answers something else."""
    return 1


@step(compensate=undo, query=find_text)  # expect: error
def other_answer_again(ctx: Ctx) -> int:
    """Have a query that answers something else."""
    return 1


@readonly(compensate=undo)  # expect: error
def never_undone(ctx: Ctx) -> int:
    """Have a compensation that is never called."""
    return 1


@retriable  # expect: error
def no_context() -> None:
    """Take no context."""


# A block fits where all that it needs is given.
Saga[Trip, Shop]("s", readonly(act))  # expect: error
Saga[Order, Bank]("s", readonly(act))  # expect: error
Saga[Order, Shop]("s", readonly(act_for_item))  # expect: error
Saga[Order, Shop]("s", parallel(readonly(act), readonly(act_at_bank)))  # expect: error
Saga[Order, Shop]("s", alternatives(readonly(act_elsewhere)))  # expect: error
Saga[Order, Shop]("s", act)  # expect: error
Saga[Order, Shop]("s", deadline="soon")  # expect: error
parallel(act)  # expect: error
everywhere: Block[Trip, Shop] = readonly(act)  # expect: error
nested = Saga[Trip, Shop]("n", readonly(act_elsewhere))
Saga[Order, Shop]("s", nested)  # expect: error
Saga[Order, Shop]("s", nested.given(act))  # expect: error
Saga[Order, Bank]("s", nested.given(pick_trip))  # expect: error
Saga[Order, Shop]("s", readonly(act), compensate=undo_alone)  # expect: error

# Items have their type, and an end.
Saga[Order, Shop]("s", each(lambda ctx: [1], readonly(act_for_item), max_items=2))  # expect: error
Saga[Order, Shop]("s", each(act, readonly(act_for_item), max_items=2))  # expect: error
each(lines, readonly(act_for_item))  # expect: error
each(lines, act_for_item, max_items=2)  # expect: error

# A chooser answers a label; each label has a block; every other answer has one too.
choice(act, yes=SKIP, otherwise=SKIP)  # expect: error
choice(act_alone, yes=SKIP, otherwise=SKIP)  # expect: error
choice(lambda ctx: True, yes=readonly(act))  # expect: error
choice(lambda ctx: True, yes=act, otherwise=SKIP)  # expect: error
choice(lambda ctx: True, yes=readonly(act), otherwise=None)  # expect: error
Saga[Trip, Shop]("s", choice(lambda ctx: True, yes=readonly(act), otherwise=SKIP))  # expect: error

pause("3")  # expect: error
pause(lines)  # expect: error


def reads(ctx: Ctx) -> None:
    """Read results as what they are not."""
    text: str = ctx.result_of(readonly(act))  # expect: error
    some: int = ctx.result_of(readonly(act), None)  # expect: error
    later: str = ctx.result_of(readonly(act_later))  # expect: error
    ctx.result_of(act)  # expect: error
    ctx.results_of(3)  # expect: error
    ctx.input.trip  # expect: error # noqa: B018
    ctx.tries  # expect: error # noqa: B018
    known: Any = (text, some, later)
    assert known


# A predicate is a function of a view that answers True or False, an atom, or an event's text.
def net_of(view: View) -> int:
    """Answer a number."""
    return view.net("act")


def of_context(ctx: Ctx) -> bool:
    """Take a context, which is no state."""
    return bool(ctx.key)


always(net_of)  # expect: error
never(of_context)  # expect: error
never(lambda view: view.net("act"))  # expect: error
never(lambda: True)  # expect: error
never(3)  # expect: error
predicate("done(act)")  # expect: error
implies(landed("act"))  # expect: error
leads_to(landed("act"))  # expect: error
landed("act") & 3  # expect: error
3 | landed("act")  # expect: error

# A step is its value, path, name or function; a state's word is text.
landed(3)  # expect: error
started(None)  # expect: error
at("act", 3)  # expect: error
event(3)  # expect: error
status(3)  # expect: error

# Options are those there are, of their types, by name.
always(landed("act"), "paid")  # expect: error
never(landed("act"), adversarial=["~crash"])  # expect: error
eventually(landed("act"), adversarial=3)  # expect: error
termination(landed("act"))  # expect: error
always(landed("act")).name = "paid"  # expect: error
check(nested, properties=[landed("act")])  # expect: error
check(nested, properties=always(landed("act")))  # expect: error


def looks(view: View) -> None:
    """Look at a state as what it is not."""
    view.status = "stuck"  # expect: error
    view.state  # expect: error # noqa: B018
    view["act"].done  # expect: error # noqa: B018
    view[3]  # expect: error
    view.landed(3)  # expect: error
    text: str = view.net("act")  # expect: error
    known: Any = text
    assert known
