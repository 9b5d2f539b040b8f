"""
The language of sagas: plain, frozen values; nothing here runs, registers itself or does I/O.

``Saga`` and the words that make its blocks; a wrong structure raises ``DefinitionError`` at once.
"""

from __future__ import annotations

from saga_fsm.definition.blocks import (
    Alternatives,
    Block,
    Choice,
    Each,
    Given,
    Parallel,
    alternatives,
    choice,
    each,
    parallel,
)
from saga_fsm.definition.context import Context
from saga_fsm.definition.contract import GUARDED, Contract
from saga_fsm.definition.kinds import Kind
from saga_fsm.definition.outcomes import PENDING, SKIP, Pending, Rejected, Skip, Transient
from saga_fsm.definition.policy import Policy, Retry
from saga_fsm.definition.saga import Saga
from saga_fsm.definition.steps import Step, pause, pivot, readonly, retriable, step
from saga_fsm.definition.structure import holds_no_return, holds_pivot


__all__ = [
    "GUARDED",
    "PENDING",
    "SKIP",
    "Alternatives",
    "Block",
    "Choice",
    "Context",
    "Contract",
    "Each",
    "Given",
    "Kind",
    "Parallel",
    "Pending",
    "Policy",
    "Rejected",
    "Retry",
    "Saga",
    "Skip",
    "Step",
    "Transient",
    "alternatives",
    "choice",
    "each",
    "holds_no_return",
    "holds_pivot",
    "parallel",
    "pause",
    "pivot",
    "readonly",
    "retriable",
    "step",
]
