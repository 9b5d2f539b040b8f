"""Who watches a run: told of each move in order, after the append, and never able to change it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from transitions import MachineError
from transitions.core import Condition

from saga_fsm import (
    GUARDED,
    Rejected,
    Saga,
    Status,
    arun,
    compile_saga,
    parallel,
    pivot,
    run,
    step,
)
from saga_fsm.interop.transitions import async_observer, observer
from saga_fsm.journals.memory import MemoryJournal


class Trace:
    """What happened, in order: calls, moves, and how long the journal was."""

    def __init__(self, journal: MemoryJournal | None = None) -> None:
        self.journal = journal or MemoryJournal()
        self.seen: list[Any] = []
        self.states: list[str] = []

    def __call__(self, event: Any, before: Any, move: Any) -> None:
        """Hear a move."""
        self.seen.append((str(event), len(self.journal.read("r"))))
        self.states.append(str(move.state))

    def step(self, name: str, *answers: BaseException) -> Any:
        """Make a step that writes down its calls, and raises what it is told to."""
        left = list(answers)

        def act(ctx: Any) -> str:
            self.seen.append(f"call {name}")
            if left:
                raise left.pop(0)
            return name

        def undo(ctx: Any, result: object) -> None:
            self.seen.append(f"undo {name}")

        return step(act, name=name, compensate=undo)


def back_and_forth(trace: Trace) -> Saga[Any, Any]:
    """Make a saga with branches that is turned back by its pivot."""

    def no(ctx: Any) -> None:
        raise Rejected("no")

    return Saga(
        "s",
        trace.step("a"),
        parallel(trace.step("b"), trace.step("c")),
        pivot(no, name="p"),
        contract=GUARDED,
    )


def test_told_after_the_append_and_before_the_call() -> None:
    """Each event is heard when it is in the journal, and before what it allows is called."""
    trace = Trace()
    saga = Saga("s", trace.step("a"), trace.step("b", Rejected("no")), contract=GUARDED)
    run(saga, journal=trace.journal, run_id="r", observer=trace)
    assert trace.seen == [
        ("start", 1),
        "call a",
        ("done(a)", 2),
        "call b",
        ("rejected(b)", 3),
        "undo a",
        ("compensated(a)", 4),
    ]


def test_the_moves_are_those_of_the_path() -> None:
    """What is heard, from either shell, are the states of the outcome's path."""
    for go in (run, lambda *args, **told: asyncio.run(arun(*args, **told))):
        trace = Trace()
        outcome: Any = go(back_and_forth(trace), observer=trace)
        assert trace.states == [move.state for move in outcome.path.moves]
        assert outcome.status is Status.COMPENSATED


@pytest.mark.parametrize("error", [ValueError("?"), KeyboardInterrupt(), SystemExit(1)])
def test_what_it_raises_is_logged_and_changes_nothing(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """An observer that raises at every move leaves the run as it would have been."""

    def broken(*_: Any) -> None:
        raise error

    async def broken_later(*_: Any) -> None:
        raise error

    plain = run(back_and_forth(Trace()))
    with caplog.at_level(logging.ERROR, logger="saga_fsm"):
        watched = [
            run(back_and_forth(Trace()), observer=broken),
            asyncio.run(arun(back_and_forth(Trace()), observer=broken)),
        ]
        if isinstance(error, Exception):
            watched.append(asyncio.run(arun(back_and_forth(Trace()), observer=broken_later)))
    assert [one.status for one in watched] == [plain.status] * len(watched)
    assert len(caplog.records) == len(watched) * len(plain.events)
    assert all(record.exc_info and record.exc_info[1] is error for record in caplog.records)


def test_a_run_taken_up_again_tells_only_what_is_new() -> None:
    """What was told before the process went is not told again."""
    first = Trace()
    run(back_and_forth(first), journal=first.journal, run_id="r", observer=first)
    entries = first.journal.read("r")
    for kept in range(1, len(entries)):
        again = Trace()
        again.journal.append("r", entries[:kept], expected=0)
        outcome = run(back_and_forth(again), journal=again.journal, run_id="r", observer=again)
        assert outcome.status is Status.COMPENSATED
        assert again.states == [move.state for move in outcome.path.moves][kept:]


def test_run_says_that_it_cannot_await(caplog: pytest.LogCaptureFixture) -> None:
    """An async observer given to `run` is told of nothing, and the log says what to use."""

    async def later(*_: Any) -> None:
        """Never get here."""

    saga = Saga("s", Trace().step("a"))
    assert run(saga, observer=later).status is Status.COMPLETED
    assert "Use arun" in caplog.text


# ------------------------------------------------------------------ the package transitions


def two_branches() -> Saga[Any, Any]:
    """Make a saga of two branches, the second of which fails: a machine small enough for them."""
    trace = Trace()
    fails = trace.step("b", *[Rejected("no")] * 2)
    return Saga("s", parallel(trace.step("a"), fails), contract=GUARDED)


class Model:
    """A model with the callbacks of the package ``transitions``."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.effects: list[Any] = []

    def note(self, event: Any) -> None:
        """Write down where it went, and what the saga's machine asked for."""
        self.entered.append(event.transition.dest)
        self.effects.append(event.kwargs["move"].effects)


def test_a_run_drives_a_machine_of_transitions() -> None:
    """Its callbacks are called at each move of a run that compensates, branches included."""
    saga, model = two_branches(), Model()
    watch = observer(saga, model)
    watch.machine.after_state_change.append(model.note)
    ends: list[str] = []
    last = run(saga).path.moves[-1].state
    watch.machine.get_state(last).add_callback("enter", lambda event: ends.append(event.event.name))
    outcome = run(saga, observer=watch)
    assert model.entered == [move.state for move in outcome.path.moves]
    moves = compile_saga(saga).replay(outcome.events)
    assert model.effects == [move.effects for move in moves]
    assert ends == ["compensated(a)"]


def test_a_callback_that_refuses_or_raises_is_caught_up_with() -> None:
    """After a veto and an error in callbacks the next move begins where the run is."""
    saga, model = two_branches(), Model()
    watch = observer(saga, model)
    watch.machine.after_state_change.append(model.note)
    for (transition,) in watch.machine.events["done(a)"].transitions.values():
        transition.conditions.append(Condition(lambda _: False))

    def raises(event: Any) -> None:
        raise ValueError(event.event.name)

    for (transition,) in watch.machine.events["rejected(b)"].transitions.values():
        transition.before.append(raises)
    outcome = run(saga, observer=watch)
    missed = {"done(a)", "rejected(b)"}
    assert missed < set(outcome.events)
    assert model.entered == [x.state for x in outcome.path.moves if x.token not in missed]


def test_arun_awaits_the_callbacks_of_an_async_machine() -> None:
    """Async callbacks are awaited in order, and to the end before `arun` returns."""
    saga, entered = two_branches(), []
    watch = async_observer(saga)

    async def note(event: Any) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        entered.append(event.transition.dest)

    watch.machine.after_state_change.append(note)
    outcome = asyncio.run(arun(saga, observer=watch))
    assert entered == [move.state for move in outcome.path.moves]


def test_arun_that_is_stopped_at_once_awaits_nobody() -> None:
    """The second cancel ends `arun`, though its observer would wait for ever."""
    begun = asyncio.Event()

    async def act(ctx: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def forever(*_: Any) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        saga = Saga("s", step(act, compensate=act))
        task = asyncio.ensure_future(arun(saga, observer=forever))
        await begun.wait()
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0.001)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(main(), 5.0))


def test_an_event_that_is_ignored_is_told_with_its_reason() -> None:
    """A move that was none is heard too; a machine of transitions stays where it is."""
    saga = Saga("s", Trace().step("a"), deadline=60.0)
    machine = compile_saga(saga)
    ended = machine.replay(["start", "done(a)"])[-1].state
    move = machine.step(ended, "deadline")
    assert move.ignored
    watch = observer(machine)
    watch(machine.event("deadline"), ended, move)
    assert watch.machine.state == str(machine.initial)  # type: ignore[attr-defined]
    with pytest.raises(MachineError):
        watch.machine.trigger("deadline")  # type: ignore[attr-defined]
