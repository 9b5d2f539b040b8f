"""Bugs planted in the shell around the driver: a run that is killed between finds each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import attrs
import pytest

from saga_fsm import GUARDED, Rejected, Saga, Status, step
from saga_fsm.errors import ConcurrentAppendError
from saga_fsm.journals.memory import MemoryJournal
from saga_fsm.ports import Entry
from saga_fsm.runner.commands import Command, Invoke
from saga_fsm.runner.shell import driver_of
from saga_fsm.runner.sync import ThreadShell
from saga_fsm.testing import VirtualClock


NAMES = ("a", "b", "c")


class Participants:
    """One participant a step, that keeps every promise; ``away`` are those that do not answer."""

    def __init__(self) -> None:
        self.ledger: dict[str, str] = {}
        self.away: set[str] = set()

    def act(self, name: str) -> None:
        """Land once; never after the undo."""
        if name in self.away:
            raise ConnectionError(name)
        if self.ledger.get(name) == "undone":
            raise Rejected("fenced")
        self.ledger[name] = "landed"

    def undo(self, name: str) -> None:
        """Take back what landed, and fence what did not."""
        self.ledger[name] = "undone"

    def saga(self) -> Saga[Any, Any]:
        """Make the saga of these participants."""
        steps = [
            step(
                lambda _, name=name: self.act(name),
                name=name,
                compensate=lambda _ctx, _result, name=name: self.undo(name),
            )
            for name in NAMES
        ]
        return Saga("owned", *steps, contract=GUARDED)

    @property
    def standing(self) -> set[str]:
        """Whose effect stands."""
        return {name for name, what in self.ledger.items() if what == "landed"}


class KilledError(BaseException):
    """The process is gone."""


class At(MemoryJournal):
    """Does something before one of its appends, by number."""

    def __init__(self, number: int, what: Callable[[MemoryJournal], None]) -> None:
        super().__init__()
        self.left = number
        self.what = what

    def append(self, run_id: str, entries: Sequence[Entry], *, expected: int) -> int:
        """Append, unless it is prevented."""
        self.left -= 1
        if self.left == 0:
            self.what(self)
        return super().append(run_id, entries, expected=expected)


def kill(_: MemoryJournal) -> None:
    """Die before the append."""
    raise KilledError


@attrs.frozen
class Ending:
    """How a run ended for the owner that has it now, and whose effects stand."""

    status: Status
    standing: frozenset[str]

    @property
    def sound(self) -> bool:
        """Whether the world agrees with the status."""
        wanted = set(NAMES) if self.status is Status.COMPLETED else set()
        return self.status is not Status.STUCK and self.standing == wanted


def own(kind: type[ThreadShell], saga: Saga[Any, Any], journal: MemoryJournal) -> Status:
    """Run the saga, or take it up, with a shell of this kind."""
    driver = driver_of(
        saga, input=None, services=None, journal=journal, run_id="r", random=None, answers=None
    )
    return kind(driver, journal, VirtualClock()).run().status


def killed(kind: type[ThreadShell], number: int, away: str) -> Ending:
    """Kill the first owner before an append; the next one finds a participant away."""
    world = Participants()
    journal, saga = At(number, kill), world.saga()
    with pytest.raises(KilledError):
        own(kind, saga, journal)
    world.away = {away}
    return Ending(own(ThreadShell, saga, journal), frozenset(world.standing))


def superseded(kind: type[ThreadShell], number: int, away: str) -> Ending:
    """Let a second owner take over and end the run before an append of the first."""
    world = Participants()
    saga = world.saga()
    ended = []

    def take_over(journal: MemoryJournal) -> None:
        world.away = {away}
        ended.append(own(ThreadShell, saga, journal))
        world.away = set()

    journal = At(number, take_over)
    try:
        own(kind, saga, journal)
    except ConcurrentAppendError:
        assert kind is not StaleButGoesOn
    return Ending(ended[0], frozenset(world.standing))


class CallsBeforeItWrites(ThreadShell):
    """The bug: an action is called, and only then is its intent journalled."""

    def take(self, told: tuple[list[Entry], list[Command]]) -> None:
        """Call first."""
        entries, commands = told
        early = [(x.leg, *answer_of(x)) for x in commands if isinstance(x, Invoke)]
        super().take((entries, [x for x in commands if not isinstance(x, Invoke)]))
        for leg, value, error in early:
            self.settle(leg, value, error)


def answer_of(invoke: Invoke) -> tuple[Any, Exception | None]:
    """Call it, and give what it gave."""
    try:
        return invoke.function(*invoke.arguments), None
    except Exception as error:  # noqa: BLE001 - the driver says what it means
        return None, error


class StaleButGoesOn(ThreadShell):
    """The bug: a failed append is taken for a written one, and its work is not dropped."""

    def write(self, entries: list[Entry]) -> None:
        """Write, or do as if."""
        try:
            super().write(entries)
        except ConcurrentAppendError:
            self.written += len(entries)


# Every append of a run that completes, but the last: after it nothing is called.
TOUR = list(product(range(1, len(NAMES) + 1), NAMES))


def unsound(tour: Callable[..., Ending], kind: type[ThreadShell]) -> Iterator[tuple[int, str]]:
    """The places of the tour after which the world does not agree with the outcome."""
    return ((number, away) for number, away in TOUR if not tour(kind, number, away).sound)


def test_a_call_before_its_append_is_found() -> None:
    """Killed between call and append, the next owner does not know of the call; ours does."""
    assert not list(unsound(killed, ThreadShell))
    found = list(unsound(killed, CallsBeforeItWrites))
    # Append n+1 is the intent of the step after the n-th; what comes before that one is away.
    assert (2, "a") in found
    assert (3, "b") in found


def test_the_planted_call_is_otherwise_a_run_like_any() -> None:
    """Nobody killed, the shell that calls too early completes as ours does: only the kill tells."""
    for kind in (ThreadShell, CallsBeforeItWrites, StaleButGoesOn):
        world = Participants()
        assert own(kind, world.saga(), MemoryJournal()) is Status.COMPLETED
        assert world.standing == set(NAMES)


def test_a_stale_owners_call_without_its_append_is_found() -> None:
    """An owner whose append has failed drops its work; one that does not leaves an effect."""
    assert not list(unsound(superseded, ThreadShell))
    found = list(unsound(superseded, StaleButGoesOn))
    assert found
    ending = superseded(StaleButGoesOn, *found[0])
    assert ending.status is Status.COMPENSATED
    assert ending.standing
