"""Many runs at once, kept in a file: started, attached to, decided about, ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
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
    Transient,
    choice,
    each,
    parallel,
    pause,
    pivot,
    retriable,
    run,
    step,
)
from saga_fsm.codec import JsonCodec
from saga_fsm.errors import (
    DecisionPendingError,
    NoTransitionError,
    RunConflictError,
    SagaError,
    StoreUnavailableError,
    UnknownRunError,
    UnstorableTypeError,
)
from saga_fsm.journals.sqlite import SqliteJournal
from saga_fsm.testing import VirtualClock


def act(ctx) -> str:
    """Say which step this is."""
    return ctx.step


def undo(ctx, result) -> None:
    """Note it."""
    if ctx.services is not None:
        ctx.services.append(ctx.step)


def refuse(ctx) -> None:
    """Reject."""
    raise Rejected("no")


def held(name: str) -> Any:
    """A step that can be undone."""
    return step(act, name=name, compensate=undo)


def ask(ctx) -> str | Pending:
    """Wait for somebody."""
    return PENDING


ORDER = Saga("order", held("reserve"), held("charge"), pivot(act, name="ship"), contract=GUARDED)
REFUSED = Saga("refused", held("a"), held("b"), pivot(refuse), contract=GUARDED)
APPROVED = Saga(
    "approved", held("draft"), step(ask, compensate=undo), pivot(act, name="send"), contract=GUARDED
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


class TestRuns:
    """What a caller gets."""

    def test_outcomes_are_those_of_a_plain_run(self, journal: SqliteJournal) -> None:
        """Status, results, events and cause are what ``run`` gives in memory."""
        sagas = [
            ORDER,
            REFUSED,
            Saga("both", parallel(held("x"), held("y")), pivot(act)),
            Saga("many", each(lambda ctx: [1, 2], held("line"), max_items=3)),
            Saga("which", choice(lambda ctx: True, yes=held("one"), otherwise=held("two"))),
        ]
        with orchestrator(journal, *sagas, services=[]) as carried:
            for saga in sagas:
                mine = carried.run(saga, 7, run_id=f"{saga.name}-1")
                plain = run(saga, 7, services=[], run_id=f"{saga.name}-1")
                assert (mine.status, mine.results) == (plain.status, plain.results)
                assert sorted(mine.events) == sorted(plain.events)
                assert (mine.cause is None) == (plain.cause is None)

    def test_one_id_is_one_run(self, journal: SqliteJournal) -> None:
        """F43: the same id again is the same run, at once or later, from any thread."""
        calls: list[str] = []

        def once(ctx) -> None:
            calls.append(ctx.key)
            time.sleep(0.05)

        saga = Saga("once", step(once, compensate=undo))
        with orchestrator(journal, saga) as carried:
            threads = [
                threading.Thread(target=carried.run, args=(saga, 1), kwargs={"run_id": "r"})
                for _ in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert carried.run(saga, 1, run_id="r").status is Status.COMPLETED
        assert calls == ["r/once"]

    @pytest.mark.parametrize("ended", [False, True])
    def test_another_input_or_saga_is_a_conflict(
        self, journal: SqliteJournal, *, ended: bool
    ) -> None:
        """An id stands for one saga and one input."""
        slow = Saga(
            "slow", step(lambda ctx: time.sleep(0.0 if ended else 0.3), name="s", compensate=undo)
        )
        with orchestrator(journal, slow, ORDER) as carried:
            carried.start(slow, 1, run_id="r")
            if ended:
                carried.wait("r")
            with pytest.raises(RunConflictError, match="another input"):
                carried.start(slow, 2, run_id="r")
            with pytest.raises(RunConflictError, match="belongs to saga 'slow'"):
                carried.start(ORDER, 1, run_id="r")

    def test_a_name_stands_for_a_saga(self, journal: SqliteJournal) -> None:
        """A saga is named by its value or its name; another is an error that says what is known."""
        with orchestrator(journal, ORDER) as carried:
            assert carried.run("order").status is Status.COMPLETED
            with pytest.raises(SagaError, match="does not carry out saga 'trip'"):
                carried.start("trip")

    def test_a_wait_that_ends_ends_nothing_else(self, journal: SqliteJournal) -> None:
        """Who gives up waiting leaves the run alone."""
        go = threading.Event()
        saga = Saga("waits", step(lambda ctx: go.wait(10), name="s", compensate=undo))
        with orchestrator(journal, saga) as carried:
            carried.start(saga, run_id="r")
            with pytest.raises(TimeoutError):
                carried.wait("r", timeout=0.05)
            go.set()
            assert carried.wait("r").status is Status.COMPLETED

    def test_a_wait_that_ends_says_how_the_run_stands(self, journal: SqliteJournal) -> None:
        """Which run, its status, and what it waits for; a drain says how many are in flight."""
        with orchestrator(journal, APPROVED, services=[]) as carried:
            carried.start(APPROVED, run_id="r")
            until(lambda: carried.show("r").waiting)
            said = r"run 'r' of saga 'approved' is still running after 0.05 s: it waits for.*'ask'"
            with pytest.raises(TimeoutError, match=said):
                carried.wait("r", timeout=0.05)
            with pytest.raises(TimeoutError, match=r"still in flight after 0.05 s: 1"):
                carried.drain(timeout=0.05)
            carried.cancel("r")

    def test_words_that_are_none_are_refused_in_words(self, journal: SqliteJournal) -> None:
        """A status may be its word; another, or an end that there is not, says what there is."""
        with orchestrator(journal, ORDER) as carried:
            carried.run(ORDER, run_id="r")
            assert [one.run_id for one in carried.runs(status="completed")] == ["r"]
            with pytest.raises(SagaError, match=r"Give a Status, or .*'stuck'"):
                carried.runs(status="stucked")
            with pytest.raises(SagaError, match="as_ is 'undone'\n  Give 'compensated', 'done'"):
                carried.resolve("r", step="ship", as_="undone")

    def test_an_unknown_run(self, journal: SqliteJournal) -> None:
        """Whatever is asked about a run that is not there says so."""
        with orchestrator(journal, ORDER) as carried:
            for asked in (carried.wait, carried.show, carried.cancel, carried.retry):
                with pytest.raises(UnknownRunError, match="no run 'nobody'"):
                    asked("nobody")

    def test_a_start_waits_for_room(self, journal: SqliteJournal) -> None:
        """No more than so many runs are in flight, and none is lost."""
        at_once: list[int] = []
        inside = 0
        lock = threading.Lock()

        def count(ctx) -> None:
            nonlocal inside
            with lock:
                inside += 1
                at_once.append(inside)
            time.sleep(0.002)
            with lock:
                inside -= 1

        saga = Saga("counted", step(count, compensate=undo))
        with orchestrator(journal, saga, in_flight=3, workers=10) as carried:
            for number in range(30):
                carried.start(saga, number)
            carried.drain(timeout=10)
            assert len(carried.runs(status=Status.COMPLETED)) == 30
        assert max(at_once) <= 3

    def test_a_participant_that_hangs_takes_no_worker_from_others(
        self, journal: SqliteJournal
    ) -> None:
        """A call whose time is up keeps its thread, and another is hired."""
        stop = threading.Event()
        hangs = Saga(
            "hangs", step(lambda ctx: stop.wait(30), name="h", compensate=undo, timeout=0.05)
        )
        with orchestrator(journal, hangs, ORDER, workers=1, services=[]) as carried:
            for number in range(3):
                assert carried.run(hangs, number).status is Status.COMPENSATED
            assert carried.run(ORDER).status is Status.COMPLETED
            stop.set()

    def test_what_a_step_raises_to_end_programs_ends_no_orchestrator(
        self, journal: SqliteJournal
    ) -> None:
        """SystemExit from an action is an unknown outcome."""

        def leave(ctx) -> None:
            raise SystemExit(3)

        saga = Saga("leaves", step(leave, compensate=undo))
        with orchestrator(journal, saga, ORDER, services=[]) as carried:
            assert carried.run(saga).status is Status.COMPENSATED
            assert carried.run(ORDER).status is Status.COMPLETED

    def test_timers_ring(self, journal: SqliteJournal) -> None:
        """Back-off, pauses, deadlines and timeouts are kept."""
        tries: list[float] = []

        def third(ctx) -> None:
            tries.append(time.monotonic())
            if len(tries) < 3:
                raise Transient("not yet")

        saga = Saga(
            "timed",
            pause(0.1),
            step(third, compensate=undo, retry=Retry(attempts=3, wait_initial=0.05)),
        )
        late = Saga("late", pause(30.0), held("s"), deadline=0.1)
        begin = time.monotonic()
        with orchestrator(journal, saga, late) as carried:
            assert carried.run(saga).status is Status.COMPLETED
            assert tries[0] - begin >= 0.1
            assert tries[2] - tries[1] >= 0.1
            outcome = carried.run(late)
            assert outcome.cause is not None
            assert (outcome.status, outcome.cause.kind) == (Status.COMPENSATED, "deadline")


class TestWords:
    """What is said to a run from outside."""

    def test_deliver(self, journal: SqliteJournal) -> None:
        """The answer of a pending step comes from outside, once."""
        with orchestrator(journal, APPROVED) as carried:
            carried.start(APPROVED, run_id="r")
            until(lambda: carried.runs(waiting=ask.__name__))
            assert carried.show("r").waiting == ("ask",)
            assert carried.deliver("r", "ask", "yes, ada", by="ada")
            assert carried.wait("r").results["ask"] == "yes, ada"
            assert not carried.deliver("r", "ask", "no, bob")
        assert [e.event for e in journal.read("r")].count("done(ask)") == 1

    def test_reject(self, journal: SqliteJournal) -> None:
        """A refusal from outside turns the run back."""
        with orchestrator(journal, APPROVED, services=[]) as carried:
            carried.start(APPROVED, run_id="r")
            until(lambda: carried.show("r").waiting)
            assert carried.reject("r", "ask", "too dear")
            outcome = carried.wait("r")
        assert outcome.status is Status.COMPENSATED
        assert outcome.cause is not None
        assert (outcome.cause.kind, outcome.cause.message) == ("rejected", "too dear")

    def test_an_answer_may_overtake_pending(self, journal: SqliteJournal) -> None:
        """The webhook is faster than the return of the call that asked for it."""
        asked, go = threading.Event(), threading.Event()

        def slow(ctx) -> str | Pending:
            asked.set()
            go.wait(10)
            return PENDING

        saga = Saga("fast", step(slow, compensate=undo), held("next"))
        with orchestrator(journal, saga) as carried:
            carried.start(saga, run_id="r")
            asked.wait(10)
            assert carried.deliver("r", "slow", "early")
            go.set()
            assert carried.wait("r").results["slow"] == "early"

    def test_an_answer_after_the_timeout_comes_too_late(self, journal: SqliteJournal) -> None:
        """A step whose time is up is decided."""
        saga = Saga("short", step(ask, compensate=undo, timeout=0.05), contract=GUARDED)
        with orchestrator(journal, saga) as carried:
            assert carried.run(saga, run_id="r").status is Status.COMPENSATED
            assert not carried.deliver("r", ask.__name__, "late")
            assert carried.show("r").status is Status.COMPENSATED

    def test_an_answer_to_a_step_that_has_not_asked_is_an_error(
        self, journal: SqliteJournal
    ) -> None:
        """Nobody waits for it: nothing is written, and the caller is told."""
        saga = Saga("two", step(ask, compensate=undo), held("next"))
        with orchestrator(journal, saga) as carried:
            carried.start(saga, run_id="r")
            until(lambda: carried.show("r").waiting)
            before = journal.read("r")
            with pytest.raises(NoTransitionError):
                carried.deliver("r", "next", "x")
            assert journal.read("r") == before
            carried.cancel("r")

    def test_cancel(self, journal: SqliteJournal) -> None:
        """F49: a cancel turns a run back before the pivot, and changes nothing after it."""
        undone: list[str] = []
        with orchestrator(journal, APPROVED, services=undone) as carried:
            carried.start(APPROVED, run_id="r")
            until(lambda: carried.show("r").waiting)
            assert carried.cancel("r", by="ada")
            assert carried.wait("r").status is Status.COMPENSATED
            assert undone == ["ask", "draft"]
            before = journal.read("r")
            assert not carried.cancel("r", by="ada")
            assert journal.read("r") == before

    def test_cancel_past_the_pivot_leaves_the_run_untouched(self, journal: SqliteJournal) -> None:
        """Past the point of no return there is an answer, and no entry."""
        go = threading.Event()
        saga = Saga("past", pivot(act), retriable(lambda ctx: go.wait(10), name="mail"))
        with orchestrator(journal, saga) as carried:
            carried.start(saga, run_id="r")
            until(lambda: len(journal.read("r")) == 2)
            assert not carried.cancel("r")
            assert len(journal.read("r")) == 2
            go.set()
            assert carried.wait("r").status is Status.COMPLETED

    def test_retry_of_a_stuck_run(self, journal: SqliteJournal) -> None:
        """F18: a stuck run rests, is listed, and goes on when an operator says so."""
        broken = True

        def fragile(ctx, result) -> None:
            if broken:
                raise OSError("the bank is closed")

        once = Retry(attempts=1)
        saga = Saga(
            "stuck",
            held("a"),
            step(act, name="b", compensate=fragile, compensation_retry=once),
            pivot(refuse),
            contract=GUARDED,
        )
        undone: list[str] = []
        with orchestrator(journal, saga, services=undone) as carried:
            outcome = carried.run(saga, run_id="r")
            assert outcome.status is Status.STUCK
            assert outcome.unresolved == {"a": "compensate", "b": "compensate"}
            assert [one.run_id for one in carried.runs(status=Status.STUCK)] == ["r"]
            assert carried.show("r").unresolved == outcome.unresolved
            assert carried.recover() == 0, "F19: nobody resumes it on its own"
            broken = False
            assert carried.retry("r", by="ada", note="ticket 88")
            assert carried.wait("r").status is Status.COMPENSATED
            assert undone == ["a"]
        said = [entry.data for entry in journal.read("r") if entry.event == "retry(b)"]
        assert "ada" in said[0]
        assert "ticket 88" in said[0]

    def test_resolve_only_what_can_be_true(self, journal: SqliteJournal) -> None:
        """A person's word is an event, or an error that says what is accepted."""

        def never(ctx, result) -> None:
            raise OSError("closed for ever")

        saga = Saga(
            "stuck",
            step(act, name="a", compensate=never, compensation_retry=Retry(attempts=1)),
            pivot(refuse),
            contract=GUARDED,
        )
        with orchestrator(journal, saga) as carried:
            assert carried.run(saga, run_id="r").status is Status.STUCK
            with pytest.raises(SagaError, match="does not accept"):
                carried.resolve("r", step="a", as_="done", by="ada")
            assert carried.resolve("r", step="a", as_="compensated", by="ada")
            assert carried.wait("r").status is Status.COMPENSATED


class TestOthers:
    """Several orchestrators on one file."""

    def test_who_has_no_workers_starts_and_decides(self, journal: SqliteJournal) -> None:
        """``workers=0`` leaves all calls to another, and misses nothing."""
        with orchestrator(journal, APPROVED, workers=0) as front:
            front.start(APPROVED, run_id="r")
            assert front.show("r").status is Status.NEW
            with pytest.raises(TimeoutError):
                front.wait("r", timeout=0.1)
            with orchestrator(journal, APPROVED) as back:
                until(lambda: back.show("r").waiting)
                assert front.deliver("r", "ask", "yes")
                assert front.wait("r", timeout=10).results["ask"] == "yes"
                with pytest.raises(RunConflictError):
                    front.start(APPROVED, "another", run_id="r")

    def test_a_word_that_nobody_hears_is_kept(self, journal: SqliteJournal) -> None:
        """It is acted on as soon as somebody carries the run out."""
        with orchestrator(journal, APPROVED, workers=0, lease=0.2) as front:
            front.start(APPROVED, run_id="r")
            with pytest.raises(DecisionPendingError, match="is stored"):
                front.cancel("r")
        with orchestrator(journal, APPROVED, services=[]) as back:
            assert back.wait("r", timeout=10).status is Status.COMPENSATED

    def test_a_run_started_within_a_transaction_is_there_if_it_is_committed(
        self, journal: SqliteJournal, tmp_path: Path
    ) -> None:
        """The caller's rows and the run are stored together, or neither is."""
        import sqlite3

        db = sqlite3.connect(tmp_path / "sagas.db")
        db.execute("CREATE TABLE orders (id TEXT)")
        db.commit()
        with orchestrator(journal, ORDER, services=[]) as carried:
            for run_id, end in (("kept", db.commit), ("dropped", db.rollback)):
                db.execute("INSERT INTO orders VALUES (?)", (run_id,))
                carried.start(ORDER, run_id=run_id, within=db)
                end()
            assert carried.wait("kept", timeout=10).status is Status.COMPLETED
            with pytest.raises(UnknownRunError):
                carried.wait("dropped")
            other = sqlite3.connect(tmp_path / "other.db")
            with pytest.raises(SagaError, match="another database"):
                carried.start(ORDER, run_id="far", within=other)
        db.close()
        other.close()

    def test_a_dead_owner_is_followed_after_its_lease(
        self, journal: SqliteJournal, tmp_path: Path
    ) -> None:
        """A run whose owner does not beat is taken, and the old owner can write no more."""
        go = threading.Event()
        made: list[str] = []

        def slow(ctx) -> str:
            made.append(ctx.key)
            if len(made) == 1:
                go.wait(10)
            return ctx.step

        saga = Saga("slow", step(slow, compensate=undo), held("next"), contract=GUARDED)
        old_journal = SqliteJournal(tmp_path / "sagas.db")
        # It never looks, or it would take its own run back.
        old = orchestrator(old_journal, saga, lease=600.0, poll=600.0)
        old.start(saga, run_id="r")
        until(lambda: made)
        # It lives, and for the others it does not: as one that was suspended.
        journal.beat(old._engine.owner, -1.0)
        with orchestrator(journal, saga) as new:
            assert new.wait("r", timeout=10).status is Status.COMPLETED
            entries = journal.read("r")
            go.set()
            assert old.wait("r", timeout=10).status is Status.COMPLETED
            assert journal.read("r") == entries
        old.close()
        old_journal.close()
        assert made == ["r/slow", "r/slow"]

    def test_closing_leaves_the_rest(self, journal: SqliteJournal) -> None:
        """What is in flight is awaited, nothing is compensated, and who comes goes on at once."""
        begun, go = threading.Event(), threading.Event()
        keys: list[str] = []

        def slow(ctx) -> str:
            begun.set()
            go.wait(10)
            return "slowly"

        def bare(ctx) -> str:
            keys.append(ctx.key)
            return "once"

        # Not idempotent: after a crash it could only be undone.
        saga = Saga("left", step(slow, compensate=undo), step(bare, compensate=undo))
        first = orchestrator(journal, saga)
        first.start(saga, run_id="r")
        begun.wait(10)
        threading.Timer(0.1, go.set).start()
        first.close()
        assert keys == []
        assert journal.read("r")[-1].event == "#unmade(call bare)"
        with orchestrator(journal, saga) as second:
            outcome = second.wait("r", timeout=10)
        assert (outcome.status, keys) == (Status.COMPLETED, ["r/bare"])

    def test_who_waits_when_it_is_closed_is_told(self, journal: SqliteJournal) -> None:
        """Nobody hangs."""
        carried = orchestrator(journal, APPROVED)
        carried.start(APPROVED, run_id="r")
        until(lambda: carried.show("r").waiting)
        said: list[BaseException] = []

        def wait() -> None:
            try:
                carried.wait("r")
            except SagaError as error:
                said.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.05)
        carried.close()
        thread.join(10)
        assert "closed" in str(said[0])
        with pytest.raises(SagaError, match="closed"):
            carried.start(APPROVED)

    def test_on_rest_is_called_for_every_end(self, journal: SqliteJournal) -> None:
        """Also for one that nobody waits for; and what it raises harms nothing."""
        told: list[tuple[str, Status]] = []

        def hear(one) -> None:
            told.append((one.run_id, one.status))
            raise ValueError("not mine")

        with orchestrator(journal, ORDER, REFUSED, services=[], on_rest=hear) as carried:
            carried.start(ORDER, run_id="a")
            carried.start(REFUSED, run_id="b")
            carried.drain(timeout=10)
        assert sorted(told) == [("a", Status.COMPLETED), ("b", Status.COMPENSATED)]


class TestTrouble:
    """A full disk, a fork, a signal, a definition that is gone, an owner that dies late."""

    def test_a_full_disk_is_told_and_waited_for(self, journal: SqliteJournal) -> None:
        """A start that cannot be stored is an error; what is in flight goes on when it can."""
        go = threading.Event()
        saga = Saga("full", step(lambda ctx: go.wait(10), name="s", compensate=undo), held("t"))
        with orchestrator(journal, saga) as carried:
            carried.start(saga, run_id="r")
            until(lambda: journal.read("r"))
            writer = journal._writer
            (pages,) = writer.execute("PRAGMA page_count").fetchone()
            writer.execute(f"PRAGMA max_page_count = {pages}")
            starts = (carried.start(saga, "x" * 5_000, run_id=f"r-{n}") for n in range(500))
            with pytest.raises(StoreUnavailableError, match="full"):
                list(starts)
            go.set()
            # Each page that is left is taken by now.
            time.sleep(0.2)
            writer.execute("PRAGMA max_page_count = 1000000")
            assert carried.wait("r", timeout=20).status is Status.COMPLETED
            carried.drain(timeout=20)

    def test_a_fork_is_refused(self, journal: SqliteJournal) -> None:
        """Threads and connections do not come along; the child is told, and the parent goes on."""
        with orchestrator(journal, ORDER) as carried:
            carried.run(ORDER)
            reader, writer = os.pipe()
            pid = os.fork()
            if not pid:
                try:
                    carried.start(ORDER)
                except SagaError as error:
                    os.write(writer, str(error).encode())
                os._exit(0)
            os.waitpid(pid, 0)
            assert b"before a fork" in os.read(reader, 1000)
            os.close(reader)
            os.close(writer)
            assert carried.run(ORDER).status is Status.COMPLETED

    def test_who_dies_before_on_rest_is_called_is_followed(
        self, journal: SqliteJournal, tmp_path: Path
    ) -> None:
        """``on_rest`` is called at least once, by whoever lives."""
        begun, told = threading.Event(), threading.Event()
        other = SqliteJournal(tmp_path / "sagas.db")
        go = threading.Event()

        def slow(_run) -> None:
            begun.set()
            go.wait(20)

        first = orchestrator(other, ORDER, on_rest=slow, lease=600, poll=600.0)
        first.start(ORDER, run_id="r")
        assert begun.wait(10)
        journal.beat(first._engine.owner, -1.0)
        with orchestrator(journal, ORDER, on_rest=lambda _run: told.set()):
            assert told.wait(10)
        go.set()
        first.close()
        other.close()

    def test_a_run_that_cannot_be_carried_out_harms_no_other(self, journal: SqliteJournal) -> None:
        """One whose entries were tampered with is left alone, and who waits for it is told."""
        with orchestrator(journal, APPROVED) as first:
            first.start(APPROVED, run_id="bad")
            until(lambda: first.show("bad").waiting)
        journal._writer.execute("UPDATE saga_entries SET event = 'done(nobody)' WHERE position = 2")
        with orchestrator(journal, APPROVED, ORDER) as second:
            assert second.run(ORDER).status is Status.COMPLETED
            with pytest.raises(Exception, match="nobody"):
                second.wait("bad", timeout=5)

    def test_a_program_that_ends_without_a_close_leaves_its_runs_at_once(
        self, tmp_path: Path
    ) -> None:
        """Nobody has to wait until its lease ends, and the program ends at once."""
        program = _PROGRAM.partition("try:")[0] + "Orchestrator(saga, journal=journal).start(saga)"
        done = subprocess.run(  # noqa: S603 - our own
            [sys.executable, "-c", program, str(tmp_path)], check=True, timeout=30
        )
        assert done.returncode == 0
        store = SqliteJournal(tmp_path / "sagas.db")
        (left,) = store.list_runs()
        assert (left.status, left.owner) == (Status.RUNNING, "")
        store.close()

    @pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_compensates_nothing(self, tmp_path: Path, how: signal.Signals) -> None:
        """A program that is asked to end drains what is in flight, and leaves the rest."""
        done = subprocess.Popen(  # noqa: S603 - our own
            [sys.executable, "-c", _PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert done.stdout is not None
        assert done.stdout.readline() == "begun\n"
        done.send_signal(how)
        assert "left" in done.communicate(timeout=30)[0]
        store = SqliteJournal(tmp_path / "sagas.db")
        events = [entry.event for entry in store.read("r")]
        assert events == ["start", "done(slow)", "#unmade(call next)"]
        assert store.find("r")[0].owner == ""  # type: ignore[index]
        store.close()


_PROGRAM = """
import signal, sys, time
from saga_fsm import Orchestrator, Saga, step
from saga_fsm.journals.sqlite import SqliteJournal

def slow(ctx):
    print("begun", flush=True)
    time.sleep(0.5)
def undo(ctx, result): raise SystemError("nothing is undone")

saga = Saga("slow", step(slow, compensate=undo), step(lambda ctx: 1, name="next", compensate=undo))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
journal = SqliteJournal(sys.argv[1] + "/sagas.db")
try:
    with Orchestrator(saga, journal=journal) as orchestrator:
        orchestrator.run(saga, run_id="r")
finally:
    print("left", flush=True)
"""


class TestClock:
    """Time that is injected."""

    def test_a_long_pause_costs_no_time_on_a_virtual_clock(self, journal: SqliteJournal) -> None:
        """No test sleeps."""
        saga = Saga("long", pause(86_400.0), held("s"))
        clock = VirtualClock()
        with orchestrator(journal, saga, clock=clock) as carried:
            assert carried.run(saga).status is Status.COMPLETED
        assert clock.now() >= 86_400.0


class Sealed:
    """A codec that writes the same value in another way each time, as encryption does."""

    def encode(self, value: Any, type_: Any) -> str:
        """With a nonce."""
        return json.dumps([os.urandom(4).hex(), JsonCodec().encode(value, type_)])

    def decode(self, text: str, type_: Any) -> Any:
        """Without it."""
        return JsonCodec().decode(json.loads(text)[1], type_)


class TestValues:
    """What a run carries."""

    def test_a_codec_of_ones_own(self, journal: SqliteJournal) -> None:
        """Nothing is stored in the clear, and the same input is the same run."""
        with orchestrator(journal, ORDER, codec=Sealed()) as carried:
            for _ in range(2):
                assert carried.run(ORDER, "secret", run_id="r").results["ship"] == "ship"
            with pytest.raises(RunConflictError):
                carried.run(ORDER, "other", run_id="r")

    def test_a_result_that_cannot_be_kept_is_unknown(self, journal: SqliteJournal) -> None:
        """Its effect may have landed: it is undone, and said why."""

        def odd(ctx) -> Any:
            return threading.Lock()

        undone: list[str] = []
        saga = Saga("odd", held("a"), step(odd, compensate=undo), contract=GUARDED)
        with orchestrator(journal, saga, services=undone) as carried:
            outcome = carried.run(saga)
        assert outcome.status is Status.COMPENSATED
        assert outcome.cause is not None
        assert (outcome.cause.kind, outcome.cause.step) == ("unknown", "odd")
        assert undone == ["odd", "a"]

    def test_items_are_kept_whatever_they_come_in(self, journal: SqliteJournal) -> None:
        """A generator is a list; an item that cannot be kept fails the block before any effect."""
        saga = Saga(
            "many", held("a"), each(lambda ctx: (n for n in range(2)), held("line"), max_items=3)
        )
        bad = Saga("bad", held("a"), each(lambda ctx: [object()], held("line"), max_items=3))
        with orchestrator(journal, saga, bad, services=[]) as carried:
            assert set(carried.run(saga).results) == {"a", "line[0]", "line[1]"}
            assert carried.run(bad).status is Status.COMPENSATED

    def test_a_type_that_can_never_be_kept_is_told_at_once(self, journal: SqliteJournal) -> None:
        """Not when the first result comes, but when the orchestrator is made."""

        def locks(ctx) -> threading.Lock: ...  # type: ignore[empty-body]

        saga = Saga("locks", step(locks, compensate=undo))
        with pytest.raises(UnstorableTypeError, match="locks"):
            orchestrator(journal, saga)


class TestUnknown:
    """What a step raises that it did not declare."""

    def test_each_attempt_is_told_of_with_its_traceback(
        self, journal: SqliteJournal, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Once each, as a warning; what is declared is no news, nor an answer that came late."""

        def cut(ctx) -> None:
            raise ConnectionResetError("the line was cut")

        def busy(ctx) -> None:
            raise Transient("busy") if ctx.attempt == 1 else Rejected("no")

        twice = Retry(attempts=2, wait_initial=0.01)
        saga = Saga(
            "cut",
            step(busy, name="busy", compensate=undo, retry=twice, contract=GUARDED),
        )
        other = Saga("other", step(cut, compensate=undo, retry=twice, contract=GUARDED))
        chosen = Saga("chosen", choice(cut, yes=held("one"), otherwise=held("two")))
        with caplog.at_level("WARNING"), orchestrator(journal, saga, other, chosen) as carried:
            for one in (saga, other, chosen):
                assert carried.run(one, run_id=one.name).status is Status.COMPENSATED
        told = [record for record in caplog.records if record.exc_info]
        assert [record.getMessage().partition(" raised")[0] for record in told] == [
            "run other: attempt 1 to call 'cut'",
            "run other: attempt 2 to call 'cut'",
            "run chosen: attempt 1 to decide 'cut'",
        ]
        assert all(record.exc_info[1].args == ("the line was cut",) for record in told)  # type: ignore[index, union-attr]
        assert {record.name for record in told} == {"saga_fsm"}

    def test_the_cause_is_what_the_action_raised_and_not_its_query(
        self, journal: SqliteJournal
    ) -> None:
        """In memory, in the orchestrator, and when it is read again."""

        def cut(ctx) -> None:
            raise ConnectionResetError("the line was cut")

        def ask(ctx) -> None:
            if ctx.attempt == 1:
                raise OSError("nobody is there")
            raise Rejected("never heard of it")

        saga = Saga(
            "asked",
            step(
                cut,
                compensate=undo,
                query=ask,
                retry=Retry(attempts=2, wait_initial=0.01),
                contract=GUARDED,
            ),
        )
        with orchestrator(journal, saga) as carried:
            outcomes = [run(saga), carried.run(saga, run_id="r")]
        with orchestrator(journal, saga) as again:
            outcomes.append(again.wait("r", timeout=5))
        for outcome in outcomes:
            assert outcome.cause is not None
            assert outcome.cause.message == "the line was cut"
        assert isinstance(outcomes[0].cause.exception, ConnectionResetError)  # type: ignore[union-attr]


class TestForgetting:
    """What is over costs nothing."""

    def test_timers_of_runs_that_are_over_are_forgotten(self, journal: SqliteJournal) -> None:
        """A deadline of an hour keeps no run of a moment in memory."""
        saga = Saga("brief", held("a"), deadline=3_600.0, contract=GUARDED)
        with orchestrator(journal, saga) as carried:
            for number in range(2_500):
                carried.start(saga, number)
            carried.drain(timeout=30)
            engine = carried._engine
            assert engine.flights == {}
            assert len(engine._timers) <= 1_001

    def test_who_gives_up_waiting_is_forgotten(self, journal: SqliteJournal) -> None:
        """However often they ask."""
        with orchestrator(journal, APPROVED, services=[]) as carried:
            carried.start(APPROVED, run_id="r")
            for _ in range(20):
                with pytest.raises(TimeoutError):
                    carried.wait("r", timeout=0.001)
            assert len(carried._desk.watched["r"]) <= 2
            carried.cancel("r")

    def test_a_claim_that_cannot_be_read_is_read_later(
        self, journal: SqliteJournal, tmp_path: Path
    ) -> None:
        """What was taken is ours: it does not wait for our end."""
        with orchestrator(journal, ORDER, workers=0) as front:
            front.start(ORDER, run_id="r")
        other = SqliteJournal(tmp_path / "sagas.db")
        read, failures = other.read_many, iter([True, True, False])

        def flaky(run_ids: Any) -> Any:
            if run_ids and next(failures, False):
                raise StoreUnavailableError(store="sagas.db", message="it was pulled out")
            return read(run_ids)

        other.read_many = flaky  # type: ignore[method-assign]
        with orchestrator(other, ORDER) as back:
            assert back.wait("r", timeout=10).status is Status.COMPLETED
        other.close()
