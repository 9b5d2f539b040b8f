"""Static findings about promises and policies: W5, W6, W7, W8, W11, W12 and W15 of semantics.md."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

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
    count = len(layout.steps)
    compensations = sum(placed.step.compensate is not None for placed in layout.steps.values())
    yield Finding("W15", "info", "", f"{count} steps, {compensations} compensations")


def _doubt(path: str, placed: PlacedStep) -> Iterator[Finding]:
    promised = placed.contract
    fences = placed.step.query is not None or promised.fenced
    if placed.kind is Kind.PIVOT and not (
        promised.idempotent and (promised.sticky or placed.step.query is not None)
    ):
        message = (
            f"pivot '{path}' in doubt can be neither undone nor skipped: it must be idempotent and "
            "sticky, or have a query= that fences"
        )
        yield Finding("W5", "error", path, message)
    if placed.kind is Kind.COMPENSATABLE and not (promised.idempotent and fences):
        message = (
            f"step '{path}' may be unknown and its participant does not promise idempotent and "
            "fenced: a late copy of it may land after its undo"
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
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    accepts = annotation is inspect.Parameter.empty or not isinstance(text, str) or not text
    if not accepts and not any(
        word in str(annotation) for word in ("None", "Optional", "object", "Any")
    ):
        message = (
            f"the compensation of '{path}' takes {text}, but has no result to take when the action "
            f"was never answered: annotate it {text} | None"
        )
        yield Finding("W7", "error", path, message)


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
