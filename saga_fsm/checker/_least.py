"""
At least so many moves lead from the start to what is forbidden: a bound that is never too high.

Each field is taken by itself. After n rounds a field has each value that some command writes whose
guard asks for values that are there; internal commands take no round. No run of n moves gives a
field another value, and no run of fewer moves than the bound satisfies the guard.
"""

from __future__ import annotations

from collections.abc import Iterator

from saga_fsm.product import Command, Forbidden, Network


_NEVER = 1 << 30


class Least:
    """
    The bounds of one network.

    Args:
        network: machine and environment.
    """

    def __init__(self, network: Network) -> None:
        self._forbidden = network.forbidden
        self._commands = len(network.commands)
        self._rows = (*network.commands, *network.internal)
        # By field and value the rounds until it is there.
        self._round = [{0: 0} for _ in network.fields]
        # By row how many literals are not satisfied; by field and value, which they are.
        self._missing = [len(row.guard) for row in self._rows]
        self._asking: list[dict[int, list[tuple[int, int]]]] = [{} for _ in network.fields]
        for number, row in enumerate(self._rows):
            for f, allowed in row.guard:
                for x in allowed:
                    self._asking[f].setdefault(x, []).append((number, f))
        self._met: set[tuple[int, int]] = set()
        fresh = [(f, 0) for f in range(len(network.fields))]
        level = 0
        while fresh:
            commands = self._settled(fresh, level)
            level += 1
            fresh = [one for number in commands for one in self._written(number, level)]

    def _settled(self, fresh: list[tuple[int, int]], level: int) -> list[int]:
        """The commands that values which are new may enable, what settles included."""
        commands = []
        while fresh:
            f, x = fresh.pop()
            for one in self._asking[f].get(x, ()):
                if one in self._met:
                    continue
                self._met.add(one)
                number = one[0]
                self._missing[number] -= 1
                if not self._missing[number] and number < self._commands:
                    commands.append(number)
                elif not self._missing[number]:
                    fresh += self._written(number, level)
        return commands

    def _written(self, number: int, level: int) -> Iterator[tuple[int, int]]:
        """What a row writes that was not there."""
        row: Command = self._rows[number]
        for f, x in row.update:
            if x not in self._round[f]:
                self._round[f][x] = level
                yield f, x

    def moves_to(self, rule: str, step: str) -> int:
        """Until the rule is broken at the step."""
        those = (one for one in self._forbidden if one.step == step and _says(one, rule))
        return min((self._moves(one) for one in those), default=0)

    def _moves(self, one: Forbidden) -> int:
        return max(
            min((self._round[f].get(x, _NEVER) for x in allowed), default=_NEVER)
            for f, allowed in one.guard
        )


def _says(one: Forbidden, rule: str) -> bool:
    # A status without a saying of its own is told as I4 (``Forbidden.said``).
    return rule == "I4" or any(rule == said for said, _ in one.sayings.values())
