# ruff: noqa: D101, D102, TRY300 - the original's own
"""
A trip whose compensation walks through lists that are always empty.

A museum piece: the faulty original as it stands in the pattern's description, word for word;
only layout and order of imports are ours. Nothing here is to be mended, see `test_originals.py`.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass
class BookingRequest:
    hotel_id: str
    flight_id: str
    customer_id: str
    start_date: str
    end_date: str


@dataclass
class HotelBooking:
    confirmation_number: str


@dataclass
class FlightBooking:
    reservation_code: str


class HotelService(Protocol):
    def book(self, request: BookingRequest) -> HotelBooking:
        pass

    def cancel(self, confirmation_number: str) -> None:
        pass


class FlightService(Protocol):
    def book(self, request: BookingRequest) -> FlightBooking:
        pass

    def cancel(self, reservation_code: str) -> None:
        pass


class TripBookingSaga:
    def __init__(self, hotel_service: HotelService, flight_service: FlightService):
        self._hotel = hotel_service
        self._flight = flight_service
        self._completed_steps: list[str] = []

    def execute(self, request: BookingRequest) -> dict:
        try:
            hotel_booking = self._hotel.book(request)
            self._completed_steps.append("hotel")

            flight_booking = self._flight.book(request)
            self._completed_steps.append("flight")

            return {
                "status": "success",
                "hotel_confirmation": hotel_booking.confirmation_number,
                "flight_reservation": flight_booking.reservation_code,
            }

        except Exception as e:
            print(f"Trip booking failed: {e}")
            self._compensate()
            raise

    def _compensate(self) -> None:
        for step in reversed(self._completed_steps):
            if step == "flight":
                for booking in self._flight_bookings:
                    self._flight.cancel(booking.reservation_code)
            elif step == "hotel":
                for booking in self._hotel_bookings:
                    self._hotel.cancel(booking.confirmation_number)
        self._completed_steps.clear()

    @property
    def _flight_bookings(self) -> list[FlightBooking]:
        return []

    @property
    def _hotel_bookings(self) -> list[HotelBooking]:
        return []
