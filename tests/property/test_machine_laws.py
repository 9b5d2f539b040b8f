"""Laws of every compiled machine, tried on all reachable states of the reference sagas."""

from __future__ import annotations

import pickle
import random
from typing import Any

import pytest

from saga_fsm import Saga, each, parallel, step
from saga_fsm.compiler import compile_saga
from saga_fsm.errors import NoTransitionError
from saga_fsm.machine import CancelTimer, Event, Finished, Machine, Refused, SetTimer, Status
from saga_fsm.machine._recall import Decision, Recall
from tests.reference import REFERENCES, Reference


SMALL = [one for one in REFERENCES if one.machine[0] < 3000]
each_small = pytest.mark.parametrize("reference", SMALL, ids=lambda one: one.text)


def enabled(machine: Machine, codes: Any, event: str | None) -> list[Any]:
    """The rows of an event that hold in a state: read from the table, not by step."""
    return [
        row
        for row in machine.rows
        if row.event == event and all(codes[v] in allowed for v, allowed in row.guard)
    ]


@each_small
def test_at_most_one_input_row_is_enabled(reference: Reference) -> None:
    """Two rows of one event never hold in the same reachable state."""
    machine = compile_saga(reference.make())
    for state in machine.states:
        for event in machine.accepts(state):
            assert len(enabled(machine, state.codes, event)) == 1, (str(state), event)


@each_small
def test_settling_is_confluent_and_quiet(reference: Reference) -> None:
    """Internal rows taken in any order lead to the state that step gives, and none is left."""
    machine = compile_saga(reference.make())
    luck = random.Random(7)
    for source, event, target in luck.sample(
        machine.transitions, min(400, len(machine.transitions))
    ):
        (row,) = enabled(machine, source.codes, event)
        codes = list(source.codes)
        for v, x in row.update:
            codes[v] = x
        while internal := enabled(machine, codes, None):
            for v, x in luck.choice(internal).update:
                codes[v] = x
        assert tuple(codes) == tuple(target.codes)
        assert machine.quiet(target.codes)


@each_small
def test_effects_are_what_is_owed_anew(reference: Reference) -> None:
    """A move's effects are the difference of what the two states owe."""
    machine = compile_saga(reference.make())
    for source, event, target in machine.transitions:
        move = machine.step(source, event)
        before, after = set(machine.owed(source)), set(machine.owed(target))
        asked = {x for x in move.effects if not isinstance(x, CancelTimer | Finished | Refused)}
        assert asked >= after - before
        assert asked <= after
        cancelled = {x.target for x in move.effects if isinstance(x, CancelTimer)}
        assert cancelled >= {x.target for x in before - after if isinstance(x, SetTimer)}


@each_small
def test_finished_says_when_a_run_comes_to_rest(reference: Reference) -> None:
    """Finished is emitted exactly when the status becomes a resting one."""
    machine = compile_saga(reference.make())
    for source, event, target in machine.transitions:
        said = [x for x in machine.step(source, event).effects if isinstance(x, Finished)]
        changed = target.status.resting and target.status is not source.status
        assert said == ([Finished(target.status)] if changed else [])


@each_small
def test_every_pair_is_a_row_or_a_listed_ignore(reference: Reference) -> None:
    """Each event at each state gives a move or a reason; nothing raises, nothing vanishes."""
    machine = compile_saga(reference.make())
    listed = set(machine.ignored.values())
    assert "" not in listed
    for state in machine.states[:500]:
        for event in machine.events:
            move = machine.step(state, event)
            has_row = bool(enabled(machine, state.codes, event))
            assert (move.ignored is None) == has_row
            if not has_row:
                assert move.state == state
                assert move.effects == ()
                assert move.ignored


@each_small
def test_stuck_says_what_is_owed(reference: Reference) -> None:
    """A stuck state lists at least one debt, and no other state lists any."""
    machine = compile_saga(reference.make())
    for state in machine.states:
        assert bool(state.unresolved) == (state.status is Status.STUCK), str(state)


def test_events_outside_the_alphabet_are_refused() -> None:
    """An event that no state knows is an error that names what is accepted."""
    machine = compile_saga(REFERENCES[0].make())
    with pytest.raises(NoTransitionError, match="start"):
        machine.step(machine.initial, "done(nobody)")


def test_events_are_strings_and_survive_pickling() -> None:
    """An event keeps its parts through pickle and equals its own text."""
    event = Event.of("resolve", "a,b", "done")
    again = pickle.loads(pickle.dumps(event))  # noqa: S301 - our own bytes
    assert (again, again.kind, again.target, again.argument) == (
        "resolve(a,b,done)",
        "resolve",
        "a,b",
        "done",
    )


def test_worked_example() -> None:
    """The run of the specification's worked example, state by state."""
    machine = compile_saga(next(one for one in REFERENCES if one.text == "C(a) ; C(b)").make())
    moves = machine.replay(["start", "done(a)", "unknown(b)", "compensated(b)", "compensated(a)"])
    assert [str(move.state) for move in moves] == [
        "running(a.started)",
        "running(a.done b.started)",
        "compensating(a.done b.compensating)",
        "compensating(a.compensating b.compensated)",
        "compensated(a.compensated b.compensated)",
    ]


@each_small
def test_what_is_remembered_is_what_the_table_says(reference: Reference) -> None:
    """A machine that has decided in every state decides as one that remembers nothing."""
    experienced, fresh = (compile_saga(reference.make()) for _ in range(2))
    transitions = experienced.transitions
    for source, event, _ in random.Random(11).sample(transitions, min(300, len(transitions))):
        experienced._memo.clear()  # so that it has to recall
        fresh._memo.clear()
        fresh._recall = Recall(limit=1)
        said, worked_out = experienced.step(source, event), fresh.step(source, event)
        assert (said.state, said.effects) == (worked_out.state, worked_out.effects)


def test_a_decision_that_reads_more_is_never_answered_by_one_that_read_less() -> None:
    """An event's decisions are found only where everything that any of them read is the same."""
    recall = Recall(limit=100)
    one = Decision(((0, 1),), (), may_rest=False)
    two = Decision(((0, 2),), (), may_rest=False)
    recall.keep(bytes([0, 7, 7]), "go", {0}, one)
    assert recall.find(bytes([0, 8, 9]), "go") is one
    recall.keep(bytes([5, 1, 7]), "go", {0, 1}, two)
    assert recall.find(bytes([5, 1, 9]), "go") is two
    assert recall.find(bytes([0, 7, 7]), "go") is None
    assert recall.find(bytes([5, 2, 7]), "go") is None
    assert recall.find(bytes([5, 1, 7]), "stop") is None


def test_branches_print_in_braces() -> None:
    """A state shows branches in braces, nested ones too; what has not begun is left out."""

    def act(ctx: Any) -> None:
        """Do nothing."""

    def undo(ctx: Any, result: object) -> None:
        """Undo nothing."""

    f, a, b, c, d, z, e = (step(act, name=name, compensate=undo) for name in "fabcdze")
    many = each(lambda _: [1, 2], e, name="many", max_items=2, concurrent=True)
    nested = Saga("n", a, parallel(b, c))
    machine = compile_saga(Saga("s", f, parallel(nested, d), many, z))
    events = ["start", "done(f)", "done(d)", "done(n/a)", "done(n/c)", "done(n/b)", "items(many,2)"]
    moves = machine.replay([*events, "done(e[1])"])
    ended = "f.done {n.done n/a.done {n/b.done | n/c.done} | d.done}"
    assert [str(move.state) for move in moves] == [
        "running(f.started)",
        "running(f.done {n.running n/a.started | d.started})",
        "running(f.done {n.running n/a.started | d.done})",
        "running(f.done {n.running n/a.done {n/b.started | n/c.started} | d.done})",
        "running(f.done {n.running n/a.done {n/b.started | n/c.done} | d.done})",
        f"running({ended} many.deciding)",
        f"running({ended} many.2 {{e[0].started | e[1].started}})",
        f"running({ended} many.2 {{e[0].started | e[1].done}})",
    ]
    back = machine.step(machine.step(moves[1].state, "unknown(d)").state, "unknown(n/a)")
    assert str(back.state) == "compensating(f.done {n.undoing n/a.compensating | d.compensating})"
