"""``audit``: the first entry that the machine does not allow, and what it would have allowed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from saga_fsm import GUARDED, Contract, Path, Saga, audit, check, compile_saga, run
from saga_fsm.journals.memory import MemoryJournal
from saga_fsm.path import PathMove
from tests.reference import C, P


SAGA = Saga("s", C("a"), P("p"), contract=GUARDED)
MACHINE = compile_saga(SAGA)


def test_a_run_follows_its_machine_however_it_is_given() -> None:
    """The outcome's path, its text, the journal's entries, the events."""
    journal = MemoryJournal()
    outcome = run(SAGA, run_id="r", journal=journal)
    for recorded in (outcome.path, outcome.path.encode(), journal.read("r"), outcome.events):
        found = audit(SAGA, recorded)
        assert (found.ok, found.position) == (True, None)
        assert found.state == "completed(a.done p.done)"
    assert "all 3 entries follow the machine" in str(audit(MACHINE, outcome.path))


def test_a_counterexample_follows_the_machine() -> None:
    """What the world does between two events the machine does not see."""
    weak = Saga("s", C("a"), P("p"), contract=Contract(idempotent=True, sticky=True))
    paths = [finding.path for finding in check(weak).findings if finding.path]
    assert paths
    assert all(audit(weak, path).ok for path in paths)
    assert any(not move.is_event for path in paths for move in path.moves)


@pytest.mark.parametrize(
    ("events", "position", "reason"),
    [
        (["done(a)"], 1, "not started"),
        (["start", "start"], 2, "already started"),
        (["start", "done(b)"], 2, "no such event"),
        (["start", "done(a)", "done(p)", "done(p)"], 4, "already decided"),
        (["start", "done(a)", "done(p)", "cancel"], 4, "already turning back or ended"),
    ],
)
def test_the_first_entry_that_does_not_follow_is_named(
    events: list[str], position: int, reason: str
) -> None:
    """With its place, the machine's reason, the state before it, and what was allowed there."""
    found = audit(SAGA, events)
    assert (found.ok, found.position, found.entry) == (False, position, events[position - 1])
    assert reason in found.reason
    states = [MACHINE.initial, *(move.state for move in MACHINE.replay(events[: position - 1]))]
    assert found.state == str(states[-1])
    allowed = [x for x in MACHINE.events if MACHINE.step(states[-1], x).ignored is None]
    assert list(found.allowed) == allowed
    assert json.loads(found.to_json())["position"] == position


def test_a_recorded_state_that_is_another_one_is_found() -> None:
    """The event is allowed, and what was written down after it is wrong."""
    moves = (PathMove("start"), PathMove("done(a)", state="running(a.started)"))
    found = audit(SAGA, Path("s", MACHINE.fingerprint, moves))
    assert found.position == 2
    assert "recorded as running(a.started), and it leads to running(a.done" in found.reason


def test_a_path_of_another_machine_is_none_of_this_one() -> None:
    """By the name, or by the fingerprint."""
    assert "of 't'" in audit(SAGA, Path("t", MACHINE.fingerprint)).reason
    assert "of another version" in audit(SAGA, Path("s", "0123abcd")).reason
    assert not audit(SAGA, "s:0123abcd start").ok


def test_a_note_of_the_journal_is_passed_over() -> None:
    """It moves nothing."""
    assert audit(SAGA, ["start", "#ignored(call a 1)", "done(a)"]).ok


@pytest.mark.parametrize(("recorded", "error"), [("nonsense", ValueError), ([7], TypeError)])
def test_what_is_no_record_is_refused(recorded: Any, error: type[Exception]) -> None:
    """It says what to give instead."""
    with pytest.raises(error, match=r"\n  "):
        audit(SAGA, recorded)
