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

from collections.abc import Iterator, Sequence

import attrs

from saga_fsm.product._anomalies import UNDONE, Anomalies, Anomaly, both
from saga_fsm.product._memory import Cases, Memory
from saga_fsm.product._network import Command, Forbidden, Guard, Network, Update, pruned
from saga_fsm.product._several import joined
from saga_fsm.product._uses import Instance, Use, uses_of, wholes_of


_LANDED = "landed"


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
            self._value(use, UNDONE)
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
        found = Anomalies(
            self.names, self.fields, self.uses, self.memory, self.lands, self.undoes
        ).found()
        for anomaly, guards in found:
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
            if f in self.wholes and name == UNDONE:
                yield from self._undoing_whole(self.wholes[f], command)
                return
            if f in self.by_ledger and name in {_LANDED, UNDONE}:
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
        moves = both(command.guard, [self.memory.landed(use, stands=name == UNDONE)])
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
            undone: Cases = [((), ((stands[0], self._value(use, UNDONE)),))]
            cases.extend(
                [((not_stands,), ()), *(((stands, *guard), update) for guard, update in one)]
                for one in [undone, *self.memory.undoing(use)]
            )
        yield from _split(command, [*cases, *self.memory.letting_go(inside, held=False)])


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
