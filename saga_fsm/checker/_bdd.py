"""
Sets of states as binary decision diagrams: CUDD where the wheel has it, else pure Python.

Each field is written in binary, its bits side by side. What all parts read comes first (the root
scope, stop, health), then each automaton with the ledger of its participant, in the order of the
machine: a branch is a stretch of the diagram, so its width does not hang on the other branches.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, TypeAlias

from saga_fsm.errors import MissingExtraError
from saga_fsm.product import Guard, Network, Update, Values


# What ``dd`` calls a function: it has no types.
Set: TypeAlias = Any
_BACKENDS = ("cudd", "autoref")
# A node of either library, with its share of the tables, in bytes.
NODE = {"cudd": 64, "autoref": 400}
# So many nodes in pure Python are looked through for those that nobody needs.
_FULL = 200_000
NAMES = {"cudd": "CUDD", "autoref": "pure Python"}


class Diagrams:
    """
    The diagrams of one network.

    Args:
        network: whose states.
        backend: "cudd" or "autoref"; None for the faster one that is there.
        memory: how many bytes they may take; CUDD alone keeps it exactly.

    Raises:
        MissingExtraError: ``dd`` is not installed.
    """

    def __init__(
        self, network: Network, *, backend: str | None = None, memory: int | None = None
    ) -> None:
        self.network = network
        self.backend, library = _library(backend)
        self.bdd: Any = library.BDD()
        settings: dict[str, Any] = {"reordering": False}
        if memory is not None and self.backend == "cudd":
            settings["max_memory"] = memory
        # What was set before: a result is read without a limit.
        self._before = {key: x for key, x in self.bdd.configure().items() if key in settings}
        self.bdd.configure(**settings)
        self._full = _FULL
        self._fused = getattr(library, "and_exists", None)
        self.order = _order(network)
        self.place = {f: i for i, f in enumerate(self.order)}
        self.bits: dict[int, list[str]] = {}
        # No set of states asks for a twin: they stand for what becomes of a bit.
        self.twin: dict[str, str] = {}
        for f in self.order:
            width = (len(network.fields[f].values) - 1).bit_length()
            self.bits[f] = [f"x{f}.{j}" for j in range(width)]
            for bit in self.bits[f]:
                # Beside it, so that what was and what becomes are told apart in few nodes.
                self.twin[bit] = f"{bit}'"
                self.bdd.declare(bit, self.twin[bit])
        self.width = len(self.twin)
        self.false: Set = self.bdd.false
        self.true: Set = self.bdd.true
        self._literals: dict[tuple[int, frozenset[int]], Set] = {}
        self._counts: dict[int, tuple[Set, int]] = {}

    def lift(self) -> None:
        """Let the limit go: what was found until it is read."""
        self.bdd.configure(**{**self._before, "reordering": False})

    # ------------------------------------------------------------------ from words to diagrams

    def assigned(self, update: Iterable[tuple[int, int]]) -> dict[str, bool]:
        """The bits of some fields at given values."""
        return {bit: bool(x >> j & 1) for f, x in update for j, bit in enumerate(self.bits[f])}

    def literal(self, f: int, allowed: frozenset[int]) -> Set:
        """Where a field has one of these values."""
        found = self._literals.get((f, allowed))
        if found is None:
            found = self.false
            for x in allowed:
                found |= self.bdd.cube(self.assigned([(f, x)]))
            self._literals[f, allowed] = found
        return found

    def guard(self, guard: Guard) -> Set:
        """Where a guard holds."""
        found = self.true
        for f, allowed in sorted(guard, key=lambda x: -self.place[x[0]]):
            found = self.literal(f, allowed) & found
        return found

    def cube(self, update: Update) -> Set:
        """Where each of these fields has its value."""
        return self.guard(tuple((f, frozenset({x})) for f, x in update))

    def point(self, values: Values) -> Set:
        """The set of one state."""
        return self.cube(tuple(enumerate(values)))

    def image(self, states: Set, guard: Set, written: list[str], cube: Set) -> Set:
        """Where a command with constant updates leads: no second copy of the bits is needed."""
        if self._fused is not None:
            return self._fused(states, guard, written) & cube
        both = states & guard
        return self.bdd.exist(written, both) & cube if both != self.false else both

    def before(self, states: Set, guard: Set, assigned: Mapping[str, bool]) -> Set:
        """Where a command is enabled and leads into these states."""
        return self.bdd.let(assigned, states) & guard

    def same(self, bits: Iterable[str]) -> Set:
        """Where each of these bits is as its twin."""
        found = self.true
        for bit in reversed([*bits]):
            found &= self.bdd.apply("<=>", self.bdd.var(bit), self.bdd.var(self.twin[bit]))
        return found

    def twinned(self, states: Set, bits: Iterable[str]) -> Set:
        """The same, asked of the twins of these bits."""
        return self.bdd.let({bit: self.twin[bit] for bit in bits}, states)

    def leapt(self, states: Set, relation: Set, bits: list[str]) -> Set:
        """What states become by a relation between some bits and their twins."""
        if self._fused is not None:
            now = self._fused(states, relation, bits)
        else:
            now = self.bdd.exist(bits, states & relation)
        return self.bdd.let({self.twin[bit]: bit for bit in bits}, now)

    # ------------------------------------------------------------------ from diagrams to words

    def pick(self, states: Set) -> Values:
        """One of the states."""
        names = [bit for f in self.order for bit in self.bits[f]]
        found = self.bdd.pick(states, names)
        return tuple(
            sum(found[bit] << j for j, bit in enumerate(self.bits[f]))
            for f in range(len(self.network.fields))
        )

    def count(self, states: Set) -> int:
        """How many states these are: exactly, where CUDD itself would count in doubles."""
        return self.count_below(states, 0)

    def count_below(self, states: Set, level: int) -> int:
        """How many ways the bits from a level on have to satisfy a set that asks no other."""
        return self._models(states) << (self.level(states) - level)

    def first(self, f: int) -> int:
        """The level of the first bit of a field."""
        return int(self.bdd.level_of_var(self.bits[f][0])) // 2

    def size(self, states: Set) -> int:
        """How many nodes the diagram of a set has."""
        return len(states)

    def live(self) -> int:
        """How many nodes there are in all; pure Python has to be told to let go of the others."""
        nodes = len(self.bdd)
        if self.backend == "autoref" and nodes > self._full:
            self.bdd.collect_garbage()
            nodes = len(self.bdd)
            self._full = max(_FULL, 2 * nodes)
        return nodes

    def level(self, u: Set) -> int:
        """Of a node among the bits that states have; their twins stand between them."""
        return self.width if u.var is None else int(u.level) // 2

    def children(self, u: Set) -> tuple[Set, Set]:
        """What is left of a set where its first bit is 0, and where it is 1."""
        return (~u.low, ~u.high) if u.negated else (u.low, u.high)

    def _models(self, root: Set) -> int:
        """The models over the bits from a diagram's level on; a loop, for diagrams are deep."""
        counts, ends = self._counts, {int(self.true): 1, int(self.false): 0}
        stack = [root]
        while stack:
            u = stack[-1]
            key = int(u)
            if key in ends or key in counts:
                stack.pop()
                continue
            low, high = self.children(u)
            waiting = [x for x in (low, high) if int(x) not in ends and int(x) not in counts]
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            here = self.level(u) + 1
            counts[key] = (
                u,
                sum(
                    (ends[int(x)] if int(x) in ends else counts[int(x)][1])
                    << (self.level(x) - here)
                    for x in (low, high)
                ),
            )
        key = int(root)
        return ends[key] if key in ends else counts[key][1]


def _library(backend: str | None) -> tuple[str, ModuleType]:
    if backend is not None and backend not in _BACKENDS:
        raise ValueError(f"backend {backend!r} is not known: there are {', '.join(_BACKENDS)}")
    for name in (backend,) if backend is not None else _BACKENDS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return name, importlib.import_module(f"dd.{name}")
        except ImportError:
            continue
    raise MissingExtraError(what="dd", extra="symbolic")


def _order(network: Network) -> list[int]:
    """The shared fields, then each automaton beside its participant's ledger."""
    at = {field.name: f for f, field in enumerate(network.fields)}
    shared = [f for name, f in at.items() if name.startswith("@")]
    found = list(shared)
    for name, f in at.items():
        if not name.startswith(("@", "~")):
            found += [f, at[f"~{name}"]] if f"~{name}" in at else [f]
    return found
