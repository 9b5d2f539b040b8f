"""From a type to its form: made once per type, and looked up from then on."""

from __future__ import annotations

import enum
import threading
import types
import typing
from typing import Annotated, Any, ForwardRef, Literal, TypeVar, get_args, get_origin

from saga_fsm.codec._classes import fielded, is_fielded
from saga_fsm.codec._containers import container
from saga_fsm.codec._form import ANY, Form, unstorable
from saga_fsm.codec._leaves import enumeration, leaf, literal
from saga_fsm.codec._unions import union


__all__ = ["FormBook"]

_THROUGH = (Annotated, typing.Final, typing.Required, typing.NotRequired, typing.ClassVar)
_DICT = frozenset({dict})


class FormBook:
    """
    The forms of all types asked for so far.

    Args:
        strict: refuse fields that a class does not have, where text is read.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._known: dict[Any, Form] = {}
        # Those that are being made, of which some may not be whole yet: no other thread sees them.
        self._fresh: dict[Any, Form] = {}
        self._deep = 0
        self._lock = threading.RLock()

    def __call__(self, type_: Any) -> Form:
        """The form of a type; of one that cannot be written, a form that says so."""
        try:
            known = self._known.get(type_)
        except TypeError:  # an Annotated with something unhashable
            return self._make(type_)
        if known is not None:
            return known
        with self._lock:
            return self._kept(type_)

    def _kept(self, type_: Any) -> Form:
        known = self._known.get(type_) or self._fresh.get(type_)
        if known is not None:
            return known
        self._deep += 1
        try:
            made = self._fresh[type_] = self._make(type_)
            if self._deep == 1:
                self._known.update(self._fresh)
            return made
        finally:
            self._deep -= 1
            if not self._deep:
                self._fresh.clear()

    def _make(self, type_: Any) -> Form:  # noqa: PLR0911 - one a sort of type
        origin = get_origin(type_)
        if origin in _THROUGH:
            return self(get_args(type_)[0])
        if hasattr(type_, "__supertype__"):
            return self(type_.__supertype__)
        if hasattr(type_, "__value__"):
            return self(type_.__value__)
        if type_ is Any or type_ is object or isinstance(type_, TypeVar | ForwardRef | str):
            return ANY
        if type_ is None:
            return self(type(None))
        if origin is Literal:
            return literal(type_, get_args(type_), self)
        if origin in {typing.Union, types.UnionType}:
            return union(type_, get_args(type_), self)
        found = leaf(type_) or container(type_, self)
        return found if found is not None else self._class(type_, origin or type_)

    def _class(self, type_: Any, kind: Any) -> Form:
        if not isinstance(kind, type):
            return unstorable(type_)
        if issubclass(kind, enum.Enum):
            return enumeration(kind)
        if not is_fielded(kind):
            return unstorable(type_)
        # Known before it is filled: a class may have itself in a field.
        form = Form(type_, _DICT, _unfilled, _unfilled)
        self._fresh[type_] = form
        fielded(form, self, strict=self._strict)
        return form


def _unfilled(value: Any) -> Any:
    raise AssertionError(value)  # pragma: no cover - filled before anybody can call it
