"""
The structure rules: compensatable, then at most one pivot, then retriable, on every path.

Mehrotra et al. (1992), Zhang et al. (1994): what is built this way can always end. Here are W2, W3,
W4, W14 and the names of W1; W9 is in ``choice`` itself. One walk over a saga's own blocks: a nested
saga was checked when it was made, and has its facts with it, so building is linear.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import attrs

from saga_fsm.definition.blocks import Alternatives, Block, Choice, Each, Given, Parallel
from saga_fsm.definition.kinds import Kind
from saga_fsm.definition.steps import Step
from saga_fsm.errors import DuplicateStepError, PivotOrderError


__all__ = ["Facts", "check_names", "check_order", "facts", "holds_no_return", "holds_pivot"]


@attrs.frozen
class Facts:
    """
    What a block means for its neighbours; each fact is the first step to blame, or None.

    Args:
        pivot: a pivot.
        no_return: a pivot or a retriable.
        unfit: one that is neither retriable nor read-only.
        astray: one that may not stand after a point of no return.
        nested: the pivot is that of a nested saga.
    """

    pivot: Any = None
    no_return: Any = None
    unfit: Any = None
    astray: Any = None
    nested: bool = False


_NONE = Facts()


def holds_pivot(block: Block[Any, Any, Any]) -> bool:
    """Say whether the block commits its saga by a pivot."""
    return facts(block).pivot is not None


def holds_no_return(block: Block[Any, Any, Any]) -> bool:
    """Say whether the block holds a pivot or a retriable, and cannot be taken back as a whole."""
    return facts(block).no_return is not None


def facts(block: Any) -> Facts:
    """
    What a block means for its neighbours.

    Kind inference (W14): a nested saga with a pivot is a pivot; with a compensation for the whole
    it is compensatable, whatever is in it.
    """
    if isinstance(block, Step):
        decides = block.kind is Kind.PIVOT
        final = decides or block.kind is Kind.RETRIABLE
        bad = block if decides or block.kind is Kind.COMPENSATABLE else None
        return Facts(block if decides else None, block if final else None, bad, bad)
    if isinstance(block, Given):
        return facts(block.saga)
    if isinstance(block, Each):
        return facts(block.block)
    if isinstance(block, Alternatives):
        # The last must not fail where nothing can be undone; the others may, the next is tried.
        return attrs.evolve(together(block.blocks), astray=facts(block.blocks[-1]).unfit)
    if isinstance(block, Parallel | Choice):
        return together(children(block))
    own: Facts = block.facts
    return Facts(None, None, block, block) if block.compensate is not None else own


def together(blocks: Iterable[Any]) -> Facts:
    """Join the facts of several blocks: of each kind the first."""
    pivot = no_return = unfit = astray = None
    nested = False
    for block in blocks:
        one = facts(block)
        if pivot is None and one.pivot is not None:
            pivot, nested = one.pivot, one.nested
        no_return = no_return if no_return is not None else one.no_return
        unfit = unfit if unfit is not None else one.unfit
        astray = astray if astray is not None else one.astray
    return Facts(pivot, no_return, unfit, astray, nested)


def children(block: Any) -> tuple[Any, ...]:
    """The blocks directly in a block; none for a step or a saga, whose names are its own affair."""
    if isinstance(block, Parallel | Alternatives):
        return block.blocks
    if isinstance(block, Choice):
        return tuple(branch for _, branch in block.branches if isinstance(branch, Block))
    return (block.block,) if isinstance(block, Each) else ()


def check_names(saga: Any) -> None:
    """W1: the steps and sagas of a saga have names that differ."""
    seen: dict[str, int] = {}
    for number, block in enumerate(_named(saga.blocks), 1):
        if block.name in seen:
            first = seen[block.name]
            raise DuplicateStepError(
                message=(
                    f"saga '{saga.name}' already has a step '{block.name}' "
                    f"(it is step {first}; you are adding step {number})"
                ),
                rule="W1",
                saga=saga.name,
                step=block.name,
                remedy=(
                    f"Step names become states ('{block.name}.pending', '{block.name}.done'), so "
                    "they must differ: give one another name=."
                ),
                picture=_picture(list(_named(saga.blocks)), first, number),
                **_place(block, saga),
            )
        seen[block.name] = number


def _picture(blocks: list[Any], *numbers: int) -> tuple[str, ...]:
    """The steps with these numbers among their neighbours, in columns."""
    shown = sorted(
        {n + near for n in numbers for near in (-1, 0, 1)} & {*range(1, len(blocks) + 1)}
    )
    rows = [str(blocks[n - 1]).partition("\n")[0].partition(" -> ") for n in shown]
    name_width = max((len(name) for name, arrow, _ in rows if arrow), default=0)
    action_width = max(len(rest.partition(" <- ")[0]) for _, _, rest in rows)
    lines: list[str] = []
    before = 0
    for number, (name, arrow, rest) in zip(shown, rows, strict=True):
        if number > before + 1:
            lines.append("...")
        action, undone, undo = rest.partition(" <- ")
        text = f"{name:{name_width}}{arrow}{action:{action_width}}{undone}{undo}"
        lines.append(text.rstrip())
        before = number
    return (*lines, "...") if before < len(blocks) else tuple(lines)


def _named(blocks: Iterable[Any]) -> Iterator[Any]:
    for block in blocks:
        inside = children(block)
        if inside:
            yield from _named(inside)
        else:
            yield block


def check_order(saga: Any) -> None:
    """W2, W3, W4 and W14, from the first block to the last."""
    passed: Facts = _NONE
    for block in saga.blocks:
        own = facts(block)
        if passed.no_return is not None and own.astray is not None:
            raise _too_late(saga, passed, own)
        _check_inside(saga, block, tail=passed.no_return is not None)
        if passed.no_return is None:
            passed = own


def _check_inside(saga: Any, block: Any, *, tail: bool) -> None:
    if isinstance(block, Step):
        if block.kind is Kind.COMPENSATABLE and block.compensate is None:
            raise _wrong(
                saga,
                "W2",
                block,
                f"step '{block.name}' has no compensation and could not be taken back",
                "Give compensate=, or say that it is readonly, the pivot, or retriable.",
            )
        return
    if isinstance(block, Alternatives):
        for option in block.blocks:
            _check_inside(saga, option, tail=tail and option is block.blocks[-1])
        return
    for child in children(block):
        _check_inside(saga, child, tail=tail)
    if tail:
        return
    if isinstance(block, Parallel):
        _check_beside(saga, [facts(branch) for branch in block.blocks])
    if isinstance(block, Each) and block.max_items > 1:
        copy = facts(block.block)
        if block.concurrent:
            _check_beside(saga, [copy, copy])
        elif copy.no_return is not None and copy.astray is not None:
            raise _too_late(saga, copy, copy, again=True)


def _check_beside(saga: Any, branches: list[Facts]) -> None:
    """W4: a pivot, or a retriable, suffers only retriable and read-only steps beside it."""
    pivots = [branch for branch in branches if branch.pivot is not None]
    for one, other in pairwise(pivots):
        raise _two_pivots(saga, one, other)
    final = pivots or [branch for branch in branches if branch.no_return is not None]
    for branch in branches:
        beside = [x for x in final if x is not branch] or (final[1:] if branch in final else [])
        if beside and branch.unfit is not None:
            fixed = beside[0].no_return
            raise _wrong(
                saga,
                "W4",
                branch.unfit,
                f"step '{branch.unfit.name}' stands beside {_kind(fixed)} '{fixed.name}', which "
                "cannot be taken back when it fails",
                "Beside a pivot or a retriable only retriable and readonly steps may stand: move "
                "it before the parallel block.",
            )


def _too_late(saga: Any, before: Facts, own: Facts, *, again: bool = False) -> PivotOrderError:
    late = own.astray
    if before.pivot is not None and own.pivot is late:
        return _two_pivots(saga, before, own)
    first = before.no_return
    text = f"{_kind(late)} step '{late.name}' comes after {_kind(first)} '{first.name}'"
    if again:
        text += " of the item before"
        remedy = "Repeat what can be undone, and what cannot in another each behind it."
    elif own.pivot is late:
        remedy = f"Move '{first.name}' behind the pivot, or give it a compensation: step()."
    else:
        remedy = (
            f"Move it before '{first.name}', or make it retriable, or alternatives that end in "
            "a retriable."
        )
    return _wrong(saga, "W3", late, text, remedy)


def _two_pivots(saga: Any, one: Facts, other: Facts) -> PivotOrderError:
    nested = one.nested or other.nested
    first, second = one.pivot, other.pivot
    text = f"step '{second.name}' would be a second pivot beside or after '{first.name}'"
    if first is second:
        text = f"the pivot '{first.name}' could be taken more than once"
    remedy = "Keep one pivot on every path; what comes after it is retriable."
    if nested:
        text += ": the pivot of a nested saga is one of its parent"
        remedy += " Or give the nested saga compensate= for the whole."
    return _wrong(saga, "W14" if nested else "W4", second, text, remedy)


def _kind(block: Any) -> str:
    return str(block.kind) if isinstance(block, Step) else "compensatable"


def _wrong(saga: Any, rule: str, block: Any, message: str, remedy: str) -> PivotOrderError:
    return PivotOrderError(
        message=f"saga '{saga.name}': {message}",
        rule=rule,
        saga=saga.name,
        step=block.name,
        remedy=remedy,
        **_place(block, saga, own=rule == "W2"),
    )


def _place(block: Any, saga: Any, *, own: bool = False) -> dict[str, Any]:
    # A step written in the saga's own text is the place; one made elsewhere is only used here,
    # and to blame itself where it is wrong in any saga.
    inline = getattr(block, "file", "") == saga.file and block.line >= saga.line
    at = block if inline or (own and block.file) else saga
    return {"file": at.file, "line": at.line}
