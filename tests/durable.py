"""
Sagas of the failure stories, carried out by processes of their own that may die in a step.

``python -m tests.durable URL SAGA RUN LOG [DIE]`` starts or takes up one run and prints how it
stands. Each call leaves a line in LOG: the key, and what it was given. DIE is ``STEP:before`` or
``STEP:after``: at the first call of that step the process ends there, before or after the effect.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from saga_fsm import (
    GUARDED,
    PENDING,
    Orchestrator,
    Pending,
    Rejected,
    Retry,
    Saga,
    pivot,
    retriable,
    step,
)
from saga_fsm.cli.journal import opened


class World:
    """Participants: what they did, by key, in a file; and where the process dies."""

    def __init__(self, log: Path, die: str = "", refused: str = "") -> None:
        self.log = log
        self.die, _, self.when = die.partition(":")
        self.refused = refused.split(",")

    def call(self, key: str, **given: Any) -> None:
        """One effect; a repeated key shows in the log, and is one effect."""
        name = key.partition("/")[2]
        if name == self.die and self.when == "before":
            os._exit(9)
        if name in self.refused:
            raise Rejected("no")
        with self.log.open("a") as log:
            log.write(json.dumps({"key": name, **given}) + "\n")
        if name == self.die:
            os._exit(9)

    def calls(self) -> list[str]:
        """Every call, in order."""
        return [line["key"] for line in self.lines()]

    def lines(self) -> list[dict[str, Any]]:
        """Every call with what it was given."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def act(ctx) -> str:
    """Have an effect, and a result that the undo is given."""
    ctx.services.call(ctx.key)
    return f"result of {ctx.step}"


def undo(ctx, result: str | None) -> None:
    """Undo it."""
    ctx.services.call(ctx.key, result=result)


def broken(ctx, result: str | None) -> None:
    """Cannot be undone, as long as there is a file that says so."""
    if ctx.services.log.with_suffix(".broken").exists():
        raise OSError("the bank is closed")
    ctx.services.call(ctx.key, result=result)


def asks(ctx) -> str | Pending:
    """Wait for a person."""
    ctx.services.call(ctx.key)
    return PENDING


def held(name: str, **options: Any) -> Any:
    """A step that can be undone."""
    return step(act, name=name, **{"compensate": undo, **options})


ONCE = Retry(attempts=1)
SAGAS: dict[str, Saga[Any, Any, Any]] = {
    saga.name: saga
    for saga in [
        Saga("abc", held("a"), held("b"), pivot(act, name="c"), contract=GUARDED),
        Saga("bare", held("a"), held("b"), pivot(act, name="c", contract=GUARDED)),
        Saga(
            "doubt",
            held("a"),
            pivot(act, name="p"),
            retriable(act, name="n"),
            contract=GUARDED,
        ),
        Saga("bare_doubt", held("a"), pivot(act, name="p"), retriable(act, name="n")),
        Saga(
            "stuck",
            held("a"),
            held("b", compensate=broken, compensation_retry=ONCE),
            pivot(act, name="c"),
            contract=GUARDED,
        ),
        Saga(
            "asked",
            held("a"),
            step(asks, name="b", compensate=undo),
            pivot(act, name="c"),
            contract=GUARDED,
        ),
    ]
}


def carry(url: str, saga: str, run_id: str, world: World) -> str:
    """Start a run or take it up, wait for its rest, and say how it ended."""
    journal = opened(url, make=True)
    with Orchestrator(SAGAS[saga], journal=journal, services=world, lease=0.5, poll=0.02) as one:
        outcome = one.run(saga, {"cart": 7}, run_id=run_id)
    journal.close()
    return outcome.status.value


if __name__ == "__main__":
    url_, saga_, run_, log_, die_, refused_ = (*sys.argv[1:], "", "")[:6]
    print(carry(url_, saga_, run_, World(Path(log_), die_, refused_)))
