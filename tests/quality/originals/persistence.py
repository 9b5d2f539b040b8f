# ruff: noqa: D101, D102, DTZ003, UP037 - the original's own
"""
A store that is written over, and a recovery that looks into memory.

A museum piece: the faulty original as it stands in the pattern's description, word for word;
only layout and order of imports are ours. Nothing here is to be mended, see `test_originals.py`.
"""

from abc import abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid4

from tests.quality.originals.orchestration import SagaContext


@dataclass
class SagaState:
    saga_id: UUID
    saga_type: str
    status: str
    current_step: str
    step_results: dict
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None = None


class SagaStore(Protocol):
    @abstractmethod
    def save(self, state: SagaState) -> None:
        pass

    @abstractmethod
    def load(self, saga_id: UUID) -> SagaState | None:
        pass

    @abstractmethod
    def update_status(self, saga_id: UUID, status: str, current_step: str) -> None:
        pass

    @abstractmethod
    def get_pending_sagas(self) -> list[SagaState]:
        pass


class PersistentSagaOrchestrator:
    def __init__(self, saga_store: SagaStore):
        self._store = saga_store
        self._active_sagas: dict[UUID, "SagaContext"] = {}

    def start_saga(self, saga_type: str, saga_id: UUID, initial_data: dict) -> None:
        context = SagaContext(
            saga_id=saga_id,
            order_id=initial_data.get("order_id", uuid4()),
            customer_id=initial_data.get("customer_id", uuid4()),
            items=initial_data.get("items", []),
            total=initial_data.get("total", 0),
        )

        self._active_sagas[saga_id] = context

        state = SagaState(
            saga_id=saga_id,
            saga_type=saga_type,
            status="running",
            current_step="",
            step_results={},
            created_at=datetime.utcnow(),
            updated_at=datetime.utcnow(),
        )
        self._store.save(state)

    def recover_sagas(self) -> None:
        pending = self._store.get_pending_sagas()
        for state in pending:
            self._resume_saga(state)

    def _resume_saga(self, state: SagaState) -> None:
        if state.saga_id not in self._active_sagas:
            print(f"Resuming saga {state.saga_id}")

        context = self._active_sagas.get(state.saga_id)
        if context:
            context.step_results = state.step_results

    def record_step_start(self, saga_id: UUID, step_name: str) -> None:
        self._store.update_status(saga_id, "running", step_name)

    def record_step_complete(self, saga_id: UUID, step_name: str, result: dict) -> None:
        if saga_id in self._active_sagas:
            self._active_sagas[saga_id].step_results[step_name] = result
        self._store.save(
            SagaState(
                saga_id=saga_id,
                saga_type="",
                status="running",
                current_step=step_name,
                step_results={},
                created_at=datetime.utcnow(),
                updated_at=datetime.utcnow(),
            )
        )
