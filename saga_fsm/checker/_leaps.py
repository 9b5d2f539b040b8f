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


# How many rounds a part is driven in one leap.
_FAR = 50


class Leap(NamedTuple):
    """
    What a part can do by itself.

    Args:
        relation: between its bits and their twins: what it was, and what it becomes.
        bits: its own.
        go: where a step more may be taken at once.
        stirs: where one of its own internal actions is enabled: it is passing through.
        clash: where another internal action contradicts one of its own: it may not leap there.
        wakes: numbers of the internal actions of others that may be enabled afterwards.
        inner: its own internal actions, by their numbers.
        left: actions of its own that it cannot take by itself.
    """

    relation: Set
    bits: list[str]
    go: Set
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
        own: list[Action] = []
        left: list[Action] = []
        for action in self.actions.by_path.get(path, []):
            (own if set(action.written) <= set(bits) else left).append(action)
        wakes = {x for action in (*own, *inner.values()) for x in action.wakes}
        stirs = clash = self.diagrams.false
        for action in inner.values():
            stirs |= action.guard
            if action.rivals:
                clash |= action.clash
        go = self._go(path)
        relation = self._closed(bits, [(x.guard, x) for x in own], inner.values(), go)
        others = tuple(sorted(wakes - set(inner)))
        return Leap(relation, bits, go, stirs, clash, others, inner, left)

    def deny(self, path: str) -> None:
        """A part goes step by step from now on."""
        self._found[path] = None

    def towards(self, leap: Leap, aimed: Iterable[tuple[Set, Action]]) -> Set:
        """The same, but where one of these can be taken, it is: what it was before is left."""
        return self._closed(leap.bits, aimed, leap.inner.values(), leap.go, stays=False)

    def _closed(
        self,
        bits: Sequence[str],
        own: Iterable[tuple[Set, Action]],
        inner: Iterable[Action],
        go: Set,
        *,
        stays: bool = True,
    ) -> Set:
        """Any number of steps, as long as surely no internal command is enabled in between."""
        diagrams = self.diagrams
        steps = [self._twinned(guard, action, bits, go) for guard, action in own]
        steps += [self._twinned(x.guard, x, bits, diagrams.true) for x in inner]
        relation, left = diagrams.same(bits), _FAR
        while left:
            before = relation
            for where, written, cube in steps:
                now = diagrams.image(relation, where, written, cube)
                relation = relation | now if stays else relation & ~where | now
            if relation == before:
                break
            # Who leaves what it was could go round for ever; what grows comes to its end.
            left -= not stays
        return relation

    def _go(self, path: str) -> Set:
        """
        Where a part surely enables no internal command: it may take the next step.

        All but the part stays as it is: a command that it let pass when it was quiet is not enabled
        now. To look at the part alone keeps the relation small.
        """
        diagrams, bits = self.diagrams, self._bits[path]
        go = diagrams.true
        for guard in sorted(self._asking(path), key=repr):
            asked = diagrams.guard(guard)
            go &= asked | ~diagrams.twinned(asked, bits)
        return go

    def _asking(self, path: str) -> set[Guard]:
        """What internal commands ask of a part, and of what all share."""
        near = {*self._fields[path], *self._fields.get("", ())}
        return {
            tuple(literal for literal in command.guard if literal[0] in near)
            for f in self._fields[path]
            for command in self._naming.get(f, ())
        }

    def _twinned(
        self, guard: Set, action: Action, bits: Sequence[str], go: Set
    ) -> tuple[Set, list[str], Set]:
        """An action on what has become of a part."""
        diagrams = self.diagrams
        where, cube = diagrams.twinned(guard, bits) & go, diagrams.twinned(action.cube, bits)
        return where, [diagrams.twin[bit] for bit in action.written], cube
