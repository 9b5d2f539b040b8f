"""The runs that are searched together: which faults each of them needs, and how it is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs

from saga_fsm.compiler import compile_saga
from saga_fsm.definition import GUARDED, Saga, Step
from saga_fsm.definition.layout import lay_out
from saga_fsm.product import Command, Instance, Network, network_of, pruned


FAULTS = ("reject", "lost_request", "lost_reply", "late")
# Each saga alone is checked with these. Here they change nothing: with participants that keep what
# they promise, a run can read, write, undo and complete in the same orders with them and without.
# tests/property/test_isolation.py compares the two, order by order, on the reference sagas.
LEFT_OUT = (
    "transient",
    "duplicate",
    "failing compensation",
    "cancel",
    "crash",
    "second_owner",
    "operators",
)
_TOKENS = (
    "~lands_again(",
    "~undone(",
    "~refused(",
    "transient(",
    "late_done(",
    "resolve(",
    "cancel",
)
# Of a step that names nothing that another run names too, only that it is done, rejected or
# undone: when it lands nobody sees.
_DOUBT = ("unknown(", "~lands(")
_UNDOING = {"compensating", "whole_compensating"}


def met_by(sagas: Sequence[Saga[Any, Any, Any]]) -> list[str]:
    """The resources and locks that more than one of these runs names."""
    users: dict[str, set[int]] = {}
    for i, saga in enumerate(sagas):
        for placed in lay_out(saga).steps.values():
            for name in _names(placed.step):
                users.setdefault(name, set()).add(i)
    return sorted(name for name, runs in users.items() if len(runs) > 1)


def _names(step: Step[Any, Any, Any, Any]) -> set[str]:
    return {*step.reads, *step.writes, *step.locks}


def instances_of(sagas: Sequence[Saga[Any, Any, Any]]) -> list[Instance]:
    """One run of each; several of one name are numbered: ``order#1``, ``order#2``."""
    counts = Counter(saga.name for saga in sagas)
    numbers: Counter[str] = Counter()
    made: dict[int, Instance] = {}
    # One run alone is asked for to see what it does; then all that it names counts.
    met = set(met_by(sagas)) if len(sagas) > 1 else None
    found = []
    for saga in sagas:
        numbers[saga.name] += 1
        several = counts[saga.name] > 1
        name = f"{saga.name}#{numbers[saga.name]}" if several else saga.name
        one = made.setdefault(id(saga), _instance(saga, met))
        found.append(attrs.evolve(one, name=name))
    return found


def _instance(saga: Saga[Any, Any, Any], met: set[str] | None) -> Instance:
    layout = lay_out(saga)
    # What a participant must promise and does not is a finding of its own saga's check.
    kept = dict.fromkeys(layout.steps, GUARDED)
    network = network_of(layout, compile_saga(saga), kept=kept, crashes=False)
    silent = {
        f"{doubt}{path})"
        for path, placed in layout.steps.items()
        for doubt in _DOUBT
        if not (_names(placed.step) if met is None else _names(placed.step) & met)
    }
    commands = tuple(
        command
        for command in network.commands
        if command.token not in silent
        and not command.token.startswith(_TOKENS)
        and not _fails_to_undo(network, command)
    )
    return Instance(
        saga.name, layout, pruned(attrs.evolve(network, commands=commands, forbidden=()))
    )


def _fails_to_undo(network: Network, command: Command) -> bool:
    """Whether an undo has no answer: a run that waits for it goes no other way than one stuck."""
    if not command.token.startswith("unknown("):
        return False
    asked = {network.fields[f].values[x] for f, allowed in command.guard for x in allowed}
    return not asked.isdisjoint(_UNDOING)
