"""``saga-fsm audit TARGET --path TEXT``: does a recorded path follow the machine? 0 yes, 1 no."""

from __future__ import annotations

import click

from saga_fsm.cli.target import load


@click.command()
@click.argument("target")
@click.option("--path", "text", required=True, metavar="TEXT", help="What Path.encode() wrote.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with a schema number.")
def audit(*, target: str, text: str, as_json: bool) -> int:
    """Replay a path on a saga's machine. TARGET is module:name or file.py:name."""
    from saga_fsm.conformance import audit as audit_path

    try:
        found = audit_path(load(target), text)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(found.to_json() if as_json else str(found))
    return 0 if found.ok else 1
