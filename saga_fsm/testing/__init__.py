"""What tests of sagas need; nothing here is for production."""

from saga_fsm.testing.clock import VirtualClock


__all__ = ["VirtualClock"]
