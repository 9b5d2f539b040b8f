# ruff: noqa: BLE001, D101, D102, PLW0108, TRY300 - the original's own
"""
A conductor that compensates what it completed: never anything.

A museum piece: the faulty original as it stands in the pattern's description, word for word;
only layout and order of imports are ours. Nothing here is to be mended, see `test_originals.py`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from uuid import UUID, uuid4


@dataclass
class SagaContext:
    saga_id: UUID
    order_id: UUID
    customer_id: UUID
    items: list[dict]
    total: float
    step_results: dict[str, dict] = field(default_factory=dict)
    current_step: str = ""
    is_completed: bool = False
    is_compensating: bool = False


class SagaStep(ABC):
    @property
    @abstractmethod
    def name(self) -> str:
        pass

    @abstractmethod
    def execute(self, context: SagaContext) -> dict:
        pass

    @abstractmethod
    def compensate(self, context: SagaContext, step_result: dict) -> None:
        pass


class CreateOrderStep(SagaStep):
    @property
    def name(self) -> str:
        return "create_order"

    def execute(self, context: SagaContext) -> dict:
        return {"order_id": str(context.order_id), "status": "created"}

    def compensate(self, context: SagaContext, step_result: dict) -> None:
        print(f"Compensating: Order {step_result['order_id']} cancelled")


class ProcessPaymentStep(SagaStep):
    @property
    def name(self) -> str:
        return "process_payment"

    def execute(self, context: SagaContext) -> dict:
        return {"payment_id": str(uuid4()), "amount": context.total}

    def compensate(self, context: SagaContext, step_result: dict) -> None:
        print(f"Compensating: Refunding payment {step_result['payment_id']}")


class ReserveInventoryStep(SagaStep):
    @property
    def name(self) -> str:
        return "reserve_inventory"

    def execute(self, context: SagaContext) -> dict:
        return {"reservation_id": str(uuid4()), "items": context.items}

    def compensate(self, context: SagaContext, step_result: dict) -> None:
        print(f"Compensating: Releasing inventory {step_result['reservation_id']}")


class ShipOrderStep(SagaStep):
    @property
    def name(self) -> str:
        return "ship_order"

    def execute(self, context: SagaContext) -> dict:
        return {"tracking_number": f"TRK-{uuid4().hex[:8].upper()}"}

    def compensate(self, context: SagaContext, step_result: dict) -> None:
        print(f"Compensating: Canceling shipment {step_result['tracking_number']}")


class OrderProcessingSaga:
    def __init__(self):
        self._steps: list[SagaStep] = [
            CreateOrderStep(),
            ProcessPaymentStep(),
            ReserveInventoryStep(),
            ShipOrderStep(),
        ]

    def execute(self, context: SagaContext) -> bool:
        try:
            for step in self._steps:
                context.current_step = step.name
                result = step.execute(context)
                context.step_results[step.name] = result

            context.is_completed = True
            return True

        except Exception as e:
            print(f"Saga failed at step {context.current_step}: {e}")
            self._compensate(context)
            return False

    def _compensate(self, context: SagaContext) -> None:
        context.is_compensating = True
        completed_steps = [name for name in self._steps if name in context.step_results]

        for step_name in reversed(completed_steps):
            step = next(s for s in self._steps if s.name == step_name)
            result = context.step_results[step_name]
            try:
                step.compensate(context, result)
            except Exception as e:
                print(f"Compensation failed for {step_name}: {e}")


class SagaOrchestrator:
    def __init__(self):
        self._saga_store: dict[UUID, SagaContext] = {}
        self._saga_factories: dict[str, callable] = {"order": lambda: OrderProcessingSaga()}

    def start_saga(
        self, saga_type: str, order_id: UUID, customer_id: UUID, items: list[dict], total: float
    ) -> UUID:
        saga_id = uuid4()
        context = SagaContext(
            saga_id=saga_id, order_id=order_id, customer_id=customer_id, items=items, total=total
        )
        self._saga_store[saga_id] = context

        saga_factory = self._saga_factories.get(saga_type)
        if not saga_factory:
            raise ValueError(f"Unknown saga type: {saga_type}")

        saga = saga_factory()
        success = saga.execute(context)

        if success:
            print(f"Saga {saga_id} completed successfully")
        else:
            print(f"Saga {saga_id} failed and compensated")

        return saga_id
