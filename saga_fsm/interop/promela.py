"""
A network in Promela, for Spin: an independent witness of what the checker says.

Spin stores what lies between two atomic steps, and nothing else: its number of states is ours. Of
its transitions one is the start, and each state at rest and each that is forbidden has one more,
which leads nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from saga_fsm.interop._text import Names, Notation, Vocabulary, head, quoted, said
from saga_fsm.product import Command, Network


__all__ = ["to_promela"]

_NOTATION = Notation("{}", " == ", " != ", " && ", " || ", "false", "true")
_BYTE = 256
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
        "\n".join(_settling(words)),
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
    yield ""


def _settling(words: Vocabulary) -> Iterator[str]:
    """Internal commands, in any order, until none is enabled."""
    yield "inline settle() {"
    yield "  do"
    for command in words.network.internal:
        update = "; ".join(_assigned(words, command))
        yield f"  :: {words.condition(command.guard)} -> {update}  /* {said(command)} */"
    yield "  :: else -> break"
    yield "  od;"
    # A d_step may not end in a jump.
    yield "  skip"
    yield "}"
    yield ""


def _assigned(words: Vocabulary, command: Command) -> list[str]:
    return [f"{name} = {value}" for name, value in words.update(command)]


def _rest(words: Vocabulary) -> Iterator[str]:
    yield "  /* A run at rest may stay there; elsewhere to have no command is a deadlock. */"
    yield f"  :: d_step {{ {words.condition(words.network.rest)} -> skip }}"


def _rules(words: Vocabulary) -> Iterator[str]:
    """All rules in one step, which leads nowhere: in most states Spin asks one question."""
    if not words.rules:
        return
    parts = [
        (words.condition(guard), [(one, words.condition(one.guard, one.among)) for one in rules])
        for guard, rules in words.parts
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
            yield f'         if :: {text} -> printf("{one.title}\\n"); assert(false) :: else fi;'
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
    yield "       d_step { settle() }"
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
