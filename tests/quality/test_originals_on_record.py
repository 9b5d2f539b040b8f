"""The faulty originals 8 and 10: what is written down, and when; and who reads it again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from itertools import combinations
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from saga_fsm import Saga, Status, run, step
from saga_fsm.errors import ConcurrentAppendError
from saga_fsm.examples import order_recovered
from saga_fsm.examples._world import Guard
from saga_fsm.journals.memory import MemoryJournal
from saga_fsm.ports import Entry
from tests.acceptance.effects import Effects, FastClock, act, saga, undo
from tests.quality.originals import persistence


class Ticking(datetime):
    """A clock of which each look is a minute later."""

    looks = 0

    @classmethod
    def utcnow(cls) -> datetime:
        """The time, a minute later."""
        cls.looks += 1
        return datetime(2026, 1, 1) + timedelta(minutes=cls.looks)  # noqa: DTZ001 - as theirs


class Store:
    """What the original asks of its store, and every state that was saved there."""

    def __init__(self) -> None:
        self.kept: dict[UUID, persistence.SagaState] = {}
        self.saved: list[persistence.SagaState] = []

    def save(self, state: persistence.SagaState) -> None:
        """Write it over what is there."""
        self.kept[state.saga_id] = state
        self.saved.append(state)

    def load(self, saga_id: UUID) -> persistence.SagaState | None:
        """Read it."""
        return self.kept.get(saga_id)

    def update_status(self, saga_id: UUID, status: str, current_step: str) -> None:
        """Write two fields."""
        self.kept[saga_id].status, self.kept[saga_id].current_step = status, current_step

    def get_pending_sagas(self) -> list[persistence.SagaState]:
        """All that run."""
        return [state for state in self.kept.values() if state.status == "running"]


WRITES = ["start", "A is started", "A is done", "B is started", "B is done"]


def written(length: int) -> tuple[Store, dict[str, dict[str, str]]]:
    """Let the original write so much of a run of A and B; give the results it has to remember."""
    store, saga_id, results = Store(), uuid4(), {}
    owner = persistence.PersistentSagaOrchestrator(store)
    owner.start_saga("order", saga_id, {})
    for name, _, done in (what.partition(" is ") for what in WRITES[1:length]):
        if done == "done":
            results[name] = {"of": name}
            owner.record_step_complete(saga_id, name, results[name])
        else:
            owner.record_step_start(saga_id, name)
    return store, results


def test_original_08_destroys_what_a_recovery_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first step that is done: no type, no results, another time of creation."""
    monkeypatch.setattr(persistence, "datetime", Ticking)
    refuting = []
    for length in range(1, len(WRITES) + 1):
        store, results = written(length)
        first, last = store.saved[0], store.saved[-1]
        needed = ("order", results, first.created_at)
        if (last.saga_type, last.step_results, last.created_at) != needed:
            refuting.append((WRITES[:length], last))
            assert (last.saga_type, last.step_results) == ("", {})
            assert last.created_at > first.created_at
    assert [run for run, _ in refuting] == [WRITES[:3], WRITES[:4], WRITES[:5]]


def test_original_08_recovers_nothing() -> None:
    """Wherever its process dies, the next one looks into its own empty memory."""
    for length in range(1, len(WRITES) + 1):
        store, _ = written(length)
        following = persistence.PersistentSagaOrchestrator(store)
        following.recover_sagas()
        assert len(store.get_pending_sagas()) == 1
        assert following._active_sagas == {}


def interleavings() -> Iterator[list[tuple[int, str]]]:
    """Every order in which two owners write "A is done", "B is done" of one run."""
    for places in combinations(range(4), 2):
        owners = [1 if place in places else 2 for place in range(4)]
        yield [(owner, "AB"[owners[:n].count(owner)]) for n, owner in enumerate(owners)]


def test_original_08_lets_an_owner_that_is_late_write_over_the_other() -> None:
    """No version is named on saving, so the run goes back from B to A; ours refuses the loser."""
    back = []
    for order in interleavings():
        store, saga_id = Store(), uuid4()
        owners = {one: persistence.PersistentSagaOrchestrator(store) for one in (1, 2)}
        owners[1].start_saga("order", saga_id, {})
        for count, (owner, name) in enumerate(order, 1):
            owners[owner].record_step_complete(saga_id, name, {})
            if [state.current_step for state in store.saved[-2:]] == ["B", "A"]:
                back.append(order[:count])
    assert min(back, key=len) == [(1, "A"), (1, "B"), (2, "A")]
    for order in interleavings():
        journal, known, lost = MemoryJournal(), {1: 0, 2: 0}, set[int]()
        for owner, name in order:
            if owner not in lost:
                try:
                    entries = [Entry(f"done({name})", 0.0)]
                    known[owner] = journal.append("r", entries, expected=known[owner])
                except ConcurrentAppendError:
                    lost.add(owner)
        assert [entry.event for entry in journal.read("r")] == ["done(A)", "done(B)"]
        assert len(lost) == 1


@pytest.mark.parametrize("refused", [(), ("ship",)])
def test_original_08_beside_ours(refused: tuple[str, ...]) -> None:
    """Wherever our process dies the next one ends the run, with its results and its start."""
    for dies_at in range(1, 7 if refused else 6):
        shop = order_recovered.World(dies_at=dies_at, guard=Guard(refusing=refused))
        journal = order_recovered.MortalJournal(shop)
        taken_up = 0
        while True:
            shop.dead = False
            try:
                outcome = run(
                    order_recovered.saga,
                    order_recovered.INPUT,
                    services=shop,
                    journal=journal,
                    run_id="order-1",
                    clock=FastClock(),
                )
                break
            except order_recovered.ProcessDied:
                header = journal.read("order-1")[0]
                taken_up += 1
        assert taken_up == 1
        assert journal.read("order-1")[0] == header
        assert header.data["saga"] == "order_recovered"
        assert outcome.status is (Status.COMPENSATED if refused else Status.COMPLETED)
        assert order_recovered.consistent(shop, outcome)


def test_original_10_looks_at_the_clock_once_at_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every event of a process has the time at which its module was read; ours has its own."""
    Ticking.looks = 0
    file = Path(__file__).parent / "originals" / "choreography.py"
    spec = spec_from_file_location("read_now", file)
    assert spec is not None
    assert spec.loader is not None
    module: Any = module_from_spec(spec)
    with monkeypatch.context() as patched:
        patched.setattr("datetime.datetime", Ticking)
        spec.loader.exec_module(module)
    assert Ticking.looks == 5, "once for each of the five classes of events"
    first, second = (module.OrderCreated(uuid4(), uuid4(), [], 1.0) for _ in range(2))
    assert Ticking.looks == 5
    assert first.timestamp is second.timestamp
    assert first.timestamp < module.PaymentProcessed(uuid4(), uuid4(), 1.0).timestamp
    clock, journal, effects = FastClock(), MemoryJournal(), Effects()

    def minute(ctx: Any) -> str:
        clock.time += 60.0
        return act(ctx)

    story: Saga[Any, Any] = saga(*(step(minute, name=x, compensate=undo) for x in "AB"))
    run(story, services=effects, clock=clock, journal=journal, run_id="r1")
    moments = [(entry.event, entry.at) for entry in journal.read("r1")]
    assert moments == [("start", 0.0), ("done(A)", 60.0), ("done(B)", 120.0)]
