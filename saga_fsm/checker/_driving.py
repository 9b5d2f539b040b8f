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
from typing import NamedTuple

from saga_fsm.checker._actions import Action, Actions
from saga_fsm.checker._bdd import Diagrams, Set
from saga_fsm.checker._settling import Settling
from saga_fsm.product import Command, Guard, Update


# One command as one part sees it.
_Seen = tuple[Guard, Update]


class _Aimed(NamedTuple):
    """An action, where it brings its part nearer to rest."""

    guard: Set
    action: Action


class Driving:
    """
    States on their way to rest.

    Args:
        actions: of the network.
        settling: of the same network; what it notes as taken is taken.
        inside: by the path of a block, or "" for all: the automata directly in it.
    """

    def __init__(
        self, actions: Actions, settling: Settling, inside: Mapping[str, Sequence[str]]
    ) -> None:
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
        self._aimed: dict[str, list[_Aimed]] = {}

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
        aimed = self._aimed.get(path)
        if aimed is None:
            aimed = self._aimed[path] = list(self._aim(path))
        # Each application is one step nearer, but for what settling does.
        for _ in range(2 * len(aimed)):
            before = self.states
            for step in aimed:
                self._move(step)
            if self.states == before:
                break
        if not path:
            for settled in self.settling.heard():
                self.states |= settled

    def _move(self, one: _Aimed) -> None:
        diagrams, action = self.diagrams, one.action
        now = diagrams.image(self.states, one.guard, action.written, action.cube)
        if now != diagrams.false:
            self.states &= ~one.guard
            self.states |= self.settling.quiet(now, action.wakes)

    # ------------------------------------------------------------------ which commands

    def _aim(self, path: str) -> Iterator[_Aimed]:
        """The actions of a part, each where it leads nearer to rest as the part sees it."""
        diagrams, false = self.diagrams, self.diagrams.false
        own = self.actions.by_path.get(path, [])
        rings = self._rings(path)
        for action in own:
            nearer, guard = rings[0], false
            for ring in rings[1:]:
                guard |= diagrams.before(nearer, action.guard, action.assigned) & ring
                nearer |= ring
            if guard != false:
                yield _Aimed(guard, action)

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
        found = list(self._own.get("", ()))
        while path:
            path = path.rpartition("/")[0]
            if path:
                found += self._own.get(path, ())
        return tuple(found)

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


def _narrowed(commands: Iterable[Command], fields: frozenset[int]) -> Iterator[_Seen]:
    for command in commands:
        update = tuple(one for one in command.update if one[0] in fields)
        if update:
            yield _among(command.guard, fields), tuple(sorted(update))


def _among(guard: Guard, fields: frozenset[int]) -> Guard:
    return tuple(one for one in guard if one[0] in fields)
