"""What the acceptance stories share: a fresh world, and a way to run a saga on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from saga_fsm import Outcome, Saga, run
from tests.acceptance.effects import Effects, FastClock, MortalJournal


@pytest.fixture
def effects() -> Iterator[Effects]:
    """Guarded participants that log and count; what was to go wrong must have gone wrong (I12)."""
    participants = Effects()
    yield participants
    assert participants.unfired() == [], "this test is vacuous"


@pytest.fixture
def clock() -> FastClock:
    """A clock on which waiting takes no time."""
    return FastClock()


@pytest.fixture
def journal(effects: Effects) -> MortalJournal:
    """What outlives a process."""
    return MortalJournal(effects)


@pytest.fixture
def go(effects: Effects, clock: FastClock, journal: MortalJournal) -> Callable[..., Outcome[Any]]:
    """Run a story's saga; called again, it is a new process on the same journal."""

    def start(story: Saga[Any, Any], **options: Any) -> Outcome[Any]:
        effects.dead = False
        given = {"services": effects, "clock": clock, "journal": journal, "run_id": "r1"}
        return run(story, None, **{**given, **options})

    return start
