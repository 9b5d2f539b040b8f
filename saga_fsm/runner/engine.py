"""
Many runs on one thread that decides, and others that call.

The thread hears what happened (a call has ended, a timer has rung, somebody asks for something),
lets each run decide, stores what all of them decided in one commit, and only then has the calls
made that this allows. While a commit is on its way, answers gather: the next one takes them all.
"""

from __future__ import annotations

import atexit
import heapq
import logging
import queue
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import attrs

from saga_fsm.errors import (
    JournalError,
    LeaseLostError,
    SagaError,
    StoreBrokenError,
    StoreUnavailableError,
)
from saga_fsm.ports import Append, Clock, Run, Store
from saga_fsm.runner.commands import Invoke, TimerKey
from saga_fsm.runner.driver import Driver
from saga_fsm.runner.flight import Flight
from saga_fsm.runner.loop import Tell, is_async, is_awaitable
from saga_fsm.runner.roster import Part, Roster
from saga_fsm.runner.shell import SYSTEM_CLOCK
from saga_fsm.runner.workers import Workers


logger = logging.getLogger("saga_fsm")

_GOODBYE = 5.0  # seconds that the end of a program waits for its runs to be given back
_SWEEP = 1_000  # timers from which on those of runs that are over are forgotten
_BACKOFF = (0.05, 2.0)  # seconds between two tries of a commit: at first, and at most


class Loop(Protocol):
    """Where coroutines are awaited."""

    def begin(self, call: Callable[[], Any], tell: Tell) -> None:
        """Call and await there, and tell how it ended."""
        ...

    def close(self) -> None:
        """End it."""
        ...


@attrs.frozen
class Options:
    """How an orchestrator carries out: each as its docstring says."""

    workers: int
    lease: float
    poll: float
    in_flight: int
    clock: Clock
    luck: Callable[[], float]
    services: Any
    on_rest: Callable[[Run], Any] | None

    @property
    def real(self) -> bool:
        """Whether time is this machine's."""
        return self.clock is SYSTEM_CLOCK


class House(Protocol):
    """Who looks after the store."""

    def next(self) -> float:
        """When there is something to do, by the monotonic clock."""
        ...

    def keep(self) -> None:
        """Do it."""
        ...


class Desk(Protocol):
    """Where callers wait."""

    def end(self) -> None:
        """End now, whatever is under way."""
        ...

    def stood(self, flight: Flight) -> None:
        """What a run had to write is written."""
        ...

    def refused(self, flight: Flight, error: BaseException) -> None:
        """It was not, and never will be by this one."""
        ...

    def make_room(self) -> None:
        """A run is gone: another may begin."""
        ...

    def turn_away(self, letter: tuple[Any, ...], error: BaseException | None = None) -> None:
        """A letter that nobody acts on: who waits for what it asks is told."""
        ...

    def dismiss(self, error: BaseException) -> None:
        """There is no more to be heard from this engine."""
        ...


class Engine:
    """
    The thread that decides, the runs it has, and who makes their calls.

    Args:
        roster: the sagas.
        store: where runs are kept.
        options: how.
        loop: where coroutines are awaited.
    """

    def __init__(self, roster: Roster, store: Store, options: Options, loop: Loop) -> None:
        self.roster = roster
        self.store = store
        self.options = options
        self.owner = uuid.uuid4().hex
        self.flights: dict[str, Flight] = {}
        self.dirty: list[Flight] = []
        self.flying = 0
        self.closing = False
        self.ended = False
        self.broken: BaseException | None = None
        self.house: House
        self.desk: Desk
        self._loop = loop
        self._workers = Workers(max(1, options.workers), "saga worker")
        self._mail: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._opened: deque[tuple[Any, ...]] = deque()
        self._timers: list[tuple[float, int, str, TimerKey]] = []
        self._count = 0
        self._sweep_at = _SWEEP
        # What a store could not be brought, and has to be brought again as it is.
        self._brought: deque[list[tuple[Flight, Append]]] = deque()
        self._tries = 0
        self._not_before = 0.0
        self._thread: threading.Thread | None = None
        self._hiring = threading.Lock()

    # ------------------------------------------------------------------ from other threads

    def tell(self, *letter: Any) -> None:
        """Have ``function(*arguments)`` called by the thread that decides."""
        if self._thread is None:
            self.open()
        self._mail.put(letter)
        # Whoever comes last, the thread or who writes to it, finds what nobody will read.
        if self.ended:
            self._turn_away()

    def _turn_away(self) -> None:
        while True:
            try:
                letter = self._opened.popleft() if self._opened else self._mail.get_nowait()
            except (IndexError, queue.Empty):
                return
            self.desk.turn_away(letter)

    def open(self) -> None:
        """Hire the thread."""
        with self._hiring:
            if self._thread is None and not self.ended:
                self.store.beat(self.owner, self.options.lease)
                thread = threading.Thread(target=self._run, name="saga engine", daemon=True)
                thread.start()
                self._thread = thread
                atexit.register(self._leave_all)

    def _leave_all(self) -> None:
        """A program that ends without a close leaves its runs at once, not when a lease ends."""
        self.tell(self.desk.end)
        if self._thread is not None:
            self._thread.join(_GOODBYE)

    def join(self) -> None:
        """Wait for the thread's end, and send everybody home."""
        atexit.unregister(self._leave_all)
        if self._thread is not None:
            self._thread.join()
        self._workers.close()
        self._loop.close()

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        try:
            while not self.ended:
                self._hear()
                self._ring()
                self.house.keep()
                self._commit()
        except BaseException as error:
            logger.exception("the orchestrator has stopped")
            self.broken, self.ended = error, True
            self.desk.dismiss(error)
        finally:
            self._turn_away()

    def _hear(self) -> None:
        """Wait for a letter or a timer, then open all letters that have come."""
        opened, mail = self._opened, self._mail
        if not opened:
            self._wait()
        try:
            while True:
                opened.append(mail.get_nowait())
        except queue.Empty:
            pass
        while opened:
            letter = opened.popleft()
            try:
                letter[0](*letter[1:])
            except Exception as error:
                # What somebody asks about one run harms no other.
                logger.exception("what was asked for cannot be done")
                self.desk.turn_away(letter, error)

    def _wait(self) -> None:
        now = time.monotonic()
        until = max(0.0, self.house.next() - now)
        if self.writing:
            until = min(until, max(0.0, self._not_before - now))
        if not self._timers:
            self._listen(until)
            return
        clock = self.options.clock
        due = max(0.0, self._timers[0][0] - clock.now())
        # Time that is not this machine's passes by being waited for, and not by our own affairs.
        wait = min(until, due) if self.options.real else due
        clock.wait(self._listen, wait, busy=self.flying > 0)

    def _listen(self, seconds: float | None) -> bool | None:
        try:
            self._opened.append(self._mail.get(timeout=seconds))
        except queue.Empty:
            return None
        return True

    def _ring(self) -> None:
        """Let each run hear the timers whose time has come."""
        timers = self._timers
        if not timers:
            return
        now = self.options.clock.now()
        while timers and timers[0][0] <= now:
            at, _, run_id, key = heapq.heappop(timers)
            flight = self.flights.get(run_id)
            if flight is not None and flight.timers.get(key) == at:
                if key in flight.threads:
                    flight.lost.add(flight.threads.pop(key))
                    self._workers.lose()
                self.guarded(flight, flight.ring)

    def _set(self, at: float, run_id: str, key: TimerKey) -> None:
        """Remember a timer; those of runs that are over are forgotten now and then."""
        self._count += 1
        heapq.heappush(self._timers, (at, self._count, run_id, key))
        if len(self._timers) > self._sweep_at:
            every = [
                (at, one.run_id, key)
                for one in self.flights.values()
                for key, at in one.timers.items()
            ]
            self._timers = [(at, n, run_id, key) for n, (at, run_id, key) in enumerate(every)]
            self._count = len(every)
            heapq.heapify(self._timers)
            # Doubled, so that it costs a little a timer, however many there are.
            self._sweep_at = max(_SWEEP, 2 * len(every))

    def guarded(self, flight: Flight, function: Callable[..., Any], *arguments: Any) -> None:
        """A run that cannot be carried out takes no other with it."""
        try:
            function(*arguments)
        except Exception as error:
            logger.exception("run %s cannot be carried out", flight.run_id)
            self.leave(flight, error)

    # ------------------------------------------------------------------ runs

    def flight(self, part: Part, input: Any, run_id: str, fence: int) -> Flight:  # noqa: A002 - the interface's word
        """Take a run in."""
        options = self.options
        driver = Driver(
            part.saga,
            input=input,
            run_id=run_id,
            services=options.services,
            answers={},
            luck=options.luck,
            admit=part.scribe.admit,
        )
        flight = Flight(part, driver, options.clock, fence, self.dirty.append)
        former = self.flights.get(run_id)
        if former is not None:  # its lease was over, and nobody else has taken it
            self.leave(former, LeaseLostError(run_id=run_id, fence=former.fence, newer=fence))
        self.flights[run_id] = flight
        return flight

    def leave(self, flight: Flight, error: BaseException) -> None:
        """Have no more to do with a run."""
        flight.gone = True
        if self.flights.get(flight.run_id) is flight:
            del self.flights[flight.run_id]
        self.desk.refused(flight, error)
        self.desk.make_room()

    # ------------------------------------------------------------------ commits

    @property
    def writing(self) -> bool:
        """Whether there is something to be stored."""
        return bool(self.dirty or self._brought)

    def _commit(self) -> None:
        """Store what was decided; then let it happen."""
        if not self.writing or (self._tries and time.monotonic() < self._not_before):
            return
        if not self._brought:
            self._brought.append([(one, self._append(one)) for one in self.dirty if not one.gone])
            self.dirty.clear()
        while self._brought and self._bring(self._brought[0]):
            self._tries = 0

    def _bring(self, brought: list[tuple[Flight, Append]]) -> bool:
        """Commit what comes first; False where the store cannot be used now."""
        try:
            results = self.store.commit([append for _, append in brought])
        except StoreUnavailableError as error:
            self._put_off(brought, error)
            return False
        except StoreBrokenError:
            raise
        except SagaError as error:
            self._brought.popleft()
            if len(brought) == 1:
                logger.exception("run %s cannot be stored", brought[0][0].run_id)
                self.leave(brought[0][0], error)
            # One of them cannot be written, and so none was: each by itself.
            self._brought.extendleft([one] for one in reversed(brought) if len(brought) > 1)
            return True
        self._brought.popleft()
        for (flight, append), lost in zip(brought, results, strict=True):
            if flight.gone:
                continue
            if lost is None:
                self.guarded(flight, self._stand, flight, append)
            else:
                self._lost(flight, lost)
        return True

    def _append(self, flight: Flight) -> Append:
        if flight.released and not flight.deaf:
            return flight.append("", flight.next_due())
        if (
            not flight.deaf
            and flight.driver.resting
            and (self.options.on_rest is None or flight.announced)
        ):
            return flight.append("", None)
        return flight.append(self.owner, None)

    def _stand(self, flight: Flight, append: Append) -> None:
        calls = flight.stand(append)
        for key, at in flight.new_timers():
            self._set(at, flight.run_id, key)
        if self.closing and calls:
            flight.unmade(calls)
        else:
            for call in calls:
                self._begin(flight, call)
        self.desk.stood(flight)

    def _put_off(self, brought: list[tuple[Flight, Append]], error: StoreUnavailableError) -> None:
        """
        Try the same again a little later.

        Who waits for a new run to be stored is told that it is not, where that is known. The same
        appends are brought again: by them a store knows what it has written without our hearing.
        """
        if not self._tries:
            logger.error("the journal cannot be written, and is tried again: %s", error)
        wait = min(_BACKOFF[1], _BACKOFF[0] * 2.0**self._tries)
        self._tries = min(self._tries + 1, 10)
        self._not_before = time.monotonic() + wait
        for flight, _ in brought:
            if flight.birth is not None and not error.unknown:
                self.leave(flight, error)
        self._brought[0] = [one for one in brought if not one[0].gone]

    def _lost(self, flight: Flight, error: JournalError) -> None:
        if flight.birth is None:
            logger.warning("run %s goes on elsewhere: %s", flight.run_id, error)
        self.leave(flight, error)

    # ------------------------------------------------------------------ calls

    def _begin(self, flight: Flight, call: Invoke) -> None:
        flight.flying += 1
        self.flying += 1
        tell = partial(self._told, flight, call.leg)
        if is_async(call.function):
            self._loop.begin(partial(call.function, *call.arguments), tell)
        else:
            if call.timeout is not None:
                flight.threads[call.leg[:2]] = call.leg
            self._workers.take(call.function, call.arguments, tell)

    def _told(self, flight: Flight, leg: Any, value: Any, error: BaseException | None) -> None:
        """From whichever thread made the call."""
        if error is None and is_awaitable(value):
            self._loop.begin(lambda: value, partial(self._told, flight, leg))
        else:
            self._mail.put((self._answered, flight, leg, value, error))

    def _answered(self, flight: Flight, leg: Any, value: Any, error: BaseException | None) -> None:
        self.flying -= 1
        if leg in flight.lost:
            flight.lost.discard(leg)
            self._workers.find()
        elif flight.threads.get(leg[:2]) == leg:
            del flight.threads[leg[:2]]
        if not flight.gone:
            self.guarded(flight, flight.answered, leg, value, error)

    def aside(self, function: Callable[..., Any], argument: Any, then: Tell) -> None:
        """Have something of the user's called by a worker; ``then`` is told on this thread."""
        self._workers.take(
            function, (argument,), lambda value, error: self._mail.put((then, value, error))
        )
