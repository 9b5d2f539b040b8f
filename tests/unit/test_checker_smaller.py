"""Smaller instances: a bug of a huge saga is found by looking at few of its states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from saga_fsm import GUARDED, Contract, Saga, check, each, parallel
from saga_fsm.checker import _engines
from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._least import Least
from saga_fsm.checker._search import search
from saga_fsm.checker._smaller import explore_smaller
from saga_fsm.product import holds, network_of
from tests.benchmarks.bugs import padded
from tests.benchmarks.families import network
from tests.quality.test_planted_bugs import BY_RULE, PLANTED
from tests.reference import BOUNDED, C, several


TWICE = attrs.evolve(GUARDED, idempotent=False)


def sequence(steps: int, wrong: Contract = TWICE) -> Saga[Any, Any, Any]:
    """So many steps, the last of which promises less than it should."""
    blocks = [C(f"s{number}", retry=BOUNDED) for number in range(steps - 1)]
    last = C(f"s{steps - 1}", retry=BOUNDED, contract=wrong)
    return Saga("sequence", *blocks, last, contract=GUARDED)


def branches(width: int, wrong: Contract = TWICE) -> Saga[Any, Any, Any]:
    """So many branches, the last of which promises less than it should."""
    blocks = [C(f"b{number}", retry=BOUNDED) for number in range(width - 1)]
    last = C(f"b{width - 1}", retry=BOUNDED, contract=wrong)
    return Saga("branches", parallel(*blocks, last), contract=GUARDED)


def items(many: int, wrong: Contract = TWICE) -> Saga[Any, Any, Any]:
    """Up to so many items, each of which promises less than it should."""
    return Saga(
        "items", C("a"), each(several, C("item", contract=wrong), max_items=many), contract=GUARDED
    )


HUGE: dict[str, tuple[Callable[[], Saga[Any, Any, Any]], str, str, int]] = {
    "SEQ(60)": (lambda: sequence(60), "I6", "s59", 62),
    "PAR(20)": (lambda: branches(20), "I6", "b19", 3),
    "50 items": (lambda: items(50), "I6", "item[0]", 5),
}


@pytest.mark.heavy
@pytest.mark.parametrize("name", HUGE)
def test_a_bug_of_a_huge_saga_takes_few_states(name: str) -> None:
    """The shortest run, known to be that, from a few hundred states of ever so many."""
    make, rule, step, moves = HUGE[name]
    report = check(make())
    assert (report.verdict, report.short_of, report.complete) == ("unsafe", "found", False)
    assert report.engine == "scout, smallest instances first"
    assert report.states < 1_000
    found = next(x for x in report.findings if (x.rule, x.step) == (rule, step))
    assert found.path is not None
    assert (len(found.path), found.shortest) == (moves, True)
    assert "at most" in report.reductions[0]


def test_its_run_is_one_of_the_whole_saga() -> None:
    """Replayed on the whole network, move by move, it ends where the rule is broken."""
    net = network(sequence(60))
    (found,) = explore_smaller(net, Bounds(10_000)).breaches
    state = net.initial
    for move in found.path.moves:
        after = [net.after(one, state) for one in net.commands if one.token == move.token]
        state = next(values for values in after if values is not None)
    broken = {(one.step, one.said("")[0]) for one in net.forbidden if holds(one.guard, state)}
    assert broken == {("s59", "I6")}


@pytest.mark.parametrize("bug", [*PLANTED, *BY_RULE])
def test_no_shorter_run_is_kept_silent(bug: str) -> None:
    """What is called shortest is as long as in the whole; what is not may be longer, and real."""
    blocks, change = (PLANTED.get(bug) or BY_RULE[bug])[:2]
    net = network_of(*next(padded(blocks, change)))
    whole = {(x.rule, x.step): len(x.path) for x in search(net, limit=50_000).breaches}
    for one in explore_smaller(net, Bounds(10_000)).breaches:
        least = whole[one.rule, one.step]
        assert len(one.path) == least if one.shortest else len(one.path) >= least
        assert Least(net).moves_to(one.rule, one.step) <= least


def test_a_safe_saga_is_safe_by_the_whole() -> None:
    """Nothing found in smaller instances says nothing: the verdict is that of all states."""
    net = network(sequence(20, GUARDED))
    smaller = explore_smaller(net, Bounds(10_000))
    assert (smaller.breaches, smaller.complete) == ((), False)
    report = check(sequence(20, GUARDED))
    assert report.verdict == "safe"
    assert report.engine.startswith("explicit")


def test_moves_that_do_not_matter_are_left_out() -> None:
    """Of twenty branches that go on first, none is in the run of another one's fault."""
    (found,) = explore_smaller(network(branches(20)), Bounds(10_000)).breaches
    assert not any(f"(b{number})" in found.path.encode() for number in range(19))


def test_smaller_instances_keep_within_bounds() -> None:
    """A limit of states, and of memory, is one for all of them."""
    net = network(sequence(40, GUARDED))
    few = explore_smaller(net, Bounds(500))
    assert (few.short_of, few.breaches) == ("states", ())
    assert few.states <= 500 + len(net.commands)
    scarce = explore_smaller(net, Bounds(10_000, 1_000))
    assert scarce.short_of == "memory"
    assert scarce.states < 100


def test_an_interrupt_gives_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends it: nothing was found, and the report says that it was interrupted."""

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("saga_fsm.checker._smaller._Instance._expand", interrupted)
    found = explore_smaller(network(sequence(3)), Bounds(10_000))
    assert (found.interrupted, found.complete, found.breaches) == (True, False, ())


@pytest.mark.heavy
def test_a_run_that_may_be_longer_is_looked_for_in_the_whole() -> None:
    """Where the bound is too low to tell, the explicit search has the word, if it is not long."""
    report = check(sequence(30, attrs.evolve(GUARDED, fenced=False)))
    runs = [x for x in report.findings if x.path is not None and x.rule.startswith("I")]
    assert runs
    assert all(x.shortest for x in runs)
    assert report.engine.startswith("explicit")


def test_a_limit_of_a_huge_table_is_searched_up_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where whole levels are not asked first, a lower limit still says what was seen below it."""
    saga = Saga("long", *(C(f"s{i}") for i in range(12)), contract=GUARDED)
    commands = len(network(saga).commands)
    monkeypatch.setattr(_engines, "_LARGE", 0)
    monkeypatch.setattr(_engines, "_SCOUTED", 1_000)
    monkeypatch.setattr(_engines, "_LOOKS", 400 * commands)
    report = check(saga, limit=300)
    assert report.verdict == "incomplete"
    assert report.states > 300
    # Without such a limit it is put together at once.
    assert check(saga).engine == "compose"
