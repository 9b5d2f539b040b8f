"""Worlds of plain Python objects: a copy of the first one for each plan."""

from __future__ import annotations

import copy
import pickle
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from typing_extensions import override

from saga_fsm.errors import SagaError
from saga_fsm.testing.worlds._comparing import Comparison, NotComparableError, frozen
from saga_fsm.testing.worlds._worlds import Worlds


__all__ = ["MemoryWorlds", "memory"]

W = TypeVar("W")
_SHARED = (dict, list, set, deque, bytearray)


class MemoryWorlds(Worlds[W]):
    """
    Copies of one world.

    Args:
        make: gives the first one.
    """

    def __init__(self, make: Callable[[], W]) -> None:
        super().__init__(make)
        self._first = make()
        self._copy = _copier(self._first, make)
        self._shared = _shared(self._first)

    @override
    def reset(self) -> None:
        """Look whether the plan before has changed what all worlds share."""
        for kind, name, before in self._shared:
            if frozen(vars(kind)[name]) != before:
                raise SagaError(
                    f"a plan has changed {kind.__qualname__}.{name}, which belongs to the class:"
                    " the next plan would find it changed"
                    f"\n  Make it in __init__: self.{name} = ..."
                )

    @override
    def again(self) -> W:
        self._world = self._copy()
        return self._world


def memory(world: Any) -> MemoryWorlds[Any]:
    """
    Make a factory of worlds in memory: what one plan does, the next one does not see.

    Args:
        world: a class or function without arguments, called once; or the first state itself.

    What a plan leaves in a class, in a list or dictionary of its own, is told as a leak; what it
    leaves in a module cannot be seen.

    >>> shops = memory({"stock": {"bike": 3}})
    >>> shop = shops()
    >>> shop["stock"]["bike"] -= 1
    >>> shops()["stock"]["bike"]
    3

    Raises:
        SagaError: it cannot be copied, and there is no function that makes another; or, later, a
            plan has changed what belongs to a class and so to all worlds.
    """
    if callable(world):
        return MemoryWorlds(world)
    return MemoryWorlds(lambda: copy.deepcopy(world))


def _copier(first: W, make: Callable[[], W]) -> Callable[[], W]:
    """The quickest way to another one that is the same."""
    try:
        stored = pickle.dumps(first)
        again = pickle.loads(stored)  # noqa: S301 - written in the line above
        if frozen(again) == frozen(first):
            return lambda: pickle.loads(stored)  # noqa: S301 - as above
    except Exception:  # noqa: BLE001, S110 - whatever a class says about pickling: it is no must
        pass
    try:
        kept = copy.deepcopy(first)
        copy.deepcopy(kept)
    except Exception:  # noqa: BLE001 - a lock, a socket: then each is made as the first one was
        if make() is first:
            raise SagaError(
                f"this {type(first).__name__} cannot be copied, and one plan would change the"
                " next one's\n  Give a function that makes a new one each time."
            ) from None
        return make
    return lambda: copy.deepcopy(kept)


def _shared(first: Any) -> list[tuple[type, str, Hashable]]:
    """What belongs to the classes of a world and can be changed: by all worlds, if by one."""
    look = Comparison()
    try:
        look.of(first)
    except NotComparableError:
        look.classes.add(type(first))
    kinds = {base for kind in look.classes for base in kind.__mro__}
    found: list[tuple[type, str, Hashable]] = []
    for kind in kinds:
        for name, value in vars(kind).items():
            # Not what Python and attrs keep there.
            if isinstance(value, _SHARED) and not name.startswith("__"):
                try:
                    found.append((kind, name, frozen(value)))
                except NotComparableError:
                    continue
    return sorted(found, key=lambda one: (one[0].__qualname__, one[1]))
