"""Failure stories that the table alone decides: what a late, early, double or odd event does."""

from __future__ import annotations

import pytest

from saga_fsm import Contract, Saga, Status, compile_saga, parallel
from saga_fsm.errors import DefinitionError, NoTransitionError
from saga_fsm.machine import Machine, Move
from tests.acceptance.effects import A, N, P, R, saga


ABC = saga(A("A"), A("B"), P("C"), deadline=60.0)


def play(of: Saga, *events: str) -> Move:
    """Give the last move of a saga's machine after these events."""
    return compile_saga(of).replay(events)[-1]


def effects(move: Move) -> set[str]:
    """Name the calls of a move, without timers."""
    named = {f"{type(one).__name__}({getattr(one, 'target', '')})" for one in move.effects}
    return {name for name in named if name.startswith(("Call", "Comp"))}


def test_F08_late_landing_after_the_undo_is_an_alarm_when_nothing_fences() -> None:
    """A bare step whose effect comes after its undo makes the compensated saga stuck, by name."""
    bare = saga(A("H"), P("K"), contract=Contract())
    events = ["start", "unknown(H)", "compensated(H)"]
    assert play(bare, *events).state.status is Status.COMPENSATED
    late = play(bare, *events, "late_done(H)").state
    assert late.status is Status.STUCK
    assert late.unresolved == {"H": "compensate"}


def test_F08_late_landing_after_the_undo_is_ignored_when_the_fence_stands() -> None:
    """A fenced step's late answer was given before the undo: no state change, and it is said so."""
    move = play(saga(A("H"), P("K")), "start", "unknown(H)", "compensated(H)", "late_done(H)")
    assert move.state.status is Status.COMPENSATED
    assert move.ignored


def test_F18_operator_retry_leads_out_of_stuck() -> None:
    """An undo that failed for good keeps all it blocks on the list, and one word resumes it."""
    events = ["start", "done(A)", "done(B)", "rejected(C)", "unknown(B)", "exhausted(B)"]
    stuck = play(ABC, *events)
    assert stuck.state.status is Status.STUCK
    assert stuck.state.unresolved == {"A": "compensate", "B": "compensate"}
    assert effects(stuck) == set()
    again = play(ABC, *events, "retry(B)")
    assert effects(again) == {"Compensate(B)"}
    end = play(ABC, *events, "retry(B)", "compensated(B)", "compensated(A)").state
    assert end.status is Status.COMPENSATED


def test_F20_no_state_is_compensated_while_an_undo_is_owed() -> None:
    """In no reachable compensated state has a step an effect that may stand."""
    may_stand = {"done", "unknown", "compensating", "compensation_failed", "started", "alarm"}
    for state in compile_saga(saga(A("A"), A("B"))).states:
        if state.status is Status.COMPENSATED:
            assert may_stand.isdisjoint({state["A"], state["B"]})


def test_F31_the_undo_waits_for_the_sibling_in_flight() -> None:
    """B's completion is kept: it is undone after its own outcome, and F only after it."""
    story = saga(A("F"), parallel(A("A"), A("B")), P("J"))
    failed = ["start", "done(F)", "rejected(A)"]
    assert effects(play(story, *failed)) == set()
    assert effects(play(story, *failed, "done(B)")) == {"Compensate(B)"}
    assert effects(play(story, *failed, "done(B)", "compensated(B)")) == {"Compensate(F)"}
    end = play(story, *failed, "done(B)", "compensated(B)", "compensated(F)").state
    assert end.status is Status.COMPENSATED


def test_F37_retriable_before_the_pivot_is_refused() -> None:
    """A fire-and-forget step before the decision is no saga, and the error names step and rule."""
    with pytest.raises(DefinitionError) as caught:
        saga(A("A"), N("N"), P("S"))
    assert caught.value.rule in {"W2", "W3", "W4"}
    assert "N" in str(caught.value)
    assert "S" in str(caught.value)


def test_F42_duplicate_outcome_is_ignored() -> None:
    """A second payment event after the end changes nothing and calls nobody."""
    done = ["start", "done(A)", "done(B)", "done(C)"]
    for event in ("done(A)", "done(B)", "done(C)"):
        move = play(ABC, *done, event)
        assert move.state.status is Status.COMPLETED
        assert move.ignored
        assert move.effects == ()


@pytest.mark.parametrize(
    "ended",
    [
        ["done(A)", "done(B)", "done(C)"],
        ["rejected(A)"],
        ["done(A)", "rejected(B)", "compensated(A)"],
    ],
    ids=["completed", "at once", "compensated"],
)
@pytest.mark.parametrize("late", ["deadline", "cancel", "unknown(A)", "unknown(C)", "start"])
def test_F46_time_is_up_for_a_run_that_is_over(ended: list[str], late: str) -> None:
    """A timer, a cancel or a second start that comes after the end is ignored with a reason."""
    before = play(ABC, "start", *ended)
    move = play(ABC, "start", *ended, late)
    assert move.state == before.state
    assert move.ignored
    assert move.effects == () or all(type(one).__name__ == "Refused" for one in move.effects)


@pytest.mark.parametrize("why", ["cancel", "deadline"])
def test_F49_cancel_is_undone_like_a_failure(why: str) -> None:
    """A cancel after B undoes what is in flight, then B, then A."""
    events = ["start", "done(A)", why]
    undone = play(ABC, *events, "unknown(B)")
    assert effects(undone) == {"Compensate(B)"}
    assert effects(play(ABC, *events, "unknown(B)", "compensated(B)")) == {"Compensate(A)"}
    end = play(ABC, *events, "unknown(B)", "compensated(B)", "compensated(A)").state
    assert end.status is Status.COMPENSATED


def test_F49_cancel_past_the_pivot_is_refused() -> None:
    """After the decision a cancel gets an answer and changes nothing."""
    story = saga(A("A"), P("C"), N("N"))
    move = play(story, "start", "done(A)", "done(C)", "cancel")
    assert move.state.status is Status.RUNNING
    assert move.ignored or [type(one).__name__ for one in move.effects] == ["Refused"]


def pairs(machine: Machine) -> list[tuple[object, object]]:
    """Pair every reachable state with every event."""
    return [(state, event) for state in machine.states for event in machine.events]


def test_F51_every_pair_is_a_move_or_is_ignored_with_a_reason() -> None:
    """No event dies in silence: each pair of state and event moves, or says why not."""
    machine = compile_saga(saga(A("A"), R("L"), P("C"), N("N"), deadline=60.0))
    seen = pairs(machine)
    assert len(seen) > 1000
    for state, event in seen:
        move = machine.step(state, event)
        assert (move.state != state) or move.ignored or move.effects


def test_F51_an_event_that_is_not_of_the_saga_is_an_error() -> None:
    """A name outside the alphabet is a mistake of the caller and lists what is accepted."""
    machine = compile_saga(ABC)
    with pytest.raises(NoTransitionError) as caught:
        machine.step(machine.initial, "done(Z)")
    assert "start" in caught.value.accepted
