"""
An example's saga in a process of its own, that dies at one of its calls: its world is in a file.

``python -m tests.durable_examples EXAMPLE URL WORLD DIES_AT [REFUSING]`` prints how the run ended.
The file stands for the participants, which live on: it is written after each of their effects.
"""

from __future__ import annotations

import importlib
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import attrs

from saga_fsm import Orchestrator
from saga_fsm.cli.journal import opened
from saga_fsm.examples._world import Guard


class Kept(Guard):
    """A guard that writes its world to a file after each effect, and may end the process there."""

    def keep(self, world: Any, path: Path, dies_at: int) -> None:
        """From now on."""
        object.__setattr__(self, "_where", (world, path, dies_at, iter(range(1, 1_000))))

    def act(self, ctx: Any, effect: Any) -> Any:
        """Act, and write."""
        try:
            return super().act(ctx, effect)
        finally:
            self._write()

    def undo(self, ctx: Any, effect: Any) -> None:
        """Undo, and write."""
        super().undo(ctx, effect)
        self._write()

    def _write(self) -> None:
        world, path, dies_at, calls = self._where
        facts = {one.name: getattr(world, one.name) for one in _facts(world)}
        path.with_suffix(".new").write_bytes(pickle.dumps((facts, self.records)))
        path.with_suffix(".new").replace(path)
        if next(calls) == dies_at:
            os._exit(9)


def _facts(world: Any) -> list[Any]:
    return [one for one in attrs.fields(type(world)) if one.name != "guard"]


def world_of(example: Any, path: Path, *, dies_at: int = 0, refusing: str = "") -> Any:
    """The world of an example as it was left, or a new one."""
    guard = Kept(refusing=set(refusing.split(",")))
    world = example.World(guard=guard)
    if path.exists():
        facts, records = pickle.loads(path.read_bytes())  # noqa: S301 - our own
        for name, value in facts.items():
            setattr(world, name, value)
        guard.records.update(records)
    guard.keep(world, path, dies_at)
    return world


def carry(name: str, url: str, path: Path, dies_at: int, refusing: str = "") -> Any:
    """Start the run of an example, or take it up; the outcome, and the world."""
    example = importlib.import_module(f"saga_fsm.examples.{name}")
    world = world_of(example, path, dies_at=dies_at, refusing=refusing)
    journal = opened(url, make=True)
    with Orchestrator(example.saga, journal=journal, services=world, lease=0.5, poll=0.02) as one:
        outcome = one.run(example.saga, example.INPUT, run_id="order-1")
    journal.close()
    return outcome, world


if __name__ == "__main__":
    name_, url_, path_, dies_, *rest_ = sys.argv[1:]
    print(carry(name_, url_, Path(path_), int(dies_), *rest_)[0].status.value)
