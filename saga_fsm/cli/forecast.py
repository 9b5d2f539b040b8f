"""``saga-fsm forecast TARGET``: how runs will end, under given odds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from saga_fsm.cli.target import load


if TYPE_CHECKING:
    from saga_fsm.definition import Saga
    from saga_fsm.quant import Odds

_ASSUMED = (
    "no odds were given: every attempt is rejected, fails for now or is not answered with odds of "
    "1 in 100 each, takes 1 s, and every label is as likely as any other\n"
    "  Give your own: saga-fsm forecast {target} --write-odds odds.json, then --odds odds.json."
)


@click.command()
@click.argument("target")
@click.option(
    "--odds",
    "file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="FILE.json with the odds of each step.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object with a schema number.")
@click.option("--limit", type=click.IntRange(min=1), default=1_000_000, show_default=True)
@click.option(
    "--write-odds",
    "written",
    type=click.Path(dir_okay=False, path_type=Path),
    help="FILE.json to fill in and give to --odds; nothing is forecast.",
)
def forecast(
    *, target: str, file: Path | None, as_json: bool, limit: int, written: Path | None
) -> int:
    """Forecast how runs of a saga end. TARGET is module:name or file.py:name."""
    from saga_fsm.quant import forecast as forecast_saga
    from saga_fsm.quant import template

    saga = load(target)
    if written is not None:
        written.write_text(f"{template(saga, _assumed())}\n")
        click.echo(str(written))
        return 0
    odds, default = _read(saga, target, file)
    found = forecast_saga(saga, odds, default=default, limit=limit)
    click.echo(found.to_json() if as_json else str(found))
    return 0


def _read(
    saga: Saga[Any, Any, Any], target: str, file: Path | None
) -> tuple[dict[str, Any], Odds | None]:
    from saga_fsm.quant import even, read_odds

    if file is not None:
        odds, default = read_odds(saga, file.read_text())
        return dict(odds), default
    click.echo(_ASSUMED.format(target=target), err=True)
    return dict(even(saga)), _assumed()


def _assumed() -> Odds:
    from saga_fsm.quant import Odds

    return Odds(
        rejected=0.01,
        transient=0.01,
        unknown=0.01,
        seconds=1.0,
        query_fails=0.01,
        query_seconds=1.0,
        compensation_fails=0.01,
        compensation_seconds=1.0,
    )
