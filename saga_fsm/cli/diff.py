"""``saga-fsm diff OLD NEW``: may runs of OLD go on under NEW? Exit status 0 yes, 1 no."""

from __future__ import annotations

import click

from saga_fsm.cli.progress import Progress
from saga_fsm.cli.target import load


@click.command()
@click.argument("old")
@click.argument("new")
@click.option("--renamed", multiple=True, metavar="OLD=NEW", help="A step's new name. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with a schema number.")
@click.option("--limit", type=click.IntRange(min=1), default=500_000, show_default=True)
def diff(*, old: str, new: str, renamed: tuple[str, ...], as_json: bool, limit: int) -> int:
    """Say which runs of OLD may go on under NEW. Each is module:name or file.py:name."""
    from saga_fsm.upgrade import diff as diff_sagas

    names = dict(_pair(one) for one in renamed)
    progress = Progress("states", "waiting")

    def told(states: int, _moves: int, frontier: int, _depth: int) -> None:
        progress(states, frontier)

    try:
        found = diff_sagas(load(old), load(new), renamed=names, limit=limit, progress=told)
    finally:
        progress.end()
    click.echo(found.to_json() if as_json else str(found))
    return 0 if found.ok else 1


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        message = f"'{text}' renames nothing. Give --renamed OLD=NEW, for instance pay=charge."
        raise click.UsageError(message)
    return old, new
