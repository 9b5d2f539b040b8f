"""A journal that lives as long as the process: for tests, and for a run that is taken up again."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import attrs

from saga_fsm.errors import ConcurrentAppendError, JournalError, SagaError, UnknownRunError
from saga_fsm.journals._checks import holdable, nameable, owning, refused, writable
from saga_fsm.machine import Status
from saga_fsm.ports import Append, Birth, Claim, Entry, Run, Word


__all__ = ["MemoryJournal"]

_OVER = {Status.COMPLETED, Status.COMPENSATED}


@attrs.define
class _Kept:
    """One run, as a row of a table would have it; numbers rise with the coming."""

    number: int
    birth: Birth
    started: float
    status: Status = Status.RUNNING
    updated: float = 0.0
    unresolved: Mapping[str, str] = attrs.field(factory=dict)
    waiting: tuple[str, ...] = ()
    entries: list[Entry] = attrs.field(factory=list)
    fence: int = 1
    owner: str = ""
    due: float | None = None
    spoken: float | None = None
    input: str | None = None

    def run(self) -> Run:
        born = self.birth
        return Run(
            born.run_id,
            born.saga,
            born.fingerprint,
            self.status,
            self.started,
            self.updated,
            dict(self.unresolved),
            self.waiting,
            len(self.entries),
            self.owner,
        )


class MemoryJournal:
    """
    Runs in a dictionary; safe to share between threads.

    By ``append`` the data of entries may be any object: it is kept, not copied.

    Args:
        now: the store's clock, seconds since the epoch: leases and listings go by it.
    """

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._runs: dict[str, _Kept] = {}
        self._until: dict[str, float] = {}
        self._words: dict[int, Word] = {}
        self._answers: dict[int, str] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    # ------------------------------------------------------------------ writing

    def append(self, run_id: str, entries: Sequence[Entry], *, expected: int) -> int:
        """Add entries after position ``expected``, all or none."""
        with self._lock:
            kept = self._runs.get(run_id)
            position = 0 if kept is None else len(kept.entries)
            if position != expected:
                raise ConcurrentAppendError(run_id=run_id, expected=expected, actual=position)
            now = self._now()
            if kept is None:
                kept = self._born(Birth(run_id, "", "", ""), now)
            kept.updated, kept.owner, kept.due = now, "", None
            kept.entries.extend(entries)
            return len(kept.entries)

    def commit(self, appends: Sequence[Append]) -> list[JournalError | None]:
        """Carry out each append, all of its entries or none."""
        for append in appends:
            writable(append)
        with self._lock:
            now = self._now()
            return [self._one(append, now) for append in appends]

    def _one(self, append: Append, now: float) -> JournalError | None:
        kept = self._runs.get(append.run_id)
        if append.birth is not None and kept is None:
            kept = self._born(append.birth, now)
        elif (
            append.birth is not None
            or kept is None
            or (len(kept.entries), kept.fence) != (append.expected, append.fence)
        ):
            standing = None if kept is None else (len(kept.entries), kept.fence)
            return refused(append, standing)
        if not append.owner:
            # A word that came while its owner had it, and was given up unheard, makes it due.
            unheard = kept.spoken if kept.owner else None
            kept.due = append.due if unheard is None else unheard
        elif append.owner != kept.owner:
            # A run that somebody has is due at once, should its owner be gone.
            kept.due = now
        kept.owner, kept.status, kept.updated = append.owner, append.status, now
        kept.unresolved, kept.waiting = dict(append.unresolved), tuple(append.waiting)
        kept.entries.extend(append.entries)
        if append.fingerprint:
            kept.birth = attrs.evolve(kept.birth, fingerprint=append.fingerprint)
        if kept.entries:
            kept.input = None
        for number, answer in append.answers.items():
            if number in self._words:
                self._answers.setdefault(number, answer)
        return None

    def _born(self, birth: Birth, now: float) -> _Kept:
        kept = self._runs[birth.run_id] = _Kept(next(self._numbers), birth, now, updated=now)
        return kept

    def enter(self, birth: Birth, *, within: Any = None) -> bool:
        """Store a run for others to carry out; memory has no transactions to do it within."""
        nameable(birth.run_id, birth.saga, birth.fingerprint, birth.digest)
        holdable(birth.input)
        if within is not None:
            raise SagaError(
                f"within= is {type(within).__name__}, and this journal is in memory\n"
                "  Keep the runs in the database whose transaction they shall be stored in."
            )
        with self._lock:
            if birth.run_id in self._runs:
                return False
            now = self._now()
            kept = self._born(birth, now)
            kept.status, kept.due, kept.input = Status.NEW, now, birth.input
            return True

    # ------------------------------------------------------------------ owners

    def claim(self, owner: str, machines: Collection[tuple[str, str]], limit: int) -> list[Claim]:
        """Take runs that are due and whose owner, if any, is gone: those due longest first."""
        owning(owner)
        known = set(machines)
        with self._lock:
            now = self._now()
            self._until = {one: until for one, until in self._until.items() if until >= now}
            due = sorted(self._due(known, now), key=lambda one: (one[0], one[1].number))
            claims: list[Claim] = []
            for _, kept in due[:limit]:
                by_word = not kept.owner and kept.due == kept.spoken
                kept.owner, kept.due, kept.fence = owner, now, kept.fence + 1
                kept.spoken = None
                claims.append(Claim(kept.run(), kept.fence, kept.input, by_word))
            return claims

    def _due(self, known: set[tuple[str, str]], now: float) -> Iterator[tuple[float, _Kept]]:
        for kept in self._runs.values():
            if kept.due is None or (kept.birth.saga, kept.birth.fingerprint) not in known:
                continue
            if kept.owner not in self._until if kept.owner else kept.due <= now:
                yield kept.due, kept

    def beat(self, owner: str, lease: float) -> None:
        """Say that an owner lives: what it has is its own for so many seconds more."""
        owning(owner)
        with self._lock:
            self._until[owner] = self._now() + lease

    def retire(self, owner: str) -> None:
        """Say that an owner is gone: what it has is everybody's, at once."""
        owning(owner)
        with self._lock:
            self._until.pop(owner, None)
            for kept in self._runs.values():
                if kept.owner == owner:
                    kept.owner, kept.due, kept.spoken = "", self._now(), None

    # ------------------------------------------------------------------ reading

    def read(self, run_id: str) -> tuple[Entry, ...]:
        """All entries of a run, in order."""
        with self._lock:
            kept = self._runs.get(run_id)
            return () if kept is None else tuple(kept.entries)

    def read_many(self, run_ids: Sequence[str]) -> list[tuple[Entry, ...]]:
        """All entries of each run, in order."""
        holdable(*run_ids)
        with self._lock:
            return [self.read(run_id) for run_id in run_ids]

    def find(self, run_id: str) -> tuple[Run, str] | None:
        """What a listing shows of one run, and the digest of its input."""
        holdable(run_id)
        with self._lock:
            kept = self._runs.get(run_id)
            return None if kept is None else (kept.run(), kept.birth.digest)

    def list_runs(  # noqa: PLR0913 - one keyword a filter
        self,
        *,
        status: Status | None = None,
        saga: str | None = None,
        waiting: str | None = None,
        run_ids: Sequence[str] | None = None,
        limit: int | None = 100,
        after: str | None = None,
    ) -> list[Run]:
        """Runs, the newest first."""
        holdable(saga, waiting, after, *(run_ids or ()))
        with self._lock:
            last = None if after is None else self._runs.get(after)
            if after is not None and last is None:
                return []
            only = None if run_ids is None else set(run_ids)
            found = (
                kept.run()
                for kept in reversed(self._runs.values())
                if (status is None or kept.status is status)
                and (saga is None or kept.birth.saga == saga)
                and (waiting is None or waiting in kept.waiting)
                and (only is None or kept.birth.run_id in only)
                and (last is None or kept.number < last.number)
            )
            return list(itertools.islice(found, limit))

    # ------------------------------------------------------------------ words from outside

    def post(
        self, run_id: str, word: str, data: str | None = None, *, by: str = "", note: str = ""
    ) -> int:
        """Say something to a run; who has it, or takes it, will hear."""
        holdable(run_id, word, data, by, note)
        with self._lock:
            kept = self._runs.get(run_id)
            if kept is None:
                raise UnknownRunError(run_id=run_id, store="memory")
            now, number = self._now(), next(self._numbers)
            self._words[number] = Word(number, run_id, word, data, by, note, now)
            if kept.owner or kept.spoken is None or kept.due != kept.spoken:
                kept.spoken = now
            if not kept.owner:
                # Whoever waits longest is taken first: a word does not put a run behind others.
                kept.due = now if kept.due is None else min(kept.due, now)
            return number

    def posted(self, owner: str) -> list[Word]:
        """Words to the runs of an owner that are not answered yet, in the order of their coming."""
        holdable(owner)
        with self._lock:
            return [
                word
                for number, word in self._words.items()
                if number not in self._answers and self._runs[word.run_id].owner == owner
            ]

    def answer(self, number: int) -> str | None:
        """What became of a word; None as long as nothing did."""
        with self._lock:
            return self._answers.get(number)

    def words(self, run_id: str) -> list[Word]:
        """All words to a run with what became of them, in the order of their coming."""
        holdable(run_id)
        with self._lock:
            return [
                attrs.evolve(word, answer=self._answers.get(number))
                for number, word in self._words.items()
                if word.run_id == run_id
            ]

    # ------------------------------------------------------------------ keeping house

    def prune(self, before: float, *, saga: str | None = None) -> int:
        """Delete runs that were completed or compensated before a time; how many."""
        holdable(saga)
        with self._lock:
            gone = [
                run_id
                for run_id, kept in self._runs.items()
                if kept.status in _OVER
                and kept.due is None
                and kept.updated < before
                and saga in {None, kept.birth.saga}
            ]
            return sum(self.forget(run_id) for run_id in gone)

    def forget(self, run_id: str) -> bool:
        """Delete one run that is completed or compensated, with all that is of it."""
        holdable(run_id)
        with self._lock:
            kept = self._runs.get(run_id)
            if kept is None or kept.status not in _OVER:
                return False
            del self._runs[run_id]
            for number in [n for n, word in self._words.items() if word.run_id == run_id]:
                del self._words[number]
                self._answers.pop(number, None)
            return True

    def close(self) -> None:
        """Nothing is to be given back."""
