"""What the user says: plain frozen values; nothing registers itself."""

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
    "parallel",
    "pause",
    "pivot",
    "readonly",
    "retriable",
    "step",
]
