"""The search up to symmetry: the figures of all states, from one of each orbit."""

from __future__ import annotations

import pytest

from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._quotient import explore
from saga_fsm.checker._search import Explored, search
from saga_fsm.checker._symmetry import alike
from saga_fsm.definition import Contract
from tests.benchmarks.families import network, par, seq


FENCED = Contract(idempotent=True, fenced=True)
DOUBLED = Contract(sticky=True, fenced=True)
SUBJECTS = {
    "par2": par(2),
    "par3": par(3),
    "branches of two steps": par(2, length=2),
    "not fenced": par(2, contract=Contract(idempotent=True, sticky=True)),
    "not idempotent": par(2, contract=DOUBLED),
    "not sticky": par(2, contract=FENCED),
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_orbits_add_up_to_all_states(name: str) -> None:
    """Figures, rows, local states and shortest runs are those of the whole search."""
    whole = network(SUBJECTS[name])
    expected, found = search(whole, limit=10**6), explore(whole, Bounds(10**6))
    assert (found.states, found.transitions) == (expected.states, expected.transitions)
    assert (found.depth, found.complete) == (expected.depth, True)
    assert (found.taken, found.reached) == (expected.taken, expected.reached)
    assert 0 < found.looked_at < 0.6 * expected.states
    assert shortest(found) == shortest(expected)


def shortest(explored: Explored) -> dict[str, int]:
    """The length of the shortest run to each rule that is broken, at whatever branch."""
    found: dict[str, int] = {}
    for breach in explored.breaches:
        length = len(breach.path.moves)
        found[breach.rule] = min(length, found.get(breach.rule, length))
    return found


def test_steps_in_a_row_are_not_alike() -> None:
    """A saga without branches is searched whole, and the result says that it was."""
    whole = network(seq(2))
    assert alike(whole) == []
    found = explore(whole, Bounds(10**6))
    assert found.looked_at == found.states == search(whole, limit=10**6).states
    assert found.reductions == ("symmetry: not used, no two branches are alike",)


def test_what_is_alike_is_said() -> None:
    """The result names the branches of which one order was looked at."""
    found = explore(network(par(2)), Bounds(10**6))
    assert found.reductions == ("symmetry: 2 branches alike (b0, b1)",)
