"""What is shown to people: values as JSON for reading, and without what is not theirs to see."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from saga_fsm.codec._form import Form, Misfit, Tree
from saga_fsm.codec._forms import FormBook


__all__ = ["HIDDEN", "redacted", "shown"]

HIDDEN = "***"


def redacted(text_or_value: Any, names: AbstractSet[str]) -> Any:
    """
    Hide the values of named fields, wherever they are; for eyes, never for compensations.

    Names are compared without regard to case. JSON text gives JSON text; text that is no JSON, as
    an encrypting codec writes it, is hidden as a whole, since nobody can tell what is in it.

    >>> redacted('{"card": "4111", "lines": [{"iban": "DE02"}], "total": 3}', {"card", "IBAN"})
    '{"card": "***", "lines": [{"iban": "***"}], "total": 3}'
    >>> redacted({"card": "4111"}, {"card"})
    {'card': '***'}
    """
    hidden = frozenset(name.casefold() for name in names)
    if not isinstance(text_or_value, str):
        return _hidden(shown(text_or_value), hidden)
    if not hidden:
        return text_or_value
    try:
        tree = json.loads(text_or_value)
    except ValueError:
        return HIDDEN
    return json.dumps(_hidden(tree, hidden))


def _hidden(tree: Tree, names: frozenset[str]) -> Tree:
    if isinstance(tree, Mapping):
        return {
            key: HIDDEN if str(key).casefold() in names else _hidden(value, names)
            for key, value in tree.items()
        }
    return [_hidden(value, names) for value in tree] if isinstance(tree, list) else tree


def shown(value: Any) -> Tree:
    """
    Any value as a JSON tree for reading, not for storing: what JSON does not know is its text.

    >>> shown({"at": {1, 2}, "by": object})
    {'at': [1, 2], 'by': "<class 'object'>"}
    """
    return _shown(value, FormBook(), depth=0)


_DEEPEST = 50


def _shown(value: Any, forms: FormBook, depth: int) -> Tree:
    if value is None or value.__class__ in {bool, int, str}:
        return value
    if depth > _DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, str) else str(_shown(key, forms, depth + 1)): _shown(
                one, forms, depth + 1
            )
            for key, one in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset) and not hasattr(value, "_fields"):
        return [_shown(one, forms, depth + 1) for one in value]
    return _by_form(value, forms(type(value)), forms, depth)


def _by_form(value: Any, form: Form, forms: FormBook, depth: int) -> Tree:
    try:
        return form.out(value)
    except (Misfit, RecursionError):
        if not form.parts:
            return str(value)
        names = (place.removeprefix(".") for place, _ in form.parts)
        return {name: _shown(getattr(value, name, None), forms, depth + 1) for name in names}
