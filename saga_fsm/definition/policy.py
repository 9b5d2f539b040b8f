"""How patiently a step is attempted: pure functions of the attempt number."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import attrs

from saga_fsm.definition._refuse import check_errors, check_type, refused


__all__ = ["Errors", "Policy", "Retry"]

#: An exception type, a tuple of them, or a predicate on the exception.
#: What is no ``Exception`` is an interrupt, and never asked about.
Errors: TypeAlias = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]

RETRY = "Retry(attempts=3), or Retry.forever()"  # what a message says to give
POLICY = "Policy(retry=..., timeout=...)"
# 2 ** 1024 does not fit a float; long before that every wait is wait_max.
_LAST_DOUBLING = 1000


@attrs.frozen(kw_only=True)
class Retry:
    """
    How often, and how patiently, an action is attempted again.

    All durations are seconds. The wait before attempt n (n >= 2) is
    ``min(wait_max, wait_initial * 2 ** (n - 2))``, plus uniform jitter in ``[0, jitter]``. The
    checker ignores waiting and explores only whether attempts may end.

    Args:
        attempts: total attempts, the first included; None means without limit.
        wait_initial: seconds before the second attempt.
        wait_max: the longest wait, jitter left out.
        jitter: at most so many seconds more, by chance.

    Raises:
        DefinitionError: attempts is below 1, or a duration is negative or no number.

    >>> [Retry(attempts=4, wait_initial=0.5).wait(n) for n in (2, 3, 4, 5)]
    [0.5, 1.0, 2.0, None]

    """

    attempts: int | None = 1
    wait_initial: float = 0.0
    wait_max: float = math.inf
    jitter: float = 0.0

    def __attrs_post_init__(self) -> None:
        number = isinstance(self.attempts, int) and not isinstance(self.attempts, bool)
        if self.attempts is not None and (not number or self.attempts < 1):
            raise refused(
                f"a Retry has {self.attempts!r} attempts",
                "The first attempt counts: give 1 or more, or None for no limit.",
            )
        for name in ("wait_initial", "wait_max", "jitter"):
            seconds(f"Retry.{name}", getattr(self, name), infinite=name == "wait_max")

    @classmethod
    def forever(
        cls, *, wait_initial: float = 1.0, wait_max: float = 60.0, jitter: float = 0.0
    ) -> Retry:
        """Attempt without limit."""
        return cls(attempts=None, wait_initial=wait_initial, wait_max=wait_max, jitter=jitter)

    @property
    def bound(self) -> str:
        """``"none"`` (one attempt), ``"bounded"`` or ``"forever"``: all that a machine sees."""
        if self.attempts is None:
            return "forever"
        return "none" if self.attempts == 1 else "bounded"

    def wait(self, attempt: int, luck: float = 0.0) -> float | None:
        """
        Seconds to wait before this attempt; None when there is none left.

        Args:
            attempt: the number of the attempt to come, 2 or more.
            luck: in [0, 1), scales the jitter.

        """
        if self.attempts is not None and attempt > self.attempts:
            return None
        doubled = self.wait_initial * 2.0 ** min(attempt - 2, _LAST_DOUBLING)
        return min(self.wait_max, doubled) + luck * self.jitter


@attrs.frozen(kw_only=True)
class Policy:
    """
    Options that several steps share; None leaves the matter to the saga's policy.

    Args:
        retry: for actions.
        compensation_retry: for compensations.
        timeout: seconds for one attempt of an action.
        compensation_timeout: seconds for one attempt of a compensation.
        rejects: exceptions that mean: surely nothing landed, and asking again will not help.
        transient: exceptions that mean: this attempt did not land, another may.

    """

    retry: Retry | None = None
    compensation_retry: Retry | None = None
    timeout: float | None = None
    compensation_timeout: float | None = None
    rejects: Errors | None = None
    transient: Errors | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("retry", "compensation_retry"):
            check_type(f"Policy.{name}", getattr(self, name), Retry, RETRY)
        for name in ("rejects", "transient"):
            check_errors(f"Policy.{name}", getattr(self, name))
        seconds("Policy.timeout", self.timeout)
        seconds("Policy.compensation_timeout", self.compensation_timeout)


def seconds(name: str, value: object, *, infinite: bool = False) -> None:
    """Refuse what is no duration: negative, NaN, or without end where an end is needed."""
    if value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise refused(f"{name} is {value!r}", "Durations are seconds, as a number.")
    if math.isnan(value) or value < 0 or (math.isinf(value) and not infinite):
        raise refused(f"{name} is {value}", "Durations are seconds, 0 or more; None for none.")
