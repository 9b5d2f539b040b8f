"""``saga-fsm draw TARGET``: a picture; with no engine the DOT text, and status 3."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from saga_fsm.cli.target import load


if TYPE_CHECKING:
    from saga_fsm.drawing import Drawing

_NO_ENGINE = 3
_FORMS = ("svg", "png", "dot", "mmd")


@click.command()
@click.argument("target")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="FILE.svg")
@click.option("--view", type=click.Choice(["flow", "machine"]), help="The flow unless said.")
@click.option("--path", "text", help="A path to lay over it, as a report or a run prints it.")
@click.option("--theme", type=click.Choice(["light", "dark"]), default="light", show_default=True)
def draw(
    *, target: str, output: Path | None, view: str | None, text: str | None, theme: str
) -> int:
    """Draw a saga as .svg, .png, .dot or .mmd. TARGET is module:name or file.py:name."""
    from saga_fsm.drawing import draw as draw_saga
    from saga_fsm.drawing import to_mermaid
    from saga_fsm.errors import NoTransitionError

    saga = load(target)
    # A saga's name may hold anything but a slash: it is a name of a file too.
    file = output or Path(f"{saga.name}.svg")
    form = file.suffix.removeprefix(".")
    if form not in _FORMS:
        message = f"'{file}' is no format that is drawn. Give FILE.svg, .png, .dot or .mmd."
        raise click.UsageError(message)
    options: dict[str, Any] = {"view": view, "path": text, "theme": theme}
    try:
        if form == "mmd":
            file.write_text(to_mermaid(saga, **options))
            click.echo(str(file))
            return 0
        drawing = draw_saga(saga, **options)
    except (ValueError, NoTransitionError) as error:
        raise click.UsageError(str(error)) from error
    return write(drawing, file)


def write(drawing: Drawing, file: Path, *, err: bool = False) -> int:
    """Write a drawing; where nothing can render it, its DOT text beside, and the status says so."""
    from saga_fsm.errors import DrawingEngineError

    form = file.suffix.removeprefix(".")
    try:
        data = drawing.source.encode() if form == "dot" else drawing.pipe(form)
    except DrawingEngineError as error:
        instead = file.with_suffix(".dot")
        instead.write_text(drawing.source)
        error.written = str(instead)
        click.echo(error, err=True)
        return _NO_ENGINE
    file.write_bytes(data)
    click.echo(str(file), err=err)
    return 0
