"""A deadline turns a run back, and waits for what is in flight: nothing is cut (R9)."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from saga_fsm import Outcome, Saga, Status, arun, parallel, run, step
from saga_fsm.testing import VirtualClock


class Scene:
    """Steps that take their time, and what was called."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.clock = VirtualClock(patience=0.005)

    def step(self, name: str, act: Any = None, **options: Any) -> Any:
        """Make a step that writes down when it ends, and when it is undone."""

        def action(ctx: Any) -> str:
            if act is not None:
                act()
            self.calls.append(name)
            return name

        def undo(ctx: Any, result: object) -> None:
            self.calls.append(f"-{name}({result})")

        return step(action, name=name, compensate=undo, **options)

    async def forever(self) -> None:
        """Wait for nothing."""

    def slow(self) -> None:
        """Take a hundred seconds of the run's own clock."""
        self.clock.wait(None, 100.0, busy=False)


def turned_back(outcome: Outcome[Any]) -> None:
    """The run was turned back by its deadline, before the call in flight ended."""
    assert outcome.status is Status.COMPENSATED
    assert outcome.cause is not None
    assert outcome.cause.kind == "deadline"
    assert outcome.events.index("deadline") < outcome.events.index("done(a)")


def test_a_plain_call_is_not_cut_by_the_deadline() -> None:
    """A sync action without a timeout ends, however late; then it is undone, and nothing starts."""
    scene = Scene()
    saga = Saga("s", scene.step("a", scene.slow), scene.step("b"), deadline=60.0)
    turned_back(run(saga, clock=scene.clock))
    assert scene.calls == ["a", "-a(a)"]


def test_a_branch_in_flight_is_awaited() -> None:
    """On a thread of its own too: the deadline is heard at once, the undo waits for the call."""
    scene, heard = Scene(), threading.Event()
    a = scene.step("a", lambda: heard.wait(30))
    saga = Saga("s", parallel(a, scene.step("c")), scene.step("b"), deadline=60.0)

    def hear(event: str, *_: Any) -> None:
        if event == "deadline":
            heard.set()

    turned_back(run(saga, clock=scene.clock, observer=hear))
    assert scene.calls[:2] == ["c", "a"]
    assert sorted(scene.calls[2:]) == ["-a(a)", "-c(c)"]


def test_an_async_action_is_not_cancelled_by_the_deadline() -> None:
    """`arun` awaits what is in flight as well: its result is known when it is undone."""
    scene = Scene()

    async def main() -> Outcome[Any]:
        heard = asyncio.Event()

        async def act(ctx: Any) -> str:
            await heard.wait()
            scene.calls.append("a")
            return "a"

        def undo(ctx: Any, result: object) -> None:
            scene.calls.append(f"-a({result})")

        def hear(event: str, *_: Any) -> None:
            if event == "deadline":
                heard.set()

        saga = Saga("s", step(act, name="a", compensate=undo), scene.step("b"), deadline=60.0)
        return await arun(saga, clock=scene.clock, observer=hear)

    turned_back(asyncio.run(main()))
    assert scene.calls == ["a", "-a(a)"]


def test_a_deadline_is_heard_between_calls_that_never_yield() -> None:
    """A chain of async actions that give the loop no time is turned back all the same."""
    scene = Scene()

    async def act(ctx: Any) -> str:
        scene.calls.append(ctx.step)
        await scene.clock.wait_async(scene.forever, 40.0, busy=False)
        return "x"

    def undo(ctx: Any, result: object) -> None:
        scene.calls.append(f"-{ctx.step}")

    steps = [step(act, name=name, compensate=undo) for name in "zabc"]
    turned_back(asyncio.run(arun(Saga("s", *steps, deadline=60.0), clock=scene.clock)))
    assert scene.calls == ["z", "a", "-a", "-z"]


def test_a_timeout_cuts_what_a_deadline_does_not() -> None:
    """A step with a timeout is unknown when its time is up, and undone without its result."""
    scene, late = Scene(), threading.Event()
    saga = Saga("s", scene.step("a", lambda: late.wait(30), timeout=30.0), deadline=60.0)
    outcome = run(saga, clock=scene.clock)
    late.set()
    assert outcome.events == ("start", "unknown(a)", "compensated(a)")
    assert scene.calls[0] == "-a(None)"
