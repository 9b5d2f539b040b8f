"""
A network of guarded commands: what every engine of the checker reads.

A state gives each *field* one of its values. A *command* is ``token | guard | update``: if each
field of the guard has one of the values it asks for, then the fields of the update take new ones,
which are constants. *Internal* commands are taken at once, in any order, until none is enabled:
a state is what is left then (machine.md 1, "settling"). What may never be is a guard as well.

The machine's automata, the participants' ledgers, the orchestrator's health, and whatever a
property has to remember are all fields; so there is one table, and several ways to search it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableSequence, Sequence
from functools import cached_property
from typing import NamedTuple, TypeAlias

import attrs

from saga_fsm.machine import Machine


# A value is an index into the names of its field.
Literal: TypeAlias = tuple[int, frozenset[int]]
Guard: TypeAlias = tuple[Literal, ...]
Update: TypeAlias = tuple[tuple[int, int], ...]
Values: TypeAlias = tuple[int, ...]


class Field(NamedTuple):
    """
    One finite variable.

    Args:
        name: a path of the machine, ``~path`` for the ledger of a participant, ``@up`` or
            ``@broken``.
        values: the names of its values; the first one is the initial one.
        codes: the machine's codes of these values; empty where it is no automaton.
    """

    name: str
    values: tuple[str, ...]
    codes: tuple[int, ...] = ()


class Command(NamedTuple):
    """
    One guarded command.

    Args:
        token: how a path writes it; empty for an internal one.
        says: in words.
        guard: what it asks.
        update: what it changes; loops are kept, their count is part of the figures.
        row: the number of the machine's row that it takes, -1 for none.
        event: what the machine is told, None when it does not see it.
    """

    token: str
    says: str
    guard: Guard
    update: Update
    row: int = -1
    event: str | None = None


class Forbidden(NamedTuple):
    """
    What no state may be.

    Args:
        step: path of the step it is about, or empty.
        asks: when it is so.
        sayings: rule and sentence by the run's status there, or under "" for any.
        shared: what it asks as well, as many do: one value, that a run is at rest for instance.
    """

    step: str
    asks: Guard
    sayings: Mapping[str, tuple[str, str]]
    shared: Guard = ()

    @property
    def guard(self) -> Guard:
        """All that it asks."""
        return conjunction(self.asks, self.shared) or NOWHERE

    def said(self, status: str) -> tuple[str, str, str]:
        """Rule, step and sentence, where the run has this status."""
        rule, sentence = self.sayings.get(status) or self.sayings.get("") or ("I4", self.step)
        return rule, self.step, sentence


# Asks for no value at all of the first field.
NOWHERE: Guard = ((0, frozenset()),)


def conjunction(one: Iterable[Literal], other: Iterable[Literal]) -> Guard | None:
    """Both guards; None where they exclude each other."""
    joined = dict(one)
    for f, allowed in other:
        joined[f] = joined[f] & allowed if f in joined else allowed
        if not joined[f]:
            return None
    return tuple(joined.items())


class Part(NamedTuple):
    """
    One run of several that are searched together.

    Args:
        name: of the run: ``order#1``.
        machine: whose automata are fields, in the machine's order.
        first: the field of its first automaton.
    """

    name: str
    machine: Machine
    first: int


@attrs.frozen(eq=False)
class Network:
    """
    Fields, commands and what may never be.

    Args:
        machine: whose automata are the first fields, in the machine's order.
        fields: all of them; the world's memory (``~path``), which no internal command reads, last.
        commands: of the participants, the network between, operators and the users: one at a time.
        internal: taken at once until none is enabled; confluent.
        forbidden: what no state may be.
        rest: when a run has come to rest, for better or worse.
        parts: the runs, where there are several; the machine is then that of the first.
    """

    machine: Machine
    fields: tuple[Field, ...]
    commands: tuple[Command, ...]
    internal: tuple[Command, ...]
    forbidden: tuple[Forbidden, ...]
    rest: Guard
    parts: tuple[Part, ...] = ()

    @cached_property
    def _watching(self) -> list[dict[int, list[Command]]]:
        """Per field and value: the internal commands that ask for it."""
        found: list[dict[int, list[Command]]] = [{} for _ in self.fields]
        for command in self.internal:
            for f, allowed in command.guard:
                for x in allowed:
                    found[f].setdefault(x, []).append(command)
        return found

    @property
    def initial(self) -> Values:
        """Each field at its first value; no internal command is enabled there."""
        return (0,) * len(self.fields)

    def take(self, command: Command, values: MutableSequence[int]) -> list[int]:
        """Take a command and settle, in place; the rows of the machine that were taken."""
        taken, todo = [command.row], []
        for f, x in command.update:
            values[f] = x
            todo.append(f)
        watching = self._watching
        while todo:
            f = todo.pop()
            for row in watching[f].get(values[f], ()):
                for g, allowed in row.guard:
                    if values[g] not in allowed:
                        break
                else:
                    taken.append(row.row)
                    for g, x in row.update:
                        values[g] = x
                        todo.append(g)
        return taken

    def after(self, command: Command, values: Sequence[int]) -> Values | None:
        """The state after a command; None where it is not enabled."""
        if not holds(command.guard, values):
            return None
        now = list(values)
        self.take(command, now)
        return tuple(now)


def holds(guard: Guard, values: Sequence[int]) -> bool:
    """Whether a state satisfies a guard."""
    return all(values[f] in allowed for f, allowed in guard)


def pruned(network: Network) -> Network:
    """
    The same network without the values and commands that no run can come to.

    Each field is taken by itself, to a fixpoint; what is left has the same runs. A guard asks only
    for values that are left and not for what always holds.
    """
    reached, live = _reached(network)
    narrow = _Narrow(reached)
    rest = narrow(network.rest)
    return attrs.evolve(
        network,
        fields=tuple(map(_narrowed, network.fields, reached)),
        commands=narrow.commands(one for one in network.commands if id(one) in live),
        internal=narrow.commands(one for one in network.internal if id(one) in live),
        forbidden=tuple(narrow.forbidden(network.forbidden)),
        rest=NOWHERE if rest is None else rest,
    )


class _Narrow:
    """
    Guards and updates by the numbers of the values that are left.

    Args:
        reached: the values that are left, field by field.
    """

    def __init__(self, reached: Sequence[set[int]]) -> None:
        self._fresh = [{x: i for i, x in enumerate(sorted(values))} for values in reached]
        # Each rule at rest asks all automata the same: what is left of that is worked out once.
        self._known: dict[Literal, frozenset[int]] = {}

    def __call__(self, guard: Guard) -> Guard | None:
        """What is left of a guard; None where it holds nowhere."""
        parts = []
        for literal in guard:
            f, allowed = literal
            fresh, left = self._fresh[f], self._known.get(literal)
            if left is None:
                left = self._known[literal] = frozenset(fresh[x] for x in allowed if x in fresh)
            if not left:
                return None
            if len(left) < len(fresh):
                parts.append((f, left))
        return tuple(parts)

    def commands(self, commands: Iterable[Command]) -> tuple[Command, ...]:
        """Commands that may be enabled."""
        return tuple(
            command._replace(
                guard=self(command.guard) or (),
                update=tuple((f, self._fresh[f][x]) for f, x in command.update),
            )
            for command in commands
        )

    def forbidden(self, every: Sequence[Forbidden]) -> Iterator[Forbidden]:
        """What can be there at all; what many of them ask is narrowed once."""
        many = {id(one.shared): one.shared for one in every}
        shared = {key: self(guard) for key, guard in many.items()}
        by_field = {key: dict(guard or ()) for key, guard in shared.items()}
        for one in every:
            asks, also = self(one.asks), shared[id(one.shared)]
            if asks is None or also is None:
                continue
            beside = by_field[id(one.shared)]
            if all(f not in beside or not allowed.isdisjoint(beside[f]) for f, allowed in asks):
                yield one._replace(asks=asks, shared=also)


def _reached(network: Network) -> tuple[list[set[int]], set[int]]:
    """The values that each field by itself can come to, and the commands that may be enabled."""
    reached = [{0} for _ in network.fields]
    live: set[int] = set()
    # Who is blocked waits for the field that blocks it.
    waiting: list[list[Command]] = [[] for _ in network.fields]
    todo: list[Command] = [*network.commands, *network.internal]
    while todo:
        command = todo.pop()
        for f, allowed in command.guard:
            if allowed.isdisjoint(reached[f]):
                waiting[f].append(command)
                break
        else:
            live.add(id(command))
            for f, x in command.update:
                if x not in reached[f]:
                    reached[f].add(x)
                    todo += waiting[f]
                    waiting[f] = []
    return reached, live


def _narrowed(field: Field, reached: set[int]) -> Field:
    left = sorted(reached)
    codes = tuple(field.codes[x] for x in left) if field.codes else ()
    return Field(field.name, tuple(field.values[x] for x in left), codes)
