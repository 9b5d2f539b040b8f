"""What a test session asks of every ``@saga_faults`` test, and who hears what one has found."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Literal, TypeAlias

import attrs

from saga_fsm.testing.plan import FaultPlan
from saga_fsm.testing.results import Exploration, Failure


__all__ = ["Effort", "Efforts", "Terms", "agreed", "terms"]

Effort: TypeAlias = Literal["", "quick", "full"]

_MAX_FAULTS: Final = 2
_MAX_RUNS: Final = 20_000
_DEEPER: Final = 1_000
_MAX_FAILURES: Final = 10
#: More than the tour of a saga of five steps takes, and less than two seconds.
_QUICK: Final = 1_000
_FULL: Final = 10


@attrs.frozen
class Efforts:
    """
    How much is searched; None where nothing is said.

    Args:
        max_faults: faults in the plans after the tour.
        max_runs: an end to the tour and the plans after it.
        deeper: plans of more faults.
        seed: of the luck by which these are drawn.
        coverage: the least share of the rows that has to be taken, from 0 to 1.
        max_failures: an end to all, after so many kinds of failure.
    """

    max_faults: int | None = None
    max_runs: int | None = None
    deeper: int | None = None
    seed: int | None = None
    coverage: float | None = None
    max_failures: int | None = None

    def over(self, other: Efforts) -> Efforts:
        """Give these, and the others' where nothing is said here."""
        own = attrs.asdict(self, filter=lambda _, value: value is not None)
        return attrs.evolve(other, **own)

    def at(self, effort: Effort) -> Efforts:
        """Give what is searched at last: the defaults are put in, then more or less of it."""
        all_said = self.over(Efforts(_MAX_FAULTS, _MAX_RUNS, _DEEPER, 0, None, _MAX_FAILURES))
        runs, deeper = all_said.max_runs or 0, all_said.deeper or 0
        if effort == "quick":
            return attrs.evolve(all_said, max_runs=min(runs, _QUICK), deeper=0)
        if effort == "full":
            return attrs.evolve(all_said, max_runs=runs * _FULL, deeper=deeper * _FULL)
        return all_said


@attrs.frozen
class Terms:
    """
    What a session asks.

    Args:
        effort: less or more than the tests say.
        before: goes before what the test says.
        after: for what the test does not say.
        plan: run only this one.
        heard: told of each search, also of one that was interrupted.
        replayed: told of each run of ``plan``, and whether it failed.
    """

    effort: Effort = ""
    before: Efforts = Efforts()
    after: Efforts = Efforts()
    plan: FaultPlan | None = None
    heard: Callable[[Exploration], object] = lambda _: None
    replayed: Callable[[Failure], object] = lambda _: None

    def of(self, said: Efforts) -> Efforts:
        """How much is searched by a test that says so."""
        return self.before.over(said).over(self.after).at(self.effort)


_USUAL: Final = Terms()
_TERMS: ContextVar[Terms] = ContextVar("saga_fsm.testing.terms")


def terms() -> Terms:
    """Give what the session asks of the test that is running."""
    return _TERMS.get(_USUAL)


@contextmanager
def agreed(wanted: Terms) -> Generator[None]:
    """Ask this of the tests that are called within."""
    token = _TERMS.set(wanted)
    try:
        yield
    finally:
        _TERMS.reset(token)
