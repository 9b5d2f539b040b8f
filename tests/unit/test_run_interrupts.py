"""Interrupts at the worst moments, and async actions beside them."""

from __future__ import annotations

import asyncio
import functools
import signal
import threading
from typing import Any

import pytest

from saga_fsm import Rejected, Saga, Status, arun, parallel, pivot, readonly, run, step
from saga_fsm.errors import SagaError
from saga_fsm.journals.memory import MemoryJournal


class Interrupted(MemoryJournal):
    """A journal in which SIGINT arrives at one append, after it was made."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def append(self, run_id: str, entries: Any, *, expected: int) -> int:
        """Append, and be interrupted."""
        length = super().append(run_id, entries, expected=expected)
        if expected == self.at:
            signal.raise_signal(signal.SIGINT)
        return length


def logged(calls: list[str], name: str) -> Any:
    """Make a step that logs its action and its undo."""

    def action(ctx: Any) -> str:
        calls.append(name)
        return name

    def undo(ctx: Any, result: Any) -> None:
        calls.append(f"-{name}({result})")

    return step(action, name=name, compensate=undo)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_interrupt_inside_an_append_loses_nothing(at: int) -> None:
    """SIGINT between an append and its calls: whatever started ends, is undone, then it raises."""
    calls: list[str] = []
    saga = Saga("s", *(logged(calls, name) for name in "abcd"))
    journal = Interrupted(at)
    with pytest.raises(KeyboardInterrupt):
        run(saga, journal=journal, run_id="r")
    done = [name for name in calls if not name.startswith("-")]
    assert calls[len(done) :] == [f"-{name}({name})" for name in reversed(done)]
    assert "cancel" in [entry.event for entry in journal.read("r")]
    outcome = run(saga, journal=journal, run_id="r")
    assert outcome.status is Status.COMPENSATED


def test_an_interrupt_at_the_last_append_raises_when_all_is_done() -> None:
    """A run that is over when the signal is heard is over; the signal is not lost."""
    calls: list[str] = []
    saga = Saga("s", logged(calls, "a"))
    journal = Interrupted(1)
    with pytest.raises(KeyboardInterrupt):
        run(saga, journal=journal, run_id="r")
    assert [entry.event for entry in journal.read("r")] == ["start", "done(a)"]
    assert run(saga, journal=journal, run_id="r").status is Status.COMPLETED
    assert calls == ["a"]


def test_an_interrupt_in_a_run_that_was_over_is_not_lost() -> None:
    """SIGINT while a finished run is read: there is nothing to undo, and it is raised."""

    class Read(MemoryJournal):
        """A journal in which SIGINT arrives while it is read."""

        def read(self, run_id: str) -> Any:
            signal.raise_signal(signal.SIGINT)
            return super().read(run_id)

    journal = Read()
    saga = Saga("s", logged([], "a"))
    finished = MemoryJournal()
    run(saga, journal=finished, run_id="r")
    journal.append("r", finished.read("r"), expected=0)
    with pytest.raises(KeyboardInterrupt):
        run(saga, journal=journal, run_id="r")


def test_the_signal_is_given_back() -> None:
    """After a run SIGINT is handled as it was before."""
    before = signal.getsignal(signal.SIGINT)
    run(Saga("s", logged([], "a")))
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_while_waiting_for_a_thread() -> None:
    """SIGINT in the wait for a branch: the branch ends, all is undone, then it raises."""
    calls: list[str] = []
    go_on = threading.Event()

    def slow(ctx: Any) -> str:
        go_on.wait(30)
        return "landed"

    def interrupting(ctx: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        go_on.set()
        raise Rejected("no")

    def undo(ctx: Any, result: Any) -> None:
        calls.append(f"{ctx.step}({result})")

    saga = Saga("s", parallel(step(slow, compensate=undo), step(interrupting, compensate=undo)))
    with pytest.raises(KeyboardInterrupt):
        run(saga)
    assert "slow(landed)" in calls


def test_a_past_pivot_interrupt_goes_through_then_raises() -> None:
    """Past the pivot a cancel is refused: the run completes, and the interrupt is raised then."""
    journal = Interrupted(1)
    tail: list[str] = []
    after_pivot = readonly(lambda ctx: tail.append("tail"), name="tail")
    with pytest.raises(KeyboardInterrupt):
        run(Saga("s", pivot(lambda ctx: 1, name="p"), after_pivot), journal=journal, run_id="r")
    assert tail == ["tail"]


def test_async_actions_of_a_run_share_one_loop() -> None:
    """Clients are bound to a loop: every async action, branch or not, sees the same."""
    loops: list[Any] = []

    async def act(ctx: Any) -> None:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())

    class Callable:
        """An object whose call is async."""

        async def __call__(self, ctx: Any) -> None:
            await act(ctx)

    def gives(ctx: Any) -> Any:
        return act(ctx)

    blocks = [
        readonly(act, name="plain"),
        readonly(Callable(), name="object"),
        readonly(gives, name="gives"),
        readonly(functools.partial(act), name="partial"),
    ]
    again = [readonly(act, name="left"), readonly(gives, name="right")]
    outcome = run(Saga("s", *blocks, parallel(*again)))
    assert outcome.status is Status.COMPLETED
    assert len(loops) == 6
    assert len(set(map(id, loops))) == 1


def test_arun_keeps_every_awaitable_on_its_loop() -> None:
    """A sync action that gives an awaitable is called in a thread and awaited on the loop."""
    loops: list[Any] = []

    async def act(ctx: Any) -> None:
        loops.append(asyncio.get_running_loop())

    def gives(ctx: Any) -> Any:
        return act(ctx)

    saga = Saga("s", readonly(gives), readonly(act))

    async def inside() -> Any:
        await arun(saga)
        return asyncio.get_running_loop()

    loop = asyncio.run(inside())
    assert loops == [loop, loop]


@pytest.mark.parametrize("first", ["good", "bad"])
def test_an_async_action_that_cannot_be_called_is_an_unknown_outcome(first: str) -> None:
    """A wrong signature fails that step, in both shells, first or not; nobody waits for ever."""

    async def good(ctx: Any) -> None:
        """Do nothing."""

    async def bad() -> None:
        """Take no context, which is wrong."""

    blocks = [readonly(good), readonly(bad)]  # type: ignore[arg-type]
    saga = Saga("s", *(blocks if first == "good" else blocks[::-1]))
    for outcome in (run(saga), asyncio.run(arun(saga))):
        assert outcome.status is Status.COMPENSATED
        assert isinstance(outcome.cause.exception, TypeError)


def test_a_step_that_cancels_itself_is_unknown() -> None:
    """A `CancelledError` out of a step is an outcome of that step (R2), and of no more."""

    async def act(ctx: Any) -> None:
        raise asyncio.CancelledError

    outcome = asyncio.run(arun(Saga("s", readonly(act))))
    assert outcome.status is Status.COMPENSATED
    assert outcome.cause is not None
    assert outcome.cause.kind == "unknown"


def test_arun_raises_what_the_journal_raises() -> None:
    """A failed append in the middle of plain async calls ends the run, and calls nothing more."""

    class Full(MemoryJournal):
        """A journal that is full after two entries."""

        def append(self, run_id: str, entries: Any, *, expected: int) -> int:
            if expected == 2:
                raise SagaError("the disk is full")
            return super().append(run_id, entries, expected=expected)

    called: list[str] = []

    async def act(ctx: Any) -> None:
        called.append(ctx.step)

    saga = Saga("s", *(readonly(act, name=name) for name in "abcd"))
    with pytest.raises(SagaError, match="disk"):
        asyncio.run(arun(saga, journal=Full(), run_id="r"))
    assert called == ["a", "b"]


def test_a_second_cancel_past_the_pivot_starts_nothing_more() -> None:
    """Cancelled twice in the tail, `arun` is over: what is in flight ends, and nothing follows."""
    called: list[str] = []

    async def cancelled() -> None:
        entered, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def slow(ctx: Any) -> None:
            entered.set()
            await go_on.wait()
            ended.set()

        async def then(ctx: Any) -> None:
            called.append("then")

        async def ship(ctx: Any) -> None:
            """Do nothing."""

        saga = Saga("s", pivot(ship), readonly(slow), readonly(then))
        task = asyncio.create_task(arun(saga))
        await entered.wait()
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        await ended.wait()
        for _ in range(5):
            await asyncio.sleep(0)

    asyncio.run(cancelled())
    assert called == []
