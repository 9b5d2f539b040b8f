"""Runs of another version: who may go on, who waits, and who is told."""

from __future__ import annotations

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
    compile_saga,
    diff,
    pivot,
    step,
)
from saga_fsm.errors import MachineChangedError, SagaError
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


def held(name: str, **options: Any) -> Any:
    """A step that can be undone."""
    return step(act, name=name, **{"compensate": undo, **options})


ASKED = Saga("asked", held("a"), step(ask, compensate=undo), pivot(act), contract=GUARDED)
# A step where runs of the old version have been already.
FIRST = Saga("asked", held("first"), *ASKED.blocks, contract=GUARDED)
LATER = Saga("asked", *ASKED.blocks[:2], held("extra"), pivot(act), contract=GUARDED)
ONCE = Retry(attempts=1)
STUCK = Saga(
    "stuck", held("a", compensate=closed, compensation_retry=ONCE), pivot(refuse), contract=GUARDED
)
STUCK_NEW = Saga("stuck", held("first"), *STUCK.blocks, contract=GUARDED)


def mark(saga: Saga[Any, Any, Any]) -> str:
    """The fingerprint of its machine."""
    return compile_saga(saga).fingerprint


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


def waiting(journal: SqliteJournal) -> None:
    """Leave a run of the old version that waits for an answer."""
    with orchestrator(journal, ASKED) as old:
        old.start(ASKED, run_id="r")
        until(lambda: old.show("r").waiting)


def within(seconds: float, function: Any, *arguments: Any, **options: Any) -> BaseException | None:
    """What a call raises, which must come in time."""
    raised: list[BaseException | None] = []

    def call() -> None:
        try:
            function(*arguments, **options)
        except BaseException as error:  # noqa: BLE001 - looked at by who asked
            raised.append(error)
        else:
            raised.append(None)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    assert raised, "it waits for ever"
    return raised[0]


class TestRefused:
    """A run that the upgrade does not take."""

    @pytest.mark.parametrize(("old", "new"), [(ASKED, FIRST), (STUCK, STUCK_NEW)])
    def test_nothing_of_its_row_changes(
        self, journal: SqliteJournal, old: Saga[Any, Any, Any], new: Saga[Any, Any, Any]
    ) -> None:
        """Status, what is owed, who is waited for, fingerprint and entries stay; nobody has it."""
        with orchestrator(journal, old) as first:
            first.start(old, run_id="r")
            until(lambda: first.show("r").waiting or first.show("r").status is Status.STUCK)
        before, entries = journal.find("r"), journal.read("r")
        assert before is not None
        with orchestrator(journal, new, upgrades=[diff(old, new)]) as second:
            if before[0].status is Status.STUCK:
                journal.post("r", "cancel")
            until(lambda: second._house._declined)
            time.sleep(0.1)
            after = journal.find("r")
        assert after is not None
        kept = ("status", "unresolved", "waiting", "fingerprint", "position", "owner")
        assert [getattr(after[0], x) for x in kept] == [getattr(before[0], x) for x in kept]
        assert journal.read("r") == entries

    def test_who_waits_is_told_why(self, journal: SqliteJournal) -> None:
        """``wait``, ``run`` and ``start`` raise, with both fingerprints and the reason."""
        waiting(journal)
        with orchestrator(journal, FIRST, upgrades=[diff(ASKED, FIRST)]) as new:
            for call in (
                lambda: new.wait("r"),
                lambda: new.run(FIRST, run_id="r"),
                lambda: new.start(FIRST, run_id="r"),
                lambda: new.wait("r"),
            ):
                error = within(5.0, call)
                assert isinstance(error, MachineChangedError)
                assert (error.stored, error.current) == (mark(ASKED), mark(FIRST))
                assert "'first' is new" in error.reason
                assert "'first' is new" in str(error)

    def test_who_only_starts_runs_is_told_too(self, journal: SqliteJournal) -> None:
        """An orchestrator without workers takes no run, and knows all the same."""
        waiting(journal)
        with orchestrator(journal, FIRST, upgrades=[diff(ASKED, FIRST)], workers=0) as new:
            assert isinstance(within(5.0, new.wait, "r"), MachineChangedError)
            assert isinstance(within(5.0, new.cancel, "r"), MachineChangedError)

    def test_words_to_it_stay_and_who_has_said_them_is_told(self, journal: SqliteJournal) -> None:
        """The caller gets an error; who has the old version hears the word, at once."""
        waiting(journal)
        with orchestrator(journal, FIRST, upgrades=[diff(ASKED, FIRST)]) as new:
            for _ in range(2):
                assert isinstance(within(5.0, new.cancel, "r", by="ada"), MachineChangedError)
            with orchestrator(journal, ASKED) as old:
                assert old.wait("r", timeout=5).status is Status.COMPENSATED
            assert new.wait("r", timeout=5).status is Status.COMPENSATED

    def test_it_is_listed_as_stranded(self, journal: SqliteJournal) -> None:
        """With both fingerprints and the reason; one that may go on is not."""
        waiting(journal)
        upgrades = [diff(ASKED, FIRST)]
        with orchestrator(journal, ASKED, workers=0) as front:
            front.start(ASKED, run_id="unbegun")
        with orchestrator(journal, FIRST, upgrades=upgrades, poll=60.0, workers=0) as new:
            (error,) = new.stranded()
        assert (error.run_id, error.stored, error.current) == ("r", mark(ASKED), mark(FIRST))
        assert "'first' is new" in error.reason

    def test_it_is_no_work_for_who_looks_again(self, journal: SqliteJournal) -> None:
        """Others of that version go on all the same, and the refused one is left for a while."""
        with orchestrator(journal, ASKED) as old:
            old.start(ASKED, run_id="r")
            until(lambda: old.show("r").waiting)
        with orchestrator(journal, ASKED, workers=0) as front:
            front.start(ASKED, run_id="unbegun")
        takes: list[int] = []
        claim = journal.claim

        def counted(*arguments: Any) -> Any:
            found = claim(*arguments)
            takes.append(len(found))
            return found

        journal.claim = counted  # type: ignore[method-assign]
        with orchestrator(journal, FIRST, upgrades=[diff(ASKED, FIRST)]) as new:
            assert new.recover() <= 1
            until(lambda: new.show("unbegun").waiting)
            assert new.show("unbegun").fingerprint == mark(FIRST)
            before = len(takes)
            until(lambda: len(takes) > before + 20)
            new.cancel("unbegun")
        assert sum(takes) <= 4


class TestMissing:
    """A run whose version is not here, and no upgrade either."""

    def test_who_waits_is_told(self, journal: SqliteJournal) -> None:
        """At once, however it is asked for; the message names both ways out."""
        waiting(journal)
        with orchestrator(journal, LATER) as new:
            for call in (
                lambda: new.wait("r"),
                lambda: new.run(LATER, run_id="r"),
                lambda: new.start(LATER, run_id="r"),
                lambda: new.cancel("r"),
            ):
                error = within(5.0, call)
                assert isinstance(error, MachineChangedError)
                assert "upgrades=[diff(old, new)]" in str(error)
                assert "Orchestrator(new, old, ...)" in str(error)


class TestTaken:
    """A run that goes on."""

    def test_one_that_has_not_begun_begins_under_the_new_version(
        self, journal: SqliteJournal
    ) -> None:
        """And is of the new version from then on: who takes it up later reads it as such."""
        with orchestrator(journal, ASKED, workers=0) as front:
            front.start(ASKED, {"n": 1}, run_id="r")
        renamed = Saga(
            "asked",
            held("b"),
            *ASKED.blocks[1:],
            contract=GUARDED,
        )
        proof = diff(ASKED, renamed, renamed={"a": "b"})
        for _ in range(2):
            with orchestrator(journal, renamed, upgrades=[proof]) as new:
                until(lambda new=new: new.show("r").waiting and not new.stranded())
                assert new.show("r").fingerprint == mark(renamed)
        with orchestrator(journal, renamed) as new:
            assert new.deliver("r", "ask", "yes")
            assert new.wait("r", timeout=5).results["b"] == "b"

    def test_one_that_is_over_is_told_of_in_its_own_words(self, journal: SqliteJournal) -> None:
        """Its outcome is that of the old version, and ``on_rest`` is called by whoever lives."""
        other = SqliteJournal(journal.path)
        old = orchestrator(other, ASKED, on_rest=lambda _: go.wait(20), lease=600, poll=600.0)
        go, told = threading.Event(), threading.Event()
        old.start(ASKED, run_id="r")
        until(lambda: old.show("r").waiting)
        old.deliver("r", "ask", "yes")
        assert old.wait("r", timeout=5).status is Status.COMPLETED
        journal.beat(old._engine.owner, -1.0)
        upgrades = [diff(ASKED, FIRST)]
        with orchestrator(journal, FIRST, upgrades=upgrades, on_rest=lambda _: told.set()) as new:
            assert told.wait(10)
            assert new.run(FIRST, run_id="r").results["ask"] == "yes"
        go.set()
        old.close()
        other.close()


class TestUpgrades:
    """What is given as ``upgrades=``."""

    @pytest.mark.parametrize(
        ("upgrades", "said"),
        [
            ([FIRST], "upgrades has saga 'asked', which proves nothing"),
            (FIRST, "upgrades is Saga\n  Give a list"),
            ("ab", "upgrades is str\n  Give a list"),
            ([diff(FIRST, ASKED)], "the wrong way round"),
            ([diff(ASKED, LATER)], "Give the new version when the orchestrator is made"),
        ],
    )
    def test_what_is_none_is_refused(
        self, journal: SqliteJournal, upgrades: Any, said: str
    ) -> None:
        """Each with what to give instead."""
        with pytest.raises(SagaError) as refused:
            orchestrator(journal, FIRST, upgrades=upgrades)
        assert said in str(refused.value)
