"""From JSON on the command line to the saga's own input, and back for what is shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click


if TYPE_CHECKING:
    from saga_fsm.definition import Saga


def read_input(saga: Saga[Any, Any, Any], text: str | None) -> Any:
    """
    Give the input that ``--input`` means: of the type that the saga's actions name.

    Raises:
        click.UsageError: it is not JSON, or does not fit that type.
    """
    from saga_fsm.codec import JsonCodec, told, type_of_input

    if text is None:
        return None
    wanted = type_of_input(saga)
    try:
        return JsonCodec(forbid_extra_keys=True).decode(text, wanted)
    except json.JSONDecodeError as error:
        message = f"--input is not JSON: {error}. Quote it, as in --input '{{\"total\": 3}}'."
        raise click.UsageError(message) from error
    except Exception as error:
        name = getattr(wanted, "__name__", str(wanted))
        message = f"--input does not fit {name}: {told(error)}. Give {_fields(wanted)}."
        raise click.UsageError(message) from error


def shown(value: Any) -> str:
    """Give one JSON object for reading, not for storing: what JSON does not know is its text."""
    from saga_fsm.codec import shown as tree_of

    return json.dumps(tree_of(value))


def _fields(wanted: Any) -> str:
    import attrs

    if not attrs.has(wanted):
        return "a value of that type"
    fields = ", ".join(f'"{field.name}": ...' for field in attrs.fields(wanted))
    return f"{{{fields}}}"
