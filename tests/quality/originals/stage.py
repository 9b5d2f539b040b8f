"""
The stage on which the originals are tried: every combination of calls that go wrong, fewest first.

A call is logged and counted by ``tests.acceptance.effects.Effects``; ours and theirs meet the same
faults on the same world. What refutes is the shortest run: fewest faults, then fewest calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any, TypeAlias
from uuid import uuid4

import attrs

from saga_fsm import Saga, compile_saga, run
from saga_fsm.checker._search import search
from saga_fsm.definition.layout import lay_out
from saga_fsm.machine import Machine, Row
from saga_fsm.product import network_of
from tests.acceptance.effects import Effects, FastClock
from tests.quality.originals.orchestration import (
    OrderProcessingSaga,
    SagaOrchestrator,
    SagaStep,
)
from tests.quality.tampering import Change, changed


#: Calls and what goes wrong with them: ``(("P", "reject"), ("o", "lost_request"))``.
Plan: TypeAlias = tuple[tuple[str, str], ...]


@attrs.frozen
class Played:
    """One run: its calls in order, and the steps whose effect is not what was claimed."""

    calls: tuple[str, ...]
    wrong: tuple[str, ...] = ()


@attrs.frozen
class Trial:
    """Every plan that was played, and those that refute, shortest first."""

    plans: int
    refuting: tuple[tuple[Plan, Played], ...]

    @property
    def shortest(self) -> tuple[Plan, tuple[str, ...], tuple[str, ...]]:
        """The faults, the calls and the lies of the shortest run that refutes."""
        plan, played = self.refuting[0]
        return plan, played.calls, played.wrong


def plans(sites: Mapping[str, Sequence[str]], faults: int) -> Iterator[Plan]:
    """Every combination of at most so many faults, at most one at a site, fewest first."""
    for count in range(faults + 1):
        for chosen in combinations(sites, count):
            for kinds in product(*(sites[site] for site in chosen)):
                yield tuple(zip(chosen, kinds, strict=True))


def try_all(play: Callable[[Plan], Played], every: Iterable[Plan]) -> Trial:
    """Play every plan."""
    seen = [(plan, play(plan)) for plan in every]
    refuting = [pair for pair in seen if pair[1].wrong]
    refuting.sort(key=lambda pair: (len(pair[0]), len(pair[1].calls)))
    return Trial(len(seen), tuple(refuting))


def world(plan: Plan) -> Effects:
    """A guarded world in which this goes wrong."""
    effects = Effects()
    for site, fault in plan:
        effects.on(site, fault)
    return effects


# ---------------------------------------------------------------------- theirs


@attrs.frozen
class Request:
    """What a participant sees of a call. The originals pass no key, so each call is another."""

    step: str
    key: str = attrs.field(factory=lambda: uuid4().hex)
    action_key: str = ""


@attrs.define(eq=False)
class Recorded(SagaStep):
    """A step of the original that acts on a world, and does nothing else than it did."""

    inner: SagaStep
    letter: str
    effects: Effects

    @property
    def name(self) -> str:
        """Its own name."""
        return self.inner.name

    def execute(self, context: Any) -> dict[str, Any]:
        """Act, and answer what the original answers."""
        request = Request(self.letter)
        self.effects.act(request)
        return {**self.inner.execute(context), "request": request.key}

    def compensate(self, context: Any, step_result: dict[str, Any]) -> None:
        """Undo that request."""
        self.effects.undo(Request(self.letter, action_key=step_result["request"]), step_result)
        self.inner.compensate(context, step_result)


def conducted(kind: type[OrderProcessingSaga], plan: Plan) -> Played:
    """Let the original's orchestrator conduct its order; hold it to what it says of the run."""
    effects, saga, orchestrator = world(plan), kind(), SagaOrchestrator()
    pairs = zip(saga._steps, "OPIS", strict=True)
    saga._steps = [Recorded(inner, letter, effects) for inner, letter in pairs]
    orchestrator._saga_factories["order"] = lambda: saga
    saga_id = orchestrator.start_saga("order", uuid4(), uuid4(), [], 42.0)
    target = 1 if orchestrator._saga_store[saga_id].is_completed else 0
    wrong = tuple(letter for letter in "OPIS" if effects.net(letter) != target)
    return Played(tuple(effects.calls), wrong)


# ---------------------------------------------------------------------- ours


def ours(story: Saga[Any, Any], steps: str) -> Callable[[Plan], Played]:
    """Play our saga of the same story."""

    def play(plan: Plan) -> Played:
        effects = world(plan)
        outcome = run(story, services=effects, clock=FastClock(), run_id="r1")
        return Played(tuple(effects.calls), tuple(effects.wrong(outcome, steps)))

    return play


# ---------------------------------------------------------------------- the original as a machine


def writes(event: str, instead: dict[int, int]) -> Change:
    """Let the rows of one kind of event write other local states of their step."""

    def change(row: Row, at: dict[str, int]) -> Row:
        kind, _, inside = row.name.partition("(")
        if kind != event:
            return row
        v = at[inside[:-1]]
        return changed(row, update=[(u, instead.get(x, x) if u == v else x) for u, x in row.update])

    return change


def breaches(story: Saga[Any, Any], change: Change) -> dict[tuple[str, str], list[str]]:
    """Let the checker search our table with the original's rule in it: rule and step to run."""
    machine, layout = compile_saga(story), lay_out(story)
    rows = [change(row, machine.index) for row in machine.rows]
    assert rows != list(machine.rows), "the original's rule is not in the table"
    faulty = Machine(machine.name, machine.automata, [row for row in rows if row])
    found = search(network_of(layout, faulty), limit=50_000).breaches
    return {(one.rule, one.step): [move.token for move in one.path.moves] for one in found}
