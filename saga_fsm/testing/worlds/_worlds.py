"""What all worlds have in common: the user's own object, in the same first state for each plan."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from saga_fsm.errors import SagaError
from saga_fsm.testing.worlds._comparing import NotComparableError, frozen


__all__ = ["Worlds", "reused", "snapshot_of"]

W = TypeVar("W")


class Worlds(Generic[W]):
    """
    A factory: each call puts everything back to the first state, and gives the user's world on it.

    What the plan before has left can be looked at until then. As a context manager, or with
    ``close()``, it gives back what it holds: connections, folders, servers.

    Args:
        make: from what the world is given (a connection, a path, a client) to the world.
    """

    #: Whether it lives on when the process dies that acts on it.
    outside = False

    def __init__(self, make: Callable[..., W]) -> None:
        self._make = make
        self._world: W | None = None

    def __call__(self) -> W:
        """
        Give the world of the next plan.

        Raises:
            SagaError: what the plan before did cannot be taken back.
        """
        close = getattr(self._world, "close", None)
        self._world = None
        # An async one belongs to the loop of its steps, which is not ours.
        if callable(close) and not inspect.iscoroutinefunction(close):
            close()
        self.reset()
        return self.again()

    @abstractmethod
    def reset(self) -> None:
        """Put everything back to the first state."""

    @abstractmethod
    def again(self) -> W:
        """Give a world on the state as it stands: what a process finds that was started anew."""

    def close(self) -> None:
        """Give back what is held."""

    def process_died(self) -> None:
        """Take back what nobody has committed, as the end of a process does."""

    def under_way(self) -> Hashable:
        """What is on its way to the world and will come; part of every snapshot."""
        return ()

    def snapshot(self, world: W) -> Hashable:
        """
        Give what two worlds share when nothing tells them apart.

        Raises:
            NotComparableError: of a part of it nobody can say whether it has changed.
        """
        return frozen(world)

    def __getattr__(self, name: str) -> Any:
        if name != "is_consistent" or "_make" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        kind = self._make
        if not isinstance(kind, type):
            kind = type(self._world if self._world is not None else self())
        return getattr(kind, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def snapshot_of(worlds: Any, world: Any) -> Hashable | None:
    """
    Give what two worlds share when nothing tells them apart; None where that cannot be said.

    Args:
        worlds: the factory, ours or the user's own.
        world: what it gave; its own ``snapshot()`` goes before all.
    """
    own = getattr(world, "snapshot", None)
    try:
        if not isinstance(worlds, Worlds):
            return frozen(own() if callable(own) else world)
        stands = frozen(own()) if callable(own) else worlds.snapshot(world)
        return worlds.under_way(), stands
    except NotComparableError:
        return None


def reused(world: W, reset: Callable[[], object] | None = None) -> Callable[[], W]:
    """
    Make a factory of one object, for instance of a fixture's, that is reset between plans.

    Args:
        world: the object.
        reset: puts it back to its first state; default its own ``reset``.

    >>> class Till:
    ...     def __init__(self): self.reset()
    ...     def reset(self): self.money = 0
    >>> next_one = reused(Till())
    >>> next_one().money = 5
    >>> next_one().money
    0

    Raises:
        SagaError: nothing says how to reset it.
    """
    back = reset or getattr(world, "reset", None)
    if not callable(back):
        raise SagaError(
            f"this {type(world).__name__} has no reset(), and one plan would change the next one's"
            "\n  Give it a method reset(), or give a function that makes a new one."
        )

    def give() -> W:
        back()
        return world

    give.is_consistent = getattr(type(world), "is_consistent", None)  # type: ignore[attr-defined]
    return give
