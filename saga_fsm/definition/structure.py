"""
Structure rules: compensatable, then at most one pivot, then retriable, on every path.

W1 names, W3 and W4 order, W14 nested kinds (semantics.md 1.5 and 1.12). W2 and W9 are checked where
a step and a choice are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from saga_fsm.definition.blocks import Alternatives, Block, Choice, Each, Given, Parallel
from saga_fsm.definition.kinds import Kind
from saga_fsm.definition.steps import Step
from saga_fsm.errors import DefinitionError, DuplicateStepError, PivotOrderError


_PIVOT = frozenset({Kind.PIVOT})
_NO_RETURN = frozenset({Kind.PIVOT, Kind.RETRIABLE})


def holds_pivot(block: Block[Any, Any, Any]) -> bool:
    """Whether a pivot of the enclosing scope is inside."""
    return block.holds(_PIVOT)


def holds_no_return(block: Block[Any, Any, Any]) -> bool:
    """Whether a pivot or a retriable is inside: what follows is the tail."""
    return block.holds(_NO_RETURN)


def only_forward(block: Block[Any, Any, Any]) -> bool:
    """Whether all of it is retriable or read-only, so that it may stand in a tail."""
    if isinstance(block, Step):
        return block.kind in {Kind.RETRIABLE, Kind.READONLY}
    if isinstance(block, Alternatives):
        return only_forward(block.blocks[-1])
    if getattr(block, "compensate", None) is not None:
        return False
    return all(only_forward(part) for part in block.parts)


def named_in(block: Block[Any, Any, Any]) -> Iterator[Any]:
    """The steps and nested sagas whose names stand in the same saga as ``block``."""
    if isinstance(block, Given):
        yield block.saga
    elif isinstance(block, Parallel | Choice | Alternatives | Each):
        for part in block.parts:
            yield from named_in(part)
    else:
        yield block


def check_structure(saga: Any) -> None:
    """
    Check one saga's own structure; what is nested has been checked when it was made.

    Raises:
        DuplicateStepError: W1.
        PivotOrderError: W3, W4, W14.
    """
    _unique_names(saga)
    tail: Block[Any, Any, Any] | None = None
    for block in saga.blocks:
        _check(saga, block, tail)
        if tail is None and holds_no_return(block):
            tail = block


def _unique_names(saga: Any) -> None:
    seen: dict[str, int] = {}
    for number, block in enumerate(
        (named for part in saga.blocks for named in named_in(part)), start=1
    ):
        if block.name in seen:
            raise DuplicateStepError(
                message=(
                    f"saga '{saga.name}' already has '{block.name}' (it is number "
                    f"{seen[block.name]}; you are adding number {number})"
                ),
                rule="W1",
                saga=saga.name,
                step=block.name,
                file=block.file,
                line=block.line,
                remedy="Names become states, so they must differ: "
                f"attrs.evolve({block.name}, name=...).",
            )
        seen[block.name] = number


def _check(saga: Any, block: Block[Any, Any, Any], tail: Block[Any, Any, Any] | None) -> None:
    """Check one block; ``tail`` is the block that ended the way back, if one did."""
    if isinstance(block, Alternatives):
        for option in block.blocks[:-1]:
            _check(saga, option, None)
        _check(saga, block.blocks[-1], tail)
    elif isinstance(block, Choice):
        for part in block.parts:
            _check(saga, part, tail)
    elif tail is not None:
        for unit in named_in(block):
            if not only_forward(unit):
                raise _after(saga, unit, tail)
    elif isinstance(block, Parallel):
        _check_parallel(saga, block)
    elif isinstance(block, Each):
        _check(saga, block.block, None)
        if block.max_items > 1 and holds_no_return(block) and not only_forward(block.block):
            raise _error(
                saga,
                block.block,
                "W4",
                f"each copy of '{block.name}' holds a point of no return, and another copy follows it",
                "At most one pivot on a path: move it behind the each, or give the block a "
                "compensation for the whole.",
            )


def _check_parallel(saga: Any, block: Parallel[Any, Any, Any]) -> None:
    final = [branch for branch in block.blocks if holds_no_return(branch)]
    pivots = [branch for branch in final if holds_pivot(branch)]
    for branch in block.blocks:
        if final and not only_forward(branch) and (len(pivots) > 1 or branch not in pivots):
            raise _error(
                saga,
                next(named_in(branch)),
                "W4",
                f"a branch of parallel() in saga '{saga.name}' could not be taken back beside a "
                "branch that passes the point of no return",
                "Beside a pivot or a retriable step, branches hold only retriable and readonly steps.",
            )
        _check(saga, branch, None)


def _after(saga: Any, unit: Any, tail: Block[Any, Any, Any]) -> DefinitionError:
    first = next(named for named in named_in(tail) if holds_no_return(named))
    pivot = holds_pivot(unit)
    nested = not isinstance(first, Step) or not isinstance(unit, Step)
    rule = "W14" if nested else "W4" if pivot and holds_pivot(first) else "W3"
    return _error(
        saga,
        unit,
        rule,
        f"'{unit.name}' of saga '{saga.name}' stands after '{first.name}', which cannot be taken back",
        "After a pivot or a retriable step come only retriable and readonly steps, or alternatives() "
        "whose last one is: move it before, or make it retriable(...).",
    )


def _error(saga: Any, unit: Any, rule: str, message: str, remedy: str) -> DefinitionError:
    return PivotOrderError(
        message=message,
        rule=rule,
        saga=saga.name,
        step=getattr(unit, "name", ""),
        file=getattr(unit, "file", ""),
        line=getattr(unit, "line", 0),
        remedy=remedy,
    )
