"""The machine by itself: what it decides, how it prints, and what it remembers."""

from __future__ import annotations

import random
from typing import Any

import attrs
import pytest

from saga_fsm.compiler import compile_layout, compile_saga
from saga_fsm.definition import GUARDED, SKIP, Saga, alternatives, choice, each, parallel
from saga_fsm.definition.layout import lay_out
from saga_fsm.errors import DuplicateStepError, NoTransitionError, StateSpaceLimitError
from saga_fsm.machine import Call, CancelTimer, Event, Finished, Machine, SetTimer, State, Status
from saga_fsm.machine._recall import Decision, Recall
from tests.reference import BOUNDED, REFERENCES, C, P, R, chooser, several, undo


def machine_of(*blocks: Any, **options: Any) -> Machine:
    """Compile a saga of these blocks."""
    return compile_saga(Saga("s", *blocks, contract=GUARDED, **options))


def at(machine: Machine, *events: str) -> State:
    """The state after these events; each of them moves."""
    moves = machine.replay(events)
    assert [move.ignored for move in moves] == [None] * len(events)
    return moves[-1].state


# ---------------------------------------------------------------------- values


def test_a_status_is_equal_to_its_text() -> None:
    """A status compares with its own text, and with no text that is none."""
    assert Status.STUCK == "stuck"
    assert Status.STUCK != "completed"
    assert Status.STUCK == Status.STUCK
    assert Status.STUCK != Status.COMPLETED
    assert Status.STUCK != 1
    with pytest.raises(ValueError, match="no status") as caught:
        assert Status.STUCK == "done"
    assert str(caught.value) == (
        "no status is called 'done'\n"
        "  There are compensated, compensating, completed, new, running, stuck."
    )


def test_states_are_equal_when_their_codes_are() -> None:
    """As keys, too; and nothing else is a state."""
    machine = machine_of(C("a"), C("b"))
    one = at(machine, "start")
    two = State(one.codes, machine)
    assert one == two
    assert hash(one) == hash(two)
    assert hash(one) != hash(machine.initial)
    assert one != machine.initial
    assert one != one.codes
    assert repr(one) == "State('running(a.started)')"
    assert one["a"] == "started"


def test_a_row_prints_itself() -> None:
    """Event or name, guard, update; what it enters is what it owes."""
    machine = machine_of(C("a"), C("b"))
    texts = {str(row): row for row in machine.rows}
    row = texts["enter b | b=pending, @saga=running, a=done | b:=started"]
    assert repr(row) == f"<Row {row}>"
    assert row.effects == (Call("b"),)
    halting = "rejected(a) | a=started | a:=rejected"
    assert halting in texts
    assert texts[halting].effects == ()
    assert any(" in {" in text for text in texts)


def test_an_event_is_made_once() -> None:
    """The same parts give the same value, of which the parts can be read."""
    machine = machine_of(C("a"))
    event = machine.event("resolve", "a", "done")
    assert event is machine.event("resolve", "a", "done")
    assert (event.kind, event.target, event.argument) == ("resolve", "a", "done")
    assert machine.event("start") == "start"
    assert machine.event("done", "a") == "done(a)"
    assert repr(machine) == f"<Machine s: 3 automata, {len(machine.rows)} rows>"


def test_an_event_is_read_from_its_text() -> None:
    """One that no state knows is refused, with what is accepted at the start."""
    machine = machine_of(C("a"))
    read = machine.read("done(a)")
    assert (type(read), read.kind, read.target) == (Event, "done", "a")
    assert machine.knows("done(a)")
    assert not machine.knows("done(b)")
    for refused in (
        lambda: machine.read("done(b)"),
        lambda: machine.step(machine.initial, "done(b)"),
    ):
        with pytest.raises(NoTransitionError) as caught:
            refused()
        error = caught.value
        assert (error.saga, error.state, error.event) == ("s", "new", "done(b)")
        assert error.accepted == ("start",)


# ---------------------------------------------------------------------- deciding


def test_a_run_that_turns_back_has_not_finished() -> None:
    """Nothing is asked for while a branch is still in flight, and nobody is told of an end."""
    machine = machine_of(parallel(C("a"), C("b")), C("c"))
    move = machine.step(at(machine, "start"), "rejected(a)")
    assert (move.state.status, move.effects) == (Status.COMPENSATING, ())


def test_who_is_at_rest_finishes_once() -> None:
    """An alarm is another rest; a further one of the same is none."""
    machine = machine_of(parallel(C("a"), C("b")), C("c"))
    doubted = ("start", "rejected(a)", "rejected(b)")
    state = at(machine, *doubted)
    assert state.status is Status.COMPENSATED
    first = machine.step(state, "late_done(a)")
    assert first.effects == (Finished(Status.STUCK),)
    assert machine.step(first.state, "late_done(b)").effects == ()


def test_an_event_of_the_whole_run_has_neither_target_nor_argument() -> None:
    """Both are empty where they are not given."""
    event = Event.of("cancel")
    assert (event, event.target, event.argument) == ("cancel", "", "")
    event = Event.of("done", "a")
    assert (event, event.target, event.argument) == ("done(a)", "a", "")


def test_a_move_emits_what_is_new() -> None:
    """Calls and timers that were not owed before, timers taken back, and the end."""
    machine = machine_of(C("a", retry=BOUNDED), P("p"), deadline=9.0)
    state = machine.initial
    told = []
    for event in ("start", "transient(a)", "retry(a)", "rejected(a)", "compensated(a)"):
        move = machine.step(state, event)
        told.append(move.effects)
        state = move.state
    assert told[:3] == [
        (SetTimer("@stop"), Call("a")),
        (SetTimer("a"),),
        (CancelTimer("a"), Call("a")),
    ]
    assert told[3][0] == CancelTimer("@stop")
    assert told[-1] == (Finished(Status.COMPENSATED),)
    # A timer that goes on is neither set anew nor taken back.
    state = at(machine, "start")
    assert machine.step(state, "done(a)").effects == (Call("p"),)


def test_who_rests_again_is_told_again() -> None:
    """A run that was at rest and rests with another status has finished anew."""
    saga = Saga("s", C("a"))
    machine = compile_saga(saga)
    over = at(machine, "start", "unknown(a)", "compensated(a)")
    assert over.status is Status.COMPENSATED
    move = machine.step(over, "late_done(a)")
    assert move.state.status is Status.STUCK
    assert move.effects == (Finished(Status.STUCK),)
    # Nothing happens: nobody is told a second time.
    again = machine.step(move.state, "start")
    assert (again.state, again.effects, again.ignored) == (move.state, (), "already started")


@pytest.mark.parametrize(
    ("events", "event", "why"),
    [
        ([], "done(a)", "not started"),
        ([], "cancel", "not started"),
        (["start"], "start", "already started"),
        (["start"], "done(b[0])", "not started"),
        (["start", "done(a)"], "done(a)", "that attempt is already decided"),
        (["start", "done(a)"], "rejected(a)", "that attempt is already decided"),
        (["start"], "retry(a)", "no wait is pending and nothing is stuck here"),
        (["start"], "exhausted(a)", "no wait is pending and nothing is stuck here"),
        (["start"], "late_done(a)", "late: the effect is accounted for"),
        (["start"], "resolve(p,done)", "this is not owed"),
        (["start", "cancel"], "cancel", "already turning back or ended"),
        (["start", "done(a)", "items(b,0)", "done(p)", "cancel"], "cancel", "past the pivot"),
        (["start"], "items(b,1)", "already chosen, or not asked"),
        (["start"], "chooser_failed(b)", "already chosen, or not asked"),
    ],
)
def test_what_is_ignored_says_why(events: list[str], event: str, why: str) -> None:
    """An event without a row leaves the state as it is, for a listed reason."""
    machine = machine_of(C("a", retry=BOUNDED), each(several, C("b"), max_items=2), P("p"), R("r"))
    state = at(machine, *events) if events else machine.initial
    move = machine.step(state, event)
    assert (move.ignored, move.effects) == (why, ())
    assert move.state is state


def test_a_nested_deadline_is_ignored_for_its_own_scopes_reason() -> None:
    """Not started, past its pivot, or over: of the scope whose deadline it is."""
    nested = Saga("n", C("b"), P("p"), R("r"), deadline=3.0, compensate=undo)
    machine = machine_of(C("a"), nested, C("c"))
    assert machine.step(at(machine, "start"), "deadline(n)").ignored == "not started"
    inside = ("start", "done(a)", "done(n/b)", "done(n/p)")
    refused = at(machine, *inside, "deadline(n)")
    assert machine.step(refused, "deadline(n)").ignored == "past the pivot"
    over = at(machine, *inside, "done(n/r)")
    assert machine.step(over, "deadline(n)").ignored == "already turning back or ended"


def test_every_pair_without_a_row_is_listed() -> None:
    """Automaton, local state and event: with the reason, and no pair that has a row."""
    machine = machine_of(C("a"), P("p"), deadline=3.0)
    listed = machine.ignored
    assert listed["a", "pending", "done(a)"] == "not started"
    assert listed["a", "done", "done(a)"] == "that attempt is already decided"
    assert listed["@stop", "refused", "deadline"] == "past the pivot"
    assert listed["@stop", "heard", "cancel"] == "already turning back or ended"
    assert listed["@saga", "running", "start"] == "already started"
    assert ("a", "started", "done(a)") not in listed
    assert ("@saga", "pending", "start") not in listed
    assert len(listed) == 153


def test_quiet_says_whether_an_internal_row_is_enabled() -> None:
    """Every state of a move is quiet; one that has not settled is not."""
    machine = machine_of(C("a"), C("b"))
    assert all(machine.quiet(state.codes) for state in machine.states)
    codes = bytearray(at(machine, "start").codes)
    codes[machine.index["a"]] = at(machine, "start", "done(a)").codes[machine.index["a"]]
    assert not machine.quiet(bytes(codes))


def test_what_is_accepted_has_a_row() -> None:
    """In the order of the alphabet; what is not accepted is ignored."""
    machine = machine_of(C("a"), P("p"))
    for state in machine.states:
        moving = tuple(e for e in machine.events if machine.step(state, e).ignored is None)
        assert machine.accepts(state) == moving


def test_a_flattened_machine_has_a_limit() -> None:
    """As many states as allowed are enumerated; one more is an error that says so."""
    machine = machine_of(C("a"))
    states, transitions = machine.flatten(limit=22)
    assert (len(states), len(transitions)) == (22, 51)
    assert states[0] is machine.initial
    assert {t.target for t in transitions} <= {*states}
    assert all(machine.step(t.source, t.event).state == t.target for t in transitions)
    # One value to each state.
    assert {id(t.target) for t in transitions} <= {id(state) for state in states}
    with pytest.raises(StateSpaceLimitError) as caught:
        machine.flatten(limit=21)
    assert (caught.value.saga, caught.value.limit) == ("s", 21)
    assert {state.status.value for state in machine.final} == {"completed", "compensated", "stuck"}


# ---------------------------------------------------------------------- what it remembers


def fresh(saga: Saga[Any, Any], size: int | None = None) -> Machine:
    """A machine that has decided nothing yet, and remembers as little as told."""
    machine = compile_layout(lay_out(saga))
    if size is not None:
        machine._memo_size = size
        machine._recall = Recall(size)
    return machine


def walk(machine: Machine, seed: int, length: int = 60) -> list[Any]:
    """What a machine says on a way that luck chooses."""
    luck = random.Random(seed)
    state, said = machine.initial, []
    for _ in range(length):
        ways = machine.accepts(state)
        if not ways:
            break
        event = luck.choice(ways)
        move = machine.step(state, event)
        assert machine.step(state, event) is move or machine._memo_size < 9
        said.append((event, move.state.codes, move.effects))
        state = move.state
    return said


@pytest.mark.parametrize("reference", REFERENCES[::3], ids=lambda one: one.text)
def test_what_is_remembered_is_what_is_decided(reference: Any) -> None:
    """A machine that forgets says the same, and keeps no more than it may."""
    saga = reference.make()
    whole, small = fresh(saga), fresh(saga, 3)
    for seed in range(6):
        assert walk(small, seed) == walk(whole, seed)
        assert len(small._memo) <= 3
        assert sum(len(kept[2]) for kept in small._recall._events.values()) <= 3


def test_a_decision_is_found_where_all_it_read_is_the_same() -> None:
    """And nowhere else; one that reads more makes the others of its event be forgotten."""
    recall, a_move = Recall(9), Decision(((0, 1),), (), may_rest=False)
    recall.keep(b"abcd", "e", {1, 2}, a_move)
    assert recall.find(b"xbcx", "e") is a_move
    assert recall.find(b"xbxx", "e") is None
    assert recall.find(b"abcd", "f") is None
    wider = Decision((), (), may_rest=True)
    recall.keep(b"abcd", "e", {3}, wider)
    assert recall.find(b"xbcd", "e") is wider
    assert recall.find(b"xbcx", "e") is None
    narrower = Decision((), (), may_rest=False)
    recall.keep(b"ayzd", "e", {2}, narrower)
    assert recall.find(b"xyzd", "e") is narrower
    assert recall.find(b"xbcd", "e") is wider


def test_decisions_are_kept_within_a_limit() -> None:
    """The next one makes a new start; one that reads too much is not kept."""
    recall, a_move = Recall(2), Decision((), (), may_rest=False)
    for event in "ef":
        recall.keep(b"ab", event, {0, 1}, a_move)
    assert recall.find(b"ab", "e") is a_move
    recall.keep(b"ab", "g", {0, 1}, a_move)
    assert [recall.find(b"ab", event) for event in "efg"] == [None, None, a_move]
    recall.keep(b"ab", "h", {0, 1}, a_move)
    assert recall.find(b"ab", "g") is a_move
    recall = Recall(9)
    recall.keep(bytes(60), "e", range(49), a_move)
    assert recall.find(bytes(60), "e") is None
    recall.keep(bytes(60), "e", range(48), a_move)
    assert recall.find(bytes(60), "e") is a_move


def test_a_memory_is_as_large_as_the_machine_is_small() -> None:
    """Some megabytes for each machine: few decisions of a large one, and never too few."""
    small = machine_of(C("a"))
    assert small._memo_size == (1 << 20) // 3
    large = machine_of(*(C(f"a{n}") for n in range(300)))
    assert large._memo_size == (1 << 20) // 302


def test_more_labels_than_a_byte_holds() -> None:
    """A block of so many items has states of numbers: all else is the same."""
    most = machine_of(each(several, C("a"), max_items=191))
    assert isinstance(most.initial.codes, bytes)
    machine = machine_of(each(several, C("a"), max_items=192), P("p"))
    assert isinstance(machine.initial.codes, tuple)
    state = at(machine, "start", "items(a,192)", "done(a[0])")
    assert state["a"] == "192"
    assert state.status is Status.RUNNING
    assert str(state) == "running(a.192 a[0].done a[1].started)"
    back = at(machine, "start", "items(a,1)", "done(a[0])", "rejected(p)")
    assert back.status is Status.COMPENSATING
    for last, status in [
        ("compensated(a[0])", Status.COMPENSATED),
        ("exhausted(a[0])", Status.STUCK),
    ]:
        middle = ["unknown(a[0])"] if status is Status.STUCK else []
        events = ("start", "items(a,1)", "done(a[0])", "rejected(p)", *middle, last)
        assert at(machine, *events).status is status


# ---------------------------------------------------------------------- how it prints


def test_branches_stand_in_braces() -> None:
    """What has moved, in its branch; branches inside branches; what shows nothing is left out."""
    machine = machine_of(
        C("a"), parallel(C("b"), parallel(C("c"), C("d")), Saga("n", C("e"), C("f"))), C("z")
    )
    texts = [
        (("start",), "running(a.started)"),
        (
            ("done(a)",),
            "running(a.done {b.started | {c.started | d.started} | n.running n/e.started})",
        ),
        (
            ("done(b)", "done(c)", "done(d)", "done(n/e)", "done(n/f)"),
            "running(a.done {b.done | {c.done | d.done} | n.done n/e.done n/f.done} z.started)",
        ),
    ]
    events: list[str] = []
    assert str(machine.initial) == "new"
    for more, text in texts:
        events.extend(more)
        assert str(at(machine, *events)) == text


def test_forks_side_by_side() -> None:
    """Two blocks in a row, and two inside a branch, each in its own braces."""
    inner = Saga("n", parallel(C("c"), C("d")), parallel(C("e"), C("f")))
    machine = machine_of(parallel(C("a"), C("b")), parallel(inner, C("g")))
    state = at(machine, "start", "done(a)", "done(b)", "done(n/c)", "done(n/d)")
    assert str(state) == (
        "running({a.done | b.done} {n.running {n/c.done | n/d.done} "
        "{n/e.started | n/f.started} | g.started})"
    )
    # Blocks inside of branches that stand side by side, the first one with a single branch.
    one = each(several, C("a"), max_items=1, concurrent=True)
    machine = machine_of(parallel(one, parallel(C("b"), C("c")), parallel(C("d"), C("e"))))
    state = at(machine, "start", "items(a,1)", "done(b)")
    assert str(state) == (
        "running({a.1 {a[0].started} | {b.done | c.started} | {d.started | e.started}})"
    )
    only = machine_of(C("z"), parallel(C("a"), C("b")))
    halted = at(only, "start", "rejected(z)")
    assert str(halted).startswith("compensated(z.rejected")
    assert "{" not in str(halted)


# ---------------------------------------------------------------------- what is owed


def test_recovery_asks_for_what_is_owed() -> None:
    """Calls and timers in definition order, and no answer that was given already."""
    machine = machine_of(P("p"), parallel(R("r"), R("t")), deadline=9.0)
    state = at(machine, "start", "done(p)", "transient(t)", "cancel")
    assert machine.owed(state) == (SetTimer("@stop"), Call("r"), SetTimer("t"))


def test_what_a_stuck_run_owes() -> None:
    """By path: an undo, a completion, or a question."""
    nested = Saga("n", C("b"), C("c"))
    machine = machine_of(C("a"), nested, C("z", compensation_retry=BOUNDED), C("y"))
    gone = ("start", "done(a)", "done(n/b)", "done(n/c)", "done(z)", "rejected(y)")
    stuck = at(machine, *gone, "unknown(z)", "exhausted(z)")
    assert stuck.unresolved == {
        "a": "compensate",
        "n/b": "compensate",
        "n/c": "compensate",
        "z": "compensate",
    }
    assert at(machine, *gone).unresolved == {}
    whole = Saga("n", C("b"), C("c"), compensate=undo)
    machine = machine_of(C("a"), whole, C("z"), C("y"))
    stuck = at(machine, *gone, "unknown(z)", "exhausted(z)")
    assert stuck.unresolved == {"a": "compensate", "n": "compensate", "z": "compensate"}
    machine = machine_of(C("a"), P("p"), R("r"))
    stuck = at(machine, "start", "done(a)", "done(p)", "rejected(r)")
    assert stuck.unresolved == {"r": "complete"}
    stuck = at(machine, "start", "done(a)", "unknown(p)", "exhausted(p)")
    assert stuck.unresolved == {"p": "query"}
    alarm = at(machine, "start", "done(a)", "rejected(p)", "compensated(a)", "late_done(p)")
    assert alarm.unresolved == {"p": "query"}


def test_an_alarm_after_the_end_owes_nothing_else() -> None:
    """A saga that went through another way keeps what it did: only the late effect is undone."""
    machine = machine_of(alternatives(C("a"), C("b")), C("c"))
    alarm = at(machine, "start", "rejected(a)", "done(b)", "done(c)", "late_done(a)")
    assert alarm.status is Status.STUCK
    assert alarm.unresolved == {"a": "compensate"}


def test_a_chooser_of_the_tail_has_to_be_completed() -> None:
    """Behind the pivot a choice that cannot be made is owed."""
    machine = machine_of(P("p"), choice(chooser, yes=R("r"), otherwise=SKIP, name="x"))
    stuck = at(machine, "start", "done(p)", "chooser_failed(x)")
    assert stuck.unresolved == {"x": "complete"}


def test_two_automata_of_one_name_are_no_machine() -> None:
    """A layout that names two things alike is refused, with the name."""
    layout = lay_out(Saga("s", C("c"), C("b"), C("a")))
    root = layout.root
    twice = attrs.evolve(root, body=(*root.body, root.body[1], root.body[0]))
    with pytest.raises(DuplicateStepError) as caught:
        compile_layout(attrs.evolve(layout, root=twice))
    assert (caught.value.saga, caught.value.step) == ("s", "b")
