"""How a composite state prints (machine.md 4): what has moved, and branches in braces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from saga_fsm.machine._interpreter import Machine
    from saga_fsm.machine._table import Codes, Fork, State


def describe(machine: Machine, state: State) -> str:
    """
    The status, and every local state that is not the first, in definition order.

    Branches stand in braces: ``running({hotel.done | flight.started})``. One that shows nothing is
    left out.
    """
    shown = _words(machine, state.codes, 0, len(machine.automata), machine.forks)
    status = state.status.value
    return f"{status}({' '.join(shown)})" if shown else status


def _words(machine: Machine, codes: Codes, v: int, end: int, forks: Sequence[Fork]) -> list[str]:
    """What the automata from ``v`` to ``end`` show; ``forks`` are those among them."""
    words: list[str] = []
    while v < end:
        if not forks or forks[0][0] != v:
            automaton, code = machine.automata[v], codes[v]
            if code != automaton.locals[0] and not automaton.path.startswith("@saga"):
                words.append(f"{automaton.path}.{automaton.local(code)}")
            v += 1
            continue
        fork, *rest = forks
        branches = [
            " ".join(_words(machine, codes, begin, stop, _within(rest, begin, stop)))
            for begin, stop in pairwise(fork)
        ]
        if any(branches):
            words.append(f"{{{' | '.join(filter(None, branches))}}}")
        v = fork[-1]
        forks = _within(rest, v, end)
    return words


def _within(forks: Sequence[Fork], begin: int, end: int) -> list[Fork]:
    return [fork for fork in forks if begin <= fork[0] and fork[-1] <= end]
