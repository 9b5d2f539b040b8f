"""
What participants, networks and operators may do next (machine.md 6), by the state of one step.

A request is a soup that needs no state: once a step is not pending, a copy of its request may land
at any later time, any number of times, or never. That is loss, delay past the undo, duplicates, a
copy of an earlier attempt and the calls of an owner that has been superseded. A crash leaves the
machine's state and every call that is open unanswered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from saga_fsm.definition import Contract, Kind
from saga_fsm.definition.layout import PlacedStep
from saga_fsm.machine import Event


# What happened at one participant. The bit of four says that its effect stands.
NONE, REFUSED, UNDONE, FENCED, LANDED, TWICE = range(6)
LEDGER = ("none", "refused", "undone", "fenced", "landed", "twice")
STANDS = 4

OPEN = frozenset({"started", "restarted", "querying", "compensating", "whole_compensating"})


class Happening(NamedTuple):
    """
    One row of the environment, enabled if the machine has a row for its event.

    Args:
        token: how a path writes it.
        says: in words.
        event: what the machine is told; None when it does not see it.
        ledger: what the participant's ledger becomes; None for no change.
        up: whether the orchestrator is alive after it; None for no change.
    """

    token: str
    says: str
    event: str | None = None
    ledger: int | None = None
    up: int | None = None


def told(
    kind: str, path: str, says: str, ledger: int | None = None, argument: str = ""
) -> Happening:
    """A row with an event of a step."""
    inside = f"{path},{argument}" if argument else path
    return Happening(f"{kind}({inside})", says, f"{kind}({inside})", ledger)


def of_step(
    placed: PlacedStep, kept: Contract, local: str, ledger: int, *, up: bool
) -> Iterator[Happening]:
    """What may happen to one step, in its local state, with its participant's ledger."""
    if up:
        yield from _answers(placed, kept, local, ledger)
        yield from _waits(placed, ledger)
    if placed.kind is not Kind.READONLY:
        yield from _soup(placed, kept, local, ledger)


def _answers(placed: PlacedStep, kept: Contract, local: str, ledger: int) -> Iterator[Happening]:
    path = placed.path
    called = local in {"started", "restarted"}
    if called and ledger in {NONE, LANDED}:
        yield told("done", path, f"{path} lands and answers", LANDED)
    if called and ledger in {NONE, REFUSED} and placed.kind is not Kind.RETRIABLE:
        after = REFUSED if kept.sticky else NONE
        yield told("rejected", path, f"{path} is rejected", after)
    if called:
        yield told("transient", path, f"{path} fails for now")
    if called or local == "querying":
        yield told("unknown", path, f"{path} does not answer")
    if local == "querying" and ledger == LANDED:
        yield told("landed", path, f"{path}, asked, has landed")
    if local == "querying" and ledger in {NONE, REFUSED}:
        yield told("absent", path, f"{path}, asked, has not landed and never will", REFUSED)
    if local == "compensating":
        yield told("compensated", path, f"{path} is undone", _undone(kept, ledger))
        yield told("unknown", path, f"undoing {path} fails")


def _waits(placed: PlacedStep, ledger: int) -> Iterator[Happening]:
    path = placed.path
    if ledger == LANDED:
        yield told("late_done", path, f"a late answer: {path} has landed")
    yield told("retry", path, f"{path} is tried again")
    yield told("exhausted", path, f"{path} has no attempt left")
    says = f"an operator resolves {path}"
    if ledger == LANDED or placed.kind is Kind.READONLY:
        yield told("resolve", path, f"{says}: done", LANDED, "done")
    if ledger in {NONE, REFUSED, FENCED}:
        yield told("resolve", path, f"{says}: not landed", REFUSED, "not_landed")
    yield told("resolve", path, f"{says}: undone", UNDONE, "compensated")


def _soup(placed: PlacedStep, kept: Contract, local: str, ledger: int) -> Iterator[Happening]:
    path = placed.path
    if ledger == NONE:
        yield Happening(f"~lands({path})", f"a copy of {path} lands", None, LANDED)
        if kept.sticky and placed.kind is not Kind.RETRIABLE:
            yield Happening(f"~refused({path})", f"a copy of {path} is rejected", None, REFUSED)
    if ledger in {LANDED, UNDONE} and not kept.idempotent:
        after = TWICE if ledger == LANDED else LANDED
        yield Happening(f"~lands_again({path})", f"a second copy of {path} lands", None, after)
    if local in {"compensating", "compensation_waiting", "compensation_failed"}:
        after = _undone(kept, ledger)
        if after != ledger:
            says = f"{path} is undone, the answer is lost"
            yield Happening(f"~undone({path})", says, None, after)


def _undone(kept: Contract, ledger: int) -> int:
    if ledger == NONE and kept.fenced:
        return FENCED
    return {LANDED: UNDONE, TWICE: LANDED}.get(ledger, ledger)


def of_whole(path: str, local: str, ledger: int, *, up: bool) -> Iterator[Happening]:
    """
    What may happen to the compensation of a whole: what may happen to a step's undo.

    No operator resolves it: machine.md 6 plays that for steps, and trying again, which leaves the
    same local state, reaches whatever his word would.
    """
    if not local.startswith("whole_"):
        return
    if up:
        if local == "whole_compensating":
            yield told("compensated", path, f"{path} is undone", UNDONE)
            yield told("unknown", path, f"undoing {path} fails")
        yield told("retry", path, f"{path} is tried again")
        yield told("exhausted", path, f"{path} has no attempt left")
    if ledger == NONE:
        says = f"{path} is undone, the answer is lost"
        yield Happening(f"~undone({path})", says, None, UNDONE)


def of_orchestrator(root: str, open_calls: list[str], *, up: bool) -> Iterator[Happening]:
    """Crash anywhere; then each call that was open has had no answer; then the run goes on."""
    if up:
        if root not in {"pending", "done", "compensated"}:
            yield Happening("~crash", "the orchestrator dies, or another takes over", up=0)
        return
    for path in open_calls:
        event = f"unknown({path})"
        yield Happening(event, f"recovery: {path} was open", event)
    if not open_calls:
        yield Happening("~recovered", "the run is taken up again", up=1)


def of_block(event: Event) -> Happening:
    """An event that no participant has a say in: start, cancel, a chooser's answer."""
    words = {
        "start": "the run starts",
        "cancel": "the run is cancelled",
        "deadline": f"the deadline of {event.target} passes",
        "chooser_failed": f"the chooser of {event.target} raises",
        "chose": f"{event.target} chooses {event.argument}",
        "items": f"{event.target} has {event.argument} item{'' if event.argument == '1' else 's'}",
        "retry": f"{event.target} is asked again",
    }
    return Happening(str(event), words.get(event.kind, str(event)), event)
