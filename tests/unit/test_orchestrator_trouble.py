"""Bad moments: nobody waits for ever, no run takes another with it, nothing grows or spins."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from saga_fsm import (
    GUARDED,
    PENDING,
    Context,
    Orchestrator,
    Pending,
    Rejected,
    Retry,
    Saga,
    Status,
    pivot,
    retriable,
    step,
)
from saga_fsm.errors import JournalError, SagaError, StoreUnavailableError, UnknownRunError
from saga_fsm.journals.sqlite import SqliteJournal
from saga_fsm.ports import Append
from saga_fsm.runner.house import raised


def act(ctx) -> str:
    """Say which step this is."""
    return ctx.step


def undo(ctx, result) -> None:
    """Nothing."""


def ask(ctx) -> str | Pending:
    """Wait for somebody."""
    return PENDING


ORDER = Saga("order", step(act, name="a", compensate=undo), pivot(act), contract=GUARDED)
ASKED = Saga("asked", step(ask, compensate=undo), pivot(act), contract=GUARDED)
GONE = StoreUnavailableError(store="sagas.db", message="it was pulled out")


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


def within(seconds: float, function: Callable[[], Any]) -> Any:
    """What a call gives or raises, which must come in time."""
    found: list[Any] = []

    def call() -> None:
        try:
            found.append(function())
        except BaseException as error:  # noqa: BLE001 - looked at by who asked
            found.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    assert found, "it waits for ever"
    return found[0]


class TestOneHarmsNoOther:
    """The thread that decides goes on, whatever is asked about one run."""

    def test_an_input_that_cannot_be_read_any_more(self, journal: SqliteJournal) -> None:
        """The same id with an input of another type is told, and all others go on."""

        def of_number(ctx: Context[int]) -> str:
            return "x"

        def of_counts(ctx: Context[dict[str, int]]) -> str:
            return "x"

        old = Saga("t", step(of_number, name="a", compensate=undo), contract=GUARDED)
        new = Saga("t", step(of_counts, name="a", compensate=undo), contract=GUARDED)
        with orchestrator(journal, old) as carried:
            carried.run(old, 3, run_id="r")
        with orchestrator(journal, new, ORDER) as carried:
            error = within(5.0, lambda: carried.run(new, {"a": 1}, run_id="r"))
            assert isinstance(error, JournalError)
            assert carried.run(ORDER).status is Status.COMPLETED

    def test_a_text_that_no_store_can_hold(self, journal: SqliteJournal) -> None:
        """What a codec writes with a NUL in it ends that run's part here, and no other's."""

        class Odd:
            def encode(self, value: Any, type_: Any) -> str:
                return "\0" if value == "odd" else str(value)

            def decode(self, text: str, type_: Any) -> Any:
                return "odd" if text == "\0" else text

        odd = Saga("odd", step(lambda ctx: ctx.input, name="echo", compensate=undo))
        with orchestrator(journal, odd, codec=Odd()) as carried:
            with ThreadPoolExecutor(9) as pool:
                inputs = ["odd", *(f"even {n}" for n in range(8))]
                found = list(
                    pool.map(lambda one: within(10.0, lambda: carried.run(odd, one)), inputs)
                )
            assert isinstance(found[0], SagaError)
            assert [outcome.status for outcome in found[1:]] == [Status.COMPLETED] * 8

    def test_a_run_that_was_forgotten_while_somebody_asks_for_it(
        self, journal: SqliteJournal
    ) -> None:
        """Who starts it again in that moment is told that it is gone."""
        go, told = threading.Event(), threading.Event()

        def slow(_run: Any) -> None:
            told.set()
            go.wait(10)

        with orchestrator(journal, ORDER, on_rest=slow) as carried:
            carried.start(ORDER, run_id="r")
            assert told.wait(5)
            journal.forget("r")
            error = within(5.0, lambda: carried.start(ORDER, run_id="r"))
            assert isinstance(error, UnknownRunError)
            go.set()
            assert carried.run(ORDER, run_id="other").status is Status.COMPLETED

    def test_an_answer_of_another_version_is_read(self) -> None:
        """Facts that this version does not know are left out."""
        error = raised('{"saga": "s", "state": "x", "event": "cancel", "wind": "north"}')
        assert "does not accept 'cancel'" in str(error)


class TestNobodyWaitsForEver:
    """Callers at the wrong moment."""

    def test_a_start_that_failed_is_forgotten_when_the_next_succeeds(
        self, journal: SqliteJournal
    ) -> None:
        """The store was full once: that is not held against the run."""
        commit, full = journal.commit, [True]

        def flaky(appends: Sequence[Append]) -> Any:
            if full and any(append.birth for append in appends):
                raise GONE
            return commit(appends)

        journal.commit = flaky  # type: ignore[method-assign]
        with orchestrator(journal, ORDER) as carried:
            with pytest.raises(StoreUnavailableError):
                carried.start(ORDER, run_id="r")
            assert carried._desk._spoilt == {}
            full.clear()
            carried.start(ORDER, run_id="r")
            assert carried.wait("r", timeout=5).status is Status.COMPLETED

    def test_who_waits_for_room_begins_when_a_run_is_lost(self, journal: SqliteJournal) -> None:
        """Room is made by whatever ends a run here."""
        commit = journal.commit

        def flaky(appends: Sequence[Append]) -> Any:
            if any(append.birth and append.run_id == "first" for append in appends):
                raise GONE
            return commit(appends)

        journal.commit = flaky  # type: ignore[method-assign]
        with orchestrator(journal, ORDER, in_flight=1) as carried:
            go, held = threading.Event(), threading.Event()
            # Both letters are opened together, before anything is stored.
            carried._engine.tell(lambda: held.set() or go.wait(10))
            assert held.wait(10)
            with ThreadPoolExecutor(2) as pool:
                ids = ["first", "second"]
                begun = [pool.submit(carried.start, ORDER, run_id=one) for one in ids]
                until(lambda: carried._engine._mail.qsize() >= 2)
                go.set()
                errors = [one.exception(timeout=5) for one in begun]
            assert sorted(type(error).__name__ for error in errors) == [
                *("NoneType", "StoreUnavailableError"),
            ]

    def test_two_may_close_it_at_once(self, journal: SqliteJournal) -> None:
        """Each is told when it is closed."""
        slow = Saga("slow", step(lambda ctx: time.sleep(0.3), name="z", compensate=undo))
        carried = orchestrator(journal, slow)
        carried.start(slow)
        with ThreadPoolExecutor(3) as pool:
            closes = [pool.submit(carried.close, timeout=None) for _ in range(3)]
            for one in closes:
                one.result(timeout=10)

    def test_what_is_asked_while_it_closes_is_told(self, journal: SqliteJournal) -> None:
        """A letter that comes after the last look finds nobody, and its writer hears so."""
        carried = orchestrator(journal, ORDER)
        carried.run(ORDER)
        ready = carried._ready

        def late() -> Any:
            engine = ready()
            carried._ready = ready  # type: ignore[method-assign]
            carried.close()
            return engine

        for ask_ in (lambda: carried.run(ORDER), carried.drain):
            if not carried._engine.ended:
                carried._ready = late  # type: ignore[method-assign]
            error = within(5.0, ask_)
            assert isinstance(error, SagaError)
            assert "closed" in str(error)

    def test_many_ask_and_close_at_once(self, journal: SqliteJournal) -> None:
        """Whoever asks gets an outcome or an error, however the threads fall."""
        for _ in range(10):
            carried = orchestrator(journal, ORDER, workers=2)

            def ask_on(carried: Orchestrator = carried) -> None:
                try:
                    while True:
                        carried.run(ORDER)
                except SagaError as error:
                    assert "closed" in str(error)  # noqa: PT017 - the first that comes

            with ThreadPoolExecutor(4) as pool:
                asking = [pool.submit(ask_on) for _ in range(4)]
                time.sleep(0.03)
                carried.close()
                for one in asking:
                    one.result(timeout=10)

    def test_a_run_that_comes_back_to_its_owner_is_decided_anew(
        self, journal: SqliteJournal
    ) -> None:
        """Its lease was over, and nobody else took it: what was under way is told as lost."""
        with orchestrator(journal, ASKED, poll=0.05) as carried:
            carried.start(ASKED, run_id="r")
            until(lambda: carried.show("r").waiting)
            flight = carried._engine.flights["r"]
            journal.beat(carried._engine.owner, -1.0)
            carried._house._beat_at = time.monotonic() + 60.0
            until(lambda: flight.gone)
            journal.beat(carried._engine.owner, 60.0)
            assert carried.deliver("r", "ask", "yes")
            assert carried.wait("r", timeout=5).status is Status.COMPLETED


class TestStoreIsGone:
    """The store cannot be used for a while."""

    def test_nothing_spins_and_people_are_told_once(
        self, journal: SqliteJournal, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is looked for as often as ever, with one warning a minute; then all goes on."""
        beat, tries, down = journal.beat, [0], [True]

        def flaky(owner: str, lease: float) -> None:
            tries[0] += 1
            if down and tries[0] > 1:
                raise GONE
            beat(owner, lease)

        journal.beat = flaky  # type: ignore[method-assign]
        with caplog.at_level(logging.WARNING), orchestrator(journal, ORDER, lease=0.1) as carried:
            until(lambda: tries[0] > 5)
            tries[0] = 2
            time.sleep(0.4)
            assert tries[0] < 50
            down.clear()
            assert carried.run(ORDER).status is Status.COMPLETED
        assert sum("cannot be used now" in one.getMessage() for one in caplog.records) == 1

    def test_who_watches_a_run_elsewhere_hears_of_it_when_the_store_is_back(
        self, journal: SqliteJournal, tmp_path: Path
    ) -> None:
        """Each look fails in its turn; the wait goes on, and the end is told."""
        other = SqliteJournal(tmp_path / "sagas.db")
        down = threading.Event()
        looks = dict.fromkeys(("list_runs", "read", "posted", "claim", "answer", "find"), 0)

        def flaky(name: str) -> Callable[..., Any]:
            real = getattr(other, name)

            def look(*arguments: Any, **options: Any) -> Any:
                if down.is_set():
                    looks[name] += 1
                    raise GONE
                return real(*arguments, **options)

            return look

        for name in looks:
            setattr(other, name, flaky(name))
        with (
            orchestrator(journal, ASKED) as owner,
            orchestrator(other, ASKED, workers=0) as watcher,
            ThreadPoolExecutor(2) as pool,
        ):
            owner.start(ASKED, run_id="r")
            until(lambda: owner.show("r").waiting)
            waits = [pool.submit(watcher.wait, "r", timeout=20) for _ in range(2)]
            until(lambda: "r" in watcher._desk.watched)
            down.set()
            owner.deliver("r", "ask", "yes")
            assert owner.wait("r", timeout=5).status is Status.COMPLETED
            until(lambda: sum(looks.values()) > 3)
            assert not any(one.done() for one in waits)
            down.clear()
            assert [one.result().results["ask"] for one in waits] == ["yes", "yes"]
        other.close()

    def test_a_rest_that_could_not_be_told_is_not_told_of_a_run_that_went_on(
        self, journal: SqliteJournal
    ) -> None:
        """``on_rest`` could not read the run; it moved on before that was tried again."""
        go, down, tries = threading.Event(), [True], [0]

        def closed(ctx, result) -> None:
            if not go.is_set():
                tries[0] += 1
                if tries[0] == 1:
                    raise OSError("the bank is closed")
                go.wait(10)

        def refuse(ctx) -> None:
            raise Rejected("no")

        fragile = step(act, name="a", compensate=closed, compensation_retry=Retry(attempts=1))
        saga = Saga("stuck", fragile, pivot(refuse), contract=GUARDED)
        find = journal.find

        def flaky(run_id: str) -> Any:
            if down and threading.current_thread().name == "saga worker":
                down.clear()
                raise GONE
            return find(run_id)

        journal.find = flaky  # type: ignore[method-assign]
        told: list[Status] = []
        rested: Any = {"on_rest": lambda run: told.append(run.status)}
        with orchestrator(journal, saga, poll=0.2, **rested) as carried:
            assert carried.run(saga, run_id="r").status is Status.STUCK
            until(lambda: not down and carried._desk.unannounced)
            assert carried.retry("r", step="a")
            until(lambda: tries[0] == 2)
            with pytest.raises(TimeoutError):
                carried.wait("r", timeout=0.5)
            go.set()
            assert carried.wait("r", timeout=5).status is Status.COMPENSATED
            until(lambda: told)
        assert told == [Status.COMPENSATED]


class LostReplies(SqliteJournal):
    """A real file; the reply to every third commit is lost on its way."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.written: dict[int, tuple[Append, JournalError | None]] = {}
        self.lost = self.commits = 0

    def commit(self, appends: Sequence[Append]) -> list[JournalError | None]:
        """As the contract says: the same objects again are written once, and count."""
        fresh = [one for one in appends if id(one) not in self.written]
        for one, result in zip(fresh, super().commit(fresh), strict=True):
            # Kept, so that no other object has its id.
            self.written[id(one)] = one, result
        self.commits += 1
        if self.commits % 3 == 1:
            self.lost += 1
            raise StoreUnavailableError(store="sagas.db", message="cut", unknown=True)
        return [self.written[id(one)][1] for one in appends]


def test_what_was_written_without_a_reply_is_not_doubled(tmp_path: Path) -> None:
    """The engine brings the same appends again: each effect once, each entry once."""
    calls: list[str] = []
    lock = threading.Lock()

    def count(ctx) -> str:
        with lock:
            calls.append(ctx.key)
        return ctx.key

    def back(ctx, result) -> None:
        count(ctx)

    def refuse(ctx) -> None:
        raise Rejected("no")

    held = [step(count, name=name, compensate=back) for name in ("a", "b")]
    # Not idempotent: a call that is made twice, or an entry that stands twice, would show.
    there = Saga("there", *held, pivot(count, name="p"), retriable(count, name="m"))
    back_again = Saga("back", *held, pivot(refuse))
    journal = LostReplies(tmp_path / "sagas.db")
    with orchestrator(journal, there, back_again) as carried, ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(carried.run, saga, n, run_id=f"{saga.name}-{n}")
            for n in range(10)
            for saga in (there, back_again)
        ]
        statuses = [job.result(timeout=30).status for job in jobs]
    assert statuses == [Status.COMPLETED, Status.COMPENSATED] * 10
    assert journal.lost > 3
    assert len(calls) == len(set(calls))
    for number in range(10):
        events = [entry.event for entry in journal.read(f"there-{number}")]
        assert events == ["start", "done(a)", "done(b)", "done(p)", "done(m)"]
        events = [entry.event for entry in journal.read(f"back-{number}")]
        assert len(events) == len(set(events))
    journal.close()
