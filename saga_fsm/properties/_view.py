"""What a predicate may look at: one state of a run and of the world around it, read-only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from saga_fsm.definition import Block, Kind
from saga_fsm.definition.layout import Layout
from saga_fsm.errors import UnknownStepError
from saga_fsm.machine import Status
from saga_fsm.machine._alphabet import LOCAL
from saga_fsm.product import UP, Network


# A step, a nested saga or a block by its path, name, value or function.
Named: TypeAlias = str | Block[Any, Any, Any] | Callable[..., object]

_WORDS = frozenset(LOCAL.values())
_STANDING = {"landed": 1, "twice": 2}
_WORLD = frozenset({"~lands", "~lands_again", "~refused", "~undone"})
# A saga may have thousands of steps; so many names are read.
_SHOWN = 20
_HEALTH = frozenset({"~crash", "~recovered"})


class Word(str):
    """
    A local state, as text. To compare it with a word that no local state has is an error.

    A misspelled word would be false in every state, and what is said of it true without a reason.
    """

    __slots__ = ("known",)

    known: frozenset[str]

    @classmethod
    def of(cls, text: str, known: frozenset[str]) -> Word:
        """Make one, with all the words that it may be compared with."""
        self = cls(text)
        self.known = known
        return self

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str) and other not in self.known:
            raise ValueError(
                f"no local state is called {str(other)!r}\n"
                f"  There are {', '.join(sorted(self.known))}."
            )
        return str.__eq__(self, other) is True

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


class Occasion(NamedTuple):
    """
    Which commands are meant: ``done(ship)``, ``resolve(ship)`` with any word, ``retry`` of any.

    Args:
        kind: the word before the bracket; ``~crash`` and the like are the world's.
        path: whose; empty for all.
        argument: what is said there; empty for anything.
    """

    kind: str
    path: str = ""
    argument: str = ""

    @classmethod
    def read(cls, token: str) -> Occasion:
        """Take a token apart."""
        kind, _, inside = token.partition("(")
        path, _, argument = inside.removesuffix(")").partition(",")
        return cls(kind, path, argument)

    def meets(self, token: str) -> bool:
        """Whether a command with this token is meant."""
        other = Occasion.read(token)
        return (
            self.kind == other.kind
            and self.path in {"", other.path}
            and self.argument in {"", other.argument}
        )

    def __str__(self) -> str:
        inside = f"{self.path},{self.argument}" if self.argument else self.path
        return f"{self.kind}({inside})" if inside else self.kind


class Terms:
    """
    What can be said about one saga: its steps by every name, its fields, its events.

    Args:
        layout: the saga, laid out.
        network: whose states are spoken of.
    """

    def __init__(self, layout: Layout, network: Network) -> None:
        self.layout = layout
        self.network = network
        self.fields = {field.name: f for f, field in enumerate(network.fields)}
        self.words = [
            _WORDS | {name.removeprefix("=") for name in field.values} for field in network.fields
        ]
        # A label that is never chosen is a word all the same.
        for f, automaton in enumerate(network.machine.automata):
            self.words[f] |= set(automaton.labels)
        # Of each atom, kept alive, its guard.
        self.guards: dict[int, tuple[object, list[dict[int, frozenset[int]]]]] = {}
        self._paths: dict[object, str] = {}

    def path(self, step: object) -> str:
        """
        Where a step, a nested saga or a block stands; by value, path, name or function.

        Raises:
            ValueError: there is none, or several (then it is an UnknownStepError).
        """
        key = step if isinstance(step, str) else id(step)
        known = self._paths.get(key)
        if known is None:
            known = self._paths[key] = self._find(step)
        return known

    def _find(self, step: object) -> str:
        try:
            return self.layout.find(step)
        except UnknownStepError as error:
            if not isinstance(step, str) or error.found:
                raise
            if step in self.fields and not step.startswith("~"):
                return step
            there = [x for x in self.fields if not x.startswith(("~", "@"))]
            raise ValueError(
                f"nothing in saga '{self.layout.saga.name}' is called {step!r}\n"
                f"  There are {', '.join(there[:_SHOWN])}"
                + (f" and {len(there) - _SHOWN:,} more." if len(there) > _SHOWN else ".")
            ) from error

    def at(self, step: object) -> int:
        """The field with the local state of a step."""
        return self.fields[self.path(step)]

    def ledger(self, step: object) -> int:
        """
        The field with what has happened at a step's participant.

        Raises:
            ValueError: nothing happens there.
        """
        path = self.path(step)
        found = self.fields.get(f"~{path}")
        if found is None:
            raise ValueError(
                f"'{path}' has no effect that could stand\n"
                "  Ask that of steps that are not readonly; of the others, their local state."
            )
        return found

    def wholes(self, step: object) -> list[int]:
        """The ledgers of the sagas around a step that are undone as one."""
        path = self.path(step)
        at = self.layout.steps[path].scope if path in self.layout.steps else None
        found = []
        while at is not None:
            scope = self.layout.scopes[at]
            if scope.compensate is not None:
                found.append(self.fields[f"~{at}"])
            at = scope.parent
        return found

    def effective(self, step: object) -> bool:
        """Whether a step can have an effect."""
        placed = self.layout.steps.get(self.path(step))
        return placed is not None and placed.kind is not Kind.READONLY

    def occasion(self, token: str) -> Occasion:
        """
        The commands that a token means.

        Raises:
            ValueError: neither the machine nor its world has such a word.
        """
        kind, path, argument = Occasion.read(token)
        kinds = {event.kind for event in self.network.machine.events} | _WORLD | _HEALTH
        words = kinds | {Occasion.read(one.token).kind for one in self.network.commands}
        if kind not in words:
            raise ValueError(
                f"nothing that happens is called {token!r}\n"
                f"  Begin with one of {', '.join(sorted(words))}."
            )
        return Occasion(kind, self.path(path) if path else "", argument)

    def local(self, f: int) -> list[str]:
        """What a field can be, in the order of the machine."""
        return [name.removeprefix("=") for name in self.network.fields[f].values]

    def value(self, f: int, *names: str) -> frozenset[int]:
        """The values of a field by their names."""
        found = enumerate(self.network.fields[f].values)
        return frozenset(x for x, name in found if name.removeprefix("=") in names)


class View:
    """
    One state, for a predicate to look at. Steps go by value, path, name or function.

    ``view["charge"]`` is the local state of a step, a scope or a block: ``"done"``,
    ``"compensating"``, the label that was chosen (machine.md 2 and 3). ``view.landed(step)`` and
    its neighbours are what is true at the participant, whether the orchestrator knows it or not.
    """

    __slots__ = ("_status", "_terms", "_value")

    def __init__(
        self, terms: Terms, value: Callable[[int], int], status: Callable[[], Status]
    ) -> None:
        self._terms = terms
        self._value = value
        self._status = status

    def __getitem__(self, step: Named) -> Word:
        """The local state of a step, a nested saga or a block."""
        terms = self._terms
        f = terms.at(step)
        name = terms.network.fields[f].values[self._value(f)].removeprefix("=")
        return Word.of(name, terms.words[f])

    @property
    def status(self) -> Status:
        """What the run is: ``Status.RUNNING``, ``Status.STUCK``, or as text ``"stuck"``."""
        return self._status()

    @property
    def ended(self) -> bool:
        """Whether the run rests: completed, compensated or stuck."""
        return self._status().resting

    @property
    def up(self) -> bool:
        """Whether the orchestrator is alive."""
        f = self._terms.fields.get(UP)
        return f is None or self._value(f) == 0

    def started(self, step: Named) -> bool:
        """Whether it was ever begun, whatever came of it."""
        return self._value(self._terms.at(step)) != 0

    def landed(self, step: Named) -> bool:
        """Whether an effect of the step stands at its participant now."""
        return self.net(step) > 0

    def undone(self, step: Named) -> bool:
        """Whether an effect of the step stood there and was taken back."""
        terms = self._terms
        f = terms.ledger(step)
        if terms.network.fields[f].values[self._value(f)] == "undone":
            return True
        return self._count(f) > 0 and self._taken_back(step)

    def net(self, step: Named) -> int:
        """How many effects stand: 0, 1, or 2 after a duplicate."""
        count = self._count(self._terms.ledger(step))
        return 0 if count and self._taken_back(step) else count

    def _count(self, f: int) -> int:
        return _STANDING.get(self._terms.network.fields[f].values[self._value(f)], 0)

    def _taken_back(self, step: Named) -> bool:
        """Whether a saga around it was undone as a whole."""
        return any(
            self._terms.network.fields[f].values[self._value(f)] == "undone"
            for f in self._terms.wholes(step)
        )
