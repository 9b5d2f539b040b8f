"""
The verdict on a saga from its slices: linear in its steps, however its branches multiply.

Each distinct slice is searched once. What a slice breaks by is shown on the saga itself, by a run
of its own machine; where no such run is found, nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from saga_fsm.checker._aimed import aimed
from saga_fsm.checker._replayed import (
    Breach,
    Compile,
    TooLargeError,
    broken_by,
    explore,
    nearest,
)
from saga_fsm.checker._slices import Shape, shapes
from saga_fsm.compiler import compile_layout
from saga_fsm.definition import GUARDED, Kind
from saga_fsm.definition.layout import Layout
from saga_fsm.machine import Machine


# Of a whole saga, where the breach of a slice is not that of a participant.
_WHOLE = 20_000


@attrs.frozen
class Composed:
    """
    What the slices say of the saga.

    Args:
        breach: the first that was found, by a run of the saga itself; None: it is safe.
        slices: how many there are, one for each step.
        shapes: how many of them differ.
        states: how many states were looked at, in all of them.
    """

    breach: Breach | None
    slices: int
    shapes: int
    states: int


def compose(
    layout: Layout,
    machine: Machine | None = None,
    *,
    compiled: Compile = compile_layout,
    crashes: bool = True,
) -> Composed | str:
    """
    Whether a saga is safe, by its slices; a sentence that says why where they cannot tell.

    Locks are decided here by slices only where nobody takes one that a run may keep: a saga whose
    compensatable steps take locks is left to other engines.

    Args:
        layout: the saga.
        machine: its machine, to show a breach on; made when it is needed.
        compiled: how slices are compiled; a bug of the compiler is in each slice.
        crashes: whether the orchestrator may crash.
    """
    held = next(_held(layout), None)
    if held is not None:
        return f"{held} takes a lock that is let go of elsewhere: no slice holds both"
    looked: dict[Shape, Breach | None] = {}
    slices = states = 0
    broken: dict[Shape, str] = {}
    for path, shape in shapes(layout):
        slices += 1
        if shape in looked:
            continue
        try:
            looked[shape], seen = explore(shape.make(), compiled, crashes=crashes)
        except TooLargeError:
            return f"the slice of {path} is too large: it stands in too many scopes"
        states += seen
        if looked[shape] is not None:
            broken[shape] = path
    breach = None
    if broken:
        whole = compiled(layout) if machine is None else machine
        breach = _shown(layout, whole, list(broken.values()))
        if breach is None:
            shape, path = next(iter(broken.items()))
            found = looked[shape]
            rule = "" if found is None else found.rule
            return f"the slice of {path} breaks {rule}, and no run of the whole saga is known to"
    return Composed(breach, slices, len(looked), states)


def _held(layout: Layout) -> Iterator[str]:
    for path, placed in layout.steps.items():
        if placed.kind is Kind.COMPENSATABLE and placed.step.locks:
            yield path


def _shown(layout: Layout, machine: Machine, paths: list[str]) -> Breach | None:
    """The nearest breach of the saga itself, of those that start at these steps."""
    found, decided = [], True
    for path in paths:
        placed = layout.steps.get(path)
        # Who promises everything is not to blame, so no run is to be aimed at it.
        if placed is None or placed.kind is Kind.READONLY or placed.contract == GUARDED:
            continue
        one = aimed(layout, machine, path, placed.contract)
        decided = decided and one.decided
        breach = one.run and broken_by(layout, machine, one.run)
        if breach:
            found.append(breach)
    if found:
        return nearest(found, decided=decided)
    # Not a participant's fault: the table's, and such a bug is near the start.
    try:
        return explore(layout, lambda _: machine, limit=_WHOLE)[0]
    except TooLargeError:
        return None
