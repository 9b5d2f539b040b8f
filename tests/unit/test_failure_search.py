"""The searches of the failure tests: worlds that are reset, deeper plans, what is left out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import attrs
import pytest

from saga_fsm import GUARDED, Contract, Rejected, Retry, Saga, Status, pivot, step
from saga_fsm.testing import explore_faults, replay
from saga_fsm.testing.case import Case
from saga_fsm.testing.search import Search
from saga_fsm.testing.simulation import Simulation
from tests.participants import C, P, R, Shop, act, undo


PLAIN = Saga("plain", C("a"), C("b"), P("p"), R("r"), contract=GUARDED)


# ---------------------------------------------------------------------- worlds


class Reusable(Shop):
    """One world for all plans."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        super().__init__()

    def reset(self) -> None:
        """Begin anew."""
        super().__init__()


@pytest.mark.heavy
def test_a_world_that_resets_itself_is_made_once():
    """Its ``reset`` comes before each further plan, so no plan sees another's effects."""
    Reusable.made = 0
    result = explore_faults(PLAIN, world=Reusable, max_faults=0)
    assert result.ok, result
    assert Reusable.made == 1
    assert result.runs > 100
    assert explore_faults(PLAIN, world=Reusable(), max_faults=0).runs == result.runs


def test_a_world_without_reset_that_is_no_factory_is_refused():
    """One world for all plans would carry the effects of one plan into the next."""
    with pytest.raises(TypeError, match="neither a factory nor has reset"):
        explore_faults(PLAIN, world=Shop())


def test_a_world_may_be_a_context_manager():
    """It is entered for its plan, and left before the next one's is."""
    log: list[str] = []

    @contextmanager
    def shop() -> Iterator[Shop]:
        log.append("in")
        yield Shop()
        log.append("out")

    result = explore_faults(PLAIN, world=shop, max_faults=0, max_runs=20)
    assert log == ["in", "out"] * (len(log) // 2)
    assert len(log) >= 2 * result.runs


def test_worlds_oracles_and_resets_may_be_async():
    """All of them are awaited on the loop that the async steps run on."""
    loops: set[Any] = set()

    class Later(Shop):
        async def is_consistent(self, outcome: Any) -> bool:
            loops.add(asyncio.get_running_loop())
            return super().is_consistent(outcome)

        async def reset(self) -> None:
            loops.add(asyncio.get_running_loop())
            super().__init__()

    @asynccontextmanager
    async def shop() -> Any:
        loops.add(asyncio.get_running_loop())
        yield Later()

    result = explore_faults(PLAIN, world=shop, max_faults=0, max_runs=40)
    assert result.ok, result
    assert len(loops) == 1

    class Never(Shop):
        async def is_consistent(self, outcome: Any) -> bool:
            return outcome.status is Status.COMPLETED

    assert not explore_faults(PLAIN, world=Never, max_faults=0).ok


# ---------------------------------------------------------------------- searches


class BreaksAtTheFifth(Shop):
    """Pays back once more at the fifth refund that it hears of in one run."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = 0

    def undo(self, ctx: Any) -> None:
        """As every undo, but for the fifth."""
        self.heard += 1
        super().undo(ctx)
        if self.heard == 5:
            self.count(ctx.step, -1)


def test_luck_goes_deeper_than_every_plan():
    """A bug that takes more faults than are tried together is found by the plans after them."""
    saga = Saga("deep", C("a", compensation_retry=Retry(attempts=9)), P("p"), contract=GUARDED)
    case = Case.of(saga, BreaksAtTheFifth, None, None, None)
    search = Search(case, 0)
    search.deeper(500, 0)
    case.close()
    assert search.failures
    shortest = min(search.failures.values(), key=lambda one: len(one.plan))
    assert len(shortest.plan) <= 3, str(shortest)
    assert replay(saga, str(shortest.plan), world=BreaksAtTheFifth).reason == shortest.reason


def test_the_same_seed_draws_the_same_plans():
    """And another seed draws others."""

    def drawn(seed: int) -> list[str]:
        case = Case.of(PLAIN, Shop, None, None, None)
        search = Search(case, 0)
        search.deeper(30, seed)
        case.close()
        return sorted(" ".join(sorted(map(str, plan))) for plan in search._done)

    assert drawn(3) == drawn(3) != drawn(4)


def test_what_is_drawn_replays():
    """A drawn plan is a plan like any: told again, the run is the same."""
    case = Case.of(PLAIN, Shop, None, None, None)
    for number in range(60):
        ran = case.draw(random.Random(number), 0.3, 8).replay
        again = case.run(ran.plan).replay
        assert again.outcome.events == ran.outcome.events, str(ran.plan)
        assert not again.unfired, str(ran.plan)
    case.close()


@attrs.define
class Counted(Shop):
    """A world that cannot be compared: it holds what nobody can look into."""

    secret: Any = attrs.field(factory=lambda: (n for n in range(3)))

    def __attrs_pre_init__(self) -> None:
        super().__init__()


@pytest.mark.heavy
def test_plans_that_go_on_as_others_are_left_out_of_every_plan():
    """Only with a world that can be compared; what is found stays the same."""
    compared = explore_faults(PLAIN, world=Shop, deeper=0)
    assert compared.compared
    assert compared.pruned > 100
    whole = explore_faults(PLAIN, world=Counted, deeper=0)
    assert (whole.compared, whole.pruned) == (False, 0)
    assert whole.runs > compared.runs + 100
    assert whole.ok
    assert compared.ok


@attrs.define
class Parity(Shop):
    """Breaks its word when it has been called so often that only two faults come to it."""

    calls: int = 0

    def __attrs_pre_init__(self) -> None:
        super().__init__()

    def act(self, ctx: Any) -> str:
        """As every action; the sixth call of all loses its record."""
        self.calls += 1
        answer = super().act(ctx)
        if self.calls == 6:
            self.stands[ctx.step] = 2
        return answer


@pytest.mark.heavy
def test_what_only_the_world_knows_is_not_pruned_away():
    """A counter in the world tells two moments apart that the effect log takes for one."""
    found = explore_faults(PLAIN, world=Parity, deeper=0, max_faults=2)
    assert found.failures
    assert all(len(failure.plan) <= 2 for failure in found.failures)


def test_a_search_in_which_nothing_can_go_wrong_fails():
    """A green test must have tested something."""
    result = explore_faults(PLAIN, world=Shop, max_runs=1)
    assert result.vacuous
    assert not result.failures
    with pytest.raises(AssertionError, match="nothing was tested"):
        result.assert_ok()


# ---------------------------------------------------------------------- what is told


def typed(ctx: Any) -> str:
    """An action whose answer has a type."""
    return act(ctx)


def test_a_bad_value_is_no_answer():
    """None where a text was promised is as if nothing had been said: unknown, and undone."""
    saga = Saga("typed", step(typed, compensate=undo), P("p"), contract=GUARDED)
    done = replay(saga, "typed@0=bad_value", world=Shop)
    assert not done.unfired
    assert done.outcome.status is Status.COMPENSATED
    assert "unknown(typed)" in done.outcome.events
    assert done.consistent, done.reason
    assert explore_faults(saga, world=Shop, max_faults=0).fired["bad_value"] > 0


@pytest.mark.heavy
def test_a_participant_that_forgets_what_it_refused_is_told():
    """A second call under a key that was refused must be refused again, where that is promised."""

    class Forgets(Shop):
        def act(self, ctx: Any) -> str:
            """Refuse the first time only."""
            if ctx.step == "b" and not self.stands.get("asked"):
                self.stands["asked"] = 1
                raise Rejected("not now")
            return super().act(ctx)

        def is_consistent(self, outcome: Any) -> bool:
            return True

    failures = explore_faults(PLAIN, world=Forgets, max_faults=0).failures
    reasons = {failure.reason: str(failure.plan) for failure in failures}
    told = "b took what it had refused before, though it is declared sticky"
    assert reasons[told].startswith("b@0=")
    assert len(reasons[told].split()) == 1


def test_promises_that_nothing_put_to_the_test_are_named():
    """Nobody refuses anything here, so that no rejection is ever remembered."""
    result = explore_faults(PLAIN, world=Shop, max_faults=0)
    assert result.untested == dict.fromkeys(("a", "b", "p", "r"), ("sticky",)) | {
        "p": ("sticky", "fenced"),
        "r": ("sticky", "fenced"),
    }
    assert "no call put to the test: a sticky" in str(result)


def test_a_call_that_the_machine_does_not_ask_for_is_told(monkeypatch: pytest.MonkeyPatch):
    """A driver that undoes what is undone already is no harmless one."""
    make = Simulation.make

    def twice(self: Simulation, invoke: Any) -> None:
        make(self, invoke)
        if invoke.leg[0] == "compensate":
            leg = self.owner.driver.facts.owe("compensate", invoke.leg[1], 0.0)
            self.owner.calls.append(attrs.evolve(invoke, leg=leg))

    monkeypatch.setattr(Simulation, "make", twice)
    done = replay(PLAIN, "p@0=reject", world=Shop)
    assert done.reason == "b/compensation is called, and the machine does not ask for it"


@pytest.mark.parametrize(
    ("contract", "undone"),
    [(GUARDED, False), (Contract(idempotent=True, fenced=True), True)],
)
def test_what_was_refused_for_sure_is_not_undone(contract: Contract, undone: Any):
    """Only a sticky participant's rejection is sure: else a copy of the call may land later."""
    saga = Saga("sure", C("a"), pivot(act, name="p"), contract=contract)
    done = replay(saga, "a@0=reject", world=Shop)
    assert ("compensated(a)" in done.outcome.events) is undone
    assert done.consistent, done.reason
