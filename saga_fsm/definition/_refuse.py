"""What every refusal of a value has: the value in short, and the line of the user's code."""

from __future__ import annotations

from reprlib import Repr
from typing import Any

import attrs

from saga_fsm.definition._where import where
from saga_fsm.errors import DefinitionError


_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def said(value: Any) -> str:
    """A value in a message: a block by its name, anything else by what fits on the line."""
    kind = type(value)
    name = getattr(value, "name", None)
    if isinstance(name, str) and not isinstance(value, type):
        return f"{kind.__name__.lower()} '{name}'"
    if isinstance(value, list | tuple) or attrs.has(kind):
        return f"a {kind.__name__}"
    return f"function '{value.__name__}'" if hasattr(value, "__code__") else _SHORT.repr(value)


def refused(message: str, remedy: str, **facts: Any) -> DefinitionError:
    """The error for a value, at the line that gave it."""
    file, line = where()
    return DefinitionError(message=message, remedy=remedy, file=file, line=line, **facts)


def check_type(what: str, value: object, kind: type, example: str) -> None:
    """Refuse what is not of this class; None stands for "not given"."""
    if value is not None and not isinstance(value, kind):
        message = f"{what} is {said(value)}, which is no {kind.__name__}"
        raise refused(message, f"Give {example}.")


def check_callable(what: str, value: object, remedy: str) -> None:
    """Refuse what cannot be called; None stands for "not given"."""
    if value is not None and not callable(value):
        raise refused(f"{what} is {said(value)}, which cannot be called", remedy)


def check_errors(what: str, value: object) -> None:
    """Refuse what is no exception type, no tuple of them and no predicate."""
    kinds = value if isinstance(value, tuple) else (value,) if isinstance(value, type) else ()
    if value is None or (callable(value) and not kinds):
        return
    if not kinds or not all(isinstance(x, type) and issubclass(x, BaseException) for x in kinds):
        raise refused(
            f"{what} is {said(value)}, which is no exception type",
            "Give an exception type, a tuple of them, or a function of the exception.",
        )
