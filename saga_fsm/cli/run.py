"""``saga-fsm run TARGET``: one run, with progress; 0 completed, 1 compensated, 4 stuck."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from saga_fsm.cli.inputs import read_input, shown
from saga_fsm.cli.journal import opened
from saga_fsm.cli.target import load, load_named


if TYPE_CHECKING:
    from saga_fsm.machine import Move, State
    from saga_fsm.runner import Outcome

_SCHEMA = 1
_EXIT = {"completed": 0, "compensated": 1, "stuck": 4}


@click.command()
@click.argument("target")
@click.option("--input", "text", help="The saga's input, as JSON.")
@click.option("--services", help="module:factory, called without arguments, for ctx.services.")
@click.option("--id", "run_id", help="The run's id, the first part of every key.")
@click.option("--journal", "url", metavar="URL", help="Keep it: sqlite:///FILE, postgresql://...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with a schema number.")
def run(  # noqa: PLR0913 - one option a fact
    *,
    target: str,
    text: str | None,
    services: str | None,
    run_id: str | None,
    url: str | None,
    as_json: bool,
) -> int:
    """
    Run a saga: its actions are called. TARGET is module:name or file.py:name.

    With --journal it is kept, and the same command with the same --id goes on with it.
    """
    from saga_fsm.runner import run as run_saga

    saga = load(target)
    value = read_input(saga, text)
    world = None if services is None else load_named(services)()
    # Who waits at a terminal sees how far it is; a pipe gets the outcome only.
    observer = _told if sys.stderr.isatty() else None
    journal = None if url is None else opened(url, make=True)
    outcome = run_saga(
        saga, value, services=world, journal=journal, run_id=run_id, observer=observer
    )
    click.echo(_json(outcome) if as_json else _text(outcome))
    return _EXIT[outcome.status.value]


def _told(event: str, _before: State, move: Move) -> None:
    click.echo(f"  {event:<30} {move.state}", err=True)


def _text(outcome: Outcome[Any]) -> str:
    lines = [f"{outcome.run_id}: {outcome.status.value}", f"  {' > '.join(outcome.events)}"]
    if outcome.cause is not None:
        cause = outcome.cause
        lines.append(f"  because: {cause.kind} {cause.step} {cause.message}".rstrip())
    lines.extend(f"  owed: {what} {path}" for path, what in outcome.unresolved.items())
    return "\n".join(lines)


def _json(outcome: Outcome[Any]) -> str:
    cause = outcome.cause
    plain = {
        "schema": _SCHEMA,
        "run_id": outcome.run_id,
        "status": outcome.status.value,
        "events": list(outcome.events),
        "results": outcome.results,
        "unresolved": outcome.unresolved,
        "cause": None
        if cause is None
        else {"step": cause.step, "kind": cause.kind, "message": cause.message},
    }
    return shown(plain)
