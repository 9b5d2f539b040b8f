"""
How type checkers see the four words; never imported at run time.

An action is sync or async and may answer ``PENDING``, which is stripped from its result; a
compensation takes ``R | None`` of the action's ``R``, or ``object``; a query takes and answers what
the action does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, Protocol, TypedDict, TypeVar, Unpack, overload

from saga_fsm.definition.context import Context
from saga_fsm.definition.contract import Contract
from saga_fsm.definition.outcomes import Pending
from saga_fsm.definition.policy import Errors, Policy, Retry
from saga_fsm.definition.steps import Step


I = TypeVar("I")  # noqa: E741 - input, services, item, result
S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")
U = TypeVar("U", covariant=True)


class _Options(TypedDict, total=False):
    name: str | None
    retry: Retry | None
    timeout: float | None
    policy: Policy | None
    contract: Contract | None
    rejects: Errors | None
    transient: Errors | None
    reads: str | Iterable[str]
    writes: str | Iterable[str]
    locks: str | Iterable[str]
    commutes_with: str | Iterable[str]
    participant: str | None


class _StepOptions(_Options, total=False):
    compensation_retry: Retry | None
    compensation_timeout: float | None


class _Decorator(Protocol):
    """Takes any action."""

    @overload
    def __call__(
        self, action: Callable[[Context[I, S, T]], Awaitable[R | Pending]], /
    ) -> Step[I, S, T, R]: ...
    @overload
    def __call__(
        self, action: Callable[[Context[I, S, T]], R | Pending], /
    ) -> Step[I, S, T, R]: ...


class _Undone(Protocol, Generic[I, S, T]):
    """Takes an action with the context of its compensation, and any result."""

    @overload
    def __call__(
        self, action: Callable[[Context[I, S, T]], Awaitable[R | Pending]], /
    ) -> Step[I, S, T, R]: ...
    @overload
    def __call__(
        self, action: Callable[[Context[I, S, T]], R | Pending], /
    ) -> Step[I, S, T, R]: ...


class _UndoneOf(Protocol, Generic[I, S, T, U]):
    """Takes an action with the context, and the result, of its compensation."""

    # A compensation alone tells only `R | None`: the None is taken off here.
    @overload
    def __call__(
        self: _UndoneOf[I, S, T, R | None],
        action: Callable[[Context[I, S, T]], Awaitable[R | Pending]],
        /,
    ) -> Step[I, S, T, R]: ...
    @overload
    def __call__(
        self: _UndoneOf[I, S, T, R | None], action: Callable[[Context[I, S, T]], R | Pending], /
    ) -> Step[I, S, T, R]: ...


class _Asked(Protocol, Generic[I, S, T, R]):
    """Takes an action with the context, and the result, of its query."""

    @overload
    def __call__(
        self, action: Callable[[Context[I, S, T]], Awaitable[R | Pending]], /
    ) -> Step[I, S, T, R]: ...
    @overload
    def __call__(
        self, action: Callable[[Context[I, S, T]], R | Pending], /
    ) -> Step[I, S, T, R]: ...


@overload
def step(
    action: Callable[[Context[I, S, T]], Awaitable[R | Pending]],
    /,
    *,
    compensate: Callable[[Context[I, S, T], R | None], object] | None = None,
    query: Callable[[Context[I, S, T]], R | Awaitable[R]] | None = None,
    **options: Unpack[_StepOptions],
) -> Step[I, S, T, R]: ...
@overload
def step(
    action: Callable[[Context[I, S, T]], R | Pending],
    /,
    *,
    compensate: Callable[[Context[I, S, T], R | None], object] | None = None,
    query: Callable[[Context[I, S, T]], R | Awaitable[R]] | None = None,
    **options: Unpack[_StepOptions],
) -> Step[I, S, T, R]: ...
@overload
def step(
    *,
    compensate: Callable[[Context[I, S, T], object], object],
    query: None = None,
    **options: Unpack[_StepOptions],
) -> _Undone[I, S, T]: ...
@overload
def step(
    *,
    compensate: Callable[[Context[I, S, T], R | None], object],
    query: None = None,
    **options: Unpack[_StepOptions],
) -> _UndoneOf[I, S, T, R]: ...
@overload
def step(
    *,
    compensate: Callable[[Context[I, S, T], R | None], object] | None = None,
    query: Callable[[Context[I, S, T]], Awaitable[R]],
    **options: Unpack[_StepOptions],
) -> _Asked[I, S, T, R]: ...
@overload
def step(
    *,
    compensate: Callable[[Context[I, S, T], R | None], object] | None = None,
    query: Callable[[Context[I, S, T]], R],
    **options: Unpack[_StepOptions],
) -> _Asked[I, S, T, R]: ...
@overload
def step(
    *, compensate: None = None, query: None = None, **options: Unpack[_StepOptions]
) -> _Decorator: ...
def step(action: Any = None, /, **options: Any) -> Any:
    """Make a compensatable step."""


class _Maker(Protocol):
    """Makes a step of a kind that has no compensation; a decorator when it is given no action."""

    @overload
    def __call__(
        self,
        action: Callable[[Context[I, S, T]], Awaitable[R | Pending]],
        /,
        *,
        query: Callable[[Context[I, S, T]], R | Awaitable[R]] | None = None,
        **options: Unpack[_Options],
    ) -> Step[I, S, T, R]: ...
    @overload
    def __call__(
        self,
        action: Callable[[Context[I, S, T]], R | Pending],
        /,
        *,
        query: Callable[[Context[I, S, T]], R | Awaitable[R]] | None = None,
        **options: Unpack[_Options],
    ) -> Step[I, S, T, R]: ...
    @overload
    def __call__(
        self, *, query: Callable[[Context[I, S, T]], Awaitable[R]], **options: Unpack[_Options]
    ) -> _Asked[I, S, T, R]: ...
    @overload
    def __call__(
        self, *, query: Callable[[Context[I, S, T]], R], **options: Unpack[_Options]
    ) -> _Asked[I, S, T, R]: ...
    @overload
    def __call__(self, *, query: None = None, **options: Unpack[_Options]) -> _Decorator: ...


pivot: _Maker
retriable: _Maker
readonly: _Maker
