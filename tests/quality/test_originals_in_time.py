"""The faulty originals 6 and 7: retries that look like success, and a timeout that forgets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import product
from typing import Any
from uuid import uuid4

import attrs
import pytest

from saga_fsm import Contract, Retry, Status, Transient, check, run, step
from saga_fsm.journals.memory import MemoryJournal
from saga_fsm.machine import Row
from saga_fsm.machine import _alphabet as a
from tests.acceptance.effects import A, Effects, FastClock, act, saga, undo
from tests.quality.originals.orchestration import SagaContext
from tests.quality.originals.retry_and_timeout import (
    ResilientSagaOrchestrator,
    RetryableStep,
    TransientError,
)
from tests.quality.originals.stage import (
    Played,
    Request,
    breaches,
    try_all,
    writes,
)
from tests.quality.tampering import changed


RETRIED = Retry(attempts=3, wait_initial=7.0, wait_max=60.0)
AB = saga(A("A"), A("B", retry=RETRIED))


def context() -> SagaContext:
    """A run of the original's."""
    return SagaContext(uuid4(), uuid4(), uuid4(), [], 1.0)


@attrs.define(eq=False)
class Attempted(RetryableStep):
    """A retried step of the original, on a world; a timeout is transient to it, or is not."""

    letter: str
    effects: Effects
    forgiving: bool = False
    before: Callable[[str], None] = attrs.field(default=lambda _: None)

    @property
    def name(self) -> str:
        """Its name."""
        return self.letter

    @property
    def max_retries(self) -> int:
        """Two beside the first attempt."""
        return 2

    @property
    def retry_delay_seconds(self) -> int:
        """The same each time."""
        return 7

    def execute_with_retry(self, context: SagaContext) -> Any:
        """Act, without a key."""
        self.before(f"in {self.letter}")
        try:
            return self.effects.act(Request(self.letter))
        except Transient as error:
            raise TransientError from error
        except TimeoutError as error:
            if self.forgiving:
                raise TransientError from error
            raise


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the original has blocked its thread."""
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    return naps


# The plan is the sequence of what goes wrong with B's attempts.
TRANSIENT = [tuple(("B", "transient") for _ in range(count)) for count in range(4)]
EVERY = [
    tuple(("B", kind) for kind in kinds)
    for count in range(4)
    for kinds in product(["transient", "lost_reply"], repeat=count)
]


def retried(plan: Any, *, forgiving: bool = False) -> Played:
    """Conduct A and B as the original does: what raises nothing has gone well."""
    effects = Effects().on("B", *(kind for _, kind in plan))
    orchestrator, here = ResilientSagaOrchestrator(), context()
    try:
        for letter in "AB":
            result = orchestrator.execute_step(here, Attempted(letter, effects, forgiving))
            here.step_results[letter] = result
    except TimeoutError:
        return Played(tuple(effects.calls))
    wrong = tuple(letter for letter in "AB" if effects.net(letter) != 1)
    return Played(tuple(effects.calls), wrong)


def test_original_06_takes_exhausted_retries_for_success(slept: list[float]) -> None:
    """Three refusals are a result object and no exception: the run goes on without its step."""
    trial = try_all(retried, TRANSIENT)
    assert (trial.plans, len(trial.refuting)) == (4, 1)
    assert trial.shortest == (TRANSIENT[3], ("A", "B", "B", "B"), ("B",))
    slept.clear()
    retried(TRANSIENT[3])
    assert slept == [7, 7], "it blocks its thread, with no back-off"


def test_original_06_retries_what_is_declared_and_without_a_key(slept: list[float]) -> None:
    """A lost answer is either never retried, or retried as another payment."""
    lost = (("B", "lost_reply"),)
    assert retried(lost) == Played(("A", "B"))
    assert slept == []
    trial = try_all(lambda plan: retried(plan, forgiving=True), EVERY)
    assert trial.shortest == (lost, ("A", "B", "B"), ("B",))


def test_original_06_beside_ours(slept: list[float]) -> None:
    """Under the same refusals and lost answers ours lands once or goes back, on its own clock."""
    for plan in EVERY:
        effects, clock = Effects().on("B", *(kind for _, kind in plan)), FastClock()
        outcome = run(AB, services=effects, clock=clock, run_id="r1")
        assert effects.wrong(outcome, "AB") == []
        assert len(set(effects.keys[1 : 1 + effects.calls.count("B")])) == 1
        ended = Status.COMPENSATED if len(plan) == 3 else Status.COMPLETED
        assert outcome.status is ended
        assert clock.waited == [7.0, 14.0][: len(plan)]
    assert slept == []
    assert check(AB).verdict == "safe"


def test_original_06_as_a_machine_and_as_a_promise() -> None:
    """Exhausted taken as done breaks I1; retried without a key breaks W6 and lands twice (I6)."""
    run_on = breaches(AB, writes("exhausted", {a.UNKNOWN: a.DONE}))
    assert run_on["I1", "B"] == ["start", "done(A)", "transient(B)", "exhausted(B)"]
    unkeyed = check(saga(A("A"), A("B", retry=RETRIED), contract=Contract(fenced=True)))
    assert unkeyed.verdict == "unsafe"
    assert {("W6", "B"), ("I6", "B")} <= {(one.rule, one.step) for one in unkeyed.findings}


# ---------------------------------------------------------------------- 7


class Timer:
    """A timer that rings when the test says so."""

    def __init__(self, seconds: float, ring: Callable[..., None], args: list[Any]) -> None:
        self.seconds, self.ring, self.args = seconds, ring, args

    def start(self) -> None:
        """Wait."""
        RUNNING.append(self)


RUNNING: list[Timer] = []
MOMENTS = ["before", "in A", "after A", "in B", "at the end"]


def timed_out(moment: str) -> tuple[list[str], ResilientSagaOrchestrator]:
    """Conduct A and B as the original does, and let its timer ring at one moment."""
    effects, here, orchestrator = Effects(), context(), ResilientSagaOrchestrator()
    orchestrator.start_with_timeout(here)
    timer = RUNNING.pop()

    def now(reached: str) -> None:
        if reached == moment:
            effects.calls.append("timeout")
            timer.ring(*timer.args)

    now("before")
    orchestrator.execute_step(here, Attempted("A", effects, before=now))
    now("after A")
    orchestrator.execute_step(here, Attempted("B", effects, before=now))
    now("at the end")
    assert (effects.net("A"), effects.net("B")) == (1, 1)
    return effects.calls, orchestrator


def test_original_07_compensates_by_forgetting(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Whenever the timer rings nothing is undone, nothing stops, and the run is forgotten."""
    monkeypatch.setattr(threading, "Timer", Timer)
    runs = {moment: timed_out(moment) for moment in MOMENTS}
    assert {moment: calls for moment, (calls, _) in runs.items()} == {
        "before": ["timeout", "A", "B"],
        "in A": ["timeout", "A", "B"],
        "after A": ["A", "timeout", "B"],
        "in B": ["A", "timeout", "B"],
        "at the end": ["A", "B", "timeout"],
    }
    assert all(orchestrator._active_sagas == {} for _, orchestrator in runs.values())
    assert capsys.readouterr().out.count("timed out, initiating compensation") == 5
    # A run that has ended well is still there to be timed out.
    assert len(timed_out("never")[1]._active_sagas) == 1


@pytest.mark.parametrize("moment", MOMENTS)
def test_original_07_beside_ours(moment: str) -> None:
    """Our deadline at the same moments stops what has not started and undoes what has."""
    effects, clock, journal = Effects(), FastClock(), MemoryJournal()

    def now(reached: str) -> None:
        if reached == moment:
            clock.time += 3600.0

    def timed(ctx: Any) -> str:
        now(f"in {ctx.step}")
        answer = act(ctx)
        now(f"after {ctx.step}")
        return answer

    blocks = [step(timed, name=letter, compensate=undo) for letter in "AB"]
    story = saga(*blocks, deadline=1800.0)
    outcome = run(story, services=effects, clock=clock, journal=journal, run_id="r1")
    now("at the end")
    again = run(story, services=effects, clock=clock, journal=journal, run_id="r1")
    assert again.status is outcome.status
    assert effects.wrong(outcome, "AB") == []
    expected = {
        "before": ["A", "B"],
        "in A": ["A", "a"],
        "after A": ["A", "a"],
        "in B": ["A", "B", "b", "a"],
        "at the end": ["A", "B"],
    }
    assert effects.calls == expected[moment]
    assert check(story).verdict == "safe"


def test_original_07_as_a_machine_and_as_a_promise() -> None:
    """Undone while a step runs, that step lands after (I2); and so it does without a fence."""

    def while_it_runs(row: Row, at: dict[str, int]) -> Row:
        asked = {at["@saga"], at.get(row.name.removeprefix("undo "), -1)}
        if row.name.startswith("undo ") or row.name == "@saga drained":
            return changed(row, guard=[literal for literal in row.guard if literal[0] in asked])
        return row

    assert breaches(saga(A("A"), A("B")), while_it_runs)["I2", "B"] == [
        "start",
        "done(A)",
        "cancel",
        "compensated(A)",
        "done(B)",
    ]
    unfenced = check(saga(A("A"), contract=Contract(idempotent=True, sticky=True)))
    late = next(one for one in unfenced.findings if (one.rule, one.step) == ("I2", "A"))
    assert late.path is not None
    assert [move.token for move in late.path.moves] == [
        "start",
        "transient(A)",
        "compensated(A)",
        "~lands(A)",
    ]
