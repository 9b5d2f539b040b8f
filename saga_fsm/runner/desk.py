"""
What callers ask of an orchestrator, and what they are told when it is stored, or never will be.

Everything here is called by the engine's thread; who asks from another thread holds a future.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import attrs

from saga_fsm.errors import (
    ConcurrentAppendError,
    LeaseLostError,
    MachineChangedError,
    RunConflictError,
    SagaError,
    StoreUnavailableError,
    UnknownRunError,
)
from saga_fsm.ports import Birth, Run, Word
from saga_fsm.runner.driver import Driver
from saga_fsm.runner.engine import Engine
from saga_fsm.runner.flight import Flight
from saga_fsm.runner.outcome import Outcome
from saga_fsm.runner.promises import fail, keep
from saga_fsm.runner.roster import Part


logger = logging.getLogger("saga_fsm")

_CLOSED = "the orchestrator is closed"
_GOES_ON = f"{_CLOSED}\n  The run goes on when it is taken up: ask there."
_REMEMBERED = 1_000  # runs that cannot be carried out


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
        self.queued: deque[Asked] = deque()
        self._born: dict[str, list[Asked]] = {}
        self.watched: dict[str, list[Future[Outcome[Any]]]] = {}
        self._decided: dict[str, list[tuple[Future[bool], bool, int]]] = {}
        self.posted: dict[int, tuple[str, Future[bool]]] = {}
        self._spoilt: dict[str, BaseException] = {}
        self.drained: list[Future[None]] = []
        self.unannounced: list[Flight] = []
        self._closed: list[Future[None]] = []
        # Whether there is news in the store that should not have to wait.
        self.hurry = False
        engine.desk = self

    # ------------------------------------------------------------------ asked for

    def start(self, asked: Asked) -> None:
        """A new run, or the one that has this id."""
        engine = self._engine
        self._spoilt.pop(asked.run_id, None)
        if engine.closing:
            asked.fail(SagaError(_CLOSED))
        elif asked.run_id in engine.flights:
            self._attach(asked)
        elif len(engine.flights) >= engine.options.in_flight:
            self.queued.append(asked)
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
        # Who has given up is forgotten, however often they ask.
        waiting = [one for one in self.watched.get(run_id, ()) if not one.done()]
        self.watched[run_id] = [*waiting, future]
        if flight is None:
            self.hurry = True

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
        self.posted[number] = word.run_id, future
        self.hurry = True

    def attach(self, asked: Asked) -> None:
        """The run is in the store already; whoever has it carries it out."""
        self._attach(asked)
        self.hurry = True

    def drain(self, future: Future[None]) -> None:
        """Wait until no run is in flight here."""
        self.drained.append(future)

    def close(self, future: Future[None]) -> None:
        """Begin nothing more; end when nothing is under way."""
        self._engine.closing = True
        self._closed.append(future)
        while self.queued:
            self.queued.popleft().fail(SagaError(_CLOSED))

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
        self.dismiss(SagaError(_GOES_ON))
        for future in self._closed:
            keep(future, None)

    def turn_away(self, letter: tuple[Any, ...], error: BaseException | None = None) -> None:
        """A letter that nobody acts on: who waits for what it asks is told."""
        if getattr(letter[0], "__self__", None) not in {self, self._engine.house}:
            return  # what a step gave, and whose that is
        error = error or self._engine.broken or SagaError(_GOES_ON)
        for one in letter[1:]:
            if isinstance(one, Asked):
                one.fail(error)
            elif isinstance(one, Future) and letter[0] == self.close:
                keep(one, None)
            elif isinstance(one, Future):
                fail(one, error)

    def dismiss(self, error: BaseException) -> None:
        """Nobody will hear any more what they wait for."""
        for asked in [*self.queued, *(one for many in self._born.values() for one in many)]:
            asked.fail(error)
        waiting: list[Future[Any]] = [*self.drained]
        waiting += [future for _, future in self.posted.values()]
        waiting += [future for many in self.watched.values() for future in many]
        waiting += [future for many in self._decided.values() for future, _, _ in many]
        for future in waiting:
            fail(future, error)

    # ------------------------------------------------------------------ what became of it

    def stood(self, flight: Flight) -> None:
        """What a run had to write is written: tell who waited for that."""
        run_id = flight.run_id
        for asked in self._born.pop(run_id, ()):
            if asked.rest is not None:
                self.watched.setdefault(run_id, []).append(asked.rest)
            keep(asked.stored, None)
        decided = self._decided.pop(run_id, [])
        for future, changed, nth in decided:
            if nth <= flight.appends:
                keep(future, changed)
        if later := [one for one in decided if one[2] > flight.appends]:
            self._decided[run_id] = later
        if flight.dirty or flight.deaf:
            return
        if flight.released:
            self._drop(flight)
        elif flight.driver.resting:
            self.rested(flight)
        else:
            flight.told = False

    def rested(self, flight: Flight) -> None:
        """Tell who waits for a run's rest, and whoever wants to hear of every rest."""
        if not flight.told:
            outcome = flight.driver.outcome()
            flight.told = True
            for future in self.watched.pop(flight.run_id, ()):
                keep(future, outcome)
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
        turns = flight.turns

        def announced(_: Any, error: BaseException | None) -> None:
            if flight.gone or flight.turns != turns:
                return  # it went on in the meantime: of its next rest is told again
            if isinstance(error, StoreUnavailableError):
                # Nobody was told: it could not be read what there is to tell.
                flight.announcing = False
                self.unannounced.append(flight)
                return
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
        self.make_room()

    def make_room(self) -> None:
        """A run is gone: those who wait for its place begin."""
        flights = self._engine.flights
        while self.queued and len(flights) < self._engine.options.in_flight:
            self.start(self.queued.popleft())

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
        # Who waits for it wants to know how it goes on elsewhere.
        self.hurry = True
        if not isinstance(error, ConcurrentAppendError | LeaseLostError):
            self._spoil(flight, error)
            for future in self.watched.pop(run_id, ()):
                fail(future, error)

    def _spoil(self, flight: Flight, error: BaseException) -> None:
        """Who asks later is told too; not of one that was never stored."""
        if flight.birth is None:
            self._spoilt[flight.run_id] = error
            if len(self._spoilt) > _REMEMBERED:
                del self._spoilt[next(iter(self._spoilt))]

    def awaited(self) -> list[str]:
        """Runs that somebody still waits for: who has given up is forgotten."""
        for run_id, futures in list(self.watched.items()):
            if all(one.done() for one in futures):
                del self.watched[run_id]
        return list(self.watched)

    def stranded(self, run_id: str, error: Exception) -> None:
        """A run goes on under no version that is here: who waits for it is told; words stay."""
        for future in self.watched.pop(run_id, ()):
            fail(future, error)
        for number in [n for n, (one, _) in self.posted.items() if one == run_id]:
            fail(self.posted.pop(number)[1], error)

    def _attach(self, asked: Asked) -> None:
        """The id is taken: the same run, if it is the same saga and input."""
        try:
            found = self._engine.store.find(asked.run_id)
        except StoreUnavailableError as error:
            asked.fail(error)
            return
        if found is None:
            if asked.run_id in self._born:  # on its way to the store, here
                self._born[asked.run_id].append(asked)
            else:
                asked.fail(UnknownRunError(run_id=asked.run_id))
            return
        run, digest = found
        try:
            same = digest == asked.digest or self._same_input(asked)
            changed = self._stranding(run)
        except Exception as error:  # noqa: BLE001 - what is stored, and the user's types
            asked.fail(error)
            return
        if run.saga != asked.part.machine.name:
            message = f"belongs to saga '{run.saga}', not to '{asked.part.machine.name}'"
            asked.fail(RunConflictError(run_id=asked.run_id, message=message))
        elif not same:
            message = "was started with another input"
            asked.fail(RunConflictError(run_id=asked.run_id, message=message))
        elif changed is not None:
            asked.fail(changed)
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

    def _stranding(self, run: Run) -> MachineChangedError | None:
        """Why a run goes on under no version that is here."""
        roster = self._engine.roster
        known = roster.former(run) is None
        return roster.stranding(run, () if known else self._engine.store.read(run.run_id))

    def outcome(self, run: Run | None, run_id: str) -> Outcome[Any]:
        """How a stored run ended, or how it stands."""
        engine = self._engine
        if run is None:
            raise UnknownRunError(run_id=run_id)
        if (changed := self._stranding(run)) is not None:
            raise changed
        part = engine.roster.former(run) or engine.roster.of(run.saga, run.fingerprint)
        assert part is not None  # noqa: S101 - it is not stranded
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
