"""
The network of one saga: its machine beside its participants, operators and users (machine.md 6).

``_environment`` says, state by state of one participant, what may happen there. Here these are
gathered into commands, and each that the machine hears is joined with each of its rows: guards
intersected, updates united.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from saga_fsm.definition import Contract, Kind
from saga_fsm.definition.layout import Layout
from saga_fsm.machine import Automaton, Machine, Row
from saga_fsm.machine._alphabet import FIRST_LABEL
from saga_fsm.product._environment import (
    LEDGER,
    NONE,
    OPEN,
    Happening,
    of_block,
    of_orchestrator,
    of_step,
    of_whole,
)
from saga_fsm.product._network import (
    Command,
    Field,
    Forbidden,
    Guard,
    Literal,
    Network,
    Update,
    conjunction,
    pruned,
)
from saga_fsm.product._rules import Mark, Rules


UP = "@up"
BROKEN = "@broken"
_UP, _DOWN = 0, 1


def network_of(
    layout: Layout,
    machine: Machine,
    *,
    kept: dict[str, Contract] | None = None,
    crashes: bool = True,
    locks: bool = True,
) -> Network:
    """
    The machine of a saga beside the ledgers of its participants and the orchestrator's health.

    Args:
        layout: the saga, laid out.
        machine: its machine.
        kept: the contracts that participants really keep, by path; else as declared.
        crashes: whether the orchestrator may crash and be taken over.
        locks: whether a lock that nobody lets go is a breach.
    """
    return pruned(_World(layout, machine, kept or {}, crashes=crashes, locks=locks).network())


class _Owner(NamedTuple):
    """Who has an automaton, perhaps a ledger, and something that may happen to it."""

    path: str
    automaton: int
    ledger: int | None


class _World:
    def __init__(
        self,
        layout: Layout,
        machine: Machine,
        kept: dict[str, Contract],
        *,
        crashes: bool,
        locks: bool,
    ) -> None:
        self.layout = layout
        self.machine = machine
        self.crashes = crashes
        self.kept = {x: kept.get(x, placed.contract) for x, placed in layout.steps.items()}
        self.fields = [_field(automaton) for automaton in machine.automata]
        self.value = [{code: x for x, code in enumerate(one.codes)} for one in self.fields]
        wholes = [x for x, scope in layout.scopes.items() if scope.compensate is not None]
        self.up = self._add(UP, ("up", "down")) if crashes else None
        self.broken = self._add(BROKEN, ("no",))
        self.steps = [self._owner(x, p.kind is not Kind.READONLY) for x, p in layout.steps.items()]
        self.wholes = [self._owner(path, has_ledger=True) for path in wholes]
        self.rules = Rules(layout, machine, self.fields, self.up, locks=locks)
        marks = tuple(mark.step for mark in self.rules.marks)
        self.fields[self.broken] = Field(BROKEN, ("no", *marks))
        self.by_event: dict[str, list[tuple[int, Row]]] = {}
        for number, row in enumerate(machine.rows):
            if row.event is not None:
                self.by_event.setdefault(row.event, []).append((number, row))

    def _add(self, name: str, values: tuple[str, ...]) -> int:
        self.fields.append(Field(name, values))
        return len(self.fields) - 1

    def _owner(self, path: str, has_ledger: bool) -> _Owner:  # noqa: FBT001 - one fact a call
        ledger = self._add(f"~{path}", LEDGER) if has_ledger else None
        return _Owner(path, self.machine.index[path], ledger)

    def network(self) -> Network:
        """All of it, with values and commands that nothing comes to."""
        internal = [
            Command("", row.name, self._guard(row), self._update(row), number)
            for number, row in enumerate(self.machine.rows)
            if row.event is None
        ]
        commands = [*self._of_owners(), *self._of_blocks(), *self._of_crashes()]
        return Network(
            machine=self.machine,
            fields=tuple(self.fields),
            commands=tuple(self._marked(commands)),
            internal=tuple(self._marked(internal)),
            forbidden=(*self.rules.forbidden(), *self._forbidden_marks()),
            rest=self.rules.rest,
        )

    # ------------------------------------------------------------------ what may happen

    def _of_owners(self) -> Iterator[Command]:
        for owner in self.steps:
            placed, kept = self.layout.steps[owner.path], self.kept[owner.path]
            yield from self._gathered(
                owner,
                (
                    ((code, ledger), of_step(placed, kept, local, ledger, up=True))
                    for code, local, ledger in self._situations(owner)
                ),
            )
        for owner in self.wholes:
            yield from self._gathered(
                owner,
                (
                    ((code, ledger), of_whole(owner.path, local, ledger, up=True))
                    for code, local, ledger in self._situations(owner)
                ),
            )

    def _situations(self, owner: _Owner) -> Iterator[tuple[int, str, int]]:
        """Nothing can happen to who was never asked: the first local state is left out."""
        automaton = self.machine.automata[owner.automaton]
        for code in automaton.locals[1:]:
            for ledger in range(len(LEDGER)) if owner.ledger is not None else [NONE]:
                yield code, automaton.local(code), ledger

    def _gathered(
        self, owner: _Owner, happenings: Iterable[tuple[tuple[int, int], Iterator[Happening]]]
    ) -> Iterator[Command]:
        """What may happen in several situations alike is one command."""
        alike: dict[Happening, dict[int, set[int]]] = {}
        for (code, ledger), found in happenings:
            for one in found:
                stays = one.ledger == ledger or owner.ledger is None
                same = one._replace(ledger=None) if stays else one
                alike.setdefault(same, {}).setdefault(ledger, set()).add(code)
        for happening, by_ledger in alike.items():
            joined: dict[frozenset[int], set[int]] = {}
            for ledger, found_in in by_ledger.items():
                joined.setdefault(frozenset(found_in), set()).add(ledger)
            for codes, ledgers in joined.items():
                yield from self._joined(owner, happening, codes, frozenset(ledgers))

    def _joined(
        self,
        owner: _Owner,
        happening: Happening,
        codes: frozenset[int],
        ledgers: frozenset[int],
    ) -> Iterator[Command]:
        asks: list[Literal] = [(owner.automaton, self._values(owner.automaton, codes))]
        update: Update = ()
        if owner.ledger is not None:
            if len(ledgers) < len(LEDGER):
                asks.append((owner.ledger, ledgers))
            if happening.ledger is not None:
                update = ((owner.ledger, happening.ledger),)
        if happening.event is not None and self.up is not None:
            asks.append((self.up, frozenset({_UP})))
        yield from self._heard(happening, asks, update)

    def _heard(
        self, happening: Happening, asks: Sequence[Literal], update: Update
    ) -> Iterator[Command]:
        """One command for each row of the machine that hears it; one if it sees nothing of it."""
        token, says, event = happening.token, happening.says, happening.event
        if event is None:
            yield Command(token, says, tuple(asks), update)
            return
        for number, row in self.by_event.get(event, ()):
            guard = conjunction(self._guard(row), asks)
            if guard is not None:
                yield Command(token, says, guard, (*self._update(row), *update), number, event)

    def _of_blocks(self) -> Iterator[Command]:
        """Events that the participants have no say in; the saga's deadline does as cancel does."""
        owned = {owner.path for owner in (*self.steps, *self.wholes)}
        asks = [] if self.up is None else [(self.up, frozenset({_UP}))]
        for event in self.machine.events:
            if event.target not in owned and event != "deadline":
                yield from self._heard(of_block(event), asks, ())

    def _of_crashes(self) -> Iterator[Command]:
        if self.up is None:
            return
        root = self.machine.automata[0]
        up, down = (self.up, frozenset({_UP})), (self.up, frozenset({_DOWN}))
        falls = frozenset(
            x
            for x, code in enumerate(root.locals)
            if [*of_orchestrator(root.local(code), [], up=True)]
        )
        for crash in of_orchestrator("running", [], up=True):
            yield Command(crash.token, crash.says, ((0, falls), up), ((self.up, _DOWN),))
        closed: list[Literal] = [down]
        for owner in (*self.steps, *self.wholes):
            automaton = self.machine.automata[owner.automaton]
            calls = frozenset(x for x in automaton.locals if automaton.local(x) in OPEN)
            if not calls:
                continue
            for happening in of_orchestrator("running", [owner.path], up=False):
                asks = [(owner.automaton, self._values(owner.automaton, calls)), down]
                yield from self._heard(happening, asks, ())
            quiet = frozenset(automaton.locals) - calls
            closed.append((owner.automaton, self._values(owner.automaton, quiet)))
        for happening in of_orchestrator("running", [], up=False):
            yield Command(happening.token, happening.says, tuple(closed), ((self.up, _UP),))

    # ------------------------------------------------------------------ the machine's rows

    def _guard(self, row: Row) -> Guard:
        return tuple((v, self._values(v, allowed)) for v, allowed in row.guard)

    def _update(self, row: Row) -> Update:
        return tuple((v, self.value[v][code]) for v, code in row.update)

    def _values(self, v: int, codes: Iterable[int]) -> frozenset[int]:
        value = self.value[v]
        return frozenset(value[code] for code in codes if code in value)

    def _marked(self, commands: Iterable[Command]) -> Iterator[Command]:
        """Where a rule forbids a row in some states, taking it there is written down."""
        by_row: dict[int, list[tuple[int, Mark]]] = {}
        for number, mark in enumerate(self.rules.marks, 1):
            for row in mark.rows:
                by_row.setdefault(row, []).append((number, mark))
        for command in commands:
            parts = [command]
            for number, mark in by_row.get(command.row, ()):
                parts = [x for one in parts for x in self._split(one, mark, number)]
            yield from parts

    def _split(self, command: Command, mark: Mark, number: int) -> Iterator[Command]:
        f, values = mark.when
        every = frozenset(range(len(self.fields[f].values)))
        asked = dict(command.guard).get(f, every)
        others = tuple(literal for literal in command.guard if literal[0] != f)
        if asked - values:
            yield command._replace(guard=(*others, (f, asked - values)))
        if asked & values:
            update = (*(x for x in command.update if x[0] != self.broken), (self.broken, number))
            yield command._replace(guard=(*others, (f, asked & values)), update=update)

    def _forbidden_marks(self) -> Iterator[Forbidden]:
        for number, mark in enumerate(self.rules.marks, 1):
            guard = ((self.broken, frozenset({number})),)
            yield Forbidden(mark.step, guard, {"": (mark.rule, mark.sentence)})


def _field(automaton: Automaton) -> Field:
    # A label is the user's word: one that is called "stuck" is no local state of that name.
    names = tuple(
        automaton.local(code) if code < FIRST_LABEL else f"={automaton.local(code)}"
        for code in automaton.locals
    )
    return Field(automaton.path, names, automaton.locals)
