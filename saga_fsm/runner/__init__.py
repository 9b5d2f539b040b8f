"""Runs: one sans-IO driver, thin shells around it."""

from saga_fsm.runner.outcome import Cause, Outcome
from saga_fsm.runner.sync import run


__all__ = ["Cause", "Outcome", "run"]
