"""Conditions on fields: lists of conjunctions, of which one has to hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from saga_fsm.product._network import Field


Cube: TypeAlias = Mapping[int, frozenset[int]]
Condition: TypeAlias = Sequence[Cube]
ALWAYS: Condition = ({},)
NEVER: Condition = ()


def both(*conditions: Condition) -> Condition:
    """The conjunction of conditions, multiplied out."""
    found = ALWAYS
    for condition in conditions:
        found = [x for one in found for other in condition if (x := _meet(one, other)) is not None]
    return found


def _meet(one: Cube, other: Cube) -> Cube | None:
    joined = dict(one)
    for f, allowed in other.items():
        joined[f] = joined[f] & allowed if f in joined else allowed
        if not joined[f]:
            return None
    return joined


class Reader:
    """
    Fields by name, and conditions on their values.

    Args:
        fields: which.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = fields
        self.at = {field.name: f for f, field in enumerate(fields)}

    def among(self, name: str, values: Iterable[str]) -> Condition:
        """The field has one of these values; nothing holds if it knows none of them."""
        f, wanted = self.at[name], set(values)
        found = frozenset(x for x, value in enumerate(self.fields[f].values) if value in wanted)
        return [{f: found}] if found else []

    def but(self, name: str, values: Iterable[str]) -> Condition:
        """The field has another value."""
        return self.among(name, set(self.fields[self.at[name]].values) - set(values))

    def coded(self, f: int, codes: frozenset[int], *, among: bool) -> frozenset[int]:
        """The values of an automaton whose codes are, or are not, among these."""
        found = enumerate(self.fields[f].codes)
        return frozenset(x for x, code in found if (code in codes) is among)
