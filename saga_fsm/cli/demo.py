"""``saga-fsm demo``: the order saga, checked, run to each end, attacked and drawn."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

import click


# What the shop's participants refuse, and which undo they cannot be reached for.
_SHOPS: Final[dict[str, tuple[set[str], set[str]]]] = {
    "Everything works": (set(), set()),
    "The carrier refuses: the goods go back and the money is returned": ({"ship"}, set()),
    "And the bank is not to be reached for the refund": ({"ship"}, {"charge"}),
}


@click.command()
@click.option(
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the picture is written; a temporary folder unless said.",
)
def demo(*, folder: Path | None) -> None:
    """Show, check, run, attack and draw an example."""
    # Kept: whoever sees the demo wants to look at the picture afterwards.
    folder = folder or Path(mkdtemp(prefix="saga-fsm-demo-"))
    from saga_fsm.checker import check
    from saga_fsm.compiler import compile_saga
    from saga_fsm.examples import order

    machine = compile_saga(order.saga)
    click.echo(f"{order.saga}\n")
    click.echo(f"Its machine {machine.fingerprint} has {len(machine.rows)} rows.\n")
    click.echo(f"{check(order.saga)}\n")
    for title, (refusing, unreachable) in _SHOPS.items():
        _run(title, refusing, unreachable)
    _attack()
    _draw(folder)


def _attack() -> None:
    """Its shop, and one that forgets to pay back, under every fault at every transition."""
    import attrs

    from saga_fsm.cli.progress import Progress
    from saga_fsm.examples import order
    from saga_fsm.testing import explore_faults

    for title, world in (("the shop", order.World), ("one that loses refunds", order.LossyWorld)):
        progress = Progress("runs", "plans waiting")
        try:
            found = explore_faults(
                order.saga,
                world=world,
                input=order.INPUT,
                consistent=order.consistent,
                max_faults=0,
                progress=progress,
            )
        finally:
            progress.end()
        if found.ok:
            told = f"{found.runs:,} runs, {found.coverage:.0%} of the rows that can be taken were"
            click.echo(f"Failure test of {title}: consistent after {told}")
            continue
        shortest = min(found.failures, key=lambda failure: len(failure.plan))
        click.echo(f"Failure test of {title}: {shortest.reason}")
        click.echo(f"  the shortest plan that shows it: {shortest.plan}; see it again with")
        case = "saga_fsm.examples.order:saga --world saga_fsm.examples.order:LossyWorld"
        given = json.dumps(attrs.asdict(order.INPUT))
        click.echo(f"  saga-fsm faults {case} --input '{given}' --replay '{shortest.plan}'\n")


def _draw(folder: Path) -> None:
    from saga_fsm.drawing import draw
    from saga_fsm.errors import DrawingEngineError
    from saga_fsm.examples import order

    folder.mkdir(parents=True, exist_ok=True)
    drawing = draw(order.saga)
    try:
        file, data = folder / "order.svg", drawing.pipe("svg")
    except DrawingEngineError as error:
        file, data = folder / "order.dot", drawing.source.encode()
        click.echo(f"{error}", err=True)
    file.write_bytes(data)
    click.echo(f"Wrote {file}: the saga and its way back. Nothing else was written.")


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
