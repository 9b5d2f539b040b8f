"""`arun`: the same driver on a loop; cancelling it compensates first."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from saga_fsm import GUARDED, Rejected, Saga, Status, arun, parallel, pivot, step


class Steps:
    """Async and sync actions that log what was called."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def step(self, name: str, error: BaseException | None = None) -> Any:
        """Make an async step with a sync compensation."""

        async def action(ctx: Any) -> str:
            await asyncio.sleep(0)
            self.calls.append(name)
            if error is not None:
                raise error
            return name

        def undo(ctx: Any, result: Any) -> None:
            self.calls.append(f"-{name}({result})")

        return step(action, name=name, compensate=undo)


def test_completed_and_compensated() -> None:
    """Async actions and sync compensations together reach the same ends as `run`."""
    steps = Steps()
    saga = Saga("s", steps.step("a"), steps.step("b"))
    assert asyncio.run(arun(saga)).status is Status.COMPLETED
    steps.calls.clear()
    back = Saga("s", steps.step("a"), steps.step("b", Rejected("no")), contract=GUARDED)
    outcome = asyncio.run(arun(back))
    assert outcome.status is Status.COMPENSATED
    assert steps.calls == ["a", "b", "-a(a)"]


def test_parallel_branches_are_tasks() -> None:
    """Two branches meet at a barrier on one loop."""

    async def both() -> Any:
        barrier = asyncio.Barrier(2)

        async def meet(ctx: Any) -> int:
            return await barrier.wait()

        def undo(ctx: Any, result: Any) -> None:
            """Nothing to undo."""

        left = step(meet, name="left", compensate=undo)
        right = step(meet, name="right", compensate=undo)
        return await asyncio.wait_for(arun(Saga("s", parallel(left, right))), 30)

    assert sorted(asyncio.run(both()).results.values()) == [0, 1]


def test_cancel_awaits_undoes_and_raises() -> None:
    """A cancelled `arun` lets the step in flight end, undoes all, and raises it (F49)."""
    steps = Steps()

    async def cancelled() -> None:
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def slow(ctx: Any) -> str:
            entered.set()
            await go_on.wait()
            steps.calls.append("slow")
            return "slow"

        def undo(ctx: Any, result: Any) -> None:
            steps.calls.append(f"-slow({result})")

        saga = Saga(
            "s", steps.step("a"), step(slow, compensate=undo), pivot(steps.step("p").action)
        )
        task = asyncio.create_task(arun(saga))
        await entered.wait()
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(cancelled())
    assert steps.calls == ["a", "slow", "-slow(slow)", "-a(a)"]


def test_second_cancel_stops_at_once() -> None:
    """A second cancel does not wait for what is in flight."""
    steps = Steps()

    async def cancelled() -> None:
        entered = asyncio.Event()

        async def never(ctx: Any) -> None:
            entered.set()
            await asyncio.Event().wait()

        def undo(ctx: Any, result: Any) -> None:
            steps.calls.append("-never")

        task = asyncio.create_task(arun(Saga("s", step(never, compensate=undo))))
        await entered.wait()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert steps.calls == []
