"""
What must hold in every quiet state: I1, I2, I3, I5, I6, I7, I11.

Written from the definition (own precedence, own kinds), never from the table that is checked.
"""

from __future__ import annotations

from collections.abc import Iterator

from saga_fsm.checker._moves import Moves
from saga_fsm.checker._product import LANDED, TWICE, Node, Product
from saga_fsm.compiler import Order
from saga_fsm.definition import Kind
from saga_fsm.definition.layout import Layout
from saga_fsm.machine import Status


_CAUSES = {"stuck", "compensation_failed", "whole_failed", "alarm"}
_CLEAN = {"pending", "rejected", "compensated"}
_CALLED = {"started", "restarted", "querying"}
_BACK = {"halting", "interrupted", "held", "undoing", "compensated"}


class Invariants:
    """The invariants of one saga; ``broken(node)`` gives rule, step and sentence of each breach."""

    def __init__(self, layout: Layout, product: Product, *, locks: bool = True) -> None:
        self.layout = layout
        self.product = product
        self.moves = Moves(layout)
        self.locks = list(_locks(layout)) if locks else []
        self.after: dict[str, tuple[str, ...]] = {}
        self.units: dict[str, list[str]] = {path: [] for path in layout.scopes}
        for path, scope in layout.scopes.items():
            for unit, successors in Order(scope.body).successors.items():
                if unit:
                    self.after[unit] = tuple(successors)
                    self.units[path].append(unit)

    def broken(self, node: Node) -> Iterator[tuple[str, str, str]]:
        """Every breach in this state."""
        status = node[0].status
        yield from self._at_most_once(node)
        yield from self._order(node)
        if status is Status.COMPLETED:
            yield from self._completed(node)
        elif status is Status.COMPENSATED:
            yield from self._compensated(node)
        elif status is Status.STUCK:
            yield from self._stuck(node)

    def net(self, node: Node, path: str) -> int:
        """How many effects of a step stand; 0 when a saga around it was undone as a whole."""
        for whole in self.product.wholes:
            if path.startswith(f"{whole}/") and node[1][self.product.slots[whole]]:
                return 0
        return {LANDED: 1, TWICE: 2}.get(node[1][self.product.slots[path]], 0)

    def _effective(self) -> Iterator[tuple[str, Kind]]:
        for path, placed, _ in self.product.steps:
            if placed.kind is not Kind.READONLY:
                yield path, placed.kind

    def _at_most_once(self, node: Node) -> Iterator[tuple[str, str, str]]:
        for path, _ in self._effective():
            if node[1][self.product.slots[path]] == TWICE:
                yield "I6", path, f"{path} has landed twice"

    def _completed(self, node: Node) -> Iterator[tuple[str, str, str]]:
        for path, _ in self._effective():
            net = self.net(node, path)
            want = int(node[0][path] == "done")
            if net != want:
                yield "I1", path, f"completed, and {path} stands {net} times, not {want}"

        # A semantic lock is let go by the undo, or by a retriable that names it.
        state = node[0]
        for path, lock, releases in self.locks:
            if state[path] == "done" and not any(state[one] == "done" for one in releases):
                yield "I11", path, f"completed, and nothing let go of the lock '{lock}' of {path}"

    def _compensated(self, node: Node) -> Iterator[tuple[str, str, str]]:
        for path, _ in self._effective():
            net = self.net(node, path)
            if net:
                yield "I2", path, f"compensated, and the effect of {path} stands"

    def _stuck(self, node: Node) -> Iterator[tuple[str, str, str]]:
        unresolved = node[0].unresolved
        if not any(
            automaton.local(code) in _CAUSES
            for automaton, code in zip(node[0].machine.automata, node[0].codes, strict=True)
        ):
            yield "I4", "", "at rest, with no end and nothing that gave up: a deadlock"
        back = node[0]["@saga"] in _BACK
        for path, _ in self._effective():
            local, net = node[0][path], self.net(node, path)
            owed = path in unresolved or any(path.startswith(f"{one}/") for one in unresolved)
            if net and back and not owed and local != "done":
                yield "I3", path, f"stuck, and {path}, whose effect stands, is not listed"

    def _order(self, node: Node) -> Iterator[tuple[str, str, str]]:
        state = node[0]
        for scope, units in self.units.items():
            mode = state[scope]
            for unit in units:
                local = state[unit]
                if local in {"compensating", "compensation_waiting"} and mode == "undoing":
                    later = [x for x in self.after[unit] if state[x] not in _CLEAN]
                    if later:
                        yield "I5", unit, f"{unit} is undone while {later[0]}, after it, is not"
                    flying = [x for x in units if state[x] in _CALLED]
                    if flying:
                        yield "I5", unit, f"{unit} is undone while {flying[0]} is in flight"
                if local == "compensating" and mode in {"committed", "done"}:
                    yield "I7", unit, f"{unit} is undone past the point of no return"


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
