"""What cannot be imported yet, said aloud and not hidden; goes when the rooms have come."""

from __future__ import annotations

from importlib.util import find_spec


_NEEDED = [room for room in ("saga_fsm.runner", "saga_fsm.journals") if find_spec(room) is None]

collect_ignore = ["saga_fsm/examples"] if _NEEDED else []


def pytest_report_header() -> str:
    """Name what is left out and why."""
    if not _NEEDED:
        return "everything is collected"
    return f"NOT collected: saga_fsm/examples, which needs {' and '.join(_NEEDED)}"
