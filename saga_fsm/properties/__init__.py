"""
What a saga's author wants to hold, beyond what ``check`` demands of every saga.

A property is a plain value: an operator over predicates on states, given to ``check``. A predicate
is a function of a small read-only view of one state, an atom, or several joined by ``& | ~``.

>>> from saga_fsm import GUARDED, Saga, check, pivot, step
>>> def charge(ctx): ...
>>> def refund(ctx, payment): ...
>>> def ship(ctx): ...
>>> order = Saga("order", step(charge, compensate=refund), pivot(ship), contract=GUARDED)
>>> report = check(order, properties=[
...     never(landed(ship) & undone(charge), name="nothing is sent for free"),
...     leads_to(landed(charge), landed(ship) | ~landed(charge)),
...     eventually(status("completed")),
... ])
>>> for finding in report.findings:
...     if finding.rule.startswith("P:"):
...         print(finding.level, finding.rule)
error P:eventually(completed)
info P:nothing is sent for free
info P:leads_to(charge landed, ship landed | ~charge landed)

**Events.** ``event("done(ship)")`` is true in a state if the move that led there is such an event,
and false again after the next move, whosever it is; ``happened(...)`` stays true. A token may leave
out its end: ``"retry"`` is a retry of any step, ``"resolve(ship)"`` with any word. ``"~crash"``,
``"~lands(ship)"`` are the world's own moves. Each of them adds one bit to every state.

**Runs.** A run rests where nothing can happen any more; there its last state counts for ever. Else
it is fair: each move of a state that it visits again and again is taken again and again. So what
can happen at last does. *Adversarial* commands are left out of that: at every visit the adversary
may take one of them, or let the others have their way, as often as he likes and never, if he
prefers. ``eventually(p, adversarial=["~crash"])`` is then about crashes at the worst moments, for
ever; ``adversarial=["retry", "resolve"]`` about operators who never come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import attrs

from saga_fsm.machine import Status
from saga_fsm.properties._atoms import Anything, At, Begun, Happened, Has, Now, Rests, Stands
from saga_fsm.properties._predicates import Claim, Implies, Not, Predicate, claim
from saga_fsm.properties._view import Named, View, Word


__all__ = [
    "Predicate",
    "Property",
    "View",
    "Word",
    "always",
    "always_possible",
    "at",
    "at_rest",
    "event",
    "eventually",
    "happened",
    "implies",
    "landed",
    "leads_to",
    "never",
    "precedes",
    "predicate",
    "reachable",
    "started",
    "status",
    "termination",
    "undone",
]

at_rest: Final[Predicate] = Rests()
_LIVENESS = frozenset({"eventually", "leads_to"})


@attrs.frozen
class Property:
    """
    Something that is to hold of a saga.

    Args:
        operator: "always", "leads_to" and so on.
        predicates: what it is about, in the order of the operator's arguments.
        name: how a report calls it.
        adversarial: commands that are not obliged to be fair.
    """

    operator: str
    predicates: tuple[Predicate, ...]
    name: str
    adversarial: tuple[str, ...] = ()

    @property
    def liveness(self) -> bool:
        """Whether it is about runs without end, so that fairness matters."""
        return self.operator in _LIVENESS

    def __str__(self) -> str:
        return self.name


def _property(
    operator: str, *claims: Claim, name: str | None, adversarial: Iterable[str] = ()
) -> Property:
    predicates = tuple(claim(one) for one in claims)
    if isinstance(adversarial, str):
        adversarial = (adversarial,)
    unfair = tuple(adversarial)
    said = ", ".join(map(str, predicates))
    called = name or f"{operator}({said}{_against(unfair)})"
    return Property(operator, predicates, called, unfair)


def _against(adversarial: tuple[str, ...]) -> str:
    return f", against {' '.join(adversarial)}" if adversarial else ""


def always(p: Claim, /, *, name: str | None = None) -> Property:
    """``p`` holds in every state."""
    return _property("always", p, name=name)


def never(p: Claim, /, *, name: str | None = None) -> Property:
    """``p`` holds in no state."""
    return _property("never", p, name=name)


def reachable(p: Claim, /, *, name: str | None = None) -> Property:
    """Some run comes to a state with ``p``; the report shows the shortest."""
    return _property("reachable", p, name=name)


def eventually(
    p: Claim, /, *, adversarial: Iterable[str] = (), name: str | None = None
) -> Property:
    """Every run comes to a state with ``p``, once."""
    return _property("eventually", p, name=name, adversarial=adversarial)


def leads_to(
    p: Claim, q: Claim, /, *, adversarial: Iterable[str] = (), name: str | None = None
) -> Property:
    """Whenever ``p`` holds, ``q`` holds then or later."""
    return _property("leads_to", p, q, name=name, adversarial=adversarial)


def precedes(p: Claim, q: Claim, /, *, name: str | None = None) -> Property:
    """Wherever ``q`` holds, ``p`` holds there or has held on the way."""
    return _property("precedes", p, q, name=name)


def always_possible(q: Claim, /, *, name: str | None = None) -> Property:
    """From every state some run comes to a state with ``q`` (AG EF q)."""
    return _property("always_possible", q, name=name)


def termination(*, adversarial: Iterable[str] = (), name: str | None = None) -> Property:
    """
    Whatever has happened, the run comes to rest: completed, compensated or stuck.

    Without adversary this is I4 (no livelock), which ``check`` demands of every saga.
    """
    unfair = (adversarial,) if isinstance(adversarial, str) else tuple(adversarial)
    called = name or f"termination{_against(unfair)}"
    return leads_to(Anything(), at_rest, adversarial=unfair, name=called)


def implies(p: Claim, q: Claim, /) -> Predicate:
    """Where ``p`` holds, so does ``q``; ``always`` says of it if ``p`` never holds."""
    return Implies((Not(claim(p)), claim(q)))


def predicate(function: Callable[[View], bool], /) -> Predicate:
    """Make a predicate of a function, so that it can be joined to another one."""
    return claim(function)


def at(step: Named, /, *local: str) -> Predicate:
    """A step, a nested saga or a block is in one of these local states; a label if chosen."""
    if not local:
        raise ValueError(f"at({step!r}) names no local state\n  Say which, as in at(step, 'done').")
    return At(step, local)


def started(step: Named, /) -> Predicate:
    """It was ever begun, whatever came of it."""
    return Begun(step)


def landed(step: Named, /) -> Predicate:
    """An effect of the step stands at its participant now."""
    return Stands(step)


def undone(step: Named, /) -> Predicate:
    """An effect of the step stood at its participant and was taken back."""
    return Stands(step, undone=True)


def status(*statuses: Status | str) -> Predicate:
    """
    The run is completed, compensated, stuck, running, compensating, or new.

    Raises:
        ValueError: no status has this name.
    """
    return Has(tuple(Status(one) for one in statuses))


def event(step: Named, kind: str = "", /) -> Predicate:
    """The move that led here is such an event: ``event("done(ship)")``, ``event(ship, "done")``."""
    return Now(*_token(step, kind))


def happened(step: Named, kind: str = "", /) -> Predicate:
    """Such an event has happened, at any time: ``happened("done(ship)")``."""
    return Happened(*_token(step, kind))


def _token(step: Named, kind: str) -> tuple[str, Named | None]:
    """What happens, and to which step if that is not said with it."""
    if kind:
        return kind, step
    if isinstance(step, str):
        return step, None
    raise ValueError(f"event({step!r}) names no event\n  Say which, as in event(ship, 'rejected').")
