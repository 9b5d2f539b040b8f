"""
Several runs that meet on resources: what they read, write and lock, and what goes wrong there.

A step reads and writes what it declares when it lands at its participant, in one local transaction;
a read-only step when it answers. Its undo writes again: it puts back what the step found. Undoing
a nested saga as a whole undoes the writes in it. Two writes *commute* where both steps say so of
the resource; a read commutes with nothing.

The anomalies (Frank & Zahle 1998; Richardson, Microservices Patterns, 4.3), of runs A and B:

- **lost update**, by a write: A has read or written r, B writes r, and a later step of A writes r
  without reading it, while B's write stands. By an undo: A writes r, B writes r, and A's write is
  undone while B's stands. Not where the two writes commute.
- **dirty read**: a step of A reads r as B has written it, B's write is undone, and A completes all
  the same, before or after. Who reads what another has overwritten blindly, without commuting,
  has not read it.
- **fuzzy read**: a step of A has read r, a later step of A reads it again, and since A last looked
  B has written r, or has taken a write back, so that the two differ.

A *semantic lock* is taken when a compensatable step that names it lands, and let go by the undo of
the last such step that stands, or when a retriable step of the run that names it lands. While a
run holds it no step of another that names it lands: such a call is not answered, or is rejected.

- **deadlock**: runs in a circle, each with a call that waits for a lock that the next one holds.
- **I11**: a run has completed and still holds a lock.

An anomaly of a move is forbidden in the state before it: there one move is left, and can be made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations, product
from typing import NamedTuple

import attrs

from saga_fsm.product._memory import READ, WRITTEN, Cases, Memory
from saga_fsm.product._network import Command, Forbidden, Guard, Literal, Network, Update, pruned
from saga_fsm.product._several import joined
from saga_fsm.product._uses import Instance, Use, uses_of, wholes_of


_CALLED = frozenset({"started", "restarted", "waiting"})
_LANDED, _UNDONE = "landed", "undone"


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


@attrs.frozen
class Shared:
    """A network of several runs, and the anomalies that it forbids, by rule and key."""

    network: Network
    anomalies: dict[tuple[str, str], Anomaly]


def shared(
    instances: Sequence[Instance],
    *,
    reread: frozenset[str] = frozenset(),
    versioned: frozenset[str] = frozenset(),
    in_turn: bool = False,
    watched: bool = True,
) -> Shared:
    """
    The runs side by side, with what they share, and every anomaly forbidden.

    What a run forbids by itself is left to the check of its saga.

    Args:
        instances: the runs.
        reread: resources of which a step looks, before it lands, whether they are as its run last
            saw them, and else does not land; a retriable step, which must, goes by what it finds.
        versioned: resources that are kept as a log of entries: all writes commute, an undo takes
            its own entry out, and who reads leaves out what is not yet final.
        in_turn: whether a run starts only while no other is under way.
        watched: whether reads and writes are remembered; locks, and what waits for them, always.
    """
    sharing = _Sharing(instances, reread, versioned, in_turn=in_turn, watched=watched)
    return sharing.shared()


class _Sharing:
    def __init__(
        self,
        instances: Sequence[Instance],
        reread: frozenset[str],
        versioned: frozenset[str],
        *,
        in_turn: bool,
        watched: bool,
    ) -> None:
        self.instances, self.in_turn = instances, in_turn
        self.names = [one.name for one in instances]
        bare = [attrs.evolve(one.network, forbidden=()) for one in instances]
        self.joint = joined(list(zip(self.names, bare, strict=True)))
        self.fields = list(self.joint.fields)
        self.at = {field.name: f for f, field in enumerate(self.fields)}
        self.roots = [self.at[f"{name}/@saga"] for name in self.names]
        self.uses = list(uses_of(instances, self.at))
        self.memory = Memory(self.fields, self.names, self.uses, reread, versioned)
        if watched:
            self.memory.watch()
        self.by_ledger = {use.ledger: use for use in self.uses if use.ledger is not None}
        self.wholes = dict(self._wholes())
        for use in (use for inside in self.wholes.values() for use in inside):
            self._value(use, _UNDONE)
        # Per use: each way in which it may land, and be undone, with what that asks.
        self.lands: dict[Use, list[Command]] = {use: [] for use in self.uses}
        self.undoes: dict[Use, list[Command]] = {use: [] for use in self.uses}
        self.answers = {f"done({use.name})": use for use in self.uses if use.ledger is None}

    def _wholes(self) -> Iterator[tuple[int, list[Use]]]:
        """Per ledger of a saga that is undone as a whole, the uses in it that have effects."""
        for i, instance in enumerate(self.instances):
            for path, inside in wholes_of(instance.layout).items():
                names = {f"{instance.name}/{step}" for step in inside}
                yield (
                    self.at[f"~{self.names[i]}/{path}"],
                    [use for use in self.uses if use.name in names and use.ledger is not None],
                )

    def _value(self, use: Use, name: str) -> int:
        """The value of that name of a ledger, which gets it if it has not."""
        if use.ledger is None:
            raise AssertionError(f"{use.name} has no ledger")
        field = self.fields[use.ledger]
        if name not in field.values:
            self.fields[use.ledger] = field = field._replace(values=(*field.values, name))
        return field.values.index(name)

    def shared(self) -> Shared:
        """The network, and what it forbids."""
        commands = [x for one in self.joint.commands for x in self._remembered(one)]
        anomalies = {}
        forbidden: list[Forbidden] = []
        for anomaly, guards in self._anomalies():
            anomalies[anomaly.rule, anomaly.key] = anomaly
            sayings = {"": (anomaly.rule, anomaly.message)}
            forbidden.extend(Forbidden(anomaly.key, guard, sayings) for guard in guards)
        network = attrs.evolve(
            self.joint,
            fields=tuple(self.fields),
            commands=tuple(commands),
            forbidden=tuple(forbidden),
        )
        return Shared(pruned(network), anomalies)

    # ------------------------------------------------------------------ what is remembered

    def _remembered(self, command: Command) -> Iterator[Command]:
        """A command, by what has to be remembered of it."""
        if self.in_turn and command.token.startswith("start("):
            command = self._in_turn(command)
        if command.token in self.answers:
            yield from self._landing(self.answers[command.token], command)
            return
        for f, x in command.update:
            name = self.fields[f].values[x]
            if f in self.wholes and name == _UNDONE:
                yield from self._undoing_whole(self.wholes[f], command)
                return
            if f in self.by_ledger and name in {_LANDED, _UNDONE}:
                yield from self._of_ledger(self.by_ledger[f], command, name)
                return
        yield command

    def _in_turn(self, command: Command) -> Command:
        own = {f for f, _ in command.guard}
        ended = {"pending", "done", "compensated"}
        others = [
            (root, frozenset(x for x, n in enumerate(self.fields[root].values) if n in ended))
            for root in self.roots
            if root not in own
        ]
        return command._replace(guard=(*command.guard, *others))

    def _of_ledger(self, use: Use, command: Command, name: str) -> Iterator[Command]:
        """A step lands that had not, or is undone that had; else nothing has changed."""
        moves = both(command.guard, [self.memory.landed(use, stands=name == _UNDONE)])
        stays = both(command.guard, [self.memory.landed(use, stands=name == _LANDED)])
        if stays is not None:
            yield command._replace(guard=stays)
        if moves is None:
            return
        moving = command._replace(guard=moves)
        if name == _LANDED:
            yield from self._landing(use, moving)
        else:
            self.undoes[use].append(moving)
            memory = self.memory
            yield from _split(moving, [*memory.undoing(use), *memory.letting_go([use], held=True)])

    def _landing(self, use: Use, command: Command) -> Iterator[Command]:
        for asks in self.memory.may_land(use):
            guard = both(command.guard, asks)
            if guard is not None:
                landing = command._replace(guard=guard)
                self.lands[use].append(landing)
                yield from _split(landing, list(self.memory.landing(use)))

    def _undoing_whole(self, inside: Sequence[Use], command: Command) -> Iterator[Command]:
        cases: list[Cases] = []
        for use in inside:
            stands, not_stands = self.memory.landed(use), self.memory.landed(use, stands=False)
            self.undoes[use].append(command._replace(guard=(*command.guard, stands)))
            undone: Cases = [((), ((stands[0], self._value(use, _UNDONE)),))]
            cases.extend(
                [((not_stands,), ()), *(((stands, *guard), update) for guard, update in one)]
                for one in [undone, *self.memory.undoing(use)]
            )
        yield from _split(command, [*cases, *self.memory.letting_go(inside, held=False)])

    # ------------------------------------------------------------------ what may not be

    def _anomalies(self) -> Iterator[tuple[Anomaly, list[Guard]]]:
        for resource in self.memory.resources:
            touching = [use for use in self.uses if use.touches(resource)]
            writers = [use for use in touching if use.writes(resource)]
            for use, other in product(touching, writers):
                if use.i != other.i:
                    yield from self._lost(use, other, resource)
                    yield from self._fuzzy(use, other, resource)
        yield from self._dirty()
        yield from self._deadlocks()
        yield from self._held()

    def _lost(self, use: Use, other: Use, resource: str) -> Iterator[tuple[Anomaly, list[Guard]]]:
        memory = self.memory
        if not memory.conflict(use, other, resource):
            return
        lost = ("lost update", resource, use, other)
        over = memory.is_over(other, use)
        if over is not None and self.undoes[use]:
            text = (
                f"the undo of {use.name} puts '{resource}' back as it was before {other.name} "
                "wrote it: that write is lost"
            )
            anomaly, guards = self._at(self.undoes[use], [over], lost, text)
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
            yield self._at(self.lands[use], asks, lost, text)

    def _fuzzy(self, use: Use, other: Use, resource: str) -> Iterator[tuple[Anomaly, list[Guard]]]:
        memory = self.memory
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
        yield self._at(self.lands[use], asks, ("fuzzy read", resource, use, other), text)

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
        for (reader, writer, resource), field in self.memory.read.items():
            if writer.ledger is None:
                continue
            undone = self._named(writer.ledger, {_UNDONE})
            asks = [
                (field, frozenset({1})),
                undone,
                self._ended(reader.i),
                self._named(reader.automaton, {"done"}),
            ]
            text = (
                f"{reader.name} has read '{resource}' as {writer.name} wrote it; that was undone, "
                f"and {self.names[reader.i]} has completed all the same"
            )
            names = (reader.name, writer.name)
            yield Anomaly("dirty read", resource, names, text), _possible(asks)

    def _deadlocks(self) -> Iterator[tuple[Anomaly, list[Guard]]]:
        memory = self.memory
        waits: dict[tuple[int, int], list[tuple[Use, str]]] = {}
        for use in self.uses:
            for lock in use.placed.step.locks:
                for i in range(len(self.names)):
                    if i != use.i and lock in memory.lock:
                        waits.setdefault((use.i, i), []).append((use, lock))
        for count in range(2, len(self.names) + 1):
            for first, *others in permutations(range(len(self.names)), count):
                if first > min(others):
                    continue
                circle = list(zip([first, *others], [*others, first], strict=True))
                for one in product(*(waits.get(pair, []) for pair in circle)):
                    yield self._circle(circle, one)

    def _circle(
        self, circle: Sequence[tuple[int, int]], waiting: Sequence[tuple[Use, str]]
    ) -> tuple[Anomaly, list[Guard]]:
        memory = self.memory
        asks, said = [], []
        for (_, holder), (use, lock) in zip(circle, waiting, strict=True):
            asks += [
                (memory.lock[lock], frozenset({holder + 1})),
                self._named(use.automaton, _CALLED),
            ]
            if use.ledger is not None:
                asks.append(memory.landed(use, stands=False))
            said.append(f"{use.name} waits for '{lock}', which {self.names[holder]} holds")
        names = tuple(use.name for use, _ in waiting)
        locks = ", ".join(sorted({lock for _, lock in waiting}))
        return Anomaly("deadlock", locks, names, ", and ".join(said)), _possible(asks)

    def _held(self) -> Iterator[tuple[Anomaly, list[Guard]]]:
        for lock, field in self.memory.lock.items():
            for i, name in enumerate(self.names):
                uses = [x for x in self.uses if x.i == i and x.takes]
                named = tuple(x.name for x in uses if lock in x.placed.step.locks)
                asks = [(field, frozenset({i + 1})), self._ended(i)]
                if named:
                    text = f"{name} has completed and still holds the lock '{lock}'"
                    yield Anomaly("I11", lock, named[:1], text), _possible(asks)

    def _ended(self, i: int) -> Literal:
        return self._named(self.roots[i], {"done"})

    def _named(self, field: int, names: Iterable[str]) -> Literal:
        wanted = frozenset(names)
        values = self.fields[field].values
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


def _split(command: Command, every: Sequence[Cases]) -> Iterator[Command]:
    """A command with what is remembered beside it: one for each way in which that may go."""
    parts: list[tuple[Guard, Update]] = [(command.guard, command.update)]
    for cases in every:
        parts = [
            (joint, (*update, *more))
            for guard, update in parts
            for asks, more in cases
            if (joint := both(guard, asks)) is not None
        ]
    for guard, update in parts:
        yield command._replace(guard=guard, update=update)
