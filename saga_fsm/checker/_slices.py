"""
Slices: a small saga for each step, in which that step stands as it is and the rest is stood in for.

A *slice* of a step keeps what the step can notice: its kind, policies and contract; the scopes
around it with what each has of its own (a compensation for the whole, a deadline, an input); the
decisions that it hangs on; the alternatives that it is one of. Of each scope around it, what comes
before, beside and after it is collapsed to at most one stand-in of each kind: one compensatable
step for any number of compensatable and read-only ones, a pivot for what holds the pivot, one
retriable step for what must be done at last. So a slice is as large as the step is deep, however
large the saga is, and equal slices are made once: 100 equal steps in a row have three *shapes*.

**A saga is safe if each of its slices is**, for this reason. Everything that a row of the machine
asks or writes is of one unit, of its scope (its mode), of its neighbours in that scope (entry: are
they done; drain: is one in flight; undo: are the later ones clean), or of the next scope outwards,
seen as a unit of it. The neighbours are asked in conjunctions alone, so a set of them answers as
one unit does: done when the last is, in flight while one is, clean when all are, failed when one
has. A step without retries takes each of these values at any time, fails at any time, and may give
up its undo, so whatever the neighbours do to the step, in any order, the stand-in does in a run of
the slice in which the step does the same; waits, later attempts and queries of neighbours change
none of these values. What runs meanwhile at the neighbours' participants is not asked by any row:
requests are a soup, per participant, and nothing is shared. What breaks an invariant is then seen
in a slice:

- I1, I2, I3, I6 are about one step's ledger and what is listed of it, at a rest of the run; a rest
  of the whole run is one of the slice. The ledger of a whole is in the slice of each step in it.
- I4: a rest without a cause, or no way to rest, needs a unit that waits for what never comes: for
  its own answers, or for a value of its neighbours that their stand-in never takes; both are in its
  slice. A chooser that fails is in the slices of the steps behind it.
- I5, I7 are about pairs: a step and what comes after it, is in flight beside it, or is the pivot;
  the other one of the pair is in the slice as a stand-in.
- I9 is about the modes of the root, which all slices share with the saga.
- I11 is about a step and the retriables that let go of its lock, wherever they are: no slice holds
  both, so slices do not speak of it. I10 is about the table as it stands, not of runs.

**Only if**: a stand-in can do more than what it stands for. So what a slice breaks by is
looked for in the saga (``_aimed``) and counts only if the saga's own machine takes it. What is
argued, and not proved by a machine, is that the compiler's rows ask no more than said above; tests
compare slices with whole sagas of every block, safe and unsafe.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any, TypeAlias

import attrs

from saga_fsm.definition import (
    GUARDED,
    SKIP,
    Contract,
    Kind,
    Policy,
    Retry,
    Saga,
    alternatives,
    choice,
    each,
    parallel,
)
from saga_fsm.definition.layout import (
    Layout,
    Placed,
    PlacedAlternatives,
    PlacedChoice,
    PlacedEach,
    PlacedParallel,
    PlacedScope,
    PlacedStep,
    lay_out,
)
from saga_fsm.definition.steps import Step


# What a part of a scope holds, as its neighbours see it. MAYBE: a run may pass the pivot, or the
# retriables, by.
Zone: TypeAlias = int
NOTHING, UNDONE, PIVOT, FINAL, MAYBE = 0, 1, 2, 4, 8
_NO_RETURN = PIVOT | FINAL

UNIT = "unit"
_RETRIES = {
    "none": Retry(),
    "bounded": Retry(attempts=2, wait_initial=1.0),
    "forever": Retry.forever(),
}


@attrs.frozen
class Around:
    """
    A scope that a step is in: how it is entered, and what is left and right of the way on.

    Args:
        whole: the bound of its compensation's retries, if it is undone as a whole.
        deadline: whether it has one of its own, or None for what is no saga.
        given: whether it has an input of its own.
        options: as an alternative: whether others come before it, and what those after it hold.
        before: what comes before.
        beside: what runs at the same time.
        after: what comes after.
        decisions: the choice and each blocks that the way leads through, outermost first.
    """

    whole: str | None = None
    deadline: bool | None = False
    given: bool = False
    options: tuple[bool, Zone] | None = None
    before: Zone = NOTHING
    beside: Zone = NOTHING
    after: Zone = NOTHING
    decisions: tuple[str, ...] = ()


@attrs.frozen
class Unit:
    """A step without its name: all that a machine sees of it; a kind of None decides nothing."""

    kind: Kind | None
    retry: str = "none"
    compensation_retry: str = "none"
    contract: Contract = GUARDED
    query: bool = False


@attrs.frozen(cache_hash=True)
class Shape:
    """A slice without names: the scopes from the root inwards, and the step in the last one."""

    around: tuple[Around, ...]
    unit: Unit

    def under(self, contract: Contract) -> Shape:
        """The same slice, the step under another contract."""
        return attrs.evolve(self, unit=attrs.evolve(self.unit, contract=contract))

    def make(self) -> Layout:
        """The slice, laid out: its step is the one at ``UNIT``, or ends in it."""
        return lay_out(Saga("slice", *_blocks(self.around, 0, self.unit)))


def shapes(layout: Layout) -> Iterator[tuple[str, Shape]]:
    """
    The shape of the slice of each step, and of each choice that holds none, by path.

    Linear in the number of blocks, times the depth of scopes.
    """
    yield from _Walk().scope(layout.root, (), Around())


# ---------------------------------------------------------------------- from a layout to shapes


def joined(one: Zone, other: Zone) -> Zone:
    """Both parts together: a pivot is passed by only where both may be."""
    certain = any(part & _NO_RETURN and not part & MAYBE for part in (one, other))
    return (one | other) & ~MAYBE if certain else one | other


class _Walk:
    def __init__(self) -> None:
        self._zones: dict[int, Zone] = {}

    def zone(self, block: Placed) -> Zone:
        """What a block is to its neighbours."""
        known = self._zones.get(id(block))
        if known is None:
            known = self._zones[id(block)] = self._zone(block)
        return known

    def _zone(self, block: Placed) -> Zone:  # noqa: PLR0911 - one a block
        if isinstance(block, PlacedStep):
            if block.kind is Kind.PIVOT:
                return PIVOT
            return FINAL if block.tail else UNDONE
        if isinstance(block, PlacedScope):
            if block.compensate is not None:
                return UNDONE
            return self._all(block.body)
        if isinstance(block, PlacedAlternatives):
            return FINAL if block.tail else self._some(block.options)
        if isinstance(block, PlacedParallel):
            return self._all(block.branches)
        if isinstance(block, PlacedChoice):
            found = self._some(tuple(x for _, x in block.branches if x is not None))
            skipped = any(x is None for _, x in block.branches)
            found |= MAYBE if skipped and found & _NO_RETURN else 0
        else:
            found = self._some(block.body)
            found |= MAYBE if found & _NO_RETURN else 0
        # A chooser fails as a read-only step does.
        return joined(found, FINAL if block.tail else UNDONE)

    def _all(self, blocks: tuple[Placed, ...]) -> Zone:
        found = NOTHING
        for block in blocks:
            found = joined(found, self.zone(block))
        return found

    def _some(self, blocks: tuple[Placed, ...]) -> Zone:
        found, sure = NOTHING, True
        for block in blocks:
            zone = self.zone(block)
            sure = sure and bool(zone & _NO_RETURN) and not zone & MAYBE
            found |= zone
        return found & ~MAYBE if sure or not found & _NO_RETURN else found | MAYBE

    def _others(self, blocks: tuple[Placed, ...]) -> Iterator[tuple[Placed, Zone, Zone]]:
        """Each block, with what those before it and those after it are together."""
        zones = [self.zone(block) for block in blocks]
        before = [NOTHING, *accumulate(zones, joined)]
        after = [*[*accumulate(reversed(zones), joined)][::-1], NOTHING]
        yield from zip(blocks, before, after[1:], strict=False)

    def scope(
        self, scope: PlacedScope, outer: tuple[Around, ...], around: Around
    ) -> Iterator[tuple[str, Shape]]:
        """The slices of all that is in a scope."""
        for block, before, after in self._others(scope.body):
            here = attrs.evolve(around, before=before, after=after)
            yield from self._inside(block, outer, here)

    def _inside(
        self, block: Placed, outer: tuple[Around, ...], here: Around
    ) -> Iterator[tuple[str, Shape]]:
        if isinstance(block, PlacedStep):
            yield block.path, Shape((*outer, here), unit_of(block))
        elif isinstance(block, PlacedScope):
            yield from self.scope(block, (*outer, here), _around(block))
        elif isinstance(block, PlacedParallel):
            yield from self._beside(block.branches, outer, here)
        elif isinstance(block, PlacedChoice):
            inner = attrs.evolve(here, decisions=(*here.decisions, "choice"))
            branches = [branch for _, branch in block.branches if branch is not None]
            if not branches:
                yield block.path, Shape((*outer, inner), Unit(None))
            for branch in branches:
                yield from self._inside(branch, outer, inner)
        elif isinstance(block, PlacedEach):
            yield from self._copies(block, outer, here)
        else:
            for number, (option, _, after) in enumerate(self._others(block.options)):
                # In the tail what is left must be done at last, whichever option does it.
                later = FINAL if after and block.tail else after
                inner = attrs.evolve(_around(option), options=(number > 0, later))
                assert isinstance(option, PlacedScope)  # noqa: S101 - by type of options
                yield from self.scope(option, (*outer, here), inner)

    def _beside(
        self, branches: tuple[Placed, ...], outer: tuple[Around, ...], here: Around
    ) -> Iterator[tuple[str, Shape]]:
        for branch, before, after in self._others(branches):
            beside = joined(here.beside, joined(before, after))
            yield from self._inside(branch, outer, attrs.evolve(here, beside=beside))

    def _copies(
        self, block: PlacedEach, outer: tuple[Around, ...], here: Around
    ) -> Iterator[tuple[str, Shape]]:
        inner = attrs.evolve(here, decisions=(*here.decisions, "each"))
        if block.concurrent:
            yield from self._beside(block.body, outer, inner)
            return
        for copy, before, after in self._others(block.body):
            apart = attrs.evolve(
                inner, before=joined(inner.before, before), after=joined(after, inner.after)
            )
            yield from self._inside(copy, outer, apart)


def _around(scope: Any) -> Around:
    whole = scope.compensation_retry.bound if scope.compensate is not None else None
    deadline = None if scope.saga is None else scope.deadline is not None
    return Around(whole=whole, deadline=deadline, given=scope.given is not None)


def unit_of(placed: PlacedStep) -> Unit:
    """What a machine sees of a step."""
    undone = placed.kind is Kind.COMPENSATABLE
    return Unit(
        kind=placed.kind,
        retry=placed.retry.bound,
        compensation_retry=placed.compensation_retry.bound if undone else "none",
        contract=GUARDED if placed.kind is Kind.READONLY else placed.contract,
        query=placed.step.query is not None,
    )


# ---------------------------------------------------------------------- from a shape to a saga


def act(_: Any) -> Any:
    """Stand in for an action: slices are compiled and never run."""


def undo(_: Any, __: object) -> None:
    """Stand in for a compensation."""


def _made(name: str, unit: Unit) -> Step[Any, Any, Any, Any]:
    undone = unit.kind is Kind.COMPENSATABLE
    return Step(
        act,
        unit.kind or Kind.READONLY,
        name,
        compensate=undo if undone else None,
        retry=_RETRIES[unit.retry],
        compensation_retry=_RETRIES[unit.compensation_retry],
        contract=unit.contract,
        query=act if unit.query else None,
    )


_STANDS = (
    (UNDONE, "c", Unit(Kind.COMPENSATABLE)),
    (PIVOT, "p", Unit(Kind.PIVOT)),
    (FINAL, "r", Unit(Kind.RETRIABLE)),
)


def _stand(zone: Zone, name: str) -> list[Any]:
    """The stand-ins of a part, in the order in which a saga may hold them."""
    return [_made(f"{name}_{letter}", unit) for bit, letter, unit in _STANDS if zone & bit]


def _one(zone: Zone, name: str) -> list[Any]:
    """The stand-in that decides what may be beside a part, and after it: the most final kind."""
    if zone & PIVOT:
        zone = PIVOT | zone & MAYBE
    elif zone & FINAL:
        zone = FINAL | zone & MAYBE
    blocks = _stand(zone, name)
    if zone & MAYBE:
        return [choice(act, yes=blocks[0], otherwise=SKIP, name=f"{name}_maybe")]
    return blocks


def _blocks(around: tuple[Around, ...], depth: int, unit: Unit) -> list[Any]:
    """What a scope of a slice holds."""
    here = around[depth]
    last = depth + 1 == len(around)
    # A choice that holds nothing is decided, and that is all.
    inner: Any = SKIP if unit.kind is None else _made(UNIT, unit)
    if not last:
        inner = _entered(around, depth + 1, unit)
    for number, decision in reversed(list(enumerate(here.decisions))):
        name = f"{decision}_{depth}_{number}"
        if decision == "choice":
            inner = choice(act, yes=inner, otherwise=SKIP, name=name)
        else:
            inner = each(act, inner, max_items=1, name=name)
    beside = _one(here.beside & ~MAYBE, f"beside_{depth}")
    if beside:
        inner = parallel(inner, *beside)
    return [*_one(here.before, f"before_{depth}"), inner, *_stand(here.after, f"after_{depth}")]


def _entered(around: tuple[Around, ...], depth: int, unit: Unit) -> Any:
    """A nested saga, or the alternative that leads on among its like."""
    here = around[depth]
    blocks = _blocks(around, depth, unit)
    if here.deadline is None and len(blocks) == 1:
        inner = blocks[0]
    else:
        policy = Policy(compensation_retry=_RETRIES[here.whole]) if here.whole else None
        inner = Saga(
            f"scope_{depth}",
            *blocks,
            deadline=9.0 if here.deadline else None,
            compensate=undo if here.whole else None,
            policy=policy,
        )
        if here.given:
            inner = inner.given(act)
    if here.options is None:
        return inner
    earlier, later = here.options
    first = _stand(UNDONE, f"earlier_{depth}") if earlier else []
    options = [*first, inner, *_one(later & ~MAYBE, f"later_{depth}")]
    return alternatives(*options, name=f"else_{depth}")
