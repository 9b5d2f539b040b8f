"""What a report says: under what it holds, in words and as JSON; how far a search is; its end."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from saga_fsm import Contract, Path, Saga, check, compile_saga, each, parallel, retriable
from saga_fsm.checker import NeverTaken, Report
from saga_fsm.properties import termination
from tests.reference import BOUNDED, GUARDED, REFERENCES, C, P, R, act, ask, several, undo


CALM = Contract(idempotent=True)
WEAK = {
    "bare": Saga("bare", C("charge"), C("ship"), P("pay")),
    "beside": Saga("beside", parallel(C("a"), C("b")), contract=Contract(idempotent=True)),
    "order": Saga("order", C("reserve"), P("charge"), R("ship"), contract=CALM),
    "copies": Saga("copies", each(several, C("pick"), max_items=2), P("pay", query=ask)),
    "nested": Saga("nested", Saga("trip", C("hotel"), P("flight"), compensate=undo), C("card")),
}
each_weak = pytest.mark.parametrize("saga", WEAK.values(), ids=list(WEAK))


def plain(saga: Saga[Any, Any], **options: Any) -> Any:
    """The JSON of a check, read."""
    return json.loads(check(saga, **options).to_json())


# ---------------------------------------------------------------------- under what it holds


def test_text_and_json_name_what_a_verdict_rests_on() -> None:
    """Engine, faults, bounds, copies and fairness are in the text and in the JSON."""
    saga = Saga("s", each(several, C("a"), max_items=2), P("p"), contract=GUARDED)
    text, json_ = str(check(saga, limit=5_000)), plain(saga, limit=5_000)
    assert json_["bounds"] == [
        "at most 5,000 states",
        "every number of attempts",
        "a: 0 to 2 items",
    ]
    assert json_["engine"] == "scout, state by state"
    assert {"crash", "second_owner", "late", "duplicate"} <= set(json_["faults"])
    words = " ".join(text.split())
    for said in [json_["engine"], json_["fairness"], *json_["bounds"], *json_["faults"]]:
        assert said in words


def test_the_json_is_whole() -> None:
    """Schema number, verdict, what was explored, and what is required, step by step."""
    json_ = plain(Saga("s", C("a"), P("p"), contract=GUARDED))
    assert json_["schema"] == 1
    assert json_["ok"] is True
    assert (json_["states"], json_["transitions"], json_["depth"]) == (157, 434, 9)
    assert json_["required"] == {
        "a": {"idempotent": True, "sticky": False, "fenced": True},
        "p": {"idempotent": True, "sticky": True, "fenced": False},
    }
    assert json_["missing"] == {}
    assert json_["interrupted"] is False


@each_weak
def test_each_missing_promise_has_a_run_in_the_json(saga: Saga[Any, Any]) -> None:
    """``missing`` has, by step and promise, a run that replays on the saga's own machine."""
    report = check(saga)
    json_ = json.loads(report.to_json())
    assert {step: set(runs) for step, runs in json_["missing"].items()} == report.missing
    assert json_["missing"]
    for runs in json_["missing"].values():
        for run in runs.values():
            path = Path.decode(run)
            assert path.fingerprint == json_["fingerprint"]
            moves = compile_saga(saga).replay(path)
            assert all(move.ignored is None for move in moves)


def test_a_missing_promise_is_shown_in_the_world_that_is_declared() -> None:
    """The run for ``fenced`` breaks no promise that the step does make."""
    contract = Contract(idempotent=True, sticky=True)
    (run,) = plain(Saga("s", C("a"), contract=contract))["missing"]["a"].values()
    tokens = [move.token for move in Path.decode(run).moves]
    assert tokens == ["start", "transient(a)", "compensated(a)", "~lands(a)"]


def test_a_search_cut_short_still_shows_missing_promises() -> None:
    """A breach beyond the limit, of a promise that is not made, is a breach."""
    saga = Saga("s", C("a"), C("b"), C("c"), P("p"), contract=CALM)
    cut = check(saga, limit=10)
    assert cut.states < check(saga).states
    assert cut.verdict == "unsafe"
    assert any("must promise to be fenced" in one.message for one in cut.findings)


# ---------------------------------------------------------------------- in words


@each_weak
def test_counterexamples_read_and_replay(saga: Saga[Any, Any]) -> None:
    """Each is printed with a text that replays, and says what changed and nothing else."""
    report = check(saga)
    machine = compile_saga(saga)
    runs = [line.partition("replay: ")[2] for line in str(report).splitlines() if "replay:" in line]
    assert runs
    for run in runs:
        assert all(move.ignored is None for move in machine.replay(Path.decode(run)))
    for path in (one.path for one in report.findings if one.path is not None):
        assert Path.decode(path.encode()).events == path.events
        before = machine.initial
        for move in path.moves:
            after = machine.step(before, move.token).state if move.is_event else before
            moved = {x for x in machine.index if before[x] != after[x]}
            told = {what for what, _, _ in move.changes if not what.endswith("'s participant")}
            assert told == moved
            assert all(was != now for _, was, now in move.changes)
            assert move.says
            before = after


def test_a_run_in_words() -> None:
    """A run is numbered, in the saga's words, with what changed, and its text."""
    report = check(Saga("shop", C("charge"), contract=Contract(idempotent=True, sticky=True)))
    lines = str(report).splitlines()
    first = next(number for number, line in enumerate(lines) if "must promise" in line)
    run = next(x for x, line in enumerate(lines) if x > first and line.startswith("    1  "))
    assert [" ".join(line.split()) for line in lines[run : run + 5]] == [
        "1 the run starts @saga: pending > running, charge: pending > started",
        "2 charge fails for now @saga: running > undoing, charge: started > compensating",
        "3 charge is undone @saga: undoing > compensated, charge: compensating > compensated",
        "4 a copy of charge lands charge's participant: none > landed",
        (
            f"replay: shop:{report.fingerprint} start transient(charge) compensated(charge) "
            "~lands(charge)"
        ),
    ]
    assert max(map(len, lines[:run])) <= 102


def test_equal_findings_are_one_line_of_text_and_each_one_in_json() -> None:
    """W8 of three steps is said once, of all three; the JSON has three findings."""
    saga = Saga("s", C("charge"), C("ship"), C("bill"))
    lines = [line for line in str(check(saga)).splitlines() if " W8" in line]
    assert len(lines) == 1
    assert lines[0].startswith("  warning W8 charge, ship, bill: each may be unknown")
    found = [one for one in plain(saga)["findings"] if one["rule"] == "W8"]
    assert [one["step"] for one in found] == ["charge", "ship", "bill"]
    assert all(f"'{one['step']}'" in one["message"] for one in found)


def test_one_finding_keeps_its_own_words() -> None:
    """A finding that nobody shares names its step in the sentence."""
    text = str(check(Saga("s", C("charge"), contract=GUARDED)))
    assert "warning W11: 'charge' has no timeout and the saga no deadline" in text


# ---------------------------------------------------------------------- rows never taken


def rows_of(report: Report) -> dict[str, str]:
    """Reason by row."""
    return {one.row: one.reason for one in report.never_taken}


def test_rows_never_taken_are_listed_with_their_reasons() -> None:
    """Each row of the table is taken, or listed with a reason; deadline's are cancel's."""
    saga = Saga("s", C("a"), contract=GUARDED)
    report = check(saga)
    weak = "only where a participant breaks its promise"
    assert rows_of(report) == {
        "transient(a) | a=compensating | a:=compensation_waiting": (
            "it does what unknown(a) does there, which is searched"
        ),
        "late_done(a) | a=rejected | a:=alarm": weak,
        "retry(a) | a=alarm | a:=compensating": weak,
        "resolve(a,compensated) | a=alarm | a:=compensated": weak,
        "resolve(a,not_landed) | a=alarm | a:=rejected": "no honest operator says so there",
    }
    (finding,) = [one for one in report.findings if one.rule == "never taken"]
    assert finding.level == "info"
    assert finding.message.startswith("5 of the table's 26 rows are never taken")
    assert "deadline does what cancel does" in finding.message
    assert plain(saga)["never_taken"] == [
        {"row": row, "reason": reason} for row, reason in rows_of(report).items()
    ]


def test_a_row_that_only_broken_promises_take_is_taken_there() -> None:
    """The reason is true: without the promise the row is not among those never taken."""
    row = "late_done(p) | p=rejected | p:=alarm"
    assert "breaks its promise" in rows_of(check(Saga("s", P("p"), contract=GUARDED)))[row]
    assert row not in rows_of(check(Saga("s", P("p"), contract=CALM)))


def test_every_other_row_is_taken() -> None:
    """No reference saga has a row that is never taken and has no reason."""
    for reference in REFERENCES:
        if reference.machine[0] < 600:
            saga = reference.make()
            listed = rows_of(check(saga))
            rows = {str(row) for row in compile_saga(saga).rows}
            assert set(listed) <= rows
            assert all(listed.values())
            assert len(listed) < len(rows) / 2


def test_a_dead_branch_is_seen() -> None:
    """What a retriable that is never given up owes an operator is reached by no run."""
    forever = rows_of(check(Saga("s", R("r"), contract=GUARDED)))
    assert forever["retry(r) | r=stuck | r:=restarted"] == "no run comes to r=stuck"
    bounded = rows_of(check(Saga("s", retriable(act, name="r", retry=BOUNDED), contract=GUARDED)))
    assert "retry(r) | r=stuck | r:=restarted" not in bounded


def test_nothing_is_said_of_rows_when_the_search_was_cut_short() -> None:
    """A row that was not met yet is not called never taken."""
    report = check(REFERENCES[2].make(), limit=50)
    assert report.never_taken == ()
    assert not [one for one in report.findings if one.rule == "never taken"]
    assert "cut short: there are more than 50 states" in str(report)
    json_ = json.loads(report.to_json())
    assert (json_["never_taken"], json_["complete"]) == (None, False)


def test_a_nested_sagas_deadline_is_searched() -> None:
    """It turns back the nested saga alone, which no cancel does."""
    saga = Saga("s", Saga("n", C("a"), deadline=5.0), contract=GUARDED)
    assert not [row for row in rows_of(check(saga)) if row.startswith("deadline(n)")]


# ---------------------------------------------------------------------- how far, and its end


WIDE = parallel(C("a"), C("b"), C("c"))


def test_progress_is_told_now_and_then() -> None:
    """An observer hears growing numbers, every few thousand states; the counts stay the same."""
    told: list[tuple[int, int, int, int]] = []
    saga = Saga("s", WIDE, contract=GUARDED)
    report = check(saga, progress=lambda *so_far: told.append(so_far))
    assert report.states == 28_858
    assert 3 <= len(told) <= report.states / 1_000
    assert told == sorted(told, key=lambda one: one[:2])
    for states, transitions, frontier, depth in told:
        assert frontier < states <= report.states
        assert 0 < depth <= report.depth
        assert transitions <= report.transitions
    assert check(saga) == report


def interrupt(*so_far: int) -> None:
    """Do as a user who has waited long enough."""
    signal.raise_signal(signal.SIGINT)


def test_an_interrupted_search_is_a_report() -> None:
    """What was explored is said; the verdict is incomplete and says why, in text and JSON."""
    report = check(Saga("s", WIDE, contract=GUARDED), progress=interrupt)
    assert (report.verdict, report.ok, report.interrupted) == ("incomplete", False, True)
    assert 4_000 < report.states < 28_858
    assert "interrupted" in str(report)
    json_ = json.loads(report.to_json())
    assert json_["interrupted"] is True
    assert json_["required"] is json_["missing"] is json_["never_taken"] is None


def test_an_interrupted_search_keeps_what_it_found() -> None:
    """A breach that was found before the interrupt is one; nothing more is searched then."""
    report = check(Saga("s", WIDE), progress=interrupt)
    assert (report.verdict, report.interrupted) == ("unsafe", True)
    assert any(one.path is not None for one in report.findings)


def test_an_interrupt_while_promises_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second search may be interrupted too: then the report has what the first one found."""
    monkeypatch.setattr("saga_fsm.checker._weakest.first_breach", interrupt)
    report = check(Saga("s", C("a"), contract=CALM))
    assert (report.verdict, report.interrupted) == ("unsafe", True)


def test_never_taken_is_a_value() -> None:
    """Rows never taken are plain values that compare."""
    saga = Saga("s", C("a"), contract=GUARDED)
    assert check(saga).never_taken == check(saga).never_taken
    assert isinstance(check(saga).never_taken[0], NeverTaken)


def test_a_memory_limit_ends_the_search_and_is_said() -> None:
    """A search that has no more room is incomplete, says so, and what would help."""
    saga = Saga("wide", parallel(*(C(name) for name in "abcd")), contract=GUARDED)
    report = check(saga, memory=2_000_000, engine="explicit")
    assert (report.verdict, report.short_of, report.complete) == ("incomplete", "memory", False)
    assert "takes more than 2,000,000 bytes; a larger memory= goes on" in str(report)
    assert check(saga, limit=3_000, engine="scout").short_of == "states"


def test_one_where_several_may_be_is_refused_with_the_list_to_give() -> None:
    """A property or a saga by itself is a slip that everybody makes once."""
    wrong: Any = termination()
    with pytest.raises(TypeError, match=r"Give a list: properties=\[...\]"):
        check(WEAK["bare"], properties=wrong)
    wrong = WEAK["order"]
    with pytest.raises(TypeError, match=r"Give a list: against=\[...\]"):
        check(WEAK["bare"], against=wrong)
