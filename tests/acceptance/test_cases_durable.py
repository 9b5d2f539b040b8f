"""The failure stories about crashes, owners, time and versions, on real stores."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saga_fsm import (
    GUARDED,
    AsyncOrchestrator,
    Orchestrator,
    Retry,
    Saga,
    Status,
    check,
    compile_saga,
    diff,
    pivot,
    step,
)
from saga_fsm.cli.journal import opened
from saga_fsm.errors import MachineChangedError
from tests.durable import SAGAS, World, act, asks, carry, held, undo


ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new, empty store, by its URL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'sagas.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(url: str) -> Iterator[Any]:
    """The same, open."""
    journal = opened(url, make=True)
    yield journal
    journal.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Participants, and what they have done."""
    return World(tmp_path / "calls.log")


def dies(url: str, saga: str, world: World, where: str) -> None:
    """Carry out a run in a process of its own, that dies."""
    command = [sys.executable, "-m", "tests.durable", url, saga, "r", str(world.log), where]
    done = subprocess.run(  # noqa: S603 - our own
        command, cwd=ROOT, check=False, timeout=60, capture_output=True, text=True
    )
    assert done.returncode == 9, done.stderr


def until(true: Any) -> None:
    """Wait for something to come true."""
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def test_f04_recovery_remembers_results(url: str, store: Any, world: World) -> None:
    """What was done is not done again, and its undo is given its result, in another process."""
    dies(url, "abc", world, "c:before")
    before = store.find("r")[0]
    assert world.calls() == ["a", "b"]
    world.refused = ["c"]
    assert carry(url, "abc", "r", world) == "compensated"
    assert world.lines()[2:] == [
        {"key": "b/compensation", "result": "result of b"},
        {"key": "a/compensation", "result": "result of a"},
    ]
    after = store.find("r")[0]
    assert (after.saga, after.started) == (before.saga, before.started)


def test_f15_a_pivot_in_doubt_is_asked_again(url: str, store: Any, world: World) -> None:
    """An idempotent and sticky pivot is called again with its key, and the run goes through."""
    dies(url, "doubt", world, "p:after")
    assert carry(url, "doubt", "r", world) == "completed"
    assert world.calls() == ["a", "p", "p", "n"]


def test_f15_a_bare_pivot_in_doubt_is_stuck(url: str, store: Any, world: World) -> None:
    """It is a finding of the check; where nobody looked, a person is asked, and nothing undone."""
    assert "W5" in {finding.rule for finding in check(SAGAS["bare_doubt"]).findings}
    dies(url, "bare_doubt", world, "p:after")
    assert carry(url, "bare_doubt", "r", world) == "stuck"
    assert set(store.find("r")[0].unresolved) == {"p"}
    assert world.calls() == ["a", "p"]


@pytest.mark.parametrize("restart", [False, True])
def test_f18_f19_an_undo_that_fails_for_good(
    url: str, store: Any, world: World, *, restart: bool
) -> None:
    """Stuck, listed with what is owed, resumed by nobody, and ended by an operator's word."""
    world.refused = ["c"]
    flag = world.log.with_suffix(".broken")
    flag.touch()
    assert carry(url, "stuck", "r", world) == "stuck"
    with Orchestrator(SAGAS["stuck"], journal=store, services=world, poll=0.02) as one:
        if restart:
            assert one.recover() == 0
            time.sleep(0.1)
        (listed,) = one.runs(status=Status.STUCK)
        assert dict(listed.unresolved) == {"a": "compensate", "b": "compensate"}
        assert world.calls() == ["a", "b"]
        flag.unlink()
        assert one.retry("r", step="b", by="ada")
        assert one.wait("r", timeout=20).status is Status.COMPENSATED
    assert world.calls() == ["a", "b", "b/compensation", "a/compensation"]


def test_f39_a_reply_to_a_former_owner_is_not_lost(url: str, store: Any, world: World) -> None:
    """Its effect is found again under its key by the new owner, and the run ends."""
    begun, go = threading.Event(), threading.Event()

    def slow(ctx) -> str:
        ctx.services.call(ctx.key)
        if not begun.is_set():
            begun.set()
            go.wait(20)
        return "reply"

    saga = Saga("slow", step(slow, name="a", compensate=undo), held("b"), contract=GUARDED)
    first, second = opened(url), opened(url)
    # It never looks, or it would take its own run back.
    old = Orchestrator(saga, journal=first, services=world, lease=600, poll=600)
    old.start(saga, run_id="r")
    begun.wait(20)
    store.beat(old._engine.owner, -1.0)
    with Orchestrator(saga, journal=second, services=world, poll=0.02) as new:
        assert new.wait("r", timeout=20).results == {"a": "reply", "b": "result of b"}
        entries = store.read("r")
        go.set()
        old.close()
    assert store.read("r") == entries
    assert world.calls() == ["a", "a", "b"]
    first.close()
    second.close()


def test_f40_two_owners_act_as_one(url: str, store: Any, world: World) -> None:
    """Two take the same run at once: one has it, and each key is called once."""
    for _ in range(2):
        store.enter(_birth("abc"))
    journals = [opened(url) for _ in range(2)]
    both = [Orchestrator(SAGAS["abc"], journal=one, services=world, poll=0.01) for one in journals]
    threads = [threading.Thread(target=one.recover) for one in both]
    for thread in threads:
        thread.start()
    outcomes = [one.wait("r", timeout=20) for one in both]
    assert {outcome.status for outcome in outcomes} == {Status.COMPLETED}
    for one, journal in zip(both, journals, strict=True):
        one.close()
        journal.close()
    assert world.calls() == ["a", "b", "c"]


def _birth(name: str) -> Any:
    from saga_fsm.ports import Birth
    from saga_fsm.runner.roster import Part

    part = Part.of(SAGAS[name])
    return Birth("r", *part.key, part.digest({"cart": 7}), part.header({"cart": 7}))


def test_f43_started_twice_is_started_once(url: str, store: Any, world: World) -> None:
    """Two processes start the same id at once: one run, and both have its outcome."""
    command = [sys.executable, "-m", "tests.durable", url, "abc", "r", str(world.log)]
    both = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603
        for _ in range(2)
    ]
    assert [one.communicate(timeout=60)[0].strip() for one in both] == ["completed"] * 2
    assert world.calls() == ["a", "b", "c"]


def test_f44_a_crash_after_an_effect_of_an_idempotent_step(
    url: str, store: Any, world: World
) -> None:
    """It is called again with the same key."""
    dies(url, "abc", world, "b:after")
    assert carry(url, "abc", "r", world) == "completed"
    assert world.calls() == ["a", "b", "b", "c"]


def test_f44_a_crash_after_an_effect_of_a_bare_step(url: str, store: Any, world: World) -> None:
    """Neither assumed run nor assumed not run: it is undone, and its undo is given no result."""
    dies(url, "bare", world, "b:after")
    assert carry(url, "bare", "r", world) == "compensated"
    assert world.lines()[2] == {"key": "b/compensation", "result": None}
    assert world.calls() == ["a", "b", "b/compensation", "a/compensation"]


def test_f46_a_timer_after_the_end_changes_nothing(url: str, store: Any, world: World) -> None:
    """A deadline that comes when the run is over is nobody's business."""
    saga = Saga("short", held("a", timeout=1.0), deadline=1.0, contract=GUARDED)
    with Orchestrator(saga, journal=store, services=world, poll=0.02) as one:
        assert one.run(saga, run_id="r").status is Status.COMPLETED
        entries = store.read("r")
        time.sleep(1.2)
        # Taken up again, too: for a word that comes too late.
        assert not one.cancel("r")
        assert store.read("r") == entries
        assert one.show("r").status is Status.COMPLETED


def test_f49_a_cancel_undoes(url: str, store: Any, world: World) -> None:
    """Cancelled after b: both are undone, in reverse, and the run is compensated."""
    with Orchestrator(SAGAS["asked"], journal=store, services=world, poll=0.02) as one:
        one.start("asked", run_id="r")
        until(lambda: one.show("r").waiting)
        assert one.cancel("r", by="ada", note="changed her mind")
        outcome = one.wait("r", timeout=20)
    assert outcome.status is Status.COMPENSATED
    assert outcome.cause is not None
    assert outcome.cause.kind == "cancel"
    assert world.calls() == ["a", "b", "b/compensation", "a/compensation"]


def test_f50_a_changed_definition_takes_no_run_of_the_old_one(
    url: str, store: Any, world: World
) -> None:
    """The new version refuses it with both fingerprints, the old one ends it, side by side too."""
    old = SAGAS["asked"]
    new = Saga(
        "asked",
        held("a"),
        step(asks, name="approve", compensate=undo),
        pivot(act, name="c"),
        contract=GUARDED,
    )
    with Orchestrator(old, journal=store, services=world, poll=0.02) as first:
        first.start("asked", run_id="r")
        until(lambda: first.show("r").waiting)
    with Orchestrator(new, journal=store, services=world, poll=0.02) as second:
        assert second.recover() == 0
        (waits,) = second.stranded()
        assert (waits.run_id, waits.stored) == ("r", store.find("r")[0].fingerprint)
        assert waits.current == _mark(new)
        with pytest.raises(MachineChangedError) as refused:
            second.start("asked", run_id="r")
        stored = store.find("r")[0].fingerprint
        assert stored in str(refused.value)
        assert refused.value.current in str(refused.value)
        assert refused.value.current != stored
    refusals = diff(old, new).refusals
    assert any("b" in str(refusal) for refusal in refusals)
    assert diff(old, new, renamed={"b": "approve"}).ok
    with Orchestrator(new, old, journal=store, services=world, poll=0.02) as both:
        assert both.deliver("r", "b", "yes")
        assert both.wait("r", timeout=20).results["b"] == "yes"
        both.start("asked", run_id="newer")
        until(lambda: both.show("newer").waiting)
        assert both.show("newer").waiting == ("approve",)
        both.cancel("newer")


@pytest.mark.parametrize("end", ["deliver", "cancel"])
def test_f50_a_run_goes_on_under_a_version_that_is_proven_to_fit(
    url: str, store: Any, world: World, end: str
) -> None:
    """A renamed step keeps its key and result, a new one is done, and older ones are not asked."""
    old = SAGAS["asked"]
    new = Saga(
        "asked",
        held("a"),
        step(asks, name="approve", compensate=undo),
        held("extra"),
        pivot(act, name="c"),
        contract=GUARDED,
    )
    newest = Saga("asked", *new.blocks, contract=GUARDED, deadline=600.0)
    proofs = [diff(old, new, renamed={"b": "approve"}), diff(new, newest)]
    with Orchestrator(old, journal=store, services=world, poll=0.02) as first:
        first.start("asked", run_id="r")
        until(lambda: first.show("r").waiting)
    for proof, saga in zip(proofs, (new, newest), strict=True):
        with Orchestrator(saga, journal=store, services=world, poll=0.02, upgrades=[proof]) as then:
            until(lambda saga=saga, then=then: then.show("r").fingerprint == _mark(saga))
            assert then.show("r").waiting == ("approve",)
    with Orchestrator(newest, journal=store, services=world, poll=0.02) as last:
        if end == "cancel":
            assert last.cancel("r")
        else:
            assert last.deliver("r", "approve", "yes")
        outcome = last.wait("r", timeout=20)
    went = ["a", "b"]
    if end == "cancel":
        assert outcome.status is Status.COMPENSATED
        assert world.calls() == [*went, "b/compensation", "a/compensation"]
    else:
        assert outcome.results["approve"] == "yes"
        assert world.calls() == [*went, "extra", "c"]
    late = Orchestrator(old, journal=store, services=world, poll=0.02)
    with late, pytest.raises(MachineChangedError):
        late.cancel("r")


def _mark(saga: Any) -> str:
    return compile_saga(saga).fingerprint


def test_f50_a_run_that_has_passed_what_is_new_waits_for_its_own_version(
    url: str, store: Any, world: World
) -> None:
    """Where it is not proven, the run is left alone, and the old version ends it."""
    old = SAGAS["asked"]
    new = Saga("asked", held("first"), *old.blocks, contract=GUARDED)
    proof = diff(old, new)
    assert not proof.ok
    with Orchestrator(old, journal=store, services=world, poll=0.02) as one:
        one.start("asked", run_id="r")
        until(lambda: one.show("r").waiting)
    entries = store.read("r")
    with Orchestrator(new, journal=store, services=world, poll=0.02, upgrades=[proof]) as two:
        two.recover()
        time.sleep(0.2)
        assert store.read("r") == entries
        assert two.show("r").owner == ""
    with Orchestrator(new, old, journal=store, services=world, poll=0.02) as both:
        assert both.deliver("r", "b", "yes")
        assert both.wait("r", timeout=20).status is Status.COMPLETED


async def _async_run(store: Any, world: World) -> Any:
    async with AsyncOrchestrator(SAGAS["abc"], journal=store, services=world) as one:
        return await one.run("abc", run_id="async")


def test_an_async_orchestrator_on_the_same_store(store: Any, world: World) -> None:
    """The same runs, from a loop."""
    import asyncio

    assert asyncio.run(_async_run(store, world)).status is Status.COMPLETED


def test_a_process_that_dies_while_it_undoes_goes_on_undoing(
    url: str, store: Any, world: World
) -> None:
    """Recovery of a run that has turned back goes on backward."""
    saga = "stuck"
    first = World(world.log, "b/compensation:after", "c")
    command = [sys.executable, "-m", "tests.durable", url, saga, "r", str(world.log)]
    done = subprocess.run(  # noqa: S603 - our own
        [*command, f"{first.die}:{first.when}", "c"], cwd=ROOT, check=False, timeout=60
    )
    assert done.returncode == 9
    # It would be accepted now; but the run has turned back.
    assert carry(url, saga, "r", world) == "compensated"
    assert world.calls() == ["a", "b", "b/compensation", "b/compensation", "a/compensation"]


def test_a_retry_waits_across_processes(url: str, store: Any, world: World) -> None:
    """The back-off of a step counts from when it began, whoever waits for it."""
    from saga_fsm import Transient

    tries: list[float] = []

    def later(ctx) -> str:
        tries.append(time.time())
        if len(tries) == 1:
            raise Transient("not yet")
        return "now"

    patient = Retry(attempts=2, wait_initial=0.6)
    saga = Saga("later", step(later, compensate=undo, retry=patient), contract=GUARDED)
    with Orchestrator(saga, journal=store, services=world, poll=0.02) as first:
        first.start(saga, run_id="r")
        until(lambda: len(store.read("r")) == 2)
    with Orchestrator(saga, journal=store, services=world, poll=0.02) as second:
        assert second.wait("r", timeout=20).status is Status.COMPLETED
    assert 0.6 <= tries[1] - tries[0] < 3.0
