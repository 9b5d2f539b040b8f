"""
A network in Murphi, for Rumur (or CMurphi): an independent witness of what the checker says.

Rumur's number of states is ours. Of the rules that it fires each state at rest has one more, which
leads nowhere. Where an invariant fails it does not look further from there.
"""

from __future__ import annotations

from collections.abc import Iterator

from saga_fsm.interop._text import Notation, Vocabulary, head, quoted, said
from saga_fsm.product import Command, Network


__all__ = ["to_murphi"]

_NOTATION = Notation("{}", " = ", " != ", " & ", " | ", "false", "true")
_HOW = (
    "Run it, in a folder of its own:",
    "  rumur --deadlock-detection stuck -o m.c m.m",
    "  gcc -O2 -march=native -o m m.c -lpthread && ./m",
    "The run that is found is a shortest one. A state without any rule that is no state at rest",
    "is a deadlock; that a run can come to rest from everywhere (I4) is the property at the end,",
    "which is Rumur's own: leave it out for CMurphi.",
)


def to_murphi(network: Network) -> str:
    """
    The whole network as text: fields, commands, settling, what may never be.

    Args:
        network: as ``network_of`` makes it.
    """
    words = Vocabulary(network, _NOTATION)
    lines = [
        *(f"-- {line}".rstrip() for line in head(network, _HOW)),
        "",
        *_declared(words),
        *_settling(words),
        *_commands(words),
        *_rules(words),
    ]
    return "\n".join([*lines, ""])


def _declared(words: Vocabulary) -> Iterator[str]:
    yield "var"
    for one in words.variables:
        yield f"  {one.name}: enum {{ {', '.join(one.constants)} }};  -- {quoted(one.field.name)}"
    yield ""
    yield 'startstate "start"'
    yield "begin"
    yield from (f"  {one.name} := {one.constants[0]};" for one in words.variables)
    yield "end;"
    yield ""


def _assigned(words: Vocabulary, command: Command) -> str:
    return " ".join(f"{name} := {value};" for name, value in words.update(command))


def _settling(words: Vocabulary) -> Iterator[str]:
    """Internal commands, in any order, until none is enabled."""
    yield "procedure settle();"
    yield "var more: boolean;"
    yield "begin"
    yield "  more := true;"
    yield "  while more do"
    word = "if"
    for command in words.network.internal:
        yield f"    {word} {words.condition(command.guard)} then  -- {said(command)}"
        yield f"      {_assigned(words, command)}"
        word = "elsif"
    yield "    else more := false; end;" if word == "elsif" else "    more := false;"
    yield "  end;"
    yield "end;"
    yield ""


def _commands(words: Vocabulary) -> Iterator[str]:
    for command in words.network.commands:
        yield f'rule "{said(command)}" {words.condition(command.guard)} ==>'
        yield f"begin {_assigned(words, command)} settle(); end;"
    yield ""
    yield "-- A run at rest may stay there; elsewhere to have no rule is a deadlock."
    yield f'rule "at rest" {words.condition(words.network.rest)} ==> begin end;'
    yield ""


def _rules(words: Vocabulary) -> Iterator[str]:
    for one in words.rules:
        yield f'invariant "{one.title}" !({words.condition(one.guard, one.among)});'
    rest = words.condition(words.network.rest)
    yield f'liveness "I4: a run can come to rest" {rest};'
