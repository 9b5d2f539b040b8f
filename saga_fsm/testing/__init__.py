"""
Failure tests for users' own sagas; nothing here is for production.

``explore_faults`` attacks a saga at every transition of its machine, ``saga_faults`` makes a test
function of that, ``replay`` runs one fault plan again, ``state_machine_test`` makes a Hypothesis
test of it, ``fault_plans`` is a Hypothesis strategy, and ``VirtualClock`` lets time pass without
waiting. Hypothesis is the extra ``testing``; it is loaded by the two that need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from saga_fsm.errors import MissingExtraError
from saga_fsm.testing.clock import VirtualClock
from saga_fsm.testing.decorator import saga_faults
from saga_fsm.testing.effects import EffectLog
from saga_fsm.testing.explore import explore_faults, replay
from saga_fsm.testing.plan import Fault, FaultPlan, Injection
from saga_fsm.testing.results import Exploration, Failure, Replay
from saga_fsm.testing.schedule import plan_of


if TYPE_CHECKING:
    from saga_fsm.testing.stateful import state_machine_test
    from saga_fsm.testing.strategies import fault_plans

__all__ = [
    "EffectLog",
    "Exploration",
    "Failure",
    "Fault",
    "FaultPlan",
    "Injection",
    "Replay",
    "VirtualClock",
    "explore_faults",
    "fault_plans",
    "plan_of",
    "replay",
    "saga_faults",
    "state_machine_test",
]

_NEEDS_HYPOTHESIS: Final = {"fault_plans": "strategies", "state_machine_test": "stateful"}


def __getattr__(name: str) -> Any:
    home = _NEEDS_HYPOTHESIS.get(name)
    if home is None:
        message = f"module 'saga_fsm.testing' has no attribute {name!r}"
        raise AttributeError(message)
    import importlib

    try:
        module = importlib.import_module(f"saga_fsm.testing.{home}")
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise MissingExtraError(what="hypothesis", extra="testing") from error
    return getattr(module, name)
