"""What is said to a run by way of the store: heard once, never lost, and told when refused."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saga_fsm import (
    GUARDED,
    PENDING,
    Orchestrator,
    Pending,
    Rejected,
    Retry,
    Saga,
    Status,
    parallel,
    pivot,
    step,
)
from saga_fsm.cli import main
from saga_fsm.errors import NoTransitionError, StoreUnavailableError
from saga_fsm.journals.sqlite import SqliteJournal


def act(ctx) -> str:
    """Say which step this is."""
    return ctx.step


def undo(ctx, result) -> None:
    """Nothing."""


def closed(ctx, result) -> None:
    """Cannot be undone."""
    raise OSError("the bank is closed")


def refuse(ctx) -> None:
    """Reject."""
    raise Rejected("no")


def ask(ctx) -> str | Pending:
    """Wait for somebody."""
    return PENDING


ORDER = Saga("order", step(act, name="a", compensate=undo), pivot(act), contract=GUARDED)
ASKED = Saga(
    "asked",
    step(act, name="a", compensate=undo),
    step(ask, compensate=undo),
    pivot(act),
    contract=GUARDED,
)
STUCK = Saga(
    "stuck",
    step(act, name="a", compensate=closed, compensation_retry=Retry(attempts=1)),
    pivot(refuse),
    contract=GUARDED,
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    """A file of its own."""
    store = SqliteJournal(tmp_path / "sagas.db")
    yield store
    store.close()


def orchestrator(journal: SqliteJournal, *sagas: Any, **options: Any) -> Orchestrator:
    """One that looks often."""
    return Orchestrator(*sagas, journal=journal, **{"poll": 0.02, **options})


def until(true: Any, seconds: float = 10.0) -> None:
    """Wait for something to come true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


class TestRefused:
    """A word that cannot be true."""

    def test_it_leaves_a_trace_in_the_run(
        self, journal: SqliteJournal, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Who, what and why are an entry, a warning, and shown; also when nobody waited."""
        with orchestrator(journal, ASKED, workers=0) as front:
            front.start(ASKED, run_id="r")
        journal.post("r", "deliver(shipped)", by="ada", note="ticket 88")
        journal.post("r", "resolve(a,done)", by="bob")
        with caplog.at_level(logging.WARNING), orchestrator(journal, ASKED) as carried:
            until(lambda: len(carried.show("r").words) == 2)
            until(lambda: all(word.answer for word in carried.show("r").words))
            words = carried.show("r").words
            carried.cancel("r")
        assert [(word.word, word.by) for word in words] == [
            ("deliver(shipped)", "ada"),
            ("resolve(a,done)", "bob"),
        ]
        entries = {entry.event: entry.data for entry in journal.read("r")}
        told = json.loads(entries["#refused(deliver shipped)"])
        assert (told["by"], told["note"]) == ("ada", "ticket 88")
        assert "does not accept" in json.loads(entries["#refused(resolve a)"])["why"]
        warnings = [record.getMessage() for record in caplog.records]
        assert any("deliver(shipped) by ada is refused" in one for one in warnings)

    def test_an_early_answer_is_refused_and_an_answer_after_the_start_counts(
        self, journal: SqliteJournal
    ) -> None:
        """An answer counts from the step's start: before, the run says no, and goes on."""
        go = threading.Event()
        saga = Saga(
            "early",
            step(lambda ctx: go.wait(10), name="slow", compensate=undo),
            step(ask, compensate=undo),
        )
        with orchestrator(journal, saga) as carried:
            carried.start(saga, run_id="r")
            with pytest.raises(NoTransitionError):
                carried.deliver("r", "ask", "early")
            go.set()
            until(lambda: carried.show("r").waiting)
            assert carried.deliver("r", "ask", "in time")
            assert carried.wait("r", timeout=5).results["ask"] == "in time"

    def test_runs_show_says_what_became_of_each_word(
        self, journal: SqliteJournal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Open ones and refused ones, as text and as JSON; those that moved the run are entries."""
        with orchestrator(journal, STUCK) as carried:
            carried.run(STUCK, run_id="r")
            with pytest.raises(NoTransitionError):
                carried.resolve("r", step="a", as_="done", by="ada", note="by phone")
        journal.post("r", "cancel", by="bob")
        url = f"sqlite:///{tmp_path / 'sagas.db'}"
        for more in ([], ["--json"]):
            with pytest.raises(SystemExit):
                main(["runs", "show", "r", "--journal", url, *more])
        text, _, told = capsys.readouterr().out.rpartition("\n{")
        assert (
            "said: resolve(a,done) by ada (by phone); refused: run r of saga 'stuck' is in" in text
        )
        assert "said: cancel by bob; open: nobody has heard it yet" in text
        words = json.loads("{" + told)["words"]
        assert [word["word"] for word in words] == ["resolve(a,done)", "cancel"]


class TestAtRest:
    """A run that rests."""

    def test_a_word_that_moves_nothing_is_no_new_rest(self, journal: SqliteJournal) -> None:
        """``on_rest`` is called once for a rest, whatever is said to the run afterwards."""
        told: list[str] = []
        options: Any = {"on_rest": lambda run: told.append(run.run_id)}
        with orchestrator(journal, STUCK, ASKED, **options) as carried:
            carried.run(STUCK, run_id="stuck")
            carried.start(ASKED, run_id="over")
            until(lambda: carried.show("over").waiting)
            carried.deliver("over", "ask", "yes")
            carried.wait("over", timeout=5)
            until(lambda: len(told) == 2)
            for _ in range(2):
                with pytest.raises(NoTransitionError):
                    carried.resolve("stuck", step="a", as_="done", by="ada")
                assert not carried.deliver("over", "ask", "again", by="ada")
                assert not carried.cancel("over")
            assert carried.show("over").owner == ""
            assert carried.resolve("stuck", step="a", as_="compensated")
            until(lambda: len(told) == 3)
        assert told[2] == "stuck"
        assert set(told[:2]) == {"stuck", "over"}

    def test_who_was_never_told_of_a_rest_is(self, journal: SqliteJournal) -> None:
        """A word to a run whose owner died before ``on_rest`` is not taken for having told."""
        other = SqliteJournal(journal.path)
        begun, go, told = threading.Event(), threading.Event(), threading.Event()

        def slow(_run: Any) -> None:
            begun.set()
            go.wait(20)

        first = orchestrator(other, ORDER, on_rest=slow, lease=600, poll=600.0)
        first.start(ORDER, run_id="r")
        assert begun.wait(10)
        journal.post("r", "cancel")
        journal.beat(first._engine.owner, -1.0)
        with orchestrator(journal, ORDER, on_rest=lambda _run: told.set()):
            assert told.wait(10)
        go.set()
        first.close()
        other.close()


class TestNeverLost:
    """Words that come at a bad moment."""

    def test_a_word_that_comes_while_the_run_ends_is_answered(self, journal: SqliteJournal) -> None:
        """Posted between the owner's last look and its last append, it is heard all the same."""
        numbers: list[int] = []
        commit = journal.commit

        def late(appends: Any) -> Any:
            for append in appends:
                if append.status.resting and not append.owner and not numbers:
                    numbers.append(journal.post(append.run_id, "cancel"))
            return commit(appends)

        journal.commit = late  # type: ignore[method-assign]
        with orchestrator(journal, ORDER) as carried:
            assert carried.run(ORDER, run_id="r").status is Status.COMPLETED
            until(lambda: journal.answer(numbers[0]) == "no", 3.0)

    def test_a_word_is_not_lost_when_it_cannot_be_read_at_once(
        self, journal: SqliteJournal
    ) -> None:
        """A run that was taken because of a word is not given up before the word was heard."""
        with orchestrator(journal, ORDER) as carried:
            carried.run(ORDER, run_id="r")
        number = journal.post("r", "cancel")
        posted, failures = journal.posted, iter([True, True, False])

        def flaky(owner: str) -> Any:
            if next(failures, False):
                raise StoreUnavailableError(store="sagas.db", message="it was pulled out")
            return posted(owner)

        journal.posted = flaky  # type: ignore[method-assign]
        with orchestrator(journal, ORDER) as carried:
            carried.recover()
            until(lambda: journal.answer(number) == "no", 3.0)
            until(lambda: carried.show("r").owner == "", 3.0)


# What was reserved is only let go when the charge is taken back.
DOUBT = Saga(
    "doubt",
    step(act, name="reserve", compensate=undo),
    step(act, name="charge", compensate=closed, compensation_retry=Retry(attempts=1)),
    pivot(refuse, name="ship"),
    contract=GUARDED,
)
NESTED = Saga(
    "nested",
    step(act, name="first", compensate=undo),
    parallel(Saga("trip", *DOUBT.blocks[:2]), step(act, name="beside", compensate=undo)),
    step(refuse, name="last", compensate=undo),
    contract=GUARDED,
)


class TestOwed:
    """What a stuck run owes."""

    @pytest.mark.parametrize(
        ("saga", "steps", "after"),
        [
            (DOUBT, ["charge", "reserve"], {"reserve": ["charge"]}),
            (
                NESTED,
                ["trip/charge", "first", "trip/reserve"],
                {"first": ["trip/reserve"], "trip/reserve": ["trip/charge"]},
            ),
        ],
    )
    def test_what_can_be_decided_now_comes_first(
        self, journal: SqliteJournal, capsys: Any, saga: Any, steps: list[str], after: Any
    ) -> None:
        """What cannot yet says after which step: outcome, store and ``runs show`` alike."""
        with orchestrator(journal, saga) as carried:
            assert list(carried.run(saga, run_id="r").unresolved) == steps
            assert list(carried.show("r").unresolved) == steps
            with pytest.raises(NoTransitionError) as refused:
                carried.resolve("r", step=steps[-1], as_="compensated")
            assert list(refused.value.after) == after[steps[-1]]
            assert f"only asked for after '{after[steps[-1]][0]}'" in str(refused.value)
        with pytest.raises(SystemExit):
            main(["runs", "show", "r", "--journal", f"sqlite:///{journal.path}"])
        shown = capsys.readouterr().out
        for path, before in after.items():
            assert f"owed: compensate {path} (after {', '.join(before)})" in shown
