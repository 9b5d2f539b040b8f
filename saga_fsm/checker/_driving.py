"""
Whether from everywhere a run can come to rest, shown forwards: all states are driven there.

A set is replaced by what one command makes of the states that it is applied to, settled, and the
other states as they were: each state before has a run to one after. So if all come to rest in the
end, each of the first could. Which commands are applied is a matter of speed alone: those that
bring one part nearer to where it may rest, by a distance measured on the part, what is around it
and what all share. A drive that ends elsewhere shows nothing: who asks has to search backwards.

Only states that a run can come to are met, and each part that is driven leaves fewer of them; a
search backwards also meets what no run comes to, of which parts that work at once have far more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from saga_fsm.checker._actions import Action
from saga_fsm.checker._bdd import Diagrams, Set
from saga_fsm.checker._leaps import Leap, Leaps
from saga_fsm.checker._settling import Settling
from saga_fsm.product import Command, Guard, Update


# One command as one part sees it.
_Seen: TypeAlias = tuple[Guard, Update]
# An action, and where it is taken.
_Step: TypeAlias = tuple[Set, Action]


class _Aim(NamedTuple):
    """The actions of a part where they bring it nearer to rest; all of its own as one leap."""

    steps: list[_Step]
    left: list[_Step]
    leap: Leap | None
    relation: Set


class Driving:
    """
    States on their way to rest.

    Args:
        leaps: of the network.
        settling: of the same network; what it notes as taken is taken.
        inside: by the path of a block, or "" for all: the automata directly in it.
    """

    def __init__(
        self, leaps: Leaps, settling: Settling, inside: Mapping[str, Sequence[str]]
    ) -> None:
        actions = leaps.actions
        self.leaps = leaps
        self.actions = actions
        self.diagrams: Diagrams = actions.diagrams
        self.settling = settling
        self.inside = inside
        self.states: Set = self.diagrams.false
        self._own = actions.fields
        self._naming: dict[int, list[Command]] = {}
        self._writing: dict[int, list[Command]] = {}
        network = self.diagrams.network
        for command in (*network.commands, *network.internal):
            for f in {f for f, _ in (*command.guard, *command.update)}:
                self._naming.setdefault(f, []).append(command)
            for f in {f for f, _ in command.update}:
                self._writing.setdefault(f, []).append(command)
        self._around: dict[tuple[int, ...], Counter[_Seen]] = {}
        self._aims: dict[str, _Aim] = {}

    def rest(self, states: Set) -> bool:
        """Whether all of these were driven to rest; False leaves it open."""
        diagrams, forwards = self.diagrams, True
        unrest = ~diagrams.guard(diagrams.network.rest)
        self.states = states
        for _ in range(2 * len(self._own) + 2):
            before = self.states
            self._drive("", forwards=forwards)
            if self.states & unrest == diagrams.false:
                return True
            if self.states == before and not forwards:
                return False
            forwards = not forwards
        return False

    def _drive(self, path: str, *, forwards: bool) -> None:
        """What is inside, then the part itself, then what all parts hear."""
        inside = self.inside.get(path, ())
        for one in inside if forwards else reversed(inside):
            self._drive(one, forwards=forwards)
        aim = self._aims.get(path)
        if aim is None:
            aim = self._aims[path] = self._aim(path)
        # Each application is one step nearer, but for what settling does.
        for _ in range(2 * len(aim.steps) + 2):
            before = self.states
            for step in aim.steps if aim.leap is None else self._leap(aim, aim.leap):
                self._move(step)
            if self.states == before:
                break
        if not path:
            for settled in self.settling.heard():
                self.states |= settled

    def _move(self, step: _Step) -> None:
        """One command, where it is nearer to rest."""
        guard, action = step
        diagrams = self.diagrams
        self.settling.tick()
        now = diagrams.image(self.states, guard, action.written, action.cube)
        if now != diagrams.false:
            self.states &= ~guard
            self.states |= self.settling.quiet(now, action.wakes)

    def _leap(self, aim: _Aim, leap: Leap) -> list[_Step]:
        """All that one part can do by itself; what is left for single steps."""
        self.settling.tick()
        now = self.diagrams.leapt(self.states, aim.relation, leap.bits)
        if now & leap.clash != self.diagrams.false:
            return aim.steps
        self.states = self.settling.quiet(now, (*leap.inner, *leap.wakes))
        return aim.left

    # ------------------------------------------------------------------ which commands

    def _aim(self, path: str) -> _Aim:
        """The actions of a part, each where it leads nearer to rest as the part sees it."""
        diagrams, false = self.diagrams, self.diagrams.false
        steps, rings = [], self._rings(path)
        for action in self._concerning(path):
            nearer, guard = rings[0], false
            for ring in rings[1:]:
                guard |= diagrams.before(nearer, action.guard, action.assigned) & ring
                nearer |= ring
            if guard != false:
                steps.append((guard, action))
        leap = None if path in self.inside else self.leaps.of(path)
        if leap is None:
            return _Aim(steps, steps, None, false)
        bits = set(leap.bits)
        own = [step for step in steps if set(step[1].written) <= bits]
        left = [step for step in steps if not set(step[1].written) <= bits]
        return _Aim(steps, left, leap, self.leaps.towards(leap, own))

    def _concerning(self, path: str) -> list[Action]:
        """The actions of a part, and those of what is around it that write it too."""
        own = {bit for f in self._own.get(path, ()) for bit in self.diagrams.bits[f]}
        above = [x for around in _around(path) for x in self.actions.by_path.get(around, [])]
        also = [action for action in above if not own.isdisjoint(action.written)]
        return [*self.actions.by_path.get(path, []), *also]

    def _rings(self, path: str) -> list[Set]:
        """What the part can be in by its distance from where it may rest."""
        diagrams, false = self.diagrams, self.diagrams.false
        around = self._fields_around(path)
        fields = frozenset((*around, *self._own.get(path, ())))
        seen = self._seen(path, around, fields)
        steps = [(diagrams.guard(guard), diagrams.assigned(update)) for guard, update in seen]
        near = diagrams.guard(_among(diagrams.network.rest, fields))
        rings = [near]
        while rings[-1] != false:
            last = false
            for guard, assigned in steps:
                last |= diagrams.before(rings[-1], guard, assigned)
            rings.append(last & ~near)
            near |= last
        return rings

    def _fields_around(self, path: str) -> tuple[int, ...]:
        """What all share, and the blocks that a part is in."""
        return tuple(f for around in _around(path) for f in self._own.get(around, ()))

    def _seen(self, path: str, around: tuple[int, ...], fields: frozenset[int]) -> list[_Seen]:
        """All commands as a part sees them: what they ask of others is granted."""
        others = self._around.get(around)
        if others is None:
            writing = {id(x): x for f in around for x in self._writing.get(f, ())}
            others = Counter(_narrowed(writing.values(), frozenset(around)))
            self._around[around] = others
        naming = [x for f in self._own.get(path, ()) for x in self._naming.get(f, ())]
        # Those that ask something of the part itself are seen with that alone.
        mine = Counter(_narrowed({id(x): x for x in naming}.values(), frozenset(around)))
        seen = {one for one, times in others.items() if times > mine[one]}
        # In an order, that a search is the same each time.
        return sorted(seen.union(_narrowed(naming, fields)), key=repr)


def _around(path: str) -> Iterator[str]:
    """The paths of the blocks that a part is in, and of all."""
    while path:
        path = path.rpartition("/")[0]
        yield path


def _narrowed(commands: Iterable[Command], fields: frozenset[int]) -> Iterator[_Seen]:
    for command in commands:
        update = tuple(one for one in command.update if one[0] in fields)
        if update:
            yield _among(command.guard, fields), tuple(sorted(update))


def _among(guard: Guard, fields: frozenset[int]) -> Guard:
    return tuple(one for one in guard if one[0] in fields)
