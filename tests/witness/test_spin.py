"""Spin, reading our export, against our engine: the same verdicts, rules, lengths and counts."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from saga_fsm import Contract, Saga
from saga_fsm.interop.promela import to_promela
from saga_fsm.product import Network
from tests.reference import C, Reference, parallel
from tests.witness.tools import BUGS, KINDS, Said, needs, net, ours, spin, spin_path, tampered


pytestmark = needs("spin", "gcc")


def same(said: Said, network: Network) -> None:
    """
    What Spin says of all states is what we say.

    To our transitions it adds the start and one that leads nowhere for each state at rest, and for
    each that breaks a rule.
    """
    mine = ours(network)
    expected = 1 + mine.explored.transitions + mine.rests + mine.broken_states
    assert (said.states, said.transitions) == (mine.explored.states, expected)
    assert said.broken == mine.broken


def shortest(network: Network, folder: Path) -> None:
    """Spin's shortest run to a broken state is as long as ours, and breaks what ours does there."""
    said = spin(to_promela(network), folder, "-DBFS")
    path = spin_path(folder)
    assert path, said.lines
    *moves, title = path
    length, rules = ours(network).nearest
    assert said.errors == 1
    assert len(moves) == length
    assert any(title.startswith(f"{' '.join(x for x in one if x)}: ") for one in rules)


@pytest.mark.parametrize("reference", KINDS, ids=lambda one: one.text)
def test_spin_counts_what_we_count(reference: Reference, tmp_path: Path) -> None:
    """Whatever the block: safe, as many states, and as many transitions as it explains."""
    network = net(reference.make())
    said = spin(to_promela(network), tmp_path, "-DPRINTF")
    assert said.errors == 0
    assert said.states == reference.product[0]
    same(said, network)


def test_one_process_each_counts_the_same(tmp_path: Path) -> None:
    """With one process for each participant the states and transitions are the same."""
    network = net(Saga("two", parallel(C("a"), C("b"))))
    same(spin(to_promela(network, processes=True), tmp_path, "-DPRINTF"), network)


def test_spin_refutes_a_weak_contract(tmp_path: Path) -> None:
    """Where participants keep nothing it finds each rule that we find, by as short a run."""
    network = net(Saga("weak", C("a"), C("b"), contract=Contract()))
    same(spin(to_promela(network), tmp_path, "-DPRINTF"), network)
    shortest(network, tmp_path)


@pytest.mark.parametrize("bug", BUGS)
def test_spin_finds_a_planted_bug(bug: str, tmp_path: Path) -> None:
    """Of a table with a bug it says what we say, and the counts still agree."""
    network = tampered(bug)
    same(spin(to_promela(network), tmp_path, "-DPRINTF"), network)
    shortest(network, tmp_path)


def test_a_state_without_commands_is_an_error_unless_at_rest(tmp_path: Path) -> None:
    """A network that is cut short ends in states that Spin calls invalid."""
    network = net(Saga("one", C("a")))
    cut = [one for one in network.commands if one.token in {"start", "done(a)"}]
    stopped = attrs.evolve(network, commands=tuple(cut), rest=((0, frozenset[int]()),))
    said = spin(to_promela(stopped), tmp_path)
    assert said.errors == 1
    assert any("invalid end state" in line for line in said.lines)
