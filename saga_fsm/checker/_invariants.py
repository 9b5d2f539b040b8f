"""
What must hold in every quiet state: I1, I2, I3, I5, I6, I7, I11.

Written from the definition (own precedence, own kinds), never from the table that is checked.
"""

from __future__ import annotations

from collections.abc import Iterator

from saga_fsm.checker._duties import CLEAN, Duties
from saga_fsm.checker._environment import LANDED, NONE, STANDS, TWICE, UNDONE
from saga_fsm.checker._moves import Moves
from saga_fsm.checker._product import BITS, LEDGER_MASK, Node, Product
from saga_fsm.compiler import Order
from saga_fsm.definition import Kind
from saga_fsm.definition.layout import Layout
from saga_fsm.machine import State, Status
from saga_fsm.machine._alphabet import FIRST_LABEL


Breaches = Iterator[tuple[str, str, str]]

_CAUSES = {"stuck", "compensation_failed", "whole_failed", "alarm"}
_CALLED = {"started", "restarted", "querying"}
_FORWARD = _CALLED | {"waiting", "query_waiting"}
_DRAINED = {"held", "undoing", "compensated"}
_SOUND = (0, 0)
_NEVER_SOUND = (0, 1)


class Invariants:
    """The invariants of one saga; ``broken(node)`` gives rule, step and sentence of each breach."""

    def __init__(self, layout: Layout, product: Product, *, locks: bool = True) -> None:
        self.layout = layout
        self.product = product
        self.moves = Moves(layout, product.machine)
        self.duties = Duties(layout)
        self.locks = list(_locks(layout)) if locks else []
        self.after: dict[str, tuple[str, ...]] = {}
        self.units: dict[str, list[str]] = {path: [] for path in layout.scopes}
        for path, scope in layout.scopes.items():
            for unit, successors in Order(scope.body).successors.items():
                if unit:
                    self.after[unit] = tuple(successors)
                    self.units[path].append(unit)
        self._twice = product.may_land_twice
        self._shift = product.width + 1
        # Per state of the machine: which bits of the ledgers must be what.
        self._wanted: dict[int, tuple[int, int]] = {}

    def sound(self, node: Node) -> bool:
        """Whether nothing is broken here, at the price of two operations; False: look closer."""
        number = node >> self._shift
        wanted = self._wanted.get(number)
        if wanted is None:
            wanted = self._wanted[number] = self._want(self.product.state(node))
        return node & wanted[0] == wanted[1] and not node & node >> 2 & self._twice

    def broken(self, node: Node) -> Breaches:
        """Every breach in this state."""
        state = self.product.state(node)
        for path, placed in self.layout.steps.items():
            if placed.kind is not Kind.READONLY and self.product.ledger(node, path) == TWICE:
                yield "I6", path, f"{path} has landed twice"
        yield from self._of_machine(state)
        if state.status.resting:
            yield from self._of_ledgers(node, state)

    # ------------------------------------------------------------------ the machine's part

    def _of_machine(self, state: State) -> Breaches:
        local = _locals(state)
        yield from self._order(local)
        status = state.status
        if status.resting:
            yield from self._listed(state, status)
        if status is Status.COMPLETED:
            # A semantic lock is let go by the undo, or by a retriable that names it.
            for path, lock, releases in self.locks:
                if local[path] == "done" and not any(local[one] == "done" for one in releases):
                    yield (
                        "I11",
                        path,
                        f"completed, and nothing let go of the lock '{lock}' of {path}",
                    )
        if status is Status.STUCK and _CAUSES.isdisjoint(local.values()):
            yield "I4", "", "at rest, with no end and nothing that gave up: a deadlock"

    def _listed(self, state: State, status: Status) -> Breaches:
        """What is owed is listed, all of it and nothing else; at an end nothing is owed."""
        owed = self.duties.of(_locals(state)).owed
        if status is not Status.STUCK:
            rule = "I1" if status is Status.COMPLETED else "I2"
            for path in sorted(owed):
                yield rule, path, f"{status.value}, and what became of {path} is open"
            return
        listed = state.unresolved
        for path in sorted(owed - set(listed)):
            yield "I3", path, f"stuck, and {path}, which is open, is not listed"
        for path in sorted(set(listed) - owed):
            yield "I3", path, f"stuck, and {path} is listed, for which nothing is owed"

    def _order(self, local: dict[str, str]) -> Breaches:
        for scope, units in self.units.items():
            mode = local[scope]
            for unit in units:
                here = local[unit]
                if here in {"compensating", "compensation_waiting"} and mode == "undoing":
                    later = [x for x in self.after[unit] if local[x] not in CLEAN]
                    if later:
                        yield "I5", unit, f"{unit} is undone while {later[0]}, after it, is not"
                    flying = [x for x in units if local[x] in _CALLED]
                    if flying:
                        yield "I5", unit, f"{unit} is undone while {flying[0]} is in flight"
                if here in _FORWARD and mode in _DRAINED:
                    yield "I5", unit, f"{unit} is {here} in a scope that has drained to be undone"
                if here == "compensating" and mode in {"committed", "done"}:
                    yield "I7", unit, f"{unit} is undone past the point of no return"

    # ------------------------------------------------------------------ the participants' part

    def _want(self, state: State) -> tuple[int, int]:
        """Which bits of a node decide whether it is sound, and what they must be."""
        if any(True for _ in self._of_machine(state)):
            return _NEVER_SOUND
        if not state.status.resting:
            return _SOUND
        mask = want = 0
        duties = self.duties.of(_locals(state))
        for path, net in duties.nets.items():
            shift = BITS * self.product.slots[path]
            mask |= STANDS << shift
            want |= net * STANDS << shift
        for path in duties.wholes:
            shift = BITS * self.product.slots[path]
            mask |= LEDGER_MASK << shift
            want |= UNDONE << shift
        return mask, want

    def _of_ledgers(self, node: Node, state: State) -> Breaches:
        duties = self.duties.of(_locals(state))
        for path, want in duties.nets.items():
            net = self.net(node, path)
            if net == want:
                continue
            if state.status is Status.COMPLETED:
                yield "I1", path, f"completed, and {path} stands {net} times, not {want}"
            elif state.status is Status.COMPENSATED:
                yield "I2", path, f"compensated, and the effect of {path} stands"
            elif net:
                yield "I3", path, f"stuck, and {path}, whose effect stands, is not listed"
            else:
                yield "I3", path, f"stuck, and {path}, whose effect is missing, is not listed"
        for path in duties.wholes:
            if self.product.ledger(node, path) == NONE:
                yield "I2", path, f"{path} counts as undone as a whole, and nothing undid it"

    def net(self, node: Node, path: str) -> int:
        """How many effects of a step stand; 0 when a saga around it was undone as a whole."""
        for whole, inside in self.duties.inside.items():
            if path in inside and self.product.ledger(node, whole) != NONE:
                return 0
        return {LANDED: 1, TWICE: 2}.get(self.product.ledger(node, path), 0)


def _locals(state: State) -> dict[str, str]:
    # A label is the user's word: one that is called "stuck" is no local state of that name.
    return {
        x.path: x.local(code) if code < FIRST_LABEL else f"={x.local(code)}"
        for x, code in zip(state.machine.automata, state.codes, strict=True)
    }


def _locks(layout: Layout) -> Iterator[tuple[str, str, list[str]]]:
    """Each lock that a compensatable step takes, and the retriable steps that let go of it."""
    for path, placed in layout.steps.items():
        if placed.kind is Kind.COMPENSATABLE:
            for lock in placed.step.locks:
                releases = [
                    one
                    for one, other in layout.steps.items()
                    if other.kind is Kind.RETRIABLE and lock in other.step.locks
                ]
                yield path, lock, releases
