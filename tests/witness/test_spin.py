"""Spin, reading our export, against our engine: the same verdicts, rules, lengths and counts."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from saga_fsm import Contract, Saga
from saga_fsm.checker._search import search
from saga_fsm.interop import promela
from saga_fsm.interop.promela import to_promela
from saga_fsm.product import Network
from tests.benchmarks.families import seq
from tests.reference import C, Reference, parallel
from tests.witness.tools import (
    BUGS,
    KINDS,
    LIMIT,
    Said,
    needs,
    net,
    ours,
    spin,
    spin_path,
    tampered,
)


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


def test_a_long_saga_is_counted_too(tmp_path: Path) -> None:
    """Of 20 steps there are more rules than Spin takes in one d_step; the states are ours."""
    network = net(seq(20))
    text = to_promela(network)
    assert text.count("What may never be") > 1
    said = spin(text, tmp_path)
    found = search(network, limit=LIMIT)
    assert (said.errors, said.states) == (len(found.breaches), found.states) == (0, 20_202)


@pytest.mark.parametrize("bug", BUGS)
def test_rules_that_are_cut_say_the_same(
    bug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a d_step for each rule it meets as many states, the same rules, by as short a run."""
    monkeypatch.setattr(promela, "_RULES", 1)
    network = tampered(bug)
    said, mine = spin(to_promela(network), tmp_path, "-DPRINTF"), ours(network)
    assert (said.states, said.broken) == (mine.explored.states, mine.broken)
    shortest(network, tmp_path)


@pytest.mark.parametrize("processes", [False, True], ids=["one", "each"])
def test_settling_that_is_cut_stores_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, processes: bool
) -> None:
    """Settling in many d_steps: what lies between them is no state."""
    monkeypatch.setattr(promela, "_COMMANDS", 1)
    network = net(Saga("two", parallel(C("a"), C("b")), C("c")))
    # The other way round: once through them is not enough.
    network = attrs.evolve(network, internal=network.internal[::-1])
    text = to_promela(network, processes=processes)
    assert text.count("unsettled = false") == text.count("active proctype")
    same(spin(text, tmp_path, "-DPRINTF"), network)
