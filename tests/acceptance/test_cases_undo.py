"""Failure stories F17 to F28, and F53: compensations that fail, and what is said of them."""

from __future__ import annotations

from typing import Any

import pytest

from saga_fsm import Status, run
from saga_fsm.errors import NoTransitionError
from saga_fsm.runner import operate
from tests.acceptance import stories
from tests.acceptance.effects import Effects, FastClock, MortalJournal


OWED = {"A": "compensate", "B": "compensate"}


@pytest.fixture
def told(effects: Effects, clock: FastClock, journal: MortalJournal) -> dict[str, Any]:
    """Where an operator's word goes."""
    return {"services": effects, "clock": clock, "journal": journal, "run_id": "r1"}


def test_F17_the_next_undo_waits(effects: Effects, go: Any) -> None:
    """A is undone only when B is."""
    effects.on("C", "reject").on("b", "transient", "transient")
    outcome = go(stories.F17)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A", "B", "C", "b", "b", "b", "a"]
    assert effects.wrong(outcome, "ABC") == []


def test_F18_undo_that_fails_for_good_is_stuck(effects: Effects, go: Any) -> None:
    """What is owed is listed, what depends on it is not touched, and no exception comes out."""
    effects.on("C", "reject").on("b", "always transient")
    outcome = go(stories.F18)
    assert outcome.status is Status.STUCK
    assert outcome.unresolved == OWED
    assert effects.wrong(outcome, "ABC") == []
    assert effects.calls == ["A", "B", "C", *["b"] * 5]
    assert (effects.net("A"), effects.net("B")) == (1, 1)


def test_F18_operator_retry_leads_out_of_stuck(
    effects: Effects, journal: MortalJournal, told: dict[str, Any], go: Any
) -> None:
    """Once b works again, `retry(B)` undoes B, then A, and is in the journal with who said it."""
    effects.on("C", "reject").on("b", *["transient"] * 5)
    assert go(stories.F18).status is Status.STUCK
    effects.calls.clear()
    ended = operate(stories.F18, "retry(B)", by="ada", note="ticket 88", **told)
    assert ended.status is Status.COMPENSATED
    assert effects.calls == ["b", "a"]
    assert effects.wrong(ended, "ABC") == []
    retries = [one.data for one in journal.read("r1") if one.event == "retry(B)"]
    assert retries == [*[None] * 4, {"by": "ada", "note": "ticket 88"}]


def test_F18_operator_retry_in_vain_is_stuck_again(
    effects: Effects, told: dict[str, Any], go: Any
) -> None:
    """A retry has the policy's attempts anew, and where they fail too all is owed as before."""
    effects.on("C", "reject").on("b", "always transient")
    go(stories.F18)
    ended = operate(stories.F18, "retry(B)", **told)
    assert (ended.status, ended.unresolved) == (Status.STUCK, OWED)
    assert effects.calls == ["A", "B", "C", *["b"] * 10]


def test_F18_operator_has_undone_it_by_hand(
    effects: Effects, told: dict[str, Any], go: Any
) -> None:
    """`resolve(B,compensated)` calls b no more and goes on with A."""
    effects.on("C", "reject").on("b", "always transient")
    go(stories.F18)
    effects.calls.clear()
    effects.undone["B"] += 1
    ended = operate(stories.F18, "resolve(B,compensated)", by="ada", **told)
    assert ended.status is Status.COMPENSATED
    assert effects.calls == ["a"]
    assert effects.wrong(ended, "ABC") == []


@pytest.mark.parametrize("word", ["resolve(B,done)", "retry(A)", "cancel"])
def test_F18_operator_cannot_say_what_cannot_be_true(
    effects: Effects, journal: MortalJournal, told: dict[str, Any], go: Any, word: str
) -> None:
    """An owed undo is not done, what waits behind it is not retried: nothing is written."""
    effects.on("C", "reject").on("b", "always transient")
    go(stories.F18)
    before = journal.events("r1"), list(effects.calls)
    with pytest.raises(NoTransitionError) as caught:
        operate(stories.F18, word, **told)
    assert "retry(B)" in caught.value.accepted
    assert (journal.events("r1"), effects.calls) == before


def test_F19_stuck_survives_a_restart(
    effects: Effects, journal: MortalJournal, told: dict[str, Any], go: Any
) -> None:
    """A new process finds it stuck still, calls nobody by itself, and an operator can go on."""
    effects.on("C", "reject").on("b", *["transient"] * 5)
    go(stories.F19)
    calls, events = list(effects.calls), journal.events("r1")
    for _ in range(3):
        outcome = go(stories.F19)
        assert (outcome.status, outcome.unresolved) == (Status.STUCK, OWED)
        assert effects.calls == calls
        assert journal.events("r1") == events
    ended = operate(stories.F19, "retry(B)", **told)
    assert ended.status is Status.COMPENSATED
    assert effects.wrong(ended, "ABC") == []


@pytest.mark.parametrize("undone", ["a", "b"])
@pytest.mark.parametrize("how", ["transient", "lost_request", "missing", "lost_reply"])
def test_F20_never_compensated_with_an_undo_open(
    effects: Effects, go: Any, undone: str, how: str
) -> None:
    """However an undo fails, the saga is not called compensated, and what stands is listed."""
    effects.on("C", "reject").on(undone, f"always {how}")
    outcome = go(stories.F20)
    assert outcome.status is Status.STUCK
    assert outcome.unresolved == (OWED if undone == "b" else {"A": "compensate"})
    assert "compensated" not in outcome.path.moves[-1].state.partition("(")[0]
    assert effects.wrong(outcome, "ABC") == []


def test_F21_missing_undo_stops_and_names_the_step(effects: Effects, go: Any) -> None:
    """A "not implemented" undo makes the saga stuck, and the order is not cancelled."""
    effects.on("A", "reject").on("t", "always missing")
    outcome = go(stories.F21)
    assert outcome.status is Status.STUCK
    assert outcome.unresolved == {"O": "compensate", "T": "compensate"}
    assert effects.calls == ["O", "T", "A", *["t"] * 5]
    assert (effects.net("O"), effects.net("T")) == (1, 1)


def test_F24_swallowed_error_is_seen_by_the_ledger(effects: Effects, go: Any) -> None:
    """An action that logs its error and returns completes; the count says so in one step (I1)."""
    effects.on("A", "swallow")
    outcome = go(stories.F24)
    assert outcome.status is Status.COMPLETED
    assert effects.wrong(outcome, "A") == ["A"]
    assert outcome.events == ("start", "done(A)")
    assert effects.calls == ["A"]


def test_F25_undo_that_reads_nothing_is_never_called_success(effects: Effects, go: Any) -> None:
    """An undo that asks for a result which nobody produced ends stuck, and the fault had fired."""
    effects.on("C", "reject")
    outcome = go(stories.F25)
    assert effects.fired == ["C"]
    assert outcome.status is Status.STUCK
    assert outcome.unresolved == OWED
    assert effects.calls == ["A", "B", "C", *["b"] * 5]


def test_F25_action_that_reads_nothing_turns_back(effects: Effects, go: Any) -> None:
    """An action that reads it fails before its effect, and nothing stands."""
    outcome = go(stories.F25_FORWARD)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A", "b", "a"]
    assert effects.wrong(outcome, "ABC") == []


def test_F25_a_fault_that_never_fires_is_seen() -> None:
    """Each test here fails as vacuous when a call that was to go wrong was not made (I12)."""
    effects = Effects().on("B", "reject").on("Z", "reject").on("z", "always transient")
    run(stories.F25, services=effects, run_id="r1")
    assert effects.unfired() == ["Z", "z"]
    twice = Effects().on("B", "reject", "reject")
    run(stories.F25, services=twice, run_id="r1")
    assert twice.unfired() == ["B"]


def test_F27_results_survive_a_retry(effects: Effects, go: Any) -> None:
    """The second attempt still sees what A answered."""
    effects.on("B", "transient")
    outcome = go(stories.F27)
    assert outcome.status is Status.COMPLETED
    assert effects.seen == [(1, "result of A"), (2, "result of A")]
    assert effects.calls == ["A", "B", "B"]
    assert effects.wrong(outcome, "AB") == []


def test_F28_failed_before_anything_ran_is_over(
    effects: Effects, journal: MortalJournal, go: Any
) -> None:
    """A first step that says no ends the saga; a new process has nothing to recover."""
    effects.on("A", "reject")
    outcome = go(stories.F28)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A"]
    assert effects.wrong(outcome, "AB") == []
    written = journal.read("r1")
    assert [one.event for one in written] == ["start", "rejected(A)"]
    assert go(stories.F28).status is Status.COMPENSATED
    assert effects.calls == ["A"]
    assert journal.read("r1") == written, "not even a note of a recovery"


def test_F53_cause_is_kept_apart_from_status(effects: Effects, go: Any) -> None:
    """Undone without a hitch is compensated, and why it turned back can still be read."""
    effects.on("C", "reject")
    outcome = go(stories.F53)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A", "B", "C", "b", "a"]
    assert effects.wrong(outcome, "ABC") == []
    assert (outcome.cause.step, outcome.cause.kind) == ("C", "rejected")
    assert outcome.cause.message == str(outcome.cause.exception) == "C says no"
    again = go(stories.F53)
    assert again.status is Status.COMPENSATED
    assert (again.cause.step, again.cause.kind) == ("C", "rejected")
    assert again.cause.message == "C says no"


def test_F53_trouble_on_the_way_back_does_not_hide_the_cause(effects: Effects, go: Any) -> None:
    """An undo that fails, and then works, leaves the first error as the cause."""
    effects.on("C", "reject").on("b", "lost_reply")
    outcome = go(stories.F53)
    assert outcome.status is Status.COMPENSATED
    assert (outcome.cause.step, outcome.cause.message) == ("C", "C says no")
