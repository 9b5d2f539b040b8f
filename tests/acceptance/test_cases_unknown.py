"""Failure stories F01 to F15: what is undone, and what is done when nobody knows what happened."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest

from saga_fsm import Status
from saga_fsm.errors import NoTransitionError
from saga_fsm.runner import operate
from saga_fsm.testing import VirtualClock
from tests.acceptance import stories
from tests.acceptance.effects import A, Died, Effects, FastClock, MortalJournal, P, saga


def test_F01_compensated_means_undone(effects: Effects, go: Any) -> None:
    """A rejected shipment undoes stock, payment and order, in that order."""
    effects.on("S", "reject")
    outcome = go(stories.F01)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["O", "P", "I", "S", "i", "p", "o"]
    assert effects.wrong(outcome, "OPIS") == []
    assert dict(effects.undone) == {"I": 1, "P": 1, "O": 1}


def test_F03_undo_is_given_what_its_action_returned(effects: Effects, go: Any) -> None:
    """Each cancellation gets its own confirmation."""
    effects.on("C", "reject")
    outcome = go(stories.F03)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["H", "F", "C", "f", "h"]
    assert effects.given == {"f": "result of F", "h": "result of H"}
    assert effects.wrong(outcome, "HFC") == []


def test_F04_recovery_remembers_results(
    effects: Effects, clock: FastClock, journal: MortalJournal, go: Any
) -> None:
    """A new process calls nothing again that has answered, and undoes with the old results."""
    clock.time = 100.0
    journal.dies_after("done(B)")
    with pytest.raises(Died):
        go(stories.F04)
    assert effects.calls == ["A", "B"]
    clock.time += 3600.0
    effects.on("C", "reject")
    outcome = go(stories.F04)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A", "B", "C", "b", "a"]
    assert effects.given == {"b": "result of B", "a": "result of A"}
    assert effects.wrong(outcome, "ABC") == []
    header = journal.read("r1")[0]
    assert (header.event, header.at, header.data["saga"]) == ("start", 100.0, "story")


def test_F06_exhausted_retries_are_a_failure(
    effects: Effects, clock: FastClock, go: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three attempts are three calls, waits follow the policy on the clock, and it turns back."""
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("a real sleep"))
    effects.on("B", "always transient")
    outcome = go(stories.F06)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A", "B", "B", "B", "b", "a"]
    assert effects.wrong(outcome, "AB") == []
    assert clock.waited == [0.5, 1.0]
    assert (outcome.cause.step, outcome.cause.kind) == ("B", "unknown")


def test_F07_partial_effect_is_undone(effects: Effects, go: Any) -> None:
    """A step that failed after its effect was started, so its undo runs."""
    effects.on("L", "always partial")
    outcome = go(stories.F07)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["D", "C", "L", "L", "L", "l", "c", "d"]
    assert effects.landed["L"] == 1
    assert effects.wrong(outcome, "DCL") == []


class SlowHotel(Effects):
    """Participants of which H answers when the test says so."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.may_arrive, self.has_arrived = Event(), Event()
        self.before["H"] = lambda: self.may_arrive.wait(30)

    def act(self, ctx: Any) -> str:
        """Act; H says when it is over, whether it landed or was refused."""
        try:
            return super().act(ctx)
        finally:
            self.has_arrived.set()

    def arrive(self) -> None:
        """Let the slow request arrive at last."""
        self.may_arrive.set()
        assert self.has_arrived.wait(30)


def test_F08_undo_overtakes_the_action_and_fences_it(journal: MortalJournal, go: Any) -> None:
    """H's time is up, h finds nothing and leaves a tombstone: the slow request lands nowhere."""
    hotel, clock = SlowHotel(), VirtualClock(patience=0.02)
    outcome = go(stories.F08, services=hotel, clock=clock)
    assert outcome.status is Status.COMPENSATED
    assert (outcome.cause.step, outcome.cause.kind) == ("H", "unknown")
    assert hotel.calls == ["H", "h"]
    assert clock.waits == [5.0]
    hotel.arrive()
    assert (hotel.landed["H"], hotel.net("H")) == (0, 0)
    with pytest.raises(NoTransitionError):
        operate(stories.F08, "late_done(H)", journal=journal, run_id="r1")


def test_F08_bare_action_that_lands_late_makes_the_run_stuck(
    journal: MortalJournal, go: Any
) -> None:
    """Nothing fences: told of the landing it is no longer compensated, and one word undoes H."""
    hotel = SlowHotel(guarded=False)
    outcome = go(stories.F08_BARE, services=hotel, clock=VirtualClock(patience=0.02))
    assert outcome.status is Status.COMPENSATED
    hotel.arrive()
    assert hotel.wrong(outcome, "HK") == ["H"]
    told: dict[str, Any] = {"journal": journal, "run_id": "r1", "services": hotel}
    stuck = operate(stories.F08_BARE, "late_done(H)", **told)
    assert (stuck.status, stuck.unresolved) == (Status.STUCK, {"H": "compensate"})
    again = operate(stories.F08_BARE, "retry(H)", **told)
    assert again.status is Status.COMPENSATED
    assert hotel.calls == ["H", "h", "h"]
    assert hotel.wrong(again, "HK") == []


def test_F08_bare_late_landing_is_heard_while_the_run_goes_on(
    journal: MortalJournal, go: Any
) -> None:
    """While an earlier step is still undone the late answer of H is an alarm: stuck, H listed."""
    hotel, heard = SlowHotel(guarded=False), Event()
    journal.when("late_done(H)", heard.set)
    hotel.before["z"] = lambda: (hotel.arrive(), heard.wait(30))
    story = saga(A("Z"), A("H", timeout=5.0), P("K"), contract=stories.BARE)
    outcome = go(story, services=hotel, clock=VirtualClock(patience=0.02))
    assert outcome.events[2:] == ("unknown(H)", "compensated(H)", "late_done(H)", "compensated(Z)")
    assert (outcome.status, outcome.unresolved) == (Status.STUCK, {"H": "compensate"})
    assert (hotel.net("H"), hotel.net("Z")) == (1, 0)


def test_F09_empty_undo_counts_once(effects: Effects, go: Any) -> None:
    """Undoing what never landed succeeds, once."""
    effects.on("A", "lost_request")
    outcome = go(stories.F09)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A", "a"]
    assert effects.given == {"a": None}
    assert (effects.landed["A"], effects.undone["A"]) == (0, 0)
    assert go(stories.F09).status is Status.COMPENSATED
    assert effects.calls == ["A", "a"], "nor is it tried again by the next process"


def test_F11_the_failing_step_is_undone_too(effects: Effects, go: Any) -> None:
    """An exception that nobody declared may come after the effect: undo it."""
    effects.on("B", "partial")
    outcome = go(stories.F11)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A", "B", "b", "a"]
    assert effects.landed["B"] == 1
    assert effects.wrong(outcome, "AB") == []


@pytest.mark.parametrize(
    ("story", "calls"),
    [(stories.F11, ["A", "B", "a"]), (stories.F11_NOT_STICKY, ["A", "B", "b", "a"])],
    ids=["sticky", "not sticky"],
)
def test_F11_a_rejection_is_not_undone_where_it_is_remembered(
    effects: Effects, go: Any, story: Any, calls: list[str]
) -> None:
    """A sure "no" needs no undo, unless a copy of the request could still say "yes"."""
    effects.on("B", "reject")
    outcome = go(story)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == calls
    assert effects.wrong(outcome, "AB") == []


def test_F12_lost_answer_is_one_effect(effects: Effects, go: Any) -> None:
    """The second call has the first one's key, and lands once."""
    effects.on("R", "lost_reply")
    outcome = go(stories.F12)
    assert outcome.status is Status.COMPLETED
    assert effects.calls == ["R", "R", "X"]
    assert effects.keys[0] == effects.keys[1] == "r1/R"
    assert effects.wrong(outcome, "RX") == []


def test_F12_lost_answer_of_an_undo_is_one_undo(effects: Effects, go: Any) -> None:
    """An undo whose answer was lost is called again with its key and undoes once."""
    effects.on("X", "reject").on("r", "lost_reply")
    outcome = go(stories.F12)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["R", "X", "r", "r"]
    assert effects.keys[2] == effects.keys[3] == "r1/R/compensation"
    assert effects.undone["R"] == 1


def test_F15_guarded_pivot_in_doubt_is_asked_again(effects: Effects, go: Any) -> None:
    """A pivot whose answer is lost, with the process or without, is called again: it completes."""
    effects.on("P", "die_after", "lost_reply")
    with pytest.raises(Died):
        go(stories.F15)
    outcome = go(stories.F15)
    assert outcome.status is Status.COMPLETED
    assert effects.calls == ["A", "P", "P", "P", "N"]
    assert len(set(effects.keys[1:4])) == 1
    assert effects.wrong(outcome, "APN") == []


@pytest.mark.parametrize("how", ["lost_reply", "die_after", "die_before"])
def test_F15_bare_pivot_in_doubt_is_stuck(effects: Effects, go: Any, how: str) -> None:
    """Without promises it is neither repeated, undone nor skipped: a person is asked."""
    effects.on("P", how)
    if how != "lost_reply":
        with pytest.raises(Died):
            go(stories.F15_BARE)
    outcome = go(stories.F15_BARE)
    assert outcome.status is Status.STUCK
    assert outcome.unresolved == {"P": "query"}
    assert effects.calls == ["A", "P"]


@pytest.mark.parametrize(
    ("how", "word", "status", "calls"),
    [
        ("lost_reply", "done", Status.COMPLETED, ["A", "P", "N"]),
        ("lost_request", "not_landed", Status.COMPENSATED, ["A", "P", "a"]),
    ],
)
def test_F15_a_person_ends_the_doubt(  # noqa: PLR0913, PLR0917 - a case, and what it is played with
    effects: Effects,
    journal: MortalJournal,
    go: Any,
    how: str,
    word: str,
    status: Status,
    calls: list[str],
) -> None:
    """What the person found out decides the way, and nothing is called to guess it."""
    effects.on("P", how)
    assert go(stories.F15_BARE).status is Status.STUCK
    word = f"resolve(P,{word})"
    ended = operate(stories.F15_BARE, word, journal=journal, run_id="r1", services=effects)
    assert ended.status is status
    assert effects.calls == calls
    assert effects.wrong(ended, "APN") == []
