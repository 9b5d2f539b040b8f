"""What annotations say, one by one: one that cannot be resolved takes no other with it."""

from __future__ import annotations

import builtins
import functools
import inspect
import sys
import types
import typing
from collections import abc
from collections.abc import Iterator
from typing import Annotated, Any, ForwardRef, Literal, TypeVar, get_args, get_origin

from saga_fsm.definition.context import Context
from saga_fsm.definition.outcomes import Pending


__all__ = ["argument_of_context", "fields_of", "nullable", "returned"]

_AWAITED = (abc.Awaitable, abc.Coroutine)


class _Endless(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls

    def __getitem__(cls, _: Any) -> Any:
        return cls


class _Unknown(metaclass=_Endless):
    """What a name stands for that nobody can resolve, with all that may be in it."""


class _Names(dict[str, Any]):
    """
    The names that an annotation may use; one that is not there is unknown, and no error.

    Args:
        around: those of the module, which come after what is put in.
    """

    def __init__(self, around: dict[str, Any]) -> None:
        super().__init__()
        self._around = around

    def __missing__(self, name: str) -> Any:
        return self._around.get(name, getattr(builtins, name, _Unknown))


# ---------------------------------------------------------------------- functions


def returned(function: Any) -> Any:
    """
    Of what type the result is; ``Any`` when the annotation does not say.

    ``PENDING`` is no result, and of a coroutine it is what is awaited.

    >>> def charge(ctx) -> int | Pending: ...
    >>> returned(charge)
    <class 'int'>
    """
    if isinstance(function, type):
        return function
    annotations, names = _annotations(function)
    found = _resolved(annotations.get("return", Any), names)
    if get_origin(found) in _AWAITED:
        found = (get_args(found) or (Any,))[-1]
    return _said(_without(found, Pending))


def argument_of_context(function: Any, index: int) -> Any:
    """What a function's ``Context[input, services, item]`` says at this place; else ``Any``."""
    annotations, names = _annotations(function)
    for annotation in annotations.values():
        found = _resolved(annotation, names)
        given = get_args(found) if get_origin(found) is Context else ()
        return _said(given[index]) if len(given) > index else Any
    return Any


def nullable(type_: Any) -> bool:
    """
    Whether a type has None among its values; of what says nothing it is so.

    >>> nullable(int | None), nullable(Any), nullable(int)
    (True, True, False)
    """
    origin, given = get_origin(type_), get_args(type_)
    if origin in {typing.Union, types.UnionType}:
        return any(map(nullable, given))
    if origin is Annotated:
        return nullable(given[0])
    if origin is Literal:
        return None in given
    if hasattr(type_, "__value__"):  # a name for another type
        return nullable(type_.__value__)
    return any(type_ is one for one in (Any, object, None, type(None))) or _unknown_at_all(type_)


def _unknown_at_all(type_: Any) -> bool:
    return isinstance(type_, TypeVar) or type_ is _Unknown


def _annotations(function: Any) -> tuple[dict[str, Any], _Names]:
    """A callable's annotations as they were written, and the names that they were written in."""
    while isinstance(function, functools.partial):
        function = function.func
    if not isinstance(function, types.FunctionType | types.MethodType) and callable(function):
        function = getattr(type(function), "__call__", function)  # noqa: B004 - what it is, not whether
    function = inspect.unwrap(getattr(function, "__func__", function))
    while isinstance(function, functools.partial):
        function = function.func
    names = _Names(getattr(function, "__globals__", {}))
    code = getattr(function, "__code__", None)
    closure = getattr(function, "__closure__", None) or ()
    if code is not None:
        for name, cell in zip(code.co_freevars, closure, strict=False):
            try:
                names[name] = cell.cell_contents
            except ValueError:
                continue  # not assigned yet
    return dict(getattr(function, "__annotations__", {})), names


def _resolved(annotation: Any, names: _Names) -> Any:
    if isinstance(annotation, ForwardRef):
        # That of a typed dict's parent, which may stand in another module.
        module = sys.modules.get(str(annotation.__forward_module__))
        names = names if module is None else _Names(vars(module))
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        try:
            found = eval(annotation, {}, names)  # noqa: S307 - as typing does: the user's own code
        except Exception:  # noqa: BLE001 - an annotation that is no expression says nothing
            return Any
        # A text in a text: quoted by hand where all annotations are texts already.
        return _resolved(found, names)
    return type(None) if annotation is None else _inside(annotation, names)


def _inside(type_: Any, names: _Names) -> Any:
    """The same type, with what is quoted in it resolved: ``list["Line"]``."""
    origin, given = get_origin(type_), get_args(type_)
    if not given or origin in {Literal, Annotated}:
        return type_
    quoted = str | ForwardRef
    found = tuple(
        _resolved(one, names) if isinstance(one, quoted) else _inside(one, names) for one in given
    )
    if found == given:
        return type_
    if origin in {typing.Union, types.UnionType}:
        return typing.Union[found]  # noqa: UP007 - of as many as there are
    return type_.copy_with(found) if hasattr(type_, "copy_with") else origin[found]


def _said(type_: Any) -> Any:
    """A type that says something, else ``Any``."""
    # What returns nothing may return something after all: no result is refused for that.
    silent = any(type_ is one for one in (object, None, type(None), typing.NoReturn, typing.Never))
    return Any if silent or isinstance(type_, TypeVar) or any(_unknown(type_)) else type_


def _unknown(type_: Any) -> Iterator[bool]:
    if type_ is _Unknown:
        yield True
    for inner in get_args(type_):
        yield from _unknown(inner) if not isinstance(inner, list) else ()


def _without(type_: Any, left_out: type) -> Any:
    members = get_args(type_) if get_origin(type_) in {typing.Union, types.UnionType} else ()
    if left_out in members:
        kept = tuple(member for member in members if member is not left_out)
        return typing.Union[kept]  # noqa: UP007 - of as many as there are
    return Any if type_ is left_out else type_


# ---------------------------------------------------------------------- classes


def fields_of(type_: Any) -> dict[str, Any]:
    """
    The types of a class's fields, its type arguments filled in; of an unresolved one, ``Any``.

    >>> class Page(typing.TypedDict):
    ...     lines: list[int]
    >>> fields_of(Page)
    {'lines': list[int]}
    """
    origin = get_origin(type_) or type_
    given = _arguments(type_, origin)
    hints: dict[str, Any] = {}
    for kind in reversed(origin.__mro__):
        module = sys.modules.get(kind.__module__)
        names = _Names(vars(module) if module else {})
        names[kind.__name__] = kind
        for name, annotation in inspect.get_annotations(kind).items():
            found = _resolved(annotation, names)
            hints[name] = _filled(Any if any(_unknown(found)) else found, given)
    return hints


def _arguments(type_: Any, origin: Any) -> dict[Any, Any]:
    """Type variables and what they stand for, in this class and in those it comes from."""
    given: dict[Any, Any] = dict(
        zip(getattr(origin, "__parameters__", ()), get_args(type_), strict=False)
    )
    for base in getattr(origin, "__orig_bases__", ()):
        inner = get_origin(base)
        if inner is not None and inner is not typing.Generic:
            for variable, argument in _arguments(base, inner).items():
                given.setdefault(variable, _filled(argument, given))
    return given


def _filled(hint: Any, given: dict[Any, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return given.get(hint, Any)
    variables = getattr(hint, "__parameters__", ())
    if variables and not isinstance(hint, type):
        return hint[tuple(given.get(variable, Any) for variable in variables)]
    return hint
