"""Sets of states as diagrams: exact counts of any size, limits, interrupts, what is missing."""

from __future__ import annotations

import importlib
import importlib.util
import math
from typing import Any

import pytest

from saga_fsm import GUARDED, Saga, parallel
from saga_fsm.checker import _bdd
from saga_fsm.checker._actions import Actions
from saga_fsm.checker._bdd import Diagrams
from saga_fsm.checker._rings import Rings
from saga_fsm.checker._search import search
from saga_fsm.checker._symbolic import _Exploring, explore_symbolically
from saga_fsm.cli import main
from saga_fsm.compiler import compile_saga
from saga_fsm.definition import Contract
from saga_fsm.definition.layout import lay_out
from saga_fsm.errors import MissingExtraError
from saga_fsm.product import Network, network_of
from tests.reference import BOUNDED, C


HAS_DD = importlib.util.find_spec("dd") is not None
HAS_CUDD = HAS_DD and importlib.util.find_spec("dd.cudd") is not None
needs_dd = pytest.mark.skipif(not HAS_DD, reason="dd is missing: pip install 'saga-fsm[symbolic]'")
needs_cudd = pytest.mark.skipif(
    not HAS_CUDD, reason="dd was built without CUDD: its wheels for Linux have it"
)


def network(*blocks: Any, contract: Contract = GUARDED, kept: Contract | None = None) -> Network:
    """The network of a saga; ``kept`` is what every participant really keeps."""
    layout = lay_out(saga := Saga("sets", *blocks, contract=contract))
    weak = {} if kept is None else dict.fromkeys(layout.steps, kept)
    return network_of(layout, compile_saga(saga), kept=weak)


def sequence(n: int) -> Network:
    """Compensatable steps, one after the other, with bounded retries."""
    return network(*(C(f"s{i}", retry=BOUNDED) for i in range(n)))


def branches(w: int) -> Network:
    """Nested sagas of three such steps, beside each other."""
    nested = (Saga(f"b{i}", *(C(f"s{i}{j}", retry=BOUNDED) for j in range(3))) for i in range(w))
    return network(parallel(*nested))


@needs_cudd
def test_states_are_counted_exactly_beyond_63_bits() -> None:
    """20 steps in a row, of participants that promise nothing: more than a double can count."""
    loose = network(*(C(f"s{i}", retry=BOUNDED) for i in range(20)), contract=Contract())
    exploring = _Exploring(Actions(Diagrams(loose, backend="cudd")))
    exploring._saturate("")
    proved = exploring.proved(complete=True, interrupted=False)
    assert proved.states == 514881571847906503647827
    assert proved.states.bit_length() > 63
    assert int(float(proved.states)) != proved.states
    assert proved.backend == "CUDD"


@needs_dd
@pytest.mark.parametrize("backend", ["autoref", pytest.param("cudd", marks=needs_cudd)])
def test_a_set_is_counted_by_the_product_of_its_fields(backend: str) -> None:
    """All values of every field: as many states as the product of their numbers, to the unit."""
    big = sequence(20)
    diagrams = Diagrams(big, backend=backend)
    whole = diagrams.guard(
        tuple((f, frozenset(range(len(x.values)))) for f, x in enumerate(big.fields))
    )
    expected = math.prod(len(field.values) for field in big.fields)
    assert expected.bit_length() > 63
    assert diagrams.count(whole) == expected
    assert diagrams.count(diagrams.true) == 2**diagrams.width
    assert diagrams.count(diagrams.false) == 0
    assert diagrams.count(diagrams.point(big.initial)) == 1


@needs_dd
def test_pure_python_proves_what_cudd_does() -> None:
    """Without CUDD the same figures come out, in so many words."""
    proved = explore_symbolically(sequence(4), backend="autoref")
    plain = search(sequence(4), limit=100_000)
    assert proved.backend == "pure Python"
    assert (proved.states, proved.transitions) == (plain.states, plain.transitions)


def test_what_is_missing_is_said_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``dd`` the error names the extra that brings it."""

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(_bdd.importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"pip install 'saga-fsm\[symbolic\]'"):
        explore_symbolically(sequence(1))


@needs_dd
def test_an_unknown_library_is_refused() -> None:
    """A backend that nobody has is named, with those that there are."""
    with pytest.raises(ValueError, match="there are cudd, autoref"):
        explore_symbolically(sequence(1), backend="sylvan")


@needs_dd
def test_an_interrupt_leaves_what_was_found() -> None:
    """Ctrl-C ends the search with what it has, which is not complete."""
    calls = 0

    def interrupt(states: int, transitions: int, frontier: int, depth: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 12:
            raise KeyboardInterrupt

    proved = explore_symbolically(sequence(6), progress=interrupt)
    assert proved.interrupted
    assert not proved.complete
    assert 1 < proved.states < explore_symbolically(sequence(6)).states


@needs_dd
@pytest.mark.parametrize("backend", ["autoref", pytest.param("cudd", marks=needs_cudd)])
@pytest.mark.parametrize("limits", [{"limit": 3_000}, {"memory": 200_000}], ids=str)
def test_a_limit_ends_the_search_and_not_the_process(backend: str, limits: dict[str, int]) -> None:
    """Over a limit of nodes or of bytes the result is incomplete."""
    proved = explore_symbolically(branches(3), backend=backend, **limits)
    assert not proved.complete
    assert not proved.interrupted
    assert proved.states >= 1


@needs_dd
def test_a_run_beyond_the_budget_is_still_a_run() -> None:
    """Where rings are too dear, the run follows the search, and is not called a shortest one."""
    weak = network(C("a", retry=BOUNDED), C("b"), kept=Contract(sticky=True, fenced=True))
    plain = {(x.rule, x.step): len(x.path.moves) for x in search(weak, limit=50_000).breaches}
    assert plain
    diagrams = Diagrams(weak)
    proved = explore_symbolically(weak)
    assert proved.shortest
    exploring = _Exploring(Actions(diagrams))
    exploring._saturate("")
    twice = exploring.found & diagrams.guard(weak.forbidden[0].guard)
    rings = Rings(diagrams, exploring.actions, exploring._until, budget=0)
    breaches = rings.breaches([(("I6", "a", "a has landed twice"), twice)])
    assert not rings.shortest
    assert len(breaches["I6", "a"].path.moves) >= plain["I6", "a"]


def test_on_the_command_line_what_is_missing_is_status_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The environment lacks something: one line of fact and one of remedy."""
    real = importlib.import_module

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("dd"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(_bdd.importlib, "import_module", missing)
    with pytest.raises(SystemExit) as ended:
        main(["check", "saga_fsm.examples.transfer:saga", "--engine", "symbolic"])
    assert ended.value.code == 3
    assert capsys.readouterr().err.splitlines()[-1] == "  pip install 'saga-fsm[symbolic]'"
