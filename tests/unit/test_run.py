"""`run`: every kind of step, outcome and block, on an injected clock."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from saga_fsm import (
    GUARDED,
    PENDING,
    SKIP,
    Contract,
    Rejected,
    Retry,
    Saga,
    Status,
    Transient,
    alternatives,
    choice,
    each,
    parallel,
    pause,
    pivot,
    readonly,
    retriable,
    run,
    step,
)
from saga_fsm.errors import (
    ConcurrentAppendError,
    DefinitionError,
    RunConflictError,
    RunningLoopError,
    SagaError,
)
from saga_fsm.journals.memory import MemoryJournal
from saga_fsm.ports import Entry
from saga_fsm.runner import operate
from saga_fsm.testing import VirtualClock


class Log:
    """What was called, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def act(self, name: str, *script: Any) -> Callable[[Any], Any]:
        """Make an action that answers its script, one by one, then its own name."""
        said = itertools.chain(script, itertools.repeat(name))

        def action(ctx: Any) -> Any:
            self.calls.append(name)
            answer = next(said)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return action

    def undo(self, name: str, *script: Any) -> Callable[[Any, Any], None]:
        """Make a compensation that follows its script, then works."""
        said = iter(script)

        def compensation(ctx: Any, result: Any) -> None:
            self.calls.append(f"{name}({result})")
            answer = next(said, None)
            if isinstance(answer, BaseException):
                raise answer

        return compensation

    def step(self, name: str, *script: Any, undo: tuple[Any, ...] = (), **options: Any) -> Any:
        """Make a compensatable step whose undo is logged as its name with a minus."""
        return step(
            self.act(name, *script), name=name, compensate=self.undo(f"-{name}", *undo), **options
        )


@pytest.fixture
def log() -> Log:
    """A fresh log."""
    return Log()


def test_all_done_is_completed(log: Log) -> None:
    """A run whose steps are all done is completed, with every result."""
    a = log.step("a")
    outcome = run(Saga("s", a, pivot(log.act("p"), name="p"), retriable(log.act("r"), name="r")))
    assert outcome.status is Status.COMPLETED
    assert log.calls == ["a", "p", "r"]
    assert outcome.result_of(a) == "a"
    assert outcome.cause is None
    assert outcome.unresolved == {}


def test_rejected_pivot_compensates_in_reverse(log: Log) -> None:
    """A rejected pivot undoes what was done, in reverse, each with its result (F03)."""
    saga = Saga("s", log.step("a"), log.step("b"), pivot(log.act("p", Rejected("no")), name="p"))
    outcome = run(saga)
    assert outcome.status is Status.COMPENSATED
    assert log.calls == ["a", "b", "p", "-b(b)", "-a(a)"]
    assert outcome.cause is not None
    assert (outcome.cause.step, outcome.cause.kind) == ("p", "rejected")


def test_unknown_step_is_undone_too(log: Log) -> None:
    """A step that raised something undeclared may have landed: it is undone with None (F11)."""
    outcome = run(Saga("s", log.step("a"), log.step("b", ValueError("?"))))
    assert outcome.status is Status.COMPENSATED
    assert log.calls == ["a", "b", "-b(None)", "-a(a)"]
    assert outcome.cause is not None
    assert isinstance(outcome.cause.exception, ValueError)


def test_rejected_sticky_step_is_not_undone(log: Log) -> None:
    """A rejection that the participant remembers leaves nothing to undo (F11)."""
    run(Saga("s", log.step("a"), log.step("b", Rejected("no")), contract=GUARDED))
    assert log.calls == ["a", "b", "-a(a)"]


def test_retries_are_counted_and_patient(log: Log) -> None:
    """Attempts are exactly as many as said, with the policy's waits; then it failed (F06)."""
    clock = VirtualClock()
    retry = Retry(attempts=3, wait_initial=0.5)
    busy = [Transient("busy")] * 9
    outcome = run(Saga("s", log.step("a"), log.step("b", *busy, retry=retry)), clock=clock)
    assert outcome.status is Status.COMPENSATED
    assert log.calls == ["a", "b", "b", "b", "-b(None)", "-a(a)"]
    assert clock.waits == [0.5, 1.0]


def test_transient_may_ask_for_more_time(log: Log) -> None:
    """`Transient(after=)` waits at least so long."""
    clock = VirtualClock()
    retry = Retry(attempts=2, wait_initial=0.5)
    outcome = run(Saga("s", log.step("a", Transient("busy", 30.0), retry=retry)), clock=clock)
    assert outcome.status is Status.COMPLETED
    assert clock.waits == [30.0]


def test_same_key_on_every_attempt() -> None:
    """An unanswered idempotent action is asked again under its key; its undo has another (F12)."""
    keys = []

    def act(ctx: Any) -> None:
        keys.append((ctx.key, ctx.attempt))
        raise OSError("no answer")

    def undo(ctx: Any, result: Any) -> None:
        keys.append((ctx.key, ctx.attempt))
        assert ctx.action_key == "r/act"

    contract = Contract(idempotent=True)
    saga = Saga("s", step(act, compensate=undo, retry=Retry(attempts=2), contract=contract))
    run(saga, run_id="r", clock=VirtualClock())
    assert keys == [("r/act", 1), ("r/act", 2), ("r/act/compensation", 1)]


def test_failed_undo_is_retried_before_the_next(log: Log) -> None:
    """An undo that fails twice is tried again; what came before waits for it (F17)."""
    b = log.step("b", undo=(Transient("x"), Transient("x")))
    saga = Saga("s", log.step("a"), b, pivot(log.act("c", Rejected("no")), name="c"))
    outcome = run(saga, clock=VirtualClock())
    assert outcome.status is Status.COMPENSATED
    assert log.calls == ["a", "b", "c", "-b(b)", "-b(b)", "-b(b)", "-a(a)"]


def test_undo_that_fails_for_good_is_stuck(log: Log) -> None:
    """When an undo gives up, the run is stuck and lists all that is owed (F18, F21)."""
    b = log.step("b", undo=(RuntimeError("not implemented"),) * 9)
    saga = Saga("s", log.step("a"), b, pivot(log.act("c", Rejected("no")), name="c"))
    outcome = run(saga, clock=VirtualClock())
    assert outcome.status is Status.STUCK
    assert outcome.unresolved == {"a": "compensate", "b": "compensate"}
    assert log.calls.count("-b(b)") == 5
    assert "-a(a)" not in log.calls


def test_pivot_in_doubt_is_stuck_not_undone(log: Log) -> None:
    """A pivot whose outcome stays unknown is neither undone nor skipped (F15)."""
    p = pivot(log.act("p", OSError("?")), name="p", retry=Retry(attempts=1))
    outcome = run(Saga("s", log.step("a"), p))
    assert outcome.status is Status.STUCK
    assert outcome.unresolved == {"p": "query"}
    assert log.calls == ["a", "p"]


def test_stuck_on_the_way_forward_has_a_cause(log: Log) -> None:
    """A run that did not turn back and is stuck says which failure stuck it: the first."""
    error, busy = OSError("who knows"), Transient("busy")
    p = pivot(log.act("p", error), name="p", retry=Retry(attempts=1))
    cause = run(Saga("s", log.step("a", Transient("later"), retry=Retry(attempts=2)), p)).cause
    assert cause is not None
    assert (cause.step, cause.kind, cause.message) == ("p", "unknown", "who knows")
    assert cause.exception is error
    retry = Retry(attempts=2, wait_initial=5.0)
    later = retriable(log.act("later", busy, busy), name="later", retry=retry, rejects=OSError)
    first = retriable(log.act("first", error), name="first", rejects=OSError)
    clock = VirtualClock()
    outcome = run(Saga("s", parallel(later, first)), clock=clock)
    assert set(outcome.unresolved) == {"later", "first"}
    assert outcome.cause is not None
    assert (outcome.cause.step, outcome.cause.kind) == ("first", "rejected")
    assert outcome.cause.exception is error


def test_stuck_that_goes_on_and_completes_has_no_cause(log: Log) -> None:
    """Once an operator has helped a stuck run to its end, nothing is left to be explained."""
    journal = MemoryJournal()
    r = retriable(log.act("r", OSError("?")), name="r", retry=Retry(attempts=1))
    saga = Saga("s", log.step("a"), r, contract=GUARDED)
    assert run(saga, journal=journal, run_id="r").cause is not None
    outcome = operate(saga, "retry(r)", journal=journal, run_id="r")
    assert (outcome.status, outcome.cause) == (Status.COMPLETED, None)


def test_stuck_on_the_way_back_says_why_it_turned(log: Log) -> None:
    """Where the undo is stuck, the cause is still the failure that turned the run."""
    b = log.step("b", undo=(RuntimeError("not implemented"),) * 9, compensation_retry=Retry())
    outcome = run(Saga("s", b, pivot(log.act("c", Rejected("no")), name="c")))
    assert outcome.unresolved == {"b": "compensate"}
    assert outcome.cause is not None
    assert (outcome.cause.step, outcome.cause.kind) == ("c", "rejected")


def test_timeout_is_unknown_and_late_result_is_recorded(log: Log) -> None:
    """A step whose time is up counts as unknown; the run does not hang on its thread."""
    release = threading.Event()

    def slow(ctx: Any) -> str:
        release.wait(30)
        return "late"

    saga = Saga("s", log.step("a"), step(slow, compensate=log.undo("-slow"), timeout=5.0))
    outcome = run(saga, clock=VirtualClock())
    release.set()
    assert outcome.status is Status.COMPENSATED
    assert log.calls == ["a", "-slow(None)", "-a(a)"]
    assert outcome.cause is not None
    assert outcome.cause.kind == "unknown"


def test_parallel_branches_run_at_the_same_time(log: Log) -> None:
    """Two branches meet at a barrier, which only works when both are running."""
    barrier = threading.Barrier(2, timeout=30)

    def meet(ctx: Any) -> int:
        return barrier.wait()

    saga = Saga(
        "s",
        parallel(
            step(meet, name="left", compensate=log.undo("-left")),
            step(meet, name="right", compensate=log.undo("-right")),
        ),
    )
    outcome = run(saga)
    assert outcome.status is Status.COMPLETED
    assert sorted(outcome.results.values()) == [0, 1]


def test_late_sibling_is_awaited_and_undone(log: Log) -> None:
    """A branch still running when its sibling fails is awaited, then undone (F31)."""
    failed = threading.Event()

    def fail(ctx: Any) -> None:
        failed.set()
        raise Rejected("no")

    def late(ctx: Any) -> str:
        failed.wait(30)
        return "landed"

    saga = Saga(
        "s",
        log.step("f"),
        parallel(
            step(fail, compensate=log.undo("-fail")), step(late, compensate=log.undo("-late"))
        ),
        contract=GUARDED,
    )
    outcome = run(saga)
    assert outcome.status is Status.COMPENSATED
    assert log.calls == ["f", "-late(landed)", "-f(f)"]


def test_choice_takes_one_branch(log: Log) -> None:
    """The chooser's answer picks a branch; an unknown one is `otherwise`; SKIP does nothing."""

    def route(ctx: Any) -> Any:
        return ctx.input

    saga = Saga("s", choice(route, yes=log.step("y"), fast=log.step("f"), otherwise=SKIP))
    for answer in (True, "fast", "never heard"):
        assert run(saga, answer).status is Status.COMPLETED
    assert log.calls == ["y", "f"]


def test_chooser_that_raises_turns_back(log: Log) -> None:
    """A chooser that raises fails before any effect of the block."""

    def route(ctx: Any) -> Any:
        raise KeyError("gone")

    outcome = run(Saga("s", log.step("a"), choice(route, yes=log.step("y"), otherwise=SKIP)))
    assert outcome.status is Status.COMPENSATED
    assert log.calls == ["a", "-a(a)"]


def test_alternatives_are_tried_in_order(log: Log) -> None:
    """When one alternative fails, what it did is undone and the next starts."""
    first = Saga("first", log.step("a"), log.step("b", Rejected("full")))
    outcome = run(Saga("s", alternatives(first, log.step("c")), contract=GUARDED))
    assert outcome.status is Status.COMPLETED
    assert log.calls == ["a", "b", "-a(a)", "c"]


@pytest.mark.parametrize("concurrent", [False, True])
def test_each_runs_one_copy_per_item(*, concurrent: bool) -> None:
    """Each copy has its item, its index and its key; more than allowed is refused."""
    seen = []

    def pack(ctx: Any) -> str:
        seen.append((ctx.item, ctx.index, ctx.key))
        return str(ctx.item)

    def unpack(ctx: Any, result: Any) -> None:
        seen.append(("undo", ctx.item, result))

    def items(ctx: Any) -> Any:
        return ctx.input

    copies = each(items, step(pack, compensate=unpack), max_items=2, concurrent=concurrent)
    outcome = run(Saga("s", copies), ["x", "y"], run_id="r")
    assert outcome.status is Status.COMPLETED
    assert sorted(seen) == [("x", 0, "r/pack[0]"), ("y", 1, "r/pack[1]")]
    seen.clear()
    assert run(Saga("t", copies), ["x", "y", "z"]).status is Status.COMPENSATED
    assert seen == []


def test_nested_saga_is_given_its_own_input(log: Log) -> None:
    """A nested saga sees what `given` made, once; its steps' paths begin with its name."""
    inputs = []

    def look(ctx: Any) -> Any:
        inputs.append((ctx.input, ctx.step))
        return ctx.input

    trip = Saga("trip", readonly(look))
    outcome = run(Saga("s", trip.given(lambda ctx: ctx.input["trip"]), log.step("a")), {"trip": 7})
    assert outcome.status is Status.COMPLETED
    assert inputs == [(7, "trip/look")]
    assert outcome.results["trip/look"] == 7


def test_whole_compensation_of_a_nested_saga(log: Log) -> None:
    """A nested saga with a compensation for the whole is undone by that alone."""
    inner = Saga(
        "inner", log.step("a"), pivot(log.act("p"), name="p"), compensate=log.undo("whole")
    )
    outcome = run(Saga("s", inner, log.step("b", Rejected("no")), contract=GUARDED))
    assert outcome.status is Status.COMPENSATED
    assert log.calls == ["a", "p", "b", "whole({'a': 'a', 'p': 'p'})"]


def test_deadline_turns_back_before_the_pivot(log: Log) -> None:
    """A deadline that passes during a wait is a failure before the pivot."""
    clock = VirtualClock()
    b = log.step("b", *[Transient("busy")] * 9, retry=Retry.forever(wait_initial=40.0))
    outcome = run(Saga("s", log.step("a"), b, deadline=60.0), clock=clock)
    assert outcome.status is Status.COMPENSATED
    assert outcome.cause is not None
    assert outcome.cause.kind == "deadline"
    assert clock.now() == 60.0


def test_pause_is_done_by_the_clock(log: Log) -> None:
    """A pause waits on the injected clock and calls nothing."""
    clock = VirtualClock()
    assert run(Saga("s", log.step("a"), pause(3600.0)), clock=clock).status is Status.COMPLETED
    assert clock.waits == [3600.0]


def test_pending_step_is_answered(log: Log) -> None:
    """A step that answers PENDING takes its outcome from `answers=`; without, it says so."""
    approve = readonly(log.act("approve", PENDING, PENDING), name="approve")
    saga = Saga("s", approve)
    outcome = run(saga, answers={approve: lambda ctx: "ada"})
    assert outcome.results == {"approve": "ada"}
    with pytest.raises(SagaError, match="answers="):
        run(saga)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_interrupt_compensates_then_reraises(log: Log, error: BaseException) -> None:
    """Whatever interrupts a step, the run goes back first and then raises the same exception."""
    saga = Saga("s", log.step("a"), log.step("b", error), log.step("c"))
    with pytest.raises(type(error)) as caught:
        run(saga)
    assert caught.value is error
    assert log.calls == ["a", "b", "-b(None)", "-a(a)"]


def test_second_interrupt_stops_at_once(log: Log) -> None:
    """An interrupt while going back stops; the journal can be taken up again."""
    journal = MemoryJournal()
    b = log.step("b", KeyboardInterrupt(), undo=(KeyboardInterrupt(),))
    saga = Saga("s", log.step("a"), b)
    with pytest.raises(KeyboardInterrupt):
        run(saga, journal=journal, run_id="r")
    assert log.calls == ["a", "b", "-b(None)"]
    outcome = run(saga, journal=journal, run_id="r", clock=VirtualClock())
    assert outcome.status is Status.COMPENSATED
    assert log.calls[3:] == ["-b(None)", "-a(a)"]


def test_async_actions_and_a_running_loop(log: Log) -> None:
    """`run` takes async actions, and inside a running loop says what to use."""

    async def act(ctx: Any) -> int:
        await asyncio.sleep(0)
        return 5

    saga = Saga("s", readonly(act))
    assert run(saga).results == {"act": 5}

    async def inside() -> None:
        with pytest.raises(RunningLoopError, match="arun"):
            run(saga)

    asyncio.run(inside())


def crash_at(journal: MemoryJournal, run_id: str, length: int) -> MemoryJournal:
    """Give a journal as it was after so many entries."""
    before = MemoryJournal()
    before.append(run_id, journal.read(run_id)[:length], expected=0)
    return before


@pytest.mark.parametrize("idempotent", [True, False])
def test_recovery_from_every_entry(*, idempotent: bool) -> None:
    """Taken up after any entry, a run ends as it would have, and calls nothing twice that ended."""
    contract = GUARDED if idempotent else Contract()
    for length in range(1, 5):
        log = Log()
        saga = Saga(
            "s",
            log.step("a"),
            log.step("b"),
            pivot(log.act("p", Rejected("no")), name="p"),
            contract=contract,
        )
        journal = MemoryJournal()
        run(saga, journal=journal, run_id="r")
        log.calls.clear()
        early = crash_at(journal, "r", length)
        outcome = run(saga, journal=early, run_id="r", clock=VirtualClock())
        assert early.read("r")[:length] == journal.read("r")[:length]
        if idempotent or length >= 4:
            assert outcome.status in {Status.COMPENSATED, Status.COMPLETED}
        ended = {entry.event for entry in journal.read("r")[:length]}
        again = [name for name in ("a", "b") if f"done({name})" in ended and name in log.calls]
        assert again == []


def test_poison_call_counts_as_unknown_at_the_third_recovery() -> None:
    """A call that was open at two recoveries is not made again at the third."""
    log = Log()
    saga = Saga("s", log.step("a"), contract=GUARDED)
    journal = MemoryJournal()
    run(saga, journal=journal, run_id="r")
    open_call = crash_at(journal, "r", 1)
    for expected in (1, 2):
        open_call.append("r", [Entry("#recovered", 0.0)], expected=expected)
    log.calls.clear()
    outcome = run(saga, journal=open_call, run_id="r", clock=VirtualClock())
    assert outcome.status is Status.COMPENSATED
    assert log.calls == ["-a(None)"]


def test_a_run_id_is_one_run(log: Log) -> None:
    """The same id again is the same run; another input or saga is a conflict."""
    journal = MemoryJournal()
    saga = Saga("s", log.step("a"))
    run(saga, 1, journal=journal, run_id="r")
    assert run(saga, 1, journal=journal, run_id="r").status is Status.COMPLETED
    assert log.calls == ["a"]
    with pytest.raises(RunConflictError, match="another input"):
        run(saga, 2, journal=journal, run_id="r")
    with pytest.raises(RunConflictError, match="belongs to saga 's'"):
        run(Saga("t", log.step("a")), 1, journal=journal, run_id="r")


def test_journal_refuses_a_second_writer() -> None:
    """An append at the wrong position adds nothing."""
    journal = MemoryJournal()
    journal.append("r", [Entry("start", 0.0)], expected=0)
    with pytest.raises(ConcurrentAppendError):
        journal.append("r", [Entry("cancel", 0.0)], expected=0)
    assert len(journal.read("r")) == 1


@pytest.mark.parametrize("wrong", ["no saga", None, 5])
def test_what_is_no_saga_is_refused(wrong: Any) -> None:
    """`run` says what it was given and what to give."""
    with pytest.raises(DefinitionError, match="is not a saga"):
        run(wrong)


def test_a_thousand_steps(log: Log) -> None:
    """A long saga runs, and goes back, all the way."""
    steps = [log.step(f"s{i}") for i in range(999)]
    outcome = run(Saga("long", *steps, log.step("z", Rejected("no")), contract=GUARDED))
    assert outcome.status is Status.COMPENSATED
    assert log.calls[1000:] == [f"-s{i}(s{i})" for i in reversed(range(999))]


def test_a_run_leaves_nothing_to_the_garbage_collector() -> None:
    """A run that goes through is freed with its outcome: no circle waits for a collection."""
    log = Log()
    saga = Saga("s", log.step("a"), Saga("n", log.step("b"), log.step("c")), contract=GUARDED)
    run(saga)
    gc.collect()
    gc.disable()
    try:
        run(saga)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_what_is_no_journal_is_refused_before_anything_runs() -> None:
    """The error names the port."""
    with pytest.raises(TypeError, match=r"journal is int.*\n.*saga_fsm\.ports\.Journal"):
        run(Saga("s", step(lambda ctx: 1, name="a", compensate=lambda ctx, r: None)), journal=3)
