"""Which engine searches: each can be asked for, and ``auto`` takes them in turn."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import attrs

from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._narrowed import narrowed
from saga_fsm.checker._search import Explored, search
from saga_fsm.checker._smaller import explore_smaller
from saga_fsm.checker._symmetry import alike
from saga_fsm.definition.layout import Layout
from saga_fsm.ports import Progress
from saga_fsm.product import UP, Network


if TYPE_CHECKING:
    from saga_fsm.checker._graphs import Keeping
    from saga_fsm.checker._symbolic import Proved

# More states than this are searched faster whole levels at a time.
_SCOUTED = 20_000
# Of a table with so many commands that many are but the beginning: a tenth shows what is near.
_LARGE = 600
# Among so many states a shorter run is looked for than a smaller instance has shown.
_SHORTER = 200_000
# More than this take long enough to ask first whether the saga can be put together.
_WHOLE = 1_000_000
# So do fewer of a larger table: states, times commands.
_LOOKS = 500_000_000

# So many states are looked at, one by one, where that may decide what all of them would.
_PARTS = 50_000

# Sets of states that take more are given up: of nodes, bytes, and nodes times operations (seconds).
_NODES = 2_000_000
_ROOM = 1 << 30
_WORK = 400_000_000
_NOTHING = Explored(
    states=0,
    transitions=None,
    depth=None,
    complete=False,
    interrupted=False,
    breaches=(),
    taken=frozenset(),
    reached=(),
)


class Subject(NamedTuple):
    """
    A saga to be searched.

    Args:
        layout: it, laid out.
        network: machine and environment.
        keeping: searches that keep their graph, where it is asked for afterwards.
    """

    layout: Layout
    network: Network
    keeping: Keeping | None = None


Engine: TypeAlias = Callable[[Subject, Bounds, Progress | None], Explored]


def explore(subject: Subject, engine: str, bounds: Bounds, progress: Progress | None) -> Explored:
    """
    Search a network with the engine of this name.

    Raises:
        ValueError: there is no such engine.
        MissingExtraError: its package is not installed.
    """
    if engine not in ENGINES:
        known = ", ".join(ENGINES)
        raise ValueError(f"engine {engine!r} is not known\n  Give one of these: {known}.")
    return ENGINES[engine](subject, bounds, progress)


def _auto(subject: Subject, bounds: Bounds, progress: Progress | None) -> Explored:
    """
    Scout first, then smaller instances; then whole levels at once; then the saga is put together.

    What cannot be put together is taken as sets of states, as far as these stay small.
    """
    large = subject.keeping is None and len(subject.network.commands) > _LARGE
    near = attrs.evolve(bounds, limit=min(bounds.limit, _SCOUTED // 10 if large else _SCOUTED))
    found = _scout(subject, near, progress)
    if found.complete or found.interrupted or near.limit == bounds.limit:
        return found
    if found.breaches:
        return attrs.evolve(found, short_of="found")
    later = None if progress is None else _beyond(found, progress)
    smaller = _smaller(subject, found, bounds, later)
    if smaller.interrupted or smaller.breaches:
        return smaller
    return _whole(subject, bounds, later)


def _whole(subject: Subject, bounds: Bounds, progress: Progress | None) -> Explored:
    """Whole levels at once, as far as these are not too many; then other ways, and then all."""
    many = min(_WHOLE, _LOOKS // len(subject.network.commands))
    if bounds.limit <= many:
        return _explicit(subject, bounds, progress)
    # Of a table so large that fewer are left, the arrays take longer to make than the search.
    if many >= _SCOUTED:
        found = _explicit(subject, attrs.evolve(bounds, limit=many), progress)
        if found.complete or found.interrupted or found.breaches:
            return found
    composed = _compose(subject, bounds, progress)
    if composed.complete or composed.breaches:
        return composed
    by_sets = _sets(subject, bounds, progress)
    said = (*composed.reductions, *by_sets.reductions)
    if by_sets.complete or by_sets.interrupted or by_sets.breaches:
        return attrs.evolve(by_sets, reductions=said)
    parts = _parts(subject, bounds, progress)
    if parts.complete or parts.interrupted or parts.breaches:
        return attrs.evolve(parts, reductions=(*said, *parts.reductions))
    return attrs.evolve(_explicit(subject, bounds, progress), reductions=(*said, *parts.reductions))


def _smaller(
    subject: Subject, scouted: Explored, bounds: Bounds, progress: Progress | None
) -> Explored:
    """What smaller instances show; where a shorter run may be near, what whole levels show."""
    if subject.keeping is not None:
        # Properties are asked of the whole graph.
        return _NOTHING
    # The level that was begun last was not looked at to its end.
    clear = max((scouted.depth or 0) - 3, 0)
    found = explore_smaller(subject.network, bounds, clear=clear)
    if found.interrupted or not found.breaches or any(one.shortest for one in found.breaches):
        return found
    near = attrs.evolve(bounds, limit=min(bounds.limit, _SHORTER))
    whole = _explicit(subject, near, progress)
    return whole if whole.complete or whole.interrupted or whole.breaches else found


def _parts(subject: Subject, bounds: Bounds, progress: Progress | None) -> Explored:
    """As little as decides all rules, where branches are alike: else it is hardly less than all."""
    if subject.keeping is not None or not alike(subject.network):
        return _NOTHING
    found = _reduced(subject, attrs.evolve(bounds, limit=min(bounds.limit, _PARTS)), progress)
    if found.complete or found.interrupted:
        return found
    if found.breaches:
        return attrs.evolve(found, short_of="found")
    text = f"a reduced search was not used: it looks at more than {_PARTS:,} states as well"
    return attrs.evolve(_NOTHING, reductions=(text,))


def _sets(subject: Subject, bounds: Bounds, progress: Progress | None) -> Explored:
    """Sets of states, where the extra is there, and only as far as they stay small."""
    if find_spec("dd") is None:
        text = "sets of states were not tried: pip install 'saga-fsm[symbolic]' brings them"
        return attrs.evolve(_NOTHING, engine="symbolic", reductions=(text,))
    from saga_fsm.checker._symbolic import explore_symbolically

    found = explore_symbolically(
        subject.network,
        limit=_NODES,
        memory=_ROOM if bounds.memory is None else min(_ROOM, bounds.memory),
        work=_WORK,
        progress=progress,
    )
    if found.complete or found.interrupted:
        text = f"sets of states were taken, for there are more than {_WHOLE:,}"
    else:
        text = f"sets of states grew too large: {found.nodes:,} nodes for {found.states:,} states"
    explored = _told(found)
    return attrs.evolve(
        explored,
        short_of="found" if found.breaches and not found.complete else explored.short_of,
        reductions=(text, *explored.reductions),
    )


def _beyond(scouted: Explored, progress: Progress) -> Progress:
    """Tell of what was not told before: numbers that grow are what a person can read."""

    def told(states: int, transitions: int, frontier: int, depth: int, /) -> None:
        if states > scouted.states and transitions > (scouted.transitions or 0):
            progress(states, transitions, frontier, depth)

    return told


def _scout(subject: Subject, bounds: Bounds, progress: Progress | None) -> Explored:
    if subject.keeping is not None:
        return subject.keeping.scout(subject.network, bounds, progress)
    network = narrowed(subject.network)
    return search(network, limit=bounds.limit, memory=bounds.memory, progress=progress)


def _explicit(subject: Subject, bounds: Bounds, progress: Progress | None) -> Explored:
    if subject.keeping is not None:
        return subject.keeping.explicit(subject.network, bounds, progress)
    if find_spec("numba") is not None:
        from saga_fsm.checker import _compiled

        if _compiled.suits(subject.network):
            return _compiled.explore(subject.network, bounds, progress=progress)
    from saga_fsm.checker._explicit import explore as explore_levels

    return explore_levels(subject.network, bounds, progress=progress)


def _symmetric(subject: Subject, bounds: Bounds, progress: Progress | None) -> Explored:
    from saga_fsm.checker._quotient import explore as explore_orbits

    return explore_orbits(subject.network, bounds, progress=progress)


def _reduced(subject: Subject, bounds: Bounds, progress: Progress | None) -> Explored:
    from saga_fsm.checker._reduced import explore as explore_parts

    return explore_parts(subject.network, bounds, progress=progress)


def _symbolic(subject: Subject, bounds: Bounds, progress: Progress | None) -> Explored:
    from saga_fsm.checker._symbolic import explore_symbolically

    return _told(explore_symbolically(subject.network, memory=bounds.memory, progress=progress))


def _told(found: Proved) -> Explored:
    """What a symbolic search saw, as all engines say it."""
    return Explored(
        states=found.states,
        transitions=found.transitions,
        depth=found.depth,
        complete=found.complete,
        interrupted=found.interrupted,
        breaches=tuple(
            one if found.shortest else attrs.evolve(one, shortest=False) for one in found.breaches
        ),
        taken=found.taken,
        reached=found.reached,
        short_of="" if found.complete or found.interrupted else "memory",
        engine=f"symbolic, by {found.backend}: {found.nodes:,} nodes",
        reductions=() if found.shortest else ("a run may be longer than the shortest",),
    )


def _compose(subject: Subject, _bounds: Bounds, _progress: Progress | None) -> Explored:
    from saga_fsm.checker._compose import compose

    crashes = any(field.name == UP for field in subject.network.fields)
    found = compose(subject.layout, subject.network.machine, crashes=crashes)
    nothing = attrs.evolve(_NOTHING, engine="compose")
    if isinstance(found, str):
        return attrs.evolve(nothing, reductions=(f"composition was not used: {found}",))
    text = (
        f"composed of {found.slices:,} slices, one for each step beside most general others, of "
        f"which {found.shapes:,} differ: sound by argument, and tested against whole searches"
    )
    return attrs.evolve(
        nothing,
        states=found.states,
        complete=found.breach is None,
        breaches=() if found.breach is None else (found.breach,),
        short_of="" if found.breach is None else "found",
        reductions=(text,),
    )


ENGINES: Final[dict[str, Engine]] = {
    "auto": _auto,
    "scout": _scout,
    "explicit": _explicit,
    "symmetric": _symmetric,
    "reduced": _reduced,
    "symbolic": _symbolic,
    "compose": _compose,
}
