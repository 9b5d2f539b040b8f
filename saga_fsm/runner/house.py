"""
What an orchestrator does beside deciding: takes runs, gives them back, answers who asks.

Everything here is called by the engine's thread; who asks from another thread holds a future.
"""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import attrs

from saga_fsm.errors import (
    ConcurrentAppendError,
    LeaseLostError,
    NoTransitionError,
    RunConflictError,
    SagaError,
    StoreUnavailableError,
    UnknownRunError,
)
from saga_fsm.ports import Birth, Claim, Entry, Run, Upgrade, Word
from saga_fsm.runner.driver import Driver
from saga_fsm.runner.engine import Engine
from saga_fsm.runner.flight import Flight
from saga_fsm.runner.outcome import Outcome
from saga_fsm.runner.promises import fail, keep
from saga_fsm.runner.roster import Part


logger = logging.getLogger("saga_fsm")

_PARK = 60.0  # seconds: a run that has slept, and will sleep, longer is given back
_CLAIM = 100  # runs taken at once: recovery streams
_CLOSED = "the orchestrator is closed"
_YES, _NO, _ERROR = "yes", "no", "error: "


@attrs.frozen(eq=False)
class Asked:
    """Somebody asked for a run: with what, and what for."""

    part: Part
    input: Any
    run_id: str
    digest: str
    stored: Future[None] | None
    rest: Future[Outcome[Any]] | None

    def fail(self, error: BaseException) -> None:
        """There will be no such run."""
        fail(self.stored, error)
        fail(self.rest, error)


class Desk:
    """
    Runs come, go, rest, and are asked for.

    Args:
        engine: that carries them out.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queued: deque[Asked] = deque()
        self._born: dict[str, list[Asked]] = {}
        self._watched: dict[str, list[Future[Outcome[Any]]]] = {}
        self._decided: dict[str, list[tuple[Future[bool], bool, int]]] = {}
        self._posted: dict[int, Future[bool]] = {}
        self._spoilt: dict[str, BaseException] = {}
        self._drained: list[Future[None]] = []
        self._closed: Future[None] | None = None
        self._beat_at = time.monotonic() + engine.options.lease / 3
        self._poll_at = time.monotonic()
        engine.house = self

    # ------------------------------------------------------------------ asked for

    def start(self, asked: Asked) -> None:
        """A new run, or the one that has this id."""
        engine = self._engine
        if engine.closing:
            asked.fail(SagaError(_CLOSED))
        elif asked.run_id in engine.flights:
            self._attach(asked)
        elif len(engine.flights) >= engine.options.in_flight:
            self._queued.append(asked)
        else:
            flight = engine.flight(asked.part, asked.input, asked.run_id, fence=1)
            flight.birth = Birth(asked.run_id, *asked.part.key, asked.digest)
            self._born[asked.run_id] = [asked]
            engine.guarded(flight, flight.begin)

    def watch(self, run_id: str, future: Future[Outcome[Any]]) -> None:
        """Wait for a run's rest, wherever it is carried out."""
        flight = self._engine.flights.get(run_id)
        if flight is not None and flight.told:
            keep(future, flight.driver.outcome())
            return
        if run_id in self._spoilt:
            fail(future, self._spoilt[run_id])
            return
        self._watched.setdefault(run_id, []).append(future)
        if flight is None:
            self._look({run_id: self._watched[run_id]})

    def decide(self, word: Word, value: Any, future: Future[bool]) -> None:
        """Act on somebody's word, or leave it to who has the run."""
        flight = self._engine.flights.get(word.run_id)
        if flight is None:
            self._post(word, future)
            return
        try:
            changed = flight.decide(word.word, value, word.by, word.note)
        except Exception as error:  # noqa: BLE001 - who asked is told
            fail(future, error)
            return
        flight.mark()
        # It is stored with the next append: one may be on its way that knows nothing of it.
        nth = flight.appends + 1
        self._decided.setdefault(word.run_id, []).append((future, changed, nth))

    def _post(self, word: Word, future: Future[bool]) -> None:
        store = self._engine.store
        try:
            number = store.post(word.run_id, word.word, word.data, by=word.by, note=word.note)
        except Exception as error:  # noqa: BLE001 - who asked is told
            fail(future, error)
            return
        self._posted[number] = future
        self._poll_at = 0.0

    def attach(self, asked: Asked) -> None:
        """The run is in the store already; whoever has it carries it out."""
        self._attach(asked)
        self._poll_at = 0.0

    def drain(self, future: Future[None]) -> None:
        """Wait until no run is in flight here."""
        self._drained.append(future)

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

    def close(self, future: Future[None]) -> None:
        """Begin nothing more; end when nothing is under way."""
        self._engine.closing = True
        self._closed = future
        while self._queued:
            self._queued.popleft().fail(SagaError(_CLOSED))

    def end(self) -> None:
        """End now, whatever is under way."""
        engine = self._engine
        for flight in engine.flights.values():
            flight.gone = True
        try:
            engine.store.retire(engine.owner)
        except StoreUnavailableError as error:
            # The lease will end by itself.
            logger.warning("closed without giving back its runs: %s", error)
        engine.ended = True
        self.dismiss(SagaError(f"{_CLOSED}\n  The run goes on when it is taken up: ask there."))
        keep(self._closed, None)

    def dismiss(self, error: BaseException) -> None:
        """Nobody will hear any more what they wait for."""
        for asked in [*self._queued, *(one for many in self._born.values() for one in many)]:
            asked.fail(error)
        waiting: list[Future[Any]] = [*self._posted.values(), *self._drained]
        waiting += [future for many in self._watched.values() for future in many]
        waiting += [future for many in self._decided.values() for future, _, _ in many]
        for future in waiting:
            fail(future, error)

    # ------------------------------------------------------------------ what became of it

    def stood(self, flight: Flight) -> None:
        """What a run had to write is written: tell who waited for that."""
        run_id = flight.run_id
        for asked in self._born.pop(run_id, ()):
            if asked.rest is not None:
                self._watched.setdefault(run_id, []).append(asked.rest)
            keep(asked.stored, None)
        decided = self._decided.pop(run_id, [])
        for future, changed, nth in decided:
            if nth <= flight.appends:
                keep(future, changed)
        if later := [one for one in decided if one[2] > flight.appends]:
            self._decided[run_id] = later
        if flight.dirty:
            return
        if flight.released:
            self._drop(flight)
        elif flight.driver.resting:
            self._rested(flight)
        else:
            flight.told = False

    def _rested(self, flight: Flight) -> None:
        if not flight.told:
            flight.told = True
            for future in self._watched.pop(flight.run_id, ()):
                keep(future, flight.driver.outcome())
        on_rest = self._engine.options.on_rest
        if on_rest is None or flight.announced:
            self._drop(flight)
        elif not flight.announcing:
            flight.announcing = True
            self._engine.aside(self._announce(on_rest), flight.run_id, self._announced(flight))

    def _announce(self, on_rest: Callable[[Run], Any]) -> Callable[[str], None]:
        store = self._engine.store

        def announce(run_id: str) -> None:
            found = store.find(run_id)
            if found is not None:
                on_rest(found[0])

        return announce

    def _announced(self, flight: Flight) -> Callable[[Any, BaseException | None], None]:
        def announced(_: Any, error: BaseException | None) -> None:
            if error is not None:
                logger.error("on_rest raised for run %s", flight.run_id, exc_info=error)
            flight.announced = True
            flight.mark()

        return announced

    def _drop(self, flight: Flight) -> None:
        """A run that rests, or was given back, is nobody's."""
        flight.gone = True
        flights = self._engine.flights
        if flights.get(flight.run_id) is flight:
            del flights[flight.run_id]
        while self._queued and len(flights) < self._engine.options.in_flight:
            self.start(self._queued.popleft())

    def refused(self, flight: Flight, error: BaseException) -> None:
        """A run is not ours, or cannot be carried out: those who wait look for it elsewhere."""
        run_id = flight.run_id
        for asked in self._born.pop(run_id, ()):
            if isinstance(error, ConcurrentAppendError):
                self._attach(asked)
            else:
                asked.fail(error)
        for decision, _, _ in self._decided.pop(run_id, ()):
            fail(decision, error)
        if not isinstance(error, ConcurrentAppendError | LeaseLostError):
            self._spoilt[run_id] = error
            for future in self._watched.pop(run_id, ()):
                fail(future, error)

    def _attach(self, asked: Asked) -> None:
        """The id is taken: the same run, if it is the same saga and input."""
        try:
            found = self._engine.store.find(asked.run_id)
        except StoreUnavailableError as error:
            asked.fail(error)
            return
        if found is None:  # on its way to the store, here
            self._born[asked.run_id].append(asked)
            return
        run, digest = found
        engine = self._engine
        if run.saga != asked.part.machine.name:
            message = f"belongs to saga '{run.saga}', not to '{asked.part.machine.name}'"
            asked.fail(RunConflictError(run_id=asked.run_id, message=message))
        elif digest != asked.digest and not self._same_input(asked):
            message = "was started with another input"
            asked.fail(RunConflictError(run_id=asked.run_id, message=message))
        elif engine.roster.of(run.saga, run.fingerprint) is None:
            asked.fail(engine.roster.changed(run))
        else:
            keep(asked.stored, None)
            if asked.rest is not None:
                self.watch(asked.run_id, asked.rest)

    def _same_input(self, asked: Asked) -> bool:
        """Whether a stored input is this one, written in another way: a codec may use luck."""
        engine = self._engine
        first = engine.store.read(asked.run_id)[:1]
        if not first:
            return False
        header = asked.part.scribe.read("start", first[0].data)
        return bool(header["input"] == asked.input)

    # ------------------------------------------------------------------ keeping house

    def next(self) -> float:
        """When there is something to do, by the monotonic clock."""
        return min(self._beat_at, self._poll_at)

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
        if self._drained and not engine.flights and not self._queued:
            for future in self._drained:
                keep(future, None)
            self._drained.clear()
        if engine.closing and not engine.flying and not engine.writing:
            self.end()

    def _keep(self, now: float) -> None:
        engine = self._engine
        if now >= self._beat_at:
            engine.store.beat(engine.owner, engine.options.lease)
            self._beat_at = now + engine.options.lease / 3
        if engine.closing or now < self._poll_at:
            return
        more = engine.options.workers > 0 and self._claim() == _CLAIM
        self._poll_at = now if more else now + engine.options.poll
        for word in engine.store.posted(engine.owner):
            self._said(word)
        self._hear_answers()
        self._look(
            {run_id: one for run_id, one in self._watched.items() if run_id not in engine.flights}
        )
        if self._engine.options.real:
            self._park()

    def _claim(self) -> int:
        """Take runs that are due, as many as there is room for; how many."""
        engine = self._engine
        room = min(_CLAIM, engine.options.in_flight - len(engine.flights))
        if room <= 0:
            return 0
        claims = engine.store.claim(engine.owner, engine.roster.machines, room)
        stored = engine.store.read_many([one.run.run_id for one in claims])
        for claim, entries in zip(claims, stored, strict=True):
            self._take(claim, entries)
        return len(claims)

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
        for number, future in list(self._posted.items()):
            answer = self._engine.store.answer(number)
            if answer is None and not future.cancelled():
                continue
            del self._posted[number]
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
            for future in self._watched.pop(run_id):
                try:
                    keep(future, self.outcome(run, run_id))
                except Exception as error:  # noqa: BLE001 - who waits is told
                    fail(future, error)

    def outcome(self, run: Run | None, run_id: str) -> Outcome[Any]:
        """How a stored run ended, or how it stands."""
        engine = self._engine
        if run is None:
            raise UnknownRunError(run_id=run_id)
        part = engine.roster.of(run.saga, run.fingerprint)
        if part is None:
            raise engine.roster.changed(run)
        driver = Driver(
            part.saga,
            input=None,
            run_id=run_id,
            services=None,
            answers={},
            luck=engine.options.luck,
        )
        driver.recall(part.recalled(driver, engine.store.read(run_id)))
        return driver.outcome()

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
