"""Which faults can happen where: the taxonomy, by what is asked of whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from saga_fsm.definition import Retry
from saga_fsm.testing.plan import AROUND, OPERATOR, Fault
from saga_fsm.testing.stage import Kindred, Stage, Visit


_OWNER: Final = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.SECOND_OWNER)
FITTING: Final[Mapping[Kindred, tuple[Fault, ...]]] = {
    "action": (
        Fault.REJECT,
        Fault.TRANSIENT,
        Fault.LOST_REQUEST,
        Fault.LOST_REPLY,
        Fault.LATE,
        Fault.DUPLICATE,
        Fault.CANCEL,
        *_OWNER,
        Fault.BASE_EXCEPTION,
        Fault.CLOCK_JUMP,
    ),
    "readonly": (
        Fault.REJECT,
        Fault.TRANSIENT,
        Fault.LOST_REQUEST,
        Fault.CANCEL,
        Fault.CRASH_BEFORE,
        Fault.BASE_EXCEPTION,
        Fault.CLOCK_JUMP,
    ),
    "compensation": (
        Fault.TRANSIENT,
        Fault.LOST_REQUEST,
        Fault.LOST_REPLY,
        Fault.LATE,
        Fault.DUPLICATE,
        *_OWNER,
        Fault.CANCEL,
        Fault.BASE_EXCEPTION,
        Fault.CLOCK_JUMP,
    ),
    "query": (
        Fault.TRANSIENT,
        Fault.LOST_REQUEST,
        Fault.LOST_REPLY,
        Fault.CANCEL,
        *_OWNER,
        Fault.BASE_EXCEPTION,
        Fault.CLOCK_JUMP,
    ),
    "ask": (Fault.REJECT, Fault.CANCEL, Fault.CRASH_BEFORE, Fault.BASE_EXCEPTION),
    "answer": (
        Fault.REJECT,
        Fault.LOST_REQUEST,
        Fault.LATE,
        Fault.CANCEL,
        *_OWNER,
        Fault.CLOCK_JUMP,
    ),
    "operator": OPERATOR,
    "journal": (Fault.LOST_REQUEST, Fault.LOST_REPLY, Fault.SECOND_OWNER),
    "recover": (Fault.CRASH_BEFORE,),
}
# What can be said of a place in a plan, though no search tries it there.
_ALSO: Final[Mapping[Kindred, tuple[Fault, ...]]] = {
    "action": (Fault.SLOW, Fault.BAD_VALUE),
    "readonly": (Fault.SLOW, Fault.BAD_VALUE, Fault.LOST_REPLY, Fault.DUPLICATE, *_OWNER),
    "compensation": (Fault.SLOW, Fault.BAD_VALUE),
    "query": (Fault.REJECT, Fault.SLOW, Fault.DUPLICATE, Fault.BAD_VALUE),
    "answer": (Fault.TRANSIENT, Fault.LOST_REPLY, Fault.DUPLICATE),
    "journal": (Fault.TRANSIENT,),
}
# What may go on for as long as somebody tries.
_LASTING: Final = (Fault.TRANSIENT, Fault.LOST_REQUEST, Fault.LOST_REPLY)


def fitting(visit: Visit, stage: Stage) -> Iterator[tuple[Fault, bool]]:
    """Each fault that can happen at a place; True with it when it happens each time from here."""
    for fault in FITTING[visit.kind]:
        if honest(fault, visit) and not (visit.meanwhile and fault in AROUND):
            yield fault, False
    if visit.kind in {"action", "compensation"} and visit.company:
        yield Fault.SLOW, False
    if visit.spoilable:
        yield Fault.BAD_VALUE, False
    if visit.meanwhile:
        return
    retry = _retry(visit, stage)
    # A fault that lasts where nobody ever gives up would be a run without an end.
    if visit.number == 0 and retry is not None and retry.attempts not in {None, 1}:
        for fault in _LASTING:
            if fault in FITTING[visit.kind]:
                yield fault, True


def honest(fault: Fault, visit: Visit) -> bool:
    """Whether it can be true: nobody refuses what has landed, and no operator says what is not."""
    if visit.kind == "operator":
        return fault in visit.words
    if fault not in FITTING[visit.kind] and fault not in _ALSO.get(visit.kind, ()):
        return False
    if fault is Fault.BAD_VALUE:
        return visit.spoilable
    return not (fault is Fault.REJECT and visit.landed)


def _retry(visit: Visit, stage: Stage) -> Retry | None:
    layout = stage.layout
    path, _ = stage.unit(visit.site)
    if visit.kind in {"action", "readonly", "query"}:
        return layout.steps[path].retry
    if visit.kind == "compensation":
        placed = layout.steps.get(path) or layout.scopes[path]
        return placed.compensation_retry
    return None
