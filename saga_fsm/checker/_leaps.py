"""
All that one part does by itself, as one relation: a part comes to its fixpoint in one product.

A part is small: few bits that only its own commands write, few others that these ask for. So the
relation between what it was and all that it can become is found once, in a diagram of some dozens
of nodes, and not again and again in one of thousands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from saga_fsm.checker._actions import Action, Actions
from saga_fsm.checker._bdd import Diagrams, Set
from saga_fsm.product import Command, Guard


class Leap(NamedTuple):
    """
    What a part can do by itself.

    Args:
        relation: between its bits and their twins: what it was, and what it becomes.
        bits: its own.
        stirs: where one of its own internal actions is enabled: it is passing through.
        clash: where another internal action contradicts one of its own: it may not leap there.
        wakes: numbers of the internal actions of others that may be enabled afterwards.
        inner: its own internal actions, by their numbers.
        left: actions of its own that it cannot take by itself.
    """

    relation: Set
    bits: list[str]
    stirs: Set
    clash: Set
    wakes: tuple[int, ...]
    inner: dict[int, Action]
    left: list[Action]


class Leaps:
    """
    The leaps of a network.

    Args:
        actions: of the network.
    """

    def __init__(self, actions: Actions) -> None:
        self.actions = actions
        self.diagrams: Diagrams = actions.diagrams
        self._fields = actions.fields
        self._bits = {
            path: [bit for f in fields for bit in self.diagrams.bits[f]]
            for path, fields in actions.fields.items()
            if path
        }
        self._naming: dict[int, list[Command]] = {}
        for command in self.diagrams.network.internal:
            for f, _ in command.guard:
                self._naming.setdefault(f, []).append(command)
        # By the bits that it writes: which part an internal action is of.
        part = {bit: path for path, bits in self._bits.items() for bit in bits}
        self._inner: dict[str, dict[int, Action]] = {}
        for number, action in enumerate(actions.internal):
            paths = {part.get(bit, "") for bit in action.written}
            if len(paths) == 1:
                self._inner.setdefault(paths.pop(), {})[number] = action
        self._found: dict[str, Leap | None] = {}

    def of(self, path: str) -> Leap | None:
        """What a part does by itself; None where it has to go step by step."""
        if path not in self._found:
            self._found[path] = self._leap(path) if self._bits.get(path) else None
        return self._found[path]

    def _leap(self, path: str) -> Leap | None:
        bits, inner = self._bits[path], self._inner.get(path, {})
        own, left = [], []
        for action in self.actions.by_path.get(path, []):
            (own if set(action.written) <= set(bits) else left).append(action)
        wakes = {x for action in (*own, *inner.values()) for x in action.wakes}
        stirs = clash = self.diagrams.false
        for action in inner.values():
            stirs |= action.guard
            if action.rivals:
                clash |= action.clash
        relation = self._closed(path, own, inner.values())
        others = tuple(sorted(wakes - set(inner)))
        return Leap(relation, bits, stirs, clash, others, inner, left)

    def deny(self, path: str) -> None:
        """A part goes step by step from now on."""
        self._found[path] = None

    def _closed(self, path: str, own: Iterable[Action], inner: Iterable[Action]) -> Set:
        """Any number of steps, as long as surely no internal command is enabled in between."""
        diagrams, bits = self.diagrams, self._bits[path]
        go = diagrams.true
        for guard in sorted(self._asking(path), key=repr):
            # All but the part stays as it is: a command that the part let pass when it was quiet
            # is not enabled now. To look at the part alone keeps the relation small.
            asked = diagrams.guard(guard)
            go &= asked | ~diagrams.twinned(asked, bits)
        steps = [self._twinned(action, bits, go) for action in own]
        steps += [self._twinned(action, bits, diagrams.true) for action in inner]
        relation = diagrams.same(bits)
        while True:
            before = relation
            for where, written, cube in steps:
                relation |= diagrams.image(relation, where, written, cube)
            if relation == before:
                return relation

    def _asking(self, path: str) -> set[Guard]:
        """What internal commands ask of a part, and of what all share."""
        near = {*self._fields[path], *self._fields.get("", ())}
        return {
            tuple(literal for literal in command.guard if literal[0] in near)
            for f in self._fields[path]
            for command in self._naming.get(f, ())
        }

    def _twinned(self, action: Action, bits: Sequence[str], go: Set) -> tuple[Set, list[str], Set]:
        """An action on what has become of a part."""
        diagrams = self.diagrams
        guard, cube = diagrams.twinned(action.guard, bits), diagrams.twinned(action.cube, bits)
        return guard & go, [diagrams.twin[bit] for bit in action.written], cube
