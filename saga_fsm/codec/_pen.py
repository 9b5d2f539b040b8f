"""A pen writes one datum of a saga and reads it back, and says what was wrong with it."""

from __future__ import annotations

import dataclasses
from typing import Any

import attrs

from saga_fsm.codec._form import Form, Misfit, named
from saga_fsm.codec._hints import nullable
from saga_fsm.codec._json import Codec, JsonCodec, text_of, tree_of
from saga_fsm.codec._types import Datum
from saga_fsm.errors import UnstorableValueError


__all__ = ["Pen", "refusal", "same", "told", "why"]

_FIT = "Give what the annotation says, or annotate what it really is."
_CODEC = "Annotate plain data, mend the class, or give a codec that brings back what it was given."


# Characters that one may take in ASCII, as a JSON escape; and a number of fewer digits than that.
_WIDEST = 6
_LARGE = 10**15


class Pen:
    """
    Writes and reads one datum, by its form or by a codec of the user's own.

    Args:
        saga: name of the saga.
        codec: writes the values.
        datum: what it is, and of what type.
        limit: characters that its text may have.
    """

    __slots__ = (
        *("_codec", "_datum", "_form", "_limit", "_nullable", "_saga", "_short", "_sure"),
        "direct",
    )

    def __init__(self, saga: str, codec: Codec, datum: Datum, limit: int) -> None:
        self._saga = saga
        self._codec = codec
        self._datum = datum
        self._limit = limit
        self._nullable = nullable(datum.type)
        # A subclass of ours may do as it likes in encode and decode.
        ours = type(codec) is JsonCodec and codec.converter is None
        self._form: Form | None = codec.form(datum.type) if ours else None  # type: ignore[attr-defined]
        self._sure = self._form is not None and self._form.faithful()
        # What is written as it is needs no check, but for its length.
        self.direct = frozenset() if self._form is None else self._form.direct
        self._short = limit // _WIDEST - 2

    def plain(self, value: Any) -> bool:
        """Whether it is surely written, and so cheaply that this need not be done beforehand."""
        kind = value.__class__
        if kind not in self.direct:
            return False
        if kind is str:
            return len(value) < self._short and value.isascii()
        return -_LARGE < value < _LARGE and self._short > 0

    def nothing(self) -> None:
        """
        Say whether there may be nothing, where the annotation names a type.

        Raises:
            UnstorableValueError: None is no value of that type.
        """
        if not self._nullable:
            remedy = f"Give what the annotation says, or annotate {named(self._datum.type)} | None."
            raise refusal(self._saga, self._datum, Misfit("it is None", remedy))

    def write(self, value: Any, *, look: bool) -> str:
        """
        Give the text; ``look`` reads it back where that may not give the same.

        Raises:
            UnstorableValueError: there is none, or it is too long.
        """
        form = self._form
        try:
            if form is None:
                text = self._foreign(value, look=look)
            else:
                tree = form.out(value)
                text = text_of(tree)
                if look and not self._sure:
                    _check(form, tree)
        except Exception as error:
            raise refusal(self._saga, self._datum, error) from error
        if len(text) > self._limit:
            raise self._too_long(len(text))
        return text

    def read(self, text: str) -> Any:
        """What was written."""
        if self._form is None:
            return self._codec.decode(text, self._datum.type)
        return self._form.back(tree_of(text))

    def heard(self, text: str) -> Any:
        """
        What somebody has said, from outside.

        Raises:
            UnstorableValueError: it is no such value.
        """
        try:
            return self.read(text)
        except Exception as error:
            misfit = error if isinstance(error, Misfit) else Misfit(why(error), _FIT)
            raise refusal(self._saga, self._datum, misfit) from error

    def _foreign(self, value: Any, *, look: bool) -> str:
        text = self._codec.encode(value, self._datum.type)
        if look and not same(value, again := self._codec.decode(text, self._datum.type)):
            change = f"a {named(type(value))} comes back as another {named(type(again))}"
            raise Misfit(change, _CODEC)
        return text

    def _too_long(self, size: int) -> UnstorableValueError:
        error = refusal(self._saga, self._datum, Misfit(""))
        error.message = f"its text has {size:,} characters, and {self._limit:,} are allowed"
        error.remedy = "Keep the large part elsewhere and return its key, or raise the limit."
        error.size, error.limit = size, self._limit
        return error


def _check(form: Form, tree: Any) -> None:
    """Read it and write it again: what ``__init__``, a converter or a validator did shows."""
    if form.out(form.back(tree)) != tree:
        raise Misfit("it comes back as something else", _CODEC)


def refusal(saga: str, datum: Datum, error: BaseException) -> UnstorableValueError:
    """What to say of a value that cannot be stored."""
    misfit = error if isinstance(error, Misfit) else Misfit(why(error))
    return UnstorableValueError(
        what=datum.what,
        message=misfit.why,
        remedy=misfit.remedy or (_FIT if misfit is error else _CODEC),
        saga=saga,
        step=datum.step,
        type="" if datum.type is Any else named(datum.type),
        field=misfit.field,
    )


def told(error: BaseException) -> str:
    """Why a value did not fit, and where in it: for who typed it."""
    at = error.field if isinstance(error, Misfit) else ""
    return f"{why(error)} (in '{at}')" if at else why(error)


def why(error: BaseException) -> str:
    """An error in one clause."""
    if isinstance(error, Misfit):
        return error.why
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    # A text of many lines, as pydantic's, would hide our remedy below it.
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}".removesuffix(": ")


def same(one: Any, other: Any) -> bool:
    """Equal and of the same class, all the way down; what cannot be compared is by its fields."""
    kind = one.__class__
    if kind is not other.__class__:
        return False
    if kind in {list, tuple}:
        return len(one) == len(other) and all(map(same, one, other))
    if kind is dict:
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if kind.__eq__ is not object.__eq__:
        return bool(one == other)
    if attrs.has(kind):
        names = [field.name for field in attrs.fields(kind)]
    elif dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
    else:
        names = list(getattr(one, "__dict__", ()))
    return all(same(getattr(one, name, None), getattr(other, name, None)) for name in names)
