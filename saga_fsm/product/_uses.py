"""Who uses what: the steps of several runs that name a resource or a lock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from saga_fsm.definition import Kind
from saga_fsm.definition.layout import Layout, PlacedStep
from saga_fsm.product._network import Network


@attrs.frozen
class Instance:
    """One run: its name, its saga laid out, and its network."""

    name: str
    layout: Layout
    network: Network


@attrs.frozen(eq=False)
class Use:
    """
    A step of one run that names a resource or a lock.

    Args:
        i: number of the run.
        name: run and path: ``order#1/charge``.
        placed: the step.
        automaton: its field.
        ledger: the field of its participant's ledger; None for a read-only step.
        undoable: whether its effect may be taken back, by itself or with a saga around it.
    """

    i: int
    name: str
    placed: PlacedStep
    automaton: int
    ledger: int | None
    undoable: bool

    @property
    def takes(self) -> bool:
        """Whether it holds the locks that it names, from when it lands."""
        return self.placed.kind is Kind.COMPENSATABLE

    @property
    def lets_go(self) -> bool:
        """Whether its run holds the locks that it names no more, once it has landed."""
        return self.placed.kind is Kind.RETRIABLE

    def reads(self, resource: str) -> bool:
        """Whether it reads this resource."""
        return resource in self.placed.step.reads

    def writes(self, resource: str) -> bool:
        """Whether it writes this resource; a read-only step writes nothing, whatever it says."""
        return self.ledger is not None and resource in self.placed.step.writes

    def touches(self, resource: str) -> bool:
        """Whether it reads or writes this resource."""
        return self.reads(resource) or self.writes(resource)

    def blind(self, resource: str) -> bool:
        """Whether it writes this resource and does not read it."""
        return self.writes(resource) and not self.reads(resource)

    def commutes(self, other: Use, resource: str) -> bool:
        """Whether the writes of two steps may come in any order."""
        both = (self.placed.step.commutes_with, other.placed.step.commutes_with)
        return all(resource in names for names in both)


def uses_of(instances: Sequence[Instance], at: Mapping[str, int]) -> Iterator[Use]:
    """Each step of each run that names a resource or a lock; ``at``: the fields by name."""
    for i, instance in enumerate(instances):
        wholes = wholes_of(instance.layout)
        inside = {path for steps in wholes.values() for path in steps}
        for path, placed in instance.layout.steps.items():
            step = placed.step
            if step.reads or step.writes or step.locks:
                name = f"{instance.name}/{path}"
                undoable = placed.kind is Kind.COMPENSATABLE or path in inside
                yield Use(i, name, placed, at[name], at.get(f"~{name}"), undoable)


def wholes_of(layout: Layout) -> dict[str, list[str]]:
    """Per nested saga that is undone as a whole, the steps in it."""
    found: dict[str, list[str]] = {
        path: [] for path, scope in layout.scopes.items() if scope.compensate is not None
    }
    for path, placed in layout.steps.items():
        scope: str | None = placed.scope
        while scope is not None:
            if scope in found:
                found[scope].append(path)
            scope = layout.scopes[scope].parent
    return found
