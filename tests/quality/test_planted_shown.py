"""The planted bugs are bugs: each changes behaviour in a scene by hand, and is the only fault."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from saga_fsm import Status, run
from saga_fsm.testing.clock import VirtualClock
from tests.quality.planted import Planted, all_planted


PLANTED = all_planted()
EACH = pytest.mark.parametrize("one", PLANTED, ids=lambda one: one.name.replace(" ", "-"))


@EACH
def test_a_bug_changes_behaviour(one: Planted) -> None:
    """A scene by hand, without any search, goes another way than without the bug."""
    assert one.shows() is True


@EACH
def test_without_the_bug_all_is_well(one: Planted) -> None:
    """The healthy variant completes when nothing fails, and its oracle agrees."""
    saga, world = one.sound
    shop = world()
    given: dict[Any, Any] = one.answers or {}
    outcome = run(saga(), one.input, services=shop, clock=VirtualClock(), answers=given)
    assert outcome.status is Status.COMPLETED
    assert one.consistent is None or one.consistent(shop, outcome)


def test_bugs_have_names_of_their_own() -> None:
    """A bug that is not found can be named."""
    names = Counter(one.name for one in PLANTED)
    assert max(names.values()) == 1
