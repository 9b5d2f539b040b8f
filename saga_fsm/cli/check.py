"""``saga-fsm check TARGET``: the report; exit status 0 when safe, 1 with findings or incomplete."""

from __future__ import annotations

import click

from saga_fsm.cli.target import load


@click.command()
@click.argument("target")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with a schema number.")
@click.option("--limit", type=click.IntRange(min=1), default=200_000, show_default=True)
def check(*, target: str, as_json: bool, limit: int) -> int:
    """Check the saga at TARGET (module:name or file.py:name) under every fault."""
    from saga_fsm.checker import check as check_saga

    report = check_saga(load(target), limit=limit)
    click.echo(report.to_json() if as_json else str(report))
    return 0 if report.ok else 1
