"""Failure stories of the way back: who is undone, in which order, with what, and until when."""

from __future__ import annotations

from typing import Any

import pytest

from saga_fsm import SKIP, Contract, Retry, Saga, Status, choice, parallel, step
from tests.acceptance.effects import (
    A,
    Died,
    Effects,
    FastClock,
    MortalJournal,
    N,
    P,
    act,
    saga,
    undo,
)


OIPS = saga(A("O"), A("P"), A("I"), P("S"))
ABC = saga(A("A"), A("B"), P("C"))
TWICE = Retry(attempts=3, wait_initial=0.5)


def test_F01_compensated_means_undone(effects: Effects, go: Any) -> None:
    """A rejected shipment undoes stock, payment and order, in that order."""
    effects.on("S", "reject")
    outcome = go(OIPS)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["O", "P", "I", "S", "i", "p", "o"]
    assert effects.wrong(outcome, "OPIS") == []


def test_F03_undo_is_given_what_its_action_returned(effects: Effects, go: Any) -> None:
    """Each cancellation gets its own confirmation."""
    effects.on("C", "reject")
    outcome = go(saga(A("H"), A("F"), P("C")))
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["H", "F", "C", "f", "h"]
    assert effects.given == {"f": "result of F", "h": "result of H"}


def test_F04_recovery_remembers_results(
    effects: Effects, clock: FastClock, journal: MortalJournal, go: Any
) -> None:
    """A new process calls nothing again that has answered, and undoes with the old results."""
    effects.on("C", "die_before", "reject")
    with pytest.raises(Died):
        go(ABC)
    started = journal.read("r1")[0]
    clock.time += 3600.0
    outcome = go(ABC)
    assert journal.read("r1")[0] == started
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A", "B", "C", "C", "b", "a"]
    assert effects.given == {"b": "result of B", "a": "result of A"}


def test_F06_exhausted_retries_are_a_failure(effects: Effects, clock: FastClock, go: Any) -> None:
    """Three attempts are three calls, waits follow the policy, and the saga turns back."""
    effects.on("B", "always transient")
    outcome = go(saga(A("A"), A("B", retry=TWICE)))
    assert outcome.status is Status.COMPENSATED
    assert effects.calls.count("B") == 3
    assert effects.wrong(outcome, "AB") == []
    assert clock.waited == [0.5, 1.0]


def test_F07_partial_effect_is_undone(effects: Effects, go: Any) -> None:
    """A step that failed after its effect was started, so its undo runs."""
    effects.on("L", "always partial")
    outcome = go(saga(A("D"), A("C"), A("L", retry=TWICE)))
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["D", "C", "L", "L", "L", "l", "c", "d"]
    assert effects.wrong(outcome, "DCL") == []


def test_F08_late_copy_is_refused_by_the_fence(effects: Effects, go: Any) -> None:
    """The undo that came first leaves a tombstone: the slow request lands nowhere."""
    effects.on("H", "lost_request")
    outcome = go(saga(A("H"), P("K")))
    assert outcome.status is Status.COMPENSATED
    assert not effects.late("H", outcome.run_id)
    assert effects.net("H") == 0


def test_F09_empty_undo_counts_once(effects: Effects, go: Any) -> None:
    """Undoing what never landed succeeds, once."""
    effects.on("A", "lost_request")
    outcome = go(saga(A("A"), P("B")))
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A", "a"]
    assert effects.given == {"a": None}
    assert effects.net("A") == 0


def test_F11_the_failing_step_is_undone_too(effects: Effects, go: Any) -> None:
    """An exception that nobody declared may come after the effect: undo it."""
    effects.on("B", "partial")
    outcome = go(saga(A("A"), A("B")))
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A", "B", "b", "a"]
    assert effects.wrong(outcome, "AB") == []


@pytest.mark.parametrize("sticky", [True, False])
def test_F11_a_rejection_is_not_undone_where_it_is_remembered(
    effects: Effects, go: Any, *, sticky: bool
) -> None:
    """A sure "no" needs no undo, unless a copy of the request could still say "yes"."""
    effects.on("B", "reject")
    contract = Contract(idempotent=True, sticky=sticky, fenced=True)
    outcome = go(saga(A("A"), A("B"), contract=contract))
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == (["A", "B", "a"] if sticky else ["A", "B", "b", "a"])


def test_F12_lost_answer_is_one_effect(effects: Effects, go: Any) -> None:
    """The second call has the first one's key, and lands once."""
    effects.on("R", "lost_reply")
    outcome = go(saga(A("R", retry=TWICE), P("X")))
    assert outcome.status is Status.COMPLETED
    assert effects.calls == ["R", "R", "X"]
    assert effects.keys[0] == effects.keys[1]
    assert effects.net("R") == 1


def test_F12_lost_answer_of_an_undo_is_one_undo(effects: Effects, go: Any) -> None:
    """An undo whose answer was lost is called again with its key and undoes once."""
    effects.on("X", "reject").on("r", "lost_reply")
    outcome = go(saga(A("R"), P("X")))
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["R", "X", "r", "r"]
    assert effects.keys[2] == effects.keys[3] != effects.keys[0]
    assert effects.undone["R"] == 1


def test_F15_guarded_pivot_in_doubt_is_asked_again(effects: Effects, go: Any) -> None:
    """A pivot whose answer was lost with the process is called again and goes through."""
    effects.on("P", "die_after", "lost_reply")
    story = saga(A("A"), P("P"), N("N"))
    with pytest.raises(Died):
        go(story)
    outcome = go(story)
    assert outcome.status is Status.COMPLETED
    assert effects.wrong(outcome, "APN") == []
    assert "a" not in effects.calls


def test_F15_bare_pivot_in_doubt_is_stuck(effects: Effects, go: Any) -> None:
    """Without promises it is neither repeated, undone nor skipped: a person is asked."""
    effects.on("P", "lost_reply")
    outcome = go(saga(A("A"), P("P"), N("N"), contract=Contract()))
    assert outcome.status is Status.STUCK
    assert outcome.unresolved["P"] == "query"
    assert effects.calls == ["A", "P"]


def test_F17_the_next_undo_waits(effects: Effects, go: Any) -> None:
    """A is undone only when B is."""
    effects.on("C", "reject").on("b", "transient", "transient")
    outcome = go(ABC)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A", "B", "C", "b", "b", "b", "a"]


def test_F18_undo_that_fails_for_good_is_stuck(effects: Effects, go: Any) -> None:
    """What is owed is listed, what depends on it is not touched."""
    effects.on("C", "reject").on("b", "always transient")
    outcome = go(ABC)
    assert outcome.status is Status.STUCK
    assert dict(outcome.unresolved) == {"A": "compensate", "B": "compensate"}
    assert effects.calls == ["A", "B", "C", *["b"] * 5]


def test_F19_stuck_survives_a_restart(effects: Effects, go: Any) -> None:
    """A new process finds it stuck still, and calls nobody by itself."""
    effects.on("C", "reject").on("b", "always transient")
    go(ABC)
    calls = list(effects.calls)
    outcome = go(ABC)
    assert outcome.status is Status.STUCK
    assert dict(outcome.unresolved) == {"A": "compensate", "B": "compensate"}
    assert effects.calls == calls


@pytest.mark.parametrize("undone", ["a", "b"])
@pytest.mark.parametrize("how", ["transient", "lost_request", "missing", "lost_reply"])
def test_F20_never_compensated_with_an_undo_open(
    effects: Effects, go: Any, undone: str, how: str
) -> None:
    """However an undo fails, the saga is not called compensated."""
    effects.on("C", "reject").on(undone, f"always {how}")
    outcome = go(ABC)
    assert outcome.status is Status.STUCK
    assert outcome.unresolved[undone.upper()] == "compensate"


def test_F21_missing_undo_stops_and_names_the_step(effects: Effects, go: Any) -> None:
    """A "not implemented" undo makes the saga stuck, and the order is not cancelled."""
    effects.on("A", "reject").on("t", "always missing")
    outcome = go(saga(A("O"), A("T"), P("A")))
    assert outcome.status is Status.STUCK
    assert outcome.unresolved["T"] == "compensate"
    assert "o" not in effects.calls


def test_F24_swallowed_error_is_seen_by_the_ledger(effects: Effects, go: Any) -> None:
    """An action that logs its error and returns completes; only the world's count shows it."""
    effects.on("A", "swallow")
    outcome = go(saga(A("A"), A("B")))
    assert outcome.status is Status.COMPLETED
    assert effects.wrong(outcome, "AB") == ["A"]


def test_F25_undo_that_reads_nothing_is_never_called_success(effects: Effects, go: Any) -> None:
    """An undo that asks for a result which nobody produced ends stuck, and the fault had fired."""

    def reads_nothing(ctx: Any, result: str | None) -> None:
        ctx.result_of("x")

    effects.on("C", "reject")
    outcome = go(saga(A("A"), step(act, name="B", compensate=reads_nothing), P("C")))
    assert effects.fired == ["C"]
    assert outcome.status is Status.STUCK
    assert "B" in outcome.unresolved


def test_F27_results_survive_a_retry(effects: Effects, go: Any) -> None:
    """The second attempt still sees what A answered."""
    seen: list[Any] = []

    def b(ctx: Any) -> str:
        seen.append((ctx.attempt, ctx.results["A"]))
        return act(ctx)

    effects.on("B", "transient")
    outcome = go(saga(A("A"), step(b, name="B", compensate=undo, retry=TWICE)))
    assert outcome.status is Status.COMPLETED
    assert seen == [(1, "result of A"), (2, "result of A")]


def test_F28_failed_before_anything_ran_is_over(effects: Effects, go: Any) -> None:
    """A first step that says no ends the saga; a new process has nothing to recover."""
    effects.on("A", "reject")
    assert go(saga(A("A"), A("B"))).status is Status.COMPENSATED
    assert effects.calls == ["A"]
    assert go(saga(A("A"), A("B"))).status is Status.COMPENSATED
    assert effects.calls == ["A"]


def test_F31_sibling_in_flight_is_undone_before_the_fork(effects: Effects, go: Any) -> None:
    """When a branch says no, what the other did is undone, then what came before both."""
    effects.on("A", "reject")
    outcome = go(saga(A("F"), parallel(A("A"), A("B")), P("J")))
    assert outcome.status is Status.COMPENSATED
    assert effects.wrong(outcome, "FABJ") == []
    assert effects.calls[-1] == "f"
    assert "J" not in effects.calls


def test_F35_saga_in_a_branch_is_undone(effects: Effects, go: Any) -> None:
    """A nested saga in a branch undoes what it did, and what follows never starts."""
    effects.on("B", "reject")
    inner: Saga[Any, Any] = Saga("inner", A("A"), A("B"))
    outcome = go(saga(choice(lambda _: True, yes=inner, otherwise=SKIP), P("C")))
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A", "B", "a"]


def test_F37_fire_and_forget_belongs_behind_the_pivot(effects: Effects, go: Any) -> None:
    """Behind the decision it is repeated until it has happened."""
    effects.on("N", "transient", "lost_reply")
    outcome = go(saga(A("A"), P("S"), N("N")))
    assert outcome.status is Status.COMPLETED
    assert effects.calls == ["A", "S", "N", "N", "N"]
    assert effects.wrong(outcome, "ASN") == []


def test_F44_crash_after_the_effect_repeats_the_same_key(effects: Effects, go: Any) -> None:
    """An idempotent step found open is called again, and has one effect."""
    effects.on("B", "die_after")
    with pytest.raises(Died):
        go(ABC)
    outcome = go(ABC)
    assert outcome.status is Status.COMPLETED
    assert effects.calls == ["A", "B", "B", "C"]
    assert effects.keys[1] == effects.keys[2]
    assert effects.wrong(outcome, "ABC") == []


@pytest.mark.parametrize("when", ["die_before", "die_after"])
def test_F44_crash_at_a_bare_step_is_undone(effects: Effects, go: Any, when: str) -> None:
    """A step without promises is neither assumed run nor not run: it is undone."""
    bare = saga(A("A"), A("B"), P("C"), contract=Contract())
    effects.on("B", when)
    with pytest.raises(Died):
        go(bare)
    outcome = go(bare)
    assert outcome.status is Status.COMPENSATED
    assert effects.calls == ["A", "B", "b", "a"]
    assert effects.wrong(outcome, "ABC") == []


def test_F49_interrupt_is_undone_then_raised_again(effects: Effects, go: Any) -> None:
    """Ctrl-C during B undoes B and A, then is the same interrupt for the caller."""
    effects.on("B", "interrupt")
    with pytest.raises(KeyboardInterrupt):
        go(ABC)
    assert effects.calls == ["A", "B", "b", "a"]
    assert (effects.net("A"), effects.net("B")) == (0, 0)
    assert go(ABC).status is Status.COMPENSATED


def test_F53_cause_is_kept_apart_from_status(effects: Effects, go: Any) -> None:
    """Undone without a hitch is compensated, and why it turned back can still be read."""
    effects.on("C", "reject")
    outcome = go(ABC)
    assert outcome.status is Status.COMPENSATED
    assert (outcome.cause.step, outcome.cause.kind) == ("C", "rejected")
    assert "C says no" in outcome.cause.message


def test_F46_a_deadline_after_the_end_finds_nobody(
    effects: Effects, clock: FastClock, journal: MortalJournal, go: Any
) -> None:
    """Long after a run has completed, taking it up again moves nothing, calls nobody."""
    story = saga(A("A"), P("C"), deadline=60.0)
    go(story)
    calls = list(effects.calls)
    clock.time += 3600.0
    assert go(story).status is Status.COMPLETED
    moved = [entry.event for entry in journal.read("r1") if not entry.event.startswith("#")]
    assert moved == ["start", "done(A)", "done(C)"]
    assert effects.calls == calls
