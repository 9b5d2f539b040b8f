"""
Every bug of ``planted``, written by hands that did not know the search, is found by it.

Most by the tour of the machine alone, in less than a thousand runs. What is wrong in the parts of
a store that only orchestrators use (owners, leases, words) is found by the suite for stores: it is
part of what is meant by a whole failure test. The search plays a run itself, so what is wrong in
the shells that play one for users is found by tests of these.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from saga_fsm.journals.memory import MemoryJournal
from saga_fsm.testing.case import Case
from saga_fsm.testing.journals import Dial, JournalConformance
from saga_fsm.testing.search import Search
from tests.quality.planted import Planted, all_planted
from tests.unit import test_arun, test_run_recovery


MOST_RUNS = 1_000
# Which test of the suite for stores finds it.
OF_STORES = {
    "a stale owner may write": "test_a_claim_shuts_out_whoever_had_the_run",
    "a run with an owner is given away": "test_an_owner_keeps_its_runs_while_it_beats",
    "a claim leaves the fence": "test_a_claim_shuts_out_whoever_had_the_run",
    "a word is answered twice": "test_a_word_is_answered_once_and_with_the_append",
    "words are not heard": "test_words_reach_who_has_the_run",
    "what was owed is listed for ever": "test_what_an_append_does_not_say_is_over",
    "a word that comes as its run is put down is slept through": (
        "test_a_word_that_comes_while_a_run_is_given_up_is_not_lost"
    ),
}
# Which test of a shell finds it.
OF_SHELLS: dict[str, Callable[[], None]] = {
    "a deadline is not heard between two calls": (
        test_run_recovery.test_a_deadline_that_passed_during_a_call_is_heard_when_it_returns
    ),
    "a cancelled arun stops at once": test_arun.test_cancel_awaits_undoes_and_raises,
}
# What the tour finds later: the undo of a whole fails, and in its back-off its owner dies.
LATER = {"a recovery sets the timers of steps only": 3_000}
BUGS = {bug.name: bug for bug in all_planted()}


def most_runs(bug: Planted) -> int:
    """How many runs the tour may take to find it."""
    return LATER.get(bug.name, MOST_RUNS)


def found(bug: Planted) -> Search:
    """The tour of its machine, to the first failure."""
    with bug.planted():
        case = Case.of(bug.saga(), bug.world, bug.input, bug.consistent, bug.answers)
        with closing(case):
            search = Search(case, most_runs(bug), max_failures=1)
            search.tour()
            return search


@pytest.mark.parametrize("name", [name for name in BUGS if name not in {*OF_STORES, *OF_SHELLS}])
def test_a_planted_bug_is_found_by_the_tour(name: str) -> None:
    """With a plan of at most three faults that fails again when it is replayed."""
    bug = BUGS[name]
    search = found(bug)
    assert search.failures, bug.why
    (failure,) = search.failures.values()
    assert len(failure.plan) <= 3, str(failure)
    assert search.runs <= most_runs(bug)


def test_nine_in_ten_are_found_by_the_tour_in_a_thousand_runs() -> None:
    """The others are found too, each by what is named for it."""
    others = {*OF_STORES, *OF_SHELLS, *LATER}
    assert others <= set(BUGS)
    assert len(others) < len(BUGS) / 10


@pytest.mark.parametrize("name", OF_SHELLS)
def test_a_bug_of_a_shell_is_found_by_its_test(name: str) -> None:
    """Threads, tasks and the time that passes in a call are the shells' own."""
    OF_SHELLS[name]()
    with BUGS[name].planted(), pytest.raises(AssertionError):
        OF_SHELLS[name]()


@pytest.mark.parametrize("name", OF_STORES)
def test_a_bug_of_a_store_is_found_by_its_suite(name: str) -> None:
    """Owners, leases and words are what orchestrators use; a run of its own meets none of them."""
    law: Any = getattr(JournalConformance, OF_STORES[name])
    for planted in (True, False):
        dial = Dial()
        store = MemoryJournal(now=dial)
        facts = {"store": store, "dial": dial}
        given = [facts[one] for one in list(inspect.signature(law).parameters)[1:]]
        if planted:
            with BUGS[name].planted(), pytest.raises((AssertionError, ValueError, LookupError)):
                law(JournalConformance(), *given)
        else:
            law(JournalConformance(), *given)


def test_there_are_enough_bugs_of_either_kind() -> None:
    """At least 40, half of them in the library."""
    where = Counter(bug.where in {"step", "world"} for bug in BUGS.values())
    assert min(where.values()) >= 40
