"""``saga-fsm draw TARGET``: a picture; with no engine the DOT text, and status 3."""

from __future__ import annotations

from pathlib import Path

import click

from saga_fsm.cli.target import load


_NO_ENGINE = 3


@click.command()
@click.argument("target")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="FILE.svg")
@click.option("--theme", type=click.Choice(["light", "dark"]), default="light", show_default=True)
def draw(*, target: str, output: Path | None, theme: str) -> int:
    """Draw the saga at TARGET (module:name or file.py:name) as .svg, .png or .dot."""
    from saga_fsm.drawing import draw as draw_saga
    from saga_fsm.errors import DrawingEngineError

    saga = load(target)
    drawing = draw_saga(saga, theme=theme)
    # A saga's name may hold anything but a slash: it is a name of a file too.
    file = output or Path(f"{saga.name}.svg")
    form = file.suffix.removeprefix(".")
    if form not in {"svg", "png", "dot"}:
        message = f"'{file}' is no format that is drawn. Give FILE.svg, FILE.png or FILE.dot."
        raise click.UsageError(message)
    try:
        data = drawing.source.encode() if form == "dot" else drawing.pipe(form)
    except DrawingEngineError:
        instead = file.with_suffix(".dot")
        instead.write_text(drawing.source)
        click.echo(DrawingEngineError(written=str(instead)), err=True)
        return _NO_ENGINE
    file.write_bytes(data)
    click.echo(str(file))
    return 0
