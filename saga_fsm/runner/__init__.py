"""Runs: one sans-IO driver, thin shells around it."""

from saga_fsm.runner.outcome import Cause, Outcome
from saga_fsm.runner.sync import operate, run
from saga_fsm.runner.tasks import arun


__all__ = ["Cause", "Outcome", "arun", "operate", "run"]
