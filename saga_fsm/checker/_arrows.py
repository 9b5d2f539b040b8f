"""What may happen in a core, as numbers that are added to a node: worked out where it is met."""

from __future__ import annotations

from typing import TypeAlias

from saga_fsm.checker._cores import Cores, Option
from saga_fsm.product import Command


# How many commands are enabled, and what those that lead elsewhere add to the node.
Arrows: TypeAlias = tuple[int, tuple[int, ...]]
Entry: TypeAlias = tuple[tuple[int, "_Table"], ...]


class _Table(dict[int, Arrows]):
    """The arrows of some commands by the bits of memory that they ask for; worked out when met."""

    __slots__ = ("core", "cores", "options")

    def __init__(self, cores: Cores, core: int, options: list[Option]) -> None:
        super().__init__()
        self.cores, self.core, self.options = cores, core, options

    def __missing__(self, bits: int) -> Arrows:
        cores, count, deltas = self.cores, 0, []
        for option in self.options:
            if all(cores.of(bits, f) in allowed for f, allowed in option.asks):
                count += 1
                delta = (cores.target(self.core, option.command) - self.core) << cores.width
                for f, x in option.update:
                    delta += (x - cores.of(bits, f)) << cores.shift[f]
                deltas.append(delta)
        # Of commands with one end each counts, and the end is looked at once.
        found = self[bits] = count, tuple(dict.fromkeys(x for x in deltas if x))
        return found


class Entries(dict[int, Entry]):
    """
    What may happen in a core: per bits of memory that are asked for, a table.

    Args:
        cores: whose.
        only: numbers of the commands that are looked at; None for all.
    """

    __slots__ = ("_deaf", "_masks", "_only", "cores")

    def __init__(self, cores: Cores, only: frozenset[int] | None = None) -> None:
        super().__init__()
        self.cores, self._only = cores, only
        self._masks = [_touched(cores, command) for command in cores.network.commands]
        # What does not change the core is the same in all cores where it can happen.
        self._deaf: dict[tuple[int, ...], _Table] = {}

    def __missing__(self, core: int) -> Entry:
        groups: dict[int, list[Option]] = {}
        for option in self.cores.options(core):
            if self._only is not None and option.command not in self._only:
                continue
            groups.setdefault(self._masks[option.command], []).append(option)
        found = self[core] = tuple((mask, self._table(core, x)) for mask, x in groups.items())
        return found

    def _table(self, core: int, options: list[Option]) -> _Table:
        if any(option.moves for option in options):
            return _Table(self.cores, core, options)
        key = tuple(option.command for option in options)
        known = self._deaf.get(key)
        if known is None:
            known = self._deaf[key] = _Table(self.cores, core, options)
        return known


def _touched(cores: Cores, command: Command) -> int:
    """The bits of memory that a command reads or writes."""
    fields = {f for f, _ in (*command.guard, *command.update) if f in cores.shift}
    return sum((1 << cores.bits[f]) - 1 << cores.shift[f] for f in fields)
