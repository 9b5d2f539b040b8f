"""Futures that one thread keeps for another, who may have stopped waiting."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, TypeVar


R = TypeVar("R")


def keep(future: Future[R] | None, value: R) -> None:
    """Give what was waited for, if anybody still waits."""
    if future is not None and not future.done() and future.set_running_or_notify_cancel():
        future.set_result(value)


def fail(future: Future[Any] | None, error: BaseException) -> None:
    """Say why it does not come, if anybody still waits."""
    if future is not None and not future.done() and future.set_running_or_notify_cancel():
        future.set_exception(error)
