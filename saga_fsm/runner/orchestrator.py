"""Many runs at once, kept in a journal: for programs with threads."""

from __future__ import annotations

import os
from concurrent.futures import Future
from typing import Any, Self, TypeVar

from saga_fsm.errors import DecisionPendingError
from saga_fsm.runner.front import GRACE, AnySaga, Front
from saga_fsm.runner.loop import PrivateLoop
from saga_fsm.runner.outcome import Outcome


R = TypeVar("R")


class Orchestrator(Front):
    """
    Carries out many runs at once, kept in a journal; goes on with those of processes that are gone.

    A run's entries are stored before the calls that they allow are made; so a process may die at
    any instruction, and whoever takes the run up knows what was under way. Several orchestrators,
    in several processes, share a journal: each run has one owner at a time.

    All methods may be called from several threads. As a context manager it takes up what was left
    when it is entered, and closes at the end; without, it begins at the first call.

    Args:
        sagas: that it carries out; of several versions of one, the newest first.
        journal: where runs are kept: ``SqliteJournal``, ``PostgresJournal``, ``MemoryJournal``.
        services: given to every step as ``ctx.services``.
        workers: how many sync calls at once; 0 starts runs and passes on decisions, and others
            carry them out.
        lease: seconds after which the runs of a process that is gone are taken up by others.
        on_rest: called with the run, at least once, when it is completed, compensated or stuck.
        in_flight: how many runs at once; starting another waits.
        poll: seconds between two looks for runs to take and for words from outside.
        upgrades: what ``diff(old, new)`` has proven: runs of the old version go on under the new
            one, each where it may; the others wait for an orchestrator that has the old one.
        codec: how inputs and results are written; None is JSON by their annotations.
        limit: characters that one of them may take.
        clock: time; None is this machine's.
        random: luck for jitter.

    Raises:
        UnstorableTypeError: an annotation names a type whose values cannot be kept.

    >>> from saga_fsm import Saga, pivot, step
    >>> from saga_fsm.journals.memory import MemoryJournal
    >>> def reserve(ctx) -> str: return "seat 7"
    >>> def release(ctx, seat): ...
    >>> def pay(ctx): ...
    >>> booking = Saga("booking", step(reserve, compensate=release), pivot(pay))
    >>> with Orchestrator(booking, journal=MemoryJournal()) as orchestrator:
    ...     outcome = orchestrator.run(booking, {"show": "Lear"}, run_id="booking-1")
    >>> outcome.status, outcome.results
    (<Status.COMPLETED: 'completed'>, {'reserve': 'seat 7', 'pay': None})
    """

    def _made_loop(self) -> PrivateLoop:
        return PrivateLoop()

    def __enter__(self) -> Self:
        self._ready().open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(
        self,
        saga: AnySaga | str,
        input: Any = None,  # noqa: A002 - the interface's word
        *,
        run_id: str | None = None,
    ) -> Outcome[Any]:
        """
        Start a run, or attach to the one that has this id, and wait for its rest.

        Args:
            saga: one of this orchestrator's, or its name.
            input: given to every step as ``ctx.input``.
            run_id: the first part of every idempotency key; None makes one.

        Raises:
            RunConflictError: the id exists with another saga or input.
            MachineChangedError: it exists, under a machine that is not here.
        """
        asked = self._asked(saga, input, run_id, stored=False, rest=True)
        assert asked.rest is not None  # noqa: S101 - just asked for
        return asked.rest.result()

    def start(
        self,
        saga: AnySaga | str,
        input: Any = None,  # noqa: A002 - the interface's word
        *,
        run_id: str | None = None,
        within: Any = None,
    ) -> str:
        """
        Start a run; returns its id when it is stored.

        With ``within`` it is stored in the caller's own transaction on the journal's database:
        there is a run if, and only if, that is committed. On SQLite the file has one writer: from
        this call until the caller commits or rolls back, no other run there can go on, and after
        the journal's ``busy`` seconds its orchestrators say that it is locked. So make it the last
        thing in the transaction, and commit. Waits when too many are in flight.

        Args:
            saga: one of this orchestrator's, or its name.
            input: given to every step as ``ctx.input``.
            run_id: the first part of every idempotency key; None makes one.
            within: a connection to the journal's database, in a transaction.

        Raises:
            RunConflictError: the id exists with another saga or input.
            MachineChangedError: it exists, under a machine that is not here.
        """
        if within is not None:
            return self._start_within(saga, input, run_id, within)
        asked = self._asked(saga, input, run_id, stored=True, rest=False)
        assert asked.stored is not None  # noqa: S101 - just asked for
        asked.stored.result()
        return asked.run_id

    def wait(self, run_id: str, *, timeout: float | None = None) -> Outcome[Any]:
        """
        Wait for a run's rest, whoever carries it out.

        Raises:
            TimeoutError: it does not rest yet, and how it stands; the run goes on.
            MachineChangedError: it goes on under no version that is here.
            UnknownRunError: there is none.
        """
        try:
            return _within(self._watched(run_id), timeout)
        except TimeoutError:
            raise self._not_yet(run_id, timeout) from None

    def drain(self, *, timeout: float | None = None) -> None:
        """
        Wait until no run is in flight here.

        Raises:
            TimeoutError: some are; they go on.
        """
        future: Future[None] = Future()
        self._ready().tell(self._desk.drain, future)
        try:
            _within(future, timeout)
        except TimeoutError:
            raise self._undrained(timeout) from None

    def recover(self) -> int:
        """Take up every run whose owner is gone; how many. It is also done by itself."""
        future: Future[int] = Future()
        self._ready().tell(self._house.recover, future)
        return future.result()

    def cancel(self, run_id: str, *, by: str = "", note: str = "") -> bool:
        """Turn a run back; False, with the run untouched, past the pivot and when it is over."""
        return self._decided(run_id, "cancel", by=by, note=note)

    def retry(self, run_id: str, *, step: Any = None, by: str = "", note: str = "") -> bool:
        """Ask again for what a stuck run owes: for all of it, or for one step."""
        return self._decided(run_id, "retry", step=step, by=by, note=note)

    def resolve(self, run_id: str, *, step: Any, as_: str, by: str = "", note: str = "") -> bool:
        """
        Say what a person has found out or done about a step on which a run is stuck.

        Args:
            run_id: the run.
            step: the step.
            as_: "compensated", "done" or "not_landed".
            by: who says so; kept.
            note: why; kept.

        Raises:
            NoTransitionError: it cannot be true in the run's state; nothing was written.
        """
        return self._decided(run_id, "resolve", step=step, as_=as_, by=by, note=note)

    def deliver(
        self, run_id: str, step: Any, result: Any = None, *, by: str = "", note: str = ""
    ) -> bool:
        """
        The answer of a pending step.

        It counts from the step's start, also before the step has returned ``PENDING``; of several
        the first. A run that has not come to the step refuses it.

        Args:
            run_id: the run.
            step: the step, by its value, name or path.
            result: its result.
            by: who says so; kept.
            note: why; kept.

        Returns:
            False when the step was decided before.

        Raises:
            NoTransitionError: the step has not started; nothing was written.
            DecisionPendingError: it is stored, and nobody has heard it yet; who does may still
                refuse it: ``show`` tells, and the run's entry ``#refused``.
        """
        return self._decided(run_id, "deliver", step=step, value=result, by=by, note=note)

    def reject(
        self, run_id: str, step: Any, reason: str = "", *, by: str = "", note: str = ""
    ) -> bool:
        """
        The refusal of a pending step: as ``deliver``.

        Returns:
            False when the step was decided before.
        """
        return self._decided(run_id, "reject", step=step, by=by, note=note or reason)

    def _decided(self, run_id: str, word: str, **said: Any) -> bool:
        future = self._said(run_id, word, **said)
        try:
            return future.result(self._engine.options.lease)
        except TimeoutError:
            future.cancel()
            raise DecisionPendingError(run_id=run_id, word=word) from None

    def close(self, *, timeout: float | None = GRACE) -> None:
        """
        Begin nothing more, wait for what is in flight, and leave the rest to be taken up.

        Nothing is compensated by this. It may be called twice.

        Args:
            timeout: seconds to wait; a call that takes longer is left alone, and counts as open.
        """
        engine = self._engine
        if engine.ended or os.getpid() != self._pid:
            return
        closed: Future[None] = Future()
        engine.tell(self._desk.close, closed)
        try:
            _within(closed, timeout)
        except TimeoutError:
            engine.tell(self._desk.end)
        engine.join()


def _within(future: Future[R], seconds: float | None) -> R:
    """What a future gives, within so many seconds; who gives up is not told any more."""
    try:
        return future.result(seconds)
    except TimeoutError:
        future.cancel()
        raise
