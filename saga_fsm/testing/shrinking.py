"""From a plan that fails to one that fails alike, with fewer, earlier and simpler faults."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from saga_fsm.testing.case import Case, further, longer
from saga_fsm.testing.plan import EACH, Fault, FaultPlan
from saga_fsm.testing.results import Failure, Replay


__all__ = ["shrunk"]

# More faults than that are too many for one story.
_READABLE: Final = 3
# What a reader understands at once, first. Only among these one fault is tried for another.
_EASIER = (
    Fault.REJECT,
    Fault.TRANSIENT,
    Fault.LOST_REQUEST,
    Fault.LOST_REPLY,
    Fault.CRASH_BEFORE,
    Fault.CRASH_AFTER,
    Fault.BASE_EXCEPTION,
    Fault.SECOND_OWNER,
)


def shrunk(case: Case, done: Replay) -> Failure:
    """
    Take faults away, or take simpler ones, while the run fails for the same reason.

    The result is 1-minimal: without any one of its faults the run does not fail so. Where that
    leaves more than three, one other fault is tried in the place of two. A plan that fails
    otherwise when it is run again tells of code that is not deterministic.
    """
    again = case.run(done.plan).replay
    if again.reason != done.reason:
        reason = (
            f"not deterministic: the same plan failed as '{done.reason}', "
            f"then as '{again.reason or 'nothing'}'"
        )
        return Failure(done.plan, done.outcome, reason, done.path)
    while True:
        plans = _simpler(done.plan)
        if len(done.plan) > _READABLE:
            plans = itertools.chain(plans, _one_for_two(case, done.plan))
        less = next(_failing_alike(case, done.reason, plans), None)
        if less is None:
            return Failure(done.plan, done.outcome, done.reason, done.path)
        done = less


def _failing_alike(case: Case, reason: str, plans: Iterable[FaultPlan]) -> Iterator[Replay]:
    for plan in plans:
        less = case.run(plan).replay
        if less.reason == reason and not less.unfired:
            yield less


def _one_for_two(case: Case, plan: FaultPlan) -> Iterator[FaultPlan]:
    """Plans with another fault in the place of two, somewhere on the way of a run without any."""
    without = FaultPlan()
    others = [longer(without, more) for more in further(case.run(without))]
    for kept in itertools.combinations(plan.injections, len(plan) - 2):
        yield from (FaultPlan((*other, *kept)) for other in others)


def _simpler(plan: FaultPlan) -> Iterator[FaultPlan]:
    """Plans with one fault less; then with one that comes once, earlier, or is easier to read."""
    for one in plan:
        yield plan.without(one)
    for place, one in enumerate(plan.injections):
        before, after = plan.injections[:place], plan.injections[place + 1 :]
        others = [attrs.evolve(one, number=number) for number in range(max(1, one.number))]
        if one.number != EACH:
            others = [other for other in others if other.number < one.number]
        others += [attrs.evolve(one, fault=fault) for fault in _EASIER[: _easier_than(one.fault)]]
        yield from (FaultPlan((*before, other, *after)) for other in others)


def _easier_than(fault: Fault) -> int:
    return _EASIER.index(fault) if fault in _EASIER else 0
