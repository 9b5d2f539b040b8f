"""A journal of the command line, by its URL: ``sqlite:///sagas.db`` or ``postgresql://...``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click


if TYPE_CHECKING:
    from saga_fsm.machine import Machine
    from saga_fsm.ports import Run, Store

option = click.option(
    "--journal", "url", required=True, metavar="URL", help="sqlite:///FILE or postgresql://..."
)


def opened(url: str, *, make: bool = False) -> Store:
    """
    Open the store that a URL names.

    Args:
        url: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``postgresql://...``.
        make: whether what is not there is made, file and tables; else that is an error.

    Raises:
        click.UsageError: it is no such URL.
        StoreUnavailableError: it cannot be reached.
        StoreBrokenError: it holds no runs.
    """
    kind, _, rest = url.partition("://")
    if kind in {"postgresql", "postgres"}:
        from saga_fsm.journals.postgres import PostgresJournal

        return PostgresJournal(url, create=make)
    if kind != "sqlite" or not rest.startswith("/") or not rest[1:]:
        message = f"'{url}' is no journal. Give sqlite:///FILE or postgresql://USER@HOST/NAME."
        raise click.UsageError(message)
    from saga_fsm.journals.sqlite import SqliteJournal

    return SqliteJournal(rest[1:], create=make)


def only_waits(machine: Machine, run: Run, store: Store) -> bool:
    """Whether a run does nothing by itself until somebody answers its pending steps."""
    from saga_fsm.machine import SetTimer

    if not run.waiting:
        return False
    events = [entry.event for entry in store.read(run.run_id) if not entry.event.startswith("#")]
    moves = machine.replay(events)
    owed = machine.owed(moves[-1].state) if moves else ()
    # A deadline is hours away; a retry is due soon.
    others = [
        effect
        for effect in owed
        if getattr(effect, "target", "") not in run.waiting
        and not (isinstance(effect, SetTimer) and effect.target.endswith("@stop"))
    ]
    return not others


def person() -> str:
    """Who sits there, unless they say so."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user's name
        return ""


def shown_run(run: Any) -> dict[str, Any]:
    """One run for ``--json``."""
    from datetime import UTC, datetime

    return {
        "run_id": run.run_id,
        "saga": run.saga,
        "fingerprint": run.fingerprint,
        "status": run.status.value,
        "started": datetime.fromtimestamp(run.started, UTC).isoformat(),
        "updated": datetime.fromtimestamp(run.updated, UTC).isoformat(),
        "unresolved": dict(run.unresolved),
        "waiting": list(run.waiting),
        "entries": run.position,
        "owner": run.owner,
    }
