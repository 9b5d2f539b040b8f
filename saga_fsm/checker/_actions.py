"""
Commands made ready for diagrams, and the order in which they are applied.

Order is the algorithm. Commands that write one step are applied to a fixpoint first, then those of
the scope around it, then those that write what all share: after each, all below come to their
fixpoint again. So branches are complete before one of them is heard by the others, and the sets in
between stay about as small as the last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from saga_fsm.checker._bdd import Diagrams, Set
from saga_fsm.product import Command


class Action(NamedTuple):
    """
    Commands with one update, as one.

    Args:
        guard: where one of them is enabled.
        written: the bits that they write.
        cube: what these are afterwards.
        assigned: the same, for looking backwards.
        wakes: numbers of the internal actions that may be enabled afterwards.
        shared: whether it writes what all parts read.
        rows: the machine's row of each command, and its own guard.
        rivals: numbers of the internal actions that may be enabled beside it and no more after it,
            or write otherwise: only a table that is not confluent meets them.
        clash: where one of the rivals is enabled too.
    """

    guard: Set
    written: list[str]
    cube: Set
    assigned: dict[str, bool]
    wakes: tuple[int, ...]
    shared: bool
    rows: list[tuple[int, Set]]
    rivals: tuple[int, ...] = ()
    clash: Set = None


class Actions:
    """
    The actions of a network.

    Args:
        diagrams: in which they are written.
    """

    def __init__(self, diagrams: Diagrams) -> None:
        self.diagrams = diagrams
        network = diagrams.network
        self._full = [frozenset(range(len(field.values))) for field in network.fields]
        # By path: the fields of a part; what all share under "".
        self.fields: dict[str, list[int]] = {}
        for f in range(len(network.fields)):
            self.fields.setdefault(self._path(f), []).append(f)
        self._internal = self._grouped(network.internal)
        # Per field: the internal actions that ask for it, or write it, and what.
        self._asking: dict[int, list[tuple[int, frozenset[int]]]] = {}
        self._writing: dict[int, list[tuple[int, int]]] = {}
        for number, (update, commands) in enumerate(self._internal.items()):
            for f, x in update:
                self._writing.setdefault(f, []).append((number, x))
            for command in commands:
                for f, allowed in command.guard:
                    self._asking.setdefault(f, []).append((number, allowed))
        internal = [self._made(*one) for one in self._internal.items()]
        self.internal = [
            self._rivalled(number, update, action, internal)
            for number, (update, action) in enumerate(zip(self._internal, internal, strict=True))
        ]
        # By the path of the step or block that is written; what all share under "".
        self.by_path: dict[str, list[Action]] = {}
        for update, commands in self._grouped(network.commands).items():
            self.by_path.setdefault(self._home(update), []).append(self._made(update, commands))

    def _grouped(
        self, commands: Iterable[Command]
    ) -> dict[tuple[tuple[int, int], ...], list[Command]]:
        found: dict[tuple[tuple[int, int], ...], list[Command]] = {}
        for command in commands:
            found.setdefault(tuple(sorted(command.update)), []).append(command)
        return found

    def _path(self, f: int) -> str:
        name = self.diagrams.network.fields[f].name
        return "" if name.startswith("@") else name.lstrip("~")

    def _home(self, update: Iterable[tuple[int, int]]) -> str:
        """The outermost part that is written: it is later than what is in it."""
        paths = [self._path(f) for f, _ in update]
        return min(paths, key=lambda x: (x.count("/") if x else -1, x), default="")

    def _made(self, update: tuple[tuple[int, int], ...], commands: Sequence[Command]) -> Action:
        diagrams = self.diagrams
        wakes: set[int] = set()
        guard, rows = diagrams.false, []
        for command in commands:
            own = diagrams.guard(command.guard)
            guard |= own
            rows.append((command.row, own))
            asked = dict(command.guard)
            for f, x in update:
                came_from = asked.get(f, self._full[f])
                wakes.update(
                    number
                    for number, allowed in self._asking.get(f, ())
                    if x in allowed and not came_from <= allowed
                )
        return Action(
            guard=guard,
            written=[bit for f, _ in update for bit in diagrams.bits[f]],
            cube=diagrams.cube(update),
            assigned=diagrams.assigned(update),
            wakes=tuple(sorted(wakes)),
            shared=not self._home(update),
            rows=rows,
        )

    def _rivalled(
        self,
        number: int,
        update: tuple[tuple[int, int], ...],
        action: Action,
        internal: Sequence[Action],
    ) -> Action:
        rivals: set[int] = set()
        for f, x in update:
            rivals.update(n for n, allowed in self._asking.get(f, ()) if x not in allowed)
            rivals.update(n for n, y in self._writing.get(f, ()) if y != x)
        false, clash, met = self.diagrams.false, self.diagrams.false, []
        for other in sorted(rivals - {number}):
            both = internal[other].guard & action.guard
            if both != false:
                met.append(other)
                clash |= both
        return action._replace(rivals=tuple(met), clash=clash)
