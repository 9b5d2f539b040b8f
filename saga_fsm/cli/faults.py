"""``saga-fsm faults TARGET``: the failure search; 0 when nothing is wrong, 1 with failures."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from saga_fsm.cli.draw import write
from saga_fsm.cli.inputs import read_input, shown
from saga_fsm.cli.progress import Progress
from saga_fsm.cli.target import load, load_named


if TYPE_CHECKING:
    from saga_fsm.testing import Exploration, Failure, Replay

_SCHEMA = 1
_INTERRUPTED = 130
_FORMS = (".svg", ".png", ".dot")


@attrs.frozen
class _Asked:
    """What is searched, as it was written on the command line and as it was read."""

    target: str
    saga: Any
    world: str | None
    text: str | None
    consistent: str | None

    @property
    def case(self) -> dict[str, Any]:
        """For ``explore_faults`` and ``replay``."""
        return {
            "world": None if self.world is None else load_named(self.world),
            "input": read_input(self.saga, self.text),
            "consistent": None if self.consistent is None else load_named(self.consistent),
        }

    def again(self, plan: str) -> str:
        """The command that replays a plan."""
        given = [("--world", self.world), ("--input", self.text), ("--consistent", self.consistent)]
        options = [word for name, value in given if value is not None for word in (name, value)]
        return shlex.join(["saga-fsm", "faults", self.target, *options, "--replay", plan])


@click.command()
@click.argument("target")
@click.option("--world", help="module:Class, called once a run, for ctx.services.")
@click.option("--input", "text", help="The saga's input, as JSON.")
@click.option("--consistent", help="module:function of world and outcome; else the world's method.")
@click.option("--max-faults", type=click.IntRange(min=0), default=2, show_default=True)
@click.option("--max-runs", type=click.IntRange(min=1), default=20_000, show_default=True)
@click.option(
    "--deeper",
    type=click.IntRange(min=0),
    default=1_000,
    show_default=True,
    help="Plans of more faults, drawn by luck.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of that luck.")
@click.option("--max-failures", type=click.IntRange(min=1), default=10, show_default=True)
@click.option("--quick", "effort", flag_value="quick", help="At most 1,000 runs, none by luck.")
@click.option("--full", "effort", flag_value="full", help="Ten times the runs.")
@click.option("--replay", "plan", help="Run one plan, as in 'charge@0=lost_reply'.")
@click.option(
    "--draw",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="FILE.svg: which rows were taken; each failing path as FILE-failure-N.svg.",
)
@click.option("--theme", type=click.Choice(["light", "dark"]), default="light", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object with a schema number.")
def faults(  # noqa: PLR0913 - one a switch
    *,
    target: str,
    world: str | None,
    text: str | None,
    consistent: str | None,
    max_faults: int,
    max_runs: int,
    deeper: int,
    seed: int,
    max_failures: int,
    effort: str | None,
    plan: str | None,
    file: Path | None,
    theme: str,
    as_json: bool,
) -> int:
    """
    Run a saga with faults at every transition. TARGET is module:name or file.py:name.

    Interrupted, it tells what it has found until then, and ends with 130.
    """
    if file is not None and file.suffix not in _FORMS:
        message = f"'{file}' is no format that is drawn. Give FILE.svg, .png or .dot."
        raise click.UsageError(message)
    asked = _Asked(target, load(target), world, text, consistent)
    if plan is not None:
        return _replay(asked, plan, file, theme, as_json=as_json)
    from saga_fsm.testing.terms import Efforts

    said = Efforts(max_faults, max_runs, deeper, seed, None, max_failures)
    efforts = said.at("quick" if effort == "quick" else "full" if effort == "full" else "")
    found = _search(asked, efforts)
    if found is None:
        click.echo("interrupted before the first run\n  Start it again.", err=True)
        return _INTERRUPTED
    exploration, interrupted = found
    lines = [asked.again(str(failure.plan)) for failure in exploration.failures]
    if as_json:
        click.echo(shown(_exploration(exploration, lines, interrupted=interrupted)))
    else:
        click.echo(str(exploration))
        _tell(lines, interrupted=interrupted)
    status = 0 if file is None else _drawn(exploration, file, theme)
    if interrupted:
        return _INTERRUPTED
    return status if exploration.ok else 1


def _search(asked: _Asked, efforts: Any) -> tuple[Exploration, bool] | None:
    """What was found, and whether the user has ended it; None when there was no run yet."""
    from saga_fsm.testing.attempt import attempt

    progress = Progress("runs", "plans waiting")
    try:
        found, interrupt = attempt(asked.saga, efforts, **asked.case, progress=progress)
    finally:
        progress.end()
    return None if found is None else (found, interrupt is not None)


def _tell(lines: list[str], *, interrupted: bool) -> None:
    if lines:
        click.echo("\nreplay:")
    for line in lines:
        click.echo(f"  {line}")
    if interrupted:
        click.echo("interrupted: not complete\n  Start it again, or with --quick.", err=True)


def _replay(asked: _Asked, text: str, file: Path | None, theme: str, *, as_json: bool) -> int:
    from saga_fsm.testing import FaultPlan, replay

    try:
        plan = FaultPlan.parse(text)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    done: Replay = replay(asked.saga, plan, **asked.case)
    if as_json:
        click.echo(shown(_replayed(done)))
    else:
        click.echo(f"{done.outcome.status.value}\n{done.path}")
        for path, what in done.outcome.unresolved.items():
            click.echo(f"owed: {what} {path}")
        for injection in done.unfired:
            click.echo(f"never fired: {injection}: its call did not come, or it could not be true")
        click.echo(done.reason or "consistent")
    status = 0 if file is None else _path(asked.saga, done, file, theme)
    return status if done.consistent and not done.unfired else 1


# ---------------------------------------------------------------------- pictures


def _drawn(found: Exploration, file: Path, theme: str) -> int:
    """The heat map, and beside it each failing path."""
    from saga_fsm.drawing import draw

    status = write(draw(found, theme=theme), file, err=True)
    for number, failure in enumerate(found.failures, 1):
        one = file.with_name(f"{file.stem}-failure-{number}{file.suffix}")
        status = max(status, write(_walked(found.machine, failure, theme), one, err=True))
    return status


def _walked(machine: Any, failure: Failure, theme: str) -> Any:
    from saga_fsm.drawing import draw

    return draw(machine, path=failure.path, theme=theme)


def _path(saga: Any, done: Replay, file: Path, theme: str) -> int:
    from saga_fsm.drawing import draw

    return write(draw(saga, view="machine", path=done.path, theme=theme), file, err=True)


# ---------------------------------------------------------------------- JSON


def _exploration(found: Exploration, lines: list[str], *, interrupted: bool) -> dict[str, Any]:
    return {
        "schema": _SCHEMA,
        "saga": found.saga,
        "ok": found.ok,
        "vacuous": found.vacuous,
        "runs": found.runs,
        "complete": found.complete,
        "interrupted": interrupted,
        "coverage": found.coverage,
        "missed": found.missed,
        "outside": found.outside,
        "untested": found.untested,
        "fired": found.fired,
        "failures": [
            {
                "plan": str(failure.plan),
                "reason": failure.reason,
                "status": failure.outcome.status.value,
                "path": failure.path.encode(),
                "replay": line,
            }
            for failure, line in zip(found.failures, lines, strict=True)
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
