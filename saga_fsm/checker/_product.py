"""
The machine beside its participants: what can happen next, every fault included (machine.md 6).

A request is a soup that needs no state: once a step is not pending, a copy of its request may land
at any later time, any number of times, or never. That is loss, delay past the undo, duplicates, a
copy of an earlier attempt and the calls of an owner that has been superseded. A crash leaves the
machine's state and every call that is open unanswered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from saga_fsm.definition import Contract, Kind
from saga_fsm.definition.layout import Layout, PlacedStep
from saga_fsm.machine import Event, Machine, State


# What happened at one participant. Net: landed 1, twice 2, else 0.
NONE, LANDED, REFUSED, UNDONE, FENCED, TWICE = range(6)
LEDGER = ("none", "landed", "refused", "undone", "fenced", "twice")

Ledgers: TypeAlias = bytes
Node: TypeAlias = tuple[State, Ledgers, bool]


class Arrow(NamedTuple):
    """One enabled row of the product: what it is called, what it says, where it leads."""

    token: str
    says: str
    node: Node


class Product:
    """
    The machine of a saga beside the ledgers of its participants and the orchestrator's health.

    Args:
        layout: the saga, laid out.
        machine: its machine.
        kept: the contracts that participants really keep, by path; else as declared.
        crashes: whether the orchestrator may crash and be taken over.
    """

    def __init__(
        self,
        layout: Layout,
        machine: Machine,
        *,
        kept: dict[str, Contract] | None = None,
        crashes: bool = True,
    ) -> None:
        self.machine = machine
        self.crashes = crashes
        self.steps = [
            (path, placed, machine.index[path])
            for path, placed in layout.steps.items()
            if machine.automata[machine.index[path]].sort == "step"
        ]
        self.wholes = [
            path for path, scope in layout.scopes.items() if scope.compensate is not None
        ]
        effective = [path for path, placed, _ in self.steps if placed.kind is not Kind.READONLY]
        self.slots = {path: i for i, path in enumerate([*effective, *self.wholes])}
        kept = kept or {}
        self.kept = {path: kept.get(path, placed.contract) for path, placed, _ in self.steps}
        # Events that the participants have no say in: choosers, timers of blocks, cancel, start.
        own = {path for path, _, _ in self.steps} | set(self.wholes)
        self.free = [
            event
            for event in machine.events
            if event.target not in own and event.kind != "deadline"
        ]
        root = State(machine.initial.codes, machine)
        self.initial: Node = (root, bytes(len(self.slots)), True)

    def arrows(self, node: Node) -> Iterator[Arrow]:
        """Every enabled row; loops and rows with equal ends are all given."""
        for path, placed, v in self.steps:
            local = self.machine.automata[v].local(node[0].codes[v])
            if local != "pending":
                yield from self._step(node, path, placed, local)
        for path in self.wholes:
            yield from self._whole(node, path)
        if node[2]:
            for event in self.free:
                yield from self._hear(node, event, _free_words(event))
        if self.crashes:
            yield from self._crash(node)

    # ------------------------------------------------------------------ one participant

    def _step(self, node: Node, path: str, placed: PlacedStep, local: str) -> Iterator[Arrow]:
        slot = self.slots.get(path)
        ledger = node[1][slot] if slot is not None else NONE
        if node[2]:
            yield from self._answers(node, path, placed, local, ledger)
            yield from self._waits(node, path, ledger)
        if slot is not None:
            yield from self._soup(node, path, placed, local, ledger)

    def _answers(
        self, node: Node, path: str, placed: PlacedStep, local: str, ledger: int
    ) -> Iterator[Arrow]:
        called = local in {"started", "restarted"}
        kept = self.kept[path]
        if called and ledger in {NONE, LANDED}:
            yield from self._event(node, "done", path, f"{path} lands and answers", LANDED)
        if called and ledger in {NONE, REFUSED} and placed.kind is not Kind.RETRIABLE:
            after = REFUSED if kept.sticky else NONE
            yield from self._event(node, "rejected", path, f"{path} is rejected", after)
        if called:
            yield from self._event(node, "transient", path, f"{path} fails for now")
        if called or local == "querying":
            yield from self._event(node, "unknown", path, f"{path} does not answer")
        if local == "querying" and ledger == LANDED:
            yield from self._event(node, "landed", path, f"{path}, asked, has landed")
        if local == "querying" and ledger in {NONE, REFUSED}:
            says = f"{path}, asked, has not landed and never will"
            yield from self._event(node, "absent", path, says, REFUSED)
        if local == "compensating":
            after = self._undone(path, ledger)
            yield from self._event(node, "compensated", path, f"{path} is undone", after)
            yield from self._event(node, "unknown", path, f"undoing {path} fails")

    def _waits(self, node: Node, path: str, ledger: int) -> Iterator[Arrow]:
        if ledger == LANDED:
            yield from self._event(node, "late_done", path, f"a late answer: {path} has landed")
        yield from self._event(node, "retry", path, f"{path} is tried again")
        yield from self._event(node, "exhausted", path, f"{path} has no attempt left")
        says = f"an operator resolves {path}"
        if ledger == LANDED or path not in self.slots:
            yield from self._event(node, "resolve", path, f"{says}: done", LANDED, "done")
        if ledger in {NONE, REFUSED, FENCED}:
            told = f"{says}: not landed"
            yield from self._event(node, "resolve", path, told, REFUSED, "not_landed")
        yield from self._event(node, "resolve", path, f"{says}: undone", UNDONE, "compensated")

    def _soup(
        self, node: Node, path: str, placed: PlacedStep, local: str, ledger: int
    ) -> Iterator[Arrow]:
        kept = self.kept[path]
        if ledger == NONE:
            yield self._silent(node, "lands", path, f"a copy of {path} lands", LANDED)
            if kept.sticky and placed.kind is not Kind.RETRIABLE:
                says = f"a copy of {path} is rejected"
                yield self._silent(node, "refused", path, says, REFUSED)
        if ledger in {LANDED, UNDONE} and not kept.idempotent:
            after = TWICE if ledger == LANDED else LANDED
            says = f"a second copy of {path} lands"
            yield self._silent(node, "lands_again", path, says, after)
        if local in {"compensating", "compensation_waiting", "compensation_failed"}:
            after = self._undone(path, ledger)
            if after != ledger:
                says = f"{path} is undone, the answer is lost"
                yield self._silent(node, "undone", path, says, after)

    def _undone(self, path: str, ledger: int) -> int:
        if ledger == NONE and self.kept[path].fenced:
            return FENCED
        return {LANDED: UNDONE, TWICE: LANDED}.get(ledger, ledger)

    def _whole(self, node: Node, path: str) -> Iterator[Arrow]:
        local = node[0][path]
        if not local.startswith("whole_"):
            return
        if node[2]:
            if local == "whole_compensating":
                yield from self._event(node, "compensated", path, f"{path} is undone", UNDONE)
                yield from self._event(node, "unknown", path, f"undoing {path} fails")
            yield from self._event(node, "retry", path, f"{path} is tried again")
            yield from self._event(node, "exhausted", path, f"{path} has no attempt left")
            says = f"an operator resolves {path}: undone"
            yield from self._event(node, "resolve", path, says, UNDONE, "compensated")
        if node[1][self.slots[path]] == NONE:
            says = f"{path} is undone, the answer is lost"
            yield self._silent(node, "undone", path, says, UNDONE)

    # ------------------------------------------------------------------ the orchestrator

    def _crash(self, node: Node) -> Iterator[Arrow]:
        state, ledgers, up = node
        root = state["@saga"]
        if up:
            if root not in {"pending", "done", "compensated"}:
                says = "the orchestrator dies, or another takes over"
                yield Arrow("~crash", says, (state, ledgers, False))
            return
        paths = [path for path, _, _ in self.steps] + self.wholes
        open_calls = [path for path in paths if state[path] in _OPEN]
        for path in open_calls:
            says = f"recovery: {path} was open"
            move = self.machine.step(state, f"unknown({path})")
            yield Arrow(f"unknown({path})", says, (move.state, ledgers, False))
        if not open_calls:
            yield Arrow("~recovered", "the run is taken up again", (state, ledgers, True))

    # ------------------------------------------------------------------ rows

    def _event(  # noqa: PLR0913, PLR0917 - one row, all its parts
        self,
        node: Node,
        kind: str,
        path: str,
        says: str,
        ledger: int | None = None,
        argument: str = "",
    ) -> Iterator[Arrow]:
        inside = f"{path},{argument}" if argument else path
        yield from self._hear(node, f"{kind}({inside})", says, path, ledger)

    def _hear(
        self, node: Node, event: str, says: str, path: str = "", ledger: int | None = None
    ) -> Iterator[Arrow]:
        """A row with an event, if the machine has one for it here."""
        if not self.machine.knows(event):
            return
        move = self.machine.step(node[0], event)
        if move.ignored is None:
            yield Arrow(event, says, (move.state, self._write(node[1], path, ledger), True))

    def _silent(self, node: Node, word: str, path: str, says: str, ledger: int) -> Arrow:
        return Arrow(
            f"~{word}({path})", says, (node[0], self._write(node[1], path, ledger), node[2])
        )

    def _write(self, ledgers: Ledgers, path: str, ledger: int | None) -> Ledgers:
        slot = self.slots.get(path)
        if slot is None or ledger is None or ledgers[slot] == ledger:
            return ledgers
        return ledgers[:slot] + bytes([ledger]) + ledgers[slot + 1 :]


_OPEN = {"started", "restarted", "querying", "compensating", "whole_compensating"}


def _free_words(event: Event) -> str:
    words = {
        "start": "the run starts",
        "cancel": "the run is cancelled",
        "chooser_failed": f"the chooser of {event.target} raises",
        "chose": f"{event.target} chooses {event.argument}",
        "items": f"{event.target} has {event.argument} items",
        "retry": f"{event.target} is asked again",
    }
    return words.get(event.kind, str(event))
