"""Failure tests whose input Hypothesis draws."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from hypothesis import HealthCheck, given, settings

from saga_fsm.testing.attack import Attack, FailureTestError
from saga_fsm.testing.merged import merged
from saga_fsm.testing.plan import FaultPlan
from saga_fsm.testing.results import Exploration, Failure
from saga_fsm.testing.terms import terms


__all__ = ["Inputs"]

#: Inputs for which there is a search of thousands of runs each.
_INPUTS: Final = 5
_QUICK: Final = 2
_OWN: Final = "_hypothesis_internal_use_settings"
_APPLIED: Final = "_hypothesis_internal_settings_applied"


class Inputs:
    """
    A search for each input; once a plan has failed, only that plan for the simpler ones.

    Args:
        attack: what is done with each input; its own ``input`` is the strategy.
    """

    def __init__(self, attack: Attack) -> None:
        self._attack = attack
        self._failing: list[FaultPlan] = []
        self._found: list[Exploration] = []

    def drawn(self, test: Callable[..., None]) -> Callable[..., None]:
        """Let Hypothesis give the ``input`` of a test; the result is a Hypothesis test itself."""
        said = hasattr(test, _OWN)
        inner = given(input=self._attack.input)(test)
        if not said:
            few = settings(
                max_examples=min(settings().max_examples, _INPUTS),
                deadline=None,
                # Fixtures are set up once for all plans, and so for all inputs.
                suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
            )
            setattr(inner, _OWN, few)
            # A user's own ``@settings`` above may still take its place.
            vars(inner).pop(_APPLIED, None)

        def run(*positional: Any, **named: Any) -> None:
            __tracebackhide__ = True
            self._failing, self._found = [], []
            # What stands above ``@saga_faults`` was said of this function.
            vars(inner).update({x: y for x, y in vars(run).items() if "hypothesis" in x})
            inner(*positional, **named)
            if self._found:
                self._attack.judge(merged(self._found), None)

        for name in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(run, name, getattr(test, name))
        vars(run).update(vars(inner))
        vars(run).pop("__wrapped__", None)
        run.__signature__ = inspect.signature(inner)  # type: ignore[attr-defined] # as inspect says
        return run

    def attack(self, world: Any, fixtures: Mapping[str, Any], chosen: Any) -> None:
        """
        Try one input.

        Raises:
            FailureTestError: a plan fails with it.
        """
        __tracebackhide__ = True
        if terms().plan is not None:
            self._attack.on(world, fixtures, chosen)
            return
        failures = self._failures(world, fixtures, chosen)
        if failures:
            # From one line, whatever was done: Hypothesis takes another line for another failure.
            lines = [line for x in failures for line in (str(x), self._replays(x, chosen))]
            raise FailureTestError("\n".join([f"with the input {chosen!r}:", *lines]))

    def _failures(self, world: Any, fixtures: Mapping[str, Any], chosen: Any) -> list[Failure]:
        if self._failing:
            runs = (self._attack.once(x, world, fixtures, chosen)[0] for x in self._failing)
            return [Failure(x.plan, x.outcome, x.reason, x.path) for x in runs if x.reason]
        if terms().effort == "quick" and len(self._found) >= _QUICK:
            return []
        found = self._attack.search(world, fixtures, chosen)
        self._found.append(found)
        self._failing = [failure.plan for failure in found.failures]
        return list(found.failures)

    def _replays(self, failure: Failure, chosen: Any) -> str:
        return f"  {self._attack.replays(failure.plan, chosen)}"
