"""
Runs that go on under another version of their saga, where it is proven that they may.

Before anything else happens, the run's journal says so: ``#upgraded``, with the words of the old
version and what they are called in the new one. Whoever reads the journal later reads the entries
above that note in the new words. A step that has begun keeps its idempotency key: its participant
knows it by no other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from saga_fsm.compiler import compile_saga
from saga_fsm.machine import Event, Machine, State
from saga_fsm.ports import Entry, Upgrade


NOTE = "#upgraded"


@attrs.frozen
class Read:
    """
    Entries in the words of the newest version.

    Args:
        entries: of the run.
        names: paths under which steps had begun, by what they are called now.
        fingerprints: of the machines under which the run was carried out before.
    """

    entries: Sequence[Entry]
    names: Mapping[str, str]
    fingerprints: frozenset[str]


def read(entries: Sequence[Entry]) -> Read:
    """Read stored entries in the words of the newest version."""
    if all(entry.event != NOTE for entry in entries):
        return Read(entries, {}, frozenset())
    known: list[Entry] = []
    names: dict[str, str] = {}
    marks: set[str] = set()
    for entry in entries:
        if entry.event == NOTE:
            told = json.loads(entry.data)
            words: dict[str, str] = told["words"]
            new: dict[str, str] = told["names"]
            known = [attrs.evolve(one, event=words.get(one.event, one.event)) for one in known]
            # A step may be renamed twice; its key is the first.
            names = {path: names.get(old, old) for path, old in new.items()} | {
                path: first for path, first in names.items() if path not in new.values()
            }
            marks.add(told["from"])
        known.append(entry)
    return Read(known, names, frozenset(marks))


def carried_over(
    upgrade: Upgrade, machine: Machine, entries: Sequence[Entry], at: float
) -> Entry | str:
    """
    The note with which a run goes on under a new machine; or why it may not, where it is.

    Args:
        upgrade: what is proven of the two versions.
        machine: the new one.
        entries: of the run, as they are stored.
        at: now, seconds since the epoch.
    """
    old = compile_saga(upgrade.sagas[0])
    before = read(entries).entries
    state = _replayed(old, [entry.event for entry in before])
    if state is None:
        return "its entries are not those of the old version"
    wanted = upgrade.maps(state)
    if wanted is None:
        return f"at {state}, {upgrade.why(state)}"
    words = {entry.event: _renamed(upgrade, old, entry.event) for entry in before}
    # What was proven is of states; that this history leads there is looked at, run by run.
    found = _replayed(machine, [words[entry.event] for entry in before])
    if found is None or found.codes != wanted.codes:
        return f"at {state}, its history leads to {found or 'no state'} there, not to {wanted}"
    begun = {old.read(one.event).target for one in before if not one.event.startswith("#")}
    told: dict[str, Any] = {
        "from": upgrade.fingerprints[0],
        "to": upgrade.fingerprints[1],
        "words": {ours: theirs for ours, theirs in words.items() if ours != theirs},
        "names": {
            upgrade.path(path): path
            for path in _started(old, state, begun)
            if upgrade.path(path) != path
        },
    }
    return Entry(NOTE, at, json.dumps(told))


def _replayed(machine: Machine, events: Sequence[str]) -> State | None:
    state = machine.initial
    for event in events:
        if not event.startswith("#"):
            if not machine.knows(event):
                return None
            state = machine.step(state, event).state
    return state


def _started(machine: Machine, state: State | None, heard: set[str]) -> set[str]:
    """Paths of what has begun: it is past its first local state, or was heard of."""
    begun = set(heard) - {""}
    if state is not None:
        codes = zip(machine.automata, state.codes, machine.initial.codes, strict=True)
        begun.update(one.path for one, code, first in codes if code != first)
    return begun


def _renamed(upgrade: Upgrade, old: Machine, text: str) -> str:
    if text.startswith("#"):
        kind, bracket, rest = text.partition("(")
        if not bracket:
            return text
        *words, path = rest[:-1].split(" ")
        return f"{kind}({' '.join([*words, upgrade.path(path)])})"
    event = old.read(text)
    return str(Event.of(event.kind, upgrade.path(event.target), event.argument))
