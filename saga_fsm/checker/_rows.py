"""
The machine's table over bare codes: which rows a move takes, without effects and without words.

A second reading of the same rows as ``Machine.step``, which stays the one that decides: a test
compares them at every state and event that a search reaches.
"""

from __future__ import annotations

from typing import Any

from saga_fsm.machine import Codes, Machine, Row


class Rows:
    """
    The rows of one machine, ready to be taken millions of times.

    Args:
        machine: whose rows.
    """

    def __init__(self, machine: Machine) -> None:
        self._inputs: dict[str, list[tuple[int, Row]]] = {}
        self._watching: list[dict[int, list[tuple[int, Row]]]] = [{} for _ in machine.automata]
        self._thaw: Any = bytearray if isinstance(machine.initial.codes, bytes) else list
        self._freeze = type(machine.initial.codes)
        for number, row in enumerate(machine.rows):
            if row.event is not None:
                self._inputs.setdefault(row.event, []).append((number, row))
                continue
            for v, allowed in row.guard:
                for code in allowed:
                    self._watching[v].setdefault(code, []).append((number, row))

    def move(self, codes: Codes, event: str) -> tuple[Codes, list[int]] | None:
        """The codes after an event and the numbers of the rows taken; None if it is ignored."""
        for number, row in self._inputs.get(event, ()):
            for v, allowed in row.guard:
                if codes[v] not in allowed:
                    break
            else:
                after = self._thaw(codes)
                taken = [number]
                for v, x in row.update:
                    after[v] = x
                self._settle(after, [v for v, _ in row.update], taken)
                return self._freeze(after), taken
        return None

    def _settle(self, codes: Any, todo: list[int], taken: list[int]) -> None:
        watching = self._watching
        while todo:
            v = todo.pop()
            for number, row in watching[v].get(codes[v], ()):
                for w, allowed in row.guard:
                    if codes[w] not in allowed:
                        break
                else:
                    taken.append(number)
                    for w, x in row.update:
                        codes[w] = x
                        todo.append(w)

    def heard_by(self, event: str) -> int:
        """The automaton whose event it is."""
        return self._inputs[event][0][1].automaton

    def hears(self, v: int, code: int, event: str) -> bool:
        """Whether an automaton in this local state may have a row for the event at all."""
        return any(
            code in dict(row.guard).get(v, (code,)) for _, row in self._inputs.get(event, ())
        )
