"""``saga-fsm faults TARGET``: the failure tour; 0 when nothing is wrong, 1 with failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from saga_fsm.cli.inputs import read_input, shown
from saga_fsm.cli.progress import Progress
from saga_fsm.cli.target import load, load_named


if TYPE_CHECKING:
    from saga_fsm.testing import Exploration, Replay

_SCHEMA = 1


@click.command()
@click.argument("target")
@click.option("--world", help="module:Class, called once a run, for ctx.services.")
@click.option("--input", "text", help="The saga's input, as JSON.")
@click.option("--consistent", help="module:function of world and outcome; else the world's method.")
@click.option("--max-faults", type=click.IntRange(min=0), default=2, show_default=True)
@click.option("--max-runs", type=click.IntRange(min=1), default=20_000, show_default=True)
@click.option("--replay", "plan", help="Run one plan, as in 'charge@0=lost_reply'.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with a schema number.")
def faults(  # noqa: PLR0913 - one a switch
    *,
    target: str,
    world: str | None,
    text: str | None,
    consistent: str | None,
    max_faults: int,
    max_runs: int,
    plan: str | None,
    as_json: bool,
) -> int:
    """Run a saga with faults at every transition. TARGET is module:name or file.py:name."""
    saga = load(target)
    case: dict[str, Any] = {
        "world": None if world is None else load_named(world),
        "input": read_input(saga, text),
        "consistent": None if consistent is None else load_named(consistent),
    }
    if plan is not None:
        return _replay(saga, plan, case, as_json=as_json)
    from saga_fsm.testing import explore_faults

    progress = Progress("runs", "plans waiting")
    try:
        found = explore_faults(
            saga, **case, max_faults=max_faults, max_runs=max_runs, progress=progress
        )
    finally:
        progress.end()
    click.echo(shown(_exploration(found)) if as_json else str(found))
    return 0 if found.ok else 1


def _replay(saga: Any, text: str, case: dict[str, Any], *, as_json: bool) -> int:
    from saga_fsm.testing import FaultPlan, replay

    try:
        plan = FaultPlan.parse(text)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    done: Replay = replay(saga, plan, **case)
    if as_json:
        click.echo(shown(_replayed(done)))
    else:
        click.echo(f"{done.outcome.status.value}\n{done.path}")
        for path, what in done.outcome.unresolved.items():
            click.echo(f"owed: {what} {path}")
        for injection in done.unfired:
            click.echo(f"never fired: {injection}: its call did not come, or it could not be true")
        click.echo(done.reason or "consistent")
    return 0 if done.consistent and not done.unfired else 1


def _exploration(found: Exploration) -> dict[str, Any]:
    return {
        "schema": _SCHEMA,
        "saga": found.saga,
        "ok": found.ok,
        "runs": found.runs,
        "complete": found.complete,
        "coverage": found.coverage,
        "missed": found.missed,
        "outside": found.outside,
        "fired": found.fired,
        "failures": [
            {
                "plan": str(failure.plan),
                "reason": failure.reason,
                "status": failure.outcome.status.value,
                "path": failure.path.encode(),
            }
            for failure in found.failures
        ],
    }


def _replayed(done: Replay) -> dict[str, Any]:
    return {
        "schema": _SCHEMA,
        "plan": str(done.plan),
        "consistent": done.consistent,
        "reason": done.reason,
        "status": done.outcome.status.value,
        "unresolved": done.outcome.unresolved,
        "unfired": [str(one) for one in done.unfired],
        "path": done.path.encode(),
    }
