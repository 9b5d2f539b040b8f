"""``saga-fsm runs recover TARGET...``: carry on with runs in flight; 4 with a stuck one."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from saga_fsm.cli.journal import only_waits, opened, option
from saga_fsm.cli.target import load, load_named


if TYPE_CHECKING:
    from collections.abc import Iterable

    from saga_fsm.machine import Machine, Status
    from saga_fsm.ports import Run, Store
    from saga_fsm.runner import Orchestrator

_SCHEMA = 1
_DRAIN = 0.3  # seconds between two looks at what is left
_NAMED = 20  # stuck runs that are named one by one


@click.command()
@click.argument("targets", nargs=-1, required=True)
@option
@click.option("--services", help="module:factory, called without arguments, for ctx.services.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds to wait for runs that another owner has, and for slow ones; 0: not at all.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object with a schema.")
def recover(
    *,
    targets: tuple[str, ...],
    url: str,
    services: str | None,
    timeout: float,
    as_json: bool,
) -> int:
    """
    Carry on with runs in flight.

    TARGETS are their sagas, each module:name or file.py:name. What an owner has that is gone is
    taken up when its lease ends. Runs that wait for an answer are left waiting. The status is 4
    while a run of theirs is stuck, since now or since long; 1 with one that was compensated or is
    still in flight.
    """
    from saga_fsm.compiler import compile_saga
    from saga_fsm.machine import Status
    from saga_fsm.runner import Orchestrator

    rested: list[Run] = []
    world = None if services is None else load_named(services)()
    sagas = [load(target) for target in targets]
    store = opened(url)
    machines = {saga.name: compile_saga(saga) for saga in sagas}
    with Orchestrator(*sagas, journal=store, services=world, on_rest=rested.append) as carried:
        left = _carried(carried, store, machines, timeout)
        for one in carried.stranded():
            click.echo(f"waits: {one}", err=True)
    # Not only what got stuck just now: an operator is wanted as long as there is one.
    stuck = _those(store, machines, [Status.STUCK])
    statuses = Counter({run.run_id: run.status.value for run in rested}.values())
    tally = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    told = {
        "schema": _SCHEMA,
        "rested": dict(statuses),
        "left": [run.run_id for run in left],
        "stuck": [run.run_id for run in stuck],
    }
    click.echo(json.dumps(told) if as_json else tally or "no run has come to rest")
    for run in left:
        click.echo(_left(run), err=True)
    for run in stuck[:_NAMED]:
        click.echo(_stuck(run), err=True)
    if len(stuck) > _NAMED:
        more = f"{len(stuck) - _NAMED:,} more are stuck: `saga-fsm runs list --status stuck`"
        click.echo(more, err=True)
    return 4 if stuck else 1 if statuses["compensated"] or left else 0


def _carried(
    carried: Orchestrator, store: Store, machines: dict[str, Machine], timeout: float
) -> list[Run]:
    """Let an orchestrator work until only time or people could help; what is left in flight."""
    from saga_fsm.machine import Status

    flying = (Status.NEW, Status.RUNNING, Status.COMPENSATING)
    end = time.monotonic() + timeout
    told: set[str] = set()
    while True:
        carried.recover()
        with suppress(TimeoutError):
            carried.drain(timeout=_DRAIN)
        left = _those(store, machines, flying)
        waiting = [run for run in left if only_waits(machines[run.saga], run, store)]
        if len(waiting) == len(left) or time.monotonic() >= end:
            return left
        for run in left:
            if run.run_id not in told and run not in waiting:
                told.add(run.run_id)
                click.echo(f"waiting for {run.run_id}, which {_has(run)}", err=True)


def _those(store: Store, sagas: Iterable[str], statuses: Iterable[Status]) -> list[Run]:
    return [
        run
        for name in sagas
        for one in statuses
        for run in store.list_runs(saga=name, status=one, limit=None)
    ]


def _has(run: Run) -> str:
    return f"owner {run.owner} has until its lease ends" if run.owner else "is not over"


def _left(run: Run) -> str:
    if run.waiting:
        return f"{run.run_id} waits for {', '.join(run.waiting)}: `saga-fsm runs deliver`"
    return f"{run.run_id} is still {run.status.value}, and {_has(run)}"


def _stuck(run: Run) -> str:
    owed = ", ".join(f"{what} {path}" for path, what in run.unresolved.items())
    return f"{run.run_id} is stuck, and owes {owed}: `saga-fsm runs retry` or `resolve`"
