"""Whether two runs under faults will go on alike: all that decides what follows, as one value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from saga_fsm.testing.simulation import RUN_ID, Simulation
from saga_fsm.testing.worlds._comparing import NotComparableError, frozen


__all__ = ["sameness"]


def sameness(simulation: Simulation, snapshot: Hashable | None) -> Hashable | None:
    """
    Give what two moments must have in common to go on alike; None where that cannot be said.

    That is the machine's state, what the driver knows beside it, what is on its way, what
    participants remember, and the world. Times count from now.

    Args:
        simulation: a run at that moment.
        snapshot: of its world; None when it cannot be compared.
    """
    if snapshot is None:
        return None
    driver, owner = simulation.owner.driver, simulation.owner
    facts, now = driver.facts, simulation.clock.now()
    notes = Counter(
        entry.event for entry in simulation.journal.read(RUN_ID) if entry.event.startswith("#")
    )
    try:
        return snapshot, frozen(
            (
                facts.state.codes,
                *(facts.results, facts.items, facts.inputs, facts.attempts, facts.spent),
                *(facts.after, facts.pending, facts.doubted, facts.unmade, notes),
                {leg: now - at for leg, at in facts.flight.items()},
                {path: now - at for path, at in facts.since.items()},
                {key: at - now for key, at in owner.timers.items()},
                [invoke.leg for invoke in owner.calls],
                owner.interrupt is None,
                simulation.on_its_way(),
                simulation.participants.memory(),
            )
        )
    except NotComparableError:
        return None
