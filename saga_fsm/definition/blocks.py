"""What a saga is made of beside its steps: parallel, choice, alternatives, each, given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic

import attrs
from typing_extensions import TypeVar

from saga_fsm.definition.context import Context
from saga_fsm.definition.kinds import Kind
from saga_fsm.definition.outcomes import SKIP, Skip
from saga_fsm.definition.where import called_from
from saga_fsm.errors import DefinitionError, EmptySagaError


Input = TypeVar("Input", contravariant=True, default=Any)
Services = TypeVar("Services", contravariant=True, default=Any)
Item = TypeVar("Item", contravariant=True, default=Any)
I = TypeVar("I", default=Any)  # noqa: E741 - beside Input, in functions
S = TypeVar("S", default=Any)
T = TypeVar("T", default=Any)
N = TypeVar("N", default=Any)


class Block(Generic[Input, Services, Item]):
    """
    A part of a saga; a block that needs less of the context fits everywhere.

    Steps, sagas and the values that ``parallel``, ``choice``, ``alternatives`` and ``each`` give.
    """

    @property
    def parts(self) -> tuple[Block[Any, Any, Any], ...]:
        """The blocks inside."""
        return ()

    def holds(self, kinds: frozenset[Kind]) -> bool:
        """Whether a step of one of these kinds is inside, for who is outside."""
        return any(part.holds(kinds) for part in self.parts)


def _block(value: object, where: str) -> Any:
    if not isinstance(value, Block):
        raise DefinitionError(
            message=f"{where} holds {value!r}, which is not a block",
            remedy="Wrap a function as step(f, compensate=g), pivot(f), retriable(f) or readonly(f).",
        )
    return value


def blocks_of(values: Sequence[object], where: str) -> tuple[Block[Any, Any, Any], ...]:
    """Check that all are blocks, and that there is one."""
    if not values:
        raise EmptySagaError(message=f"{where} is empty", remedy="Give it at least one block.")
    return tuple(_block(value, where) for value in values)


@attrs.frozen(eq=False)
class Parallel(Block[Input, Services, Item]):
    """Branches that run at the same time."""

    blocks: tuple[Block[Any, Any, Any], ...]

    @property
    def parts(self) -> tuple[Block[Any, Any, Any], ...]:
        """The branches."""
        return self.blocks


@attrs.frozen(eq=False)
class Choice(Block[Input, Services, Item]):
    """One branch by its label, ``otherwise`` last."""

    chooser: Callable[[Any], object]
    branches: tuple[tuple[str, Block[Any, Any, Any] | Skip], ...]
    name: str

    @property
    def parts(self) -> tuple[Block[Any, Any, Any], ...]:
        """The branches that are not SKIP."""
        return tuple(branch for _, branch in self.branches if isinstance(branch, Block))


@attrs.frozen(eq=False)
class Alternatives(Block[Input, Services, Item]):
    """Blocks tried in order until one is done."""

    blocks: tuple[Block[Any, Any, Any], ...]
    name: str = "alternatives"

    @property
    def parts(self) -> tuple[Block[Any, Any, Any], ...]:
        """The alternatives, in order."""
        return self.blocks


@attrs.frozen(eq=False)
class Each(Block[Input, Services, Item]):
    """One copy of a block per item."""

    items: Callable[[Any], Sequence[Any]]
    block: Block[Any, Any, Any]
    max_items: int
    concurrent: bool
    name: str

    @property
    def parts(self) -> tuple[Block[Any, Any, Any], ...]:
        """The block that is repeated."""
        return (self.block,)


@attrs.frozen(eq=False)
class Given(Block[Input, Services, Item]):
    """A nested saga with an input of its own."""

    saga: Block[Any, Any, Any]
    given: Callable[[Any], object]

    @property
    def parts(self) -> tuple[Block[Any, Any, Any], ...]:
        """The nested saga."""
        return (self.saga,)


def parallel(*blocks: Block[I, S, T]) -> Parallel[I, S, T]:
    """
    Run blocks at the same time; the saga goes on when all have ended.

    When one fails, the others stop at their next step boundary, what is in flight is awaited, and
    then all go back at the same time (coordinated interruption, Bruni et al. 2005).
    """
    return Parallel(blocks_of(blocks, "parallel()"))


def choice(
    chooser: Callable[[Context[I, S, T]], object],
    *,
    otherwise: Block[I, S, T] | Skip | None = None,
    **blocks: Block[I, S, T] | Skip,
) -> Choice[I, S, T]:
    """
    Take the block whose label ``chooser(ctx)`` answers; ``True`` is ``yes``, ``False`` is ``no``.

    The answer is journalled, once. An unknown label is ``otherwise``; ``SKIP`` does nothing. A
    chooser that raises is a failure before any effect of the block.

    Raises:
        DefinitionError: W9, there is no ``otherwise``.
    """
    name = getattr(chooser, "__name__", "choice")
    name = "choice" if name == "<lambda>" else name
    if otherwise is None:
        file, line = called_from()
        raise DefinitionError(
            message=f"choice '{name}' has no otherwise=",
            rule="W9",
            step=name,
            file=file,
            line=line,
            remedy="Say what happens for any other answer; otherwise=SKIP does nothing.",
        )
    branches = (*blocks.items(), ("otherwise", otherwise))
    for label, branch in branches:
        if branch is not SKIP:
            _block(branch, f"choice '{name}', label '{label}',")
    return Choice(chooser, branches, name)


def alternatives(*blocks: Block[I, S, T]) -> Alternatives[I, S, T]:
    """
    Try blocks in order: when one fails, what it did is compensated, and then the next starts.

    The saga fails only when the last one does (Garcia-Molina & Salem's save-point, 1987).
    """
    return Alternatives(blocks_of(blocks, "alternatives()"))


def each(
    items: Callable[[Context[I, S, T]], Sequence[N]],
    block: Block[I, S, N],
    *,
    max_items: int,
    concurrent: bool = False,
) -> Each[I, S, T]:
    """
    Run one copy of ``block`` per item of ``items(ctx)``, in order unless concurrent.

    In a copy ``ctx.item`` and ``ctx.index`` (from 0) are set. The number of items is journalled;
    more than ``max_items`` is a failure before any effect of the block.
    """
    _block(block, "each()")
    if not isinstance(max_items, int) or isinstance(max_items, bool) or max_items < 1:
        raise DefinitionError(
            message=f"max_items is {max_items!r}",
            remedy="Give the largest number of items, 1 or more: the machine is finite.",
        )
    name = getattr(block, "name", "each")
    return Each(items, block, max_items, concurrent, name)
