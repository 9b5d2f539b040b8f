"""
Bugs in the journal in memory.

The first ones show in any run that is taken up again; the last ones only where several owners, or
listings and words, meet: by ``commit``, ``claim``, ``post``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import attrs

from saga_fsm import SKIP, Status, choice
from saga_fsm.errors import JournalError
from saga_fsm.journals.memory import MemoryJournal
from saga_fsm.ports import Append, Birth, Entry
from tests.quality.planted import Planted
from tests.quality.planted.driver_bugs import Turning, replaced
from tests.quality.planted.scene import settled
from tests.quality.planted.yard import C, P, R, S, Yard, exactly, is_open, of_library, repeated


_ALL = exactly("a", "b", "p", "r")


def _chain() -> Any:
    return S(C("a"), C("b"), P(), R())


# ---------------------------------------------------------------------- writing and reading


def _any_position(sound: Any) -> Any:
    def append(self: Any, run_id: str, entries: Any, *, expected: int) -> int:
        kept = self._runs.get(run_id)
        at = expected if kept is None else len(kept.entries)
        return sound(self, run_id, entries, expected=at)  # type: ignore[no-any-return]

    return append


def _steps_only(sound: Any) -> Any:
    def append(self: Any, run_id: str, entries: Any, *, expected: int) -> int:
        some = [entry for entry in entries if entry.event not in {"cancel", "deadline"}]
        return sound(self, run_id, some, expected=expected)  # type: ignore[no-any-return]

    return append


def _once_an_event(sound: Any) -> Any:
    def append(self: Any, run_id: str, entries: Any, *, expected: int) -> int:
        known = {entry.event for entry in self.read(run_id)}
        new = [entry for entry in entries if entry.event not in known]
        return sound(self, run_id, new, expected=expected)  # type: ignore[no-any-return]

    return append


def _begun_anew(sound: Any) -> Any:
    def append(self: Any, run_id: str, entries: Any, *, expected: int) -> int:
        if expected == 0:
            self._runs.pop(run_id, None)
        return sound(self, run_id, entries, expected=expected)  # type: ignore[no-any-return]

    return append


@contextmanager
def _write_behind() -> Iterator[None]:
    """The last append is in a buffer, which a reader after a crash does not see."""
    append, read = MemoryJournal.append, MemoryJournal.read

    def late(self: Any, run_id: str, entries: Any, *, expected: int) -> int:
        held = vars(self).setdefault("_held", {})
        before = held.pop(run_id, [])
        at = append(self, run_id, before, expected=expected - len(before))
        held[run_id] = list(entries)
        return at + len(entries)

    def seen(self: Any, run_id: str) -> Any:
        vars(self).setdefault("_held", {}).pop(run_id, None)
        return read(self, run_id)

    with (
        mock.patch.object(MemoryJournal, "append", late),
        mock.patch.object(MemoryJournal, "read", seen),
    ):
        yield


def _reading(change: Callable[[list[Entry]], list[Entry]]) -> Callable[[Any], Any]:
    def make(sound: Any) -> Any:
        def read(self: Any, run_id: str) -> tuple[Entry, ...]:
            return tuple(change(list(sound(self, run_id))))

        return read

    return make


def _sorted(entries: list[Entry]) -> list[Entry]:
    head, tail = entries[:1], entries[1:]
    return head + sorted(tail, key=lambda entry: (entry.at, entry.event))


def _no_data(entries: list[Entry]) -> list[Entry]:
    kept = ("start", "#")
    return [
        entry if entry.event.startswith(kept) else attrs.evolve(entry, data=None)
        for entry in entries
    ]


def _no_refusals(entries: list[Entry]) -> list[Entry]:
    """Failures are not worth keeping, so they are read as notes."""
    return [
        attrs.evolve(entry, event=f"#failed {entry.event}")
        if entry.event.startswith(("rejected(", "unknown(", "exhausted("))
        else entry
        for entry in entries
    ]


def _last_lost(entries: list[Entry]) -> list[Entry]:
    return entries[:-1]


def _which() -> Any:
    return S(C("a"), choice(is_open, yes=C("x"), otherwise=SKIP, name="which"), P())


def _three_attempts(world: Any, outcome: Any) -> bool:
    return _ALL(world, outcome) and world.most <= 3


def _one_branch(world: Any, outcome: Any) -> bool:
    if outcome.status is Status.COMPLETED:
        return world.standing in ({"a": 1, "x": 1, "p": 1}, {"a": 1, "y": 1, "p": 1})
    return not world.standing


def _all_lines(world: Any, outcome: Any) -> bool:
    if outcome.status is Status.COMPLETED:
        return sorted(world.items) == ["x", "y", "z"]
    return not world.standing and not world.items


def _bug(name: str, why: str, *parts: Any, **options: Any) -> Any:
    return of_library(name, "journal", why, *parts, **options)


RUNS = (
    _bug(
        "what is of no step is not stored",
        "The table's column for the step may not be empty: cancel and deadline are dropped.",
        replaced(MemoryJournal, "append", _steps_only),
        _chain,
        _ALL,
        "a cancel b b- crash",
    ),
    _bug(
        "an event is kept once",
        "A unique index on run and event swallows the second retry of a step.",
        replaced(MemoryJournal, "append", _once_an_event),
        _chain,
        settled(_three_attempts),
        "a b=transient b=transient crash b=transient b=transient",
    ),
    _bug(
        "the last append is in a buffer",
        "append returns before it has stored: a crash loses what was answered for.",
        _write_behind,
        _chain,
        _ALL,
        "a b=reject a-=open crash",
    ),
    _bug(
        "entries come back by time",
        "ORDER BY time and name, where several entries have one time.",
        replaced(MemoryJournal, "read", _reading(_sorted)),
        lambda: S(
            C("a"), choice(is_open, yes=C("x"), no=C("y"), otherwise=SKIP, name="which"), P()
        ),
        settled(_one_branch),
        "a which: x crash",
        world=Turning,
    ),
    _bug(
        "data is not stored",
        "Only the events come back: no items, no results.",
        replaced(MemoryJournal, "read", _reading(_no_data)),
        repeated,
        settled(_all_lines),
        "lines: line[0] crash",
        given={"lines": ["x", "y", "z"]},
    ),
    _bug(
        "failures are read as notes",
        "What went wrong does not come back as an event: the run goes forward again.",
        replaced(MemoryJournal, "read", _reading(_no_refusals)),
        _chain,
        _ALL,
        "a b=reject a- crash",
    ),
    _bug(
        "the last entry is not read",
        "The reader stops before the end: whoever takes the run up is at a position behind.",
        replaced(MemoryJournal, "read", _reading(_last_lost)),
        _which,
        exactly("a", "x", "p"),
        "a crash",
    ),
)


# ---------------------------------------------------------------------- owners and words


def _told(error: JournalError | None) -> str:
    return "written" if error is None else type(error).__name__


def _entries(*events: str) -> list[Entry]:
    return [Entry(event, 0.0) for event in events]


def _journal() -> MemoryJournal:
    return MemoryJournal(now=lambda: 0.0)


def _two_writers() -> Any:
    """Two owners append at one position: the second has to be refused."""
    journal = _journal()
    journal.append("r1", _entries("start"), expected=0)
    journal.append("r1", _entries("done(a)"), expected=1)
    try:
        journal.append("r1", _entries("unknown(a)"), expected=1)
    except JournalError as error:
        return type(error).__name__
    return [entry.event for entry in journal.read("r1")]


def _two_starts() -> Any:
    """One run id is started twice: the second start has to be refused."""
    journal = _journal()
    journal.append("r1", _entries("start", "done(a)"), expected=0)
    try:
        journal.append("r1", _entries("start"), expected=0)
    except JournalError as error:
        return type(error).__name__
    return [entry.event for entry in journal.read("r1")]


def _entered() -> MemoryJournal:
    journal = _journal()
    journal.enter(Birth("r1", "yard", "f", "d", "{}"))
    journal.beat("one", 30.0)
    return journal


def _taken_over() -> Any:
    """An owner whose lease was taken over writes once more, then says what fence the next has."""
    journal = _entered()
    first = journal.claim("one", [("yard", "f")], 10)
    second_while_alive = journal.claim("two", [("yard", "f")], 10)
    journal.retire("one")
    journal.beat("two", 30.0)
    second = journal.claim("two", [("yard", "f")], 10)
    start = [Entry("start", 0.0, "{}")]
    old = Append("r1", start, 0, first[0].fence, Status.RUNNING, {}, (), None, "one")
    (error,) = journal.commit([old])
    fences = [claim.fence for claim in (*first, *second)]
    return len(second_while_alive), fences, _told(error), len(journal.read("r1"))


def _answered_twice() -> Any:
    """A word is answered twice: the first answer has to stand."""
    journal = _entered()
    (claim,) = journal.claim("one", [("yard", "f")], 10)
    number = journal.post("r1", "deliver(ask)")
    for position, answer in enumerate(("True", "False")):
        entry = [Entry("start" if not position else "done(ask)", 0.0, "{}")]
        told = {number: answer}
        fence = claim.fence
        journal.commit(
            [Append("r1", entry, position, fence, Status.RUNNING, {}, (), None, "one", None, told)]
        )
    return journal.answer(number), len(journal.posted("one"))


def _heard() -> Any:
    """A word comes while an owner has the run."""
    journal = _entered()
    journal.claim("one", [("yard", "f")], 10)
    journal.post("r1", "cancel")
    return [word.word for word in journal.posted("one")]


def _no_fence(sound: Any) -> Any:
    def _one(self: Any, append: Append, now: float) -> Any:
        kept = self._runs.get(append.run_id)
        fence = append.fence if kept is None else kept.fence
        return sound(self, attrs.evolve(append, fence=fence), now)

    return _one


def _no_lease(_sound: Any) -> Any:
    def _due(self: Any, known: Any, now: float) -> Iterator[Any]:
        for kept in self._runs.values():
            if kept.due is not None and (kept.birth.saga, kept.birth.fingerprint) in known:
                yield kept.due, kept

    return _due


def _same_fence(sound: Any) -> Any:
    def claim(self: Any, owner: str, machines: Any, limit: int) -> Any:
        claims = sound(self, owner, machines, limit)
        for one in claims:
            self._runs[one.run.run_id].fence = 1
        return [attrs.evolve(one, fence=1) for one in claims]

    return claim


def _answers_overwritten(sound: Any) -> Any:
    def _one(self: Any, append: Append, now: float) -> Any:
        for number in append.answers:
            self._answers.pop(number, None)
        return sound(self, append, now)

    return _one


def _word_lost(_sound: Any) -> Any:
    def posted(self: Any, owner: str) -> list[Any]:
        return []

    return posted


def _scene(name: str, why: str, plant: Any, scene: Callable[[], Any]) -> Planted:
    def shows() -> bool:
        sound = scene()
        with plant():
            return bool(sound != scene())

    made = _bug(name, why, plant, _chain, _ALL, "")
    return attrs.evolve(made, shows=shows, world=Yard)


STORE = (
    _scene(
        "any position will do",
        "append does not compare the position: two owners write side by side.",
        replaced(MemoryJournal, "append", _any_position),
        _two_writers,
    ),
    _scene(
        "a second start begins anew",
        "append at position 0 replaces a run that is there.",
        replaced(MemoryJournal, "append", _begun_anew),
        _two_starts,
    ),
    _scene(
        "a stale owner may write",
        "commit looks at the position, not at the fence.",
        replaced(MemoryJournal, "_one", _no_fence),
        _taken_over,
    ),
    _scene(
        "a run with an owner is given away",
        "claim does not ask whether the lease still holds.",
        replaced(MemoryJournal, "_due", _no_lease),
        _taken_over,
    ),
    _scene(
        "a claim leaves the fence",
        "A takeover has the number of who had the run before: both may write.",
        replaced(MemoryJournal, "claim", _same_fence),
        _taken_over,
    ),
    _scene(
        "a word is answered twice",
        "The second answer replaces the first, which somebody has been told.",
        replaced(MemoryJournal, "_one", _answers_overwritten),
        _answered_twice,
    ),
    _scene(
        "words are not heard",
        "A word to a run that somebody has is kept, and nobody is given it.",
        replaced(MemoryJournal, "posted", _word_lost),
        _heard,
    ),
)


JOURNAL = (*RUNS, *STORE)
