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
    from cattrs.errors import BaseValidationError
    from cattrs.preconf.json import make_converter

    from saga_fsm.definition.inputs import input_type

    if text is None:
        return None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        message = f"--input is not JSON: {error}. Quote it, as in --input '{{\"total\": 3}}'."
        raise click.UsageError(message) from error
    wanted = input_type(saga)
    if wanted is Any:
        return value
    try:
        return make_converter(forbid_extra_keys=True).structure(value, wanted)
    except (BaseValidationError, TypeError, ValueError, KeyError) as error:
        name = getattr(wanted, "__name__", str(wanted))
        message = f"--input does not fit {name}: {_why(error)}. Give {_fields(wanted)}."
        raise click.UsageError(message) from error


def shown(value: Any) -> str:
    """Give one JSON object for reading, not for storing: what JSON does not know is its text."""
    from cattrs.preconf.json import make_converter

    converter = make_converter()

    def text(odd: Any) -> Any:
        plain = converter.unstructure(odd)
        return str(odd) if plain is odd else plain

    return json.dumps(value, default=text)


def _why(error: BaseException) -> str:
    from cattrs import transform_error

    try:
        return "; ".join(transform_error(error))
    except Exception:  # noqa: BLE001 - a message that cannot be made prettier is still a message
        return str(error) or type(error).__name__


def _fields(wanted: Any) -> str:
    import attrs

    if not attrs.has(wanted):
        return "a value of that type"
    fields = ", ".join(f'"{field.name}": ...' for field in attrs.fields(wanted))
    return f"{{{fields}}}"
