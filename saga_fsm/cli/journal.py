"""A journal of the command line, by its URL: ``sqlite:///sagas.db`` or ``postgresql://...``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click


if TYPE_CHECKING:
    from saga_fsm.ports import Store

option = click.option(
    "--journal", "url", required=True, metavar="URL", help="sqlite:///FILE or postgresql://..."
)


def opened(url: str, *, make: bool = False) -> Store:
    """
    Open the store that a URL names.

    Args:
        url: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``postgresql://...``.
        make: whether a file that is not there is made; else that is an error.

    Raises:
        click.UsageError: it is no such URL.
        StoreUnavailableError: it cannot be reached.
    """
    from saga_fsm.errors import StoreUnavailableError

    kind, _, rest = url.partition("://")
    if kind in {"postgresql", "postgres"}:
        from saga_fsm.journals.postgres import PostgresJournal

        return PostgresJournal(url)
    if kind != "sqlite" or not rest.startswith("/") or not rest[1:]:
        message = f"'{url}' is no journal. Give sqlite:///FILE or postgresql://USER@HOST/NAME."
        raise click.UsageError(message)
    from saga_fsm.journals.sqlite import SqliteJournal

    path = Path(rest[1:])
    if not make and not path.is_file():
        raise StoreUnavailableError(store=str(path), message="there is no such file")
    return SqliteJournal(path)


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
