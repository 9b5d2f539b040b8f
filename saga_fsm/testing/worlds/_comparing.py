"""
When two worlds are the same: whatever a value is made of, as one value that can be hashed.

What makes a value up is what pickling would keep of it. So two values that are equal here behave
alike, and what cannot be pickled (a lock, a socket, a connection) cannot be compared: pruning by
state is only sound with a world that can.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import threading
import types
import uuid
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from fractions import Fraction
from pathlib import PurePath
from typing import Any


__all__ = ["Comparison", "NotComparableError", "frozen"]

_BY_VALUE = (
    *(str, bytes, int, bool, type(None), complex, enum.Enum, range, Fraction, uuid.UUID),
    *(dt.date, dt.time, dt.timedelta, dt.tzinfo, PurePath),
)
_BY_IDENTITY = (type, types.ModuleType, type(Ellipsis))
_LOCK = type(threading.Lock())
_NEWEST_PROTOCOL = 4


class NotComparableError(Exception):
    """A part of a world of which nobody can say whether it has changed."""


class Comparison:
    """
    One look at a value.

    Args:
        known: parts that count as unchanged, whatever they are: the world's own connection.
    """

    def __init__(self, known: Iterable[Any] = ()) -> None:
        #: The classes of all objects that were met: what they share, instances do not own.
        self.classes: set[type] = set()
        self._known = {id(part): number for number, part in enumerate(known)}
        self._met: dict[int, int] = {}
        # What was made on the way lives until the end: else its id would be another's.
        self._alive: list[Any] = []

    def of(self, value: Any) -> Hashable:  # noqa: PLR0911 - one for each sort
        """Give the value that equal ones share."""
        known = self._known.get(id(value))
        if known is not None:
            return ("known", known)
        kind = type(value)
        if kind is float or kind is decimal.Decimal:
            # As text: nan is itself, and -0.0 is not 0.0.
            return kind, repr(value)
        if isinstance(value, _BY_VALUE):
            return kind, value
        if isinstance(value, _BY_IDENTITY):
            return value
        if kind is tuple:
            return kind, tuple(map(self.of, value))
        number = self._met.get(id(value))
        if number is not None:
            return ("again", number)
        self._met[id(value)] = len(self._met)
        self._alive.append(value)
        return self._inside(kind, value)

    def _inside(self, kind: type, value: Any) -> Hashable:  # noqa: PLR0911 - as above
        if kind is list:
            return kind, tuple(map(self.of, value))
        if kind is dict:
            return kind, self._pairs(value)
        if kind in {set, frozenset}:
            # Counted: two that are not the same may be made of the same.
            return kind, frozenset(Counter(map(frozen, value)).items())
        if isinstance(value, types.FunctionType):
            if not (value.__closure__ or value.__defaults__ or value.__kwdefaults__):
                return value
            cells = tuple(cell.cell_contents for cell in value.__closure__ or ())
            return value.__code__, self.of((cells, value.__defaults__, value.__kwdefaults__))
        if isinstance(value, types.MethodType):
            return self.of(value.__func__), self.of(value.__self__)
        if isinstance(value, types.BuiltinFunctionType):
            owner = value.__self__
            return (
                value if isinstance(owner, types.ModuleType) else (value.__name__, self.of(owner))
            )
        if isinstance(value, _LOCK):
            # Nobody waits for it between two calls: that is all there is to it.
            return kind, value.locked()
        return self._reduced(kind, value)

    def _pairs(self, value: Mapping[Any, Any]) -> Hashable:
        # In their order: code that walks over a dictionary sees it.
        return tuple((self.of(key), self.of(one)) for key, one in value.items())

    def _reduced(self, kind: type, value: Any) -> Hashable:
        self.classes.add(kind)
        try:
            parts = value.__reduce_ex__(_NEWEST_PROTOCOL)
        except Exception as error:
            raise NotComparableError(f"{kind.__qualname__} cannot be compared: {error}") from error
        if isinstance(parts, str):
            return kind, parts
        made = [list(part) if hasattr(part, "__next__") else part for part in parts]
        return kind, tuple(map(self.of, made))


def frozen(value: Any, known: Iterable[Any] = ()) -> Hashable:
    """
    Give a value that two values share when they are made of the same.

    >>> frozen({"a": [1, 2.0]}) == frozen({"a": [1, 2.0]}), frozen([1]) == frozen([True])
    (True, False)

    Raises:
        NotComparableError: a part of it is not made of values.
    """
    return Comparison(known).of(value)
