"""Steps, and the four words that make them: step, pivot, retriable, readonly; and pause."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import attrs

from saga_fsm.definition._refuse import check_callable, check_errors, check_type, said
from saga_fsm.definition._variables import Input, Item, Result, Services, padded
from saga_fsm.definition._where import where
from saga_fsm.definition.blocks import Block, callable_name
from saga_fsm.definition.context import Context
from saga_fsm.definition.contract import CONTRACT, Contract
from saga_fsm.definition.kinds import Kind
from saga_fsm.definition.policy import POLICY, RETRY, Errors, Policy, Retry, seconds
from saga_fsm.errors import DefinitionError


__all__ = ["Step", "pause", "pivot", "readonly", "retriable", "step"]

I = TypeVar("I")  # noqa: E741 - input, services, item
S = TypeVar("S")
T = TypeVar("T")

# Names become paths and event texts: these characters have a meaning there.
_RESERVED = frozenset("/[](),@~")


def may_be_named(name: object) -> bool:
    """Whether this can be a part of paths and events."""
    return isinstance(name, str) and name != "" and _RESERVED.isdisjoint(name)


def _names(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@attrs.frozen(eq=False)
class Step(Block[Input, Services, Item], Generic[Input, Services, Item, Result]):
    """
    One unit of work: an action, and what undoes it.

    A frozen value that can still be called as the function; ``attrs.evolve`` gives the same step
    with other options. None leaves an option to the policy, then to the saga. All durations
    are seconds.

    Args:
        action: called with the context; raises ``Rejected`` or ``Transient``, or answers.
        kind: what becomes of it when the saga turns back.
        name: unique within its saga.
        compensate: undoes the action; called with the context and the action's result, or None.
        retry: attempts of the action.
        compensation_retry: attempts of the compensation.
        timeout: for one attempt of the action.
        compensation_timeout: for one attempt of the compensation.
        policy: options shared with other steps.
        contract: what the participant promises.
        query: answers like the action and never causes the effect.
        rejects: exceptions of the action that mean "surely not".
        transient: exceptions of the action that mean "not this time".
        reads: names of resources that it reads.
        writes: names of resources that it writes.
        locks: names of resources that it holds until the saga is over.
        commutes_with: resources whose writes may come in any order.
        participant: who does it, in a choreography.
        pause_for: of a pause only, the seconds or a function that gives them.
        file: where it was defined.
        line: the line there.
    """

    action: Callable[..., Any]
    kind: Kind = Kind.COMPENSATABLE
    name: str = ""
    compensate: Callable[..., Any] | None = attrs.field(default=None, kw_only=True)
    retry: Retry | None = attrs.field(default=None, kw_only=True)
    compensation_retry: Retry | None = attrs.field(default=None, kw_only=True)
    timeout: float | None = attrs.field(default=None, kw_only=True)
    compensation_timeout: float | None = attrs.field(default=None, kw_only=True)
    policy: Policy | None = attrs.field(default=None, kw_only=True)
    contract: Contract | None = attrs.field(default=None, kw_only=True)
    query: Callable[..., Any] | None = attrs.field(default=None, kw_only=True)
    rejects: Errors | None = attrs.field(default=None, kw_only=True)
    transient: Errors | None = attrs.field(default=None, kw_only=True)
    reads: tuple[str, ...] = attrs.field(default=(), converter=_names, kw_only=True)
    writes: tuple[str, ...] = attrs.field(default=(), converter=_names, kw_only=True)
    locks: tuple[str, ...] = attrs.field(default=(), converter=_names, kw_only=True)
    commutes_with: tuple[str, ...] = attrs.field(default=(), converter=_names, kw_only=True)
    participant: str | None = attrs.field(default=None, kw_only=True)
    pause_for: float | Callable[..., float] | None = attrs.field(default=None, kw_only=True)
    file: str = attrs.field(default="", kw_only=True)
    line: int = attrs.field(default=0, kw_only=True)

    if not TYPE_CHECKING:

        def __class_getitem__(cls, given: Any) -> Any:
            return super().__class_getitem__(padded(cls, given))

    def __attrs_post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", callable_name(self.action, "lambda"))
        if not may_be_named(self.name):
            raise self._wrong(
                f"{said(self.name)} cannot be the name of a step",
                "Names stand in paths and events: leave out / [ ] ( ) , @ and ~.",
                rule="W1",
            )
        if not callable(self.action):
            raise self._wrong(
                f"the action of step '{self.name}' is {said(self.action)}, which cannot be called",
                "Give a function of the context: step(charge, compensate=refund).",
            )
        if isinstance(self.compensate, Step) and self.compensate.compensate is not None:
            raise self._wrong(
                f"the compensation of step '{self.name}' is itself compensated",
                "Give the plain function; an undo is retried, never undone.",
                rule="W1",
            )
        if self.compensate is not None and self.kind is not Kind.COMPENSATABLE:
            raise self._wrong(
                f"{self.kind} step '{self.name}' has a compensation",
                "Only a compensatable step is undone: use step(), or leave compensate= out.",
                rule="W2",
            )
        self._check_options()

    def _check_options(self) -> None:
        of = f"of step '{self.name}'"
        undo = "Give a function of the context and the result, which may be None."
        check_callable(f"the compensation {of}", self.compensate, undo)
        query = "Give a function of the context that answers as the action does."
        check_callable(f"the query {of}", self.query, query)
        check_type(f"retry {of}", self.retry, Retry, RETRY)
        check_type(f"compensation_retry {of}", self.compensation_retry, Retry, RETRY)
        check_type(f"policy {of}", self.policy, Policy, POLICY)
        check_type(f"contract {of}", self.contract, Contract, CONTRACT)
        check_errors(f"rejects {of}", self.rejects)
        check_errors(f"transient {of}", self.transient)
        seconds(f"timeout {of}", self.timeout)
        seconds(f"compensation_timeout {of}", self.compensation_timeout)

    def _wrong(self, message: str, remedy: str, *, rule: str = "") -> DefinitionError:
        return DefinitionError(
            message=message,
            rule=rule,
            step=self.name,
            file=self.file,
            line=self.line,
            remedy=remedy,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the action: a decorated function is still a function."""
        return self.action(*args, **kwargs)

    def __str__(self) -> str:
        """
        Give ``charge -> charge_card <- refund``.

        A step that is not compensatable says its kind instead of a compensation.
        """
        does = callable_name(self.action, "lambda")
        if isinstance(self.pause_for, int | float):
            does = f"{self.pause_for:g} s"
        elif self.pause_for is not None:
            does = callable_name(self.pause_for, "lambda")
        text = f"{self.name} -> {does}"
        if self.compensate is not None:
            return f"{text} <- {callable_name(self.compensate, 'lambda')}"
        return text if self.kind is Kind.COMPENSATABLE else f"{text} ({self.kind})"


def _make(kind: Kind, action: Any, options: dict[str, Any]) -> Any:
    """Make the step, or a decorator that will; the place is where the word was written."""
    file, line = where()
    name = options.pop("name", None) or ""

    def build(function: Callable[..., Any]) -> Any:
        made: Any = Step(function, kind, name, file=file, line=line, **options)
        return made

    return build if action is None else build(action)


# What the checkers see is in _signatures: overloads for sync and async, function and decorator.
if TYPE_CHECKING:
    from saga_fsm.definition._signatures import pivot, readonly, retriable, step
else:

    def step(action: Any = None, /, **options: Any) -> Any:
        """Make a compensatable step: undone by ``compensate=`` when a later step fails."""
        return _make(Kind.COMPENSATABLE, action, options)

    def pivot(action: Any = None, /, **options: Any) -> Any:
        """Make the step that decides that the saga goes through: at most one on every path."""
        return _make(Kind.PIVOT, action, options)

    def retriable(action: Any = None, /, **options: Any) -> Any:
        """Make a step that must happen after the decision, however long it takes."""
        return _make(Kind.RETRIABLE, action, options)

    def readonly(action: Any = None, /, **options: Any) -> Any:
        """Make a step that nobody has to undo: a look-up, a validation, a question."""
        return _make(Kind.READONLY, action, options)


@overload
def pause(duration: float, /, *, name: str = "pause") -> Step[object, object, object, None]: ...
@overload
def pause(
    duration: Callable[[Context[I, S, T]], float], /, *, name: str = "pause"
) -> Step[I, S, T, None]: ...
def pause(
    duration: float | Callable[..., float], /, *, name: str = "pause"
) -> Step[Any, Any, Any, None]:
    """
    Wait: a durable timer, for the machine a read-only step that the clock answers.

    Args:
        duration: seconds, or a function of the context that gives them.
        name: the step's name.
    """
    if not callable(duration):
        seconds(f"the duration of pause '{name}'", duration)
    file, line = where()
    return Step(_nothing, Kind.READONLY, name, pause_for=duration, file=file, line=line)


def _nothing(ctx: object) -> None:
    """The clock answers for it."""
