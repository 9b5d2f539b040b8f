"""
Business transactions that span services and end consistent.

A saga is a sequence of local transactions with compensations. Here it is compiled into an explicit
finite state machine, which is what is checked, run and drawn.

>>> from saga_fsm import Saga, compile_saga, pivot, step
>>> def reserve(ctx): ...
>>> def release(ctx, reservation): ...
>>> def ship(ctx): ...
>>> order = Saga("order", step(reserve, compensate=release), pivot(ship))
>>> machine = compile_saga(order)
>>> moves = machine.replay(["start", "done(reserve)", "rejected(ship)", "compensated(reserve)"])
>>> print(moves[-1].state)
compensated(reserve.compensated ship.rejected)
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    from saga_fsm.checker import Report as Report
    from saga_fsm.checker import check as check
    from saga_fsm.compiler import compile_saga as compile_saga
    from saga_fsm.conformance import audit as audit
    from saga_fsm.definition import GUARDED as GUARDED
    from saga_fsm.definition import PENDING as PENDING
    from saga_fsm.definition import SKIP as SKIP
    from saga_fsm.definition import Block as Block
    from saga_fsm.definition import Context as Context
    from saga_fsm.definition import Contract as Contract
    from saga_fsm.definition import Pending as Pending
    from saga_fsm.definition import Policy as Policy
    from saga_fsm.definition import Rejected as Rejected
    from saga_fsm.definition import Retry as Retry
    from saga_fsm.definition import Saga as Saga
    from saga_fsm.definition import Step as Step
    from saga_fsm.definition import Transient as Transient
    from saga_fsm.definition import alternatives as alternatives
    from saga_fsm.definition import choice as choice
    from saga_fsm.definition import each as each
    from saga_fsm.definition import parallel as parallel
    from saga_fsm.definition import pause as pause
    from saga_fsm.definition import pivot as pivot
    from saga_fsm.definition import readonly as readonly
    from saga_fsm.definition import retriable as retriable
    from saga_fsm.definition import step as step
    from saga_fsm.drawing import draw as draw
    from saga_fsm.machine import Machine as Machine
    from saga_fsm.machine import Status as Status
    from saga_fsm.path import Path as Path
    from saga_fsm.runner import AsyncOrchestrator as AsyncOrchestrator
    from saga_fsm.runner import Orchestrator as Orchestrator
    from saga_fsm.runner import Outcome as Outcome
    from saga_fsm.runner import arun as arun
    from saga_fsm.runner import run as run
    from saga_fsm.upgrade import diff as diff

# Where each public name lives: loaded when it is first asked for, so that the import stays light.
_HOMES: Final[dict[str, str]] = {
    **dict.fromkeys(
        [
            "GUARDED",
            "PENDING",
            "SKIP",
            "Block",
            "Context",
            "Contract",
            "Pending",
            "Policy",
            "Rejected",
            "Retry",
            "Saga",
            "Step",
            "Transient",
            "alternatives",
            "choice",
            "each",
            "parallel",
            "pause",
            "pivot",
            "readonly",
            "retriable",
            "step",
        ],
        "saga_fsm.definition",
    ),
    "Machine": "saga_fsm.machine",
    "AsyncOrchestrator": "saga_fsm.runner",
    "Orchestrator": "saga_fsm.runner",
    "Outcome": "saga_fsm.runner",
    "Path": "saga_fsm.path",
    "arun": "saga_fsm.runner",
    "run": "saga_fsm.runner",
    "Status": "saga_fsm.machine",
    "Report": "saga_fsm.checker",
    "check": "saga_fsm.checker",
    "draw": "saga_fsm.drawing",
    "compile_saga": "saga_fsm.compiler",
    "diff": "saga_fsm.upgrade",
    "audit": "saga_fsm.conformance",
}

# Written out: type checkers read it, and `from saga_fsm import *` means the same to them.
__all__ = [
    "GUARDED",
    "PENDING",
    "SKIP",
    "AsyncOrchestrator",
    "Block",
    "Context",
    "Contract",
    "Machine",
    "Orchestrator",
    "Outcome",
    "Path",
    "Pending",
    "Policy",
    "Rejected",
    "Report",
    "Retry",
    "Saga",
    "Status",
    "Step",
    "Transient",
    "alternatives",
    "arun",
    "audit",
    "check",
    "choice",
    "compile_saga",
    "diff",
    "draw",
    "each",
    "parallel",
    "pause",
    "pivot",
    "readonly",
    "retriable",
    "run",
    "step",
]

logging.getLogger("saga_fsm").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        message = f"module 'saga_fsm' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
