"""Scenes played by hand: calls in a chosen order, with the keys that a run would give them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from threading import RLock
from typing import Any

from saga_fsm import Context, Outcome, Rejected, Retry, Status, run
from saga_fsm.definition.layout import lay_out
from saga_fsm.testing.clock import VirtualClock
from tests.quality.planted import Planted, SagaFactory, Where, WorldFactory


SEVERAL = Retry(attempts=3, wait_initial=0.1)
_WORD = re.compile(r"(?:(\w+):)?([\w/\[\]]+?)(?:\*(\d+))?(-\?|-|\?)?$")


class World:
    """
    Participants that keep their promises, in memory.

    ``once`` is idempotent and sticky, ``back`` leaves a tombstone. ``errors`` is what the error
    monitor of the participants shows: an undo that fails of itself, or a duty that is refused.
    """

    def __init__(self) -> None:
        self.kept: dict[str, tuple[str, Any]] = {}
        self.errors: list[str] = []
        self._lock = RLock()

    def once(self, key: str, effect: Any) -> Any:
        """Cause an effect once, and answer the same ever after."""
        with self._lock:
            if key not in self.kept:
                try:
                    self.kept[key] = ("applied", effect())
                except Rejected as refusal:
                    self.kept[key] = ("rejected", str(refusal))
            mark, value = self.kept[key]
            if mark == "applied":
                return value
            raise Rejected(str(value))

    def back(self, key: str, undo: Any) -> None:
        """Take it back once; where there is nothing, see that nothing comes."""
        with self._lock:
            mark, value = self.kept.get(key, ("fresh", None))
            if mark == "applied":
                undo(value)
            self.kept[key] = ("undone", "it was taken back")

    def asked(self, key: str) -> Any:
        """What came of a key; what has not come by now never will."""
        with self._lock:
            mark, value = self.kept.setdefault(key, ("undone", "it was asked for before it came"))
            if mark == "applied":
                return value
            raise Rejected(str(value))

    def view(self) -> dict[str, Any]:
        """What can be seen from outside."""
        hidden = {"kept", "_lock"}
        return {name: repr(value) for name, value in vars(self).items() if name not in hidden}


def monitored(function: Any) -> Any:
    """Report to the error monitor what a duty or an undo raises."""

    def call(ctx: Any, *given: Any) -> Any:
        try:
            return function(ctx, *given)
        except Exception as error:
            ctx.services.errors.append(f"{ctx.step}: {type(error).__name__}")
            raise

    call.__name__ = function.__name__
    return call


def settled(consistent: Any) -> Any:
    """An oracle that judges what rests clean; of what is stuck, only the error monitor."""

    def judge(world: Any, outcome: Outcome[Any]) -> bool:
        if world.errors:
            return False
        return outcome.status is Status.STUCK or bool(consistent(world, outcome))

    return judge


def played(saga: SagaFactory, world: WorldFactory, given: Any, script: str) -> Any:
    """
    Call steps in the order of a script, and tell what was answered and how the world looks.

    Args:
        saga: makes it.
        world: makes it.
        given: the input.
        script: ``pay`` calls an action, ``pay-`` its undo with its result, ``pay-?`` its undo with
            None, ``pay?`` its query; ``pay*2`` is its second attempt, ``r2:pay`` is in another run.
            ``run`` runs the saga.
    """
    steps, shop = lay_out(saga()).steps, world()
    results: dict[str, Any] = {}
    told: list[Any] = []
    for word in script.split():
        if word == "run":
            told.append(_run(saga(), shop, given))
            continue
        match = _WORD.match(word)
        assert match, word
        run_id, path, attempt, what = match.groups(default="")
        run_id = run_id or "r1"
        undo = what.startswith("-")
        key = f"{run_id}/{path}"
        step: Any = steps[path].step
        ctx = Context(
            input=given,
            services=shop,
            results=results,
            run_id=run_id,
            step=path,
            key=f"{key}/compensation" if undo else key,
            action_key=key,
            attempt=int(attempt or 1),
            **_copy(given, path),
        )
        try:
            if undo:
                value = awaited(step.compensate(ctx, None if "?" in what else results.get(path)))
            else:
                value = awaited((step.query if what else step.action)(ctx))
                results[path] = value
        except Exception as error:  # noqa: BLE001 - what it raises is what is told
            value = type(error).__name__
        told.append((word, None if undo and value is None else repr(value)))
    return told, shop.view()


def _copy(given: Any, path: str) -> dict[str, Any]:
    if "[" not in path:
        return {}
    index = int(path.partition("[")[2].partition("]")[0])
    return {"item": given["lines"][index], "index": index}


def awaited(value: Any) -> Any:
    """What a call has given, once it is there."""
    return asyncio.run(_awaited(value)) if hasattr(value, "__await__") else value


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def _run(saga: Any, world: Any, given: Any, answers: Any = None) -> Any:
    outcome = run(
        saga, given, services=world, run_id="r1", clock=VirtualClock(), answers=answers or {}
    )
    return outcome.status.name, sorted(outcome.unresolved.items())


def bug(  # noqa: PLR0913 - the parts of a bug
    name: str,
    where: Where,
    why: str,
    *,
    saga: SagaFactory,
    world: WorldFactory,
    healthy: tuple[SagaFactory, WorldFactory],
    given: Any,
    consistent: Any,
    script: str,
    answers: Any = None,
) -> Planted:
    """Make a bug of a step or a world: shown where a script goes another way than without it."""

    def shows() -> bool:
        wrong = played(saga, world, given, script)
        return bool(wrong != played(*healthy, given, script))

    judge = settled(consistent)
    return Planted(name, where, why, saga, world, given, judge, shows, healthy, answers=answers)
