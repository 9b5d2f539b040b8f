"""A TARGET of the command line: ``module:name`` or ``file.py:name``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click


if TYPE_CHECKING:
    from saga_fsm.definition import Saga

# On a module that was read from a file: which, and as of when.
_READ = "__saga_fsm_read__"


def load(target: str) -> Saga[Any, Any, Any]:
    """
    Import the saga that a target names.

    Raises:
        click.UsageError: there is no such module, file or name, or it is no saga.
    """
    from saga_fsm.definition import Saga

    saga = load_named(target)
    if not isinstance(saga, Saga):
        message = f"'{target}' is no saga. Name one, as in saga_fsm.examples.order:saga."
        raise click.UsageError(message)
    return saga


def load_named(target: str) -> Any:
    """
    Import whatever a target names.

    Raises:
        click.UsageError: there is no such module, file or name.
    """
    place, _, name = target.rpartition(":")
    if not place or not name:
        message = f"'{target}' is no target. Give module:name or file.py:name."
        raise click.UsageError(message)
    module = _module(place)
    if not hasattr(module, name):
        message = f"there is no '{name}' in {place}. Give a name that stands there."
        raise click.UsageError(message)
    return getattr(module, name)


def has_named(target: str) -> bool:
    """Whether a target names something that is there."""
    place, _, name = target.rpartition(":")
    return bool(place) and hasattr(_module(place), name)


def _module(place: str) -> ModuleType:
    path = Path(place)
    if path.suffix != ".py":
        _findable(Path.cwd())
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            message = f"there is no module '{error.name}'. Run where it can be imported."
            raise click.UsageError(message) from error
    if not path.is_file():
        message = f"there is no file {place}. Give its path from here."
        raise click.UsageError(message)
    # Two targets in one file mean one module: else a step would be another in each.
    there = path.resolve()
    known = sys.modules.get(path.stem)
    if getattr(known, _READ, None) == (there, there.stat().st_mtime_ns):
        assert known is not None  # noqa: S101 - it has the mark
        return known
    _findable(there.parent)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None  # noqa: S101 - a .py file always has one
    assert spec.loader is not None  # noqa: S101 - as above
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    setattr(module, _READ, (there, there.stat().st_mtime_ns))
    spec.loader.exec_module(module)
    return module


def _findable(folder: Path) -> None:
    """Let modules beside it be imported, as ``python FILE`` and ``python -m MODULE`` do."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
