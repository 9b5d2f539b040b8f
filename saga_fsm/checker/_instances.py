"""The runs that are searched together: which faults each of them needs, and how it is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from saga_fsm.compiler import compile_saga
from saga_fsm.definition import GUARDED, Saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.product import Instance, network_of, pruned


FAULTS = ("reject", "lost_request", "lost_reply", "late", "failing compensation")
# Each saga alone is checked with these. Here they change nothing: with participants that keep what
# they promise, a run can read, write, undo and complete in the same orders with them and without.
# tests/property/test_isolation.py compares the two, order by order, on the reference sagas.
LEFT_OUT = ("transient", "duplicate", "cancel", "crash", "second_owner", "operators")
_TOKENS = (
    "~lands_again(",
    "~undone(",
    "~refused(",
    "transient(",
    "late_done(",
    "resolve(",
    "cancel",
)


def instances_of(sagas: Sequence[Saga[Any, Any, Any]]) -> list[Instance]:
    """One run of each; several of one name are numbered: ``order#1``, ``order#2``."""
    counts = Counter(saga.name for saga in sagas)
    numbers: Counter[str] = Counter()
    made: dict[int, Instance] = {}
    found = []
    for saga in sagas:
        numbers[saga.name] += 1
        several = counts[saga.name] > 1
        name = f"{saga.name}#{numbers[saga.name]}" if several else saga.name
        one = made.setdefault(id(saga), _instance(saga))
        found.append(attrs.evolve(one, name=name))
    return found


def _instance(saga: Saga[Any, Any, Any]) -> Instance:
    layout = lay_out(saga)
    # What a participant must promise and does not is a finding of its own saga's check.
    kept = dict.fromkeys(layout.steps, GUARDED)
    network = network_of(layout, compile_saga(saga), kept=kept, crashes=False)
    return Instance(saga.name, layout, pruned(attrs.evolve(network, **_needed(network.commands))))


def _needed(commands: Iterable[Any]) -> dict[str, Any]:
    left = tuple(command for command in commands if not command.token.startswith(_TOKENS))
    return {"commands": left, "forbidden": ()}
