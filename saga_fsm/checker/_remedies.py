"""
Countermeasures, as changes: of a saga's definition, or of how a resource is kept.

The six of Frank & Zahle (1998) and Richardson (Microservices Patterns, 4.3), and what helps with
locks. What a change gives is searched like any other; nothing is believed of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import attrs

from saga_fsm.checker._flow import read_results
from saga_fsm.checker._precedence import Precedence
from saga_fsm.definition import Kind, Saga, Step, retriable
from saga_fsm.definition.blocks import Alternatives, Choice, Each, Given, Parallel
from saga_fsm.definition.layout import lay_out
from saga_fsm.definition.steps import may_be_named
from saga_fsm.definition.structure import holds_pivot


AnySaga: TypeAlias = Saga[Any, Any, Any]
AnyStep: TypeAlias = Step[Any, Any, Any, Any]


class NotApplicableError(Exception):
    """A countermeasure cannot be taken here; the message says why."""


class Changed(NamedTuple):
    """
    What is searched with a countermeasure.

    Args:
        sagas: the definitions.
        options: of ``shared``.
    """

    sagas: tuple[AnySaga, ...]
    options: dict[str, Any]


class Remedy(NamedTuple):
    """
    A countermeasure.

    Args:
        name: as the literature calls it.
        says: what it changes; ``{}`` is the resource.
        change: the definitions, and the resource.
    """

    name: str
    says: str
    change: Callable[[Sequence[AnySaga], str], Changed]


def _defined(change: Callable[[AnySaga, str], AnySaga]) -> Callable[..., Changed]:
    """A countermeasure that changes definitions; the runs of one saga stay runs of one."""

    def changed(sagas: Sequence[AnySaga], resource: str) -> Changed:
        made: dict[int, AnySaga] = {}
        for saga in sagas:
            if id(saga) not in made:
                made[id(saga)] = change(saga, resource)
        if all(made[id(saga)] is saga for saga in sagas):
            raise NotApplicableError("it is in place, or there is nothing to change")
        return Changed(tuple(made[id(saga)] for saga in sagas), {})

    return changed


def _lock(saga: AnySaga, resource: str) -> AnySaga:
    """Whoever touches the resource names its lock; a retriable at the end lets go of it."""

    def locked(step: AnyStep) -> AnyStep:
        if not _touches(step, resource) or resource in step.locks:
            return step
        return attrs.evolve(step, locks=(*step.locks, resource))

    return _let_go(rebuilt(saga, locked), resource)


def _let_go(saga: AnySaga, lock: str) -> AnySaga:
    """The same saga; if it takes a lock that no retriable lets go of, with one that does."""
    steps = [step for step in steps_of(saga) if lock in step.locks]
    if any(step.kind is Kind.RETRIABLE for step in steps):
        return saga
    if all(step.kind is not Kind.COMPENSATABLE for step in steps):
        return saga
    name = "release_" + "".join(x if may_be_named(x) else "_" for x in lock)
    while name in {step.name for step in steps_of(saga)}:
        name += "_"
    release: AnyStep = retriable(_release, name=name, locks=lock)
    return attrs.evolve(saga, blocks=(*saga.blocks, release))


def _release(ctx: object) -> None:
    """Stand for the step that lets go of a lock."""


def _commute(saga: AnySaga, resource: str) -> AnySaga:
    """Writes are made so that their order does not matter: an amount is added, not a sum set."""

    def commuting(step: AnyStep) -> AnyStep:
        if resource not in step.writes or resource in step.commutes_with:
            return step
        return attrs.evolve(step, commutes_with=(*step.commutes_with, resource))

    return rebuilt(saga, commuting)


def _behind_the_pivot(saga: AnySaga, resource: str) -> AnySaga:
    """A write that would have to be undone is made when nothing is undone any more."""
    layout = lay_out(saga)
    writers = [
        (path, placed.step)
        for path, placed in layout.steps.items()
        if placed.kind is Kind.COMPENSATABLE and resource in placed.step.writes
    ]
    if not writers:
        return saga
    steps = {id(step): path for path, step in writers}
    blocks = list(saga.blocks)
    pivot = next((n for n, block in enumerate(blocks) if holds_pivot(block)), None)
    if pivot is None:
        raise NotApplicableError(f"'{saga.name}' has no pivot to move the write behind")
    moved = [block for block in blocks[:pivot] if id(block) in steps]
    for path, step in writers:
        if not any(block is step for block in moved):
            raise NotApplicableError(f"'{path}' stands inside another block than the pivot")
        for reader in read_results(layout, path):
            if reader not in layout.steps or not layout.steps[reader].tail:
                raise NotApplicableError(f"'{reader}' needs the result of '{path}' before")
        precedence = Precedence(layout.root.body).before
        for reader, placed in layout.steps.items():
            first = path in precedence[reader].some and not placed.tail
            if first and resource in placed.step.reads:
                raise NotApplicableError(f"'{reader}' reads what '{path}' wrote before")
    late = [attrs.evolve(step, kind=Kind.RETRIABLE, compensate=None) for step in _steps(moved)]
    early = [block for block in blocks[: pivot + 1] if not any(block is x for x in moved)]
    return attrs.evolve(saga, blocks=(*early, *late, *blocks[pivot + 1 :]))


def _steps(blocks: Sequence[Any]) -> list[AnyStep]:
    return [block for block in blocks if isinstance(block, Step)]


def _reread(sagas: Sequence[AnySaga], resource: str) -> Changed:
    return Changed(tuple(sagas), {"reread": frozenset({resource})})


def _versioned(sagas: Sequence[AnySaga], resource: str) -> Changed:
    return Changed(tuple(sagas), {"versioned": frozenset({resource})})


def _in_turn(sagas: Sequence[AnySaga], _resource: str) -> Changed:
    return Changed(tuple(sagas), {"in_turn": True})


def _all_at_once(saga: AnySaga, locks: str) -> AnySaga:
    """The first step that takes one of these locks takes them all."""
    wanted = tuple(locks.split(", "))
    first = next(
        (x for x in steps_of(saga) if _takes(x) and not set(wanted).isdisjoint(x.locks)), None
    )
    if first is None or set(wanted) <= set(first.locks):
        return saga
    every = (*first.locks, *(x for x in wanted if x not in first.locks))
    changed = rebuilt(saga, lambda x: attrs.evolve(x, locks=every) if x is first else x)
    for lock in wanted:
        changed = _let_go(changed, lock)
    return changed


def _takes(step: AnyStep) -> bool:
    return step.kind is Kind.COMPENSATABLE


def _touches(step: AnyStep, resource: str) -> bool:
    return resource in step.reads or resource in step.writes


ISOLATION = (
    Remedy(
        "semantic lock",
        "each step that reads or writes '{}' names it in locks=, and a last retriable lets it go",
        _defined(_lock),
    ),
    Remedy(
        "commutative updates",
        "each step that writes '{}' says commutes_with=: it adds and takes away, whatever is there",
        _defined(_commute),
    ),
    Remedy(
        "pessimistic view",
        "what would have to be undone in '{}' is written behind the pivot, by a retriable step",
        _defined(_behind_the_pivot),
    ),
    Remedy(
        "reread value",
        "before it lands, a step looks whether '{}' is as its run last saw it, and else refuses",
        _reread,
    ),
    Remedy(
        "version file",
        "'{}' is a log of entries: an undo takes its own out, and only final ones are read",
        _versioned,
    ),
    Remedy(
        "by value",
        "runs that meet on '{}' are too risky for a saga: one after the other",
        _in_turn,
    ),
)
DEADLOCK = (
    Remedy(
        "all locks at once", "who takes one of {} takes all of them then", _defined(_all_at_once)
    ),
    Remedy("by value", "runs that meet on {} go one after the other", _in_turn),
)
HELD = (Remedy("release", "a last retriable step names '{}' in locks=", _defined(_let_go)),)
REMEDIES = {"deadlock": DEADLOCK, "I11": HELD}


# ---------------------------------------------------------------- definitions


def steps_of(block: Any) -> Iterator[AnyStep]:
    """The steps in a block, in order; a step that stands twice comes twice."""
    if isinstance(block, Step):
        yield block
    for part in _parts(block):
        yield from steps_of(part)


def _parts(block: Any) -> tuple[Any, ...]:
    if isinstance(block, Saga | Parallel | Alternatives):
        return block.blocks
    if isinstance(block, Choice):
        return tuple(part for _, part in block.branches)
    if isinstance(block, Each):
        return (block.block,)
    return (block.saga,) if isinstance(block, Given) else ()


def rebuilt(saga: AnySaga, change: Callable[[AnyStep], AnyStep]) -> AnySaga:
    """The same saga with each step changed; the very same where nothing is."""
    made: AnySaga = _rebuilt(saga, change)
    return made


def _rebuilt(block: Any, change: Callable[[AnyStep], AnyStep]) -> Any:
    if isinstance(block, Step):
        return change(block)
    before = _parts(block)
    after = tuple(_rebuilt(part, change) for part in before)
    if all(new is old for new, old in zip(after, before, strict=True)):
        return block
    if isinstance(block, Choice):
        labels = (label for label, _ in block.branches)
        return attrs.evolve(block, branches=tuple(zip(labels, after, strict=True)))
    if isinstance(block, Each):
        return attrs.evolve(block, block=after[0])
    if isinstance(block, Given):
        return attrs.evolve(block, saga=after[0])
    return attrs.evolve(block, blocks=after)
