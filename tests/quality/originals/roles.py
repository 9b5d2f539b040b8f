"""The choreographed original on a bus that delivers in every order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

from tests.quality.originals import choreography


__all__ = ["InventoryService", "PaymentService", "Shop", "schedules"]

InventoryService = choreography.InventoryService
PaymentService = choreography.PaymentService


class DeclinedError(Exception):
    """The bank says no. The original has neither a word nor an event for it."""


class Payments(PaymentService):
    """The original, in front of a bank that may decline."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop)
        self._shop = shop

    def handle_order_created(self, event: choreography.OrderCreated) -> None:
        """Take the money, unless the bank says no."""
        if self._shop.declines:
            raise DeclinedError
        super().handle_order_created(event)

    def refund(self, order_id: Any) -> None:
        """Note that somebody asked."""
        self._shop.undone.append("refund")
        super().refund(order_id)


class Stock(InventoryService):
    """The original, which notes that somebody asked."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop)
        self._shop = shop

    def release(self, order_id: Any) -> None:
        """Note that somebody asked."""
        self._shop.undone.append("release")
        super().release(order_id)


class Shop:
    """
    The four roles of the original and their bus, which keeps what is not delivered yet.

    Args:
        declines: whether the bank says no.
        basket: what is ordered.
    """

    def __init__(
        self, *, declines: bool = False, basket: list[dict[str, Any]] | None = None
    ) -> None:
        self.declines = declines
        self.basket = basket or [{"product_id": "P001", "quantity": 1, "price": 1}]
        self.log: list[str] = []
        self.undone: list[str] = []
        self.pending: list[tuple[str, Callable[[Any], None], object]] = []
        self._speaks = "orders"
        self.orders = choreography.OrderService(self)
        self.payments = Payments(self)
        self.stock = Stock(self)
        self.carrier = choreography.ShippingService(self)

    @property
    def paid(self) -> int:
        """How many payments there are."""
        return len(self.payments._payments)

    @property
    def shipped(self) -> int:
        """How many shipments have left."""
        return len(self.carrier._shipments)

    @property
    def reserved(self) -> list[dict[str, Any]]:
        """Which lines were reserved."""
        return [line for one in self.stock._reservations.values() for line in one["items"]]

    def ordered(self) -> choreography.OrderCreated:
        """One more order event."""
        return choreography.OrderCreated(uuid4(), uuid4(), self.basket, 1.0)

    def publish(self, event: object) -> None:
        """Keep the event for whoever reacts to it, as the original's handlers are named."""
        self.log.append(f"{self._speaks}: {type(event).__name__}")
        if isinstance(event, choreography.OrderCreated):
            self.pending.append(("payments", self.payments.handle_order_created, event))
            self.pending.append(("stock", self.stock.handle_order_created, event))
        elif isinstance(event, choreography.InventoryReserved):
            self.pending.append(("carrier", self.carrier.handle_inventory_reserved, event))

    def deliver(self, number: int) -> None:
        """Deliver one of the events that are under way."""
        self._speaks, handle, event = self.pending.pop(number)
        try:
            handle(event)
        except DeclinedError:
            self.log.append(f"{self._speaks}: declined")


def schedules(shop: Callable[[], Shop]) -> Iterator[Shop]:
    """The end of every order of deliveries; a run is made anew for each, as handlers act."""
    todo: list[tuple[int, ...]] = [()]
    while todo:
        chosen = todo.pop(0)
        here = shop()
        here.orders.create_order(uuid4(), here.basket)
        for number in chosen:
            here.deliver(number)
        if not here.pending:
            yield here
        todo.extend((*chosen, number) for number in range(len(here.pending)))
