"""``saga-fsm interference TARGET...``: who may harm whom. Exit status 0 nobody, 1 somebody."""

from __future__ import annotations

import click

from saga_fsm.cli.target import load


@click.command()
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object with a schema number.")
def interference(*, targets: tuple[str, ...], as_json: bool) -> int:
    """
    Say which sagas may harm each other. TARGET is module:name or file.py:name.

    Read off reads=, writes=, locks= and commutes_with=; nothing is searched. To search a pair, and
    to try countermeasures: saga-fsm check TARGET --against OTHER.
    """
    from saga_fsm.checker import interference as table_of

    found = table_of(load(one) for one in targets)
    click.echo(found.to_json() if as_json else str(found))
    return 0 if found.ok else 1
