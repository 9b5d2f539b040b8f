"""
What is measured, each once: the same work for the benchmarks and for the table.

The actions do nothing, so that what is left is the cost of the machinery. ``plain`` is the loop
that one would write by hand, with nothing kept of what happened; ``Transitions`` is the same saga
drawn by hand as a machine of the package ``transitions``.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import transitions

from saga_fsm import (
    GUARDED,
    Machine,
    Rejected,
    Saga,
    Status,
    arun,
    compile_saga,
    parallel,
    run,
    step,
)


NAMES = ("hotel", "flight", "car", "charge")


def act(_ctx: Any) -> None:
    """Do nothing."""


def refuse(_ctx: Any) -> None:
    """Fail, surely without an effect."""
    raise Rejected("no")


def undo(_ctx: Any, _result: object) -> None:
    """Undo nothing."""


async def act_async(_ctx: Any) -> None:
    """Do nothing, on a loop."""


async def refuse_async(_ctx: Any) -> None:
    """Fail on a loop."""
    raise Rejected("no")


async def undo_async(_ctx: Any, _result: object) -> None:
    """Undo nothing, on a loop."""


def four(last: Callable[[Any], Any], first: Callable[[Any], Any] = act, back: Any = undo) -> Saga:
    """Four compensatable steps; the last one may fail."""
    actions = (first, first, first, last)
    blocks = (
        step(action, name=name, compensate=back)
        for name, action in zip(NAMES, actions, strict=True)
    )
    # A rejection that is remembered leaves nothing to undo: three compensations, not four.
    return Saga("four", *blocks, contract=GUARDED)


DONE, FAILED = four(act), four(refuse)
DONE_ASYNC = four(act_async, act_async, undo_async)
FAILED_ASYNC = four(refuse_async, act_async, undo_async)
PATH = (
    "start",
    *(f"done({name})" for name in NAMES[:3]),
    "rejected(charge)",
    *(f"compensated({name})" for name in reversed(NAMES[:3])),
)


# ---------------------------------------------------------------- one run


def run_done() -> Status:
    """Run to the end."""
    return run(DONE, run_id="r").status


def run_failed() -> Status:
    """Run, fail at the fourth step, undo three."""
    return run(FAILED, run_id="r").status


async def arun_done() -> Status:
    """Run to the end on the loop that is there."""
    return (await arun(DONE_ASYNC, run_id="r")).status


async def arun_failed() -> Status:
    """Run, fail and undo on the loop that is there."""
    return (await arun(FAILED_ASYNC, run_id="r")).status


def plain(last: Callable[[Any], Any]) -> Status:
    """Do the same by hand: what was done is undone in reverse when one fails."""
    undos = []
    try:
        for action in (act, act, act, last):
            action(None)
            undos.append(undo)
    except Rejected:
        for back in reversed(undos):
            back(None, None)
        return Status.COMPENSATED
    return Status.COMPLETED


async def plain_async(last: Callable[[Any], Any]) -> Status:
    """Do the same by hand on a loop."""
    undos = []
    try:
        for action in (act_async, act_async, act_async, last):
            await action(None)
            undos.append(undo_async)
    except Rejected:
        for back in reversed(undos):
            await back(None, None)
        return Status.COMPENSATED
    return Status.COMPLETED


class Transitions:
    """The same four steps as a machine of ``transitions``: one trigger a step, one an undo."""

    def __init__(self, last: Callable[[Any], Any]) -> None:
        self.last = last
        back = [f"undo_{name}" for name in NAMES[:3]]
        self.machine = transitions.Machine(
            self,
            states=["new", *NAMES, *back, "compensated"],
            initial="new",
            auto_transitions=False,
        )
        self.state: str
        add = self.machine.add_transition
        for source, target in zip(("new", *NAMES), NAMES, strict=False):
            add("go", source, target, before=self._last if target == NAMES[-1] else self._act)
        add("turn", NAMES[2], back[2])
        for source, target in zip(
            reversed(back), (*reversed(back[:2]), "compensated"), strict=True
        ):
            add("go_back", source, target, before=self._undo)

    def _act(self) -> None:
        act(None)

    def _last(self) -> None:
        self.last(None)

    def _undo(self) -> None:
        undo(None, None)

    def run(self) -> Status:
        """Run once, from the start."""
        self.state = "new"
        go: Callable[[], bool] = self.go  # type: ignore[attr-defined]
        try:
            for _ in NAMES:
                go()
        except Rejected:
            self.turn()  # type: ignore[attr-defined]
            go_back: Callable[[], bool] = self.go_back  # type: ignore[attr-defined]
            while self.state != "compensated":
                go_back()
            return Status.COMPENSATED
        return Status.COMPLETED


# ---------------------------------------------------------------- machines


def fresh(saga: Saga) -> Machine:
    """Compile again: a saga keeps its machine, so it is another saga of the same blocks."""
    return compile_saga(attrs.evolve(saga))


def walk(machine: Machine) -> Any:
    """Take the eight moves of a run that fails and goes back."""
    state = machine.initial
    for event in PATH:
        state = machine.step(state, event).state
    return state


def long(steps: int) -> Saga:
    """So many steps in a row."""
    return Saga("long", *(step(act, name=f"s{n}", compensate=undo) for n in range(steps)))


def wide(branches: int = 20, steps: int = 3) -> Saga:
    """So many branches at the same time, of so many steps each."""
    return Saga(
        "wide",
        parallel(
            *(
                Saga(f"b{b}", *(step(act, name=f"s{n}", compensate=undo) for n in range(steps)))
                for b in range(branches)
            )
        ),
    )


# ---------------------------------------------------------------- commands


def command(*arguments: str) -> str:
    """Run this interpreter; its modules' byte code is kept, as an installed one's is."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, *arguments], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout


def children_time() -> float:
    """
    Seconds of CPU that finished children have used: the timer for ``command``.

    Not on Windows, where there is no ``resource``.
    """
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
