"""Several sagas at once: each anomaly with its shortest run, and what removes it."""

from __future__ import annotations

import json
from typing import Any, cast

import attrs
import pytest

from saga_fsm import (
    GUARDED,
    SKIP,
    Path,
    Retry,
    Saga,
    check,
    choice,
    draw,
    each,
    parallel,
    pivot,
    readonly,
    retriable,
    step,
)
from saga_fsm.checker import interference
from saga_fsm.checker._clashes import Clash, Together, Trial
from saga_fsm.checker._remedies import ISOLATION, NotApplicableError, steps_of
from saga_fsm.checker._together import check_together
from saga_fsm.errors import DefinitionError
from saga_fsm.examples.order import saga as order
from saga_fsm.examples.transfer import saga as transfer
from tests.benchmarks.conc import SAGA, UNLOCKED, conc
from tests.reference import act, chooser, several, undo


ALL = (
    "semantic lock",
    "commutative updates",
    "pessimistic view",
    "reread value",
    "version file",
    "by value",
)


def C(name: str, **options: Any) -> Any:
    """Make a compensatable step."""
    return step(act, name=name, compensate=undo, **options)


def P(name: str, **options: Any) -> Any:
    """Make a pivot."""
    return pivot(act, name=name, **options)


def R(name: str, **options: Any) -> Any:
    """Make a retriable step."""
    return retriable(act, name=name, **options)


def O(name: str, **options: Any) -> Any:  # noqa: E743 - the notation of the specification
    """Make a read-only step."""
    return readonly(act, name=name, **options)


def S(name: str, *blocks: Any, **options: Any) -> Saga[Any, Any]:
    """Make a saga whose participants keep everything."""
    """Make a read-only step."""
    return Saga(name, *blocks, contract=GUARDED, **options)


def tokens(clash: Clash) -> list[str]:
    """The moves of its run."""
    return [move.token for move in clash.path.moves]


def trial(clash: Clash, name: str) -> Trial:
    """What came of one countermeasure."""
    return next(one for one in clash.trials if one.name == name)


def rules(together: Together) -> set[str]:
    """What went wrong."""
    return {clash.rule for clash in together.clashes}


# ---------------------------------------------------------------- lost update, by an undo

RESERVE = S("reserve", C("take", writes="stock"), P("ship"))


def test_an_undo_that_puts_back_what_it_found_loses_what_another_wrote() -> None:
    """A takes, B takes, A gives back as it was before: what B took is on the shelf again."""
    together = check_together(RESERVE, instances=2)
    [clash] = together.clashes
    assert (clash.rule, clash.level, clash.resource) == ("lost update", "error", "stock")
    assert clash.steps == ("reserve#1/take", "reserve#2/take")
    assert len(clash.path) == 6
    assert tokens(clash)[-1] == "compensated(reserve#1/take)"
    assert "done(reserve#2/take)" in tokens(clash)
    assert together.verdict == "unsafe"
    assert not together.ok


def test_each_countermeasure_is_tried_on_a_lost_update() -> None:
    """Looking again does not help against an undo, which cannot refuse; the others do."""
    [clash] = check_together(RESERVE, instances=2).clashes
    assert tuple(one.name for one in clash.trials) == ALL
    assert clash.removed_by == tuple(name for name in ALL if name != "reread value")
    left = trial(clash, "reread value")
    assert left.removes is False
    assert left.path is not None
    assert left.path.moves[-1].token.startswith("compensated(")


@pytest.mark.parametrize(
    "mended",
    [
        S("reserve", C("take", writes="stock", locks="stock"), P("ship"), R("free", locks="stock")),
        S("reserve", C("take", writes="stock", commutes_with="stock"), P("ship")),
        S("reserve", P("ship"), R("take", writes="stock")),
    ],
    ids=["semantic lock", "commutative updates", "pessimistic view"],
)
def test_what_removes_a_lost_update_does_so_when_it_is_written_down(mended: Any) -> None:
    """The definition that the checker tried, written by hand, is safe beside itself."""
    together = check_together(mended, instances=2)
    assert together.ok, str(together)
    assert not together.clashes


def test_two_writes_commute_only_where_both_steps_say_so() -> None:
    """One that adds and one that sets a sum: the undo of either loses what the other wrote."""
    other = S("count", C("set", writes="stock"), P("p"))
    adds = S("reserve", C("take", writes="stock", commutes_with="stock"), P("ship"))
    assert rules(check_together(adds, against=[other])) == {"lost update"}


# ---------------------------------------------------------------- lost update, by a write

CREATE = S("create", C("open", writes="order"), P("ship"), R("approve", writes="order"))
CANCEL = S("cancel", P("close", reads="order", writes="order"))


def test_a_write_over_what_was_not_read_loses_it() -> None:
    """Richardson's two: an order is cancelled while it is made, and approved at the end."""
    together = check_together(CREATE, against=[CANCEL])
    by_write = [x for x in together.clashes if x.steps == ("create/approve", "cancel/close")]
    assert [clash.rule for clash in by_write] == ["lost update"]
    assert tokens(by_write[0]) == [
        "start(create)",
        "done(create/open)",
        "done(create/ship)",
        "start(cancel)",
        "done(cancel/close)",
        "done(create/approve)",
    ]
    assert "reread value" in by_write[0].removed_by
    assert "semantic lock" in by_write[0].removed_by


def test_a_write_that_reads_first_loses_nothing() -> None:
    """Who reads and writes in one local transaction has seen what he overwrites."""
    reads = S("create", P("ship", writes="order"), R("approve", reads="order", writes="order"))
    assert not check_together(reads, against=[CANCEL]).clashes


def test_a_blind_write_that_is_the_first_look_is_just_a_later_one() -> None:
    """Set and set again, by runs that know nothing of each other: as if one after the other."""
    assert not check_together(S("set", P("p", writes="x")), instances=2).clashes


# ---------------------------------------------------------------- dirty read

LIMIT = S("limit", C("take", writes="credit"), P("ship"))
OFFER = S("offer", O("look", reads="credit"), P("send"))


def test_a_run_that_completes_on_what_was_undone_has_read_dirty() -> None:
    """B looks at the credit that A has taken, A gives it back, B's offer stands."""
    [clash] = check_together(LIMIT, against=[OFFER]).clashes
    assert (clash.rule, clash.level) == ("dirty read", "error")
    assert clash.steps == ("offer/look", "limit/take")
    assert {"done(offer/look)", "done(offer/send)", "compensated(limit/take)"} <= {*tokens(clash)}
    assert clash.removed_by == ("semantic lock", "pessimistic view", "version file", "by value")
    assert trial(clash, "commutative updates").removes is False
    # He looked once; what he would see if he looked again, nobody asks.
    assert trial(clash, "reread value").removes is False


def test_a_run_that_turns_back_too_has_read_nothing_dirty() -> None:
    """What was read and what came of it are both undone: nobody is the worse for it."""
    fails = S("offer", C("look", reads="credit"), C("send"))
    found = check_together(LIMIT, against=[fails])
    assert all(f"done({x.steps[0]})" in tokens(x) for x in found.clashes)
    assert all("offer: completed" in x.path.moves[-1].state for x in found.clashes)


def test_what_a_pivot_has_written_is_not_dirty() -> None:
    """It is never undone."""
    assert not check_together(S("set", P("p", writes="credit")), against=[OFFER]).clashes


# ---------------------------------------------------------------- fuzzy read

REPORT = S("report", O("first", reads="price"), O("again", reads="price"))
UPDATE = S("update", P("set", writes="price"))


def test_two_looks_that_differ_are_a_fuzzy_read() -> None:
    """A warning: the run may still turn back, or go by the later value."""
    together = check_together(REPORT, against=[UPDATE])
    [clash] = together.clashes
    assert (clash.rule, clash.level) == ("fuzzy read", "warning")
    assert tokens(clash)[-1] == "done(report/again)"
    assert len(clash.path) == 5
    assert clash.removed_by == ("reread value", "by value")
    assert together.verdict == "safe"


def test_what_is_written_and_taken_back_between_two_looks_is_as_it_was() -> None:
    """Made and undone between them changes nothing; half of it does."""
    [clash] = [
        x
        for x in check_together(REPORT, against=[S("try", C("set", writes="price"))]).clashes
        if x.rule == "fuzzy read"
    ]
    between = tokens(clash)[tokens(clash).index("done(report/first)") :]
    moved = [x for x in between if x.endswith("done(try/set)") or "compensated" in x]
    assert len(moved) == 1


# ---------------------------------------------------------------- locks


def test_a_lock_that_is_let_go_keeps_two_runs_apart() -> None:
    """Two runs of four steps on two resources with semantic locks: no anomaly, exactly counted."""
    together = check_together(SAGA, instances=2)
    assert together.ok
    assert (together.states, together.transitions) == (812, 1_906)
    assert together.shared == ("credit", "stock")
    unlocked = check_together(UNLOCKED, instances=2, countermeasures=False)
    assert rules(unlocked) == {"lost update", "dirty read", "fuzzy read"}


def test_a_lock_that_nobody_lets_go_is_found_with_what_would() -> None:
    """I11: completed, and still holding; a last retriable that names it removes that."""
    [clash] = check_together(S("keep", C("take", locks="x"), P("p")), instances=2).clashes
    assert (clash.rule, clash.level, clash.steps) == ("I11", "error", ("keep#1/take",))
    assert clash.removed_by == ("release",)
    assert "keep#1: completed" in clash.path.moves[-1].state


def test_a_lock_is_held_until_the_last_step_that_took_it_is_undone() -> None:
    """A second step of the run names it again: the undo of that alone lets nobody in."""
    twice = S("a", C("one", locks="x", writes="x"), C("two", locks="x"), P("p"), R("r", locks="x"))
    other = S("b", P("q", locks="x", reads="x", writes="x"))
    assert check_together(twice, against=[other]).ok


ONE = S("one", C("a", locks="x"), C("b", locks="y"), R("end", locks=("x", "y")))
TWO = S("two", C("a", locks="y"), C("b", locks="x"), R("end", locks=("x", "y")))


def test_two_locks_in_opposite_order_are_a_deadlock() -> None:
    """Each waits for what the other holds, for ever; taking both at once removes it."""
    [clash] = check_together(ONE, against=[TWO]).clashes
    assert (clash.rule, clash.level, clash.resource) == ("deadlock", "error", "x, y")
    assert tokens(clash) == ["start(one)", "done(one/a)", "start(two)", "done(two/a)"]
    assert "lock x: free > one" in str(check_together(ONE, against=[TWO])).replace("\xa0", " ")
    assert clash.removed_by == ("all locks at once", "by value")


def test_locks_in_one_order_are_no_deadlock() -> None:
    """Two runs of one saga take them in its order."""
    assert check_together(ONE, instances=2).ok


def test_three_runs_can_wait_in_a_circle() -> None:
    """Of any two of them none waits for the other for ever."""

    def saga(name: str, first: str, then: str) -> Any:
        return S(name, C("a", locks=first), C("b", locks=then), R("end", locks=(first, then)))

    circle = [saga("p", "x", "y"), saga("q", "y", "z"), saga("r", "z", "x")]
    together = check_together(circle[0], against=circle[1:], countermeasures=False)
    [clash] = together.clashes
    assert (clash.rule, len(clash.steps)) == ("deadlock", 3)
    assert check_together(circle[0], against=circle[1:2]).ok
    assert interference(circle).circles == (("x", "y", "z"),)


@pytest.mark.parametrize(
    ("options", "level"),
    [
        ({}, "error"),
        ({"timeout": 1.0}, "warning"),
        ({"timeout": 1.0, "retry": Retry.forever()}, "error"),
    ],
    ids=["no timeout", "timeout", "timeout, again for ever"],
)
def test_a_deadlock_that_time_ends_is_a_warning(options: dict[str, Any], level: str) -> None:
    """Where the attempts of one are bounded in time, both turn back at last."""
    waits = S("two", C("a", locks="y"), C("b", locks="x", **options), R("end", locks=("x", "y")))
    [clash] = check_together(ONE, against=[waits]).clashes
    assert clash.level == level
    late = attrs.evolve(TWO, deadline=60.0)
    assert [x.level for x in check_together(ONE, against=[late]).clashes] == ["warning"]


# ---------------------------------------------------------------- blocks


def test_the_undo_of_a_whole_saga_undoes_the_writes_in_it() -> None:
    """Its pivot's write too: who wrote after it has lost that."""
    inner = Saga("trip", P("book", writes="seats"), compensate=undo)
    found = check_together(S("tour", inner, C("pay")), against=[S("b", P("q", writes="seats"))])
    [clash] = [x for x in found.clashes if x.rule == "lost update"]
    assert clash.steps == ("tour/trip/book", "b/q")
    assert tokens(clash)[-1] in {"compensated(tour/trip)", "~undone(tour/trip)"}
    assert "pessimistic view" not in clash.removed_by


def test_steps_in_every_kind_of_block_are_changed_by_a_countermeasure() -> None:
    """Branches, choices, copies and nested sagas: the writes in all of them are made to commute."""
    inner = Saga("inner", C("e", writes="x"))
    saga = S(
        "all",
        choice(chooser, yes=C("c", writes="x"), otherwise=SKIP),
        parallel(each(several, C("f", writes="x"), max_items=1), inner.given(act)),
    )
    remedy = next(one for one in ISOLATION if one.name == "commutative updates")
    [changed] = remedy.change([saga], "x").sagas
    assert [one.commutes_with for one in steps_of(changed)] == [("x",)] * 3
    assert str(changed) == str(saga)
    with pytest.raises(NotApplicableError, match="in place"):
        remedy.change([changed], "x")


# ---------------------------------------------------------------- the examples


def declared(saga: Any, **names: Any) -> Any:
    """The same saga, some steps with resources."""
    blocks = [
        attrs.evolve(block, **names[block.name]) if block.name in names else block
        for block in saga.blocks
    ]
    return attrs.evolve(saga, blocks=tuple(blocks))


def without(saga: Any, *options: str) -> Any:
    """The same saga, no step of which has these declarations."""
    blocks = [attrs.evolve(block, **dict.fromkeys(options, ())) for block in saga.blocks]
    return attrs.evolve(saga, blocks=tuple(blocks))


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("saga", "shared"),
    [(order, ("purses", "set aside", "shelf", "till")), (transfer, ("accounts",))],
    ids=["order", "transfer"],
)
def test_two_runs_of_an_example_meet_and_are_safe_as_amounts(saga: Any, shared: Any) -> None:
    """Amounts that are added and taken commute; as balances that are set, writes are lost."""
    together = check(saga, instances=2).together
    assert together is not None
    assert (together.verdict, together.shared, together.clashes) == ("safe", shared, ())
    assert together.states > 0
    balances = without(saga, "commutes_with")
    found = check_together(balances, instances=2)
    assert rules(found) == {"lost update"}
    assert all("commutative updates" in clash.removed_by for clash in found.clashes)
    assert interference([saga]).ok
    assert not interference([balances]).ok


@pytest.mark.parametrize("saga", [order, transfer], ids=lambda one: one.name)
def test_a_saga_that_declares_nothing_is_told_that_nothing_was_looked_for(saga: Any) -> None:
    """A green report that could not be red says so."""
    together = check_together(without(saga, "writes", "commutes_with"), instances=2)
    assert together.verdict == "safe"
    [note] = together.findings
    assert (note.rule, note.level) == ("nothing shared", "warning")
    assert "writes=" in note.message
    assert together.states == 0


def test_two_orders_that_look_at_one_shelf() -> None:
    """Who looks at the shelf while another may still put back has read dirty; a lock helps."""
    adds = {"reads": "stock", "writes": "stock", "commutes_with": "stock"}
    bare = without(order, "writes", "commutes_with")
    together = check_together(declared(bare, reserve_stock=adds), instances=2)
    [clash] = together.clashes
    assert clash.rule == "dirty read"
    assert "semantic lock" in clash.removed_by


# ---------------------------------------------------------------- reports


def test_a_report_on_several_runs_is_drawn_by_their_run() -> None:
    """The counterexample is on no machine of one saga: each state says which run has moved."""
    report = check(RESERVE, instances=2)
    assert report.verdict == "unsafe"
    source = draw(report).source
    assert "counterexample" in source
    assert ">reserve#1: running<" in source
    assert ">reserve#2: running<" in source
    assert "@saga" not in source.partition("state-0")[2]


def test_a_path_of_several_runs_prints_all_states_and_replays_as_text() -> None:
    """The states stand side by side, and the short text keeps every token."""
    [clash] = check_together(RESERVE, instances=2).clashes
    assert (
        clash.path.moves[1].state == "{reserve#1: running(take.done ship.started) | reserve#2: new}"
    )
    again = Path.decode(clash.path.encode())
    assert [move.token for move in again.moves] == tokens(clash)
    assert again.saga == "reserve#1,reserve#2"


def test_text_and_json_name_what_was_tried() -> None:
    """What removes the anomaly, what does not, and the run that is left."""
    together = check_together(RESERVE, instances=2)
    text = str(together)
    assert "reserve#1, reserve#2: unsafe" in text
    assert "removed by: semantic lock, commutative updates" in text
    assert "not by: reread value" in text
    assert "crash" in text
    found = json.loads(together.to_json())
    [clash] = found["clashes"]
    assert clash["removed_by"] == [name for name in ALL if name != "reread value"]
    assert [x["path"] is None for x in clash["trials"]] == [name != "reread value" for name in ALL]
    assert Path.decode(clash["path"]).events[-1] == "compensated(reserve#1/take)"
    [finding] = together.findings
    assert "Removed by: semantic lock" in finding.message


def test_a_countermeasure_that_does_other_harm_is_not_said_to_remove() -> None:
    """A lock that would be waited for in a circle with one that is there."""
    one = S("one", C("a", locks="x"), C("b", writes="y"), R("r", locks="x"))
    two = S("two", C("a", writes="y"), C("b", locks="x"), R("r", locks="x"))
    clash = check_together(one, against=[two]).clashes[0]
    assert clash.rule == "lost update"
    locked = trial(clash, "semantic lock")
    assert (locked.removes, locked.brings) == (True, ("deadlock on 'x, y'",))
    assert "semantic lock" not in clash.removed_by


def test_a_limit_makes_it_incomplete_and_never_safe() -> None:
    """What was found until then stays found."""
    together = check_together(SAGA, instances=2, limit=100)
    assert (together.verdict, together.ok, together.complete) == ("incomplete", False, False)
    assert "cut short" in str(together)


def test_an_interrupt_gives_what_was_found() -> None:
    """Ctrl-C during the search or a trial: the clashes until then, and no verdict of safety."""

    def stop(*_counts: int) -> None:
        raise KeyboardInterrupt

    together = check_together(UNLOCKED, instances=3, progress=stop)
    assert together.interrupted
    assert not together.ok
    assert together.clashes
    assert not any(clash.trials for clash in together.clashes)


@pytest.mark.parametrize(
    "wrong",
    [
        {"instances": 1},
        {"instances": 0, "against": [RESERVE]},
        {"instances": 2, "limit": 0},
        {"against": [S("reserve", C("other"))]},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    """Fewer than two runs, no states, two sagas of one name: a ValueError with the remedy."""
    with pytest.raises(ValueError, match="\n  "):
        check_together(RESERVE, **wrong)
    with pytest.raises(DefinitionError):
        check_together(RESERVE, against=[act])  # type: ignore[list-item]


def test_the_table_of_a_registry_reads_as_a_table() -> None:
    """Rows suffer, columns do it; brackets are kept away by a lock; a silent saga is named."""
    locked = S("see", O("first", reads="order", locks="desk"), P("p", locks="desk"))
    opened = S("open", C("open", writes="order", locks="desk"), R("done", locks="desk"))
    assert str(interference([CREATE, CANCEL, opened, locked])).splitlines() == [
        "        by create                       by cancel  by open                         by see",
        "create  order: lost update              -          order: lost update              -",
        "cancel  order: lost update, dirty read  -          order: dirty read, lost update  -",
        "open    order: lost update              -          order: (lost update)            -",
        "see     order: dirty read               -          order: (dirty read)             -",
        "a row's saga is harmed by a column's; in brackets: a semantic lock keeps them apart",
        "dirty window of 'order' in create: open, ship",
        "dirty window of 'order' in open: open",
    ]
    assert str(interference([S("mute", C("a"))])).splitlines()[-1] == (
        "of mute nothing can be said: no step of it names a resource in reads=, writes= or locks="
    )


def test_a_registry_is_fine_where_locks_keep_all_apart() -> None:
    """A meeting without a lock is a risk, and so is a circle of locks without a meeting."""
    opened = S("open", C("open", writes="order", locks="desk"))
    assert interference([opened]).ok
    assert not interference([opened, CREATE]).ok
    assert not interference([ONE, TWO]).ok
    assert not interference([ONE, TWO]).meetings


def test_what_is_no_saga_or_has_a_name_twice_is_refused() -> None:
    """What is found is said by the names; the same saga twice is one."""
    with pytest.raises(DefinitionError, match="not a saga"):
        interference([CREATE, cast("Any", "saga")])
    with pytest.raises(ValueError, match="two different sagas are named 'create'"):
        interference([CREATE, S("create", C("a"))])
    assert interference([CREATE, CREATE]).sagas == ("create",)


def test_conc_is_one_network_of_so_many_runs() -> None:
    """The family that engines are compared on: each run's machine is a part of it."""
    network = conc(3, watched=False)
    assert [part.name for part in network.parts] == ["conc#1", "conc#2", "conc#3"]
    assert {field.name for field in network.fields} >= {"~lock stock", "conc#2/charge"}
    assert conc(2, faults="answers", locked=False).parts
    with pytest.raises(ValueError, match="faults"):
        conc(2, faults="none")
