"""
Partial-order reduction: in which states the moves of one step are enough.

Of one step (its automaton and its ledger, the *home*) take all commands ``T`` that write there. In
a state ``s`` they are *enough*, and all other moves wait, if the table says, by what ``s`` has in
the home and in the scopes around it (the *hubs*), all of this:

1. *Pinned.* What the commands of ``T`` ask for, and the home, cannot be changed by anybody else:
   every other command and internal command that writes there is excluded by what is pinned. So
   whoever else moves, in any order and number, the same of ``T`` stay enabled.
2. *Independent.* Each of ``T`` that is enabled can be taken before instead of after any other move
   that is possible while this is pinned, with the same end (``_independence``).
3. *Unseen.* While this is pinned no run rests; and what is forbidden is excluded as well, or has
   one name whatever the status and holds still after each of ``T``.
4. *Nobody waits for ever.* From each state that was looked at in part, moves that were looked at
   lead to one that was looked at in whole. It is the search that sees to this (``_reduced``).

These are persistent sets (Godefroid 1996), decided once for what a home and its hubs may be and
looked up then. Why nothing is lost: let ``s`` be a state that was looked at, and take any run
from it. If a command of some ``T`` is in that run, the first such can be taken first (2), and the
rest of the run leads from there to the same end. If none is, each of ``T`` can be taken at its end
as well as at once (1, 2), and what was forbidden at its end is still (3). By (4) this comes to a
state in which the first move of the run is looked at, and so on, until nothing of the run is left.
So each broken rule is found at each step; every state at rest is found itself, for a run cannot
end there without a command of ``T`` (3); and so is each state in which nothing can happen. From
each state whatsoever some state that was looked at can be reached; and from one of these a rest
can be reached if it can be by moves that were looked at. So ``AG EF rest`` is decided, too. What
is not kept: lengths of runs, numbers of states, and which internal commands were taken.

It is sound where settling is confluent, as in each table that the compiler makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import attrs

from saga_fsm.checker._independence import Bundle, Known, Settling, Taken, excluded, narrowed
from saga_fsm.checker._symmetry import Branch, swap
from saga_fsm.product import Forbidden, Network, Values


Local: TypeAlias = tuple[int, ...]


class Home(NamedTuple):
    """
    The fields of one step, and of what is around it.

    Args:
        fields: its automaton and its ledger.
        hubs: the scopes around it, and what belongs to no step.
    """

    fields: tuple[int, ...]
    hubs: tuple[int, ...]


def homes_of(network: Network) -> list[Home]:
    """Each step of which something remembers what became of it."""
    names = {field.name: f for f, field in enumerate(network.fields)}
    found = []
    for name, ledger in names.items():
        if name.startswith("~"):
            own = (names[name[1:]], ledger)
            hubs = tuple(
                f
                for other, f in names.items()
                if f not in own and (other.startswith("@") or name[1:].startswith(f"{other}/"))
            )
            found.append(Home(own, hubs))
    return found


def without_impossible(network: Network) -> Network:
    """The network without commands that no run takes: each home is looked at by itself."""
    dead: set[int] = set()
    for home in homes_of(network):
        found = _reachable(network, home)
        for number, command in enumerate(network.commands):
            asked = dict(command.guard)
            if not any(
                all(x in asked.get(f, {x}) for f, x in zip(home.fields, local, strict=True))
                for local in found
            ):
                dead.add(number)
    left = tuple(one for number, one in enumerate(network.commands) if number not in dead)
    return attrs.evolve(network, commands=left)


def _reachable(network: Network, home: Home) -> set[Local]:
    """What a home can be if whatever is elsewhere lets it."""
    moves = []
    for command in (*network.commands, *network.internal):
        asked, update = dict(command.guard), dict(command.update)
        if any(f in update for f in home.fields):
            moves.append(
                ([asked.get(f) for f in home.fields], [update.get(f) for f in home.fields])
            )
    found = {(0,) * len(home.fields)}
    todo = list(found)
    while todo:
        local = todo.pop()
        for asks, puts in moves:
            if all(a is None or x in a for a, x in zip(asks, local, strict=True)):
                after = tuple(x if p is None else p for p, x in zip(puts, local, strict=True))
                if after not in found:
                    found.add(after)
                    todo.append(after)
    return found


class Persistent:
    """
    Of which step the moves are enough, state by state.

    Args:
        network: whose.
        groups: of branches that are alike: what was decided of one of them holds for all.
    """

    def __init__(self, network: Network, groups: Sequence[Sequence[Branch]] = ()) -> None:
        self.network = network
        self.homes = _aligned(homes_of(network), groups)
        self._commands = [Taken.of(one) for one in network.commands]
        self._settling = Settling(network.internal)
        self._own = [self._writing(home) for home, _ in self.homes]
        self._known: list[dict[Local, frozenset[int] | None]] = [{} for _ in self.homes]
        self._judged: list[dict[Local, bool]] = [{} for _ in self.homes]

    def enough(self, values: Values) -> frozenset[int] | None:
        """The numbers of the commands that are enough; None where all are to be taken."""
        # Who has come furthest goes on: so most others are still where they began.
        begun = [number for number, (home, _) in enumerate(self.homes) if values[home.fields[0]]]
        for number in sorted(begun, key=lambda n: values[self.homes[n][0].fields[0]], reverse=True):
            home, known = self.homes[number][0], self._known[number]
            key = tuple(values[f] for f in (*home.fields, *home.hubs))
            if key not in known:
                known[key] = self._decided(number, key)
            if (found := known[key]) is not None:
                return found
        return None

    def _writing(self, home: Home) -> list[int]:
        commands = enumerate(self._commands)
        return [x for x, one in commands if not one.writes.keys().isdisjoint(home.fields)]

    def _decided(self, number: int, key: Local) -> frozenset[int] | None:
        home, like = self.homes[number]
        judged = self._judged[like]
        if key not in judged:
            judged[key] = self._enough(like, key)
        if not judged[key]:
            return None
        known = _there(home, key)
        return frozenset(x for x in self._own[number] if not self._commands[x].excluded(known))

    def _enough(self, number: int, key: Local) -> bool:
        """Whether the moves of a home are enough, with this in it and its hubs."""
        home, own = self.homes[number][0], self._own[number]
        known = self._pinned(home, _there(home, key), own)
        moves = [self._commands[x] for x in own if not self._commands[x].excluded(known)]
        if (
            not moves
            or any(not one.asks.keys() | one.writes.keys() <= known.keys() for one in moves)
            or any(
                not row.excluded(known) and not row.writes.keys().isdisjoint(home.fields)
                for row in self._settling.rows
            )
            or not excluded(self.network.rest, known)
        ):
            return False
        others = [x for number, x in enumerate(self._commands) if number not in own]
        for move in moves:
            bundle = self._settling.bundle(move, known)
            if any(self._seen(bundle, one, known) for one in self.network.forbidden):
                return False
            if any(self._meets(bundle, other, known) for other in others):
                return False
        return True

    def _pinned(self, home: Home, known: Known, own: Sequence[int]) -> Known:
        """What others cannot change as long as none of a home's own commands is taken."""
        others = [x for number, x in enumerate(self._commands) if number not in own]
        others += self._settling.rows
        while True:
            loose = {
                f
                for one in others
                if not one.writes.keys().isdisjoint(known) and not one.excluded(known)
                for f in one.writes
                if f not in home.fields
            } & known.keys()
            if not loose:
                return known
            known = {f: values for f, values in known.items() if f not in loose}

    def _seen(self, bundle: Bundle, one: Forbidden, known: Known) -> bool:
        """Whether what is forbidden may hold before a move, and not after, or is said otherwise."""
        guard, said_by_status = one.guard, len(one.sayings) > 1
        if excluded(guard, known):
            return False
        if said_by_status or not bundle.undoes(guard):
            return said_by_status
        closer = self._settling.bundle(bundle.members[0], narrowed(known, guard))
        return closer.undoes(guard)

    def _meets(self, bundle: Bundle, other: Taken, known: Known) -> bool:
        """Whether a move may come to another end before another than after it."""
        if other.excluded(known):
            return False
        there = narrowed(known, other.asks.items())
        beside = self._settling.bundle(other, there)
        if bundle.apart(beside):
            return False
        return not self._settling.bundle(bundle.members[0], there).independent(beside)


def _there(home: Home, key: Local) -> Known:
    return {f: frozenset({x}) for f, x in zip((*home.fields, *home.hubs), key, strict=True)}


def _aligned(homes: Sequence[Home], groups: Sequence[Sequence[Branch]]) -> list[tuple[Home, int]]:
    """Each home with the number of the one that is decided in its place: that of a first branch."""
    numbers = {home.fields: number for number, home in enumerate(homes)}
    found = list(zip(homes, range(len(homes)), strict=True))
    for first, *others in groups:
        for branch in others:
            swapped = swap(first, branch)
            for home in homes:
                if home.fields[0] in first:
                    image = Home(*(tuple(swapped.get(f, f) for f in part) for part in home))
                    found[numbers[image.fields]] = (image, numbers[home.fields])
    return found
