"""What goes wrong with a call: at the boundary of the step's function, or on the wire behind it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

from saga_fsm.definition import Rejected, Transient
from saga_fsm.runner.commands import Invoke
from saga_fsm.testing.effects import What
from saga_fsm.testing.plan import AROUND, Fault, asked_at


if TYPE_CHECKING:
    from saga_fsm.testing.simulation import Simulation

__all__ = ["InterruptedAgainError", "deliver", "inflict", "spoils"]

_NOT_MADE: Final = {Fault.REJECT, Fault.TRANSIENT, Fault.LOST_REQUEST, Fault.LATE}
_NOT_DONE: Final = RuntimeError("what was held back came, and nothing was done")
_CARRIED: Final = {"call", "compensate", "query"}


class InterruptedAgainError(BaseException):
    """What interrupts a run; the second one stops its owner at once, and another recovers."""


def inflict(simulation: Simulation, invoke: Invoke, site: str, faults: Sequence[Fault]) -> None:
    """Make a call, or do not, with what goes wrong: at most one thing meanwhile, and one answer."""
    for fault in faults:
        if fault is Fault.CANCEL:
            simulation.hear("cancel")
        elif fault is Fault.CLOCK_JUMP:
            simulation.jump()
    answer = next((fault for fault in faults if fault not in AROUND), None)
    if answer is not None and _carries(simulation, invoke, site, answer):
        _on_the_wire(simulation, invoke, site, answer)
    elif answer in _NOT_MADE:
        _not_made(simulation, invoke, answer)
    elif answer is Fault.CRASH_BEFORE:
        simulation.restart()
    elif answer is Fault.SECOND_OWNER:
        owner = simulation.owner
        simulation.on_the_way.extend((owner, one) for one in (invoke, *owner.calls))
        simulation.restart()
    else:
        _made(simulation, invoke, answer, injected=bool(faults))


def _made(simulation: Simulation, invoke: Invoke, fault: Fault | None, *, injected: bool) -> None:
    """The call reaches the participant; what goes wrong then."""
    participants = simulation.participants
    if fault is Fault.SLOW:
        simulation.answer_later(invoke, participants.begun(invoke))
        return
    value, error = participants.perform(invoke, injected=injected)
    if fault is Fault.CRASH_AFTER:
        simulation.restart()
        return
    if fault is Fault.DUPLICATE:
        participants.perform(invoke, injected=True)
        simulation.on_the_way.append((simulation.owner, invoke))
    elif fault is Fault.LOST_REPLY:
        error = TimeoutError("injected: the reply was lost")
    elif fault is Fault.BASE_EXCEPTION:
        error = InterruptedAgainError("injected")
    elif fault is Fault.BAD_VALUE and error is None:
        value = None
        participants.spoil(invoke)
        simulation.log.doubt(invoke.leg[1])
    simulation.settle(invoke, value, error)


def _not_made(simulation: Simulation, invoke: Invoke, fault: Fault | None) -> None:
    """Nothing reaches the participant now."""
    error: BaseException = TimeoutError("injected: no answer")
    if fault is Fault.LATE:
        simulation.on_the_way.append((simulation.owner, invoke))
    elif fault is Fault.TRANSIENT:
        error = Transient("injected: fails for now")
    elif fault is Fault.REJECT:
        error = Rejected("injected: refused")
        simulation.participants.refuse(invoke)
    simulation.settle(invoke, None, error)


# ---------------------------------------------------------------------- a world with a wire


def spoils(world: Any, site: str) -> bool:
    """Whether the world's wire can spoil the replies to the calls of a site."""
    wire = getattr(world, "wire", None)
    return wire is not None and bool(wire.carries(site, Fault.BAD_VALUE))


def deliver(simulation: Simulation) -> bool:
    """Let arrive what the wire has held back; whether anything was."""
    wire = getattr(simulation.world, "wire", None)
    held = [] if wire is None else wire.deliver()
    for site, landed in held:
        path, function = asked_at(site)
        what: What = "compensation" if function == "compensation" else "action"
        simulation.log.record(what, path, None if landed else _NOT_DONE)
    return bool(held)


def _carries(simulation: Simulation, invoke: Invoke, site: str, fault: Fault) -> bool:
    wire = getattr(simulation.world, "wire", None)
    return wire is not None and invoke.leg[0] in _CARRIED and bool(wire.carries(site, fault))


def _on_the_wire(simulation: Simulation, invoke: Invoke, site: str, fault: Fault) -> None:
    """The function is called, and its own requests suffer; what it makes of that is its answer."""
    wire: Any = simulation.world.wire
    suffering: AbstractContextManager[Any] = wire.suffer(
        fault, site=site, reads=invoke.leg[0] == "query"
    )
    with suffering as exchanges:
        value, error = simulation.participants.perform(
            invoke, injected=True, landed=lambda: bool(exchanges.landed)
        )
    if fault is Fault.REJECT and error is not None:
        # Whatever the user's code makes of a 409: by the step's own word it is a refusal, or not.
        simulation.participants.refused(invoke, error)
    simulation.settle(invoke, value, error)
