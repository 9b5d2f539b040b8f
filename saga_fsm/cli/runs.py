"""``saga-fsm runs``: look at stored runs, and decide about them; an orchestrator acts on it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from saga_fsm.cli.journal import opened, option, person, shown_run
from saga_fsm.cli.recover import recover


if TYPE_CHECKING:
    from collections.abc import Sequence

    from saga_fsm.ports import Entry, Run, Store, Word

_SCHEMA = 1
_STATUSES = ["new", "running", "compensating", "completed", "compensated", "stuck"]
_LOOK = 0.05  # seconds between two looks for an answer
_MANY = 1_000  # runs that are looked at for what somebody may have meant
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object with a schema.")
_by = click.option("--by", help="Who decides; by default who is logged in. Kept with the run.")
_note = click.option("--note", default="", help="Why. Kept with the run.")
_wait = click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=3.0,
    show_default=True,
    help="Seconds to wait for an orchestrator to act on it.",
)


@click.group()
def runs() -> None:
    """Look at stored runs, and decide about them."""


runs.add_command(recover)


@runs.command("list")
@option
@click.option("--status", type=click.Choice(_STATUSES), help="Only those.")
@click.option("--saga", help="Only of this one.")
@click.option("--waiting", metavar="STEP", help="Only those that wait for this step's answer.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--after", metavar="RUN", help="Only those behind this run: to turn the page.")
@_as_json
def list_(  # noqa: PLR0913 - one option a filter
    *,
    url: str,
    status: str | None,
    saga: str | None,
    waiting: str | None,
    limit: int,
    after: str | None,
    as_json: bool,
) -> int:
    """List runs, the newest first."""
    from saga_fsm.machine import Status

    store = opened(url)
    found = store.list_runs(
        status=None if status is None else Status(status),
        saga=saga,
        waiting=waiting,
        limit=limit,
        after=after,
    )
    if as_json:
        click.echo(json.dumps({"schema": _SCHEMA, "runs": [shown_run(run) for run in found]}))
    else:
        click.echo("\n".join(_line(run) for run in found) or "no runs")
    if not found and saga is not None and not store.list_runs(saga=saga, limit=1):
        click.echo(f"there is no run of a saga '{saga}' in this journal", err=True)
    elif not found and waiting is not None and not store.list_runs(waiting=waiting, limit=1):
        waits = {step for run in store.list_runs(limit=_MANY) for step in run.waiting}
        others = ", ".join(f"'{step}'" for step in sorted(waits)) or "no step"
        click.echo(f"no run waits for a step '{waiting}'; others wait for {others}", err=True)
    return 0


@runs.command()
@click.argument("run_id")
@option
@click.option("--redact", multiple=True, metavar="FIELD", help="Hide this field's values.")
@_as_json
def show(*, run_id: str, url: str, redact: tuple[str, ...], as_json: bool) -> int:
    """Show one run and all its entries."""
    from saga_fsm.codec import redacted

    store = opened(url)
    run = _found(store, run_id)
    entries = store.read(run_id)
    # Those that moved it are among its entries.
    words = [word for word in store.words(run_id) if word.answer != "yes"]
    hidden = [redacted(entry.data, set(redact)) for entry in entries]
    if as_json:
        told = [
            {"event": entry.event, "at": entry.at, "data": data}
            for entry, data in zip(entries, hidden, strict=True)
        ]
        said = [
            {"word": one.word, "by": one.by, "note": one.note, "at": one.at, "answer": _answer(one)}
            for one in words
        ]
        facts = {"run": shown_run(run), "entries": told, "words": said}
        click.echo(json.dumps({"schema": _SCHEMA, **facts}))
        return 0
    click.echo(_line(run))
    click.echo(f"  machine {run.fingerprint}; owner {run.owner or 'nobody'}")
    after = _after(run, entries)
    for path, what in run.unresolved.items():
        before = ", ".join(after.get(path, ()))
        click.echo(f"  owed: {what} {path}{f' (after {before})' if before else ''}")
    for word in words:
        click.echo(_word(word))
    for entry, data in zip(entries, hidden, strict=True):
        click.echo(_entry(entry, data))
    return 0


@runs.command()
@click.argument("run_id")
@option
@click.option("--step", help="Only this one; by default all that is owed.")
@_by
@_note
@_wait
def retry(  # noqa: PLR0913 - one option a fact
    *, run_id: str, url: str, step: str | None, by: str | None, note: str, wait: float
) -> int:
    """Ask again for what a stuck run owes."""
    return _say(url, run_id, "retry" if step is None else f"retry({step})", None, by, note, wait)


@runs.command()
@click.argument("run_id")
@option
@click.option("--step", required=True, help="The step, by its path.")
@click.option(
    "--as", "as_", required=True, type=click.Choice(["compensated", "done", "not_landed"])
)
@_by
@_note
@_wait
def resolve(  # noqa: PLR0913 - one option a fact
    *, run_id: str, url: str, step: str, as_: str, by: str | None, note: str, wait: float
) -> int:
    """
    Say how a stuck step really stands.

    What a person has found out, or done, is an event of the run.
    """
    return _say(url, run_id, f"resolve({step},{as_})", None, by, note, wait)


@runs.command()
@click.argument("run_id")
@option
@_by
@_note
@_wait
def cancel(*, run_id: str, url: str, by: str | None, note: str, wait: float) -> int:
    """Turn a run back, if it has not passed its pivot."""
    return _say(url, run_id, "cancel", None, by, note, wait)


@runs.command()
@click.argument("run_id")
@click.argument("step")
@click.argument("result", metavar="JSON")
@option
@_by
@_note
@_wait
def deliver(  # noqa: PLR0913 - one option a fact
    *,
    run_id: str,
    step: str,
    result: str,
    url: str,
    by: str | None,
    note: str,
    wait: float,
) -> int:
    """Give the answer of a pending STEP, as JSON: null where it answers nothing."""
    try:
        nothing = json.loads(result) is None
    except json.JSONDecodeError as error:
        message = f"the result is not JSON: {error}. Quote it, as in '{{\"ok\": true}}'."
        raise click.UsageError(message) from error
    return _say(url, run_id, f"deliver({step})", None if nothing else result, by, note, wait)


@runs.command()
@click.argument("run_id")
@click.argument("step")
@click.argument("reason", required=False, default="")
@option
@_by
@_note
@_wait
def reject(  # noqa: PLR0913 - one option a fact
    *, run_id: str, step: str, reason: str, url: str, by: str | None, note: str, wait: float
) -> int:
    """Refuse a pending STEP; REASON, or --note, is kept with the run."""
    if reason and note:
        raise click.UsageError("a REASON and --note say the same. Give one of them.")
    return _say(url, run_id, f"reject({step})", None, by, reason or note, wait)


@runs.command()
@option
@click.option("--older-than", "age", required=True, metavar="AGE", help="As 30d, 12h, 90m, 3600s.")
@click.option("--saga", help="Only of this one.")
def prune(*, url: str, age: str, saga: str | None) -> int:
    """
    Delete old runs that are over.

    Completed or compensated, with all that is kept of them; a stuck run is never deleted.
    """
    count = opened(url).prune(time.time() - _seconds(age), saga=saga)
    click.echo(f"{count} deleted")
    return 0


# ------------------------------------------------------------------ saying and showing


def _say(  # noqa: PLR0913, PLR0917 - the parts of a word
    url: str, run_id: str, word: str, data: str | None, by: str | None, note: str, wait: float
) -> int:
    """Post a word, and say what became of it: 0 done or stored, 1 refused."""
    store = opened(url)
    _found(store, run_id)
    number = store.post(run_id, word, data, by=person() if by is None else by, note=note)
    end = time.monotonic() + wait
    answer = store.answer(number)
    while answer is None and time.monotonic() < end:
        time.sleep(_LOOK)
        answer = store.answer(number)
    if answer is None:
        click.echo(f"stored: {word} for {run_id}")
        told = "nobody has acted on it yet; an orchestrator that has the saga will, or refuses it:"
        click.echo(f"{told} `saga-fsm runs show {run_id}` tells", err=True)
        return 0
    if answer == "yes":
        run = _found(store, run_id)
        click.echo(f"done: {word}; {run_id} is {run.status.value}")
        return 0
    if answer == "no":
        click.echo(f"unchanged: {run_id} was decided before")
        return 1
    from saga_fsm.runner.house import raised

    click.echo(f"refused: {raised(answer.removeprefix('error: '))}")
    return 1


def _found(store: Store, run_id: str) -> Run:
    from saga_fsm.errors import UnknownRunError

    found = store.find(run_id)
    if found is None:
        raise UnknownRunError(run_id=run_id)
    return found[0]


def _line(run: Run) -> str:
    updated = datetime.fromtimestamp(run.updated, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    text = f"{run.run_id:<32} {run.saga:<16} {run.status.value:<12} {updated} {run.position:>4}"
    if run.waiting:
        text += f"  waits for {', '.join(run.waiting)}"
    if run.unresolved:
        text += f"  owes {', '.join(f'{what} {path}' for path, what in run.unresolved.items())}"
    return text


def _after(run: Run, entries: Sequence[Entry]) -> dict[str, list[str]]:
    """What of a stuck run has to be decided before what: by the alert with which it got stuck."""
    alerts = [entry.data for entry in entries if entry.event == "#alert(stuck)"]
    if run.status.value != "stuck" or not alerts:
        return {}
    told = json.loads(alerts[-1]) if isinstance(alerts[-1], str) else alerts[-1]
    found: dict[str, list[str]] = told.get("after", {})
    return found


def _answer(word: Word) -> str:
    """What became of a word that has not moved its run, in one line."""
    from saga_fsm.runner.house import ERROR, raised

    if word.answer is None:
        return "open: nobody has heard it yet"
    if not word.answer.startswith(ERROR):
        return "unchanged: it was decided before"
    return f"refused: {str(raised(word.answer.removeprefix(ERROR))).splitlines()[0]}"


def _word(word: Word) -> str:
    who = f" by {word.by}" if word.by else ""
    why = f" ({word.note})" if word.note else ""
    return f"  said: {word.word}{who}{why}; {_answer(word)}"


def _entry(entry: Entry, data: Any) -> str:
    at = datetime.fromtimestamp(entry.at, UTC).strftime("%H:%M:%S.%f")[:-3]
    return f"  {at}  {entry.event:<36} {'' if data is None else data}".rstrip()


def _seconds(age: str) -> float:
    number, unit = age[:-1], age[-1:]
    try:
        return float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        message = f"'{age}' is no age. Give a number and a unit, as in 30d, 12h, 90m, 3600s."
        raise click.UsageError(message) from None
