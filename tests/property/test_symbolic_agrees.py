"""The symbolic engine against the plain one: the same verdict, the same exact figures."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from saga_fsm import GUARDED, Contract, Saga
from saga_fsm.checker._search import search
from saga_fsm.checker._symbolic import Proved, explore_symbolically
from saga_fsm.compiler import compile_saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.product import Network, network_of
from tests.property.test_checker_product import sagas
from tests.quality.test_planted_bugs import PLANTED, planted
from tests.reference import REFERENCES, Reference


if importlib.util.find_spec("dd") is None:
    pytest.skip("dd is missing: pip install 'saga-fsm[symbolic]'", allow_module_level=True)

BACKENDS = [
    name for name in ("cudd", "autoref") if importlib.util.find_spec(f"dd.{name}") is not None
]
LIMIT = 2_500
KEPT = st.builds(Contract, idempotent=st.booleans(), sticky=st.booleans(), fenced=st.booleans())


def agreeing(network: Network, backend: str) -> Proved | None:
    """What both engines say of a network, after comparing it; None: too large for the plain one."""
    plain = search(network, limit=LIMIT)
    if not plain.complete:
        return None
    proved = explore_symbolically(network, backend=backend)
    assert proved.complete
    assert (proved.states, proved.transitions) == (plain.states, plain.transitions)
    assert proved.reached == plain.reached
    assert proved.taken == plain.taken - {-1}
    expected = {(x.rule, x.step): len(x.path.moves) for x in plain.breaches}
    found = {(x.rule, x.step): len(x.path.moves) for x in proved.breaches}
    assert proved.shortest
    assert found == expected
    return proved


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Draw a saga of any kind of block, whose participants keep more or less than they promise."""
    saga: Saga[Any, Any, Any] = draw(sagas())
    layout = lay_out(saga)
    if draw(st.booleans()):
        kept = dict.fromkeys(layout.steps, GUARDED)
    else:
        kept = {path: draw(KEPT) for path in layout.steps if draw(st.integers(0, 3)) == 0}
    return network_of(layout, compile_saga(saga), kept=kept, crashes=draw(st.booleans()))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_set_of_states_is_what_plain_search_counts(backend: str) -> None:
    """Whatever blocks and contracts: same states, moves, rows, breaches and shortest lengths."""

    @settings(max_examples=25 if backend == "cudd" else 8)
    @given(networks())
    def law(network: Network) -> None:
        agreeing(network, backend)

    law()


def test_safe_and_unsafe_sagas_are_both_drawn() -> None:
    """Of the networks that are compared at least a fifth are safe and a fifth unsafe."""
    verdicts: list[bool] = []

    @seed(7)
    @settings(
        max_examples=40,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(networks())
    def count(network: Network) -> None:
        proved = agreeing(network, BACKENDS[0])
        if proved is not None:
            verdicts.append(bool(proved.breaches))

    count()
    assert len(verdicts) >= 20
    assert 0.2 <= sum(verdicts) / len(verdicts) <= 0.8


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reference", REFERENCES, ids=lambda one: one.text)
def test_the_references_have_their_figures(reference: Reference, backend: str) -> None:
    """Each saga of the specification has the product that the page pins, and is safe."""
    saga = reference.make()
    network = network_of(lay_out(saga), compile_saga(saga))
    proved = explore_symbolically(network, backend=backend)
    assert (proved.states, proved.transitions) == reference.product[:2]
    assert proved.breaches == ()


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found_as_plain_search_finds_it(name: str) -> None:
    """A table that was tampered with breaks the same rules, at the same distance."""
    proved = agreeing(network_of(*planted(*PLANTED[name])), BACKENDS[0])
    assert proved is not None
