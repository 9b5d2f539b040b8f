"""Of what type each datum of a saga is, by what its annotations say."""

from __future__ import annotations

from collections import abc
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import attrs

from saga_fsm.codec._hints import argument_of_context, returned
from saga_fsm.definition.inputs import input_type
from saga_fsm.definition.layout import PlacedEach, PlacedStep, lay_out
from saga_fsm.definition.saga import Saga


__all__ = ["Datum", "Types", "type_of_input"]

_INPUT, _ITEM = 0, 2
_MANY = (abc.Iterable, abc.AsyncIterable)


@attrs.frozen
class Datum:
    """
    One thing that a run writes down.

    Args:
        step: the path of the step or block that it comes from; empty for the saga's input.
        what: in a sentence: "result of step 'charge'".
        type: as the annotations say; ``Any`` where they do not.
    """

    step: str
    what: str
    type: Any


def type_of_input(saga: Saga[Any, Any, Any]) -> Any:
    """Of what type a saga's input is; where another annotation is in the way, look past it."""
    found = input_type(saga)
    if found is not Any:
        return found
    layout = lay_out(saga)
    given = tuple(f"{path}/" for path, scope in layout.scopes.items() if scope.given is not None)
    for placed in layout.steps.values():
        if not placed.path.startswith(given) or not given:
            said = argument_of_context(placed.step.action, _INPUT)
            if said is not Any:
                return said
    return Any


class Types:
    """
    What the annotations of one saga say; each is looked at when it is asked for.

    Args:
        saga: the definition.
    """

    def __init__(self, saga: Saga[Any, Any, Any]) -> None:
        self.saga = saga
        self.layout = lay_out(saga)

    def all(self) -> Iterator[Datum]:
        """Everything that a run may write down."""
        yield self.input()
        for path in self.layout.steps:
            yield self.result(path)
        for path, placed in self.layout.decisions.items():
            if isinstance(placed, PlacedEach):
                yield self.items(path)
            elif path.endswith("/@given"):
                yield self.given(path)

    def input(self) -> Datum:
        """The saga's input."""
        return Datum("", f"input of saga '{self.saga.name}'", type_of_input(self.saga))

    def result(self, path: str) -> Datum:
        """A step's result: what its action returns, or its query, which answers the same."""
        placed = self.layout.steps.get(path)
        type_: Any = Any
        if placed is not None and placed.step.pause_for is None:
            type_ = returned(placed.step.action)
            if type_ is Any and placed.step.query is not None:
                type_ = returned(placed.step.query)
        return Datum(path, f"result of step '{path}'", type_)

    def items(self, path: str) -> Datum:
        """The items of an each: what its function returns, or what its first step takes."""
        placed = self.layout.decisions.get(path)
        item: Any = Any
        if isinstance(placed, PlacedEach):
            item = _item_of(returned(placed.items))
            if item is Any:
                item = self._item_taken(path)
        return Datum(path, f"items of '{path}'", list if item is Any else list[item])

    def given(self, path: str) -> Datum:
        """A nested saga's own input: what is given to it, or what it says itself."""
        scope = self.layout.scopes.get(path.removesuffix("/@given"))
        type_: Any = Any
        if scope is not None and scope.given is not None:
            type_ = returned(scope.given.chooser)
            if type_ is Any and scope.saga is not None:
                type_ = type_of_input(scope.saga)
        return Datum(path, f"input of nested saga '{path.removesuffix('/@given')}'", type_)

    def _item_taken(self, path: str) -> Any:
        for placed in self.layout.steps.values():
            if _innermost(placed) == path:
                found = argument_of_context(placed.step.action, _ITEM)
                if found is not Any:
                    return found
        return Any


def _innermost(placed: PlacedStep) -> str:
    return placed.copies[-1][0] if placed.copies else ""


def _item_of(type_: Any) -> Any:
    """The items of ``list[Line]``, ``Iterator[Line]``, ``tuple[Line, ...]``."""
    origin = get_origin(type_)
    given = list(get_args(type_))
    if not isinstance(origin, type) or not issubclass(origin, _MANY) or not given:
        return Any
    if origin is tuple and len(given) > 1 and given[1] is not ...:
        return Any if any(one != given[0] for one in given) else given[0]
    return given[0]
