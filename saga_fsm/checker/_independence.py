"""
Whether two moves, each with all that settles after it, can be taken in either order.

A move is a command and then the internal commands that it wakes, so two commands that touch
nothing in common may still meet in what settles. Here a move is over-approximated by a *bundle*:
the command and every internal command that may be taken after it, given what is known of the state
in which it starts. Two bundles are *independent* if no member of one writes what a member of the
other asks not to be, and none writes a field as a member of the other writes it otherwise.

Then, from each state ``v`` in which both commands are enabled, take all of the one bundle that is
really taken and all of the other, in any order: each stays enabled and the end ``m`` is the same.
What the first command leaves, settled, is on such a way, and so is what the second makes of it; it
then settles to what ``m`` settles to, because settling a real state ends in one state whatever its
order (machine.md 1). So both orders lead to one state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from saga_fsm.product import Command, Guard


# What a field may be, where that is known; any of its values where it is not.
Known: TypeAlias = dict[int, frozenset[int]]


class Taken(NamedTuple):
    """One command as sets: what it asks by field, and what it writes."""

    asks: Mapping[int, frozenset[int]]
    writes: Mapping[int, int]

    @classmethod
    def of(cls, command: Command) -> Taken:
        """A command, its guard and update by field."""
        return cls(dict(command.guard), dict(command.update))

    def excluded(self, known: Known) -> bool:
        """Whether what is known says that it is not enabled."""
        return excluded(self.asks.items(), known)

    def spoils(self, other: Taken) -> bool:
        """Whether the other may not be enabled after it, or writes something else."""
        for f, x in self.writes.items():
            allowed = other.asks.get(f)
            if (allowed is not None and x not in allowed) or other.writes.get(f, x) != x:
                return True
        return False


class Bundle(NamedTuple):
    """
    A command, and every internal one that may be taken after it.

    Args:
        members: these, the command first.
        writes: the values that they may write, by field.
        asks: the fields that they ask for.
    """

    members: Sequence[Taken]
    writes: Mapping[int, set[int]]
    asks: set[int]

    def apart(self, other: Bundle) -> bool:
        """Whether neither writes a field that the other one touches."""
        mine, others = self.writes.keys(), other.writes.keys()
        return (
            mine.isdisjoint(other.asks) and others.isdisjoint(self.asks) and mine.isdisjoint(others)
        )

    def independent(self, other: Bundle) -> bool:
        """Whether they can be taken in either order."""
        return self.apart(other) or not any(
            one.spoils(two) or two.spoils(one) for one in self.members for two in other.members
        )

    def undoes(self, guard: Guard) -> bool:
        """Whether a guard that holds may not hold after it."""
        return any(not self.writes.get(f, allowed) <= allowed for f, allowed in guard)


def excluded(guard: Iterable[tuple[int, frozenset[int]]], known: Known) -> bool:
    """Whether what is known says that a guard does not hold."""
    return any(f in known and known[f].isdisjoint(allowed) for f, allowed in guard)


def narrowed(known: Known, guard: Iterable[tuple[int, frozenset[int]]]) -> Known:
    """What is known where a guard holds as well, which it may."""
    found = dict(known)
    for f, allowed in guard:
        found[f] = found[f] & allowed if f in found else allowed
    return found


class Settling:
    """
    The internal commands, by what wakes them.

    Args:
        internal: all of them.
    """

    def __init__(self, internal: Iterable[Command]) -> None:
        self.rows = [Taken.of(one) for one in internal]
        self._reading: dict[int, list[int]] = {}
        for number, row in enumerate(self.rows):
            for f in row.asks:
                self._reading.setdefault(f, []).append(number)

    def bundle(self, command: Taken, known: Known) -> Bundle:
        """
        A command and all that may be taken while what it left settles.

        Args:
            command: which is enabled.
            known: of the settled state in which it starts.
        """
        may = dict(known)
        writes: dict[int, set[int]] = {}
        members, asks = [command], set(command.asks)
        taken: set[int] = set()
        for f, x in command.writes.items():
            may[f] = frozenset({x})
            writes[f] = {x}
        todo = list(writes)
        while todo:
            for number in self._reading.get(todo.pop(), ()):
                row = self.rows[number]
                if number in taken or row.excluded(may) or not _woken(row, writes):
                    continue
                taken.add(number)
                members.append(row)
                asks.update(row.asks)
                for f, x in row.writes.items():
                    if f in may:
                        may[f] |= {x}
                    writes.setdefault(f, set()).add(x)
                    todo.append(f)
        return Bundle(members, writes, asks)


def _woken(row: Taken, writes: Mapping[int, set[int]]) -> bool:
    """Whether a command, which was not enabled before, may be because of what was written."""
    return any(f in writes and not writes[f].isdisjoint(allowed) for f, allowed in row.asks.items())
