"""
What an orchestrator does beside deciding: it lives, takes runs, hears words, gives runs back, ends.

Everything here is called by the engine's thread.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import attrs

from saga_fsm.errors import NoTransitionError, SagaError, StoreUnavailableError
from saga_fsm.ports import Claim, Entry, Upgrade, Word
from saga_fsm.runner.desk import Desk
from saga_fsm.runner.engine import Engine
from saga_fsm.runner.flight import Flight
from saga_fsm.runner.outcome import Outcome
from saga_fsm.runner.promises import fail, keep


logger = logging.getLogger("saga_fsm")

_PARK = 60.0  # seconds: a run that has slept, and will sleep, longer is given back
_CLAIM = 100  # runs taken at once: recovery streams
_YES, _NO, _ERROR = "yes", "no", "error: "


class House:
    """
    Looks after the store, now and then.

    Args:
        engine: that carries runs out.
        desk: where callers wait.
    """

    def __init__(self, engine: Engine, desk: Desk) -> None:
        self._engine = engine
        self._desk = desk
        self._claimed: list[Claim] = []
        self._beat_at = time.monotonic() + engine.options.lease / 3
        self._poll_at = time.monotonic()
        engine.house = self

    def recover(self, future: Future[int]) -> None:
        """Take every run that is due; how many there were."""
        try:
            taken = 0
            while found := self._claim():
                taken += found
        except StoreUnavailableError as error:
            fail(future, error)
        else:
            keep(future, taken)

    def next(self) -> float:
        """When there is something to do, by the monotonic clock."""
        return 0.0 if self._desk.hurry else min(self._beat_at, self._poll_at)

    def keep(self) -> None:
        """Live, take runs, hear words, give back who sleeps, end."""
        now = time.monotonic()
        if now >= self.next():
            try:
                self._keep(now)
            except StoreUnavailableError as error:
                logger.warning("the journal cannot be used now: %s", error)
                self._poll_at = now + self._engine.options.poll
        engine = self._engine
        if self._desk.drained and not engine.flights and not self._desk.queued:
            for future in self._desk.drained:
                keep(future, None)
            self._desk.drained.clear()
        if engine.closing and not engine.flying and not engine.writing:
            self._desk.end()

    def _keep(self, now: float) -> None:
        engine = self._engine
        if now >= self._beat_at:
            engine.store.beat(engine.owner, engine.options.lease)
            self._beat_at = now + engine.options.lease / 3
        if engine.closing or (now < self._poll_at and not self._desk.hurry):
            return
        self._desk.hurry = False
        more = engine.options.workers > 0 and self._claim() == _CLAIM
        self._poll_at = now if more else now + engine.options.poll
        for word in engine.store.posted(engine.owner):
            self._said(word)
        unannounced, self._desk.unannounced = self._desk.unannounced, []
        for flight in unannounced:
            self._desk.rested(flight)
        self._hear_answers()
        self._look(
            {
                run_id: one
                for run_id, one in self._desk.watched.items()
                if run_id not in engine.flights
            }
        )
        if self._engine.options.real:
            self._park()

    def _claim(self) -> int:
        """Take runs that are due, as many as there is room for; how many."""
        engine = self._engine
        room = min(_CLAIM, engine.options.in_flight - len(engine.flights))
        if room <= 0:
            return 0
        if not self._claimed:
            claims = engine.store.claim(engine.owner, engine.roster.machines, room)
            self._claimed = list(claims)
        # They are ours from here on: where they cannot be read now, they are read later.
        stored = engine.store.read_many([one.run.run_id for one in self._claimed])
        claimed, self._claimed = self._claimed, []
        for claim, entries in zip(claimed, stored, strict=True):
            self._take(claim, entries)
        return len(claimed)

    def _take(self, claim: Claim, entries: Sequence[Entry]) -> None:
        engine = self._engine
        run = claim.run
        part = engine.roster.of(run.saga, run.fingerprint)
        assert part is not None  # noqa: S101 - only such runs are claimed
        flight = engine.flight(part, None, run.run_id, claim.fence)
        upgrade = engine.roster.upgrade(run.saga, run.fingerprint)
        if entries and upgrade is not None:
            engine.guarded(flight, self._upgrade, flight, upgrade, entries)
        elif entries:
            engine.guarded(flight, flight.resume, entries)
        else:
            engine.guarded(flight, self._begin, flight, claim.input)
        # One that rests has only a word to hear, or is to be told of.
        flight.mark()

    @staticmethod
    def _upgrade(flight: Flight, upgrade: Upgrade, entries: Sequence[Entry]) -> None:
        if not flight.go_on(upgrade, entries):
            logger.warning(
                "run %s of saga '%s' may not go on under machine %s where it is; it waits for %s",
                flight.run_id,
                flight.part.machine.name,
                upgrade.fingerprints[1],
                upgrade.fingerprints[0],
                extra={"run_id": flight.run_id, "saga": flight.part.machine.name},
            )

    def _begin(self, flight: Flight, header: str | None) -> None:
        flight.driver.facts.input = flight.part.scribe.read("start", header)["input"]
        flight.begin()

    def _said(self, word: Word) -> None:
        flight = self._engine.flights.get(word.run_id)
        if flight is None or word.number in flight.heard:
            return
        flight.heard.add(word.number)
        try:
            value = flight.part.scribe.read(_read_as(word.word), word.data)
            changed = flight.decide(word.word, value, word.by, word.note)
        except Exception as error:  # noqa: BLE001 - who asked is told
            flight.answers[word.number] = f"{_ERROR}{told(error)}"
        else:
            flight.answers[word.number] = _YES if changed else _NO
        flight.mark()

    def _hear_answers(self) -> None:
        for number, future in list(self._desk.posted.items()):
            answer = self._engine.store.answer(number)
            if answer is None and not future.cancelled():
                continue
            del self._desk.posted[number]
            if answer is not None and answer.startswith(_ERROR):
                fail(future, raised(answer.removeprefix(_ERROR)))
            else:
                keep(future, answer == _YES)

    def _look(self, elsewhere: dict[str, list[Future[Outcome[Any]]]]) -> None:
        """See whether runs that others carry out have come to rest."""
        if not elsewhere:
            return
        store = self._engine.store
        runs = {run.run_id: run for run in store.list_runs(run_ids=list(elsewhere), limit=None)}
        for run_id in list(elsewhere):
            run = runs.get(run_id)
            if run is not None and not run.status.resting:
                continue
            for future in self._desk.watched.pop(run_id):
                try:
                    keep(future, self._desk.outcome(run, run_id))
                except Exception as error:  # noqa: BLE001 - who waits is told
                    fail(future, error)

    def _park(self) -> None:
        """Give back what sleeps long: it costs no memory, and whoever is there when it wakes."""
        later = self._engine.options.clock.now() + _PARK
        before = time.monotonic() - _PARK
        for flight in self._engine.flights.values():
            if flight.moved < before and flight.idle and not flight.driver.resting:
                due = flight.next_due()
                if due is None or due > later:
                    flight.released = True
                    flight.mark()


def told(error: Exception) -> str:
    """Write for another process why a word cannot be true."""
    if isinstance(error, NoTransitionError):
        return json.dumps(attrs.asdict(error))
    return json.dumps(str(error) if isinstance(error, SagaError) else repr(error))


def raised(text: str) -> SagaError:
    """Give what another process has raised."""
    facts = json.loads(text)
    return NoTransitionError(**facts) if isinstance(facts, dict) else SagaError(facts)


def _read_as(word: str) -> str:
    """As which entry the data of a word is written."""
    return word.replace("deliver(", "done(", 1)
