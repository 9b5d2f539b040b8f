"""
What a laid out saga consists of: each block at its path, every option resolved.

``layout`` makes these values; every reader (compiler, driver, checker, drawing) starts from them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

from saga_fsm.definition.contract import Contract
from saga_fsm.definition.kinds import Kind
from saga_fsm.definition.policy import Retry
from saga_fsm.definition.saga import Saga
from saga_fsm.definition.steps import Step
from saga_fsm.errors import UnknownStepError


ROOT = "@saga"
Copies: TypeAlias = tuple[tuple[str, int], ...]
Matcher: TypeAlias = Callable[[BaseException], bool] | None


@attrs.frozen
class PlacedStep:
    """
    A step at its path, every option resolved.

    Args:
        tail: it follows, or stands beside, a point of no return of its scope.
        gated: it stands beside the branch with the pivot and starts when that is done.
        copies: the (each, index) pairs around it, outermost first.

    """

    path: str
    step: Step[Any, Any, Any, Any]
    scope: str
    tail: bool
    gated: bool
    retry: Retry
    compensation_retry: Retry
    timeout: float | None
    compensation_timeout: float | None
    rejects: Matcher
    transient: Matcher
    contract: Contract
    copies: Copies = ()

    @property
    def kind(self) -> Kind:
        """The kind the step was declared with."""
        return self.step.kind


@attrs.frozen
class PlacedScope:
    """The root saga, a nested saga or an alternative: what turns back as one."""

    path: str
    saga: Saga[Any, Any] | None
    parent: str | None
    body: tuple[Placed, ...]
    tail: bool
    gated: bool
    deadline: float | None
    compensate: Callable[..., object] | None
    compensation_retry: Retry
    compensation_timeout: float | None
    contract: Contract
    given: PlacedChoice | None = None
    copies: Copies = ()


@attrs.frozen
class PlacedParallel:
    """Branches that run at the same time."""

    branches: tuple[Placed, ...]


@attrs.frozen
class PlacedChoice:
    """A choice, or a nested saga's ``given``; a branch that is None does nothing."""

    path: str
    chooser: Callable[..., object]
    branches: tuple[tuple[str, Placed | None], ...]
    scope: str
    tail: bool
    gated: bool
    copies: Copies = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, ``otherwise`` last."""
        return tuple(label for label, _ in self.branches)


@attrs.frozen
class PlacedEach:
    """One copy of a block per item, at most ``len(copies)``."""

    path: str
    items: Callable[..., object]
    body: tuple[Placed, ...]
    concurrent: bool
    scope: str
    tail: bool
    gated: bool
    copies: Copies = ()


@attrs.frozen
class PlacedAlternatives:
    """Scopes tried in order."""

    path: str
    options: tuple[PlacedScope, ...]
    scope: str
    tail: bool
    gated: bool


Placed: TypeAlias = (
    PlacedStep | PlacedScope | PlacedParallel | PlacedChoice | PlacedEach | PlacedAlternatives
)


@attrs.frozen(eq=False)
class Layout:
    """All that is placed, by path, in definition order."""

    saga: Saga[Any, Any]
    root: PlacedScope
    steps: dict[str, PlacedStep]
    decisions: dict[str, PlacedChoice | PlacedEach]
    alternatives: dict[str, PlacedAlternatives]
    scopes: dict[str, PlacedScope]
    _by_value: dict[int, list[str]]

    def find(self, step: object, within: str = "") -> str:
        """
        The path of a step or nested saga, by its value, its path, its name or its function.

        ``within`` is the path of who asks: what stands nearest to it is meant first, so that in a
        copy the step of this copy is found.

        Raises:
            UnknownStepError: there is none, or several that are equally near.

        """
        if isinstance(step, str):
            if step in self.steps or step in self.scopes or step in self.decisions:
                return step
            found = [
                path
                for path in (*self.steps, *self.scopes, *self.decisions)
                if _plain(path.rpartition("/")[2]) == step or _plain(path) == step
            ]
        else:
            found = self._by_value.get(id(step)) or [
                path for path, placed in self.steps.items() if placed.step.action is step
            ]
        if len(found) > 1:
            nearest = max(_nearness(path, within) for path in found)
            found = [path for path in found if _nearness(path, within) == nearest]
        if len(found) != 1:
            name = step if isinstance(step, str) else _called(step)
            raise UnknownStepError(
                saga=self.saga.name, step=str(name), found=tuple(found), known=tuple(self.steps)
            )
        return found[0]


def _called(step: object) -> str:
    return str(getattr(step, "name", getattr(step, "__name__", repr(step))))


def _plain(path: str) -> str:
    return path.partition("[")[0] if path.endswith("]") else path


def _nearness(path: str, within: str) -> tuple[int, int]:
    """How much of two paths is shared: whole parts first, then the copy's index."""
    shared = 0
    mine, theirs = path.split("/"), within.split("/")
    for one, other in zip(mine, theirs, strict=False):
        if one != other:
            break
        shared += 1
    index, asked = (mine[-1].rpartition("[")[1:], theirs[-1].rpartition("[")[1:])
    return shared, int(bool(index[0]) and index == asked)
