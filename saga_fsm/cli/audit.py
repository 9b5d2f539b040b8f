"""``saga-fsm audit TARGET``: does what was recorded follow the machine? 0 yes, 1 no."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from saga_fsm.cli.journal import opened
from saga_fsm.cli.target import load


if TYPE_CHECKING:
    from saga_fsm.conformance import Audit
    from saga_fsm.ports import Run, Store

_SCHEMA = 1
_PAGE = 1_000


@click.command()
@click.argument("target")
@click.option("--path", "text", metavar="TEXT", help="What Path.encode() wrote.")
@click.option("--journal", "url", metavar="URL", help="All its runs that are stored there.")
@click.option("--id", "run_id", metavar="RUN", help="Only this one of the journal.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with a schema number.")
def audit(
    *, target: str, text: str | None, url: str | None, run_id: str | None, as_json: bool
) -> int:
    """
    Replay a path, or stored runs, on a saga's machine. TARGET is module:name or file.py:name.

    The status is 1 when one does not follow it, and when there is none that was looked at.
    """
    from saga_fsm.conformance import audit as audit_path

    if (text is None) == (url is None):
        message = "what shall be replayed? Give either --path TEXT or --journal URL."
        raise click.UsageError(message)
    saga = load(target)
    if text is None:
        assert url is not None  # noqa: S101 - one of the two is given
        return _stored(saga, opened(url), run_id, as_json=as_json)
    try:
        found = audit_path(saga, text)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(found.to_json() if as_json else str(found))
    return 0 if found.ok else 1


def _stored(saga: Any, store: Store, run_id: str | None, *, as_json: bool) -> int:
    from saga_fsm.compiler import compile_saga
    from saga_fsm.conformance import audit as audit_path

    machine = compile_saga(saga)
    wrong: list[tuple[Run, Audit]] = []
    followed, others = 0, 0
    for run in _runs(store, saga.name, run_id):
        if run.fingerprint != machine.fingerprint:
            others += 1
            continue
        found = audit_path(machine, store.read(run.run_id))
        followed += found.ok
        if not found.ok:
            wrong.append((run, found))
    if as_json:
        told = [{"run_id": run.run_id, **json.loads(found.to_json())} for run, found in wrong]
        facts = {"schema": _SCHEMA, "ok": not wrong, "followed": followed, "other_machine": others}
        click.echo(json.dumps({**facts, "wrong": told}))
    else:
        for run, found in wrong:
            click.echo(f"{run.run_id}: {found}")
        click.echo(f"{saga.name}: {followed} runs follow the machine, {len(wrong)} do not")
        if not (followed or wrong):
            click.echo("  nothing was looked at: is it this saga, and this journal?", err=True)
        if others:
            click.echo(f"  {others} were started under another machine and are not looked at")
    # Who asks whether all is well, and of nothing, has asked something else.
    return 1 if wrong or not followed else 0


def _runs(store: Store, saga: str, run_id: str | None) -> Iterator[Run]:
    """Runs of one saga, page by page; or one."""
    from saga_fsm.errors import UnknownRunError

    if run_id is not None:
        found = store.find(run_id)
        if found is None:
            raise UnknownRunError(run_id=run_id)
        yield found[0]
        return
    after: str | None = None
    while page := store.list_runs(saga=saga, limit=_PAGE, after=after):
        yield from page
        after = page[-1].run_id
