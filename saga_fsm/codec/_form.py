"""A form: how the values of one type are written as a JSON tree, checked, and read back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias


__all__ = [
    "ANY",
    "KINDS",
    "TYPE",
    "VALUE",
    "Form",
    "Forms",
    "Misfit",
    "Tree",
    "Way",
    "finite",
    "misfit",
    "named",
    "plain",
    "unstorable",
]

#: What ``json.dumps`` takes and ``json.loads`` gives.
Tree: TypeAlias = Any
Way: TypeAlias = Callable[[Any], Any]

#: Where a value is written with the name of its type: ``{"@type": "Card", "@value": ...}``.
TYPE = "@type"
VALUE = "@value"
#: What JSON knows, as Python's own classes; a form says which of them it writes.
KINDS = frozenset({type(None), bool, int, float, str, list, dict})
_SCALARS = frozenset({type(None), bool, int, str})
_ANNOTATE = "Name its type in the annotation, or give plain JSON: None, str, numbers, lists, dicts."


class Misfit(ValueError):  # noqa: N818 - an answer to a question, not a fault
    """
    A value that does not fit its form.

    Args:
        why: one clause of fact.
        remedy: what to do.
    """

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy
        # Innermost first: each form that it passes through adds its part.
        self.trail: list[str] = []

    @property
    def field(self) -> str:
        """Where in the value: ``lines[2].price``; empty for the value itself."""
        return "".join(reversed(self.trail)).removeprefix(".")


class Form:
    """
    How the values of one type are written.

    Args:
        type_: the type.
        kinds: the classes of the trees that ``out`` gives.
        out: value to tree; raises ``Misfit`` for what is not of the type.
        back: tree to value; raises for what is no tree of the type.
        sure: what ``out`` took comes back as it was; else somebody has to look.
        parts: the forms inside, with where they are.
        problem: why no value of this type can be stored; empty for nearly all.
        direct: classes whose values are their own trees, whatever they are: ``out`` may be spared.
    """

    __slots__ = ("back", "direct", "kinds", "out", "parts", "problem", "sure", "type")

    def __init__(  # noqa: PLR0913 - one fact each
        self,
        type_: Any,
        kinds: frozenset[type],
        out: Way,
        back: Way,
        *,
        sure: bool = True,
        parts: tuple[tuple[str, Form], ...] = (),
        problem: str = "",
        direct: frozenset[type] = frozenset(),
    ) -> None:
        self.type = type_
        self.kinds = kinds
        self.out = out
        self.back = back
        self.sure = sure
        self.parts = parts
        self.problem = problem
        self.direct = direct

    def walk(self, at: str = "") -> Iterator[tuple[str, Form]]:
        """Give the form itself and all inside, each once, with the first place where it is."""
        seen = {id(self)}
        todo: list[tuple[str, Form]] = [(at, self)]
        while todo:
            place, form = todo.pop(0)
            yield place, form
            for part, inner in form.parts:
                if id(inner) not in seen:
                    seen.add(id(inner))
                    todo.append((place + part, inner))

    def faithful(self) -> bool:
        """Whether everything that ``out`` takes comes back, whatever is inside."""
        return all(form.sure for _, form in self.walk())


Forms: TypeAlias = Callable[[Any], Form]


def named(type_: Any) -> str:
    """A type as people write it: ``Payment``, ``list[int]``."""
    if type_ is type(None):
        return "None"
    if hasattr(type_, "__qualname__") and not getattr(type_, "__args__", None):
        return str(type_.__qualname__).rpartition("<locals>.")[2]
    return str(type_).replace("typing.", "")


def misfit(value: Any, wanted: str, remedy: str = "") -> Misfit:
    """Say what was found where something else should be: its class, for its content is private."""
    found = "None" if value is None else f"a value of class {named(type(value))}"
    return Misfit(f"{found} is no {wanted}", remedy)


def unstorable(type_: Any) -> Form:
    """A form of what cannot be written, that says so when it is tried."""
    why = f"{named(type_)} is no attrs class, no dataclass and nothing else whose parts are known"

    def refuse(_: Any) -> Any:
        raise Misfit(why, _INSTEAD)

    return Form(type_, KINDS, refuse, refuse, problem=why)


_INSTEAD = (
    "Give what identifies it instead (an id, a name), keep the thing itself in services=, make it "
    "an attrs class or a dataclass, or give a codec of your own."
)


def plain(value: Any) -> Tree:
    """
    Take plain JSON and nothing that would come back as something else.

    >>> plain({"total": 3, "lines": [1.5, None]})
    {'total': 3, 'lines': [1.5, None]}
    >>> plain({"size": (3, 4)})
    Traceback (most recent call last):
    saga_fsm.codec._form.Misfit: a value of class tuple is no plain JSON
    """
    kind = value.__class__
    if kind in _SCALARS:
        return value
    if kind is float:
        return finite(value)
    if kind is list:
        _plain_list(value)
    elif kind is dict:
        _plain_dict(value)
    else:
        raise misfit(value, "plain JSON", _ANNOTATE)
    return value


def _plain_list(value: list[Any]) -> None:
    index = 0
    try:
        for item in value:
            if item.__class__ not in _SCALARS:
                plain(item)
            index += 1
    except Misfit as error:
        error.trail.append(f"[{index}]")
        raise


def _plain_dict(value: dict[Any, Any]) -> None:
    key: Any = None
    try:
        for key, item in value.items():
            if key.__class__ is not str:
                remedy = f"Annotate the dict: dict[{named(type(key))}, ...]."
                raise misfit(key, "key of a JSON object", remedy)
            if item.__class__ not in _SCALARS:
                plain(item)
    except Misfit as error:
        error.trail.append(f".{key}")
        raise


def finite(value: float) -> float:
    """Take a number that JSON has."""
    if math.isfinite(value):
        return value
    remedy = "JSON has no nan and no infinity: give None, or a Decimal, which may be either."
    raise Misfit(f"{value} is no number in JSON", remedy)


ANY = Form(Any, KINDS, plain, lambda tree: tree, direct=_SCALARS)
