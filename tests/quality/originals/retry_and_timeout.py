# ruff: noqa: D101, D102, F821, FBT003, UP037 - the original's own
"""
Retries that end as a result object, and a timer that forgets.

A museum piece: the faulty original as it stands in the pattern's description, word for word;
only layout and order of imports are ours. Nothing here is to be mended, see `test_originals.py`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from uuid import UUID


@dataclass
class SagaStepResult:
    step_name: str
    success: bool
    result: dict | None = None
    error: str | None = None
    retry_count: int = 0


class RetryableStep(ABC):
    @property
    @abstractmethod
    def name(self) -> str:
        pass

    @property
    @abstractmethod
    def max_retries(self) -> int:
        pass

    @property
    @abstractmethod
    def retry_delay_seconds(self) -> int:
        pass

    @abstractmethod
    def execute_with_retry(self, context: "SagaContext") -> SagaStepResult:
        pass


class ResilientSagaOrchestrator:
    def __init__(self):
        self._active_sagas: dict[UUID, "SagaContext"] = {}
        self._timeout_minutes: int = 30

    def execute_step(self, context: "SagaContext", step: RetryableStep) -> SagaStepResult:
        result = SagaStepResult(step.name, False)

        for attempt in range(step.max_retries + 1):
            try:
                result = SagaStepResult(
                    step_name=step.name,
                    success=True,
                    result=step.execute_with_retry(context),
                    retry_count=attempt,
                )
                break

            except TransientError as e:
                result.error = str(e)
                result.retry_count = attempt
                if attempt < step.max_retries:
                    import time

                    time.sleep(step.retry_delay_seconds)

        return result

    def start_with_timeout(self, context: "SagaContext") -> None:
        self._active_sagas[context.saga_id] = context
        import threading

        timer = threading.Timer(
            self._timeout_minutes * 60, self._handle_timeout, args=[context.saga_id]
        )
        timer.start()

    def _handle_timeout(self, saga_id: UUID) -> None:
        if saga_id in self._active_sagas:
            context = self._active_sagas[saga_id]
            print(f"Saga {saga_id} timed out, initiating compensation")
            self._compensate_all(context)
            del self._active_sagas[saga_id]

    def _compensate_all(self, context: "SagaContext") -> None:
        pass


class TransientError(Exception):
    pass
