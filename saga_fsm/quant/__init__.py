"""
How runs of a saga will end, how often they call and how long they take: figures, not verdicts.

``forecast`` takes the odds of what each call may answer and gives the probability of each outcome,
the mean number of attempts and compensations of each step, mean times, and what each step
contributes to failure. It adds odds to the machine and nothing else: every move is one of
``Machine.step``, and attempts, exhaustion and waits are the driver's (machine.md 5). What is
computed is a Markov chain; where several calls are open at once, and nobody knows which ends next,
a Markov decision process, and each figure is then given for the scheduler that makes it least and
for the one that makes it most.

>>> from saga_fsm import GUARDED, Retry, Saga, Status, pivot, step
>>> from saga_fsm.quant import Odds, forecast
>>> def charge(ctx): ...
>>> def refund(ctx, payment): ...
>>> def ship(ctx): ...
>>> order = Saga(
...     "order",
...     step(charge, compensate=refund, retry=Retry(attempts=2)),
...     pivot(ship, retry=Retry(attempts=1)),
...     contract=GUARDED,
... )
>>> seen = {"charge": Odds(transient=0.1, seconds=0.3), ship: Odds(rejected=0.05, seconds=2.0)}
>>> expected = forecast(order, seen)
>>> print(expected)
order: completes with probability 0.9405, stuck 0, in 2.31 s on average
  8 states, 8 moves between them
  left out: cancels, deadlines, crashes, answers that come late, and operators: a run that is stuck
            stays so
<BLANKLINE>
  outcome             probability     runs
  completed                0.9405
  compensated              0.0595  1 in 17
  stuck                         0
  from start to rest       2.31 s
<BLANKLINE>
  step    attempts  undone  if never: completed  stuck  seconds
  ship        0.99                      +0.0495      0        0
  charge       1.1  0.0595              +0.0095      0    -0.01
  if never: what would change if no call of that step ever failed; seconds are those of all calls
            and waits

Each figure lies between two bounds that are proven, rounding included:

>>> completed = expected.probability[Status.COMPLETED]
>>> 0.9405 in completed, completed.upper - completed.lower < 1e-12
(True, True)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saga_fsm.definition import Saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.quant._chain import ChainLimitError, chain_of
from saga_fsm.quant._figures import forecast_of
from saga_fsm.quant._file import even, read_odds, template
from saga_fsm.quant._forecast import Contribution, Figure, Forecast, Interval
from saga_fsm.quant._legs import legs_of
from saga_fsm.quant._odds import Odds, Split


__all__ = [
    "ChainLimitError",
    "Contribution",
    "Figure",
    "Forecast",
    "Interval",
    "Odds",
    "Split",
    "even",
    "forecast",
    "read_odds",
    "template",
]


def forecast(
    saga: Saga[Any, Any, Any],
    odds: Mapping[Any, Odds | Split | Mapping[Any, float]] | None = None,
    *,
    default: Odds | None = None,
    limit: int = 1_000_000,
) -> Forecast:
    """
    Forecast the runs of a saga under given odds.

    Each attempt is drawn afresh, by the odds of its step; waits are those of the retry policies,
    jitter by its mean; an attempt that the policy does not allow is not made. A stuck run stays so.
    Left out are deadlines and cancels, crashes and takeovers, operators, answers that come after
    they were taken as lost, and ``Transient(after=...)``.

    Cost: a sequence of n steps has about n**2 states, each looked at once; parallel branches
    multiply.

    Args:
        saga: the definition.
        odds: by step, name or path; a name stands for all copies of an ``each``. For a chooser and
            an ``each`` a ``Split``, or a mapping of labels (numbers of items) to odds; for a nested
            saga with a compensation of its own, the odds of that.
        default: for every step that has no odds of its own; what does not apply to a step, such as
            odds of a compensation that it has not, is left aside. Labels have no default.
        limit: the largest number of states.

    Raises:
        DefinitionError: odds that cannot be, that are missing, or under which a run never ends.
        UnknownStepError: odds for a step that the saga does not have.
        StateSpaceLimitError: more than ``limit`` states.
        ValueError: a limit below 1.
    """
    if type(limit) is not int or limit < 1:
        raise ValueError(f"limit is {limit!r}\n  Give a number of states, 1 or more.")
    layout = lay_out(saga)
    legs = legs_of(layout, odds or {}, default)
    return forecast_of(chain_of(layout, legs, limit=limit), legs)
