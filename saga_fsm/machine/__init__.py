"""The machine: states, events, effects, rows, and ``Machine.step``, which alone decides."""

from saga_fsm.machine._alphabet import (
    Call,
    CancelTimer,
    Compensate,
    Decide,
    Effect,
    Event,
    Expand,
    Finished,
    Query,
    Refused,
    SetTimer,
    Status,
)
from saga_fsm.machine._interpreter import Machine
from saga_fsm.machine._table import Automaton, Codes, Move, Row, State, Transition


__all__ = [
    "Automaton",
    "Call",
    "CancelTimer",
    "Codes",
    "Compensate",
    "Decide",
    "Effect",
    "Event",
    "Expand",
    "Finished",
    "Machine",
    "Move",
    "Query",
    "Refused",
    "Row",
    "SetTimer",
    "State",
    "Status",
    "Transition",
]
