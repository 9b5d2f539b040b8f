"""The reduced search: how little it looks at, what it says of that, limits, and real runs."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from saga_fsm import Contract, check
from saga_fsm.checker import _engines as engines
from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._quotient import explore as explore_orbits
from saga_fsm.checker._reduced import LONGER, Reduced, explore
from saga_fsm.checker._replayed import broken_by
from saga_fsm.checker._search import Explored, finished, search
from saga_fsm.checker._takeovers import SAID
from saga_fsm.compiler import compile_saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.product import UP, Network
from saga_fsm.properties import termination
from tests.benchmarks.families import network, par, seq


WEAK = Contract(idempotent=True, sticky=True)
ENGINES: dict[str, Any] = {"reduced": explore, "symmetric": explore_orbits}


@pytest.fixture(params=ENGINES)
def search_by(request: pytest.FixtureRequest) -> Any:
    """The reduced search, and the one up to symmetry alone."""
    return ENGINES[request.param]


def test_four_branches_are_decided_by_a_fiftieth() -> None:
    """Of the 592,036 states of PAR(4) fewer than one in fifty is looked at, and all is said."""
    report = check(par(4), engine="reduced")
    assert report.verdict == "safe"
    assert report.engine.startswith("reduced, state by state: counted is what was looked at")
    assert "not all there is" in str(report).partition("\n  symmetry")[0]
    assert report.states * 50 < 592_036
    assert report.never_taken == ()
    symmetry, order, crashes = report.reductions
    assert symmetry == "symmetry: 4 branches alike (b0, b1, b2, b3)"
    assert order.startswith("partial order: in ")
    assert order.endswith(f" of {report.states:,} states the moves of one step were enough")
    assert crashes == SAID


def test_each_reduction_does_its_part() -> None:
    """Crashes, order and symmetry: without any of them more is looked at."""
    whole = network(par(3))
    sizes = [search(whole, limit=10**6).states]
    reduced = Reduced(whole, Bounds(10**6), None)
    sizes.append(search(reduced.network, limit=10**6).states)
    sizes.append(explore_orbits(reduced.network, Bounds(10**6)).looked_at)
    sizes.append(finished(reduced).looked_at)
    assert sizes[0] > 1.9 * sizes[1]
    assert sizes[1] > 4 * sizes[2]
    assert sizes[2] > 1.2 * sizes[3]


def test_what_cannot_be_used_is_said() -> None:
    """Steps in a row are not alike; a crash that may matter is looked at; nothing rests unseen."""
    whole = network(seq(2))
    up = next(f for f, one in enumerate(whole.fields) if one.name == UP)
    strange = attrs.evolve(whole, rest=tuple(x for x in whole.rest if x[0] != up))
    found = explore(strange, Bounds(10**6))
    assert found.reductions[0] == "symmetry: not used, no two branches are alike"
    assert (
        found.reductions[2]
        == "crashes: each was looked at, one may do what unanswered calls do not"
    )
    always = attrs.evolve(whole, rest=())
    unordered = explore(always, Bounds(10**6))
    assert (
        unordered.reductions[1]
        == "partial order: not used, nowhere are the moves of one step enough"
    )
    assert unordered.looked_at == search(always, limit=10**6).states


def runs(explored: Explored) -> dict[tuple[str, str], int]:
    """How long the run to each breach is."""
    return {(x.rule, x.step): len(x.path.moves) for x in explored.breaches}


def test_a_run_near_the_start_is_a_shortest_one() -> None:
    """What the plain search finds soon is named at the same steps, by runs as short."""
    whole = network(par(3, contract=WEAK))
    found = explore(whole, Bounds(10**6))
    expected = search(whole, limit=20_000)
    assert expected.breaches
    assert runs(found) == runs(expected)
    assert LONGER not in found.reductions


def test_a_run_that_may_be_longer_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too far away to be found again, it is a real run all the same."""
    monkeypatch.setattr("saga_fsm.checker._reduced._NEAR", 10)
    saga = par(3, contract=WEAK)
    found = explore(network(saga), Bounds(10**6))
    assert LONGER in found.reductions
    assert found.breaches
    assert not any(breach.shortest for breach in found.breaches)
    for breach in found.breaches:
        tokens = [move.token for move in breach.path.moves]
        replayed = broken_by(lay_out(saga), compile_saga(saga), tokens)
        assert replayed is not None
        assert replayed.rule == breach.rule


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand states are many, and neither composition nor sets of states can be used."""
    for name, few in {"_SCOUTED": 100, "_WHOLE": 1_000, "_PARTS": 3_000}.items():
        monkeypatch.setattr(f"saga_fsm.checker._engines.{name}", few)
    for name in ("_compose", "_sets"):
        monkeypatch.setattr(f"saga_fsm.checker._engines.{name}", lambda *_: engines._NOTHING)


@pytest.mark.usefixtures("alone")
def test_auto_takes_it_where_nothing_else_comes_to_an_end() -> None:
    """A saga with branches that are alike, too large to be searched whole, is safe by its parts."""
    report = check(par(3))
    assert (report.verdict, report.complete) == ("safe", True)
    assert report.engine.startswith("reduced")
    assert report.states < 3_000  # of 33,448
    asked = check(par(3), properties=[termination()], limit=20_000)
    assert asked.engine.startswith("explicit")


@pytest.mark.usefixtures("alone")
def test_auto_says_where_it_does_not_help() -> None:
    """What has nothing alike is not tried; what is too large in parts is searched whole, and so."""
    assert check(seq(8), limit=10**6).reductions == ()
    wide = check(par(4), limit=20_000)
    assert wide.engine.startswith("explicit")
    assert wide.reductions[-1].startswith("a reduced search was not used: it looks at more than")


def test_a_limit_of_states_cuts_the_search_short(search_by: Any) -> None:
    """What is over the limit is incomplete."""
    found = search_by(network(par(3)), Bounds(1_000))
    assert not found.complete
    assert found.short_of == "states"
    assert found.looked_at > 1_000


def test_a_limit_of_memory_is_kept(search_by: Any) -> None:
    """The search stops before it takes more, and says that this was why."""
    found = search_by(network(par(3)), Bounds(10**6, 200_000))
    assert not found.complete
    assert found.short_of == "memory"
    assert 100 < found.looked_at < 2_600


def test_an_interrupt_gives_what_was_seen(search_by: Any) -> None:
    """Ctrl-C ends a search with a partial result."""

    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    found = search_by(network(par(3)), Bounds(10**6), progress=interrupt)
    assert found.interrupted
    assert not found.complete
    assert 0 < found.looked_at < 2_600


def test_progress_is_told_on_the_way(search_by: Any) -> None:
    """States and moves grow, and what waits is part of what was found."""
    told: list[tuple[int, ...]] = []
    found = search_by(
        network(par(3)), Bounds(10**6), progress=lambda *figures: told.append(figures)
    )
    assert len(told) >= 3
    assert told == sorted(told)
    assert all(waiting < states <= found.looked_at for states, _, waiting, _ in told)


@pytest.mark.heavy
def test_branches_of_several_steps_are_ordered_as_well() -> None:
    """What is undone step by step in one branch waits for none of the other."""
    whole = network(par(2, length=2))
    found = explore(whole, Bounds(10**6))
    assert found.reductions[1].startswith("partial order: in ")
    reduced = Reduced(whole, Bounds(10**6), None)
    assert found.looked_at < 0.95 * explore_orbits(reduced.network, Bounds(10**6)).looked_at


@pytest.mark.heavy
@pytest.mark.parametrize("length", [1, 2])
def test_no_faults_are_needed(length: int) -> None:
    """Without crashes nothing is said of them, and what is alike is what it was."""
    saga = par(2, length=length)
    report = check(saga, without=["crash", "second_owner"], engine="reduced")
    assert report.verdict == "incomplete"
    assert not report.findings or all(x.level != "error" for x in report.findings)
    assert len(report.reductions) == 2


def alive(_: Network) -> None:
    """Crashes are not left out."""


def test_crashes_are_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at or left out, crashes change no verdict, only how much is looked at."""
    whole = network(par(2, contract=WEAK))
    left_out = explore(whole, Bounds(10**6))
    monkeypatch.setattr("saga_fsm.checker._reduced.without_takeovers", alive)
    looked_at = explore(whole, Bounds(10**6))
    assert runs(left_out) == runs(looked_at)
    assert left_out.looked_at < looked_at.looked_at
