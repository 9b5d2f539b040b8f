"""The run that shows an answer: its moves, what the predicates are on it, where it was decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from saga_fsm.checker._lasso import Endless
from saga_fsm.checker._traces import trace
from saga_fsm.checker._truth import Truths
from saga_fsm.path import Path, PathMove
from saga_fsm.properties import Property
from saga_fsm.properties._atoms import HAPPENED, NOW, Anything
from saga_fsm.properties._predicates import Predicate


@attrs.frozen
class Evidence:
    """
    A run, as a path and as the numbers of its states.

    Args:
        numbers: of its states, the start among them.
        path: its moves; with a loop where it goes on for ever.
        notes: which predicate holds where on it.
        found: what makes it endless.
        begun: how many moves lead to where something was to come.
    """

    numbers: tuple[int, ...]
    path: Path
    notes: tuple[str, ...]
    found: Endless | None
    begun: int

    @classmethod
    def of(
        cls,
        truths: Truths,
        one: Property,
        run: Sequence[int],
        found: Endless | None,
        adversarial: frozenset[int],
    ) -> Evidence:
        """
        Write a run down.

        Args:
            truths: of which predicates may be asked.
            one: the property that it is about.
            run: the numbers of its states, to where the endless part begins.
            found: that part.
            adversarial: the numbers of the adversary's commands.
        """
        steps = [*((state, None) for state in run[1:]), *(found.steps if found else ())]
        numbers = (run[0], *(state for state, _ in steps))
        network = truths.graph.cores.network
        his = attrs.evolve(
            network, commands=tuple(network.commands[x] for x in sorted(adversarial))
        )
        theirs = attrs.evolve(
            network,
            commands=tuple(x for n, x in enumerate(network.commands) if n not in adversarial),
        )
        by = {None: network, True: his, False: theirs}
        values = [truths.graph.values(state) for state in numbers]
        moves = [
            _plain(trace(by[who], values[n : n + 2]).moves[0]) for n, (_, who) in enumerate(steps)
        ]
        loop = None if found is None or found.loop is None else len(run) - 1 + found.loop
        path = Path(network.machine.name, network.machine.fingerprint, tuple(moves), loop)
        return cls(numbers, path, tuple(_where(truths, one, numbers)), found, len(run) - 1)

    def when(self) -> str:
        """When its last state is reached."""
        return _after(len(self.path))

    def never_comes(self, one: Property) -> str:
        """How something fails to come."""
        found = self.found
        assert found is not None  # noqa: S101 - asked of endless runs only
        what = f"'{one.predicates[-1]}' need not come"
        if one.operator == "leads_to" and not isinstance(one.predicates[0], Anything):
            what = f"'{one.predicates[0]}' holds {_after(self.begun)} and {what}"
        if found.loop is None:
            end = f"{_after(len(self.path))} the run rests"
        else:
            end = f"{_after(self.path.loop or 0)} the run goes round for ever"
        if found.part:
            end += f" among {found.part:,} states, of which one round is shown"
        lost = self.begun + found.lost
        who = "the adversary can keep it away" if one.adversarial else "it is out of reach"
        return f"{what}: {end}; from {f'move {lost}' if lost else 'the start'} on {who}"


def counted(number: int, word: str) -> str:
    """A number of things."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _after(moves: int) -> str:
    return f"after {counted(moves, 'move')}" if moves else "at the start"


def _plain(move: PathMove) -> PathMove:
    """Without the bits that a property remembers."""
    marks = HAPPENED[1:], NOW[1:]
    return attrs.evolve(move, changes=tuple(x for x in move.changes if not x[0].startswith(marks)))


def _where(truths: Truths, one: Property, numbers: Sequence[int]) -> Iterator[str]:
    """On which of these states each predicate holds, the parts of a joined one too."""
    told: set[str] = set()
    for predicate in one.predicates:
        for part in (predicate, *predicate.leaves()):
            if str(part) not in told:
                told.add(str(part))
                yield f"'{part}' {_holding(truths, part, numbers)}"


def _holding(truths: Truths, predicate: Predicate, numbers: Sequence[int]) -> str:
    try:
        flags = [truths.one(predicate, state) for state in numbers]
    except (TypeError, ValueError):
        # A part that was not to be asked everywhere: what is joined with it stands before it.
        return "cannot be asked on all of this run"
    if not any(flags):
        return "holds nowhere on this run"
    if all(flags):
        return "holds all along this run"
    spans: list[list[int]] = []
    for number, flag in enumerate(flags):
        if flag and spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        elif flag:
            spans.append([number, number])
    return f"holds {', '.join(_span(begin, end) for begin, end in spans)}"


def _span(begin: int, end: int) -> str:
    if begin == end:
        return f"after move {begin}" if begin else "at the start"
    first = f"move {begin}" if begin else "the start"
    return f"from {first} to move {end}"
