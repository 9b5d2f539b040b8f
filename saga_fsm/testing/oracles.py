"""What is wrong with how a run ended: by its effects, by its journal, and by its user's word."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from saga_fsm.definition import Kind
from saga_fsm.definition.layout import Layout
from saga_fsm.machine import Status
from saga_fsm.runner.facts import ENDS
from saga_fsm.runner.outcome import Outcome
from saga_fsm.testing.simulation import RUN_ID, Simulation


Consistent: TypeAlias = Callable[[Any, Outcome[Any]], object]


# In the text of an assertion: another one in each run, and the same reason.
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")
# What a call came to: written once, when it is waited for.
_OUTCOMES = frozenset[str]().union(*ENDS.values(), {"exhausted"})
_GAVE_UP = {"stuck", "compensation_failed", "whole_failed", "alarm"}


def oracle_of(world: Any, consistent: Consistent | None) -> Consistent | None:
    """The oracle that was given, else the world's own ``is_consistent(outcome)``, if it has one."""
    own = getattr(world, "is_consistent", None)
    if consistent is not None or own is None:
        return consistent

    def is_consistent(_: Any, outcome: Outcome[Any]) -> object:
        return own(outcome)

    return is_consistent


def wrong(simulation: Simulation, consistent: Consistent | None) -> str:
    """
    Give the first thing that is wrong with a run at rest, in one sentence; empty when none.

    Args:
        simulation: the run.
        consistent: the user's oracle; default the world's own.
    """
    consistent = oracle_of(simulation.world, consistent)
    return _ADDRESS.sub("0x...", next(_faults(simulation, consistent), ""))


def _faults(simulation: Simulation, consistent: Consistent | None) -> Iterator[str]:
    yield from simulation.mistakes
    outcome = simulation.outcome()
    if not outcome.status.resting:
        yield f"the run did not come to rest: it is {outcome.status.value}"
        return
    yield from _history(simulation)
    yield from _deadlock(simulation, outcome)
    yield from simulation.log.out_of_order
    yield from _effects(simulation, outcome)
    if consistent is not None:
        yield from _told(simulation, outcome, consistent)


def _history(simulation: Simulation) -> Iterator[str]:
    """The journal is a path of the machine, and it leads where the run believes to be (I8)."""
    machine = simulation.stage.machine
    events = [
        entry.event for entry in simulation.journal.read(RUN_ID) if not entry.event.startswith("#")
    ]
    moves = machine.replay(events)
    for event, move in zip(events, moves, strict=True):
        if move.ignored is not None and event.partition("(")[0] in _OUTCOMES:
            yield f"the journal has {event} where the machine does not wait for it"
    if moves and moves[-1].state != simulation.owner.driver.facts.state:
        believed = simulation.owner.driver.facts.state
        yield f"the journal leads to {moves[-1].state}, and the run believes to be in {believed}"


def _deadlock(simulation: Simulation, outcome: Outcome[Any]) -> Iterator[str]:
    """A run is stuck because something gave up; else it is forgotten (I4)."""
    state = simulation.owner.driver.facts.state
    gave_up = any(state[path] in _GAVE_UP for path in simulation.stage.machine.index)
    if outcome.status is Status.STUCK and not gave_up:
        yield f"stuck, and nothing gave up: {state} goes on by itself no more"


def _effects(simulation: Simulation, outcome: Outcome[Any]) -> Iterator[str]:
    """What stands is what the outcome says that stands (I1 to I3)."""
    log, layout = simulation.log, simulation.stage.layout
    state = simulation.owner.driver.facts.state
    yield from _words_broken(simulation)
    for path in log.standing():
        told = any(path == one or path.startswith(f"{one}/") for one in outcome.unresolved)
        if outcome.status is Status.COMPENSATED:
            yield f"compensated, and the effect of {path} was left behind"
        elif state[path] != "done" and not told:
            yield f"{outcome.status.value}, and the effect of {path} was left behind"
    if outcome.status is Status.COMPENSATED:
        for path in dict.fromkeys(_in_doubt(outcome, layout)):
            if not log.asked_about(path):
                yield f"compensated, and {path}, which may have landed, was never undone"
    if outcome.status is Status.COMPLETED:
        for path, placed in layout.steps.items():
            if state[path] == "done" and placed.kind is not Kind.READONLY:
                if log.undone(path):
                    yield f"completed, and {path} was undone"
                elif not log.landed(path):
                    yield f"completed, and {path} never landed"


def _in_doubt(outcome: Outcome[Any], layout: Layout) -> Iterator[str]:
    """
    Steps of which the journal says, at some time, that nobody knows whether they landed.

    A rejection is sure only of a participant that remembers it: else a copy may land later.
    """
    for event in outcome.events:
        kind, _, inside = event.partition("(")
        path = inside.removesuffix(")")
        placed = layout.steps.get(path)
        if placed is not None and placed.kind is Kind.COMPENSATABLE:
            unsure = kind == "rejected" and not placed.contract.sticky
            if kind == "unknown" or unsure:
                yield path


def _words_broken(simulation: Simulation) -> Iterator[str]:
    """A participant does what its contract and its query say."""
    log, layout = simulation.log, simulation.stage.layout
    for path in log.landed_after_undo():
        if layout.steps[path].contract.fenced:
            yield f"{path} landed after its undo, though it is declared fenced"
    for path in log.forgetful:
        if layout.steps[path].contract.sticky:
            yield f"{path} took what it had refused before, though it is declared sticky"
    for path in log.belied:
        yield f"{path} landed after its query had said that it has not, and cannot"


def _told(simulation: Simulation, outcome: Outcome[Any], consistent: Consistent) -> Iterator[str]:
    name = getattr(consistent, "__name__", "consistent")
    try:
        agrees = bool(simulation.value(consistent(simulation.world, outcome)))
    except AssertionError as error:
        yield f"{name} says: {error or 'an assertion fails'}"
        return
    except Exception as error:  # noqa: BLE001 - told with the plan that leads to it
        yield f"{name} raised {type(error).__name__}: {error}"
        return
    if not agrees:
        yield f"{name} says that the world does not agree with '{outcome.status.value}'"
