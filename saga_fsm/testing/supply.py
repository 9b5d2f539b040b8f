"""Where the worlds of one plan after another come from."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from saga_fsm.testing.stage import Loop
from saga_fsm.testing.worlds import Worlds, snapshot_of


__all__ = ["Supply"]


class Supply:
    """
    A world for each plan: made anew, or the same one reset.

    A world that has ``reset()`` is made once. One that is a context manager is entered, and left
    when its plan is over. ``reset`` and the factory may be async.

    Args:
        world: a class or factory without arguments, or one world with ``reset()``; None gives None.
        loop: for what is async.

    Raises:
        TypeError: it is neither.
    """

    def __init__(self, world: Any, loop: Loop) -> None:
        if world is not None and not callable(world) and not _resets(world):
            raise TypeError(
                f"world is {type(world).__name__}, which is neither a factory nor has reset()\n"
                "  Every plan needs a fresh world: give the class, or a function that makes one."
            )
        self._make: Callable[[], Any] = world if callable(world) else lambda: world
        self._none = world is None
        self._loop = loop
        self._kept: Any = None
        self._leave: Callable[[], object] | None = None

    def fresh(self) -> Any:
        """Give the world of the next plan; the one before is over."""
        if self._none:
            return None
        if self._kept is not None:
            self._loop.value(self._kept.reset())
            return self._kept
        self.close()
        world = self._entered(self._loop.value(self._make()))
        # What a factory of ours gives, it puts back by itself.
        if _resets(world) and not isinstance(self._make, Worlds):
            self._kept = world
        return world

    def snapshot(self, world: Any) -> Hashable | None:
        """Give what two worlds share that nothing tells apart; None where that cannot be said."""
        return None if self._none else snapshot_of(self._make, world)

    def died(self) -> None:
        """Take back what nobody has committed, as the end of a process does."""
        if isinstance(self._make, Worlds):
            self._make.process_died()

    def close(self) -> None:
        """Leave the last world."""
        leave, self._leave, self._kept = self._leave, None, None
        if leave is not None:
            self._loop.value(leave())

    def _entered(self, made: Any) -> Any:
        kind = type(made)
        if hasattr(kind, "__enter__") and hasattr(kind, "__exit__"):
            self._leave = lambda: kind.__exit__(made, None, None, None)
            return kind.__enter__(made)
        if hasattr(kind, "__aenter__") and hasattr(kind, "__aexit__"):
            self._leave = lambda: kind.__aexit__(made, None, None, None)
            return self._loop.value(kind.__aenter__(made))
        return made


def _resets(world: Any) -> bool:
    return not isinstance(world, type) and callable(getattr(world, "reset", None))
