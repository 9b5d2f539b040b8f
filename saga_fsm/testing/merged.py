"""Several searches of one saga as one: what none of them has taken was not taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import attrs

from saga_fsm.testing.results import Exploration


__all__ = ["merged"]


def merged(found: Sequence[Exploration]) -> Exploration:
    """
    Put together what searches of the same machine have found.

    Args:
        found: at least one.
    """
    first, *others = found
    if not others:
        return first
    taken: Counter[int] = Counter()
    fired: Counter[str] = Counter()
    for one in found:
        taken.update(one.taken)
        fired.update(one.fired)
    outside = {
        row: reason
        for row, reason in first.outside.items()
        if all(row in other.outside for other in others)
    }
    missed = tuple(
        str(row)
        for number, row in enumerate(first.machine.rows)
        if number not in taken and str(row) not in outside
    )
    untested = {
        path: tuple(name for name in names if all(name in _of(x, path) for x in others))
        for path, names in first.untested.items()
    }
    return attrs.evolve(
        first,
        runs=sum(one.runs for one in found),
        coverage=len(taken) / (len(taken) + len(missed)),
        failures=tuple({x.reason: x for one in found for x in one.failures}.values()),
        missed=missed,
        outside=outside,
        fired=dict(fired),
        complete=all(one.complete for one in found),
        taken=dict(taken),
        untested={path: names for path, names in untested.items() if names},
        pruned=sum(one.pruned for one in found),
        compared=all(one.compared for one in found),
    )


def _of(one: Exploration, path: str) -> tuple[str, ...]:
    return one.untested.get(path, ())
