"""
What every export of a network needs: names that any tool takes, guards as text, rules by name.

An export is the whole table of the checker: its fields, its commands and what may never be. The
settled reading is kept: a state of the tool is a quiet state of ours, one for one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from saga_fsm.machine._alphabet import BROKEN, SCOPE_COMPENSATED, SCOPE_DONE
from saga_fsm.product import Command, Field, Forbidden, Guard, Literal, Network


_ENDS = {"completed": SCOPE_DONE, "compensated": SCOPE_COMPENSATED}


class Notation(NamedTuple):
    """How a language writes a guard."""

    variable: str
    equal: str
    unequal: str
    conjunction: str
    disjunction: str
    false: str
    true: str


class Names:
    """
    Identifiers that are ASCII, no keywords, and differ even where case does not count.

    A keyword of a tool, or a name that its generated C has already, never has these prefixes.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, prefix: str, text: str) -> str:
        """A new identifier that reminds of the text."""
        folded = unicodedata.normalize("NFKD", text)
        spelt = "".join(x if x.isascii() else f"u{ord(x):x}" for x in folded if not _marks(x))
        plain = re.sub(r"[^0-9A-Za-z]+", "_", spelt).strip("_")
        first = name = f"{prefix}_{plain}" if plain else prefix
        count = 1
        while name.lower() in self._taken:
            count += 1
            name = f"{first}_{count}"
        self._taken.add(name.lower())
        return name


def _marks(char: str) -> bool:
    return unicodedata.combining(char) != 0


class Variable(NamedTuple):
    """A field with its identifiers: ``constants`` name its values, in order."""

    number: int
    field: Field
    name: str
    constants: tuple[str, ...]


class Rule(NamedTuple):
    """
    What no state may be: all of ``guard``, and at least one of ``among`` unless that is empty.

    Args:
        rule: of semantics.md 1.11.
        step: path of the step it is about, or empty.
        sentence: what is wrong.
        guard: when it is so.
        among: literals of which one must hold as well.
    """

    rule: str
    step: str
    sentence: str
    guard: Guard
    among: Guard = ()

    @property
    def title(self) -> str:
        """Rule, step and sentence, as a counterexample names them."""
        return quoted(f"{self.rule} {self.step}: {self.sentence}".replace(" :", ":"))


class Vocabulary:
    """
    A network in a tool's words.

    Args:
        network: what is exported.
        notation: how the tool writes a guard.
    """

    def __init__(self, network: Network, notation: Notation) -> None:
        self.network = network
        self.notation = notation
        names = Names()
        self.every = [_named(names, f, field) for f, field in enumerate(network.fields)]
        # What has one value is no variable: no guard asks for it.
        self.variables = [x for x in self.every if len(x.constants) > 1]

    def condition(self, guard: Guard, among: Guard = ()) -> str:
        """A guard as an expression."""
        parts = [text for literal in guard if (text := self._literal(*literal))]
        if among:
            literals = [self._literal(*literal) or self.notation.true for literal in among]
            parts.append(f"({self.notation.disjunction.join(literals)})")
        return self.notation.conjunction.join(parts) or self.notation.true

    def _literal(self, f: int, allowed: frozenset[int]) -> str:
        """Whichever is shorter: what it may be, or what it may not be."""
        how, constants = self.notation, self.every[f].constants
        variable = how.variable.format(self.every[f].name)
        if not allowed:
            return how.false
        others = [x for x in range(len(constants)) if x not in allowed]
        if len(others) < len(allowed):
            parts = [f"{variable}{how.unequal}{constants[x]}" for x in others]
            return how.conjunction.join(parts)
        parts = [f"{variable}{how.equal}{constants[x]}" for x in sorted(allowed)]
        return parts[0] if len(parts) == 1 else f"({how.disjunction.join(parts)})"

    def update(self, command: Command) -> list[tuple[str, str]]:
        """Identifiers of the fields that it sets, and of their new values."""
        return [
            (self.every[f].name, self.every[f].constants[x])
            for f, x in command.update
            if len(self.every[f].constants) > 1
        ]

    @cached_property
    def rules(self) -> list[Rule]:
        """All that no state may be, each by one name."""
        return [rule for one in self.network.forbidden for rule in _by_name(self.network, one)]


def _named(names: Names, f: int, field: Field) -> Variable:
    prefix = "w" if field.name.startswith(("~", "@up", "@broken")) else "m"
    name = names.take(prefix, field.name)
    return Variable(f, field, name, tuple(names.take(name, value) for value in field.values))


def ends_of(network: Network) -> tuple[list[Guard], Guard]:
    """
    What is so of a run that is completed, and of one that is compensated; else one of the last.

    An end with something broken in it is neither.
    """
    root, automata = network.fields[0], network.fields[: len(network.machine.automata)]
    broken = [
        (f, frozenset(x for x, code in enumerate(field.codes) if code in BROKEN))
        for f, field in enumerate(automata)
    ]
    whole = [
        (f, frozenset(range(len(automata[f].codes))) - values) for f, values in broken if values
    ]
    ends = [
        ((0, frozenset(x for x, found in enumerate(root.codes) if found == code)), *whole)
        for code in _ENDS.values()
    ]
    open_ = frozenset(x for x, code in enumerate(root.codes) if code not in _ENDS.values())
    return ends, ((0, open_), *broken)


def _by_name(network: Network, one: Forbidden) -> Iterator[Rule]:
    """Of the same guard another rule may be broken, by what has become of the run."""
    if set(one.sayings) == {""}:
        yield Rule(*one.said(""), one.guard)
        return
    asked = dict(one.guard)
    ends, others = ends_of(network)
    for status, end in zip(_ENDS, ends, strict=True):
        guard = _meet(one.guard, end)
        if guard is not None:
            yield Rule(*one.said(status), guard)
    among = tuple(literal for literal in others if compatible(one.guard, literal))
    if any(asked.get(f, frozenset()) and asked[f] <= values for f, values in among):
        yield Rule(*one.said("stuck"), one.guard)
    elif among:
        yield Rule(*one.said("stuck"), one.guard, among)


def compatible(guard: Guard, literal: Literal) -> bool:
    """Whether both can hold."""
    return _meet(guard, (literal,)) is not None


def _meet(guard: Guard, literals: Iterable[tuple[int, frozenset[int]]]) -> Guard | None:
    joined = dict(guard)
    for f, values in literals:
        joined[f] = joined.get(f, values) & values
        if not joined[f]:
            return None
    return tuple(joined.items())


def quoted(text: str) -> str:
    """Text that any tool takes between double quotes, and in any of its comments."""
    folded = unicodedata.normalize("NFKD", text)
    plain = "".join(x for x in folded if not _marks(x)).encode("ascii", "replace").decode()
    plain = "".join(x if x.isprintable() else " " for x in plain)
    for harmful, harmless in (('"', "'"), ("\\", "/"), ("%", " "), ("*/", "* /"), ("(*", "( *")):
        plain = plain.replace(harmful, harmless)
    return plain.replace("/*", "/ *").replace("*)", "* )")


def said(command: Command) -> str:
    """A command as a path writes it, or the name of the machine's row where it is internal."""
    return quoted(command.token or command.says)


def head(network: Network, how: Sequence[str]) -> list[str]:
    """What the text is and how it is used, as the lines of a comment."""
    machine = network.machine
    about = [
        f"Saga '{machine.name}', fingerprint {machine.fingerprint}: the machine beside its",
        "participants, the network between them, operators and crashes, as saga-fsm check reads",
        "it. One command is one atomic step: it is taken, and the machine settles. So a state here",
        "is a state there, and the numbers of states are equal.",
        "",
    ]
    return [quoted(line) for line in (*about, *how)]
