"""Rumur, reading our export, against our engine: the same verdicts, rules, lengths and counts."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from saga_fsm import Contract, Saga
from saga_fsm.interop.murphi import to_murphi
from saga_fsm.product import Network, network_of
from tests.quality.test_planted_bugs import planted, undo_for_ever
from tests.reference import C, Reference
from tests.witness.tools import BUGS, KINDS, Said, needs, net, ours, rumur, tampered


pytestmark = needs("rumur", "gcc")


def same(said: Said, network: Network) -> None:
    """Rumur has seen our states; of its rules each state at rest has one that leads nowhere."""
    mine = ours(network)
    expected = mine.explored.transitions + mine.rests
    assert (said.states, said.transitions) == (mine.explored.states, expected)


def refuted(network: Network, folder: Path) -> None:
    """Rumur's first counterexample is as short as ours, and breaks what ours does there."""
    said = rumur(to_murphi(network), folder)
    length, rules = ours(network).nearest
    assert said.errors == 1
    assert len(said.broken) == 1
    assert said.broken <= rules
    assert sum(line.startswith('Rule "') for line in said.lines) == length


@pytest.mark.parametrize("reference", KINDS, ids=lambda one: one.text)
def test_rumur_counts_what_we_count(reference: Reference, tmp_path: Path) -> None:
    """Whatever the block: safe, each run can come to rest, and as many states and moves."""
    network = net(reference.make())
    said = rumur(to_murphi(network), tmp_path)
    assert said.errors == 0
    assert said.states == reference.product[0]
    same(said, network)


def test_rumur_refutes_a_weak_contract(tmp_path: Path) -> None:
    """Where participants keep nothing it breaks the rule that we break, by as short a run."""
    refuted(net(Saga("weak", C("a"), C("b"), contract=Contract())), tmp_path)


@pytest.mark.parametrize("bug", BUGS)
def test_rumur_finds_a_planted_bug(bug: str, tmp_path: Path) -> None:
    """Of a table with a bug it says what we say; asked for no rule, it counts what we count."""
    network = tampered(bug)
    refuted(network, tmp_path)
    same(rumur(to_murphi(attrs.evolve(network, forbidden=())), tmp_path), network)


def test_rumur_finds_a_run_that_never_rests(tmp_path: Path) -> None:
    """I4, which needs more than single states: no rest can be reached, here and there."""
    network = network_of(*planted((C("a"),), undo_for_ever))
    said = rumur(to_murphi(network), tmp_path)
    assert {x.rule for x in ours(network).explored.breaches} == {"I4"}
    assert any("liveness property" in line and "violated" in line for line in said.lines)
