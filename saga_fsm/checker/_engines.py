"""Which engine searches: each can be asked for, and ``auto`` takes them in turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import attrs

from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._search import Explored, search
from saga_fsm.ports import Progress
from saga_fsm.product import Network


# More states than this are searched faster whole levels at a time.
_SCOUTED = 20_000

Engine: TypeAlias = Callable[[Network, Bounds, Progress | None], Explored]


def explore(network: Network, engine: str, bounds: Bounds, progress: Progress | None) -> Explored:
    """
    Search a network with the engine of this name.

    Raises:
        ValueError: there is no such engine.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine {engine!r} is not known: there are {', '.join(ENGINES)}")
    return ENGINES[engine](network, bounds, progress)


def _auto(network: Network, bounds: Bounds, progress: Progress | None) -> Explored:
    """Scout first; where that neither ends nor finds anything, whole levels at once."""
    near = attrs.evolve(bounds, limit=min(bounds.limit, _SCOUTED))
    found = _scout(network, near, progress)
    if found.complete or found.interrupted or near.limit == bounds.limit:
        return found
    if found.breaches:
        return attrs.evolve(found, short_of="found")
    return _explicit(network, bounds, None if progress is None else _beyond(found, progress))


def _beyond(scouted: Explored, progress: Progress) -> Progress:
    """Tell of what was not told before: numbers that grow are what a person can read."""

    def told(states: int, transitions: int, frontier: int, depth: int, /) -> None:
        if states > scouted.states and transitions > scouted.transitions:
            progress(states, transitions, frontier, depth)

    return told


def _scout(network: Network, bounds: Bounds, progress: Progress | None) -> Explored:
    return search(network, limit=bounds.limit, memory=bounds.memory, progress=progress)


def _explicit(network: Network, bounds: Bounds, progress: Progress | None) -> Explored:
    from saga_fsm.checker._explicit import explore as explore_levels

    return explore_levels(network, bounds, progress=progress)


ENGINES: Final[dict[str, Engine]] = {"auto": _auto, "scout": _scout, "explicit": _explicit}
