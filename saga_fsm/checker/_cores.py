"""
A network in two storeys: *cores*, which are numbered, and the world's memory, which is bits.

No internal command reads the world's memory (the fields ``~path``), so what a command does to the
rest of a state, settling included, does not hang on it. It is worked out once for each core, by
plain Python, and then taken millions of times, as a number that is added to a state's.

A node is one int: the number of its core, then the bits of the world's memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from saga_fsm.machine import Codes, Machine, State
from saga_fsm.product import Command, Guard, Literal, Network, Update, Values


Node: TypeAlias = int
Core: TypeAlias = Codes


class Option(NamedTuple):
    """
    A command that is enabled in one core, if the world's memory lets it.

    Args:
        command: its number.
        moves: whether it changes the core.
        asks: what it asks of the world's memory.
        update: what it changes there.
    """

    command: int
    moves: bool
    asks: Guard
    update: Update


class Cores:
    """
    The cores of one network, found as they are asked for.

    Args:
        network: whose.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        fields = network.fields
        self.memory = [f for f, field in enumerate(fields) if field.name.startswith("~")]
        # The core is the fields before them.
        self.size = len(fields) - len(self.memory)
        # Per field of the world's memory: where its bits are, and how many.
        self.shift: dict[int, int] = {}
        self.bits: dict[int, int] = {}
        self.width = 0
        for f in self.memory:
            self.shift[f], self.bits[f] = self.width, (len(fields[f].values) - 1).bit_length()
            self.width += self.bits[f]
        wide = any(len(field.values) > 256 for field in fields[: self.size])
        self._freeze: Any = tuple if wide else bytes
        self._thaw: Any = list if wide else bytearray
        first = self._freeze([0] * self.size)
        self.codes: list[Core] = [first]
        self._ids: dict[Core, int] = {first: 0}
        self._options: dict[int, list[Option]] = {}
        self._breaches: dict[int, list[tuple[int, Guard]]] = {}
        self._resting: dict[int, bool] = {}
        self._targets: dict[tuple[int, int], int] = {}
        # Each command without what it does to the memory.
        self._inner = [
            one._replace(update=tuple(x for x in one.update if x[0] < self.size))
            for one in network.commands
        ]
        self._made = [self._option(*x) for x in enumerate(network.commands)]
        # The rows of the machine that were taken.
        self.taken: set[int] = set()
        self._commands = _Sorted(self, [command.guard for command in network.commands])
        # What is forbidden, by what many ask as well: that is looked at once.
        shared: dict[Guard, list[int]] = {}
        for number, one in enumerate(network.forbidden):
            shared.setdefault(one.shared, []).append(number)
        self._forbidden = [
            (also, numbers, _Sorted(self, [network.forbidden[x].asks for x in numbers]))
            for also, numbers in shared.items()
        ]
        self._rest = self.parts(network.rest)[0]

    @property
    def initial(self) -> Node:
        """The start."""
        return 0

    # ------------------------------------------------------------------ reading a node

    def values(self, node: Node) -> Values:
        """Each field's value."""
        return (*self.codes[node >> self.width], *(self.of(node, f) for f in self.memory))

    def node(self, values: Sequence[int]) -> Node:
        """The node of a state, by its fields' values."""
        core = self._number(self._freeze(values[: self.size]))
        return core << self.width | sum(values[f] << self.shift[f] for f in self.memory)

    def of(self, node: Node, f: int) -> int:
        """The value of one field of the world's memory."""
        return node >> self.shift[f] & (1 << self.bits[f]) - 1

    def state(self, node: Node) -> State:
        """The machine's state in a node."""
        return state_of(self.network, self.values(node))

    # ------------------------------------------------------------------ what a core is

    def options(self, core: int) -> list[Option]:
        """Each command that is enabled here if the world's memory lets it."""
        found = self._options.get(core)
        if found is None:
            numbers = sorted(number for number, _ in self._commands.enabled(self.codes[core]))
            # In the order of the table, so that of several shortest runs the plainest is found.
            found = self._options[core] = [self._made[number] for number in numbers]
        return found

    def breaches(self, core: int) -> list[tuple[int, Guard]]:
        """Each number of what is forbidden here, and what it asks of the world's memory."""
        found = self._breaches.get(core)
        if found is None:
            codes = self.codes[core]
            found = self._breaches[core] = sorted(
                (
                    (numbers[x], asks)
                    for also, numbers, forbidden in self._forbidden
                    if all(codes[f] in allowed for f, allowed in also)
                    for x, asks in forbidden.enabled(codes)
                ),
                key=_first,
            )
        return found

    def broken(self, node: Node) -> Iterator[tuple[str, str, str]]:
        """Rule, step and sentence of whatever is forbidden in a node."""
        for number, asks in self.breaches(node >> self.width):
            if all(self.of(node, f) in allowed for f, allowed in asks):
                yield self.network.forbidden[number].said(self.state(node).status.value)

    def resting(self, core: int) -> bool:
        """Whether a run rests here."""
        found = self._resting.get(core)
        if found is None:
            codes = self.codes[core]
            found = self._resting[core] = all(codes[i] in allowed for i, allowed in self._rest)
        return found

    def parts(self, guard: Guard) -> tuple[Guard, Guard]:
        """A guard's literals on the core, by their place in it, and those on the memory."""
        core = tuple(literal for literal in guard if literal[0] < self.size)
        return core, tuple(literal for literal in guard if literal[0] >= self.size)

    def _number(self, codes: Core) -> int:
        number = self._ids.setdefault(codes, len(self.codes))
        if number == len(self.codes):
            self.codes.append(codes)
        return number

    def _option(self, number: int, command: Command) -> Option:
        moves = any(f < self.size for f, _ in command.update)
        memory = tuple(x for x in command.update if x[0] >= self.size)
        return Option(number, moves, self.parts(command.guard)[1], memory)

    def target(self, core: int, number: int) -> int:
        """The core after a command that is enabled, settled; its rows count as taken."""
        found = self._targets.get((core, number))
        if found is None:
            command = self._inner[number]
            found = core
            if command.update:
                now = self._thaw(self.codes[core])
                self.taken.update(self.network.take(command, now))
                found = self._number(self._freeze(now))
            elif command.row >= 0:
                self.taken.add(command.row)
            self._targets[core, number] = found
        return found


def _first(found: tuple[int, Guard]) -> int:
    return found[0]


def rarest(guard: Guard, sizes: Sequence[int]) -> Literal:
    """The literal that holds least often: a local state that is not the first one is rarest."""
    return min(guard, key=lambda literal: (0 in literal[1], len(literal[1]) / sizes[literal[0]]))


class _Sorted:
    """Guards by the field that says most: which of them may hold is asked of every core."""

    def __init__(self, cores: Cores, guards: Sequence[Guard]) -> None:
        self._always: list[tuple[int, Guard]] = []
        # Per field and value: those that ask for nothing else of the core, and those that do.
        self._at: list[dict[int, tuple[list[tuple[int, Guard]], list[tuple[int, Guard, Guard]]]]]
        self._at = [{} for _ in range(cores.size)]
        self._first: set[int] = set()
        sizes = [len(field.values) for field in cores.network.fields]
        for number, whole in enumerate(guards):
            guard, asks = cores.parts(whole)
            if not guard:
                self._always.append((number, asks))
                continue
            home = rarest(guard, sizes)
            others = tuple(literal for literal in guard if literal is not home)
            if 0 in home[1]:
                self._first.add(home[0])
            for value in home[1]:
                alone, more = self._at[home[0]].setdefault(value, ([], []))
                if others:
                    more.append((number, others, asks))
                else:
                    alone.append((number, asks))

    def enabled(self, codes: Core) -> list[tuple[int, Guard]]:
        """Number and demands on the memory of each guard that holds for a core."""
        found = list(self._always)
        # Most fields are as they were at first, and little asks for that.
        for i, value in enumerate(codes):
            there = self._at[i].get(value) if value or i in self._first else None
            if there is None:
                continue
            found += there[0]
            for number, others, asks in there[1]:
                for j, allowed in others:
                    if codes[j] not in allowed:
                        break
                else:
                    found.append((number, asks))
        return found


def state_of(network: Network, values: Sequence[int]) -> State:
    """The machine's state, by its fields' values; of several runs the first one's."""
    return _state(network, network.machine, values, 0)


def described(network: Network, values: Sequence[int]) -> str:
    """The state in words; of several runs ``{order#1: running(...) | order#2: pending}``."""
    if not network.parts:
        return str(state_of(network, values))
    states = (
        f"{part.name}: {_state(network, part.machine, values, part.first)}"
        for part in network.parts
    )
    return f"{{{' | '.join(states)}}}"


def _state(network: Network, machine: Machine, values: Sequence[int], first: int) -> State:
    fields = range(first, first + len(machine.automata))
    codes = [network.fields[v].codes[values[v]] for v in fields]
    return State(type(machine.initial.codes)(codes), machine)
