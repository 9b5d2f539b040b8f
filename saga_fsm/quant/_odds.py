"""What may come of each call, and how long it takes: the numbers that a forecast is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import attrs

from saga_fsm.definition._refuse import said
from saga_fsm.errors import DefinitionError


# Beside 1 a float does not see less than this.
_LEAST = 1e-15
# So far may the odds of all labels be from 1: what adding decimals costs.
_NOISE = 1e-9


def refused(message: str, remedy: str, *, step: str = "") -> DefinitionError:
    """The error for odds: no line of a definition is to blame."""
    return DefinitionError(message=message, remedy=remedy, step=step)


def _check_odds(name: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:  # type: ignore[operator] # a number, asked just before
        raise refused(f"the odds '{name}' are {said(value)}", "Odds are numbers from 0 to 1.")
    if 0 < value < _LEAST:  # type: ignore[operator] # as above
        remedy = f"Floats cannot tell less than {_LEAST:g} from none: give 0, or more."
        raise refused(f"the odds '{name}' are {value!r}", remedy)


def _check_seconds(name: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf:  # type: ignore[operator] # a number
        raise refused(f"'{name}' is {said(value)}", "Durations are seconds, 0 or more, and end.")


@attrs.frozen(kw_only=True)
class Odds:
    """
    What may come of the calls of one step: odds of each attempt, durations in seconds.

    Each attempt is drawn afresh, whatever came of those before it. What is left of 1 is the odds
    that all goes well.

    Args:
        rejected: an attempt of the action is rejected.
        transient: it fails for now, and nothing landed.
        unknown: no answer, or an error that says nothing.
        landed_when_unknown: of an attempt without an answer, that its effect landed all the same;
            what a ``query=`` finds depends on it, and nothing else does.
        seconds: mean duration of an attempt that is answered.
        unknown_seconds: mean duration of one that is not; None is the step's timeout, or else
            ``seconds``.
        pending: the action answers ``PENDING``, and ``seconds`` is the wait for the answer: it ends
            at once when the scope turns back.
        query_fails: an attempt of the query fails.
        query_seconds: mean duration of an attempt of the query.
        compensation_fails: an attempt of the compensation fails.
        compensation_seconds: mean duration of an attempt of the compensation.

    Raises:
        DefinitionError: odds outside [0, 1] or that add up to more than 1, or a duration that is
            negative or has no end.
    """

    rejected: float = 0.0
    transient: float = 0.0
    unknown: float = 0.0
    landed_when_unknown: float = 0.5
    seconds: float = 0.0
    unknown_seconds: float | None = None
    pending: bool = False
    query_fails: float = 0.0
    query_seconds: float = 0.0
    compensation_fails: float = 0.0
    compensation_seconds: float = 0.0

    def __attrs_post_init__(self) -> None:
        for name in (*FAILURES, "landed_when_unknown", "query_fails", "compensation_fails"):
            _check_odds(name, getattr(self, name))
        for name in ("seconds", "query_seconds", "compensation_seconds"):
            _check_seconds(name, getattr(self, name))
        if self.unknown_seconds is not None:
            _check_seconds("unknown_seconds", self.unknown_seconds)
        total = sum((Fraction(getattr(self, name)) for name in FAILURES), Fraction(0))
        if total > 1 + Fraction(_NOISE):
            raise refused(
                f"the odds rejected, transient and unknown add up to {float(total):g}",
                "They are odds of one attempt: together at most 1.",
            )


FAILURES = ("rejected", "transient", "unknown")


@attrs.frozen
class Split:
    """
    How often a chooser gives each label, or an ``each`` each number of items.

    A plain mapping of labels to odds is as good, where ``fails`` and ``seconds`` are 0.

    Args:
        labels: odds by label, or by number of items; together 1.
        fails: the chooser raises, or gives more items than allowed: odds of each call. The labels
            share what is left.
        seconds: mean duration of a call.

    Raises:
        DefinitionError: odds outside [0, 1], labels that do not add up to 1, or a duration that is
            negative or has no end.
    """

    labels: Mapping[Any, float]
    fails: float = attrs.field(default=0.0, kw_only=True)
    seconds: float = attrs.field(default=0.0, kw_only=True)

    def __attrs_post_init__(self) -> None:
        given: object = self.labels
        if not isinstance(given, Mapping) or not given:
            remedy = 'Give odds by label, as in Split({"yes": 0.3, "otherwise": 0.7}).'
            raise refused(f"the labels of a Split are {said(given)}", remedy)
        for label, odds in self.labels.items():
            _check_odds(str(label), odds)
        _check_odds("fails", self.fails)
        _check_seconds("seconds", self.seconds)
        total = sum(map(Fraction, self.labels.values()), Fraction(0))
        if abs(total - 1) > Fraction(_NOISE):
            remedy = "One label is always chosen: all odds together are 1."
            raise refused(f"the odds of the labels add up to {float(total):g}", remedy)


def shared(parts: Mapping[str, float], rest: str) -> dict[str, float]:
    """
    Odds that add up to 1, each the float nearest to the exact share; ``rest`` takes what is left.

    Sums of decimals are a little more or less than they seem: what is no more than that is no odds.
    """
    exact = {name: Fraction(odds) for name, odds in parts.items()}
    left = 1 - sum(exact.values(), Fraction(0))
    exact[rest] = left if left >= Fraction(_LEAST) else Fraction(0)
    return _normal(exact)


def split(odds: Split) -> dict[str, float]:
    """The odds of each label that comes at all, and of ``chooser_failed``."""
    fails = Fraction(odds.fails)
    total = sum(map(Fraction, odds.labels.values()), Fraction(0))
    exact = {
        str(label): Fraction(each) / total * (1 - fails)
        for label, each in odds.labels.items()
        if each
    }
    return _normal({**exact, "chooser_failed": fails} if fails else exact)


def _normal(exact: Mapping[str, Fraction]) -> dict[str, float]:
    total = sum(exact.values(), Fraction(0))
    return {name: float(odds / total) for name, odds in exact.items()}
