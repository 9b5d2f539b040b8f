"""Codecs: values to text and back. The default one writes JSON that comes back as it was."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Protocol

from saga_fsm.codec._form import KINDS, Form, Misfit, Tree
from saga_fsm.codec._forms import FormBook


if TYPE_CHECKING:
    from cattrs import BaseConverter


__all__ = ["Codec", "JsonCodec", "text_of", "tree_of"]


class Codec(Protocol):
    """
    How values become text: JSON, something encrypted, a format of your own.

    What it writes must come back equal and of the same class: every result is read back once
    before it counts. A method ``problems(type_) -> list[str]`` may say which types it cannot write.
    """

    def encode(self, value: Any, type_: Any) -> str:
        """Write a value of an annotated type; ``Any`` where there is no annotation."""
        ...

    def decode(self, text: str, type_: Any) -> Any:
        """Read what ``encode`` wrote for the same type, in any process."""
        ...


class JsonCodec:
    """
    JSON, by what the annotations say, and nothing that would come back as something else.

    It writes attrs classes, dataclasses, named tuples, typed dicts, enums, literals, numbers,
    texts, bytes, dates and times, durations, UUIDs, decimals, fractions, paths, addresses, lists,
    tuples, sets, dicts with any keys, unions, generics of all of these, and pydantic models. Aware
    times are kept in UTC, naive ones stay naive. Where there is no annotation, plain JSON is taken.

    Args:
        converter: a cattrs converter of your own, which then does all of it.
        forbid_extra_keys: refuse fields that a class does not have, as for input typed by hand;
            else what an older version wrote more is passed over.

    >>> import datetime
    >>> codec = JsonCodec()
    >>> codec.encode({datetime.date(2026, 1, 2): (1, 2)}, dict[datetime.date, tuple[int, int]])
    '{"2026-01-02": [1, 2]}'
    >>> codec.decode('{"2026-01-02": [1, 2]}', dict[datetime.date, tuple[int, int]])
    {datetime.date(2026, 1, 2): (1, 2)}
    """

    def __init__(
        self, converter: BaseConverter | None = None, *, forbid_extra_keys: bool = False
    ) -> None:
        self.converter = converter
        self._forms = FormBook(strict=forbid_extra_keys)

    def form(self, type_: Any) -> Form:
        """How values of this type are written."""
        return self._forms(type_) if self.converter is None else _converted(self.converter, type_)

    def encode(self, value: Any, type_: Any) -> str:
        """
        Write a value as JSON text.

        Raises:
            ValueError: it is not of the type, or nothing that JSON can hold.
        """
        return text_of(self.form(type_).out(value))

    def decode(self, text: str, type_: Any) -> Any:
        """
        Read a value of this type from JSON text.

        Raises:
            ValueError: the text is no JSON, or not that of such a value.
        """
        return self.form(type_).back(tree_of(text))

    def problems(self, type_: Any) -> list[str]:
        """What in this type can never be written, with the field that has it."""
        found = [(place, form) for place, form in self._forms(type_).walk() if form.problem]
        if self.converter is not None:
            found = [(p, f) for p, f in found if not p and not _knows(self.converter, f.type)]
        return [
            f"field '{place.removeprefix('.')}': {form.problem}" if place else form.problem
            for place, form in found
        ]


def _converted(converter: BaseConverter, type_: Any) -> Form:
    def out(value: Any) -> Tree:
        return converter.unstructure(value, None if type_ is Any else type_)

    return Form(type_, KINDS, out, lambda tree: converter.structure(tree, type_), sure=False)


def _knows(converter: BaseConverter, type_: Any) -> bool:
    from cattrs.errors import StructureHandlerNotFoundError

    try:
        converter.structure({}, type_)
    except StructureHandlerNotFoundError:
        return False
    except Exception:  # noqa: BLE001 - it knows the type, and an empty object is none of it
        return True
    return True


# ---------------------------------------------------------------------- trees and texts


_ENCODE = json.JSONEncoder(allow_nan=False).encode


def _refused(constant: str) -> Any:
    raise Misfit(f"{constant} is no number in JSON")


_DECODE = json.JSONDecoder(parse_constant=_refused).decode


def text_of(tree: Tree) -> str:
    r"""
    JSON text of a tree: ASCII, and valid for Postgres' jsonb but for what escapes it refuses.

    >>> text_of({"name": "Zoë", "total": 1.5})
    '{"name": "Zo\\u00eb", "total": 1.5}'
    """
    if tree.__class__ is int or (tree.__class__ is float and math.isfinite(tree)):
        return repr(tree)
    try:
        text = _ENCODE(tree)
    except RecursionError:
        raise Misfit("it is nested too deeply", "Keep it flat: a list of parts, by id.") from None
    # Two halves of a character, one after the other, would come back as the whole of it.
    if "\\ud" in text and _DECODE(text) != tree:
        remedy = "Text comes from bytes: decode it with errors='replace', or give the bytes."
        raise Misfit("its text has halves of characters (lone surrogates) side by side", remedy)
    return text


def tree_of(text: str) -> Tree:
    """The tree of a JSON text."""
    return _DECODE(text)
