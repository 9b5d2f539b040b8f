"""
Bugs planted in the compiled table and in the driver: the failure search must find each of them.

The table's are those that the checker finds in ``test_planted_bugs``: two instruments that share
nothing but ``machine.step`` say the same of them.
"""

from __future__ import annotations

from typing import Any

import pytest

from saga_fsm import GUARDED, Retry, Saga, compile_saga
from saga_fsm.machine import Machine
from saga_fsm.machine import _alphabet as a
from saga_fsm.runner import driver as drivers
from saga_fsm.runner import recovery, shell
from saga_fsm.testing import Exploration, explore_faults
from tests.participants import C, P, R, Shop
from tests.quality.test_planted_bugs import PLANTED, changed, only, to


MOST_RUNS = 3_000
# The same letters as there, acting on a world.
BLOCKS = (C("a"), C("b"), P("p", retry=Retry(attempts=3)), R("r"))


def planted(change: Any, *blocks: Any) -> Exploration:
    """What the search says of a saga whose table has been tampered with."""
    saga = Saga("planted", *blocks, contract=GUARDED)
    machine = compile_saga(saga)
    rows = [change(row, machine.index) for row in machine.rows]
    assert rows != list(machine.rows), "the bug was not planted"
    tampered = Machine(machine.name, machine.automata, [row for row in rows if row])
    # Machines are made once for a saga; the driver, the runs and the coverage all read this one.
    saga.__dict__["_machine"] = tampered
    return explore_faults(saga, world=Shop, max_faults=0, max_runs=MOST_RUNS, max_failures=1)


IN_ORDER = [what for what, (blocks, _) in PLANTED.items() if len(blocks) == len(BLOCKS)]


@pytest.mark.parametrize("what", IN_ORDER)
def test_a_bug_planted_in_the_table_is_found(what):
    """What the checker refutes by the table, runs refute by their effects."""
    result = planted(PLANTED[what][1], *BLOCKS)
    assert not result.ok, what
    assert min(len(failure.plan) for failure in result.failures) <= 3
    assert result.runs < MOST_RUNS


def test_nothing_is_found_where_nothing_is_planted():
    """The same saga with its own table survives."""
    saga = Saga("right", *BLOCKS, contract=GUARDED)
    assert explore_faults(saga, world=Shop, max_faults=0, max_runs=MOST_RUNS, max_failures=1).ok


def test_a_rejection_taken_as_unknown_is_found():
    """What was refused for sure is undone: harmless here, and still not what was promised."""
    result = planted(to("rejected(b)", "b", a.UNKNOWN), *BLOCKS)
    assert [str(failure.plan) for failure in result.failures] == ["b@0=reject"]
    assert result.failures[0].reason == "b is undone, though it surely never landed"


def test_a_pivot_that_can_be_cancelled_is_found():
    """Turning back past the point of no return undoes what has been paid for."""

    def turn_back(row: Any, at: dict[str, int]) -> Any:
        heard = [(at["@saga"], a.SCOPE_HALTING), (at["@stop"], a.STOP_HEARD)]
        return changed(row, update=heard) if (at["@stop"], a.STOP_REFUSED) in row.update else row

    assert not planted(only("cancel", turn_back), *BLOCKS).ok


ENGINE: dict[str, Any] = {}


def engine(what: str) -> Any:
    """Register a bug of the driver, by what it does."""
    return lambda plant: ENGINE.setdefault(what, plant)


@engine("recovery takes an open call for rejected")
def _(patch: Any) -> None:
    again = recovery.again

    def wrong(*given: Any) -> None:
        facts, _, _, effect, _, todo, _ = given
        if type(effect).__name__ == "Call" and facts.machine.knows(f"rejected({effect.target})"):
            facts.flight.pop(facts.latest("call", effect.target))
            todo.append((facts.machine.event("rejected", effect.target), None))
            return
        again(*given)

    patch.setattr(drivers, "again", wrong)


@engine("recovery takes an open call for done")
def _(patch: Any) -> None:
    again = recovery.again

    def wrong(*given: Any) -> None:
        facts, _, _, effect, _, todo, _ = given
        if type(effect).__name__ == "Call":
            facts.flight.pop(facts.latest("call", effect.target))
            todo.append((facts.machine.event("done", effect.target), None))
            return
        again(*given)

    patch.setattr(drivers, "again", wrong)


@engine("a timeout is taken for a rejection")
def _(patch: Any) -> None:
    outcome_of = drivers.outcome_of
    patch.setattr(
        drivers,
        "outcome_of",
        lambda kind, placed, error: (
            "rejected"
            if kind == "call" and isinstance(error, TimeoutError)
            else outcome_of(kind, placed, error)
        ),
    )


@engine("a failed compensation is taken for done")
def _(patch: Any) -> None:
    raised = drivers.Driver.raised

    def wrong(self: Any, leg: Any, error: BaseException, now: float) -> Any:
        if leg[0] == "compensate":
            return self.returned(leg, None, now)
        return raised(self, leg, error, now)

    patch.setattr(drivers.Driver, "raised", wrong)


@engine("a lost append is not noticed")
def _(patch: Any) -> None:
    write = shell.Shell.write

    def wrong(self: Any, entries: Any) -> None:
        before = self.written
        try:
            write(self, entries)
        except Exception:  # noqa: BLE001 - the bug
            self.written = before

    patch.setattr(shell.Shell, "write", wrong)


@engine("the journal is written over instead of compared")
def _(patch: Any) -> None:
    from saga_fsm.journals.memory import MemoryJournal

    append = MemoryJournal.append

    def wrong(self: Any, run_id: str, entries: Any, *, expected: int) -> int:
        return append(self, run_id, entries, expected=len(self.read(run_id)))

    patch.setattr(MemoryJournal, "append", wrong)


@engine("a key that changes with the attempt")
def _(patch: Any) -> None:
    from saga_fsm.definition.context import Context

    patch.setattr(Context, "key", property(lambda self: f"{self.action_key}/{self.attempt}"))


@pytest.mark.parametrize("what", ENGINE)
def test_a_bug_planted_in_the_engine_is_found(what, monkeypatch):
    """The search looks at what was really done, not at what the driver believes."""
    ENGINE[what](monkeypatch)
    saga = Saga("planted", *BLOCKS, contract=GUARDED)
    result = explore_faults(saga, world=Shop, max_faults=0, max_runs=MOST_RUNS, max_failures=1)
    assert not result.ok, what
    assert all(len(failure.plan) <= 3 for failure in result.failures), result
