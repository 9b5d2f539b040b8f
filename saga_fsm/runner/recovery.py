"""Taking up a run again: fold its journal, then ask again for what is owed (machine.md 4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeAlias

from saga_fsm.definition import Kind
from saga_fsm.errors import RunConflictError
from saga_fsm.machine import Call, Compensate, Effect, SetTimer
from saga_fsm.ports import Entry
from saga_fsm.runner.calls import Calls, Told
from saga_fsm.runner.commands import Command
from saga_fsm.runner.facts import ENDS, KINDS, Facts


Recoveries: TypeAlias = Counter[tuple[str, str]]

# By which event which calls end.
_ENDED = {
    event: [kind for kind in ENDS if event in ENDS[kind]] for event in set().union(*ENDS.values())
}
_POISONOUS = 3  # at this recovery an open call counts as unknown: it may be what kills its owners


def fold(facts: Facts, entries: Iterable[Entry]) -> Recoveries:
    """
    Learn a journal; how often each open call was found open by a recovery before.

    Raises:
        RunConflictError: it is the journal of another saga, machine or input.
    """
    recoveries: Recoveries = Counter()
    for entry in entries:
        if entry.event.startswith("#"):
            _note(facts, recoveries, entry)
            continue
        if entry.event == "start":
            _same(facts, entry.data)
        event = facts.machine.read(entry.event)
        path = event.target
        for kind in _ENDED.get(event.kind, ()):
            leg = facts.latest(kind, path)
            if facts.flight.pop(leg, None) is not None:
                recoveries.pop((kind, path), None)
                facts.unmade.discard((kind, path))
                facts.pending.pop(path, None)
                if (kind, event.kind) == ("call", "unknown"):
                    facts.doubted.add((path, leg[2]))
        for effect in facts.learn(event, entry.data).effects:
            asks = KINDS.get(effect.__class__)
            target: str = getattr(effect, "target", "")
            if asks is not None:
                facts.owe(asks, target, entry.at)
            elif isinstance(effect, SetTimer):
                facts.since[target] = entry.at
    facts.restarted()
    return recoveries


def _note(facts: Facts, recoveries: Recoveries, entry: Entry) -> None:
    if entry.event == "#recovered":
        recoveries.update(leg[:2] for leg in facts.flight if leg[:2] not in facts.unmade)
        # Whoever took the run up has called them.
        facts.unmade.clear()
    elif entry.event.startswith("#pending("):
        path = entry.event.removeprefix("#pending(")[:-1]
        facts.pending[path] = facts.latest("call", path)[2]
    elif entry.event.startswith("#unmade("):
        kind, _, path = entry.event.removeprefix("#unmade(")[:-1].partition(" ")
        facts.unmade.add((kind, path))


def _same(facts: Facts, header: Any) -> None:
    if header["saga"] != facts.saga.name:
        message = f"belongs to saga '{header['saga']}', not to '{facts.saga.name}'"
        raise RunConflictError(run_id=facts.run_id, message=message)
    if header["fingerprint"] not in facts.fingerprints:
        theirs, ours = header["fingerprint"], facts.machine.fingerprint
        message = f"was started by machine {theirs}, this is {ours}"
        raise RunConflictError(run_id=facts.run_id, message=message)
    if facts.input is not None and header["input"] != facts.input:
        raise RunConflictError(run_id=facts.run_id, message="was started with another input")
    facts.input = header["input"]


def again(  # noqa: PLR0913, PLR0917 - what a recovery has in its hands
    facts: Facts,
    calls: Calls,
    recoveries: Recoveries,
    effect: Effect,
    now: float,
    todo: list[Told],
    commands: list[Command],
) -> None:
    """
    Ask again for one thing that is owed.

    A call that was open is made again under the same key when the step is idempotent, without
    counting as an attempt; else, and at the third recovery of the same call, it is unknown. One
    that was surely not made is made, whatever it is.
    """
    kind = KINDS.get(effect.__class__)
    target: str = getattr(effect, "target", "")
    if isinstance(effect, SetTimer):
        calls.of(effect, facts.since[target], todo, commands)
    if kind is None:
        return
    leg = facts.latest(kind, target)
    placed = facts.layout.steps.get(target)
    if isinstance(effect, Call) and placed is not None:
        if target in facts.pending:
            commands.extend(calls.answer(placed, facts.pending[target], facts.flight[leg]))
            return
        if placed.step.pause_for is not None:
            calls.make(leg, facts.flight[leg], todo, commands)
            return
    if (kind, target) in facts.unmade:
        calls.make(leg, now, todo, commands)
        return
    poison = recoveries[kind, target] + 1 >= _POISONOUS and isinstance(effect, Call | Compensate)
    safe = placed is None or placed.contract.idempotent or placed.kind is Kind.READONLY
    if poison or (isinstance(effect, Call) and not safe):
        del facts.flight[leg]
        if kind == "call":
            facts.doubted.add((target, leg[2]))
        todo.append((facts.machine.event("unknown", target), None))
    else:
        calls.make(leg, now, todo, commands)
