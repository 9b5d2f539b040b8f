"""
Runs on which something never comes: into a rest, or round and round.

A run that goes round is one that can really be taken for ever: wherever on the round the others
have their way, each of their moves there is on the round as well. So it is fair, and what it never
visits need not come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import attrs
import numpy as np

from saga_fsm.checker._adversary import Sides
from saga_fsm.checker._reach import Arrows, Ints, descent, distances, stay
from saga_fsm.checker._truth import Flags


# Longer ones are shown in part.
_ROUND = 60
# Where a state leads, and whether it is the adversary who leads there.
Chain: TypeAlias = Mapping[int, Sequence[tuple[int, bool]]]
# A state, and whether the adversary led to it; None where it does not matter who did.
Step: TypeAlias = tuple[int, bool | None]


@attrs.frozen
class Endless:
    """
    A run without what was to come.

    Args:
        steps: its states after the first one that is given, and who led there.
        start: the number of the state where something was to come.
        lost: how many moves after that nobody but the adversary can make it come.
        loop: how many moves after that the round begins; None where the run rests.
        part: of a round that is longer, how many states it has.
    """

    start: int
    steps: tuple[Step, ...]
    lost: int
    loop: int | None = None
    part: int = 0


def endless(  # noqa: PLR0913, PLR0917 - two claims, two heaps, and what was looked at
    p: Flags, q: Flags, arrows: Arrows, sides: Sides, looked: Flags, depth: Ints
) -> Endless | None:
    """
    A shortest run through ``p`` after which ``q`` never comes, or None.

    Args:
        p: where ``q`` is to come, then or later.
        q: what is to come.
        arrows: all moves.
        sides: who makes them.
        looked: the states whose moves are known; of the others everything may come.
        depth: how far each is from the start.
    """
    region = ~q & looked
    kept = stay(region, sides.others, sides.adversary)
    if not (p & (distances(arrows, kept, region) >= 0)).any():
        return None
    rests = kept & (np.diff(sides.others.begins) == 0)
    for goal in (rests, kept):
        way = distances(arrows, goal, region)
        bad = np.flatnonzero(p & (way >= 0))
        if len(bad):
            start = int(bad[np.argmin((depth + way)[bad])])
            run = descent(arrows, way, start)
            lost = next(number for number, state in enumerate(run) if kept[state])
            steps: tuple[Step, ...] = tuple((state, None) for state in run[1:])
            if goal is rests:
                return Endless(start, steps, lost)
            return _round(start, steps, lost, sides, kept)
    raise AssertionError("what can be kept away is on the way to where it is")


def _round(start: int, steps: tuple[Step, ...], lost: int, sides: Sides, kept: Flags) -> Endless:
    """Go on from the last state, by the shorter of two plans of the adversary."""
    here = steps[-1][0] if steps else start
    found = []
    for eager in (True, False):
        chain = _chain(here, sides, kept, eager=eager)
        ahead, entry, inside = _nearest_bottom(chain, here)
        around, part = _around(chain, entry, inside)
        stem = (*steps, *ahead)
        found.append(Endless(start, (*stem, *around), lost, len(stem), part))
    return min(found, key=lambda one: (one.part > 0, len(one.steps)))


def _chain(
    here: int, sides: Sides, kept: Flags, *, eager: bool
) -> dict[int, list[tuple[int, bool]]]:
    """What can follow when the adversary acts wherever he can, or only where he has to."""
    chain: dict[int, list[tuple[int, bool]]] = {}
    todo = [here]
    while todo:
        state = todo.pop()
        if state in chain:
            continue
        others, his = sides.others.after(state), sides.adversary.after(state)
        his = his[kept[his]]
        calm = bool(kept[others].all())
        if len(his) and (eager or not calm):
            ends = [(int(his[0]), True)]
        else:
            ends = [(end, False) for end in others.tolist()]
        chain[state] = ends
        todo.extend(end for end, _ in ends)
    return chain


def _nearest_bottom(chain: Chain, here: int) -> tuple[list[Step], int, set[int]]:
    """The way to the nearest part that is never left again, where it is entered, and the part."""
    bottoms = {state: part for part in bottoms_of(chain) for state in part}
    way = _way(chain, here, bottoms)
    entry = way[-1][0] if way else here
    return way, entry, bottoms[entry]


def _way(chain: Chain, here: int, goals: Iterable[int]) -> list[Step]:
    """The shortest way to one of these."""
    wanted = goals if isinstance(goals, dict) else set(goals)
    came: dict[int, Step] = {here: (here, None)}
    level = [here]
    while level:
        for state in level:
            if state in wanted:
                run: list[Step] = []
                while state != here:
                    before, who = came[state]
                    run.append((state, who))
                    state = before  # noqa: PLW2901 - walks back from it
                return run[::-1]
        ahead = []
        for state in level:
            for end, who in chain[state]:
                if end not in came:
                    came[end] = state, who
                    ahead.append(end)
        level = ahead
    raise AssertionError("there is a way")


def _around(chain: Chain, entry: int, inside: set[int]) -> tuple[list[Step], int]:
    """A round through all moves of a part, back to where it began; or a short one through some."""
    left = {(state, end) for state in inside for end, _ in chain[state]}
    run: list[Step] = []
    at = entry
    if len(left) > _ROUND:
        return _back(chain, entry, entry), len(inside)
    while left:
        if not any((at, end) in left for end, _ in chain[at]):
            ahead = _way(chain, at, [state for state, _ in left])
            run.extend(ahead)
            left -= set(_pairs(at, ahead))
            at = run[-1][0]
        end, who = next((end, who) for end, who in chain[at] if (at, end) in left)
        left.discard((at, end))
        run.append((end, who))
        at = end
    if at != entry:
        run.extend(_way(chain, at, [entry]))
    return run, 0


def _pairs(at: int, run: Sequence[Step]) -> Iterable[tuple[int, int]]:
    for state, _ in run:
        yield at, state
        at = state


def _back(chain: Chain, at: int, entry: int) -> list[Step]:
    """The shortest round."""
    runs = [[(end, who), *_way(chain, end, [entry])] for end, who in chain[at][:_ROUND]]
    return min(runs, key=len)


def bottoms_of(chain: Chain) -> list[set[int]]:
    """The strongly connected parts that nothing leads out of (Tarjan, without recursion)."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    part_of: dict[int, int] = {}
    stack: list[int] = []
    parts: list[set[int]] = []
    for root in chain:
        if root in order:
            continue
        order[root] = low[root] = len(order)
        stack.append(root)
        work = [(root, iter(chain[root]))]
        while work:
            state, ends = work[-1]
            for end, _ in ends:
                if end not in order:
                    order[end] = low[end] = len(order)
                    stack.append(end)
                    work.append((end, iter(chain[end])))
                    break
                if end not in part_of:
                    low[state] = min(low[state], order[end])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[state])
                if low[state] == order[state]:
                    part: set[int] = set()
                    while state not in part:
                        one = stack.pop()
                        part.add(one)
                        part_of[one] = len(parts)
                    parts.append(part)
    return [
        part
        for number, part in enumerate(parts)
        if all(part_of[end] == number for state in part for end, _ in chain[state])
    ]
