"""
Planted bugs: each a saga and its world with one fault that people make, or one in the library.

They know nothing of the search that has to find them. Each is shown to change behaviour by a scene
written by hand (``shows``), and each has a healthy variant: ``healthy`` where the bug is in a step
or a world, the same without ``plant()`` where it is in the library. ``all_planted`` gives all.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, TypeAlias

import attrs

from saga_fsm import Outcome, Saga


Where: TypeAlias = Literal["step", "world", "compiler", "driver", "journal"]
SagaFactory: TypeAlias = Callable[[], Saga[Any, Any]]
WorldFactory: TypeAlias = Callable[[], Any]


@attrs.frozen
class Planted:
    """
    One bug.

    Args:
        name: unique.
        where: which part is wrong.
        why: in one sentence, what the author thought or forgot.
        saga: makes the saga anew: a machine is compiled once a saga, and a bug of the compiler has
            to be there when it is.
        world: makes what the steps act on.
        input: of the saga.
        consistent: what a sensible user asserts of world and outcome; None: nothing.
        shows: that behaviour differs from the healthy one, in a scene written by hand.
        healthy: saga and world without the bug; None where ``plant`` is the difference.
        plant: puts the bug into the library while it is entered; None for steps and worlds.
        answers: outcomes of pending steps, by name.
    """

    name: str
    where: Where
    why: str
    saga: SagaFactory
    world: WorldFactory
    input: Any
    consistent: Callable[[Any, Outcome[Any]], bool] | None
    shows: Callable[[], bool]
    healthy: tuple[SagaFactory, WorldFactory] | None = None
    plant: Callable[[], AbstractContextManager[object]] | None = None
    answers: dict[Any, Callable[[Any], Any]] | None = None

    def planted(self) -> AbstractContextManager[object]:
        """While this is entered the bug is there."""
        return nullcontext() if self.plant is None else self.plant()

    @property
    def sound(self) -> tuple[SagaFactory, WorldFactory]:
        """The healthy saga and world; for a bug of the library, to be run outside ``planted``."""
        return self.healthy or (self.saga, self.world)


def all_planted() -> tuple[Planted, ...]:
    """Every bug of this package."""
    from tests.quality.planted.library import LIBRARY
    from tests.quality.planted.steps import STEPS

    return (*STEPS, *LIBRARY)
