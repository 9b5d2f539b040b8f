"""Forms of single values: numbers, texts, times, identifiers, enums, literals."""

from __future__ import annotations

import base64
import datetime as dt
import enum
import re
import sys
from collections.abc import Callable
from typing import Any

from saga_fsm.codec._form import Form, Misfit, finite, misfit, named


__all__ = ["enumeration", "leaf", "literal"]

_NONE, _BOOL = frozenset({type(None)}), frozenset({bool})
_INT, _STR = frozenset({int}), frozenset({str})
_MICROSECOND = dt.timedelta(microseconds=1)


def leaf(type_: Any) -> Form | None:
    """Give the form of a single value; None when it is none."""
    if type_ in _NATIVE:
        return _NATIVE[type_](type_)
    if not isinstance(type_, type):
        return None
    ways = _TEXTS.get(f"{type_.__module__}.{type_.__qualname__}")
    if ways is None and _is_path(type_):
        ways = str, None
    return None if ways is None else _text(type_, ways[0], ways[1] or type_)


def _is_path(type_: type) -> bool:
    # Whoever has one has imported its module: a light start needs not.
    pathlib = sys.modules.get("pathlib")
    return pathlib is not None and issubclass(type_, pathlib.PurePath)


# ---------------------------------------------------------------------- what JSON has itself


def _none(type_: Any) -> Form:
    def same(value: Any) -> None:
        if value is not None:
            raise misfit(value, "None")

    return Form(type_, _NONE, same, same, direct=_NONE)


def _str(type_: Any) -> Form:
    def out(value: Any) -> str:
        if value.__class__ is str:
            return value
        if isinstance(value, str):
            return str.__str__(value)
        raise misfit(value, "str")

    def back(tree: Any) -> str:
        if tree.__class__ is str:
            return tree
        raise misfit(tree, "str")

    return Form(type_, _STR, out, back, direct=_STR)


def _bool(type_: Any) -> Form:
    def same(value: Any) -> bool:
        if value.__class__ is bool:
            return value
        raise misfit(value, "bool")

    return Form(type_, _BOOL, same, same, direct=_BOOL)


def _int(type_: Any) -> Form:
    def same(value: Any) -> int:
        if value.__class__ is int or value.__class__ is bool:
            return value
        if isinstance(value, int):
            return int.__int__(value)
        raise misfit(value, "int")

    return Form(type_, _INT, same, same, direct=_INT | _BOOL)


def _float(type_: Any) -> Form:
    def same(value: Any) -> float:
        if value.__class__ is float:
            return finite(value)
        if isinstance(value, float):
            return finite(float.__float__(value))
        if isinstance(value, int):
            try:
                if float(value) == value:
                    return float(value)
            except OverflowError:
                pass
            raise misfit(value, "float: it has more digits than a float can hold")
        raise misfit(value, "float")

    return Form(type_, frozenset({float}), same, same)


_NATIVE: dict[Any, Callable[[Any], Form]] = {
    type(None): _none,
    str: _str,
    bool: _bool,
    int: _int,
    float: _float,
}


# ---------------------------------------------------------------------- what is written as text


def _text(type_: Any, write: Callable[[Any], str], read: Callable[[str], Any]) -> Form:
    """
    A value as one text.

    A subclass, as freezegun's datetime or pandas' Timestamp are, is taken when the plain value
    that comes back equals it.
    """
    wanted = named(type_)

    def out(value: Any) -> str:
        if value.__class__ is type_:
            return _wrote(write, value)
        # A datetime is a date too, and has more to lose.
        if isinstance(value, type_) and back(text := _wrote(write, value)) == value:
            return text
        raise misfit(value, wanted)

    def back(tree: Any) -> Any:
        if tree.__class__ is not str:
            raise misfit(tree, f"text of a {wanted}")
        try:
            return read(tree)
        except (ValueError, ArithmeticError, LookupError) as error:
            raise Misfit(f"the text is that of no {wanted}") from error

    return Form(type_, _STR, out, back)


def _wrote(write: Callable[[Any], str], value: Any) -> str:
    try:
        return write(value)
    except OverflowError as error:
        raise Misfit(
            f"{value!r} cannot be told in UTC", "Give a time within year 1 to 9999."
        ) from error


# The second of two local times that a clock shows when it is put back; ISO 8601 has no sign for it.
_FOLD = "~"


def _utc(value: dt.datetime) -> str:
    # A naive one stays naive: nobody here knows which zone was meant.
    if value.utcoffset() is None:
        return value.isoformat() + (_FOLD if value.fold else "")
    return value.astimezone(dt.UTC).isoformat()


def _from_utc(text: str) -> dt.datetime:
    if text.endswith(_FOLD):
        return dt.datetime.fromisoformat(text[:-1]).replace(fold=1)
    value = dt.datetime.fromisoformat(text)
    return value if value.utcoffset() is None else value.astimezone(dt.UTC)


def _time(value: dt.time) -> str:
    if value.tzinfo is not None and value.utcoffset() is None:
        remedy = "Give a datetime, or a time with a fixed offset: a zone needs the day."
        raise Misfit(f"{value!r} has a zone without an offset", remedy)
    return value.isoformat() + (_FOLD if value.fold else "")


def _from_time(text: str) -> dt.time:
    if text.endswith(_FOLD):
        return dt.time.fromisoformat(text[:-1]).replace(fold=1)
    return dt.time.fromisoformat(text)


_DURATION = re.compile(r"(-?)(\d+)(?:\.(\d{1,6}))?", re.ASCII)


def _seconds(value: dt.timedelta) -> str:
    micro = value // _MICROSECOND
    whole, part = divmod(abs(micro), 10**6)
    return f"{'-' if micro < 0 else ''}{whole}.{part:06d}"


def _from_seconds(text: str) -> dt.timedelta:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(text)
    sign, whole, part = found.groups(default="")
    micro = int(whole) * 10**6 + int(part.ljust(6, "0"))
    return (-micro if sign else micro) * _MICROSECOND


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


# By name, with how they are written and read; None is the class itself. So that none of these
# modules is loaded for a saga that has no such value.
_TEXTS: dict[str, tuple[Callable[[Any], str], Callable[[str], Any] | None]] = {
    "datetime.datetime": (_utc, _from_utc),
    "datetime.date": (dt.date.isoformat, dt.date.fromisoformat),
    "datetime.time": (_time, _from_time),
    "datetime.timedelta": (_seconds, _from_seconds),
    "builtins.bytes": (_base64, _from_base64),
    "builtins.bytearray": (_base64, lambda text: bytearray(_from_base64(text))),
    "decimal.Decimal": (str, None),
    "fractions.Fraction": (str, None),
    "uuid.UUID": (str, None),
    "zoneinfo.ZoneInfo": (lambda zone: str(zone.key), None),
    "ipaddress.IPv4Address": (str, None),
    "ipaddress.IPv6Address": (str, None),
    "ipaddress.IPv4Network": (str, None),
    "ipaddress.IPv6Network": (str, None),
    "ipaddress.IPv4Interface": (str, None),
    "ipaddress.IPv6Interface": (str, None),
}


# ---------------------------------------------------------------------- one of a few


def enumeration(type_: type[enum.Enum]) -> Form:
    """By value where all are texts or whole numbers, else by name: names are always texts."""
    values = {member.value.__class__ for member in type_}
    simple = values <= {str} or values <= {int}
    flags = issubclass(type_, enum.Flag)
    by_value = bool(values) and (simple or flags)

    def out(value: Any) -> Any:
        if value.__class__ is not type_:
            raise misfit(value, named(type_))
        return value.value if by_value else value.name

    def back(tree: Any) -> Any:
        try:
            return type_(tree) if by_value else type_[tree]
        except (ValueError, LookupError, TypeError) as error:
            known = ", ".join(str(out(member)) for member in list(type_)[:12])
            raise misfit(tree, f"{named(type_)}: {known}") from error

    kinds = (frozenset({int}) if flags else frozenset(values)) if by_value else _STR
    return Form(type_, kinds, out, back)


def literal(type_: Any, values: tuple[Any, ...], forms: Callable[[Any], Form]) -> Form:
    """One of some values, each written as its own type is."""
    known = {(value.__class__, value): forms(value.__class__) for value in values}
    wanted = f"{named(type_)}"

    def out(value: Any) -> Any:
        try:
            return known[value.__class__, value].out(value)
        except (KeyError, TypeError):
            raise misfit(value, wanted) from None

    trees = {(out(value).__class__, out(value)): value for value in values}

    def back(tree: Any) -> Any:
        try:
            return trees[tree.__class__, tree]
        except (KeyError, TypeError):
            raise misfit(tree, wanted) from None

    return Form(type_, frozenset(kind for kind, _ in trees), out, back)
