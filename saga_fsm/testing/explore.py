"""``explore_faults`` and ``replay``: many runs of a saga under faults, and one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

from saga_fsm.testing.case import Case
from saga_fsm.testing.oracles import Consistent
from saga_fsm.testing.plan import FaultPlan
from saga_fsm.testing.results import Exploration, Replay
from saga_fsm.testing.search import Search
from saga_fsm.testing.stage import Answers


__all__ = ["explore_faults", "replay"]


def replay(  # noqa: PLR0913 - keyword-only parts of one run
    saga: Any,
    plan: FaultPlan | str,
    *,
    world: Any = None,
    input: Any = None,  # noqa: A002 - the interface's word
    consistent: Consistent | None = None,
    answers: Answers | None = None,
) -> Replay:
    """
    Run a saga once under a fault plan, on a fresh world, by virtual time.

    Args:
        saga: the saga, or a function from the world to it.
        plan: what goes wrong, as a value or as text: ``charge@1=lost_reply``.
        world: a class or factory, called without arguments; given to the steps as ``ctx.services``.
            Or one object with ``reset()``. What it gives may be a context manager, and async.
        input: the saga's input; the same value in every run, so no step may change it.
        consistent: the oracle, ``consistent(world, outcome)``; default the world's
            ``is_consistent(outcome)``. It may be async.
        answers: outcomes of pending steps, by step.

    Raises:
        ValueError: the plan does not read as one.
        TypeError: the world is neither a factory nor has ``reset()``.
        SagaError: the run waits for an answer that nobody can give.
    """
    wanted = FaultPlan.parse(plan) if isinstance(plan, str) else plan
    with closing(Case.of(saga, world, input, consistent, answers)) as case:
        return case.run(wanted).replay


def explore_faults(  # noqa: PLR0913 - keyword-only parts of one search
    saga: Any,
    *,
    world: Any = None,
    input: Any = None,  # noqa: A002 - the interface's word
    consistent: Consistent | None = None,
    answers: Answers | None = None,
    max_faults: int = 2,
    max_runs: int = 20_000,
    deeper: int = 1_000,
    seed: int = 0,
    max_failures: int = 10,
    progress: Callable[[int, int], object] | None = None,
) -> Exploration:
    """
    Attack a saga at every transition of its machine, and shrink what breaks it.

    First the tour, in which every row of the machine's table is taken with every fault that fits;
    then every plan of at most ``max_faults`` faults; then plans of more faults, by luck.

    Args:
        saga: the saga, or a function from the world to it.
        world: a class or factory, called once a run; given to the steps as ``ctx.services``. Or one
            object with ``reset()``. What it gives may be a context manager, and async.
        input: the saga's input; the same value in every run, so no step may change it.
        consistent: the oracle, ``consistent(world, outcome)``; default the world's
            ``is_consistent(outcome)``. It may be async.
        answers: outcomes of pending steps, by step.
        max_faults: faults in the plans after the tour; 0 leaves these and the deeper ones out.
        max_runs: an end to the tour and the plans after it; a tour that it cuts short is told as
            such, and then nothing deeper is tried.
        deeper: plans of more faults, drawn after the others.
        seed: of that luck; the same seed draws the same plans.
        max_failures: an end to all, after so many kinds of failure.
        progress: called after each run with the runs so far and the plans that are waiting.
    """
    with closing(Case.of(saga, world, input, consistent, answers)) as case:
        search = Search(case, max_runs, max_failures, progress)
        search.whole(most=max_faults, deeper=deeper, seed=seed)
        return search.result()
