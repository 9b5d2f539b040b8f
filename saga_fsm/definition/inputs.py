"""Of what type a saga's input is: said, or read off the first action that says it."""

from __future__ import annotations

import inspect
from typing import Any, get_args, get_origin, get_type_hints

from saga_fsm.definition.context import Context
from saga_fsm.definition.layout import lay_out
from saga_fsm.definition.saga import Saga


def input_type(saga: Saga[Any, Any, Any]) -> Any:
    """
    Give the type of a saga's input; ``Any`` when nobody says it.

    It is what ``Saga(..., input=Order)`` names, else the first argument of the ``Context`` in the
    annotation of the first action that has one. Steps of a nested saga with an input of its own
    are not asked.

    >>> from saga_fsm import step
    >>> def charge(ctx: Context[int, object]) -> None: ...
    >>> def refund(ctx, payment): ...
    >>> input_type(Saga("order", step(charge, compensate=refund)))
    <class 'int'>
    """
    if saga.input is not None:
        return saga.input
    layout = lay_out(saga)
    given = {path for path, scope in layout.scopes.items() if scope.given is not None}
    for placed in layout.steps.values():
        if not _inside(placed.scope, given):
            found = _annotated(placed.step.action)
            if found is not Any:
                return found
    return Any


def _inside(scope: str, given: set[str]) -> bool:
    return any(scope == path or scope.startswith(f"{path}/") for path in given)


def _annotated(action: Any) -> Any:
    try:
        hints = get_type_hints(action)
        first = next(iter(inspect.signature(action).parameters))
    except (NameError, TypeError, ValueError, StopIteration):
        # An annotation that cannot be resolved, or a callable without a signature, says nothing.
        return Any
    hint = hints.get(first, Any)
    if get_origin(hint) is not Context:
        return Any
    found = get_args(hint)[0]
    # A type variable, or what everything is, says nothing.
    named = isinstance(found, type) or get_origin(found) is not None
    return found if named and found is not object else Any
