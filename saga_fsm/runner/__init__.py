"""Runs: one sans-IO driver, thin shells around it."""

from saga_fsm.runner.async_orchestrator import AsyncOrchestrator
from saga_fsm.runner.orchestrator import Orchestrator
from saga_fsm.runner.outcome import Cause, Outcome
from saga_fsm.runner.sync import operate, run
from saga_fsm.runner.tasks import arun


__all__ = ["AsyncOrchestrator", "Cause", "Orchestrator", "Outcome", "arun", "operate", "run"]
