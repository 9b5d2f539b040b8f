"""
What goes wrong between runs that meet on resources: each anomaly as guards on what is remembered.

``_shared`` says what each of them is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import permutations, product
from typing import NamedTuple

from saga_fsm.product._memory import READ, WRITTEN, Memory
from saga_fsm.product._network import Command, Field, Guard, Literal
from saga_fsm.product._uses import Use


UNDONE = "undone"
_CALLED = frozenset({"started", "restarted", "waiting"})


class Anomaly(NamedTuple):
    """
    What may go wrong between runs.

    Args:
        rule: "lost update", "dirty read", "fuzzy read", "deadlock" or "I11".
        resource: on which; of a deadlock, the locks.
        steps: run and path of each step concerned; who does or suffers it first.
        message: one sentence.
        last: how the last move, which is still to be made, may be written; empty if there is none.
        undo: whether it is an undo that does it.
    """

    rule: str
    resource: str
    steps: tuple[str, ...]
    message: str
    last: frozenset[str] = frozenset()
    undo: bool = False

    @property
    def key(self) -> str:
        """What tells it from others of its rule."""
        return " ".join([*(["undo"] if self.undo else []), *self.steps, self.resource])


class Anomalies:
    """
    The anomalies of runs that are laid side by side.

    Args:
        names: of the runs.
        fields: of all of them, with their memory.
        uses: the steps that name a resource or a lock.
        memory: what is remembered of them.
        lands: by use, each way in which it may land.
        undoes: by use, each way in which it may be undone.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the runs, and what is remembered of them
        self,
        names: Sequence[str],
        fields: Sequence[Field],
        uses: Sequence[Use],
        memory: Memory,
        lands: Mapping[Use, Sequence[Command]],
        undoes: Mapping[Use, Sequence[Command]],
    ) -> None:
        self._names, self._fields, self._uses, self._memory = names, fields, uses, memory
        self._lands, self._undoes = lands, undoes
        at = {field.name: f for f, field in enumerate(fields)}
        self._roots = [at[f"{name}/@saga"] for name in names]

    def found(self) -> Iterator[tuple[Anomaly, list[Guard]]]:
        """Each that is possible, and the guards of the states in which it is there."""
        for resource in self._memory.resources:
            touching = [use for use in self._uses if use.touches(resource)]
            writers = [use for use in touching if use.writes(resource)]
            for use, other in product(touching, writers):
                if use.i != other.i:
                    yield from self._lost(use, other, resource)
                    yield from self._fuzzy(use, other, resource)
        yield from self._dirty()
        yield from self._deadlocks()
        yield from self._held()

    def _lost(self, use: Use, other: Use, resource: str) -> Iterator[tuple[Anomaly, list[Guard]]]:
        memory = self._memory
        if not memory.conflict(use, other, resource):
            return
        lost = ("lost update", resource, use, other)
        over = memory.is_over(other, use)
        if over is not None and self._undoes[use]:
            text = (
                f"the undo of {use.name} puts '{resource}' back as it was before {other.name} "
                "wrote it: that write is lost"
            )
            anomaly, guards = self._at(self._undoes[use], [over], lost, text)
            yield anomaly._replace(undo=True), guards
        since = memory.since.get((use.i, other, resource))
        rereads = resource in memory.reread and use.lets_go
        if since is not None and use.blind(resource) and not rereads:
            text = (
                f"{use.name} writes '{resource}' without having read what {other.name} wrote "
                "there: that write is lost"
            )
            seen = (memory.seen[use.i, resource], frozenset({WRITTEN, READ}))
            asks = [seen, (since, frozenset({1})), memory.landed(other)]
            yield self._at(self._lands[use], asks, lost, text)

    def _fuzzy(self, use: Use, other: Use, resource: str) -> Iterator[tuple[Anomaly, list[Guard]]]:
        memory = self._memory
        since = memory.since.get((use.i, other, resource))
        if since is None or not use.reads(resource):
            return
        text = (
            f"{use.name} reads '{resource}' again, and {other.name} has changed it since its run "
            "read it first"
        )
        asks = [(memory.seen[use.i, resource], frozenset({READ})), (since, frozenset({1}))]
        if resource in memory.versioned:
            asks += [memory.landed(other), self._ended(other.i)]
        yield self._at(self._lands[use], asks, ("fuzzy read", resource, use, other), text)

    def _at(
        self,
        commands: Iterable[Command],
        asks: Sequence[Literal],
        about: tuple[str, str, Use, Use],
        text: str,
    ) -> tuple[Anomaly, list[Guard]]:
        """An anomaly of a move: where it may be made."""
        asked = both((), asks)
        found = [] if asked is None else [(x, both(x.guard, asked)) for x in commands]
        guards = [guard for _, guard in found if guard is not None]
        last = frozenset(command.token for command, guard in found if guard is not None)
        rule, resource, use, other = about
        return Anomaly(rule, resource, (use.name, other.name), text, last), guards

    def _dirty(self) -> Iterator[tuple[Anomaly, list[Guard]]]:
        for (reader, writer, resource), field in self._memory.read.items():
            if writer.ledger is None:
                continue
            undone = self._named(writer.ledger, {UNDONE})
            asks = [
                (field, frozenset({1})),
                undone,
                self._ended(reader.i),
                self._named(reader.automaton, {"done"}),
            ]
            text = (
                f"{reader.name} has read '{resource}' as {writer.name} wrote it; that was undone, "
                f"and {self._names[reader.i]} has completed all the same"
            )
            names = (reader.name, writer.name)
            yield Anomaly("dirty read", resource, names, text), _possible(asks)

    def _deadlocks(self) -> Iterator[tuple[Anomaly, list[Guard]]]:
        memory = self._memory
        waits: dict[tuple[int, int], list[tuple[Use, str]]] = {}
        for use in self._uses:
            for lock in use.placed.step.locks:
                for i in range(len(self._names)):
                    if i != use.i and lock in memory.lock:
                        waits.setdefault((use.i, i), []).append((use, lock))
        for count in range(2, len(self._names) + 1):
            for first, *others in permutations(range(len(self._names)), count):
                if first > min(others):
                    continue
                circle = list(zip([first, *others], [*others, first], strict=True))
                for one in product(*(waits.get(pair, []) for pair in circle)):
                    yield self._circle(circle, one)

    def _circle(
        self, circle: Sequence[tuple[int, int]], waiting: Sequence[tuple[Use, str]]
    ) -> tuple[Anomaly, list[Guard]]:
        memory = self._memory
        asks, said = [], []
        for (_, holder), (use, lock) in zip(circle, waiting, strict=True):
            asks += [
                (memory.lock[lock], frozenset({holder + 1})),
                self._named(use.automaton, _CALLED),
            ]
            if use.ledger is not None:
                asks.append(memory.landed(use, stands=False))
            said.append(f"{use.name} waits for '{lock}', which {self._names[holder]} holds")
        names = tuple(use.name for use, _ in waiting)
        locks = ", ".join(sorted({lock for _, lock in waiting}))
        return Anomaly("deadlock", locks, names, ", and ".join(said)), _possible(asks)

    def _held(self) -> Iterator[tuple[Anomaly, list[Guard]]]:
        for lock, field in self._memory.lock.items():
            for i, name in enumerate(self._names):
                uses = [x for x in self._uses if x.i == i and x.takes]
                named = tuple(x.name for x in uses if lock in x.placed.step.locks)
                asks = [(field, frozenset({i + 1})), self._ended(i)]
                if named:
                    text = f"{name} has completed and still holds the lock '{lock}'"
                    yield Anomaly("I11", lock, named[:1], text), _possible(asks)

    def _ended(self, i: int) -> Literal:
        return self._named(self._roots[i], {"done"})

    def _named(self, field: int, names: Iterable[str]) -> Literal:
        wanted = frozenset(names)
        values = self._fields[field].values
        return field, frozenset(x for x, name in enumerate(values) if name in wanted)


def both(guard: Guard, asks: Iterable[Literal]) -> Guard | None:
    """The conjunction; None where it cannot hold."""
    joint = dict(guard)
    for f, allowed in asks:
        joint[f] = joint[f] & allowed if f in joint else allowed
        if not joint[f]:
            return None
    return tuple(joint.items())


def _possible(asks: Sequence[Literal]) -> list[Guard]:
    guard = both((), asks)
    return [] if guard is None else [guard]
