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

import attrs

from saga_fsm.errors import NoTransitionError, SagaError, StoreUnavailableError
from saga_fsm.ports import Append, Claim, Entry, Run, Word
from saga_fsm.runner.desk import Desk
from saga_fsm.runner.engine import Engine
from saga_fsm.runner.flight import Flight
from saga_fsm.runner.promises import fail, keep
from saga_fsm.runner.roster import ENDED


logger = logging.getLogger("saga_fsm")

_PARK = 60.0  # seconds: a run that has slept, and will sleep, longer is given back
_CLAIM = 100  # runs taken at once: recovery streams
_TELL = 60.0  # seconds between two warnings that the store cannot be used
_AGAIN = 60.0  # seconds until runs that may not go on here are looked at again
YES, NO, ERROR = "yes", "no", "error: "


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
        # Runs that may not go on under the version that is here: since this orchestrator was made,
        # and since it took runs of their version again; those versions, with until when it does not
        # take their runs; and how such runs are given up.
        self._declined: set[str] = set()
        self._seen: dict[tuple[str, str], set[str]] = {}
        self._barred: dict[tuple[str, str], float] = {}
        self._giving_up: list[Append] = []
        # Runs that were taken, and have not heard what was said to them before.
        self._deaf: list[Flight] = []
        self._beat_at = time.monotonic() + engine.options.lease / 3
        self._poll_at = time.monotonic()
        self._told_at: float | None = None
        engine.house = self

    def recover(self, future: Future[int]) -> None:
        """Take every run that is due; how many there were."""
        try:
            taken = 0
            self._desk.hurry = True
            while True:
                found, gone_on = self._claim()
                taken += gone_on
                if not found:
                    break
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
                self._put_off(error)
            else:
                self._told_at = None
        engine = self._engine
        if self._desk.drained and not engine.flights and not self._desk.queued:
            for future in self._desk.drained:
                keep(future, None)
            self._desk.drained.clear()
        if engine.closing and not engine.flying and not engine.writing:
            self._desk.end()

    def _put_off(self, error: StoreUnavailableError) -> None:
        """Look again a little later, and tell people once a minute."""
        now = time.monotonic()
        self._desk.hurry = False
        options = self._engine.options
        self._poll_at = now + options.poll
        # Not so late that others take its runs, should only this look have failed.
        self._beat_at = max(self._beat_at, now + min(options.poll, options.lease / 3))
        if self._told_at is None or now - self._told_at > _TELL:
            self._told_at = now
            logger.warning("the journal cannot be used now: %s", error)

    def _keep(self, now: float) -> None:
        engine = self._engine
        if now >= self._beat_at:
            engine.store.beat(engine.owner, engine.options.lease)
            self._beat_at = now + engine.options.lease / 3
        if engine.closing or (now < self._poll_at and not self._desk.hurry):
            return
        self._desk.hurry = False
        more = engine.options.workers > 0 and self._claim()[0] == _CLAIM
        self._poll_at = now if more else now + engine.options.poll
        for word in engine.store.posted(engine.owner):
            self._said(word)
        deaf, self._deaf = self._deaf, []
        for flight in deaf:
            flight.deaf = False
            flight.mark()
        unannounced, self._desk.unannounced = self._desk.unannounced, []
        for flight in unannounced:
            if not flight.gone and flight.driver.resting and not flight.announcing:
                self._desk.rested(flight)
        self._hear_answers()
        self._look([one for one in self._desk.awaited() if one not in engine.flights])
        if self._engine.options.real:
            self._park()

    def _claim(self) -> tuple[int, int]:
        """Take runs that are due, as many as there is room for; how many, and how many go on."""
        engine = self._engine
        room = min(_CLAIM, engine.options.in_flight - len(engine.flights))
        if room <= 0:
            return 0, 0
        if not self._claimed:
            claims = engine.store.claim(engine.owner, self._wanted(), room)
            self._claimed = list(claims)
        # They are ours from here on: where they cannot be read now, they are read later.
        stored = engine.store.read_many([one.run.run_id for one in self._claimed])
        claimed, self._claimed = self._claimed, []
        both = zip(claimed, stored, strict=True)
        gone_on = sum(self._take(claim, entries) for claim, entries in both)
        self._give_up()
        return len(claimed), gone_on

    def _wanted(self) -> list[tuple[str, str]]:
        """Of which machines runs are taken."""
        now = time.monotonic()
        self._barred = {key: until for key, until in self._barred.items() if until > now}
        return [key for key in self._engine.roster.machines if key not in self._barred]

    def _take(self, claim: Claim, entries: Sequence[Entry]) -> bool:
        """Carry a run out; False where it may not go on under the version that is here."""
        engine = self._engine
        run = claim.run
        try:
            note = engine.roster.carried_over(run, entries, engine.options.clock.now())
        except Exception as error:
            logger.exception("run %s cannot be read", run.run_id)
            note = f"its entries cannot be read: {error!r}"
        if isinstance(note, str):
            self._decline(claim, note)
            return False
        part = engine.roster.former(run) if run.status in ENDED else None
        part = part or engine.roster.of(run.saga, run.fingerprint)
        assert part is not None  # noqa: S101 - only such runs are claimed
        flight = engine.flight(part, None, run.run_id, claim.fence)
        if note is not None:
            engine.guarded(flight, flight.go_on, note, entries)
        elif entries:
            engine.guarded(flight, flight.resume, entries)
        else:
            engine.guarded(flight, self._begin, flight, claim)
        # One that rests has only a word to hear, or is to be told of.
        flight.announced = claim.by_word and run.status.resting
        flight.deaf = True
        self._deaf.append(flight)
        flight.mark()
        return True

    def _begin(self, flight: Flight, claim: Claim) -> None:
        flight.driver.facts.input = flight.part.scribe.read("start", claim.input)["input"]
        if claim.run.fingerprint != flight.driver.machine.fingerprint:
            # Nothing has happened yet: it begins under the version that is here.
            flight.fingerprint = flight.driver.machine.fingerprint
        flight.begin()

    def _decline(self, claim: Claim, reason: str) -> None:
        """
        Leave a run to who has its version: nothing of it changes, and who waits here is told.

        It is due at once, for others; here it is not taken before a while. Runs that are due longer
        come first, so once one of them is seen again, all have been looked at.
        """
        run = claim.run
        key = run.saga, run.fingerprint
        error = self._engine.roster.changed(run, reason)
        if run.run_id not in self._declined:
            extra = {"run_id": run.run_id, "saga": run.saga}
            logger.warning("%s", error, extra=extra)
        seen = self._seen.setdefault(key, set())
        if run.run_id in seen:
            self._barred[key] = time.monotonic() + _AGAIN
            del self._seen[key]
        else:
            seen.add(run.run_id)
            self._declined.add(run.run_id)
        state = (run.status, run.unresolved, run.waiting)
        self._giving_up.append(
            Append(run.run_id, [], run.position, claim.fence, *state, due=time.time())
        )
        self._desk.stranded(run.run_id, error)

    def _give_up(self) -> None:
        """Store that those runs are nobody's; where another has taken one, it is not ours to."""
        if self._giving_up:
            self._engine.store.commit(self._giving_up)
            self._giving_up = []

    def _said(self, word: Word) -> None:
        flight = self._engine.flights.get(word.run_id)
        if flight is None or word.number in flight.heard:
            return
        flight.heard.add(word.number)
        try:
            value = flight.part.scribe.heard(_read_as(word.word), word.data)
            changed = flight.decide(word.word, value, word.by, word.note)
        except Exception as error:  # noqa: BLE001 - who asked is told
            flight.answers[word.number] = f"{ERROR}{told(error)}"
            # Who asked may be gone: the run itself tells.
            flight.refuse(word, str(error) if isinstance(error, SagaError) else repr(error))
        else:
            flight.answers[word.number] = YES if changed else NO
        flight.mark()

    def _hear_answers(self) -> None:
        for number, (run_id, future) in list(self._desk.posted.items()):
            if number not in self._desk.posted:
                continue
            answer = self._engine.store.answer(number)
            if answer is None and not future.cancelled():
                self._hear_nothing(run_id)
                continue
            del self._desk.posted[number]
            if answer is not None and answer.startswith(ERROR):
                fail(future, raised(answer.removeprefix(ERROR)))
            else:
                keep(future, answer == YES)

    def _hear_nothing(self, run_id: str) -> None:
        """Nobody answers for a run: of one that no version here can take, its callers are told."""
        if not self._engine.roster.upgrades or run_id in self._engine.flights:
            return
        found = self._engine.store.find(run_id)
        if found is not None and (error := self._stranding(found[0])) is not None:
            self._desk.stranded(run_id, error)

    def _stranding(self, run: Run) -> Exception | None:
        """Why a run that rests in no other's hands does not go on here."""
        roster = self._engine.roster
        if roster.of(run.saga, run.fingerprint) is None:
            return roster.changed(run)
        if run.owner or roster.former(run) is None:
            return None
        entries = self._engine.store.read(run.run_id)
        try:
            return roster.stranding(run, entries)
        except Exception as error:  # noqa: BLE001 - what is stored; who waits is told
            return error

    def _look(self, elsewhere: list[str]) -> None:
        """See whether runs that others carry out have come to rest."""
        if not elsewhere:
            return
        store = self._engine.store
        runs = {run.run_id: run for run in store.list_runs(run_ids=elsewhere, limit=None)}
        for run_id in elsewhere:
            run = runs.get(run_id)
            if run is not None and not run.status.resting:
                if (error := self._stranding(run)) is not None:
                    self._desk.stranded(run_id, error)
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
    if not isinstance(facts, dict):
        return SagaError(facts)
    # It may be of another version of this library.
    known = {one.name for one in attrs.fields(NoTransitionError)}
    return NoTransitionError(**{name: fact for name, fact in facts.items() if name in known})


def _read_as(word: str) -> str:
    """As which entry the data of a word is written."""
    return word.replace("deliver(", "done(", 1)
