"""Whether two runs under faults will go on alike: all that decides what follows, as one value."""

from __future__ import annotations

import hashlib
import pickle
from collections import Counter
from typing import Any

from saga_fsm.testing.simulation import RUN_ID, Simulation


__all__ = ["comparable", "sameness"]


def comparable(world: Any) -> bool:
    """Whether a world can be compared: it shows by ``snapshot()`` all that its answers hang on."""
    return callable(getattr(world, "snapshot", None))


def sameness(simulation: Simulation) -> bytes | None:
    """
    Give what two moments must have in common to go on alike; None where that cannot be said.

    That is the machine's state, what the driver knows beside it, what is on its way, what
    participants remember, and the world. Times count from now.
    """
    world = simulation.world
    if not comparable(world):
        return None
    driver, owner = simulation.owner.driver, simulation.owner
    facts, now = driver.facts, simulation.clock.now()
    notes = Counter(
        entry.event for entry in simulation.journal.read(RUN_ID) if entry.event.startswith("#")
    )
    known = (
        facts.state.codes,
        *(facts.results, facts.items, facts.inputs, facts.attempts, facts.spent, facts.after),
        *(facts.pending, sorted(facts.doubted), sorted(facts.unmade), sorted(notes.items())),
        {leg: now - at for leg, at in facts.flight.items()},
        {path: now - at for path, at in facts.since.items()},
        {key: at - now for key, at in owner.timers.items()},
        [invoke.leg for invoke in owner.calls],
        owner.interrupt is None,
        simulation.on_its_way(),
        simulation.participants.memory(),
    )
    try:
        text = pickle.dumps((known, world.snapshot()))
    except Exception:  # noqa: BLE001 - the user's own values, of which some cannot be written
        return None
    return hashlib.blake2b(text, digest_size=16).digest()
