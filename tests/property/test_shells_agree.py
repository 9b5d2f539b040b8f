"""One driver, two shells: the same journal from each."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from saga_fsm import (
    GUARDED,
    Contract,
    Rejected,
    Retry,
    Saga,
    Transient,
    arun,
    pivot,
    retriable,
    run,
    step,
)
from saga_fsm.journals.memory import MemoryJournal
from saga_fsm.testing import VirtualClock


ANSWERS = ["ok", Rejected("no"), Transient("busy"), ValueError("?")]


def saga_of(script: tuple[Any, ...], contract: Contract) -> Saga[Any, Any]:
    """Make a saga whose steps answer the script at their first call, and then well."""
    first = dict(zip("abpr", script, strict=True))

    async def action(ctx: Any) -> Any:
        answer = first.pop(ctx.step, "ok")
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def undo(ctx: Any, result: Any) -> None:
        """Undo nothing."""

    return Saga(
        "s",
        step(action, name="a", compensate=undo),
        step(action, name="b", compensate=undo, retry=Retry(attempts=2, wait_initial=1.0)),
        pivot(action, name="p", retry=Retry(attempts=2, wait_initial=1.0)),
        retriable(action, name="r"),
        contract=contract,
    )


def written(journal: MemoryJournal) -> list[tuple[str, float]]:
    """What a journal says, and when."""
    return [(entry.event, entry.at) for entry in journal.read("r")]


@pytest.mark.parametrize("contract", [GUARDED, Contract()])
def test_both_shells_write_the_same(contract: Contract) -> None:
    """Whatever four steps answer, `run` and `arun` write the same entries at the same times."""
    ends = set()
    for script in itertools.product(ANSWERS, repeat=4):
        journals = [MemoryJournal() for _ in range(2)]
        clocks = [VirtualClock() for _ in range(2)]
        told = {"run_id": "r"}
        one = run(saga_of(script, contract), journal=journals[0], clock=clocks[0], **told)
        asyncio.run(arun(saga_of(script, contract), journal=journals[1], clock=clocks[1], **told))
        assert written(journals[0]) == written(journals[1])
        ends.add(one.status.value)
    assert ends == {"completed", "compensated", "stuck"}
