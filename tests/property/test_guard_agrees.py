"""
The guard does what the checker assumes of a guarded participant, by the checker's own rules.

``product._environment`` says what may happen to the ledger of a participant that keeps its
contract. Copies of an action, its compensation and its query come to the guard in any order, some
refused, some broken off, and after each the ledger that the guard and the effects show has to be
one that those rules allow, with the answer that goes with it.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, nullcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saga_fsm import GUARDED, Contract, Rejected, Saga, step
from saga_fsm.definition.layout import lay_out
from saga_fsm.guard import Guard
from saga_fsm.product._environment import (
    FENCED,
    LANDED,
    NONE,
    REFUSED,
    STANDS,
    UNDONE,
    of_step,
)
from tests.guard_laws import ctx_of


# What the guard writes, in the checker's words.
LEDGERS = {
    None: NONE,
    "applied": LANDED,
    "rejected": REFUSED,
    "fenced": FENCED,
    "compensated": UNDONE,
}
# A copy that nobody waits for is the checker's soup; else the machine is in this local state.
WAITING = {"act": "started", "undo": "compensating", "ask": "querying"}


def _act(ctx: Any) -> None: ...
def _undo(ctx: Any, result: Any) -> None: ...


PLACED = lay_out(
    Saga("s", step(_act, name="take", compensate=_undo, query=_act, contract=GUARDED))
).steps["take"]


class Participant:
    """The guard on SQLite, and the ledger that it and its effects show."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.on = connection
        self.guard = Guard(lambda: nullcontext(connection))
        self.ctx = ctx_of()

    def ask(self, verb: str, *, refuse: bool, breaks: bool) -> str:
        """One request: what it was told, in the machine's words."""

        def body(connection: sqlite3.Connection, *given: Any) -> str:
            connection.execute(f"INSERT INTO sales VALUES ('r1/take', {-1 if given else 1})")
            if breaks:
                raise OSError("broken off")
            if refuse and not given:
                raise Rejected("no")
            return "sold"

        try:
            if verb == "act":
                self.guard.act(self.ctx, body)
                return "done"
            if verb == "undo":
                self.guard.undo(self.ctx, body)
                return "compensated"
            self.guard.ask(self.ctx)
        except Rejected:
            return "absent" if verb == "ask" else "rejected"
        except OSError:
            return "unknown"
        return "landed"

    @property
    def ledger(self) -> int:
        """What has happened here; the effects that stand must be those that it says."""
        row = self.on.execute("SELECT state FROM saga_guard").fetchone()
        ledger = LEDGERS[row and row[0]]
        (net,) = self.on.execute("SELECT COALESCE(SUM(amount), 0) FROM sales").fetchone()
        assert net == (ledger == LANDED) == (ledger >= STANDS)
        return ledger


def allowed(verb: str, before: int, contract: Contract) -> set[tuple[str | None, int]]:
    """Answers and ledgers after a request, by the checker; without an answer: a late copy."""
    found: set[tuple[str | None, int]] = {(None, before)}
    local = WAITING[verb]
    for happening in of_step(PLACED, contract, local, before, up=True):
        after = before if happening.ledger is None else happening.ledger
        kind = None if happening.event is None else happening.event.partition("(")[0]
        of_verb = {
            "act": {"done", "rejected", "unknown"},
            "undo": {"compensated", "unknown"},
            "ask": {"landed", "absent", "unknown"},
        }[verb]
        if kind in of_verb or (kind is None and happening.token.startswith("~")):
            found.add((kind, after))
    return found


REQUESTS = st.lists(
    st.tuples(st.sampled_from(sorted(WAITING)), st.booleans(), st.booleans()), max_size=12
)


@settings(max_examples=300)
@given(requests=REQUESTS)
def test_the_guard_is_the_participant_that_the_checker_assumes(
    requests: list[tuple[str, bool, bool]],
) -> None:
    """Whatever comes in whatever order: a move of the checker's, told as it is there."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        participant = Participant(connection)
        participant.guard.create_table()
        connection.execute("CREATE TABLE sales (name TEXT, amount INTEGER)")
        for verb, refuse, breaks in requests:
            before = participant.ledger
            told = participant.ask(verb, refuse=refuse, breaks=breaks)
            after = participant.ledger
            moves = allowed(verb, before, GUARDED)
            # An answer that the machine does not wait for is a late one, and changes nothing.
            late = told if (told, after) in moves else None
            assert (late, after) in moves, (verb, before, told, after)
            if told in {"done", "landed"}:
                assert after == LANDED, "it said that it landed"
            if told in {"compensated", "absent", "rejected"}:
                assert after not in {NONE, LANDED}, "it said that it does not stand, and may come"


@pytest.mark.parametrize(
    ("verb", "before", "event", "after"),
    [
        ("act", NONE, "done", LANDED),
        ("act", LANDED, "done", LANDED),
        ("act", NONE, "rejected", REFUSED),
        ("act", REFUSED, "rejected", REFUSED),
        ("undo", LANDED, "compensated", UNDONE),
        ("undo", NONE, "compensated", FENCED),
        ("undo", REFUSED, "compensated", REFUSED),
        ("undo", FENCED, "compensated", FENCED),
        ("undo", UNDONE, "compensated", UNDONE),
        ("ask", LANDED, "landed", LANDED),
        ("ask", NONE, "absent", REFUSED),
        ("ask", REFUSED, "absent", REFUSED),
    ],
)
def test_each_move_of_the_checker_is_one_of_the_guard(
    verb: str, before: int, event: str, after: int
) -> None:
    """The other way round: what the checker lets a guarded participant answer, the guard does."""
    assert (event, after) in allowed(verb, before, GUARDED)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        participant = Participant(connection)
        participant.guard.create_table()
        connection.execute("CREATE TABLE sales (name TEXT, amount INTEGER)")
        for verb_before, refuse in {
            NONE: [],
            LANDED: [("act", False)],
            REFUSED: [("act", True)],
            UNDONE: [("act", False), ("undo", False)],
            FENCED: [("undo", False)],
        }[before]:
            participant.ask(verb_before, refuse=refuse, breaks=False)
        assert participant.ledger == before
        told = participant.ask(verb, refuse=event == "rejected", breaks=False)
        assert (told, participant.ledger) == (event, after)


def test_the_moves_are_all_there() -> None:
    """The list above is whole: the checker allows no other answer of a guarded participant."""
    listed = set()
    for verb in WAITING:
        for before in (NONE, REFUSED, UNDONE, FENCED, LANDED):
            for event, after in allowed(verb, before, GUARDED):
                if event not in {None, "unknown"}:
                    listed.add((verb, before, event, after))
    marks = test_each_move_of_the_checker_is_one_of_the_guard.pytestmark  # type: ignore[attr-defined]
    assert listed == set(marks[0].args[1])
