"""
A network in TLA+, for TLC.

THE TEXT IS NOT MACHINE-CHECKED BY US: neither TLC nor any parser of TLA+ can be installed from the
package registries that our tests may use (PyPI, npm, Debian), so nothing here has been parsed or
run by a tool. The same table in Promela and in Murphi is, by Spin and by Rumur, in our tests.
"""

from __future__ import annotations

from collections.abc import Iterator

from saga_fsm.interop._text import Names, Notation, Vocabulary, head, quoted, said
from saga_fsm.product import Command, Network


__all__ = ["to_tla"]

_MODULE = "SagaNetwork"
_NOTATION = Notation("s.{}", " = ", " # ", r" /\ ", r" \/ ", "FALSE", "TRUE")
_HOW = (
    "THIS TEXT WAS NOT MACHINE-CHECKED BY US: neither TLC nor a parser of TLA+ can be installed",
    "where saga-fsm is tested. Of the same table, saga-fsm export --to promela and --to murphi are",
    "checked there, by Spin and Rumur.",
    f"With TLC, in a file {_MODULE}.tla, and in {_MODULE}.cfg the lines",
    "  SPECIFICATION Spec",
    "  INVARIANTS",
)
_RUN = (
    f"  java -jar tla2tools.jar {_MODULE}",
    "A state without any command that is no state at rest is a deadlock. That a run can come to",
    "rest from everywhere (I4) is no formula of TLA+: Rumur can be asked for it.",
)


def to_tla(network: Network) -> str:
    """
    The whole network as text: fields, commands, settling, what may never be. No tool has read it.

    Args:
        network: as ``network_of`` makes it.
    """
    words, names = Vocabulary(network, _NOTATION), Names()
    invariants = [names.take(one.rule, one.step) for one in words.rules]
    about = head(network, [*_HOW, *(f"    {name}" for name in ("TypeOK", *invariants)), *_RUN])
    lines = [
        f"{'-' * 20} MODULE {_MODULE} {'-' * 20}",
        *(f"\\* {line}".rstrip() for line in about),
        "EXTENDS Naturals",
        "VARIABLE state",
        "",
        *_declared(words),
        *_settling(words),
        *_commands(words, names),
        *_rules(words, invariants),
        "=" * 60,
    ]
    return "\n".join([*lines, ""])


def _declared(words: Vocabulary) -> Iterator[str]:
    yield from _numbers(words)
    fields = [f"{one.name}: 0..{len(one.constants) - 1}" for one in words.variables]
    yield "TypeOK == state \\in [\n  " + ",\n  ".join(fields) + "]"
    yield ""
    fields = [f"{one.name} |-> {one.constants[0]}" for one in words.variables]
    yield "Init == state = [\n  " + ",\n  ".join(fields) + "]"
    yield ""


def _numbers(words: Vocabulary) -> Iterator[str]:
    for one in words.variables:
        yield f"\\* {quoted(one.field.name)}"
        yield from (f"{constant} == {x}" for x, constant in enumerate(one.constants))
    yield ""


def _changed(words: Vocabulary, command: Command) -> str:
    changes = ", ".join(f"!.{name} = {value}" for name, value in words.update(command))
    return f"[s EXCEPT {changes}]" if changes else "s"


def _settling(words: Vocabulary) -> Iterator[str]:
    """Internal commands, the first that is enabled, until none is."""
    yield "RECURSIVE Settle(_)"
    yield "Settle(s) =="
    for command in words.network.internal:
        yield f"  IF {words.condition(command.guard)}"
        yield f"  THEN Settle({_changed(words, command)})  \\* {said(command)}"
        yield "  ELSE"
    yield "  s"
    yield ""


def _commands(words: Vocabulary, names: Names) -> Iterator[str]:
    taken = []
    for command in words.network.commands:
        name = names.take("Do", command.token)
        taken.append(name)
        yield f"\\* {said(command)}"
        yield f"{name} == LET s == state IN"
        yield f"  /\\ {words.condition(command.guard)}"
        yield f"  /\\ state' = Settle({_changed(words, command)})"
    yield ""
    yield "\\* A run at rest may stay there; elsewhere to have no command is a deadlock."
    yield "Rest == LET s == state IN"
    yield f"  /\\ {words.condition(words.network.rest)}"
    yield "  /\\ UNCHANGED state"
    yield ""
    yield "Next =="
    yield from (f"  \\/ {name}" for name in (*taken, "Rest"))
    yield ""
    yield "Spec == Init /\\ [][Next]_state"
    yield ""


def _rules(words: Vocabulary, names: list[str]) -> Iterator[str]:
    for one, name in zip(words.rules, names, strict=True):
        yield f"\\* {one.title}"
        yield f"{name} == LET s == state IN"
        yield f"  ~({words.condition(one.guard, one.among)})"
    yield ""
