"""``saga-fsm check TARGET``: the report; exit status 0 when safe, 1 with findings or incomplete."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from saga_fsm.cli.progress import Progress
from saga_fsm.cli.target import load


if TYPE_CHECKING:
    from collections.abc import Iterable

    from saga_fsm.checker import Finding, Report
    from saga_fsm.properties import Property

_INTERRUPTED = 130
_ENGINES: Final = ["auto", "scout", "explicit", "symmetric", "reduced", "symbolic", "compose"]
_TEST: Final = '''"""
{saga}: what saga-fsm check found, tried on the real runner and on your own world.

{rule}: {message}
{path}

The checker lets each participant break the promises that its contract does not make. If the world
keeps them all the same, this test passes, and the promise can be declared.
"""

from saga_fsm.cli.target import load_named
from saga_fsm.testing import replay


TARGET = {target!r}
# What the steps act on, their input, and who says whether the two agree: put yours here.
WORLD = {world}
INPUT = {given}
CONSISTENT = {consistent}


def test_{name}():
    """Under these faults the run ends consistent."""
    done = replay(
        load_named(TARGET), {plan!r}, world=WORLD, input=INPUT, consistent=CONSISTENT
    )
    assert not done.unfired, f"never fired: {{[str(one) for one in done.unfired]}}"
    assert done.consistent, f"{{done.reason}}\\n{{done.path}}"
'''


@click.command()
@click.argument("target")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with a schema number.")
@click.option(
    "--engine",
    type=click.Choice(_ENGINES),
    default="auto",
    show_default=True,
    help="Who searches; auto takes what suits the size.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=5_000_000,
    show_default=True,
    help="The largest number of states.",
)
@click.option("--memory", type=click.IntRange(min=1), help="MiB that the search may take, about.")
@click.option(
    "--property",
    "properties",
    multiple=True,
    metavar="MODULE:NAME",
    help="What is to hold besides, made by saga_fsm.properties: one, or a list. Repeatable.",
)
@click.option(
    "--instances",
    type=click.IntRange(min=1),
    default=1,
    help="Runs of it at once, that meet on what steps declare: reads=, writes=, locks=.",
)
@click.option(
    "--against",
    multiple=True,
    metavar="MODULE:NAME",
    help="A saga that runs beside it. Repeatable.",
)
@click.option(
    "--draw",
    "picture",
    type=click.Path(dir_okay=False, path_type=Path),
    help="FILE.svg, .png or .dot: the shortest counterexample, or the flow with the verdict.",
)
@click.option(
    "--write-test",
    "test",
    type=click.Path(dir_okay=False, path_type=Path),
    help="FILE.py: a pytest that plays the counterexample on the real runner.",
)
def check(  # noqa: PLR0913 - one a switch
    *,
    target: str,
    as_json: bool,
    engine: str,
    limit: int,
    memory: int | None,
    properties: tuple[str, ...],
    instances: int,
    against: tuple[str, ...],
    picture: Path | None,
    test: Path | None,
) -> int:
    """
    Check a saga under every fault. TARGET is module:name or file.py:name.

    What each rule and word of the report means: python -c "import saga_fsm; help(saga_fsm.check)".
    """
    from saga_fsm.checker import check as check_saga

    _refuse_formats(picture, test)
    saga = load(target)
    wanted = [one for name in properties for one in _properties(name)]
    progress = Progress("states", "waiting")

    def told(states: int, _moves: int, frontier: int, _depth: int) -> None:
        progress(states, frontier)

    try:
        room = None if memory is None else memory << 20
        report = check_saga(
            saga,
            engine=engine,
            limit=limit,
            memory=room,
            properties=wanted,
            instances=instances,
            against=[load(one) for one in against],
            progress=told,
        )
    finally:
        progress.end()
    click.echo(report.to_json() if as_json else str(report))
    if test is not None:
        _write_test(report, target, test)
    status = 0 if picture is None else _draw(report, picture)
    if report.interrupted:
        return _INTERRUPTED
    return status or (0 if report.ok else 1)


def _properties(name: str) -> Iterable[Property]:
    from saga_fsm.cli.target import load_named
    from saga_fsm.properties import Property

    found = load_named(name)
    several = list(found) if isinstance(found, list | tuple) else [found]
    if not all(isinstance(one, Property) for one in several):
        message = f"'{name}' is no property. Name one, or a list, made by saga_fsm.properties."
        raise click.UsageError(message)
    return several


def _draw(report: Report, file: Path) -> int:
    from saga_fsm.cli.draw import write
    from saga_fsm.drawing import draw

    return write(draw(report), file, err=True)


def _refuse_formats(picture: Path | None, test: Path | None) -> None:
    """Before anything is searched."""
    if picture is not None and picture.suffix not in {".svg", ".png", ".dot"}:
        message = f"'{picture}' is no format that is drawn. Give FILE.svg, .png or .dot."
        raise click.UsageError(message)
    if test is not None and test.suffix != ".py":
        message = f"'{test}' is no file of tests. Give FILE.py."
        raise click.UsageError(message)


def _write_test(report: Report, target: str, file: Path) -> None:
    from saga_fsm.testing.schedule import plan_of

    # Of a property no world of the user's can say whether it holds, and runs of several sagas at
    # once are not played.
    found = [
        x
        for x in report.findings
        if x.path is not None
        and x.path.fingerprint == report.fingerprint
        and not x.rule.startswith("P:")
    ]
    if not found:
        click.echo(f"nothing was found that a test could replay: {file} is not written", err=True)
        return
    shortest = min(found, key=lambda one: len(one.path.moves) if one.path else 0)
    assert shortest.path is not None  # noqa: S101 - only those were kept
    plan = plan_of(report.definition, shortest.path)
    file.write_text(
        _TEST.format(
            saga=report.saga,
            rule=shortest.rule,
            message=shortest.message,
            path=shortest.path.encode(),
            target=target,
            name=_name(shortest),
            plan=str(plan),
            **_own(target),
        )
    )
    click.echo(str(file), err=True)


def _own(target: str) -> dict[str, str]:
    """What stands beside the saga by the names that the examples use."""
    from saga_fsm.cli.target import has_named

    place = target.rpartition(":")[0]
    named: dict[str, Any] = {"world": "World", "given": "INPUT", "consistent": "consistent"}
    return {
        key: f"load_named({f'{place}:{name}'!r})" if has_named(f"{place}:{name}") else "None"
        for key, name in named.items()
    }


def _name(finding: Finding) -> str:
    words = f"{finding.rule}_{finding.step}".lower()
    return "".join(letter if letter.isalnum() else "_" for letter in words).strip("_")
