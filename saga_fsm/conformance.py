"""
Whether what was recorded follows the machine.

``audit`` replays a path or the entries of a journal, and stops at the first that the machine does
not allow there: an event that it does not know or has no move for, a recorded state that is another
one, or a path of another machine.

>>> from saga_fsm import GUARDED, Saga, audit, pivot, step
>>> def reserve(ctx): ...
>>> def release(ctx, reservation): ...
>>> def ship(ctx): ...
>>> order = Saga("order", step(reserve, compensate=release), pivot(ship), contract=GUARDED)
>>> print(audit(order, ["start", "done(reserve)", "compensated(reserve)"]))
order: entry 3 of 3 does not follow the machine
  compensated(reserve): that attempt is already decided
  in running(reserve.done ship.started)
  allowed there: done(ship), rejected(ship), transient(ship), unknown(ship), deadline, cancel
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from saga_fsm.compiler import compile_saga
from saga_fsm.definition import Saga
from saga_fsm.machine import Machine, State
from saga_fsm.path import Path, PathMove
from saga_fsm.ports import Entry


__all__ = ["Audit", "audit"]

SCHEMA = 1


@attrs.frozen
class Audit:
    """
    Whether what was recorded follows the machine.

    Args:
        saga: its name.
        fingerprint: of the machine.
        entries: how many entries there are; notes, and what the machine does not see, count too.
        position: of the first entry that does not follow, from 1; None if all do.
        entry: its text.
        reason: why it does not.
        state: the machine's state before it, or after the last entry if all follow.
        allowed: the events that the machine has a move for in that state.
    """

    saga: str
    fingerprint: str
    entries: int
    position: int | None
    entry: str
    reason: str
    state: str
    allowed: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every entry follows the machine."""
        return self.position is None

    def __str__(self) -> str:
        allowed = ", ".join(self.allowed) or "nothing: the run is over"
        if self.position is None:
            return "\n".join(
                [
                    f"{self.saga}: all {self.entries} entries follow the machine",
                    f"  now {self.state}",
                    f"  allowed there: {allowed}",
                ]
            )
        return "\n".join(
            [
                f"{self.saga}: entry {self.position} of {self.entries} does not follow the machine",
                f"  {self.entry}: {self.reason}",
                f"  in {self.state}",
                f"  allowed there: {allowed}",
            ]
        )

    def to_json(self) -> str:
        """The same as one JSON object with a schema number."""
        return json.dumps({"schema": SCHEMA, "ok": self.ok, **attrs.asdict(self)})


def audit(
    saga: Saga[Any, Any, Any] | Machine, recorded: Path | str | Iterable[Entry | PathMove | str]
) -> Audit:
    """
    Replay what was recorded, up to the first entry that the machine does not allow.

    Args:
        saga: the definition, or its machine.
        recorded: a path, its text, or entries: ``outcome.path``, ``journal.read(run_id)``, a list
            of events. Notes of a journal ("#...") and moves of the world ("~...") are passed over.

    Raises:
        ValueError: a text that is no path.
        TypeError: an entry that is none.
    """
    machine = saga if isinstance(saga, Machine) else compile_saga(saga)
    path = Path.decode(recorded) if isinstance(recorded, str) else recorded
    entries = list(_entries(path))
    state = machine.initial
    if isinstance(path, Path) and (other := _of_another(machine, path)):
        return _audited(machine, entries, 1, path.encode().split(" ", 1)[0], other, state)
    for position, (text, recorded_state) in enumerate(entries, 1):
        if text[:1] not in {"#", "~"}:
            if not machine.knows(text):
                reason = "the machine has no such event"
                return _audited(machine, entries, position, text, reason, state)
            move = machine.step(state, text)
            if move.ignored is not None:
                return _audited(machine, entries, position, text, move.ignored, state)
            before, state = state, move.state
            if recorded_state and recorded_state != str(state):
                reason = f"recorded as {recorded_state}, and it leads to {state}"
                return _audited(machine, entries, position, text, reason, before)
    return _audited(machine, entries, None, "", "", state)


def _entries(recorded: Path | Iterable[Entry | PathMove | str]) -> Iterator[tuple[str, str]]:
    """Each entry's text, and the state that was recorded after it, if one was."""
    for entry in recorded.moves if isinstance(recorded, Path) else recorded:
        if isinstance(entry, PathMove):
            yield entry.token, entry.state
        elif isinstance(entry, Entry):
            yield entry.event, ""
        elif isinstance(entry, str):
            yield entry, ""
        else:
            raise TypeError(
                f"{entry!r} is no entry\n"
                "  Give a path, its text, journal.read(run_id), or a list of events."
            )


def _of_another(machine: Machine, path: Path) -> str:
    if path.saga != machine.name:
        return f"this is a path of '{path.saga}', not of '{machine.name}'"
    if not machine.fingerprint.startswith(path.fingerprint):
        return (
            f"this is a path of another version, {path.fingerprint[:8]}; "
            f"this one's fingerprint is {machine.fingerprint[:8]}"
        )
    return ""


def _audited(  # noqa: PLR0913, PLR0917 - one call a way to end
    machine: Machine,
    entries: list[tuple[str, str]],
    position: int | None,
    entry: str,
    reason: str,
    state: State,
) -> Audit:
    allowed = [event for event in machine.events if machine.step(state, event).ignored is None]
    return Audit(
        saga=machine.name,
        fingerprint=machine.fingerprint,
        entries=len(entries),
        position=position,
        entry=entry,
        reason=reason,
        state=str(state),
        allowed=tuple(map(str, allowed)),
    )
