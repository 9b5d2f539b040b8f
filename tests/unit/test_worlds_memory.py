"""Worlds in memory: the same for each plan, and compared by what they are made of."""

from __future__ import annotations

import threading
from collections import Counter, deque
from random import Random
from typing import Any

import attrs
import pytest

from saga_fsm import Saga
from saga_fsm.errors import SagaError
from saga_fsm.testing import explore_faults, replay
from saga_fsm.testing.worlds import memory, reused, snapshot_of
from tests.participants import C, P, R, Shop
from tests.unit.test_explore_faults import PLAIN


class Leaky(Shop):
    """What should be the instance's own is the class's."""

    sold: list[str] = []  # noqa: RUF012 - the mistake that is looked for

    def act(self, ctx: Any) -> str:
        """Remember it for all that come."""
        self.sold.append(ctx.step)
        return super().act(ctx)


class Twice(Shop):
    """It forgets keys: what is asked for twice is done twice."""

    def act(self, ctx: Any) -> str:
        """No look at the key."""
        return self.count(ctx.step, 1)


def test_a_right_saga_stays_right():
    """No plan fails on copies of a world, and as many are run as with a class."""
    ours, plain = (
        explore_faults(PLAIN, world=world, max_faults=0, max_runs=500)
        for world in (memory(Shop), Shop)
    )
    assert ours.ok, ours
    assert (ours.runs, ours.coverage) == (plain.runs, plain.coverage)


def test_a_planted_bug_is_found():
    """A world that does things twice is caught, by the class's own oracle."""
    result = explore_faults(PLAIN, world=memory(Twice), max_faults=0, max_runs=100)
    assert any("does not agree" in failure.reason for failure in result.failures), result


def test_what_a_class_shares_is_a_leak():
    """A plan that changes the class's own list is told of before the next plan begins."""
    with pytest.raises(SagaError, match=r"Leaky\.sold"):
        explore_faults(PLAIN, world=memory(Leaky), max_faults=0)
    Leaky.sold.clear()


def test_the_first_state_is_never_changed():
    """What a plan does to a value, deep inside, no other plan sees; nor does who gave it."""
    first = {"stock": {"bike": [3]}}
    worlds = memory(first)
    for _ in range(3):
        world = worlds()
        assert world == {"stock": {"bike": [3]}}
        world["stock"]["bike"].append(4)
    assert first == {"stock": {"bike": [3]}}


def test_a_world_that_gives_the_same_object_each_time_is_copied():
    """A function that forgets to make a new one leaks nothing."""
    one: dict[str, int] = {}
    worlds = memory(lambda: one)
    worlds()["a"] = 1
    assert (worlds(), one) == ({}, {})


class Locked:
    """It cannot be copied."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.money = 0


def test_what_cannot_be_copied_is_made_anew():
    """A class with a lock is called for each plan; an object with one is refused."""
    worlds = memory(Locked)
    worlds().money = 5
    assert worlds().money == 0
    one = Locked()
    with pytest.raises(SagaError, match="Give a function that makes a new one"):
        memory(lambda: one)
    assert snapshot_of(worlds, one) is None


def test_an_object_is_reset_between_plans():
    """A fixture's object serves as a world when it can be reset, and is refused when it cannot."""

    class Till(Shop):
        resets = 0

        def reset(self) -> None:
            Till.resets += 1
            self.__init__()  # type: ignore[misc]

    result = explore_faults(PLAIN, world=reused(Till()), max_faults=0, max_runs=200)
    assert result.ok, result
    assert Till.resets >= result.runs
    with pytest.raises(SagaError, match="no reset"):
        reused(object())


@attrs.frozen
class Point:
    """A value."""

    x: int


class Node:
    """An object that may know itself."""

    def __init__(self, **parts: Any) -> None:
        self.__dict__.update(parts)


def _loop() -> Node:
    node = Node(x=1)
    node.me = node
    return node


def _closure(value: Any) -> Any:
    return lambda: value


def _twins(*, same: bool) -> list[Any]:
    one = Node(x=1)
    return [one, one if same else Node(x=1)]


SAME: list[Any] = [
    lambda: {"a": [1, (2.5, {3})], "b": deque([Point(1)]), "c": Counter("abba")},
    lambda: Node(luck=Random(3), point=Point(4), nothing=None),
    _loop,
    lambda: _twins(same=True),
    lambda: {Node(x=1), Node(x=1)},
    lambda: _closure([1]),
    lambda: float("nan"),
    threading.Lock,
    threading.Event,
]
DIFFERENT: list[tuple[Any, Any]] = [
    (1, True),
    (1, 1.0),
    (0.0, -0.0),
    ([1], (1,)),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    (Node(x=1), Node(x=2)),
    (Point(1), Node(x=1)),
    (_twins(same=True), _twins(same=False)),
    ({Node(x=1), Node(x=1)}, {Node(x=1)}),
    (Random(3), Random(4)),
    (_closure([1]), _closure([2])),
]


@pytest.mark.parametrize("make", SAME)
def test_equal_worlds_have_equal_snapshots(make: Any) -> None:
    """What is made in the same way is the same, and can be a key."""
    one, other = snapshot_of(None, make()), snapshot_of(None, make())
    assert one is not None
    assert {one} == {other}


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_worlds_have_different_snapshots(one: Any, other: Any) -> None:
    """What code could tell apart is not the same."""
    assert snapshot_of(None, one) != snapshot_of(None, other)


def test_two_runs_of_one_plan_end_in_equal_worlds():
    """A snapshot says that two worlds are the same exactly when nothing differs."""
    worlds = memory(Shop)
    saga = Saga("plain", C("a"), P("p"), R("r"))
    ends = {
        plan: {snapshot_of(worlds, replay(saga, plan, world=worlds).world) for _ in range(2)}
        for plan in ("", "a@0=reject", "p@0=reject")
    }
    assert [len(found) for found in ends.values()] == [1, 1, 1]
    assert len(set.union(*ends.values())) == 3


def test_its_own_snapshot_goes_first():
    """A world that says what it is made of is believed."""

    class Own(Locked):
        def snapshot(self) -> int:
            return self.money

    world = Own()
    before = snapshot_of(Own, world)
    world.money = 1
    assert before is not None
    assert snapshot_of(Own, world) not in {None, before}


def test_no_oracle_is_no_attribute():
    """A factory of a class without an oracle has none."""
    assert not hasattr(memory(Locked), "is_consistent")
    assert memory(Shop).is_consistent is Shop.is_consistent
    assert memory(lambda: Shop()).is_consistent is Shop.is_consistent  # noqa: PLW0108 - a function, not a class


def test_a_world_is_closed_before_the_next():
    """Its ``close`` is called once; an async one is nobody's here, and no warning comes of it."""
    closed: list[str] = []

    class Closing(Shop):
        def close(self) -> None:
            closed.append("sync")

    class Awaiting(Shop):
        async def close(self) -> None:
            closed.append("async")

    for kind in (Closing, Awaiting):
        worlds = memory(kind)
        for _ in range(3):
            worlds()
    assert closed == ["sync", "sync"]
