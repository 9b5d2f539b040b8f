"""
Atoms: predicates that know which guard they are.

An atom is true where one of its conjunctions of ``field in values`` holds. So a combination of
atoms is a guard like those of the commands, which any engine can read; a plain function is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from saga_fsm.machine import Status
from saga_fsm.machine._alphabet import BROKEN, FORWARD, OWING
from saga_fsm.properties._predicates import Condition, Cube, Predicate, meet, step_name
from saga_fsm.properties._view import Occasion, Terms, View


HAPPENED, NOW = "~@happened ", "~@now "


class Atom(Predicate):
    """A predicate that is a guard."""

    def cubes(self, terms: Terms, /) -> Condition:
        """When it holds."""
        raise NotImplementedError

    def __call__(self, view: View, /) -> bool:
        """Ask its guard."""
        value = view._value  # noqa: SLF001 - atoms are the view's own words
        terms = view._terms  # noqa: SLF001 - as above
        known = terms.guards.get(id(self))
        if known is None:
            known = terms.guards[id(self)] = self, self.cubes(terms)
        return any(all(value(f) in x for f, x in cube.items()) for cube in known[1])

    def condition(self, terms: Terms, /, *, holds: bool = True) -> Condition | None:
        """Its cubes, or what they leave."""
        return self.cubes(terms) if holds else self.rest(terms)

    def rest(self, terms: Terms, /) -> Condition:
        """When it does not hold."""
        return outside(self.cubes(terms), terms)


def outside(condition: Condition, terms: Terms) -> Condition:
    """The complement of a condition."""
    found: Condition = [{}]
    for cube in condition:
        others = [
            {f: frozenset(range(len(terms.network.fields[f].values))) - x} for f, x in cube.items()
        ]
        found = meet(found, others)
    return found


@attrs.frozen(str=False)
class At(Atom):
    """A step, a scope or a block is in one of these local states."""

    step: Any
    words: tuple[str, ...]

    def cubes(self, terms: Terms, /) -> Condition:
        """One literal."""
        f = terms.at(self.step)
        if unknown := sorted(set(self.words) - terms.words[f]):
            raise ValueError(
                f"no local state of '{terms.path(self.step)}' is called {unknown[0]!r}\n"
                f"  There are {', '.join(terms.local(f))}."
            )
        found = terms.value(f, *self.words)
        return [{f: found}] if found else []

    def __str__(self) -> str:
        return f"{step_name(self.step)} {' or '.join(self.words)}"


@attrs.frozen(str=False)
class Begun(Atom):
    """It was begun at some time."""

    step: Any

    def cubes(self, terms: Terms, /) -> Condition:
        """Every local state but the first."""
        f = terms.at(self.step)
        values = frozenset(range(1, len(terms.network.fields[f].values)))
        return [{f: values}] if values else []

    def __str__(self) -> str:
        return f"{step_name(self.step)} started"


@attrs.frozen(str=False)
class Stands(Atom):
    """An effect stands at the participant, or stood and was undone."""

    step: Any
    undone: bool = False

    def cubes(self, terms: Terms, /) -> Condition:
        """By the step's ledger, and those of the sagas around it that are undone as one."""
        f, wholes = terms.ledger(self.step), terms.wholes(self.step)
        counts = terms.value(f, "landed", "twice")
        taken = [{f: counts, w: terms.value(w, "undone")} for w in wholes]
        if self.undone:
            found = [{f: terms.value(f, "undone")}, *taken]
        else:
            kept = {w: frozenset(range(len(terms.network.fields[w].values))) for w in wholes}
            found = [{f: counts, **{w: x - terms.value(w, "undone") for w, x in kept.items()}}]
        return [cube for cube in found if all(cube.values())]

    def __str__(self) -> str:
        return f"{step_name(self.step)} {'undone' if self.undone else 'landed'}"


@attrs.frozen(str=False)
class Has(Atom):
    """The run has one of these statuses."""

    statuses: tuple[Status, ...]

    def cubes(self, terms: Terms, /) -> Condition:
        """machine.md 4, as guards."""
        return [cube for one in self.statuses for cube in _status(terms, one)]

    def rest(self, terms: Terms, /) -> Condition:
        """A run has exactly one status."""
        return Has(tuple(one for one in Status if one not in self.statuses)).cubes(terms)

    def __str__(self) -> str:
        return " or ".join(one.value for one in self.statuses)


def _status(terms: Terms, status: Status) -> Condition:
    fields = terms.network.fields
    automata = range(len(terms.network.machine.automata))

    def among(codes: Iterable[int], *, inside: bool = True) -> Cube:
        found = {}
        for v in automata:
            of = enumerate(fields[v].codes)
            found[v] = frozenset(x for x, code in of if (code in codes) is inside)
        return found

    quiet, whole = among(OWING, inside=False), among(BROKEN, inside=False)
    new, ended = terms.value(0, "pending"), terms.value(0, "done", "compensated")
    begun = frozenset(range(len(fields[0].values))) - new
    still = {**quiet, 0: quiet[0] & begun}
    if status is Status.NEW:
        found = [{0: new}]
    elif status in {Status.RUNNING, Status.COMPENSATING}:
        ahead = frozenset(x for x, code in enumerate(fields[0].codes) if code in FORWARD)
        side = ahead if status is Status.RUNNING else begun - ahead
        found = meet([{0: side}], [{v: x} for v, x in among(OWING).items()])
    elif status is Status.STUCK:
        broken = [{v: x} for v, x in among(BROKEN).items()]
        found = meet([still], [{0: begun - ended}, *broken])
    else:
        end = "done" if status is Status.COMPLETED else "compensated"
        found = meet([still], [{**whole, 0: terms.value(0, end)}])
    return [cube for cube in found if all(cube.values())]


@attrs.frozen(str=False)
class Rests(Atom):
    """The run has come to rest, for better or worse, and its orchestrator is alive."""

    def cubes(self, terms: Terms, /) -> Condition:
        """The network's own guard."""
        cube = dict(terms.network.rest)
        return [cube] if all(cube.values()) else []

    def __str__(self) -> str:
        return "at rest"


@attrs.frozen(str=False)
class Anything(Atom):
    """True of every state."""

    def cubes(self, _terms: Terms, /) -> Condition:
        """The empty conjunction."""
        return [{}]

    def __str__(self) -> str:
        return "anything"


@attrs.frozen(str=False)
class Remembered(Atom):
    """What a further field remembers of the moves until now."""

    token: str
    step: Any = None
    word = ""
    sort = ""

    def occasion(self, terms: Terms) -> Occasion:
        """Which commands are meant."""
        found = terms.occasion(self.token)
        return found if self.step is None else found._replace(path=terms.path(self.step))

    def field(self, terms: Terms) -> str:
        """The name of the field that remembers it."""
        return f"{self.sort}{self.occasion(terms)}"

    def cubes(self, terms: Terms, /) -> Condition:
        """Its own bit."""
        name = self.field(terms)
        if name not in terms.fields:
            raise ValueError(
                f"whether '{self}' is not remembered\n"
                "  Join it to the function by & or |; a function cannot ask it by itself."
            )
        return [{terms.fields[name]: frozenset({1})}]

    def __str__(self) -> str:
        inside = "" if self.step is None else f"({step_name(self.step)})"
        return f"{self.token}{inside}{self.word}"


@attrs.frozen(str=False)
class Happened(Remembered):
    """It has happened, in the last move or before."""

    word = " happened"
    sort = HAPPENED


@attrs.frozen(str=False)
class Now(Remembered):
    """The move that led to this state is one of it."""

    sort = NOW
