"""
A saga laid out: each block at its path, with the options that hold for it there.

The definition says things once, for many: a saga's contract is that of its steps, an ``each`` is
one block for many items, a nested saga stands under its parent's path. The layout is the same
tree with all of that worked out, and every reader (compiler, driver, checker, drawing) starts
from it.

Paths: ``charge``; in a nested saga ``trip/hotel``; in a copy every top-level name of the
repeated block gets the index: ``charge[0]``, ``line[2]/reserve``; the scopes of alternatives are
``alternatives[0]``, and a saga that is an alternative is that scope itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs

from saga_fsm.definition._refuse import said
from saga_fsm.definition.blocks import Alternatives, Block, Choice, Each, Given, Parallel
from saga_fsm.definition.contract import Contract
from saga_fsm.definition.kinds import Kind
from saga_fsm.definition.outcomes import Skip
from saga_fsm.definition.placed import (
    ROOT,
    Copies,
    Layout,
    Matcher,
    Placed,
    PlacedAlternatives,
    PlacedChoice,
    PlacedEach,
    PlacedParallel,
    PlacedScope,
    PlacedStep,
)
from saga_fsm.definition.policy import Policy, Retry
from saga_fsm.definition.saga import Saga
from saga_fsm.definition.steps import Step
from saga_fsm.definition.structure import children, holds_no_return, holds_pivot
from saga_fsm.errors import DefinitionError


__all__ = [
    "ROOT",
    "Layout",
    "Placed",
    "PlacedAlternatives",
    "PlacedChoice",
    "PlacedEach",
    "PlacedParallel",
    "PlacedScope",
    "PlacedStep",
    "check_saga",
    "lay_out",
    "lay_out_with",
]

_ONCE = Retry()
_FOREVER = Retry.forever(wait_initial=1.0, wait_max=60.0)
_COMPENSATION = Retry(attempts=5, wait_initial=0.2, wait_max=30.0)


@attrs.frozen
class _Here:
    """What a block inherits from what is around it."""

    prefix: str
    scope: str
    suffix: str
    copies: Copies
    tail: bool
    gated: bool
    contract: Contract
    policies: tuple[Policy, ...]


class _Placing:
    """One walk over a saga; fills the layout's indexes as it goes."""

    def __init__(self, contracts: dict[str, Contract]) -> None:
        self.contracts = contracts
        self.steps: dict[str, PlacedStep] = {}
        self.decisions: dict[str, PlacedChoice | PlacedEach] = {}
        self.alternatives: dict[str, PlacedAlternatives] = {}
        self.scopes: dict[str, PlacedScope] = {}
        self.by_value: dict[int, list[str]] = {}
        self.taken: set[str] = set()
        self.sagas: dict[str, Saga[Any, Any]] = {}
        self.names: dict[str, frozenset[tuple[str, int]]] = {}

    # ------------------------------------------------------------------ scopes

    def root(self, saga: Saga[Any, Any]) -> PlacedScope:
        here = _Here("", ROOT, "", (), tail=False, gated=False, contract=Contract(), policies=())
        return self._saga(saga, here, path=ROOT, prefix="", parent=None, given=None)

    def _saga(  # noqa: PLR0913 - one scope, all its parts
        self,
        saga: Saga[Any, Any],
        here: _Here,
        *,
        path: str,
        prefix: str,
        parent: str | None,
        given: Callable[..., object] | None,
    ) -> PlacedScope:
        policies = (saga.policy, *here.policies) if saga.policy else here.policies
        contract = saga.contract if saga.contract is not None else here.contract
        inside = attrs.evolve(
            here,
            prefix=prefix,
            scope=path,
            suffix="",
            gated=False,
            contract=contract,
            policies=policies,
        )
        self.scopes[path] = None  # type: ignore[assignment] # keeps definition order
        self.sagas[prefix] = saga
        chooser = None
        if given is not None:
            at = f"{path}/@given"
            chooser = PlacedChoice(
                at,
                given,
                (("given", None),),
                path,
                tail=here.tail,
                gated=False,
                copies=here.copies,
            )
            self.decisions[at] = chooser
        scope = PlacedScope(
            path=path,
            saga=saga,
            parent=parent,
            body=tuple(self._sequence(saga.blocks, inside)),
            tail=here.tail,
            gated=here.gated,
            deadline=saga.deadline,
            compensate=saga.compensate if parent is not None else None,
            compensation_retry=_first(policies, "compensation_retry", _COMPENSATION),
            compensation_timeout=_first(policies, "compensation_timeout", None),
            contract=contract,
            given=chooser,
            copies=here.copies,
        )
        self.scopes[path] = scope
        self.by_value.setdefault(id(saga), []).append(path)
        return scope

    def _sequence(self, blocks: tuple[Block[Any, Any, Any], ...], here: _Here) -> Iterator[Placed]:
        tail = here.tail
        for block in blocks:
            yield self.place(block, attrs.evolve(here, tail=tail))
            tail = tail or holds_no_return(block)

    # ------------------------------------------------------------------ blocks

    def place(self, block: Block[Any, Any, Any], here: _Here) -> Placed:  # noqa: PLR0911 - one a block
        if isinstance(block, Step):
            return self._step(block, here)
        if isinstance(block, Saga):
            return self._nested(block, None, here)
        if isinstance(block, Given):
            return self._nested(block.saga, block.given, here)
        if isinstance(block, Parallel):
            return self._parallel(block, here)
        if isinstance(block, Choice):
            return self._choice(block, here)
        if isinstance(block, Each):
            return self._each(block, here)
        assert isinstance(block, Alternatives)  # noqa: S101 - the language has no other block
        return self._alternatives(block, here)

    def _nested(
        self, saga: Saga[Any, Any], given: Callable[..., object] | None, here: _Here
    ) -> PlacedScope:
        path = f"{here.prefix}{saga.name}{here.suffix}"
        return self._saga(saga, here, path=path, prefix=f"{path}/", parent=here.scope, given=given)

    def _parallel(self, block: Parallel[Any, Any, Any], here: _Here) -> PlacedParallel:
        # Beside a point of no return all is tail; beside a pivot all waits for it (W4 made sure
        # that the others can only be retriable and read-only).
        pivots = [holds_pivot(branch) for branch in block.blocks]
        tail = any(holds_no_return(branch) for branch in block.blocks)
        branches = []
        for branch, pivot in zip(block.blocks, pivots, strict=True):
            beside = any(pivots) and not pivot
            inside = attrs.evolve(
                here, tail=here.tail or (tail and not pivot), gated=here.gated or beside
            )
            branches.append(self.place(branch, inside))
        return PlacedParallel(tuple(branches))

    def _choice(self, block: Choice[Any, Any, Any], here: _Here) -> PlacedChoice:
        path = self._free(block.name, here)
        self.decisions[path] = None  # type: ignore[assignment] # keeps definition order
        branches = tuple(
            (label, None if isinstance(branch, Skip) else self.place(branch, here))
            for label, branch in block.branches
        )
        placed = PlacedChoice(
            path, block.chooser, branches, here.scope, here.tail, here.gated, here.copies
        )
        self.decisions[path] = placed
        return placed

    def _each(self, block: Each[Any, Any, Any], here: _Here) -> PlacedEach:
        path = self._free(block.name, here)
        self.decisions[path] = None  # type: ignore[assignment] # keeps definition order
        body = tuple(
            self.place(
                block.block,
                attrs.evolve(here, suffix=f"{here.suffix}[{i}]", copies=(*here.copies, (path, i))),
            )
            for i in range(block.max_items)
        )
        placed = PlacedEach(
            path,
            block.items,
            body,
            block.concurrent,
            here.scope,
            here.tail,
            here.gated,
            here.copies,
        )
        self.decisions[path] = placed
        return placed

    def _alternatives(self, block: Alternatives[Any, Any, Any], here: _Here) -> PlacedAlternatives:
        path = self._free(block.name, here, options=True)
        last = len(block.blocks) - 1
        options = tuple(
            self._option(option, f"{path}[{i}]", attrs.evolve(here, tail=here.tail and i == last))
            for i, option in enumerate(block.blocks)
        )
        # The scopes enter as the block does, whatever is inside them.
        options = tuple(attrs.evolve(x, tail=here.tail, gated=here.gated) for x in options)
        self.scopes.update({x.path: x for x in options})
        placed = PlacedAlternatives(path, options, here.scope, here.tail, here.gated)
        self.alternatives[path] = placed
        return placed

    def _option(self, block: Block[Any, Any, Any], path: str, here: _Here) -> PlacedScope:
        if isinstance(block, Saga) and block.compensate is None:
            prefix = f"{here.prefix}{block.name}{here.suffix}/"
            return self._saga(block, here, path=path, prefix=prefix, parent=here.scope, given=None)
        self.scopes[path] = None  # type: ignore[assignment] # keeps definition order
        inside = attrs.evolve(here, scope=path, gated=False)
        return PlacedScope(
            path=path,
            saga=None,
            parent=here.scope,
            body=(self.place(block, inside),),
            tail=here.tail,
            gated=here.gated,
            deadline=None,
            compensate=None,
            compensation_retry=_COMPENSATION,
            compensation_timeout=None,
            contract=here.contract,
            copies=here.copies,
        )

    # ------------------------------------------------------------------ steps

    def _step(self, step: Step[Any, Any, Any, Any], here: _Here) -> PlacedStep:
        path = f"{here.prefix}{step.name}{here.suffix}"
        inherited = here.policies
        own = (step.policy, *inherited) if step.policy else inherited
        # A saga's retry does not reach its pivot and retriable steps: doubt ends there by waiting.
        final = step.kind in {Kind.PIVOT, Kind.RETRIABLE}
        for_retry = ((step.policy,) if step.policy else ()) if final else own
        retry = step.retry or _first(for_retry, "retry", _FOREVER if final else _ONCE)
        placed = PlacedStep(
            path=path,
            step=step,
            scope=here.scope,
            tail=here.tail or step.kind is Kind.RETRIABLE,
            gated=here.gated,
            retry=retry,
            compensation_retry=step.compensation_retry
            or _first(own, "compensation_retry", _COMPENSATION),
            timeout=_or(step.timeout, own, "timeout"),
            compensation_timeout=_or(step.compensation_timeout, own, "compensation_timeout"),
            rejects=_matcher(_or(step.rejects, own, "rejects")),
            transient=_matcher(_or(step.transient, own, "transient")),
            contract=self.contracts.get(path, _contract(step, here)),
            copies=here.copies,
        )
        self.steps[path] = placed
        self.by_value.setdefault(id(step), []).append(path)
        return placed

    def _free(self, name: str, here: _Here, *, options: bool = False) -> str:
        """
        A block's name as it is, or with a number when a step or another block has it.

        Its ``options`` get an index behind the name, as the copies of a step do.
        """
        if here.prefix not in self.names:
            self.names[here.prefix] = frozenset(_names(self.sagas[here.prefix].blocks, 0))
        steps, depth = self.names[here.prefix], here.suffix.count("[")
        free, number = name, 1
        while True:
            path = f"{here.prefix}{free}{here.suffix}"
            meets = (free, depth) in steps or (options and (free, depth + 1) in steps)
            if not meets and path not in self.taken and path not in self.scopes:
                break
            number += 1
            free = f"{name}_{number}"
        self.taken.add(path)
        return path


def _names(blocks: Iterable[Any], depth: int) -> Iterator[tuple[str, int]]:
    """The names of steps and nested sagas, each with the number of copies around it."""
    for block in blocks:
        if inside := children(block):
            yield from _names(inside, depth + isinstance(block, Each))
        else:
            yield block.name, depth


def _contract(step: Step[Any, Any, Any, Any], here: _Here) -> Contract:
    return here.contract if step.contract is None else step.contract


def _first(policies: tuple[Policy, ...], option: str, default: Any) -> Any:
    for policy in policies:
        value = getattr(policy, option)
        if value is not None:
            return value
    return default


def _or(own: Any, policies: tuple[Policy, ...], option: str) -> Any:
    return own if own is not None else _first(policies, option, None)


def _matcher(declared: Any) -> Matcher:
    """An exception type, a tuple of them or a predicate: always a predicate."""
    if declared is None:
        return None
    if isinstance(declared, type | tuple):
        return lambda error: isinstance(error, declared)
    return declared  # type: ignore[no-any-return]


def check_saga(value: object) -> None:
    """Refuse what is no saga, wherever one is expected."""
    if not isinstance(value, Saga):
        raise DefinitionError(
            message=f"{said(value)} is not a saga",
            remedy="Give a Saga: Saga(name, step(f, compensate=g), ...).",
        )


def lay_out(saga: Saga[Any, Any]) -> Layout:
    """
    The layout of a saga, made once per saga; linear in the number of placed blocks.

    Copies count: an ``each`` of a block of 3 steps with ``max_items=10`` places 30.
    """
    check_saga(saga)
    known: Layout | None = saga.__dict__.get("_layout")
    if known is None:
        known = saga.__dict__["_layout"] = lay_out_with(saga, {})
    return known


def lay_out_with(saga: Saga[Any, Any, Any], contracts: dict[str, Contract]) -> Layout:
    """The layout of a saga, some steps under another contract, by path: what would be if."""
    placing = _Placing(contracts)
    root = placing.root(saga)
    return Layout(
        saga,
        root,
        placing.steps,
        placing.decisions,
        placing.alternatives,
        placing.scopes,
        placing.by_value,
    )
