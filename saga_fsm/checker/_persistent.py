"""
Partial-order reduction: in which states the moves of one step are enough.

Of one step (its automaton and its ledger, the *home*) take all commands ``T`` that write there. In
a state ``s`` they are *enough*, and all other moves wait, if the table says, by what ``s`` has in
the home and in the scopes around it (the *hubs*), all of this:

1. *Pinned.* What the commands of ``T`` ask for and write, the home among it, cannot be changed by
   anybody else, as what the home and its hubs can come to without ``T`` shows. So whoever else
   moves, in any order and number, the same of ``T`` stay enabled.
2. *Independent.* Each of ``T`` that is enabled can be taken before instead of after any other move
   that is possible while this is pinned, with the same end (``_independence``).
3. *Unseen.* While this is pinned no run rests; and what is forbidden is excluded as well; or it
   has one name whatever the status and holds still after each of ``T``; or it asks for a value
   that its field, from what it is in ``s``, does not come to while this is pinned.
4. *Nobody waits for ever.* From each state that was looked at in part, moves that were looked at
   lead to one that was looked at in whole. It is the search that sees to this (``_reduced``).

These are persistent sets (Godefroid 1996), decided once for what a home and its hubs may be, but
for the last part of (3), and looked up then. Why nothing is lost: let ``s`` be a state that was
looked at, and take any run from it. If a command of some ``T`` is in that run, the first such can
be taken first (2), and the rest of the run leads from there to the same end. If none is, each of
``T`` can be taken at its end as well as at once (1, 2), and what was forbidden at its end is still
(3). By (4) this comes to a state in which the first move of the run is looked at, and so on, until
nothing of the run is left. So each broken rule is found at each step; every state at rest is found
itself, for a run cannot end there without a command of ``T`` (3); and so is each state in which
nothing can happen. From each state whatsoever some state that was looked at can be reached; and
from one of these a rest can be reached if it can be by moves that were looked at. So ``AG EF rest``
is decided, too. What is not kept: lengths of runs, numbers of states, and which internal commands
were taken.

It is sound where settling is confluent, as in each table that the compiler makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

import attrs

from saga_fsm.checker._independence import Bundle, Known, Settling, Taken, excluded, narrowed
from saga_fsm.checker._symmetry import Branch, Swap, swap
from saga_fsm.product import Forbidden, Network, Values


Local: TypeAlias = tuple[int, ...]
# In a state one of these fields must have one of its values.
Clause: TypeAlias = tuple[tuple[int, frozenset[int]], ...]


class Enough(NamedTuple):
    """
    Moves that are enough.

    Args:
        moves: numbers of commands.
        clauses: where each of these is met.
    """

    moves: frozenset[int]
    clauses: Sequence[Clause]


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
        self.homes = homes_of(network)
        self._like = list(range(len(self.homes)))
        self._swapped: list[Swap] = [{} for _ in self.homes]
        self._align(groups)
        self._commands = [Taken.of(one) for one in network.commands]
        self._settling = Settling(network.internal)
        self._own = [self._writing(home) for home in self.homes]
        self._known: list[dict[Local, Enough | None]] = [{} for _ in self.homes]
        self._judged: list[dict[Local, Sequence[Clause] | None]] = [{} for _ in self.homes]

    def _align(self, groups: Sequence[Sequence[Branch]]) -> None:
        """Let each home of a branch be decided as that of the first one like it is."""
        numbers = {home.fields: number for number, home in enumerate(self.homes)}
        for first, *others in groups:
            inside = [(n, home) for n, home in enumerate(self.homes) if home.fields[0] in first]
            for branch in others:
                swapped = swap(first, branch)
                for like, home in inside:
                    image = Home(*(tuple(swapped.get(f, f) for f in part) for part in home))
                    number = numbers[image.fields]
                    self.homes[number], self._like[number] = image, like
                    self._swapped[number] = swapped

    def enough(self, values: Values) -> frozenset[int] | None:
        """The numbers of the commands that are enough; None where all are to be taken."""
        # Who has come furthest goes on: so most others are still where they began.
        begun = [number for number, home in enumerate(self.homes) if values[home.fields[0]]]
        for number in sorted(begun, key=lambda n: values[self.homes[n].fields[0]], reverse=True):
            home, known = self.homes[number], self._known[number]
            key = tuple(values[f] for f in (*home.fields, *home.hubs))
            if key not in known:
                known[key] = self._decided(number, key)
            found = known[key]
            if found is not None and all(
                any(values[f] in safe for f, safe in clause) for clause in found.clauses
            ):
                return found.moves
        return None

    def _writing(self, home: Home) -> list[int]:
        commands = enumerate(self._commands)
        return [x for x, one in commands if not one.writes.keys().isdisjoint(home.fields)]

    def _decided(self, number: int, key: Local) -> Enough | None:
        like, swapped = self._like[number], self._swapped[number]
        judged = self._judged[like]
        if key not in judged:
            judged[key] = self._enough(like, key)
        clauses = judged[key]
        if clauses is None:
            return None
        known = _there(self.homes[number], key)
        return Enough(
            frozenset(x for x in self._own[number] if not self._commands[x].excluded(known)),
            [tuple((swapped.get(f, f), safe) for f, safe in clause) for clause in clauses],
        )

    def _enough(self, number: int, key: Local) -> Sequence[Clause] | None:
        """Where the moves of a home are enough, with this in it and its hubs; None: nowhere."""
        home, own = self.homes[number], self._own[number]
        others = [x for number, x in enumerate(self._commands) if number not in own]
        known = self._pinned(home, key, (*others, *self._settling.rows))
        pinned = {f for f, values in known.items() if len(values) == 1}
        moves = [self._commands[x] for x in own if not self._commands[x].excluded(known)]
        if (
            not moves
            or any(not one.asks.keys() | one.writes.keys() <= pinned for one in moves)
            or not excluded(self.network.rest, known)
        ):
            return None
        seen: dict[int, Forbidden] = {}
        for move in moves:
            bundle = self._settling.bundle(move, known)
            for one in self.network.forbidden:
                if id(one) not in seen and self._seen(bundle, one, known):
                    seen[id(one)] = one
            if any(self._meets(bundle, other, known) for other in others):
                return None
        changing = [x for x in (*others, *self._settling.rows) if not x.excluded(known)]
        clauses = [self._unless(one, known, changing) for one in seen.values()]
        return None if () in clauses else list(dict.fromkeys(clauses))

    def _unless(self, one: Forbidden, known: Known, changing: Iterable[Taken]) -> Clause:
        """Where a field does not come to what is forbidden while others move."""
        found = []
        for f, allowed in one.guard:
            if f not in known:
                every = frozenset(range(len(self.network.fields[f].values)))
                safe = every - _leading_to(allowed, f, every, changing)
                if safe:
                    found.append((f, safe))
        return tuple(found)

    def _pinned(self, home: Home, key: Local, others: Iterable[Taken]) -> Known:
        """What can be in a home and its hubs as long as none of its own commands is taken."""
        known = _there(home, key)
        others = [x for x in others if not x.writes.keys().isdisjoint(known)]
        growing = True
        while growing:
            growing = False
            for one in others:
                if not one.excluded(known):
                    for f, x in one.writes.items():
                        if f in known and x not in known[f]:
                            known[f] |= {x}
                            growing = True
        return known

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


def _leading_to(
    wanted: Iterable[int], f: int, every: frozenset[int], commands: Iterable[Taken]
) -> set[int]:
    """The values of a field from which these commands may bring it to one that is wanted."""
    writing = [one for one in commands if f in one.writes]
    found, size = set(wanted), 0
    while size != len(found):
        size = len(found)
        for one in writing:
            if one.writes[f] in found:
                found |= one.asks.get(f, every)
    return found
