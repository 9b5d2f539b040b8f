"""What the runners need from outside: a journal and a clock. The docstrings are the contract."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import attrs

from saga_fsm.definition import Saga
from saga_fsm.errors import JournalError
from saga_fsm.machine import Event, Move, State, Status


@attrs.frozen
class Entry:
    """
    One line of a run's journal: an event, when it was decided, and the data that came with it.

    Args:
        event: text of the event; one that begins with "#" is a note and moves nothing.
        at: seconds since the epoch, from the injected clock.
        data: the result, the error, the label, the items: what the machine does not know.
    """

    event: str
    at: float
    data: Any = None


class Journal(Protocol):
    """Durable, ordered entries per run."""

    def read(self, run_id: str) -> tuple[Entry, ...]:
        """All entries of a run, in order; empty when there is none."""
        ...

    def append(self, run_id: str, entries: Sequence[Entry], *, expected: int) -> int:
        """
        Add entries after position ``expected``, all or none, durable on return.

        Returns:
            The new length.

        Raises:
            ConcurrentAppendError: the journal is not at ``expected``.
        """
        ...


@attrs.frozen
class Run:
    """
    What a listing shows of one run, without its entries.

    Args:
        run_id: the run.
        saga: name of its saga.
        fingerprint: of the machine under which it was started.
        status: RUNNING, COMPENSATING, COMPLETED, COMPENSATED or STUCK; NEW until its first entry.
        started: when it was stored, seconds since the epoch.
        updated: when its last entry was stored.
        unresolved: what is owed when stuck, by step: "compensate", "complete" or "query"; first
            what can be decided now, then what is only asked for after that.
        waiting: steps whose answer somebody has to deliver.
        position: how many entries it has.
        owner: the orchestrator that has it; empty when none has.
        words: what was said to it by way of the store and did not move it: nobody has heard it
            yet, or it was refused; only where one run is shown.
    """

    run_id: str
    saga: str
    fingerprint: str
    status: Status
    started: float
    updated: float
    unresolved: Mapping[str, str]
    waiting: tuple[str, ...]
    position: int
    owner: str
    words: tuple[Word, ...] = ()


@attrs.frozen
class Birth:
    """
    What a run is stored with before its first entry.

    Args:
        run_id: the run.
        saga: name of its saga.
        fingerprint: of its machine.
        digest: of the input: the same id with another digest is another run.
        input: the input as text, where the run is started by who will not carry it out; else None.
    """

    run_id: str
    saga: str
    fingerprint: str
    digest: str
    input: str | None = None


# Neither frozen nor compared: one is made for every commit of a run, and nobody keeps it.
@attrs.define(eq=False)
class Append:
    """
    New entries of one run, and what a listing shall show of it from then on.

    Args:
        run_id: the run.
        entries: entries whose data is text or None.
        expected: how many entries the run has.
        fence: the fence of the owner who appends.
        status: the run's from now on.
        unresolved: what is owed when stuck.
        waiting: steps whose answer somebody has to deliver.
        birth: for a run that is not stored yet: its first entries are its birth.
        owner: who has it from now on; empty gives it up.
        due: of a run that is given up: when somebody has to take it up again, seconds since the
            epoch; None when only a word from outside moves it.
        answers: what became of words that were posted, by number.
        fingerprint: of the machine under which the run goes on; empty where it is the same.
    """

    run_id: str
    entries: Sequence[Entry]
    expected: int
    fence: int
    status: Status
    unresolved: Mapping[str, str] = attrs.field(factory=dict)
    waiting: Sequence[str] = ()
    birth: Birth | None = None
    owner: str = ""
    due: float | None = None
    answers: Mapping[int, str] = attrs.field(factory=dict)
    fingerprint: str = ""


@attrs.frozen
class Claim:
    """
    A run that has been taken.

    Args:
        run: what a listing shows of it.
        fence: what its appends have to carry from now on.
        input: the input as text, of a run that has no entry yet.
        by_word: whether it is due only because somebody has said something to it.
    """

    run: Run
    fence: int
    input: str | None = None
    by_word: bool = False


@attrs.frozen
class Word:
    """
    Something said from outside to a run, by who does not have it.

    Args:
        number: of the word, in the order of their coming.
        run_id: the run.
        word: ``cancel``, ``retry``, ``resolve(charge,done)``, ``deliver(approve)``,
            ``reject(approve)``.
        data: what came with it, as text.
        by: who says so.
        note: why.
        at: when, seconds since the epoch.
        answer: what became of it: "yes", "no" where it was decided before, or "error: " and why
            not; None as long as nothing did.
    """

    number: int
    run_id: str
    word: str
    data: str | None
    by: str
    note: str
    at: float
    answer: str | None = None


class Store(Journal, Protocol):
    """
    A journal in which orchestrators share runs.

    Time in it is the store's own: a lease ends by one clock for all. All methods may be called from
    several threads. Data of entries is text or None. Text that not every store can hold (NUL, half
    a surrogate pair, an id of more than 500 characters) is refused with a SagaError by all.

    Each method may raise:
        StoreUnavailableError: full, locked, or not reached; try again. Nothing was changed, unless
            it says that this is not known.
        StoreBrokenError: what is stored cannot be read as a journal of this version.
    """

    def commit(self, appends: Sequence[Append]) -> list[JournalError | None]:
        """
        Carry out each append, all of its entries or none; durable on return.

        They share one commit, whoever else waits for one. After a StoreUnavailableError that does
        not know the outcome, the same objects may be brought again: what is written stays written
        once, and counts as carried out.

        Returns:
            For each None, or why it was not carried out: ``ConcurrentAppendError`` (its position,
            or its id is taken), ``LeaseLostError`` (its fence).
        """
        ...

    def enter(self, birth: Birth, *, within: Any = None) -> bool:
        """
        Store a run for others to carry out: whoever claims it, starts it.

        Args:
            birth: with the input as text.
            within: the caller's own connection to this store's database, in its transaction.

        Returns:
            Whether it is new.
        """
        ...

    def claim(
        self, owner: str, machines: Collection[tuple[str, str]], limit: int
    ) -> Sequence[Claim]:
        """
        Take runs that are due and whose owner, if any, is gone: those due longest first.

        An owner is gone when its lease is over, or when it never had one. A run that was given up
        is due, too, when a word came to it since it was taken: its owner may not have heard.

        Args:
            owner: who takes them; it has to have beaten.
            machines: saga and fingerprint of each machine that the owner can carry out.
            limit: at most so many.
        """
        ...

    def beat(self, owner: str, lease: float) -> None:
        """Say that an owner lives: what it has is its own for so many seconds more."""
        ...

    def retire(self, owner: str) -> None:
        """Say that an owner is gone: what it has is everybody's, at once."""
        ...

    def read_many(self, run_ids: Sequence[str]) -> Sequence[tuple[Entry, ...]]:
        """All entries of each run, in order."""
        ...

    def find(self, run_id: str) -> tuple[Run, str] | None:
        """What a listing shows of one run, and the digest of its input; None if there is none."""
        ...

    def list_runs(  # noqa: PLR0913 - one keyword a filter
        self,
        *,
        status: Status | None = None,
        saga: str | None = None,
        waiting: str | None = None,
        run_ids: Sequence[str] | None = None,
        limit: int | None = 100,
        after: str | None = None,
    ) -> Sequence[Run]:
        """
        Runs, the newest first.

        Args:
            status: only those.
            saga: only of this one.
            waiting: only those that wait for the answer of this step.
            run_ids: only these.
            limit: at most so many; None for all.
            after: only those behind this run in the listing: to turn the page.
        """
        ...

    def post(
        self, run_id: str, word: str, data: str | None = None, *, by: str = "", note: str = ""
    ) -> int:
        """
        Say something to a run; who has it, or takes it, will hear.

        Returns:
            The number of the word.

        Raises:
            SagaError: there is no such run.
        """
        ...

    def posted(self, owner: str) -> Sequence[Word]:
        """Words to the runs of an owner that are not answered yet, in the order of their coming."""
        ...

    def answer(self, number: int) -> str | None:
        """What became of a word; None as long as nothing did."""
        ...

    def words(self, run_id: str) -> Sequence[Word]:
        """All words to a run with what became of them, in the order of their coming."""
        ...

    def prune(self, before: float, *, saga: str | None = None) -> int:
        """
        Delete runs that were completed or compensated before a time, with all that is of them.

        Those are spared that somebody has, or that have to hear a word.

        Returns:
            How many.
        """
        ...

    def forget(self, run_id: str) -> bool:
        """
        Delete one run that is completed or compensated, with all that is of it.

        Returns:
            Whether it was there and over.
        """
        ...

    def close(self) -> None:
        """Give back connections; what was committed stays."""
        ...


class Upgrade(Protocol):
    """What is proven of two versions of a saga: ``saga_fsm.diff(old, new)`` gives it."""

    @property
    def sagas(self) -> tuple[Saga[Any, Any, Any], Saga[Any, Any, Any]]:
        """The old one and the new one."""
        ...

    @property
    def fingerprints(self) -> tuple[str, str]:
        """Of their machines."""
        ...

    def maps(self, state: State) -> State | None:
        """The state in which a run goes on under the new machine; None if it may not."""
        ...

    def why(self, state: State) -> str:
        """Why a run may not go on there; empty where it may."""
        ...

    def path(self, old: str) -> str:
        """What a path of the old one is called in the new one."""
        ...


class Observer(Protocol):
    """
    Whoever watches a run: a function, or an object that can be called.

    Called once per event, in order, after the event is in the journal and before the calls that it
    allows begin. A move whose process died between the two is not told again. Whatever an observer
    raises is logged, and changes nothing; but as long as it takes, the run waits for it. From
    ``arun`` it may be async: then it is awaited beside the run, and to its end before ``arun``
    returns.
    """

    def __call__(self, event: Event, before: State, move: Move, /) -> object:
        """Hear that ``event`` made this move from ``before``, or why it was ignored."""
        ...


class Clock(Protocol):
    """Time, injected: no test sleeps."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def wait(self, get: Any, seconds: float | None, *, busy: bool) -> Any:
        """
        Wait for ``get(timeout)`` at most so many seconds; None without end.

        ``busy`` says that a call is in flight, so that an answer may come by itself.

        Returns:
            What ``get`` gave, or None when the time was up.
        """
        ...

    async def wait_async(self, get: Any, seconds: float | None, *, busy: bool) -> Any:
        """Wait for ``await get()`` at most so many seconds, on the running loop; else the same."""
        ...


class Progress(Protocol):
    """Who is told how far a search is: every few thousand states, and never by a clock."""

    def __call__(self, states: int, transitions: int, frontier: int, depth: int, /) -> None:
        """
        So far: states and moves explored, states waiting to be, and levels from the start.

        A ``KeyboardInterrupt`` raised here ends the search as one from the keyboard does.
        """
        ...
