"""The pictures of ``--saga-coverage=DIR``: a heat map a machine, and each failing path."""

from __future__ import annotations

import base64
import hashlib
import pickle
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from saga_fsm.drawing import Drawing, draw
from saga_fsm.errors import DrawingEngineError


if TYPE_CHECKING:
    from saga_fsm.machine import Machine
    from saga_fsm.pytest_plugin._summary import Together

__all__ = ["write_pictures"]

_LONGEST = 100


@attrs.frozen
class _Covered:
    """What ``draw`` looks at in an exploration, put together over the tests of a session."""

    saga: str
    machine: Machine
    runs: int
    coverage: float
    complete: bool
    taken: dict[int, int]
    missed: tuple[str, ...]
    outside: dict[str, str]


def write_pictures(sagas: Iterable[Together], folder: str) -> Iterator[str]:
    """
    Draw, and give a line for each file; where nothing can render, there is the DOT text alone.

    Args:
        sagas: what was found.
        folder: made if it is not there.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    used: set[str] = set()
    for saga in sagas:
        machine = _machine(saga.records)
        if machine is None:
            continue
        stem = f"{_safe(saga.saga)}-coverage"
        stem = f"{stem}-{machine.fingerprint[:8]}" if stem in used else stem
        used.add(stem)
        covered = _Covered(
            saga.saga,
            machine,
            saga.runs,
            saga.coverage,
            saga.complete,
            saga.taken,
            saga.missed,
            saga.outside,
        )
        yield _write(draw(covered), place / stem)
        for record in saga.records:
            for number, failure in enumerate(record["failures"], 1):
                name = f"{_safe(record['test'])}-failure-{number}"
                yield _write(draw(machine, path=failure["path"]), place / name)


def _machine(records: Iterable[dict[str, Any]]) -> Machine | None:
    """Only our own processes make reports: what they have pickled may be read."""
    text = next((record["pickled"] for record in records if record["pickled"]), "")
    return pickle.loads(base64.b64decode(text)) if text else None  # noqa: S301 - as above


def _safe(name: str) -> str:
    """A name for a file; of a long one the end, and what tells it from others."""
    safe = re.sub(r"[^\w.\[\]-]+", "-", name)
    if len(safe) <= _LONGEST:
        return safe
    return f"{hashlib.sha256(name.encode()).hexdigest()[:8]}-{safe[9 - _LONGEST :]}"


def _write(drawing: Drawing, stem: Path) -> str:
    source = stem.with_name(f"{stem.name}.dot")
    source.write_text(drawing.source)
    picture = stem.with_name(f"{stem.name}.svg")
    try:
        picture.write_bytes(drawing.pipe("svg"))
    except DrawingEngineError as error:
        error.written = str(source)
        return str(error)
    return f"drawn: {picture}"
