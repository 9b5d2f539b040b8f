"""
A network in Promela, for Spin: an independent witness of what the checker says.

Spin stores what lies between two atomic steps, and nothing else: its number of states is ours. Of
its transitions one is the start, and each state at rest and each that is forbidden has one more,
which leads nowhere.

A d_step of Spin must not be long. What would be is cut, and still stores nothing in between: the
rules past some 17 steps, where a forbidden state may then have more than one of those transitions;
settling past a hundred, where a run with the fewest of Spin's own steps, which is what its
breadth-first search finds, need not have the fewest commands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from saga_fsm.interop._contexts import by_context
from saga_fsm.interop._text import Names, Notation, Vocabulary, head, quoted, said
from saga_fsm.product import Command, Network


__all__ = ["to_promela"]

_Item = TypeVar("_Item")
_NOTATION = Notation("{}", " == ", " != ", " && ", " || ", "false", "true")
_BYTE = 256
# What Spin takes in a d_step, with room to spare: 2,048 jumps.
_RULES = 300
_COMMANDS = 600
# Spin can tell 255 processes apart.
_MOST = 200
_HOW = (
    "Run it, in a folder of its own:",
    "  spin -a m.pml && gcc -O2 -DNOREDUCE -DSAFETY -o pan pan.c && ./pan -m1000000",
    "With -DBFS, for gcc, the run that is found is a shortest one. What was broken, and by which",
    "run, is printed by:",
    "  spin -t m.pml",
    "A state without any command that is no state at rest is an invalid end state. That a run can",
    "come to rest from everywhere (I4) cannot be said here: Rumur can be asked for it.",
)


def to_promela(network: Network, *, processes: bool = False) -> str:
    """
    The whole network as text: fields, commands, settling, what may never be.

    Args:
        network: as ``network_of`` makes it.
        processes: one process for each participant instead of one for everything; the same states.
    """
    words = Vocabulary(network, _NOTATION)
    commented = (f" * {line}".rstrip() for line in head(network, _HOW))
    parts = [
        "\n".join(["/*", *commented, " */", ""]),
        "\n".join(_declared(words)),
    ]
    watching = [*_rest(words), *_rules(words)]
    for name, commands in _shared_out(network, processes=processes):
        lines = [*watching, *_atomic(words, commands)]
        parts.append("\n".join([f"active proctype {name}() {{", "  do", *lines, "  od", "}", ""]))
        watching = []
    return "\n".join(parts)


def _declared(words: Vocabulary) -> Iterator[str]:
    for one in words.variables:
        sort = "byte" if len(one.constants) <= _BYTE else "short"
        yield f"{sort} {one.name};  /* {quoted(one.field.name)} */"
        for x, constant in enumerate(one.constants):
            yield f"#define {constant} {x}  /* {quoted(one.field.values[x])} */"
    if len(words.network.internal) > _COMMANDS:
        # Hidden: it is no part of a state.
        yield "hidden byte unsettled;"
    yield ""


def _settling(words: Vocabulary) -> Iterator[str]:
    """
    Internal commands, in any order, until none is enabled.

    Of more than one d_step can hold there are several, in turn, until none of them finds anything.
    """
    parts = list(_cut(words.network.internal, _COMMANDS)) or [()]
    several = len(parts) > 1
    if several:
        yield "       unsettled = true;"
        yield "       do"
        yield "       :: unsettled -> unsettled = false;"
    for part in parts:
        yield "       d_step {"
        yield "         do"
        for command in part:
            update = "; ".join(_assigned(words, command) + ["unsettled = true"] * several)
            yield f"         :: {words.condition(command.guard)} -> {update}  /* {said(command)} */"
        yield "         :: else -> break"
        yield "         od;"
        # A d_step may not end in a jump.
        yield "         skip"
        yield "       }" if part is parts[-1] else "       };"
    if several:
        yield "       :: else -> break"
        yield "       od"


def _cut(items: Sequence[_Item], most: int) -> Iterator[Sequence[_Item]]:
    """Pieces of at most so many."""
    return (items[begin : begin + most] for begin in range(0, len(items), most))


def _assigned(words: Vocabulary, command: Command) -> list[str]:
    return [f"{name} = {value}" for name, value in words.update(command)]


def _rest(words: Vocabulary) -> Iterator[str]:
    yield "  /* A run at rest may stay there; elsewhere to have no command is a deadlock. */"
    yield f"  :: d_step {{ {words.condition(words.network.rest)} -> skip }}"


def _rules(words: Vocabulary) -> Iterator[str]:
    """Rules in one step, which leads nowhere: in most states Spin asks one question."""
    every = [(context, rule) for context, rules in by_context(words) for rule in rules]
    for some in _cut(every, _RULES):
        parts = [
            (words.condition(*context), [(x, words.condition(x.guard, x.among)) for _, x in group])
            for context, group in groupby(some, itemgetter(0))
        ]
        yield "  /* What may never be. */"
        yield "  :: d_step {"
        yield "       ("
        for number, (where, rules) in enumerate(parts):
            either = "\n         || ".join(f"({text})" for _, text in rules)
            yield f"       {'||' if number else '  '} ({where} && (\n            {either}))"
        yield "       ) ->"
        for where, rules in parts:
            yield f"       if :: {where} ->"
            for one, text in rules:
                yield f"         if :: {text} ->"
                yield f'           printf("{one.title}\\n"); assert(false)'
                yield "         :: else fi;"
            yield "         skip"
            yield "       :: else fi;"
        yield "       skip"
        yield "     }"


def _atomic(words: Vocabulary, commands: Iterable[Command]) -> Iterator[str]:
    """One of the commands, then settling: Spin stores nothing in between."""
    yield "  :: atomic {"
    yield "       if"
    for command in commands:
        does = [f'printf("{said(command)}\\n")', *_assigned(words, command)]
        yield f"       :: d_step {{ {words.condition(command.guard)} -> {'; '.join(does)} }}"
    yield "       fi;"
    # In braces: without them Spin takes one more step to leave.
    yield "       {"
    yield from _settling(words)
    yield "       }"
    yield "     }"


def _shared_out(network: Network, *, processes: bool) -> list[tuple[str, Sequence[Command]]]:
    if not processes:
        return [("saga", network.commands)]
    by_field: dict[int, list[Command]] = {}
    for command in network.commands:
        f = command.guard[0][0] if command.guard else 0
        by_field.setdefault(f if f in by_field or len(by_field) < _MOST else 0, []).append(command)
    names = Names()
    return [(names.take("p", network.fields[f].name), found) for f, found in by_field.items()]
