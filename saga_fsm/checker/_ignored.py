"""I10 and R11, of the whole table: nothing vanishes, no answer is believed but an open call's."""

from __future__ import annotations

from collections.abc import Iterator

from saga_fsm.machine import Machine


_CALLED = {"started", "restarted"}
_UNDOING = {"compensating", "whole_compensating"}
# Where the answer to a call can come from; anywhere else it is late, and the driver says so.
_OPEN_CALL = {
    "done": _CALLED,
    "rejected": _CALLED,
    "transient": _CALLED | _UNDOING | {"querying"},
    "unknown": _CALLED | _UNDOING | {"querying"},
    "landed": {"querying"},
    "absent": {"querying"},
    "compensated": _UNDOING,
}


def of_table(machine: Machine) -> Iterator[tuple[str, str, str]]:
    """I10 and R11: each event has a row or a reason, and no answer is heard but of an open call."""
    for (path, local, event), reason in machine.ignored.items():
        if not reason:
            yield "I10", path, f"{event} in {path}.{local} is neither a move nor explained"
    for row in machine.rows:
        if row.event is None or row.event.kind not in _OPEN_CALL:
            continue
        automaton = machine.automata[row.automaton]
        heard = dict(row.guard).get(row.automaton, frozenset(automaton.locals))
        for local in sorted({automaton.local(code) for code in heard} - _OPEN_CALL[row.event.kind]):
            where = f"{automaton.path}.{local}"
            yield "I10", automaton.path, f"{row.event} is believed in {where}: no such call is open"
