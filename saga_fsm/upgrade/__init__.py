"""
Whether runs of an old saga may go on under a new one: W16 of semantics.md.

``diff`` answers for every state in which a run can be in flight. Such a state, with what has
happened at the participants, is carried over by path and by the names of local states; what the new
saga has in addition is as it was at first. The run may go on if that is a state which *the new
saga itself can come to*: then whatever it does from there, a run of the new saga could have done,
and what ``check`` says of the new saga holds for it. Nothing of what it owes may be left behind: a
step that is gone, or whose kind is another, must not have been come to.

An orchestrator knows the state of the machine and not what happened at participants. So a state of
the machine may go on only if it may with everything that can have happened there.

>>> from saga_fsm import GUARDED, Saga, diff, pivot, step
>>> def reserve(ctx): ...
>>> def release(ctx, reservation): ...
>>> def pay(ctx): ...
>>> def ship(ctx): ...
>>> held = step(reserve, compensate=release)
>>> old = Saga("order", held, pivot(ship), contract=GUARDED)
>>> charged = Saga("order", held, step(pay, compensate=release), pivot(ship), contract=GUARDED)
>>> found = diff(old, charged)
>>> found.verdict, found.findings[0].rule
('incompatible', 'W16')
>>> print(found.findings[0].message)
'pay' is new, and this run has passed where it stands: 'pay' is pending and 'reserve' done
>>> diff(old, Saga("order", held, pivot(ship), deadline=60.0, contract=GUARDED)).ok
True
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._cores import state_of
from saga_fsm.checker._search import Graph, graph_of
from saga_fsm.compiler import compile_saga
from saga_fsm.definition import Saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.machine import Codes, State, Status
from saga_fsm.ports import Progress
from saga_fsm.product import Network, Values, network_of
from saga_fsm.upgrade._difference import Difference, Refusal
from saga_fsm.upgrade._mapping import Carrier, Obstacle, named


__all__ = ["Difference", "Obstacle", "Refusal", "diff"]

_ENDED = {Status.COMPLETED, Status.COMPENSATED}


def diff(
    old: Saga[Any, Any, Any],
    new: Saga[Any, Any, Any],
    *,
    renamed: Mapping[str, str] | None = None,
    limit: int = 500_000,
    progress: Progress | None = None,
) -> Difference:
    """
    Compare two versions of a saga: which runs in flight may go on under the new one.

    A run in flight is one that is new, running, compensating or stuck. The cost is that of a plain
    search of both products.

    Args:
        old: under which the runs were started.
        new: under which they would go on.
        renamed: new names of steps, nested sagas and blocks, by their old ones.
        limit: the largest number of states of each product that is looked at.
        progress: is told how far the search is, now and then.

    Raises:
        UnknownStepError: a name in ``renamed`` that its saga does not have.
        ValueError: a limit below 1.
    """
    Bounds(limit)
    before, after = (network_of(lay_out(one), compile_saga(one)) for one in (old, new))
    carrier = Carrier((old, before), (new, after), renamed or {})
    graphs = [graph_of(one, limit=limit, progress=progress) for one in (before, after)]
    comparing = _Comparing(carrier, *graphs)
    comparing.run()
    complete = all(graph.complete for graph in graphs)
    # In a part of the new product a state may be missing that the rest has.
    known = graphs[1].complete and comparing.refused
    verdict = "incompatible" if known else "compatible" if complete else "incomplete"
    return Difference(
        old=f"{old.name} {old.version}",
        new=f"{new.name} {new.version}",
        fingerprints=(before.machine.fingerprint, after.machine.fingerprint),
        verdict=verdict,
        states=len(comparing.seen),
        refusals=tuple(comparing.refusals()) if graphs[1].complete else (),
        limit=limit,
        sagas=(old, new),
        carried=comparing.carried() if complete else {},
        obstacles={codes: obstacle for codes, (obstacle, _) in comparing.refused.items()},
        renaming=carrier.rename,
    )


class _Comparing:
    def __init__(self, carrier: Carrier, old: Graph, new: Graph) -> None:
        self.carrier = carrier
        self.old, self.new = old, new
        self._there = set(new.nodes)
        self._why = _Why(carrier, new)
        # Per state of the old machine in flight: its counterpart, and what stands in the way.
        self.seen: dict[Codes, State | None] = {}
        self.refused: dict[Codes, tuple[Obstacle, int]] = {}

    def run(self) -> None:
        """Carry every state over."""
        for number in range(len(self.old.nodes)):
            values = self.old.values(number)
            state = self.old.state(number)
            codes = state.codes
            if codes not in self.seen:
                if state.status in _ENDED:
                    continue
                self.seen[codes] = None
            if codes in self.refused:
                continue
            after = self.carrier.carry(values)
            if isinstance(after, Obstacle):
                self.refused[codes] = after, number
            elif self.new.cores.node(after) in self._there:
                self.seen[codes] = state_of(self.new.cores.network, after)
            else:
                self.refused[codes] = self._why(after), number

    def carried(self) -> dict[Codes, State]:
        """Where each state that may go on does so."""
        return {
            codes: state
            for codes, state in self.seen.items()
            if state is not None and codes not in self.refused
        }

    def refusals(self) -> Iterator[Refusal]:
        """By reason, the nearest example first."""
        grouped: dict[Obstacle, list[int]] = {}
        for obstacle, number in self.refused.values():
            grouped.setdefault(obstacle, []).append(number)
        for obstacle, numbers in grouped.items():
            first = min(numbers)
            example = str(self.old.state(first))
            yield Refusal(obstacle, len(numbers), example, self.old.path(first))


class _Why:
    """Why the new saga does not come to a state: two local states that it never has together."""

    def __init__(self, carrier: Carrier, new: Graph) -> None:
        self.new = new
        self.network: Network = new.cores.network
        self._fresh = set(carrier.fresh)

    @cached_property
    def _together(self) -> set[tuple[int, int, int, int]]:
        """Two fields and their values, wherever the new saga has them at once."""
        return {
            (g, values[g], f, x)
            for values in map(self.new.values, range(len(self.new.nodes)))
            for f, x in enumerate(values)
            for g in range(f)
        }

    def __call__(self, values: Values) -> Obstacle:
        fields = self.network.fields
        names = [field.name for field in fields]
        apart = [
            (g, f)
            for f in range(len(values))
            for g in range(f)
            if (g, values[g], f, values[f]) not in self._together
        ]
        # A step that is new says most; then steps, before scopes and participants.
        apart.sort(key=lambda pair: min(self._rank(one, names) for one in pair))
        if not apart:
            text = "the new saga comes to none of these states, taken together"
            return Obstacle("", text, "let these runs end under the old saga")
        one, other = sorted(apart[0], key=lambda f: self._rank(f, names))
        local = {f: fields[f].values[values[f]] for f in (one, other)}
        said = " and ".join(f"{named(names[f])} {x}" for f, x in local.items())
        if one in self._fresh:
            plain = names[one].removeprefix("~")
            what = named(plain)
            return Obstacle(
                plain,
                f"{what} is new, and this run has passed where it stands: "
                + said.replace(f"{named(names[one])} ", f"{named(names[one])} is ", 1),
                f"let these runs end under the old saga, or put {what} where none has been",
            )
        return Obstacle(
            names[one].removeprefix("~"),
            f"the new saga never has {said} together",
            "keep the old order, kinds and contracts until these runs have ended",
        )

    def _rank(self, f: int, names: list[str]) -> tuple[bool, bool, bool, int]:
        name = names[f]
        return f not in self._fresh, name.startswith("~"), name.startswith("@"), f
