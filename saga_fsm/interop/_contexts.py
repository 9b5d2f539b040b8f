"""
Rules that ask for the same thing, together: it is asked once, and each rule asks for the rest.

Most rules are of states at rest, of one end, of which every step is part. Written out they grow
with the square of the steps; so they grow with the steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from saga_fsm.interop._text import Rule, Vocabulary, compatible, ends_of
from saga_fsm.product import Guard


class Context(NamedTuple):
    """
    What several rules ask for: all of ``guard``, and one of ``among`` unless that is empty.

    Args:
        guard: see there.
        among: see there.
    """

    guard: Guard = ()
    among: Guard = ()

    def rest_of(self, rule: Rule) -> Rule | None:
        """What a rule asks besides; None where it may hold outside."""
        asked, here = dict(rule.guard), dict(self.guard)
        if any(f not in asked or not asked[f] <= values for f, values in self.guard):
            return None
        if self.among:
            left_out = [x for x in self.among if x not in rule.among]
            ours = rule.among and all(x in self.among for x in rule.among)
            # What a rule leaves out cannot be where its own guard holds.
            if not ours or any(compatible(rule.guard, x) for x in left_out):
                return None
        left = tuple(x for x in rule.guard if here.get(x[0]) != x[1])
        return rule._replace(guard=left, among=() if self.among else rule.among)


def by_context(words: Vocabulary) -> list[tuple[Context, list[Rule]]]:
    """All rules, each in the narrowest context that there is for it."""
    found: dict[Context, list[Rule]] = {context: [] for context in _contexts(words)}
    for rule in words.rules:
        for context, rules in found.items():
            rest = context.rest_of(rule)
            if rest is not None:
                rules.append(rest)
                break
    return [(context, rules) for context, rules in found.items() if rules]


def _contexts(words: Vocabulary) -> Iterator[Context]:
    """The narrowest first; the last one holds everywhere."""
    ends, others = ends_of(words.network)
    machine = len(words.network.machine.automata)
    resting = {f: values for f, values in words.network.rest if f < machine}
    for end in ends:
        joined = dict(end)
        for f, values in resting.items():
            joined[f] = joined.get(f, values) & values
        yield Context(tuple(joined.items()))
    yield Context(tuple(resting.items()), others)
    yield Context(tuple(resting.items()))
    yield from map(Context, ends)
    yield Context(among=others)
    yield Context()
