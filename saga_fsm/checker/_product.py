"""
The machine beside its participants: every state of both, and what can happen next in each.

A node is one int: which composite state of the machine, whether the orchestrator is up, and three
bits of ledger for each participant, so a row of the environment is a number that is added. Rows
depend on the machine's state and one ledger alone: they are worked out once for each such pair and
then added millions of times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

from saga_fsm.checker._environment import (
    OPEN,
    STANDS,
    TWICE,
    Happening,
    of_block,
    of_orchestrator,
    of_step,
    of_whole,
)
from saga_fsm.checker._rows import Rows
from saga_fsm.definition import Contract, Kind
from saga_fsm.definition.layout import Layout
from saga_fsm.machine import Codes, Machine, State


BITS = 3
LEDGER_MASK = 7
Node: TypeAlias = int
# How many rows are enabled, and what those that lead elsewhere add to the node.
Arrows: TypeAlias = tuple[int, tuple[int, ...]]
Source: TypeAlias = Callable[[int, int], Iterator[Happening]]

_MEMO = 200_000


class Arrow(NamedTuple):
    """One enabled row of the product: what it is called, what it says, where it leads."""

    token: str
    says: str
    node: Node


class _Table(dict[int, Arrows]):
    """The arrows of one participant by its ledger, worked out when first asked for."""

    __slots__ = ("key", "product", "source")

    def __init__(self, product: Product, key: int, source: int) -> None:
        super().__init__()
        self.product, self.key, self.source = product, key, source

    def __missing__(self, ledger: int) -> Arrows:
        deltas = [delta for delta, _ in self.product.rows_of(self.key, self.source, ledger)]
        # Of rows with one end each counts, and the end is looked at once.
        found = self[ledger] = len(deltas), tuple(dict.fromkeys(x for x in deltas if x))
        return found


Entry: TypeAlias = tuple[tuple[int, _Table], ...]


class _Entries(dict[int, Entry]):
    """What may happen in a state of the machine, up or down; worked out when first asked for."""

    __slots__ = ("product",)

    def __init__(self, product: Product) -> None:
        super().__init__()
        self.product = product

    def __missing__(self, key: int) -> Entry:
        found = self[key] = self.product.entry(key)
        return found


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
        self.steps = list(layout.steps.items())
        self.wholes = [x for x, scope in layout.scopes.items() if scope.compensate is not None]
        effective = [path for path, placed in self.steps if placed.kind is not Kind.READONLY]
        self.slots = {path: i for i, path in enumerate([*effective, *self.wholes])}
        self.kept = {path: (kept or {}).get(path, placed.contract) for path, placed in self.steps}
        # One slot more, always empty, stands for whoever has no ledger.
        self.width = BITS * (len(self.slots) + 1)
        self._empty = BITS * len(self.slots)
        self._owners = [path for path, _ in self.steps] + self.wholes
        self._at = [machine.index[path] for path in self._owners]
        self._open = frozenset(
            code for x in machine.automata for code in x.locals if x.local(code) in OPEN
        )
        self._rows = Rows(machine)
        # Events that the participants have no say in; the saga's deadline does what cancel does.
        self._free = [
            (self._rows.heard_by(event), of_block(event))
            for event in machine.events
            if event.target not in self._owners and event != "deadline"
        ]
        self.codes: list[Codes] = [machine.initial.codes]
        self._ids: dict[Codes, int] = {machine.initial.codes: 0}
        self.initial: Node = 1 << self.width
        self.entries = _Entries(self)
        # Per participant, local state and health: one table, if no event is heard there.
        self._deaf: dict[tuple[int, int, int], _Table | None] = {}
        self._happenings: dict[tuple[int, int, int, int], list[Happening]] = {}
        self._heard: dict[tuple[int, str | None], bool] = {}
        self._memo: dict[tuple[int, str], int | None] = {}
        self.taken: set[int] = set()
        # Moves of the machine that no one has looked at yet, as pairs of its states.
        self.fresh: list[tuple[int, int]] = []

    # ------------------------------------------------------------------ reading a node

    def state(self, node: Node) -> State:
        """The machine's state in a node."""
        return State(self.codes[node >> self.width + 1], self.machine)

    def ledger(self, node: Node, path: str) -> int:
        """What has happened at a participant."""
        return node >> BITS * self.slots[path] & LEDGER_MASK

    def up(self, node: Node) -> bool:
        """Whether the orchestrator is alive."""
        return bool(node >> self.width & 1)

    @property
    def may_land_twice(self) -> int:
        """One bit for each participant that may, under those two that say so; else 0."""
        return sum(
            1 << BITS * slot
            for path, slot in self.slots.items()
            if path in self.kept and not self.kept[path].idempotent
        )

    def arrows(self, node: Node) -> Iterator[Arrow]:
        """Every enabled row; loops and rows with equal ends are all given."""
        for shift, table in self.entries[node >> self.width]:
            ledger = node >> shift & LEDGER_MASK
            for delta, happening in self.rows_of(table.key, table.source, ledger):
                yield Arrow(happening.token, happening.says, node + delta)

    # ------------------------------------------------------------------ what can happen

    def entry(self, key: int) -> Entry:
        """Per participant that may act here: where its ledger is, and its arrows by ledger."""
        codes = self.codes[key >> 1]
        found = [
            self._owner(key, source, v, codes[v])
            for source, v in enumerate(self._at)
            if codes[v] != self.machine.automata[v].locals[0]
        ]
        return (*found, (self._empty, _Table(self, key, -1)))

    def _owner(self, key: int, source: int, v: int, code: int) -> tuple[int, _Table]:
        """A table of its own, or, where no event is heard, the one of that local state."""
        path = self._owners[source]
        shift = BITS * self.slots[path] if path in self.slots else self._empty
        where = source, code, key & 1
        if where not in self._deaf:
            heard = any(
                event.target == path and self._rows.hears(v, code, event)
                for event in self.machine.events
            )
            self._deaf[where] = None if heard else _Table(self, key, source)
        table = self._deaf[where]
        return shift, _Table(self, key, source) if table is None else table

    def rows_of(self, key: int, source: int, ledger: int) -> list[tuple[int, Happening]]:
        """The enabled rows of a participant, or of the rest (-1): what each adds to a node."""
        found = []
        shift = 0 if source < 0 else BITS * self.slots.get(self._owners[source], 0)
        for happening in self._may_happen(key, source, ledger):
            after, up = key >> 1, key & 1
            if happening.event is not None:
                moved = self._move(after, happening.event)
                if moved is None:
                    continue
                after = moved
            if happening.up is not None:
                up = happening.up
            delta = (after * 2 + up - key) << self.width
            owner = None if source < 0 else self._owners[source]
            if happening.ledger is not None and owner in self.slots:
                delta += (happening.ledger - ledger) << shift
            found.append((delta, happening))
        return found

    def _may_happen(self, key: int, source: int, ledger: int) -> list[Happening]:
        codes, up = self.codes[key >> 1], key & 1
        if source < 0:
            return self._rest(codes, up)
        path = self._owners[source]
        v = self._at[source]
        where = source, codes[v], ledger, up
        known = self._happenings.get(where)
        if known is None:
            local = self.machine.automata[v].local(codes[v])
            if source < len(self.steps):
                placed = self.steps[source][1]
                found = of_step(placed, self.kept[path], local, ledger, up=bool(up))
            else:
                found = of_whole(path, local, ledger, up=bool(up))
            known = self._happenings[where] = [
                x for x in found if x.event is None or self._rows.hears(v, codes[v], x.event)
            ]
        return known

    def _rest(self, codes: Codes, up: int) -> list[Happening]:
        """Choosers, cancel, crash and recovery."""
        found = [row for v, row in self._free if self._may(v, codes[v], row.event)] if up else []
        if self.crashes:
            waiting = [] if up else [x for x, v in enumerate(self._at) if codes[v] in self._open]
            root = self.machine.automata[0].local(codes[0])
            calls = [self._owners[x] for x in waiting]
            found.extend(of_orchestrator(root, calls, up=bool(up)))
        return found

    def _may(self, v: int, code: int, event: str | None) -> bool:
        known = self._heard.get((code, event))
        if known is None:
            known = self._heard[code, event] = event is None or self._rows.hears(v, code, event)
        return known

    def _move(self, number: int, event: str) -> int | None:
        """The machine's state after an event, by number; None where the event is ignored."""
        try:
            return self._memo[number, event]
        except KeyError:
            pass
        moved = self._rows.move(self.codes[number], event)
        after = None
        if moved is not None:
            codes, rows = moved
            self.taken.update(rows)
            after = self._ids.setdefault(codes, len(self.codes))
            if after == len(self.codes):
                self.codes.append(codes)
            if after != number:
                self.fresh.append((number, after))
        if len(self._memo) >= _MEMO:
            self._memo.clear()
        self._memo[number, event] = after
        return after


__all__ = ["STANDS", "TWICE", "Arrow", "Node", "Product"]
