"""``@saga_faults``: a test function that is asked after every plan of a search."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from saga_fsm.errors import SagaError
from saga_fsm.testing.attack import GIVEN, Attack
from saga_fsm.testing.oracles import Consistent
from saga_fsm.testing.stage import Answers
from saga_fsm.testing.terms import Efforts


__all__ = ["saga_faults"]

#: By which the pytest plugin knows such a test.
MARK: Final = "saga_faults_attack"
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def saga_faults(  # noqa: PLR0913 - keyword-only parts of one search
    saga: Any,
    *,
    world: Any = None,
    input: Any = None,  # noqa: A002 - the interface's word
    consistent: Consistent | None = None,
    answers: Answers | None = None,
    max_faults: int | None = None,
    max_runs: int | None = None,
    deeper: int | None = None,
    seed: int | None = None,
    coverage: float | None = None,
    max_failures: int | None = None,
) -> Callable[[Callable[..., object]], Callable[..., None]]:
    """
    Make a test of a function: it is called with world and outcome after every plan.

    The searches are those of ``explore_faults``. What the function asserts must hold however the
    run ended; a plan after which it does not is shrunk and told with the text of the assertion.

    The function takes what it asks for of ``world``, ``outcome`` and ``input``, by these names. Its
    other parameters are pytest's: fixtures, set up once for all plans, and what ``parametrize``
    gives. It may be a method, and ``async``. Where it asks for no fixture, the test needs no
    pytest: unittest runs it, or a plain call.

    Args:
        saga: the saga, or a function from the world to it.
        world: a class or factory, called once a run; given to the steps as ``ctx.services``. Or one
            object with ``reset()``, or the name of a pytest fixture that gives one of these.
        input: the saga's input; the same value in every run, so no step may change it. Or a
            Hypothesis strategy: then there is a search for each of five inputs (two when quick),
            unless ``@settings`` or the profile say otherwise. Once a plan fails, only that one is
            run again, on simpler inputs. ``@example(input=...)``, ``@seed`` and Hypothesis' own
            database work as ever.
        consistent: the oracle that is asked before; default the world's ``is_consistent(outcome)``,
            if it has one.
        answers: outcomes of pending steps, by step.
        max_faults: faults in the plans after the tour, default 2; 0 leaves these plans out.
        max_runs: an end to the search, default 20,000.
        deeper: plans of more faults, drawn after the others, default 1,000.
        seed: of that luck, default 0.
        coverage: the least share of the rows that has to be taken, from 0 to 1; else the test
            fails.
        max_failures: an end to all, after so many kinds of failure, default 10.

    Raises:
        SagaError: the world is a fixture, not its name.
        ValueError: ``coverage`` is no share.

    >>> from saga_fsm import GUARDED, Saga, step
    >>> def pay(ctx): ...
    >>> def pay_back(ctx, payment): ...
    >>> @saga_faults(Saga("pay", step(pay, compensate=pay_back, contract=GUARDED)), max_faults=0)
    ... def test_pay(world, outcome): assert outcome.status.resting
    >>> test_pay()
    Traceback (most recent call last):
    saga_fsm.testing.attack.FailureTestError: pay: 1 kinds of failure ...
    """
    _check_world(world)
    if coverage is not None and not 0 <= coverage <= 1:
        raise ValueError(f"coverage is {coverage}\n  Give a share from 0 to 1: 1.0 is all rows.")
    efforts = Efforts(max_faults, max_runs, deeper, seed, coverage, max_failures)

    def decorate(test: Callable[..., object]) -> Callable[..., None]:
        attack = Attack(saga, world, input, consistent, answers, efforts, test)
        if _is_strategy(input):
            from saga_fsm.testing.drawn import Inputs

            inputs = Inputs(attack)
            made = inputs.drawn(_named(test, attack, inputs.attack, drawn=True))
        else:
            made = _named(test, attack, attack.on, drawn=False)
        setattr(made, MARK, attack)
        return made

    return decorate


def _check_world(world: Any) -> None:
    if type(world).__name__ == "FixtureFunctionDefinition":
        name = getattr(world, "name", None) or getattr(world, "__name__", "shop")
        raise SagaError(f"world is a fixture, not its name\n  Give its name: world={name!r}.")


def _is_strategy(value: Any) -> bool:
    """Whether Hypothesis made it; where that was never imported, nothing is."""
    strategies = sys.modules.get("hypothesis.strategies")
    return strategies is not None and isinstance(value, strategies.SearchStrategy)


def _named(
    test: Callable[..., object],
    attack: Attack,
    begin: Callable[[Any, Mapping[str, Any], Any], None],
    *,
    drawn: bool,
) -> Callable[..., None]:
    """Give the test as pytest and unittest see it: its name, and what is left for them to give."""
    signature = _asked(test, attack.world, drawn=drawn)

    def run(*positional: Any, **named: Any) -> None:
        __tracebackhide__ = True
        given = dict(signature.bind(*positional, **named).arguments)
        chosen = given.pop("input") if drawn else attack.input
        world = attack.world
        if isinstance(world, str):
            world = given[world]
            if world is not None:
                _check_given(attack.world, world)
        names = inspect.signature(test).parameters
        fixtures = {x: y for x, y in given.items() if x in names and x not in GIVEN}
        begin(world, fixtures, chosen)

    # Not ``functools.wraps``: pytest would take the arguments of what is wrapped for fixtures.
    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(run, name, getattr(test, name, None) or getattr(run, name))
    vars(run).update(getattr(test, "__dict__", {}))
    run.__signature__ = signature  # type: ignore[attr-defined] # as inspect documents it
    return run


def _check_given(name: str, world: Any) -> None:
    if not callable(world) and not callable(getattr(world, "reset", None)):
        raise SagaError(
            f"fixture '{name}' gives {type(world).__name__}, which is neither a factory nor has "
            "reset()\n  Every plan needs a fresh world: let it give the class, a function that "
            "makes one, or an object with reset()."
        )


def _asked(test: Callable[..., object], world: Any, *, drawn: bool) -> inspect.Signature:
    """What is left for others to give: fixtures, and the one that is the world."""
    parameters = [
        one
        for one in inspect.signature(test).parameters.values()
        if one.name not in GIVEN and one.kind not in _VARIADIC
    ]
    extra = [world] if isinstance(world, str) else []
    extra += ["input"] if drawn else []
    present = {one.name for one in parameters}
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)
        for name in extra
        if name not in present
    ]
    return inspect.Signature(parameters)
