"""What both orchestrators are: options, an engine, and what they say to it."""

from __future__ import annotations

import os
import random as chance
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeAlias

import attrs

from saga_fsm.codec import Codec
from saga_fsm.definition import Saga
from saga_fsm.errors import (
    MachineChangedError,
    SagaError,
    StoreUnavailableError,
    UnknownRunError,
)
from saga_fsm.machine import Status
from saga_fsm.ports import Birth, Clock, Run, Store, Upgrade, Word
from saga_fsm.runner.desk import Asked, Desk
from saga_fsm.runner.engine import Engine, Options
from saga_fsm.runner.house import YES, House
from saga_fsm.runner.outcome import Outcome
from saga_fsm.runner.roster import Roster
from saga_fsm.runner.shell import SYSTEM_CLOCK


AnySaga: TypeAlias = Saga[Any, Any, Any]

_ENDS = ("compensated", "done", "not_landed")
_PAGE = 100  # runs whose entries are read at once
GRACE = 30.0  # seconds that a close waits for what is in flight


class Front:
    """What both orchestrators say to their engine; they differ in where they wait."""

    def __init__(  # noqa: PLR0913 - the options of an orchestrator
        self,
        *sagas: AnySaga,
        journal: Store,
        services: Any = None,
        workers: int = 16,
        lease: float = 30.0,
        on_rest: Callable[[Run], Any] | None = None,
        in_flight: int = 10_000,
        poll: float = 0.5,
        upgrades: Sequence[Upgrade] = (),
        codec: Codec | None = None,
        limit: int = 1_000_000,
        clock: Clock | None = None,
        random: chance.Random | None = None,
    ) -> None:
        _check(journal, workers=workers, lease=lease, in_flight=in_flight, poll=poll)
        self.journal = journal
        self._roster = Roster(sagas, codec=codec, limit=limit, upgrades=upgrades)
        options = Options(
            workers=workers,
            lease=float(lease),
            poll=float(poll),
            in_flight=in_flight,
            clock=clock or SYSTEM_CLOCK,
            luck=(random or chance).random,
            services=services,
            on_rest=on_rest,
        )
        self._loop = self._made_loop()
        self._engine = Engine(self._roster, journal, options, self._loop)
        self._desk = Desk(self._engine)
        self._house = House(self._engine, self._desk)
        self._pid = os.getpid()

    def _made_loop(self) -> Any:
        """Where coroutines are awaited."""
        raise NotImplementedError

    # ------------------------------------------------------------------ letters

    def _ready(self) -> Engine:
        engine = self._engine
        if os.getpid() != self._pid:
            raise SagaError(
                "this orchestrator was made in another process, before a fork\n"
                "  Make it where it is used: neither its threads nor its connections are here."
            )
        if engine.broken is not None:
            raise SagaError(
                f"the orchestrator has stopped: {engine.broken}\n"
                "  Mend that, and make another; its runs are taken up."
            ) from engine.broken
        if engine.ended or engine.closing:
            raise SagaError("the orchestrator is closed\n  Make another: its runs are taken up.")
        return engine

    def _asked(
        self,
        saga: AnySaga | str,
        value: Any,
        run_id: str | None,
        *,
        stored: bool,
        rest: bool,
    ) -> Asked:
        engine = self._ready()
        part = self._roster.part(saga)
        run_id = _checked_id(run_id)
        asked = Asked(
            part,
            value,
            run_id,
            part.digest(value),
            Future() if stored else None,
            Future() if rest else None,
        )
        if engine.options.workers:
            engine.tell(self._desk.start, asked)
        else:
            # For whoever carries it out.
            header = asked.part.header(asked.input)
            self.journal.enter(Birth(run_id, *asked.part.key, asked.digest, header))
            engine.tell(self._desk.attach, asked)
        return asked

    def _start_within(
        self, saga: AnySaga | str, value: Any, run_id: str | None, within: Any
    ) -> str:
        birth = self._birth_of(saga, value, run_id)
        self.journal.enter(birth, within=within)
        return birth.run_id

    def _birth_of(self, saga: AnySaga | str, value: Any, run_id: str | None) -> Birth:
        """What a run is stored with in somebody's own transaction."""
        self._ready()
        part = self._roster.part(saga)
        return Birth(_checked_id(run_id), *part.key, part.digest(value), part.header(value))

    def _watched(self, run_id: str) -> Future[Outcome[Any]]:
        future: Future[Outcome[Any]] = Future()
        self._ready().tell(self._desk.watch, run_id, future)
        return future

    def _said(  # noqa: PLR0913 - the parts of a word
        self,
        run_id: str,
        word: str,
        *,
        step: Any = None,
        as_: str = "",
        value: Any = None,
        by: str = "",
        note: str = "",
    ) -> Future[bool]:
        """Say a word to a run; whether it changed anything comes when that is stored."""
        engine = self._ready()
        if word == "resolve" and as_ not in _ENDS:
            raise SagaError(f"as_ is {as_!r}\n  Give {_or(_ENDS)}.")
        run = self._found(run_id)
        part = self._roster.of(run.saga, run.fingerprint)
        if part is None:
            raise self._roster.changed(run)
        data = None
        if step is not None:
            path = part.layout.find(step)
            if word == "deliver":
                part.scribe.admit("call", path, value)
                data = part.scribe.write(f"done({path})", value)
            word = f"{word}({path},{as_})" if as_ else f"{word}({path})"
        said = Word(0, run_id, word, data, by, note, time.time())
        future: Future[bool] = Future()
        engine.tell(self._desk.decide, said, value, future)
        return future

    def _not_yet(self, run_id: str, seconds: float | None) -> TimeoutError:
        """Say how a run stands that has not come to rest in time."""
        found = None
        with suppress(StoreUnavailableError):
            found = self.journal.find(run_id)
        after = "" if seconds is None else f" after {seconds:g} s"
        if found is None:
            return TimeoutError(f"run '{run_id}' does not rest yet{after}\n  It goes on.")
        run = found[0]
        if run.waiting:
            steps = ", ".join(repr(step) for step in run.waiting)
            what = f"it waits for the answer of {steps}; deliver(...) gives it"
        elif run.owner:
            what = "an orchestrator carries it out"
        else:
            what = "it waits for its time, or for an orchestrator that has the saga"
        return TimeoutError(
            f"run '{run_id}' of saga '{run.saga}' is still {run.status.value}{after}: {what}\n"
            "  It goes on; wait again, or ask show(run_id) how it stands."
        )

    def _undrained(self, seconds: float | None) -> TimeoutError:
        """Say how many runs are in flight yet."""
        after = "" if seconds is None else f" after {seconds:g} s"
        count = len(self._engine.flights)
        return TimeoutError(f"runs still in flight{after}: {count}\n  They go on.")

    def _found(self, run_id: str) -> Run:
        found = self.journal.find(run_id)
        if found is None:
            raise UnknownRunError(run_id=run_id)
        return found[0]

    # ------------------------------------------------------------------ looking

    def stranded(self, *, limit: int = 1_000) -> list[MachineChangedError]:
        """
        Runs of these sagas that wait for a version which is not here: each with both fingerprints.

        They go on in an orchestrator that is given that version, or its ``diff`` as an upgrade. Of
        those that an upgrade does not take, ``reason`` says why.

        Args:
            limit: at most so many of each saga and status are looked at, the newest first.
        """
        statuses = (Status.NEW, Status.RUNNING, Status.COMPENSATING, Status.STUCK)
        runs = [
            run
            for name in self._roster.names
            for status in statuses
            for run in self.journal.list_runs(saga=name, status=status, limit=limit)
            if (run.saga, run.fingerprint) not in self._roster
        ]
        found: list[MachineChangedError] = []
        for start in range(0, len(runs), _PAGE):
            page = runs[start : start + _PAGE]
            stored = self.journal.read_many([run.run_id for run in page])
            errors = map(self._roster.stranding, page, stored)
            found += [error for error in errors if error is not None]
        return found

    def show(self, run_id: str) -> Run:
        """
        How a run stands, as it is stored; with the words to it that are open, or were refused.

        Raises:
            UnknownRunError: there is none.
        """
        run = self._found(run_id)
        words = tuple(word for word in self.journal.words(run_id) if word.answer != YES)
        return attrs.evolve(run, words=words)

    def runs(
        self,
        *,
        status: Status | str | None = None,
        saga: AnySaga | str | None = None,
        waiting: Any = None,
        limit: int | None = 100,
        after: str | None = None,
    ) -> Sequence[Run]:
        """
        Runs as they are stored, the newest first.

        Args:
            status: only those; a Status, or its word.
            saga: only of this one, or of this name.
            waiting: only those that wait for the answer of this step.
            limit: at most so many; None for all.
            after: only those behind this run: to turn the page.
        """
        return self.journal.list_runs(
            status=None if status is None else _status(status),
            saga=saga.name if isinstance(saga, Saga) else saga,
            waiting=None if waiting is None else self._roster.path_of(waiting),
            limit=limit,
            after=after,
        )


def _or(words: Sequence[str]) -> str:
    quoted = [repr(word) for word in words]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _status(given: Any) -> Status:
    try:
        return Status(given)
    except ValueError:
        known = _or([status.value for status in Status])
        raise SagaError(f"status is {given!r}\n  Give a Status, or {known}.") from None


def _checked_id(run_id: Any) -> str:
    if run_id is None:
        return uuid.uuid4().hex
    if not isinstance(run_id, str) or not run_id:
        raise SagaError(
            f"run_id is {run_id!r}\n  Give a text that is not empty, or None to have one made."
        )
    return run_id


def _check(journal: Any, *, workers: Any, lease: Any, in_flight: Any, poll: Any) -> None:
    if not hasattr(journal, "commit") or not hasattr(journal, "claim"):
        raise SagaError(
            f"journal is {type(journal).__name__}, which keeps no runs\n"
            '  Give SqliteJournal("sagas.db"), PostgresJournal(url) or MemoryJournal().'
        )
    least = {"workers": (workers, 0), "in_flight": (in_flight, 1)}
    for name, (value, bound) in least.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < bound:
            raise SagaError(f"{name} is {value!r}\n  Give a number, {bound} or more.")
    for name, seconds in {"lease": lease, "poll": poll}.items():
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not seconds > 0:
            raise SagaError(f"{name} is {seconds!r}\n  Give seconds, more than 0.")
