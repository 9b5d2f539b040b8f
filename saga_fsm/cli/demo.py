"""``saga-fsm demo``: the order saga, checked under every fault and run to each of its ends."""

from __future__ import annotations

from typing import Any, Final

import click


# What the shop's participants refuse, and which undo they cannot be reached for.
_SHOPS: Final[dict[str, tuple[set[str], set[str]]]] = {
    "Everything works": (set(), set()),
    "The carrier refuses: the goods go back and the money is returned": ({"ship"}, set()),
    "And the bank is not to be reached for the refund": ({"ship"}, {"charge"}),
}


@click.command()
def demo() -> None:
    """Show the order saga, check it, and run it to each outcome; writes no file."""
    from saga_fsm.checker import check
    from saga_fsm.compiler import compile_saga
    from saga_fsm.examples import order

    machine = compile_saga(order.saga)
    click.echo(f"{order.saga}\n")
    click.echo(f"Its machine {machine.fingerprint} has {len(machine.rows)} rows.\n")
    click.echo(f"{check(order.saga)}\n")
    for title, (refusing, unreachable) in _SHOPS.items():
        _run(title, refusing, unreachable)
    click.echo("No file was written. The world of the example lives in memory.")


def _run(title: str, refusing: set[str], unreachable: set[str]) -> None:
    from saga_fsm.examples import order
    from saga_fsm.examples._world import Guard
    from saga_fsm.runner import run
    from saga_fsm.testing import VirtualClock

    world = order.World(guard=Guard(refusing=refusing, unreachable=unreachable))
    outcome: Any = run(
        order.saga, order.INPUT, services=world, run_id="order-1", clock=VirtualClock()
    )
    click.echo(f"{title}: {outcome.status.value}")
    click.echo(f"  {' > '.join(outcome.events)}")
    click.echo(f"  in the till {world.till}, on the shelf {world.shelf}")
    for path, what in outcome.unresolved.items():
        click.echo(f"  owed: {what} {path}")
    if not order.consistent(world, outcome):
        click.echo("  the world does not agree with the outcome")
        raise SystemExit(1)
    click.echo()
