"""``saga-fsm demo``: one order saga, its machine, and a path to each outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click


if TYPE_CHECKING:
    from saga_fsm import Saga


_BACK: Final = ("start", "done(charge)", "rejected(reserve)")
_WAYS: Final = {
    "Everything works": ("start", "done(charge)", "done(reserve)", "done(ship)", "done(receipt)"),
    "The stock is gone: the payment is taken back": (*_BACK, "compensated(charge)"),
    "And the refund never gets through: somebody is owed": (
        *_BACK,
        "transient(charge)",
        "exhausted(charge)",
    ),
}


def charge(ctx: object) -> None:
    """Stand where an action would, as all six do: the demo calls nobody."""


def refund(ctx: object, payment: None) -> None:
    """Give the money back."""


def reserve(ctx: object) -> None:
    """Set the goods aside."""


def release(ctx: object, goods: None) -> None:
    """Put them back."""


def ship(ctx: object) -> None:
    """Go past the point of no return."""


def receipt(ctx: object) -> None:
    """Tell the customer."""


def _order() -> Saga[Any, Any, Any]:
    from saga_fsm import GUARDED, Saga, pivot, retriable, step

    return Saga(
        "order",
        step(charge, compensate=refund),
        step(reserve, compensate=release),
        pivot(ship),
        retriable(receipt),
        contract=GUARDED,
    )


@click.command()
def demo() -> None:
    """Show a saga, its machine, and how it ends; calls no action and writes no file."""
    from saga_fsm import compile_saga
    from saga_fsm.path import Path

    saga = _order()
    machine = compile_saga(saga)
    click.echo(f"{saga}\n")
    click.echo(
        f"Its machine {machine.fingerprint}: {len(machine.rows)} rows, which unfold to "
        f"{len(machine.states)} states and {len(machine.transitions)} moves.\n"
    )
    for title, events in _WAYS.items():
        path = Path.of_events(machine, events)
        ending = machine.replay(events)[-1].state
        click.echo(f"{title}: {ending.status.value}\n{path}\n  {path.encode()}\n")
    click.echo("No action was called: these are moves of the machine. No file was written.")
