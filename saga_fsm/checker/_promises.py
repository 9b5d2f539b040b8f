"""Static findings about promises and policies: W5, W6, W7, W8, W11 and W12 of semantics.md."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from saga_fsm.checker._report import Finding
from saga_fsm.definition import Kind
from saga_fsm.definition.layout import Layout, PlacedStep


_DEFAULT_ARGUMENTS = 2  # a compensation's context and result


def promises(layout: Layout) -> Iterator[Finding]:
    """What the definition alone says, step by step."""
    for path, placed in layout.steps.items():
        yield from _doubt(path, placed)
        yield from _repeats(path, placed)
        yield from _null_compensation(path, placed)
        yield from _time(layout, path, placed)


def _doubt(path: str, placed: PlacedStep) -> Iterator[Finding]:
    promised = placed.contract
    fences = placed.step.query is not None or promised.fenced
    if placed.kind is Kind.PIVOT and not (
        promised.idempotent and (promised.sticky or placed.step.query is not None)
    ):
        message = (
            f"'{path}' in doubt can be neither undone nor skipped: it must be idempotent and "
            "sticky, or have a query= that fences"
        )
        yield Finding("W5", "error", path, message)
    if placed.kind is Kind.COMPENSATABLE and not (promised.idempotent and fences):
        message = (
            f"'{path}' may be unknown and its participant does not promise idempotent and fenced: "
            "a late copy may land after the undo"
        )
        yield Finding("W8", "warning", path, message)


def _repeats(path: str, placed: PlacedStep) -> Iterator[Finding]:
    idempotent = placed.contract.idempotent
    if placed.kind is Kind.READONLY or idempotent:
        return
    if placed.retry.bound != "none":
        message = f"'{path}' is retried and does not promise to be idempotent"
        yield Finding("W6", "error", path, message)
    if placed.kind is Kind.COMPENSATABLE and placed.compensation_retry.bound != "none":
        message = f"the compensation of '{path}' is retried and does not promise to be idempotent"
        yield Finding("W6", "error", path, message)


def _null_compensation(path: str, placed: PlacedStep) -> Iterator[Finding]:
    """By signature and annotation only: user code is never called by a check."""
    compensate = placed.step.compensate
    if compensate is None:
        return
    try:
        parameters = list(inspect.signature(compensate).parameters.values())
    except (TypeError, ValueError):
        return
    if len(parameters) < _DEFAULT_ARGUMENTS:
        return
    annotation = parameters[1].annotation
    if annotation is inspect.Parameter.empty:
        return
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    try:
        takes = get_type_hints(compensate).get(parameters[1].name, object)
    except Exception:  # noqa: BLE001 - a name that only type checkers import, or any other
        # A plain name may be an alias of what takes None: nothing can be said for sure.
        if not any(word in text for word in ("None", "Optional", "object", "Any")):
            yield Finding("W7", "warning", path, _no_result(path, text))
        return
    if not _takes_none(takes):
        yield Finding("W7", "error", path, _no_result(path, text))


def _takes_none(hint: Any) -> bool:
    if get_origin(hint) in {Union, UnionType}:
        return any(_takes_none(one) for one in get_args(hint))
    return hint in {None, NoneType, object, Any} or not isinstance(get_origin(hint) or hint, type)


def _no_result(path: str, text: str) -> str:
    return (
        f"the compensation of '{path}' takes {text}, but has no result to take when the action "
        f"was never answered: annotate it {text} | None"
    )


def _time(layout: Layout, path: str, placed: PlacedStep) -> Iterator[Finding]:
    waits = placed.step.pause_for is not None
    if placed.timeout is None and layout.root.deadline is None and not waits:
        message = (
            f"'{path}' has no timeout and the saga no deadline: nothing ends a call that hangs"
        )
        yield Finding("W11", "warning", path, message)
    if placed.kind is Kind.COMPENSATABLE and placed.compensation_retry.bound != "forever":
        message = f"the compensation of '{path}' gives up at last: STUCK can be reached"
        yield Finding("W12", "info", path, message)
    if placed.kind is Kind.RETRIABLE and placed.retry.bound != "forever":
        message = (
            f"'{path}' is retriable and gives up at last: STUCK can be reached, its effect is owed"
        )
        yield Finding("W12", "warning", path, message)
