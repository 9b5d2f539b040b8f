"""
Several networks side by side: each run is a network of its own, and one of them moves at a time.

The fields of a run are called after it (``order#1/charge``, ``~order#1/charge``), and so are its
tokens (``done(order#1/charge)``). The world's memory of all runs stands last, as in one network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from saga_fsm.product._network import Command, Field, Forbidden, Guard, Network, Part, Update
from saga_fsm.product._world import BROKEN, UP


# How the field of a semantic lock begins: its value is free, or the run that holds it.
LOCK = "~lock "
_ENDS = {"done": "completed", "compensated": "compensated"}
_STUCK = "stuck"


def hidden(name: str) -> bool:
    """Whether a field is the checker's own memory, of which no path tells."""
    return name.startswith("~@") or name.endswith((UP, BROKEN))


def joined(runs: Sequence[tuple[str, Network]]) -> Network:
    """
    The product of several runs that share nothing yet.

    What may never be in one of them may not be here. All have come to rest where each of them has,
    or has not begun.

    Args:
        runs: name and network of each; the names differ.
    """
    joining = _Joining([network for _, network in runs], [name for name, _ in runs])
    return joining.network()


class _Joining:
    def __init__(self, networks: Sequence[Network], names: Sequence[str]) -> None:
        self.networks, self.names = networks, names
        places = [
            (i, f)
            for memory in (False, True)
            for i, network in enumerate(networks)
            for f, field in enumerate(network.fields)
            if field.name.startswith("~") is memory
        ]
        self.fields = [self._field(i, f) for i, f in places]
        # Per run and field of it: the field here.
        self.at = {place: f for f, place in enumerate(places)}

    def _field(self, i: int, f: int) -> Field:
        field, run = self.networks[i].fields[f], self.names[i]
        tilde, name = ("~", field.name[1:]) if field.name.startswith("~") else ("", field.name)
        return field._replace(name=f"{tilde}{run}/{name}")

    def network(self) -> Network:
        """All of it."""
        commands: list[Command] = []
        internal: list[Command] = []
        forbidden: list[Forbidden] = []
        rest: list[tuple[int, frozenset[int]]] = []
        parts, rows = [], 0
        for i, network in enumerate(self.networks):
            commands.extend(self._command(i, one, rows) for one in network.commands)
            internal.extend(self._command(i, one, rows) for one in network.internal)
            forbidden.extend(x for one in network.forbidden for x in self._forbidden(i, one))
            # A run that has not begun is no reason to wait for it.
            rest.extend(
                (self.at[i, f], allowed | {0} if f == 0 else allowed) for f, allowed in network.rest
            )
            parts.append(Part(self.names[i], network.machine, self.at[i, 0]))
            rows += len(network.machine.rows)
        return Network(
            machine=self.networks[0].machine,
            fields=tuple(self.fields),
            commands=tuple(commands),
            internal=tuple(internal),
            forbidden=tuple(forbidden),
            rest=tuple(rest),
            parts=tuple(parts),
        )

    def _guard(self, i: int, guard: Guard) -> Guard:
        return tuple((self.at[i, f], allowed) for f, allowed in guard)

    def _update(self, i: int, update: Update) -> Update:
        return tuple((self.at[i, f], x) for f, x in update)

    def _command(self, i: int, command: Command, rows: int) -> Command:
        run = self.names[i]
        return command._replace(
            token=_called(run, command.token),
            says=f"{run}: {command.says}",
            guard=self._guard(i, command.guard),
            update=self._update(i, command.update),
            row=command.row if command.row < 0 else command.row + rows,
        )

    def _forbidden(self, i: int, one: Forbidden) -> Iterator[Forbidden]:
        """What is said hangs on the status of its own run: one for each."""
        step = f"{self.names[i]}/{one.step}" if one.step else self.names[i]
        for status, (rule, text) in one.sayings.items():
            guard = self._guard(i, self._while(i, status, one.guard))
            if all(allowed for _, allowed in guard):
                yield Forbidden(step, guard, {"": (rule, f"{self.names[i]}: {text}")})

    def _while(self, i: int, status: str, guard: Guard) -> Guard:
        """A guard, where the run has this status; under an empty one, whatever it has."""
        if not status:
            return guard
        names = self.networks[i].fields[0].values
        found = frozenset(x for x, name in enumerate(names) if _ENDS.get(name, _STUCK) == status)
        asked = dict(guard)
        asked[0] = asked.get(0, found) & found
        return tuple(asked.items())


def _called(run: str, token: str) -> str:
    """The token of a run's command: ``done(order#1/charge)``, ``start(order#1)``."""
    if not token:
        return token
    kind, opened, inside = token.partition("(")
    return f"{kind}({run}/{inside}" if opened else f"{token}({run})"
