"""A search that may be interrupted: what it has found by then is not lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

from saga_fsm.testing.case import Case
from saga_fsm.testing.oracles import Consistent
from saga_fsm.testing.results import Exploration
from saga_fsm.testing.search import Search
from saga_fsm.testing.stage import Answers
from saga_fsm.testing.terms import Efforts


__all__ = ["attempt"]


def attempt(  # noqa: PLR0913 - keyword-only parts of one search
    saga: Any,
    efforts: Efforts,
    *,
    world: Any = None,
    input: Any = None,  # noqa: A002 - the interface's word
    consistent: Consistent | None = None,
    answers: Answers | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> tuple[Exploration | None, KeyboardInterrupt | None]:
    """
    Search as ``explore_faults`` does; give what was found, and what ended it before its time.

    A search that was interrupted is not complete, whatever the tour had come to; one that was
    interrupted before its first run has found nothing.
    """
    wanted = efforts.at("")
    most, runs = wanted.max_faults or 0, wanted.max_runs or 1
    interrupt: KeyboardInterrupt | None = None
    with closing(Case.of(saga, world, input, consistent, answers)) as case:
        search = Search(case, runs, wanted.max_failures or 1, progress)
        try:
            search.whole(most=most, deeper=wanted.deeper or 0, seed=wanted.seed or 0)
        except KeyboardInterrupt as error:
            interrupt, search.complete = error, False
        return (None if search.coverage is None else search.result()), interrupt
