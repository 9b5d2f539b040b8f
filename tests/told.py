"""A driver by itself, told what happened: short sagas, and what is read of its answers."""

from __future__ import annotations

from typing import Any

from saga_fsm import GUARDED, Saga, pivot, retriable, step
from saga_fsm.ports import Entry
from saga_fsm.runner.commands import Alert, Command, Invoke
from saga_fsm.runner.driver import Driver


def ok(ctx: Any) -> str:
    """Do nothing, well."""
    return "ok"


def undo(ctx: Any, result: Any) -> None:
    """Undo nothing."""


def ask(ctx: Any) -> str:
    """Say that it landed."""
    return "landed"


def C(name: str, **options: Any) -> Any:
    """Make a compensatable step."""
    return step(ok, name=name, compensate=undo, **options)


def P(name: str, **options: Any) -> Any:
    """Make a pivot."""
    return pivot(ok, name=name, **options)


def R(name: str, **options: Any) -> Any:
    """Make a retriable step."""
    return retriable(ok, name=name, **options)


def told(saga: Saga[Any, Any], **options: Any) -> Driver:
    """Make the driver of a saga."""
    given: dict[str, Any] = {
        "input": "in",
        "run_id": "run",
        "services": "shop",
        "answers": {},
        "luck": lambda: 0.5,
    }
    return Driver(saga, **{**given, **options})


def of(*blocks: Any, **options: Any) -> Driver:
    """Make the driver of a saga of these blocks, with every promise."""
    return told(Saga("s", *blocks, contract=GUARDED), **options)


def invoked(commands: list[Command]) -> list[Invoke]:
    """The calls among commands."""
    return [command for command in commands if isinstance(command, Invoke)]


def legs(commands: list[Command]) -> list[Any]:
    """Which calls are asked for."""
    return [one.leg for one in invoked(commands)]


def seen(invoke: Invoke) -> tuple[Any, ...]:
    """What a call is given to know of itself."""
    context = invoke.arguments[0]
    return (context.step, context.attempt, context.input, context.item, context.index)


def events(entries: list[Entry]) -> list[str]:
    """What was written."""
    return [entry.event for entry in entries]


def alerts(commands: list[Command]) -> list[str]:
    """What people are told."""
    return [command.message for command in commands if isinstance(command, Alert)]
