"""The blocks that put steps together: values that know nothing of how they are run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, overload

import attrs

from saga_fsm.definition._refuse import check_callable, refused, said
from saga_fsm.definition._variables import Input, Item, Services, padded
from saga_fsm.definition._where import where
from saga_fsm.definition.context import Context
from saga_fsm.definition.outcomes import SKIP, Skip
from saga_fsm.errors import DefinitionError, EmptySagaError


if TYPE_CHECKING:
    from saga_fsm.definition.saga import Saga

__all__ = [
    "SKIP",
    "Alternatives",
    "Block",
    "Choice",
    "Each",
    "Given",
    "Parallel",
    "alternatives",
    "callable_name",
    "choice",
    "each",
    "parallel",
]

I = TypeVar("I")  # noqa: E741 - input, services, item
S = TypeVar("S")
T = TypeVar("T")
I2 = TypeVar("I2")
S2 = TypeVar("S2")
T2 = TypeVar("T2")
I3 = TypeVar("I3")
S3 = TypeVar("S3")
T3 = TypeVar("T3")
X = TypeVar("X")


class Block(Generic[Input, Services, Item]):
    """
    Anything that may stand in a saga; what needs less of the context fits everywhere.

    Contravariant in the input, the services and the item that its steps are given.
    """

    __slots__ = ()

    if not TYPE_CHECKING:

        def __class_getitem__(cls, given: Any) -> Any:
            return super().__class_getitem__(padded(cls, given))


#: What a chooser may answer; what is no label of its choice is ``otherwise``.
Label: TypeAlias = str | bool | None
Branch: TypeAlias = tuple[str, "Block[Any, Any, Any] | Skip"]


@attrs.frozen(eq=False)
class Parallel(Block[Input, Services, Item]):
    """Branches that run at the same time and are undone at the same time."""

    blocks: tuple[Block[Any, Any, Any], ...]


@attrs.frozen(eq=False)
class Choice(Block[Input, Services, Item]):
    """One branch of several, by the label that a chooser answers; ``otherwise`` stands last."""

    chooser: Callable[..., object]
    branches: tuple[Branch, ...]
    name: str
    named: bool = False


@attrs.frozen(eq=False)
class Alternatives(Block[Input, Services, Item]):
    """Blocks that are tried in order until one succeeds."""

    blocks: tuple[Block[Any, Any, Any], ...]
    name: str = "alternatives"


@attrs.frozen(eq=False)
class Each(Block[Input, Services, Item]):
    """One copy of a block per item."""

    items: Callable[..., object]
    block: Block[Any, Any, Any]
    max_items: int
    concurrent: bool
    name: str


@attrs.frozen(eq=False)
class Given(Block[Input, Services, Item]):
    """A nested saga with an input of its own."""

    saga: Saga[Any, Any, Any]
    given: Callable[..., object]

    @property
    def name(self) -> str:
        """The saga's name."""
        return self.saga.name


# Blocks that need different parts of the services make one that needs all of them. Python has no
# intersection to say so; a union of contravariant types is one, which the named saga then settles.
@overload
def parallel(*blocks: Block[I, S, T]) -> Parallel[I, S, T]: ...
@overload
def parallel(
    first: Block[I, S, T], second: Block[I2, S2, T2], /
) -> Parallel[I, S, T] | Parallel[I2, S2, T2]: ...
@overload
def parallel(
    first: Block[I, S, T], second: Block[I2, S2, T2], /, *blocks: Block[I3, S3, T3]
) -> Parallel[I, S, T] | Parallel[I2, S2, T2] | Parallel[I3, S3, T3]: ...
def parallel(*blocks: Block[Any, Any, Any]) -> Parallel[Any, Any, Any]:
    """
    Run blocks at the same time; undo them at the same time.

    Raises:
        DefinitionError: there is none, or one that is no block.
    """
    return Parallel(_blocks("parallel", blocks))


@overload
def alternatives(*blocks: Block[I, S, T], name: str = "alternatives") -> Alternatives[I, S, T]: ...
@overload
def alternatives(
    first: Block[I, S, T], second: Block[I2, S2, T2], /, *, name: str = "alternatives"
) -> Alternatives[I, S, T] | Alternatives[I2, S2, T2]: ...
@overload
def alternatives(
    first: Block[I, S, T],
    second: Block[I2, S2, T2],
    /,
    *blocks: Block[I3, S3, T3],
    name: str = "alternatives",
) -> Alternatives[I, S, T] | Alternatives[I2, S2, T2] | Alternatives[I3, S3, T3]: ...
def alternatives(
    *blocks: Block[Any, Any, Any], name: str = "alternatives"
) -> Alternatives[Any, Any, Any]:
    """
    Try blocks in order; each that fails is undone before the next begins.

    Args:
        blocks: the first that succeeds is the one taken.
        name: the block's path.

    Raises:
        DefinitionError: there is none, or one that is no block.
    """
    return Alternatives(_blocks("alternatives", blocks), name)


@overload
def choice(
    chooser: Callable[[Context[I, S, T]], Label | Awaitable[Label]],
    /,
    *,
    otherwise: Block[I, S, T] | Skip,
    name: str | None = None,
    **blocks: Block[I, S, T] | Skip,
) -> Choice[I, S, T]: ...
@overload
def choice(
    chooser: Callable[[Context[I, S, T]], Label | Awaitable[Label]],
    /,
    *,
    otherwise: Skip,
    name: str | None = None,
    **blocks: Block[I2, S2, T2] | Skip,
) -> Choice[I, S, T] | Choice[I2, S2, T2]: ...
@overload
def choice(
    chooser: Callable[[Context[I, S, T]], Label | Awaitable[Label]],
    /,
    *,
    otherwise: Block[I2, S2, T2],
    name: str | None = None,
    **blocks: Block[I3, S3, T3] | Skip,
) -> Choice[I, S, T] | Choice[I2, S2, T2] | Choice[I3, S3, T3]: ...
def choice(
    chooser: Callable[..., object],
    /,
    *,
    otherwise: Block[Any, Any, Any] | Skip | None = None,
    name: str | None = None,
    **blocks: Block[Any, Any, Any] | Skip,
) -> Choice[Any, Any, Any]:
    """
    Take the branch whose label ``chooser(ctx)`` answers; ``True`` is ``yes``, ``False`` is ``no``.

    Args:
        chooser: decides once; what it answers is journalled.
        otherwise: for every other answer; compulsory, ``SKIP`` to do nothing.
        name: the choice's path; default: the chooser's name.
        blocks: a block, or ``SKIP``, for each label.

    Raises:
        DefinitionError: W9, there is no ``otherwise``.
    """
    called = name or callable_name(chooser, "choice")
    if otherwise is None:
        raise refused(
            f"choice '{called}' says nothing for an answer that it does not expect",
            "Give otherwise=, a block or SKIP to do nothing.",
            rule="W9",
            step=called,
        )
    remedy = "Give a function of the context that answers a label."
    check_callable(f"the chooser of choice '{called}'", chooser, remedy)
    for label, block in blocks.items():
        if not isinstance(block, Block | Skip):
            raise no_block(f"branch '{label}' of choice '{called}'", block)
    if not isinstance(otherwise, Block | Skip):
        raise no_block(f"otherwise of choice '{called}'", otherwise)
    return Choice(chooser, (*blocks.items(), ("otherwise", otherwise)), called, name is not None)


@overload
def each(
    items: Callable[[Context[I, S, T]], Iterable[X] | Awaitable[Iterable[X]]],
    block: Block[I, S, X],
    /,
    *,
    max_items: int,
    concurrent: bool = False,
    name: str | None = None,
) -> Each[I, S, T]: ...
@overload
def each(
    items: Callable[[Context[I, S, T]], Iterable[X] | Awaitable[Iterable[X]]],
    block: Block[I2, S2, X],
    /,
    *,
    max_items: int,
    concurrent: bool = False,
    name: str | None = None,
) -> Each[I, S, T] | Each[I2, S2, object]: ...
def each(
    items: Callable[..., object],
    block: Block[Any, Any, Any],
    /,
    *,
    max_items: Any,
    concurrent: bool = False,
    name: str | None = None,
) -> Each[Any, Any, Any]:
    """
    Repeat a block for each item; ``ctx.item`` and ``ctx.index`` tell the copies apart.

    Args:
        items: gives the items, once; what it answers is journalled.
        block: the block to repeat.
        max_items: more are rejected before any effect; keeps the machine finite.
        concurrent: all copies at the same time, not one after the other.
        name: the block's path; default: the repeated block's name.

    Raises:
        DefinitionError: ``max_items`` is below 1.
    """
    if not isinstance(block, Block):
        raise no_block("each()", block)
    called = name or str(getattr(block, "name", "each"))
    if not isinstance(max_items, int) or max_items < 1:
        raise refused(
            f"each '{called}' has max_items={max_items!r}",
            "Give the largest number of items that a run may have, 1 or more.",
            step=called,
        )
    remedy = "Give a function of the context that answers the items."
    check_callable(f"the first argument of each '{called}'", items, remedy)
    return Each(items, block, max_items, concurrent, called)


def callable_name(function: object, unnamed: str) -> str:
    """Name of a function, or of the function inside a partial; another word for a lambda."""
    function = getattr(function, "func", function)
    name = str(getattr(function, "__name__", type(function).__name__))
    return unnamed if name == "<lambda>" else name


def _blocks(word: str, blocks: tuple[Any, ...]) -> tuple[Block[Any, Any, Any], ...]:
    if not blocks:
        file, line = where()
        raise EmptySagaError(
            message=f"{word}() holds no block",
            file=file,
            line=line,
            remedy=f"Give the blocks as arguments; a list has a star: {word}(*blocks).",
        )
    for block in blocks:
        if not isinstance(block, Block):
            raise no_block(f"{word}()", block)
    return blocks


def no_block(holder: str, value: object) -> DefinitionError:
    """The error for what stands where a block should."""
    remedy = "Wrap a function in step, pivot, retriable or readonly."
    if isinstance(value, list | tuple):
        remedy = "Give the blocks one by one; a list has a star: *blocks."
    return refused(f"{holder} holds {said(value)}, which is no block", remedy)
