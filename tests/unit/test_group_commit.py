"""Group commit: who writes for whom, and what becomes of those that wait."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from saga_fsm.errors import JournalError, StoreUnavailableError
from saga_fsm.journals._group import Group
from saga_fsm.machine import Status
from saga_fsm.ports import Append


def _append(run_id: str) -> Append:
    return Append(run_id, [], 0, 0, Status.RUNNING)


class Writer:
    """Writes when it is let; the groups it was given; raises what a run's name says."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.entered = threading.Semaphore(0)
        self.let = threading.Semaphore(0)

    def __call__(self, appends: Sequence[Append]) -> list[JournalError | None]:
        """Write them, one second with those that are not to be written."""
        names = [append.run_id for append in appends]
        self.groups.append(names)
        self.entered.release()
        assert self.let.acquire(timeout=10.0)
        if "odd" in names:
            message = "odd"
            raise ValueError(message)
        if "stop" in names:
            raise KeyboardInterrupt
        if "full" in names:
            raise StoreUnavailableError(store="runs.db", message="full")
        return [None] * len(appends)


def _given(group: Group, names: Sequence[str], writer: Writer, lets: int) -> dict[str, Any]:
    """The first writes, and the others come meanwhile; what each was told."""
    told: dict[str, Any] = {}

    def one(name: str) -> None:
        try:
            told[name] = group.commit([_append(name)])
        except BaseException as error:  # noqa: BLE001 - it is what is asked for
            told[name] = error

    threads = [threading.Thread(target=one, args=(name,)) for name in names]
    threads[0].start()
    assert writer.entered.acquire(timeout=10.0)
    for waiting, thread in enumerate(threads[1:], 1):
        thread.start()
        _until(group, waiting)
    for _ in range(lets):
        writer.let.release()
    for thread in threads:
        thread.join(10.0)
        assert not thread.is_alive()
    return told


def _until(group: Group, waiting: int) -> None:
    for _ in range(10_000):
        if len(group._brought) == waiting:
            return
        threading.Event().wait(0.001)
    message = "it never came"
    raise AssertionError(message)


def test_who_comes_meanwhile_shares_the_next_commit() -> None:
    """One commit for the first, one for all the others, in the order of their coming."""
    writer = Writer()
    told = _given(Group(writer, "x"), "abcde", writer, lets=2)
    assert writer.groups == [["a"], ["b", "c", "d", "e"]]
    assert told == {name: [None] for name in "abcde"}


def test_what_one_has_brought_does_not_fail_the_others() -> None:
    """Who cannot be written at all is told; the others are written without it."""
    writer = Writer()
    told = _given(Group(writer, "x"), ["a", "b", "odd", "c"], writer, lets=5)
    assert isinstance(told.pop("odd"), ValueError)
    assert told == {name: [None] for name in "abc"}


def test_all_are_told_when_the_store_cannot_be_used() -> None:
    """The trouble is everybody's, and the next commit is tried again."""
    writer = Writer()
    group = Group(writer, "x")
    told = _given(group, ["a", "b", "full"], writer, lets=2)
    assert [type(told[name]) for name in ("b", "full")] == [StoreUnavailableError] * 2
    writer.let.release()
    assert group.commit([_append("d")]) == [None]


def test_a_signal_stops_one_and_the_others_learn_that_nobody_knows() -> None:
    """A keyboard interrupt in the one who writes is not lost, and nobody waits for ever."""
    writer = Writer()
    group = Group(writer, "x")
    told = _given(group, ["a", "stop", "b"], writer, lets=2)
    assert isinstance(told["stop"], KeyboardInterrupt)
    assert told["b"].unknown
    writer.let.release()
    assert group.commit([_append("d")]) == [None]


def test_who_is_stopped_while_it_waits_is_not_written() -> None:
    """A signal to one that waits for its turn: its appends are taken back, the others' are not."""
    writer = Writer()
    group = Group(writer, "x")

    class Stopped:
        def acquire(self) -> None:
            raise KeyboardInterrupt

        def release(self) -> None:
            pass

    first = threading.Thread(target=group.commit, args=([_append("a")],))
    first.start()
    assert writer.entered.acquire(timeout=10.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("saga_fsm.journals._group._turn", Stopped)
        with pytest.raises(KeyboardInterrupt):
            group.commit([_append("b")])
    writer.let.release()
    writer.let.release()
    first.join(10.0)
    assert group.commit([_append("c")]) == [None]
    assert writer.groups == [["a"], ["c"]]
