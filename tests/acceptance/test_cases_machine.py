"""Failure stories that the table alone decides: what a late, early, double or odd event does."""

from __future__ import annotations

from typing import Any

import pytest

from saga_fsm import Saga, Status, compile_saga
from saga_fsm.errors import NoTransitionError
from saga_fsm.machine import Machine, Move
from tests.acceptance import stories
from tests.acceptance.stories import F46 as ABC


def play(of: Saga[Any, Any], *events: str) -> Move:
    """Give the last move of a saga's machine after these events."""
    return compile_saga(of).replay(events)[-1]


def effects(move: Move) -> set[str]:
    """Name the calls of a move, without timers."""
    named = {f"{type(one).__name__}({getattr(one, 'target', '')})" for one in move.effects}
    return {name for name in named if name.startswith(("Call", "Comp"))}


def test_F08_late_landing_after_the_undo_is_an_alarm_when_nothing_fences() -> None:
    """A bare step whose effect comes after its undo makes the compensated saga stuck, by name."""
    bare = stories.F08_BARE
    events = ["start", "unknown(H)", "compensated(H)"]
    assert play(bare, *events).state.status is Status.COMPENSATED
    late = play(bare, *events, "late_done(H)").state
    assert late.status is Status.STUCK
    assert late.unresolved == {"H": "compensate"}


def test_F08_late_landing_after_the_undo_is_ignored_when_the_fence_stands() -> None:
    """A fenced step's late answer was given before the undo: no state change, and it is said so."""
    move = play(stories.F08, "start", "unknown(H)", "compensated(H)", "late_done(H)")
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
    seen = 0
    for state in compile_saga(stories.F20).states:
        if state.status is Status.COMPENSATED:
            seen += 1
            assert may_stand.isdisjoint({state["A"], state["B"], state["C"]})
    assert seen > 3


def test_F31_the_undo_waits_for_the_sibling_in_flight() -> None:
    """B's completion is kept: it is undone after its own outcome, and F only after it."""
    story = stories.F31
    failed = ["start", "done(F)", "rejected(A)"]
    assert effects(play(story, *failed)) == set()
    assert effects(play(story, *failed, "done(B)")) == {"Compensate(B)"}
    assert effects(play(story, *failed, "done(B)", "compensated(B)")) == {"Compensate(F)"}
    end = play(story, *failed, "done(B)", "compensated(B)", "compensated(F)").state
    assert end.status is Status.COMPENSATED


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
    move = play(stories.F37, "start", "done(A)", "done(S)", "cancel")
    assert move.state.status is Status.RUNNING
    assert [type(one).__name__ for one in move.effects] == ["Refused"]
    assert play(stories.F37, "start", "done(A)", "done(S)", "cancel", "cancel").ignored


def pairs(machine: Machine) -> list[tuple[object, object]]:
    """Pair every reachable state with every event."""
    return [(state, event) for state in machine.states for event in machine.events]


def test_F51_every_pair_is_a_move_or_is_ignored_with_a_reason() -> None:
    """No event dies in silence: each pair of state and event moves, or says why not."""
    machine = compile_saga(stories.F51)
    seen = pairs(machine)
    assert len(seen) > 1000
    for state, event in seen:
        move = machine.step(state, event)
        assert (move.state != state) or move.ignored or move.effects


def test_F51_the_table_lists_what_it_ignores() -> None:
    """A row or a listed reason for each local state and event kind of each small automaton."""
    machine = compile_saga(stories.F51)
    asked: dict[int, set[str]] = {}
    moves: set[tuple[str, str, str]] = set()
    for row in machine.rows:
        if row.event is None:
            continue
        automaton = machine.automata[row.automaton]
        asked.setdefault(row.automaton, set()).add(str(row.event))
        allowed = dict(row.guard).get(row.automaton, frozenset(automaton.locals))
        moves |= {(automaton.path, automaton.local(code), str(row.event)) for code in allowed}
    every = {
        (machine.automata[v].path, machine.automata[v].local(code), event)
        for v, events in asked.items()
        for event in events
        for code in machine.automata[v].locals
    }
    assert every == moves | set(machine.ignored)
    assert not moves & set(machine.ignored)
    assert all(machine.ignored.values())


def test_F51_an_event_that_is_not_of_the_saga_is_an_error() -> None:
    """A name outside the alphabet is a mistake of the caller and lists what is accepted."""
    machine = compile_saga(ABC)
    with pytest.raises(NoTransitionError) as caught:
        machine.step(machine.initial, "done(Z)")
    assert "start" in caught.value.accepted
