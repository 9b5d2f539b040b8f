"""``@saga_faults``: a test function that is asked after every plan of a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from saga_fsm.testing.explore import explore_faults
from saga_fsm.testing.oracles import Consistent
from saga_fsm.testing.stage import Answers


__all__ = ["saga_faults"]


def saga_faults(  # noqa: PLR0913 - keyword-only parts of one search
    saga: Any,
    *,
    world: Callable[[], Any] | None = None,
    input: Any = None,  # noqa: A002 - the interface's word
    consistent: Consistent | None = None,
    answers: Answers | None = None,
    max_faults: int = 2,
    max_runs: int = 20_000,
) -> Callable[[Callable[[Any, Any], object]], Callable[[], None]]:
    """
    Make a test of a function: it is called with world and outcome after every plan.

    The searches are those of ``explore_faults``. What the function asserts must hold however the
    run ended; a plan after which it does not is shrunk and told with the text of the assertion.

    Args:
        saga: the saga, or a function from the world to it.
        world: a class or factory, called once a run; given to the steps as ``ctx.services``.
        input: the saga's input; the same value in every run, so no step may change it.
        consistent: the oracle that is asked before; default the world's ``is_consistent(outcome)``,
            if it has one.
        answers: outcomes of pending steps, by step.
        max_faults: faults in the plans after the tour; 0 leaves these plans out.
        max_runs: an end to the search.

    >>> from saga_fsm import GUARDED, Saga, step
    >>> def pay(ctx): ...
    >>> def pay_back(ctx, payment): ...
    >>> @saga_faults(Saga("pay", step(pay, compensate=pay_back, contract=GUARDED)), max_faults=0)
    ... def test_pay(world, outcome): assert outcome.status.resting
    >>> test_pay()
    Traceback (most recent call last):
    AssertionError: pay: 1 kinds of failure ...
    """
    own = consistent or getattr(world, "is_consistent", None)

    def decorate(test: Callable[[Any, Any], object]) -> Callable[[], None]:
        def asked(there: Any, outcome: Any) -> bool:
            if own is not None and not own(there, outcome):
                return False
            test(there, outcome)
            return True

        def attack() -> None:
            explore_faults(
                saga,
                world=world,
                input=input,
                consistent=asked,
                answers=answers,
                max_faults=max_faults,
                max_runs=max_runs,
            ).assert_ok()

        asked.__name__ = getattr(test, "__name__", "test")
        # Not ``functools.wraps``: pytest would take the arguments of what is wrapped for fixtures.
        for name in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(attack, name, getattr(test, name, None) or getattr(attack, name))
        vars(attack).update(getattr(test, "__dict__", {}))
        return attack

    return decorate
