"""The reduced search against the plain one: the same broken rules, the same states at rest."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._reduced import Reduced
from saga_fsm.checker._search import Explored, finished, graph_of, search
from saga_fsm.checker._takeovers import without_takeovers
from saga_fsm.compiler import compile_saga
from saga_fsm.definition import GUARDED, Contract, Retry, Saga, parallel, pivot, retriable, step
from saga_fsm.definition.layout import lay_out
from saga_fsm.machine import Machine
from saga_fsm.product import UP, Forbidden, Network, Values, holds, network_of
from tests.drawn import RETRIES, Lots
from tests.property.test_engines_agree import confluent, settles, tampered
from tests.quality.tampering import changed
from tests.reference import act, ask, undo


LIMIT = 2_500


class Agreement:
    """
    What both searches found out of one network, after comparing it.

    Args:
        network: the network.
        expected: what the plain search found, all of it.
    """

    def __init__(self, network: Network, expected: Explored) -> None:
        self.network, self.expected = network, expected
        self.crash_free = without_takeovers(network)
        self.reduced = Reduced(network, Bounds(10 * LIMIT), None)
        self.found = finished(self.reduced)
        self.parted = any(self.reduced._part)

    def compared(self) -> Agreement:
        """The same rules, rests and ends, from no more states."""
        assert self.found.complete
        assert self.found.looked_at <= self.expected.states
        self._compare_rules()
        graph = graph_of(self.network, limit=10 * LIMIT)
        every = {self._with_it_up(graph.values(x)) for x in range(len(graph.nodes))}
        seen = [self.reduced.cores.values(node) for node in self.reduced.nodes]
        assert {self._standing(x) for x in seen} <= {self._standing(x) for x in every}
        for wanted in (self._rests, self._ends):
            expected = {self._standing(x) for x in every if wanted(x)}
            assert {self._standing(x) for x in seen if wanted(x)} == expected
        return self

    def _compare_rules(self) -> None:
        expected = {(x.rule, x.step) for x in self.expected.breaches}
        found = {(x.rule, x.step) for x in self.found.breaches}
        if not self.reduced.orbits.groups:
            assert found == expected
        assert found <= expected
        assert {rule for rule, _ in found} == {rule for rule, _ in expected}

    def _with_it_up(self, values: Values) -> Values:
        """The state that a crash-free search has in place of this one."""
        if self.crash_free is None:
            return values
        fields = self.network.fields
        return tuple(0 if x.name == UP else v for x, v in zip(fields, values, strict=True))

    def _standing(self, values: Values) -> int:
        return self.reduced.orbits.first(self.reduced.cores.node(values))

    def _rests(self, values: Values) -> bool:
        return holds(self.network.rest, values)

    def _ends(self, values: Values) -> bool:
        """Whether nothing can happen any more."""
        commands = (self.crash_free or self.network).commands
        return not any(holds(command.guard, values) for command in commands)


def agreeing(network: Network) -> Agreement | None:
    """The comparison; None where there are too many states for the plain search."""
    expected = search(network, limit=LIMIT)
    return Agreement(network, expected).compared() if expected.complete else None


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), weak=st.sampled_from([0.1, 0.5]), crashes=st.booleans())
def test_whatever_is_drawn_the_reduced_search_decides_it(
    seed: int, weak: float, *, crashes: bool
) -> None:
    """Sagas of every kind of block under any contracts, with and without crashes."""
    saga = Lots(seed, weak=weak).saga()
    agreeing(network_of(lay_out(saga), compile_saga(saga), crashes=crashes))


class Beside:
    """
    Draws sagas whose steps run beside each other: those are what can be reduced.

    Args:
        luck: draws the lots.
    """

    def __init__(self, luck: random.Random) -> None:
        self.luck = luck
        self.weak = luck.random() < 0.5
        self._names = iter("abcdefgh")

    def options(self) -> dict[str, Any]:
        """A contract and a policy, sometimes a query."""
        contract = GUARDED
        if self.weak and self.luck.random() < 0.5:
            flags = ("idempotent", "sticky", "fenced")
            contract = Contract(**{flag: self.luck.random() < 0.6 for flag in flags})
        query = {"query": ask} if self.luck.random() < 0.15 else {}
        retry = self.luck.choice([Retry(), Retry(attempts=2, wait_initial=1.0)])
        return {"name": next(self._names), "contract": contract, "retry": retry, **query}

    def step(self) -> Any:
        """A step that can be undone."""
        patience = self.luck.choice(RETRIES)
        return step(act, compensate=undo, compensation_retry=patience, **self.options())

    def branch(self) -> Any:
        """A step, or a saga of one or two."""
        if self.luck.random() < 0.7:
            return self.step()
        name = next(self._names).upper()
        return Saga(name, *(self.step() for _ in range(self.luck.randint(1, 2))))

    def saga(self) -> Saga[Any, Any]:
        """Two branches, and something before or after them; or a pivot beside what awaits it."""
        how = self.luck.random()
        last: list[Any] = []
        if how < 0.3:
            last = [pivot(act, **self.options())]
        elif how < 0.4:
            other = retriable(act, **self.options())
            return Saga("drawn", parallel(pivot(act, **self.options()), other))
        first = [self.step()] if how > 0.9 else []
        return Saga("drawn", *first, parallel(self.branch(), self.branch()), *last)


def test_planted_bugs_are_found_where_the_plain_search_finds_them() -> None:
    """On tables that are wrong, and on right ones; a fifth of each at least, most of it reduced."""
    shares, parted, states, looked_at = Counter[tuple[bool, bool]](), 0, 0, 0
    for turn in range(60):
        luck = random.Random(turn)
        saga = Beside(luck).saga()
        is_tampered = turn % 2 == 1
        network = network_of(lay_out(saga), compile_saga(saga))
        if is_tampered:
            network = tampered(saga, luck)
            if not settles(network):
                continue
        expected = search(network, limit=LIMIT)
        # Settled in another order it is another network: a wrong table may be that, too.
        if not expected.complete or (is_tampered and not confluent(network, expected)):
            continue
        agreement = Agreement(network, expected).compared()
        shares[is_tampered, bool(expected.breaches)] += 1
        parted += agreement.parted
        states += expected.states
        looked_at += agreement.found.looked_at
    assert min(shares.values()) >= 5, shares
    assert parted >= 0.4 * shares.total(), (parted, shares)
    assert looked_at < 0.6 * states, (looked_at, states)


def test_a_run_that_never_rests_is_found() -> None:
    """A step whose undo is not heard any more: AG EF rest fails, reduced or not."""
    saga = Saga("lost", parallel(*(step(act, name=x, compensate=undo) for x in "ab")))
    machine = compile_saga(saga)
    rows = [row for row in machine.rows if row.event not in {"compensated(a)", "exhausted(a)"}]
    assert len(rows) < len(machine.rows)
    network = network_of(lay_out(saga), Machine(machine.name, machine.automata, rows))
    agreement = agreeing(network)
    assert agreement is not None
    assert ("I4", "") in {(x.rule, x.step) for x in agreement.found.breaches}


def test_what_is_forbidden_for_a_moment_is_seen() -> None:
    """That one branch has begun and the other is rejected, after a cancel: nobody moves past it."""
    branches = (step(act, name=x, compensate=undo) for x in "ab")
    saga = Saga("passing", parallel(*branches), contract=GUARDED)
    whole = network_of(lay_out(saga), compile_saga(saga))
    wanted = {"@stop": "heard", "a": "started", "b": "rejected"}
    guard = tuple(
        (f, frozenset({field.values.index(wanted[field.name])}))
        for f, field in enumerate(whole.fields)
        if field.name in wanted
    )
    network = attrs.evolve(whole, forbidden=(Forbidden("a", guard, {"": ("I5", "made up")}),))
    agreement = agreeing(network)
    assert agreement is not None
    assert agreement.parted
    assert [x.rule for x in agreement.found.breaches] == ["I5"]


def test_nobody_waits_for_ever() -> None:
    """A step that goes round for ever hides no bug of the step beside it."""
    again = Retry(attempts=2, wait_initial=1.0)
    steps = (step(act, name=x, compensate=undo, compensation_retry=again) for x in "ab")
    saga = Saga("lost", parallel(*steps), contract=GUARDED)
    machine = compile_saga(saga)
    v = machine.index["a"]
    local = machine.automata[v].local
    started = next(x for x in machine.automata[v].locals if local(x) == "started")
    rows = []
    for row in machine.rows:
        if row.event == "exhausted(a)":
            rows.append(changed(row, update=[(v, started)]))
        elif row.event not in {"compensated(b)", "exhausted(b)"}:
            rows.append(row)
    network = network_of(lay_out(saga), Machine(machine.name, machine.automata, rows))
    agreement = agreeing(network)
    assert agreement is not None
    assert agreement.reduced._whole
    assert ("I5", "a") in {(x.rule, x.step) for x in agreement.found.breaches}


@pytest.mark.parametrize("field", ["row", "update"])
def test_crashes_that_may_matter_stay(field: str) -> None:
    """A fault that only a crash can bring is no reason to leave crashes out."""
    saga = Saga("one", step(act, name="a", compensate=undo))
    network = network_of(lay_out(saga), compile_saga(saga))
    up = next(f for f, one in enumerate(network.fields) if one.name == UP)
    assert without_takeovers(network) is not None
    strange = [
        x._replace(**({"row": 10**6} if field == "row" else {"update": ((0, 1), *x.update)}))
        if (up, frozenset({1})) in x.guard and x.event is not None
        else x
        for x in network.commands
    ]
    assert without_takeovers(attrs.evolve(network, commands=tuple(strange))) is None
