"""Bugs in the journals in memory and in SQLite, by a second author."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import attrs

from saga_fsm import Rejected, Retry, Status, Transient, run
from saga_fsm.errors import ConcurrentAppendError
from saga_fsm.journals import sqlite as module
from saga_fsm.journals.memory import MemoryJournal
from saga_fsm.journals.sqlite import SqliteJournal
from saga_fsm.ports import Append, Birth, Entry
from saga_fsm.runner.sync import operate
from saga_fsm.testing.clock import VirtualClock
from tests.quality.planted import Planted
from tests.quality.planted.driver_bugs import Plant, replaced
from tests.quality.planted.yard import BARE, C, Hand, P, R, S, Yard, counter, exactly, of_library


_PAGE = 100
_BUSY = 55


# ---------------------------------------------------------------------- what is planted


def _both(name: str, make: Any, statement: str, sound: str, wrong: str) -> Plant:
    """Replace a function of the journal in memory, and the same in a statement of SQLite's."""

    @contextmanager
    def plant() -> Iterator[None]:
        text = str(module._SQL[statement])
        assert sound in text
        with (
            replaced(MemoryJournal, name, make)(),
            mock.patch.dict(module._SQL, {statement: text.replace(sound, wrong)}),
        ):
            yield

    return plant


def _something_or_nothing(sound: Any) -> Any:
    def append(self: Any, run_id: str, entries: Any, *, expected: int) -> Any:
        some = [attrs.evolve(entry, data=entry.data or None) for entry in entries]
        return sound(self, run_id, some, expected=expected)

    return append


def _by_text(sound: Any) -> Any:
    def read(self: Any, run_id: str) -> tuple[Entry, ...]:
        placed = sorted(enumerate(sound(self, run_id), 1), key=lambda pair: str(pair[0]))
        return tuple(entry for _, entry in placed)

    return read


def _one_page(sound: Any) -> Any:
    def read(self: Any, run_id: str) -> Any:
        return sound(self, run_id)[:_PAGE]

    return read


def _moves(entries: Any) -> list[str]:
    return [entry.event for entry in entries if not entry.event.startswith("#")]


def _written_before(sound: Any) -> Any:
    def append(self: Any, run_id: str, entries: Any, *, expected: int) -> Any:
        there, mine = self.read(run_id), _moves(entries)
        if len(there) > expected and _moves(there[expected:])[: len(mine)] == mine:
            return len(there)
        return sound(self, run_id, entries, expected=expected)

    return append


def _listed_for_ever(sound: Any) -> Any:
    def _one(self: Any, append: Append, now: float) -> Any:
        kept = self._runs.get(append.run_id)
        before: Mapping[str, str] = {} if kept is None else kept.unresolved
        error = sound(self, append, now)
        if error is None and not append.unresolved:
            self._runs[append.run_id].unresolved = before
        return error

    return _one


def _due_as_asked(sound: Any) -> Any:
    def _one(self: Any, append: Append, now: float) -> Any:
        error = sound(self, append, now)
        if error is None and not append.owner:
            self._runs[append.run_id].due = append.due
        return error

    return _one


# ---------------------------------------------------------------------- sagas and worlds


class Counted(Yard):
    """A yard where a says how many came before, which b needs: a number, and at first 0."""

    def _effect(self, ctx: Any) -> Any:
        if ctx.step == "b" and ctx.results["a"] != 0:
            self.errors.append(f"b was told that {ctx.results['a']} came before")
        effect = super()._effect(ctx)
        return 0 if ctx.step == "a" else effect


class Busy(Yard):
    """A yard where r is busy for a long time."""

    def act(self, ctx: Any) -> Any:
        """Say not now, often."""
        if ctx.step == "r" and ctx.attempt < _BUSY:
            raise Transient("busy")
        return super().act(ctx)


class Shut(Yard):
    """A yard where r is refused for as long as it is shut."""

    def act(self, ctx: Any) -> Any:
        """Refuse."""
        if ctx.step == "r" and not self.open:
            raise Rejected("shut")
        return super().act(ctx)


def _numbered() -> Any:
    return S(C("a"), C("b"), P(), R())


def _long() -> Any:
    return S(*(C(name) for name in "abcdefghi"), P())


def _patient() -> Any:
    return S(C("a"), P(), R(retry=Retry.forever(wait_initial=1.0, wait_max=1.0)))


def _bare() -> Any:
    return S(C("a"), C("b", counter, contract=BARE, retry=Retry()), P())


def _chain() -> Any:
    return S(C("a"), P(), R())


# ---------------------------------------------------------------------- scenes of the stores


_same_is_mine = replaced(MemoryJournal, "append", _written_before)
_stays_listed = _both(
    "_one",
    _listed_for_ever,
    "moved",
    "unresolved = ?4",
    "unresolved = CASE WHEN ?4 = '{}' THEN unresolved ELSE ?4 END",
)
_slept_through = _both("_one", _due_as_asked, "moved", "coalesce(spoken, ?7)", "?7")


@contextmanager
def _stores() -> Iterator[tuple[MemoryJournal, SqliteJournal]]:
    with tempfile.TemporaryDirectory() as folder:
        journal = SqliteJournal(Path(folder) / "sagas.db", now=lambda: 0.0)
        with closing(journal):
            yield MemoryJournal(now=lambda: 0.0), journal


def _two_owners() -> dict[str, int]:
    """One who was taken for gone hears an answer, as the one who has taken over did before."""
    world = Yard()
    first, second = Hand(_bare, world, None), Hand(_bare, world, None)
    second.journal = first.journal
    for word in ("crash", "a"):
        second._say(word)
    with suppress(ConcurrentAppendError):
        for word in ("a", "b"):
            first._say(word)
    second._say("b")
    return world.standing


def _listing() -> Any:
    """What a listing says is owed by a run that was stuck, and then went on."""
    with _stores() as (_, journal):
        world = Shut()
        world.open = False
        clock = VirtualClock()
        options: Any = {"journal": journal, "run_id": "r1", "services": world, "clock": clock}
        stuck = run(_chain(), **options)
        assert stuck.status is Status.STUCK
        world.open = True
        operate(_chain(), "retry(r)", **options)
        return journal.list_runs()[0].unresolved


def _taken() -> list[int]:
    """How many runs are taken after a word came to one just before it was put down."""
    found = []
    with _stores() as stores:
        for store in stores:
            begun = Append("r1", [Entry("start", 0.0)], 0, 1, Status.RUNNING, owner="one")
            begun.birth = Birth("r1", "yard", "f", "d")
            put_down = Append("r1", [Entry("#pending(a)", 0.0)], 1, 1, Status.RUNNING, {}, ("a",))
            assert store.commit([begun]) == [None]
            store.post("r1", "done(a)", '"yes"')
            assert store.commit([put_down]) == [None]
            found.append(len(store.claim("two", [("yard", "f")], 10)))
    return found


def _changed(plant: Plant, scene: Any) -> Any:
    def shows() -> bool:
        sound = scene()
        with plant():
            return bool(scene() != sound)

    return shows


SECOND_JOURNAL = (
    of_library(
        "a result of nothing much is kept as none",
        "journal",
        "'if there is data' was written where 'if data is not None' was meant",
        replaced(MemoryJournal, "append", _something_or_nothing),
        _numbered,
        exactly("a", "b", "p", "r"),
        "a crash",
        world=Counted,
    ),
    of_library(
        "the tenth entry is read before the second",
        "journal",
        "a position was stored as text, and sorts as text",
        _both("read", _by_text, "read", "ORDER BY e.position", "ORDER BY e.position || ''"),
        _long,
        exactly(*"abcdefghi", "p"),
        "a b c d e f g h cancel crash",
    ),
    of_library(
        "no more than a hundred entries are read",
        "journal",
        "the limit of a listing came along when two queries were made one",
        _both(
            "read", _one_page, "read", "ORDER BY e.position", f"ORDER BY e.position LIMIT {_PAGE}"
        ),
        _patient,
        exactly("a", "p", "r"),
        f"a p {'r ' * (_BUSY - 1)} crash",
        world=Busy,
    ),
    Planted(
        "what stands there already is one's own",
        "journal",
        "an append whose answer was lost is sent again: who finds his own words was successful",
        _bare,
        Yard,
        None,
        exactly("a", "b", "p"),
        _changed(_same_is_mine, _two_owners),
        plant=_same_is_mine,
    ),
    Planted(
        "what was owed is listed for ever",
        "journal",
        "an append that says nothing of it was thought to leave it as it is",
        _chain,
        Shut,
        None,
        exactly("a", "p", "r"),
        _changed(_stays_listed, _listing),
        plant=_stays_listed,
    ),
    Planted(
        "a word that comes as its run is put down is slept through",
        "journal",
        "who puts a run down says when it is due, and has not heard what came meanwhile",
        _chain,
        Yard,
        None,
        exactly("a", "p", "r"),
        _changed(_slept_through, _taken),
        plant=_slept_through,
    ),
)
