"""Steps: an action, perhaps its compensation, and what holds for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypedDict, overload

import attrs
from typing_extensions import TypeVar, Unpack

from saga_fsm.definition.blocks import Block, I, Input, Item, S, Services, T
from saga_fsm.definition.context import Context
from saga_fsm.definition.contract import Contract
from saga_fsm.definition.kinds import Kind
from saga_fsm.definition.outcomes import Pending
from saga_fsm.definition.policy import Declared, Policy, Retry, seconds
from saga_fsm.definition.where import called_from
from saga_fsm.errors import DefinitionError, PivotOrderError


Result = TypeVar("Result", covariant=True, default=Any)
R = TypeVar("R", default=Any)


class Options(TypedDict, total=False):
    """The keyword options of every kind of step."""

    name: str
    retry: Retry
    compensation_retry: Retry
    timeout: float
    compensation_timeout: float
    policy: Policy
    contract: Contract
    query: Callable[[Any], object]
    rejects: Declared
    transient: Declared
    reads: tuple[str, ...] | str
    writes: tuple[str, ...] | str
    locks: tuple[str, ...] | str
    commutes_with: tuple[str, ...] | str
    participant: str


def _names(value: tuple[str, ...] | str) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@attrs.frozen(eq=False, kw_only=True)
class Step(Block[Input, Services, Item], Generic[Input, Services, Item, Result]):
    """
    One local transaction of a saga, and its compensation.

    Made by ``step``, ``pivot``, ``retriable`` and ``readonly``; can still be called as its action.
    The same with other options: ``attrs.evolve(charge, name="deposit")``.
    """

    action: Callable[[Any], Any]
    kind: Kind
    name: str
    compensate: Callable[[Any, Any], object] | None = None
    retry: Retry | None = None
    compensation_retry: Retry | None = None
    timeout: float | None = attrs.field(default=None, validator=seconds)
    compensation_timeout: float | None = attrs.field(default=None, validator=seconds)
    policy: Policy | None = None
    contract: Contract | None = None
    query: Callable[[Any], object] | None = None
    rejects: Declared | None = None
    transient: Declared | None = None
    reads: tuple[str, ...] = attrs.field(default=(), converter=_names)
    writes: tuple[str, ...] = attrs.field(default=(), converter=_names)
    locks: tuple[str, ...] = attrs.field(default=(), converter=_names)
    commutes_with: tuple[str, ...] = attrs.field(default=(), converter=_names)
    participant: str | None = None
    pause_for: float | Callable[[Any], float] | None = None
    file: str = ""
    line: int = 0

    def __attrs_post_init__(self) -> None:
        check_name(self.name, "a step", self.file, self.line)
        if not callable(self.action):
            raise self._wrong("W1", f"step '{self.name}' is made of {self.action!r}, which is no function")
        if isinstance(self.compensate, Step):
            raise self._wrong(
                "W1",
                f"the compensation of '{self.name}' is itself a step",
                "Give the plain function: a compensation is never itself compensated.",
            )
        if self.kind is Kind.COMPENSATABLE and self.compensate is None:
            raise self._wrong(
                "W2",
                f"step '{self.name}' has no compensate=",
                "Say how it is undone; or, if nobody has to undo it, make it readonly(...); if it "
                "decides that the saga goes through, pivot(...).",
            )
        if self.kind is not Kind.COMPENSATABLE and self.compensate is not None:
            raise self._wrong(
                "W2",
                f"{self.kind.value} step '{self.name}' has a compensate=",
                "Only a step(...) is undone: drop compensate=, or make it a step.",
            )

    def _wrong(self, rule: str, message: str, remedy: str = "") -> DefinitionError:
        kind = PivotOrderError if rule == "W2" else DefinitionError
        return kind(
            message=message,
            rule=rule,
            step=self.name,
            file=self.file,
            line=self.line,
            remedy=remedy,
        )

    def holds(self, kinds: frozenset[Kind]) -> bool:
        """Whether it is of one of these kinds."""
        return self.kind in kinds

    def __call__(self, ctx: Context[Any, Any, Any]) -> Any:
        """Call the action."""
        return self.action(ctx)

    def __str__(self) -> str:
        """``charge -> charge_card <- refund``."""
        text = f"{self.name} -> {_called(self.action)}"
        if self.compensate is not None:
            return f"{text} <- {_called(self.compensate)}"
        return f"{text} ({self.kind.value})"

    __repr__ = __str__


def _called(function: object) -> str:
    return getattr(function, "__name__", type(function).__name__)


def check_name(name: object, what: str, file: str, line: int) -> None:
    """Refuse what cannot be a part of a path (W1)."""
    if not isinstance(name, str) or not name or name.startswith("@") or "/" in name:
        raise DefinitionError(
            message=f"{what} is named {name!r}",
            rule="W1",
            step=str(name),
            file=file,
            line=line,
            remedy="A name is not empty, does not begin with '@' and holds no '/'.",
        )


def _make(kind: Kind, action: Any, options: dict[str, Any]) -> Any:
    file, line = called_from()

    def made(action: Any) -> Any:
        if isinstance(action, Step):
            raise DefinitionError(
                message=f"'{action.name}' is a step already",
                rule="W1",
                step=action.name,
                file=file,
                line=line,
                remedy="For the same step with other options: attrs.evolve(step, name=...).",
            )
        name = options.get("name") or getattr(action, "__name__", type(action).__name__)
        return Step(**{**options, "action": action, "kind": kind, "name": name, "file": file, "line": line})

    return made if action is None else made(action)


@overload
def step(
    action: Callable[[Context[I, S, T]], Awaitable[R | Pending]],
    /,
    *,
    compensate: Callable[[Context[I, S, T], R | None], object] | None = None,
    **options: Unpack[Options],
) -> Step[I, S, T, R]: ...
@overload
def step(
    action: Callable[[Context[I, S, T]], R | Pending],
    /,
    *,
    compensate: Callable[[Context[I, S, T], R | None], object] | None = None,
    **options: Unpack[Options],
) -> Step[I, S, T, R]: ...
@overload
def step(
    *,
    compensate: Callable[[Context[I, S, T], R | None], object],
    **options: Unpack[Options],
) -> Callable[
    [Callable[[Context[I, S, T]], R | Pending | Awaitable[R | Pending]]], Step[I, S, T, R]
]: ...
def step(action: Any = None, /, **options: Any) -> Any:
    """
    Make a compensatable step: it is undone when a later step fails.

    A function, or a decorator when called with options only. ``compensate(ctx, result)`` gets the
    action's result, or None when there is none: an effect that may not have landed is undone too (a
    null compensation). Durations are seconds.

    Raises:
        DefinitionError: W2, there is no ``compensate=``.
    """
    return _make(Kind.COMPENSATABLE, action, options)


@overload
def pivot(
    action: Callable[[Context[I, S, T]], Awaitable[R | Pending]], /, **options: Unpack[Options]
) -> Step[I, S, T, R]: ...
@overload
def pivot(
    action: Callable[[Context[I, S, T]], R | Pending], /, **options: Unpack[Options]
) -> Step[I, S, T, R]: ...
@overload
def pivot(
    **options: Unpack[Options],
) -> Callable[
    [Callable[[Context[I, S, T]], R | Pending | Awaitable[R | Pending]]], Step[I, S, T, R]
]: ...
def pivot(action: Any = None, /, **options: Any) -> Any:
    """Make a pivot: once done, the saga goes through. In doubt it can be neither undone nor skipped."""
    return _make(Kind.PIVOT, action, options)


@overload
def retriable(
    action: Callable[[Context[I, S, T]], Awaitable[R | Pending]], /, **options: Unpack[Options]
) -> Step[I, S, T, R]: ...
@overload
def retriable(
    action: Callable[[Context[I, S, T]], R | Pending], /, **options: Unpack[Options]
) -> Step[I, S, T, R]: ...
@overload
def retriable(
    **options: Unpack[Options],
) -> Callable[
    [Callable[[Context[I, S, T]], R | Pending | Awaitable[R | Pending]]], Step[I, S, T, R]
]: ...
def retriable(action: Any = None, /, **options: Any) -> Any:
    """Make a retriable step: it must happen after the pivot, however long it takes."""
    return _make(Kind.RETRIABLE, action, options)


@overload
def readonly(
    action: Callable[[Context[I, S, T]], Awaitable[R | Pending]], /, **options: Unpack[Options]
) -> Step[I, S, T, R]: ...
@overload
def readonly(
    action: Callable[[Context[I, S, T]], R | Pending], /, **options: Unpack[Options]
) -> Step[I, S, T, R]: ...
@overload
def readonly(
    **options: Unpack[Options],
) -> Callable[
    [Callable[[Context[I, S, T]], R | Pending | Awaitable[R | Pending]]], Step[I, S, T, R]
]: ...
def readonly(action: Any = None, /, **options: Any) -> Any:
    """Make a read-only step: nobody has to undo it, be it a look-up or a question to a person."""
    return _make(Kind.READONLY, action, options)


def pause(
    seconds: float | Callable[[Context[I, S, T]], float], name: str = "pause"
) -> Step[I, S, T, None]:
    """
    Make a durable timer: for the machine a read-only step that the clock answers.

    Args:
        seconds: how long, or a function of the context that says it.
        name: the step's name.
    """
    if not callable(seconds) and (not isinstance(seconds, int | float) or seconds < 0):
        raise DefinitionError(
            message=f"pause '{name}' lasts {seconds!r}",
            step=name,
            remedy="Give seconds, 0 or more, or a function of the context.",
        )
    file, line = called_from()

    def paused(ctx: object) -> None:
        """Nothing to do: the clock answers."""

    return Step(
        action=paused, kind=Kind.READONLY, name=name, pause_for=seconds, file=file, line=line
    )
