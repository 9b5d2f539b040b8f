"""Why an event without a row is ignored (machine.md 4): the listed reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saga_fsm.machine import _alphabet as a


if TYPE_CHECKING:
    from saga_fsm.machine._interpreter import Machine
    from saga_fsm.machine._table import State

NOT_STARTED = "not started"
DECIDED = "that attempt is already decided"
NO_WAIT = "no wait is pending and nothing is stuck here"
CHOSEN = "already chosen, or not asked"
STARTED = "already started"
ENDED = "already turning back or ended"
PAST_PIVOT = "past the pivot"
ACCOUNTED = "late: the effect is accounted for"
NOT_OWED = "this is not owed"

_FIXED = {
    "retry": NO_WAIT,
    "exhausted": NO_WAIT,
    "chose": CHOSEN,
    "items": CHOSEN,
    "chooser_failed": CHOSEN,
    "start": STARTED,
    "late_done": ACCOUNTED,
    "resolve": NOT_OWED,
}


def reason(machine: Machine, state: State | None, event: str, local: int | None = None) -> str:
    """The reason for one event in a state, or in one local state of its automaton."""
    rows = machine._index.of(event)  # noqa: SLF001 - one room
    v = rows[0].automaton
    kind = rows[0].event.kind  # type: ignore[union-attr]
    code = local if state is None else state.codes[v]
    fixed = _FIXED.get(kind)
    if fixed is not None:
        return fixed
    if kind in {"deadline", "cancel"}:
        return _refusal(machine, state, v, code)
    return NOT_STARTED if code == a.PENDING else DECIDED


def _refusal(machine: Machine, state: State | None, v: int, code: int | None) -> str:
    if code == a.STOP_REFUSED:
        return PAST_PIVOT
    if state is not None:
        scope = state.codes[machine.index[machine.automata[v].scope or "@saga"]]
        if scope == a.SCOPE_PENDING:
            return NOT_STARTED
        if scope == a.SCOPE_COMMITTED:
            return PAST_PIVOT
    return ENDED
