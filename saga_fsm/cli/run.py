"""``saga-fsm run TARGET``: one run, with progress; 0 completed, 1 compensated, 4 stuck."""

from __future__ import annotations

import json
import sys
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from saga_fsm.cli.inputs import read_input, shown
from saga_fsm.cli.journal import only_waits, opened
from saga_fsm.cli.target import load, load_named


if TYPE_CHECKING:
    from collections.abc import Sequence

    from saga_fsm.machine import Move, State
    from saga_fsm.ports import Entry, Store
    from saga_fsm.runner import Outcome

_SCHEMA = 1
_LOOK = 0.1  # seconds between two looks at a run that is kept
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

    With --journal it is kept, and the same command with the same --id goes on with it. Ctrl-C turns
    a run back; one that is kept is left as it is. A run that waits for an answer which nobody gives
    here is left waiting, and the status is 1.
    """
    saga = load(target)
    value = read_input(saga, text)
    world = None if services is None else load_named(services)()
    # Who waits at a terminal sees how far it is; a pipe gets the outcome only.
    told = sys.stderr.isatty()
    if url is None:
        outcome = _in_memory(saga, value, world, run_id, told=told)
    else:
        outcome = _kept(saga, value, world, run_id, url, told=told)
    if isinstance(outcome, _Left):
        if as_json:
            click.echo(json.dumps({"schema": _SCHEMA, **outcome._asdict()}))
        return 1
    click.echo(_json(outcome) if as_json else _text(outcome))
    return _EXIT[outcome.status.value]


def _in_memory(
    saga: Any, value: Any, world: Any, run_id: str | None, *, told: bool
) -> Outcome[Any] | _Left:
    from saga_fsm.errors import NobodyAnswersError
    from saga_fsm.runner import run as run_saga

    observer = _told if told else None
    try:
        return run_saga(
            saga,
            value,
            services=world,
            run_id=run_id,
            observer=observer,
            journal=_Waits(saga),
        )
    except NobodyAnswersError as error:
        steps = ", ".join(f"'{step}'" for step in error.waiting)
        click.echo(f"the run waits for {steps}, and nobody can answer it here", err=True)
        click.echo("  Keep it: run it with --journal URL, then `saga-fsm runs deliver`.", err=True)
        return _Left(error.run_id, "running", tuple(error.waiting))


def _kept(  # noqa: PLR0913 - the facts of a run
    saga: Any, value: Any, world: Any, run_id: str | None, url: str, *, told: bool
) -> Outcome[Any] | _Left:
    """Carry a stored run to its rest, or until all it does is wait for an answer."""
    from saga_fsm.compiler import compile_saga
    from saga_fsm.runner import Orchestrator

    store = opened(url, make=True)
    machine = compile_saga(saga)
    shown_so_far = 0
    with Orchestrator(saga, journal=store, services=world, poll=_LOOK) as carried:
        name = carried.start(saga, value, run_id=run_id)
        while True:
            try:
                return carried.wait(name, timeout=_LOOK)
            except TimeoutError:
                entries = store.read(name)
            for entry in entries[shown_so_far:] if told else ():
                click.echo(f"  {entry.event}", err=True)
            shown_so_far = len(entries)
            run, open_words = carried.show(name), _unheard(store, name)
            if not open_words and only_waits(machine, run, store):
                break
    for step in run.waiting:
        click.echo(f"{name} waits for '{step}'; it is kept", err=True)
        command = f"saga-fsm runs deliver {quote(name)} {quote(step)} JSON --journal {quote(url)}"
        click.echo(f"  Answer with `{command}`, then run it again with --id {name}.", err=True)
    return _Left(name, run.status.value, tuple(run.waiting))


class _Left(NamedTuple):
    """A run that is left waiting for answers: which, how it stands, and for which steps'."""

    run_id: str
    status: str
    waiting: tuple[str, ...]


class _Waits:
    """
    A journal that keeps nothing, and says what a run waits for that has a time to wait.

    A run that waits for an answer without end is told by an error.
    """

    def __init__(self, saga: Any) -> None:
        from saga_fsm.definition.layout import lay_out

        self._steps = lay_out(saga).steps

    def read(self, run_id: str) -> tuple[Entry, ...]:  # noqa: ARG002 - of any run
        """Nothing was kept."""
        return ()

    def append(self, run_id: str, entries: Sequence[Entry], *, expected: int) -> int:  # noqa: ARG002 - as above
        """Keep nothing."""
        for entry in entries:
            if entry.event.startswith("#pending("):
                self._tell(entry.event.removeprefix("#pending(")[:-1])
        return expected + len(entries)

    def _tell(self, path: str) -> None:
        timeout = self._steps[path].timeout
        if timeout is not None:
            told = f"the run waits for '{path}' for {timeout:g} s: nobody can answer it here"
            click.echo(f"{told}; one that is kept (--journal URL) can be answered", err=True)


def _unheard(store: Store, run_id: str) -> bool:
    return any(word.answer is None for word in store.words(run_id))


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
