"""On a world that keeps its word the failure tests find nothing, whatever the saga is made of."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saga_fsm import (
    GUARDED,
    PENDING,
    SKIP,
    Contract,
    Retry,
    Saga,
    alternatives,
    choice,
    each,
    parallel,
    pause,
    pivot,
    readonly,
    retriable,
    step,
)
from saga_fsm.testing import explore_faults, fault_plans, replay
from tests.participants import Shop, act, act_later, ask, undo, undo_later, undo_whole


RUNS = 120
FENCED = Contract(idempotent=True, fenced=True)
QUERIED = Contract(idempotent=True, sticky=True)


@attrs.frozen
class Case:
    """A saga, and who answers its pending steps."""

    saga: Saga[Any, Any, Any]
    answers: dict[Any, Callable[[Any], Any]]


def later(_: Any) -> Any:
    """The answer comes from elsewhere."""
    return PENDING


def look(_: Any) -> str:
    """Nothing that anybody has to undo."""
    return "seen"


class Drawn:
    """Draws blocks; every name once."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.answers: dict[Any, Callable[[Any], Any]] = {}
        self._numbers = itertools.count()

    def name(self, letter: str) -> str:
        """A name that nobody else has."""
        return f"{letter}{next(self._numbers)}"

    def maybe(self, **values: Any) -> dict[str, Any]:
        """Some of these options."""
        return {name: value for name, value in values.items() if self.draw(st.booleans())}

    def retries(self) -> Retry:
        """A few attempts."""
        return Retry(attempts=self.draw(st.integers(2, 3)), wait_initial=0.5)

    def step(self) -> Any:
        """A compensatable step with any options, sync or async."""
        action, compensate = self.draw(st.sampled_from([(act, undo), (act_later, undo_later)]))
        contract = self.draw(st.sampled_from([GUARDED, FENCED, QUERIED, Contract()]))
        options = self.maybe(
            retry=self.retries(),
            timeout=3.0,
            compensation_timeout=3.0,
            compensation_retry=Retry(attempts=2, wait_initial=0.5),
        )
        if not contract.fenced or self.draw(st.booleans()):
            options["query"] = ask
        name = self.name("c")
        return step(action, name=name, compensate=compensate, contract=contract, **options)

    def read(self) -> Any:
        """A look-up."""
        return readonly(look, name=self.name("o"), **self.maybe(retry=self.retries(), timeout=2.0))

    def pending(self) -> Any:
        """A step that somebody answers later, with an effect or without one."""
        if self.draw(st.booleans()):
            one: Any = readonly(later, name=self.name("w"), **self.maybe(timeout=60.0))
            self.answers[one] = look
        else:
            one = step(later, name=self.name("w"), compensate=undo, timeout=60.0)
            self.answers[one] = act
        return one

    def block(self, depth: int) -> Any:
        """Any block; at depth 0 one without blocks in it."""
        flat: list[Callable[[], Any]] = [self.step, self.step, self.read, self.pause]
        deep: list[Callable[[int], Any]] = [
            self.parallel,
            self.choice,
            self.alternatives,
            self.each,
            self.nested,
            self.whole,
            self.given,
        ]
        which = self.draw(st.integers(0, len(flat) - 1 + (len(deep) if depth else 0)))
        return flat[which]() if which < len(flat) else deep[which - len(flat)](depth - 1)

    def pause(self) -> Any:
        """A wait."""
        return pause(5.0, name=self.name("t"))

    def parallel(self, depth: int) -> Any:
        """Two branches."""
        return parallel(self.block(depth), self.block(depth))

    def choice(self, depth: int) -> Any:
        """Either the block or nothing."""
        taken = self.draw(st.booleans())
        return choice(lambda _: taken, yes=self.block(depth), otherwise=SKIP, name=self.name("x"))

    def alternatives(self, depth: int) -> Any:
        """One or the other."""
        return alternatives(self.step(), self.nested(depth), name=self.name("alt"))

    def each(self, depth: int) -> Any:
        """Some copies, in order or not."""
        count = self.draw(st.integers(0, 2))
        return each(
            lambda _: list(range(count)),
            self.block(depth),
            max_items=2,
            concurrent=self.draw(st.booleans()),
            name=self.name("many"),
        )

    def nested(self, depth: int, **options: Any) -> Any:
        """A saga in the saga."""
        return Saga(
            self.name("n"), self.step(), self.block(depth), **self.maybe(deadline=20.0), **options
        )

    def whole(self, depth: int) -> Any:
        """A saga that is undone at one stroke, also after its pivot."""
        pivots = [pivot(act, name=self.name("p"))] if self.draw(st.booleans()) else []
        return Saga(self.name("n"), self.step(), self.block(depth), *pivots, compensate=undo_whole)

    def given(self, depth: int) -> Any:
        """A saga with an input of its own."""
        return self.nested(depth).given(lambda _: "its own")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A saga of any blocks, with a pivot and what must follow it or without."""
    drawn = Drawn(draw)
    blocks = [drawn.block(2) for _ in range(draw(st.integers(1, 2)))]
    if draw(st.booleans()):
        blocks.append(drawn.pending())
    if draw(st.booleans()):
        blocks.append(pivot(act, name="p", **drawn.maybe(retry=drawn.retries(), timeout=3.0)))
        if draw(st.booleans()):
            blocks.append(retriable(act, name="r", **drawn.maybe(retry=drawn.retries())))
    saga = Saga("drawn", *blocks, contract=GUARDED, **drawn.maybe(deadline=30.0))
    return Case(saga, drawn.answers)


OFTEN = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@OFTEN
@given(cases())
def test_the_tour_of_an_honest_world_finds_nothing(case: Case) -> None:
    """Each fault at each place that the tour comes to leaves the world consistent."""
    found = explore_faults(case.saga, world=Shop, answers=case.answers, max_faults=0, max_runs=RUNS)
    assert found.ok, f"{case.saga}\n{found}"


@OFTEN
@given(st.data())
def test_no_plan_breaks_an_honest_world(data: st.DataObject) -> None:
    """Faults together and in any order leave the world consistent too."""
    case = data.draw(cases())
    plans = data.draw(st.lists(fault_plans(case.saga, max_faults=6), min_size=5, max_size=10))
    for plan in plans:
        done = replay(case.saga, plan, world=Shop, answers=case.answers)
        assert done.consistent, f"{case.saga}\n{plan}\n{done.reason}\n{done.path}"
