"""From where no run can come to rest: a loop over all moves, compiled by numba."""

from __future__ import annotations

from typing import Any

import numba


@numba.njit(cache=True)
def lost(rests: Any, ends: Any, targets: Any) -> int:
    """The nearest state from which no run can come to rest, or -1; ``rests`` is written to."""
    # Mostly moves lead on to what was found later: a few rounds from the end are enough.
    changed, nearest = True, -1
    while changed:
        changed, nearest = False, -1
        for number in range(len(rests) - 1, -1, -1):
            if rests[number]:
                continue
            for i in range(ends[number - 1] if number else 0, ends[number]):
                if rests[targets[i]]:
                    rests[number] = True
                    changed = True
                    break
            if not rests[number]:
                nearest = number
    return nearest
