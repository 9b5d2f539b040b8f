# ruff: noqa: D101, D102, DTZ003, RUF009 - the original's own
"""
Roles that react to events, with no event for any failure.

A museum piece: the faulty original as it stands in the pattern's description, word for word;
only layout and order of imports are ours. Nothing here is to be mended, see `test_originals.py`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid4


@dataclass
class OrderCreated:
    order_id: UUID
    customer_id: UUID
    items: list[dict]
    total: float
    timestamp: datetime = datetime.utcnow()


@dataclass
class PaymentProcessed:
    order_id: UUID
    payment_id: UUID
    amount: float
    timestamp: datetime = datetime.utcnow()


@dataclass
class InventoryReserved:
    order_id: UUID
    reservation_id: UUID
    items: list[dict]
    timestamp: datetime = datetime.utcnow()


@dataclass
class OrderShipped:
    order_id: UUID
    tracking_number: str
    carrier: str
    timestamp: datetime = datetime.utcnow()


@dataclass
class OrderCancelled:
    order_id: UUID
    reason: str
    timestamp: datetime = datetime.utcnow()


class EventBus(Protocol):
    def publish(self, event: object) -> None:
        pass


class OrderService:
    def __init__(self, event_bus: EventBus):
        self._event_bus = event_bus
        self._orders: dict[UUID, dict] = {}

    def create_order(self, customer_id: UUID, items: list[dict]) -> OrderCreated:
        order_id = uuid4()
        total = sum(item["price"] * item["quantity"] for item in items)

        order = {
            "order_id": order_id,
            "customer_id": customer_id,
            "items": items,
            "total": total,
            "status": "created",
        }
        self._orders[order_id] = order

        event = OrderCreated(order_id=order_id, customer_id=customer_id, items=items, total=total)
        self._event_bus.publish(event)
        return event


class PaymentService:
    def __init__(self, event_bus: EventBus):
        self._event_bus = event_bus
        self._payments: dict[UUID, dict] = {}

    def handle_order_created(self, event: OrderCreated) -> None:
        payment_id = uuid4()
        payment = {
            "payment_id": payment_id,
            "order_id": event.order_id,
            "amount": event.total,
            "status": "processing",
        }
        self._payments[payment_id] = payment

        payment_event = PaymentProcessed(
            order_id=event.order_id, payment_id=payment_id, amount=event.total
        )
        self._event_bus.publish(payment_event)

    def refund(self, order_id: UUID) -> None:
        for payment in self._payments.values():
            if payment["order_id"] == order_id:
                payment["status"] = "refunded"


class InventoryService:
    def __init__(self, event_bus: EventBus):
        self._event_bus = event_bus
        self._reservations: dict[UUID, dict] = {}
        self._inventory: dict[str, int] = {"P001": 100, "P002": 50}

    def handle_order_created(self, event: OrderCreated) -> None:
        reservation_id = uuid4()
        reserved_items = []

        for item in event.items:
            product_id = item["product_id"]
            if self._inventory.get(product_id, 0) >= item["quantity"]:
                self._inventory[product_id] -= item["quantity"]
                reserved_items.append(item)

        reservation = {
            "reservation_id": reservation_id,
            "order_id": event.order_id,
            "items": reserved_items,
            "status": "reserved",
        }
        self._reservations[reservation_id] = reservation

        self._event_bus.publish(
            InventoryReserved(
                order_id=event.order_id, reservation_id=reservation_id, items=reserved_items
            )
        )

    def release(self, order_id: UUID) -> None:
        for reservation in self._reservations.values():
            if reservation["order_id"] == order_id:
                for item in reservation["items"]:
                    self._inventory[item["product_id"]] += item["quantity"]
                reservation["status"] = "released"


class ShippingService:
    def __init__(self, event_bus: EventBus):
        self._event_bus = event_bus
        self._shipments: dict[UUID, dict] = {}

    def handle_inventory_reserved(self, event: InventoryReserved) -> None:
        shipment_id = uuid4()
        tracking = f"TRK-{uuid4().hex[:8].upper()}"

        shipment = {
            "shipment_id": shipment_id,
            "order_id": event.order_id,
            "tracking_number": tracking,
            "status": "shipped",
        }
        self._shipments[shipment_id] = shipment

        self._event_bus.publish(
            OrderShipped(order_id=event.order_id, tracking_number=tracking, carrier="FEDEX")
        )
