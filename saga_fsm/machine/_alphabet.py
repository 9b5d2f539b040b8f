"""
The words of the machine: local states, statuses, events and effects.

A local state is a small int, unique over *all* sorts of automata: code 1 is ``started`` for every
step. So a class of states is one set for the whole machine, and "is anything owed?" is one scan of
the composite state.
"""

from __future__ import annotations

import enum
from typing import Final, TypeAlias

import attrs


# A step (machine.md 2).
PENDING: Final = 0
STARTED: Final = 1
RESTARTED: Final = 2
WAITING: Final = 3
QUERYING: Final = 4
QUERY_WAITING: Final = 5
DONE: Final = 6
REJECTED: Final = 7
UNKNOWN: Final = 8
COMPENSATING: Final = 9
COMPENSATION_WAITING: Final = 10
COMPENSATED: Final = 11
COMPENSATION_FAILED: Final = 12
STUCK: Final = 13
ALARM: Final = 14

# A scope: the root saga, a nested saga, an alternative (machine.md 3).
SCOPE_PENDING: Final = 20
SCOPE_RUNNING: Final = 21
SCOPE_COMMITTED: Final = 22
SCOPE_HALTING: Final = 23
SCOPE_INTERRUPTED: Final = 24
SCOPE_HELD: Final = 25
SCOPE_UNDOING: Final = 26
SCOPE_DONE: Final = 27
SCOPE_COMPENSATED: Final = 28
WHOLE_COMPENSATING: Final = 29
WHOLE_WAITING: Final = 30
WHOLE_FAILED: Final = 31

# The deadline and cancel automaton of a scope.
STOP_OPEN: Final = 40
STOP_ASKED: Final = 41
STOP_REFUSED: Final = 42
STOP_HEARD: Final = 43

# A choice, each or alternatives block. Label k of a choice or an each is FIRST_LABEL + k.
BLOCK_PENDING: Final = 50
BLOCK_DONE: Final = 51
DECIDING: Final = 52
CHOOSER_FAILED: Final = 53
CHOICE_STUCK: Final = 54
FIRST_LABEL: Final = 64

LOCAL: Final[dict[int, str]] = {
    PENDING: "pending",
    STARTED: "started",
    RESTARTED: "restarted",
    WAITING: "waiting",
    QUERYING: "querying",
    QUERY_WAITING: "query_waiting",
    DONE: "done",
    REJECTED: "rejected",
    UNKNOWN: "unknown",
    COMPENSATING: "compensating",
    COMPENSATION_WAITING: "compensation_waiting",
    COMPENSATED: "compensated",
    COMPENSATION_FAILED: "compensation_failed",
    STUCK: "stuck",
    ALARM: "alarm",
    SCOPE_PENDING: "pending",
    SCOPE_RUNNING: "running",
    SCOPE_COMMITTED: "committed",
    SCOPE_HALTING: "halting",
    SCOPE_INTERRUPTED: "interrupted",
    SCOPE_HELD: "held",
    SCOPE_UNDOING: "undoing",
    SCOPE_DONE: "done",
    SCOPE_COMPENSATED: "compensated",
    WHOLE_COMPENSATING: "whole_compensating",
    WHOLE_WAITING: "whole_waiting",
    WHOLE_FAILED: "whole_failed",
    STOP_OPEN: "open",
    STOP_ASKED: "asked",
    STOP_REFUSED: "refused",
    STOP_HEARD: "heard",
    BLOCK_PENDING: "pending",
    BLOCK_DONE: "done",
    DECIDING: "deciding",
    CHOOSER_FAILED: "failed",
    CHOICE_STUCK: "stuck",
}

CLEAN: Final = frozenset({PENDING, REJECTED, COMPENSATED, SCOPE_PENDING, SCOPE_COMPENSATED})
FLIGHT: Final = frozenset(
    {
        STARTED,
        RESTARTED,
        WAITING,
        QUERYING,
        QUERY_WAITING,
        STUCK,
        SCOPE_RUNNING,
        SCOPE_COMMITTED,
        SCOPE_HALTING,
        SCOPE_INTERRUPTED,
        DECIDING,
        CHOICE_STUCK,
    }
)
TURNED_BACK: Final = frozenset({SCOPE_HALTING, SCOPE_INTERRUPTED, SCOPE_HELD, SCOPE_UNDOING})
FORWARD: Final = frozenset({SCOPE_RUNNING, SCOPE_COMMITTED})
OWING: Final = frozenset(
    {
        STARTED,
        RESTARTED,
        WAITING,
        QUERYING,
        QUERY_WAITING,
        COMPENSATING,
        COMPENSATION_WAITING,
        WHOLE_COMPENSATING,
        WHOLE_WAITING,
        DECIDING,
    }
)
BROKEN: Final = frozenset({STUCK, ALARM, COMPENSATION_FAILED, WHOLE_FAILED, CHOICE_STUCK})


class Status(enum.Enum):
    """
    What a run is, derived from its state and never stored.

    ``COMPLETED``, ``COMPENSATED`` and ``STUCK`` rest: nothing is in flight. Only an operator's
    event leaves ``STUCK``.
    """

    NEW = "new"
    RUNNING = "running"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    STUCK = "stuck"

    @property
    def resting(self) -> bool:
        """Whether nothing moves until somebody outside acts."""
        return self in _RESTING

    def __eq__(self, other: object) -> bool:
        # As text it is equal as well: False in silence would be believed.
        if not isinstance(other, str):
            return self is other
        if other not in _STATUSES:
            raise ValueError(
                f"no status is called {str(other)!r}\n  There are {', '.join(sorted(_STATUSES))}."
            )
        return str(self.value) == other

    def __hash__(self) -> int:
        return hash(self.value)


_STATUSES: Final = frozenset(str(one.value) for one in Status)
_RESTING: Final = frozenset({Status.COMPLETED, Status.COMPENSATED, Status.STUCK})


class Event(str):
    """
    A stimulus, as its text: ``done(charge)``, ``resolve(charge,done)``, ``start``.

    A plain string of the same text is as good wherever an event is expected.

    >>> event = Event.of("resolve", "charge", "done")
    >>> event, event.kind, event.target, event.argument
    ('resolve(charge,done)', 'resolve', 'charge', 'done')
    """

    __slots__ = ("argument", "kind", "target")

    kind: str
    target: str
    argument: str

    @classmethod
    def of(cls, kind: str, target: str = "", argument: str = "") -> Event:
        """Make an event; ``target`` is a path, empty for the whole run."""
        inside = f"{target},{argument}" if argument else target
        self = cls(f"{kind}({inside})" if inside else kind)
        self.kind, self.target, self.argument = kind, target, argument
        return self

    def __reduce__(self) -> tuple[object, tuple[str, str, str]]:
        """Pickle by parts: a string's own way would lose them."""
        return Event.of, (self.kind, self.target, self.argument)


@attrs.frozen
class Call:
    """Call the action of ``target``."""

    target: str


@attrs.frozen
class Query:
    """Ask whether the action of ``target`` landed, and fence it if not."""

    target: str


@attrs.frozen
class Compensate:
    """Call the compensation of ``target``, a step or a nested saga undone as a whole."""

    target: str


@attrs.frozen
class Decide:
    """Ask the chooser of ``target`` for a label."""

    target: str


@attrs.frozen
class Expand:
    """Ask ``target``, an each, for its items."""

    target: str


@attrs.frozen
class SetTimer:
    """Wait: for the back-off of ``target``, or, for a ``@stop``, until the deadline."""

    target: str


@attrs.frozen
class CancelTimer:
    """The timer of ``target`` is no longer wanted."""

    target: str


@attrs.frozen
class Refused:
    """Cancel or deadline came past the pivot: an answer to the one, an alert for the other."""

    target: str


@attrs.frozen
class Finished:
    """The run rests with this status."""

    status: Status


Effect: TypeAlias = (
    Call | Query | Compensate | Decide | Expand | SetTimer | CancelTimer | Refused | Finished
)
