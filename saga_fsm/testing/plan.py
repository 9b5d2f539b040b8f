"""
Fault plans: what goes wrong where, as a value with a short text that replays.

``charge@1=lost_reply reserve@0=reject`` loses the reply of the second call of ``charge`` and lets
the first of ``reserve`` be rejected. SITE is a step's path (``charge``, ``trip/hotel``,
``line[2]/reserve``), with ``/compensation``, ``/query``, ``/answer`` or ``/operator`` behind it for
the other things that are asked about a step; a block's path for its chooser; ``journal`` for an
append, ``recover`` for a recovery. A step that is itself called so has a ``~`` before its name:
``trip/~journal``. N counts the calls of that site in the run from 0, ``*`` is
each of them. What happens while a call is in flight (``cancel``, ``clock_jump``) and how it is
answered may both be said of one call: ``ship@0=cancel ship@0=reject``.

>>> plan = FaultPlan.parse("charge@1=lost_reply  reserve@0=reject")
>>> str(plan), len(plan)
('charge@1=lost_reply reserve@0=reject', 2)
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, unquote

import attrs


__all__ = ["AROUND", "EACH", "OPERATOR", "Fault", "FaultPlan", "Injection", "asked_at", "site_at"]

#: The number of an injection that holds for each call of its site.
EACH = -1
_READABLE = "/[]"
_FUNCTIONS: Final = ("compensation", "query", "answer", "operator")
_OWN: Final = ("journal", "recover")


def site_at(path: str, function: str = "") -> str:
    """
    Give the site of a step's action, or of another of its functions, by the step's path.

    >>> site_at("trip/hotel", "query"), site_at("journal"), site_at("query", "query")
    ('trip/hotel/query', '~journal', '~query/query')
    """
    around, slash, name = path.rpartition("/")
    # No name may have a ~.
    plain = name not in (*_OWN, *_FUNCTIONS)
    site = path if plain else f"{around}{slash}~{name}"
    return f"{site}/{function}" if function else site


def asked_at(site: str) -> tuple[str, str]:
    """
    Give the path of the step, and which of its functions; no path for an append or a recovery.

    >>> asked_at("trip/hotel/query"), asked_at("~journal"), asked_at("journal")
    (('trip/hotel', 'query'), ('journal', ''), ('', 'journal'))
    """
    if site in _OWN:
        return "", site
    around, slash, name = site.rpartition("/")
    path, function = (around, name) if slash and name in _FUNCTIONS else (site, "")
    return path.replace("~", ""), function


class Fault(enum.StrEnum):
    """What can go wrong at a call; the words of plans, checker paths and drawings."""

    REJECT = "reject"  # refused for sure, nothing lands; a chooser raises
    TRANSIENT = "transient"  # fails for now, this attempt did not land
    LOST_REQUEST = "lost_request"  # never lands, no answer; an append is not written
    LOST_REPLY = "lost_reply"  # lands, no answer; an append is written
    LATE = "late"  # no answer; lands when all is over
    DUPLICATE = "duplicate"  # lands, and lands again at once and when all is over
    SLOW = "slow"  # lands, answers after whatever else is in flight or due
    BAD_VALUE = "bad_value"  # lands, answers None
    BASE_EXCEPTION = "base_exception"  # lands, then raises what interrupts the run
    CANCEL = "cancel"  # the user cancels while it is in flight
    CRASH_BEFORE = "crash_before"  # the orchestrator dies before the call is made
    CRASH_AFTER = "crash_after"  # it dies when the call has landed
    SECOND_OWNER = "second_owner"  # another takes over; the first one's call lands at the end
    CLOCK_JUMP = "clock_jump"  # a year passes while it is in flight
    # An operator's honest word about a step on which a run is stuck.
    RETRY = "retry"
    COMPENSATED = "compensated"
    DONE = "done"
    NOT_LANDED = "not_landed"


#: An operator's honest words.
OPERATOR: Final = (Fault.RETRY, Fault.COMPENSATED, Fault.DONE, Fault.NOT_LANDED)

#: What happens while a call is in flight, however that is answered: both may be injected at once.
AROUND: Final = (Fault.CANCEL, Fault.CLOCK_JUMP)


@attrs.frozen(order=True, cache_hash=True)
class Injection:
    """One fault at one call: ``site@number=fault``; the number ``EACH`` means each call."""

    site: str = attrs.field(validator=attrs.validators.min_len(1))
    number: int
    fault: Fault = attrs.field(converter=Fault)

    @classmethod
    def parse(cls, text: str) -> Injection:
        """
        Read ``site@number=fault``.

        Raises:
            ValueError: it does not read so, or there is no such fault.
        """
        place, _, word = text.rpartition("=")
        site, at, number = place.rpartition("@")
        if not (site and at and (number == "*" or number.isdecimal())):
            raise ValueError(
                f"{text!r} is no injection: it should read 'SITE@N=FAULT', as in 'charge@0=reject'"
                "\n  N counts the calls of the site from 0, '*' is each of them."
            )
        if word not in set(Fault):
            known = ", ".join(Fault)
            raise ValueError(f"{word!r} is no fault\n  Known are: {known}.")
        return cls(unquote(site), EACH if number == "*" else int(number), Fault(word))

    def __str__(self) -> str:
        number = "*" if self.number == EACH else self.number
        return f"{quote(self.site, safe=_READABLE)}@{number}={self.fault}"


@attrs.frozen
class FaultPlan:
    """Injections in the order in which they were thought of; equal texts are equal plans."""

    injections: tuple[Injection, ...] = attrs.field(default=(), converter=tuple[Injection, ...])

    @classmethod
    def parse(cls, text: str) -> FaultPlan:
        """
        Read injections separated by blanks; an empty text is the plan without a fault.

        Raises:
            ValueError: one of them does not read as an injection.
        """
        return cls(tuple(Injection.parse(word) for word in text.split()))

    def and_then(self, injection: Injection) -> FaultPlan:
        """Give the plan with one more."""
        return FaultPlan((*self.injections, injection))

    def without(self, injection: Injection) -> FaultPlan:
        """Give the plan with one less."""
        return FaultPlan(tuple(one for one in self.injections if one != injection))

    def at(self, site: str, number: int) -> tuple[Injection, ...]:
        """
        Find what is injected at a call: at most one thing that happens meanwhile, and one answer.

        What names the call's number goes before what names each; the first of two goes before the
        second.
        """
        here = [one for one in self.injections if one.site == site]
        if not here:
            return ()
        chosen: dict[bool, Injection] = {}
        for wanted in (number, EACH):
            for one in here:
                if one.number == wanted:
                    chosen.setdefault(one.fault not in AROUND, one)
        return tuple(chosen[part] for part in sorted(chosen))

    def __iter__(self) -> Iterator[Injection]:
        return iter(self.injections)

    def __len__(self) -> int:
        return len(self.injections)

    def __str__(self) -> str:
        return " ".join(map(str, self.injections))
