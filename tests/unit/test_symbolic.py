"""Sets of states as diagrams: exact counts of any size, limits, interrupts, what is missing."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from saga_fsm import GUARDED, Saga, check, parallel, retriable, step
from saga_fsm.checker import _bdd, _engines
from saga_fsm.checker._actions import Actions
from saga_fsm.checker._bdd import Diagrams
from saga_fsm.checker._driving import Driving
from saga_fsm.checker._rings import Rings
from saga_fsm.checker._search import search
from saga_fsm.checker._symbolic import _Exploring, explore_symbolically
from saga_fsm.cli import main
from saga_fsm.compiler import compile_saga
from saga_fsm.definition import Contract
from saga_fsm.definition.layout import lay_out
from saga_fsm.errors import MissingExtraError
from saga_fsm.product import Network, network_of
from tests.benchmarks import families
from tests.reference import BOUNDED, REFERENCES, C


HAS_DD = importlib.util.find_spec("dd") is not None
HAS_CUDD = HAS_DD and importlib.util.find_spec("dd.cudd") is not None
needs_dd = pytest.mark.skipif(not HAS_DD, reason="dd is missing: pip install 'saga-fsm[symbolic]'")
needs_cudd = pytest.mark.skipif(
    not HAS_CUDD, reason="dd was built without CUDD: its wheels for Linux have it"
)


def _act(_ctx: Any) -> None:
    """Do nothing."""


def _undo(_ctx: Any, _result: object) -> None:
    """Undo nothing."""


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
    rings = Rings(diagrams, exploring.actions, exploring._trail, budget=0)
    (breach,) = rings.breaches([(("I6", "a", "a has landed twice"), twice)])
    assert not rings.shortest
    assert (breach.rule, breach.step) == ("I6", "a")
    assert len(breach.path.moves) >= plain["I6", "a"]


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


def par_states(w: int) -> int:
    """
    The states of PAR(w), by what a branch can be in beside each state of the saga.

    19 while it is undone, less those 4 in which each branch has come to its end; 11 while it halts,
    less 5 in which it is quiet, and where nobody cancelled not the 7 without a failure; 10 while
    it runs, less the one in which all are done. Each of these with the orchestrator up or down.
    """
    undoing, halting = 4 * (19**w - 4**w), 4 * (11**w - 5**w) - 2 * (7**w - 1)
    return 2 + 2 * (10**w - 1) + halting + undoing + 2 * 4**w


def test_the_closed_forms_are_those_of_plain_search() -> None:
    """What large families are compared with below is right where plain search can follow."""
    for w in (1, 2, 3):
        assert search(families.network(families.par(w)), limit=100_000).states == par_states(w)
    for n in (1, 2, 12):
        states = search(families.network(families.seq(n)), limit=100_000).states
        assert states == 48 * n * n + 50 * n + 2


@needs_cudd
def test_branches_multiply_and_are_proved_all_the_same() -> None:
    """PAR(8) and PAR(20), of 10 to the 26 states: exactly so many, each comes to rest; safe."""
    for w in (8, 20):
        proved = explore_symbolically(families.network(families.par(w)), backend="cudd")
        assert proved.states == par_states(w)
        assert proved.complete
        assert proved.breaches == ()


@needs_dd
@pytest.mark.parametrize("saga", [families.par(8), families.seq(20)], ids=lambda one: one.name)
def test_leaps_find_what_single_steps_find(saga: Saga[Any, Any, Any]) -> None:
    """A part at once, or command by command: the same set of states, and the same rows taken."""
    actions = Actions(Diagrams(families.network(saga)))
    fast, slow = _Exploring(actions), _Exploring(actions)
    for path in actions.fields:
        slow.leaps.deny(path)
    for exploring in (fast, slow):
        exploring._saturate("")
        exploring.note_rows()
    assert any(fast.leaps.of(path) is not None for path in actions.fields)
    assert fast.found == slow.found
    assert fast.settling.taken == slow.settling.taken


@needs_dd
@pytest.mark.parametrize("make", [one.make for one in REFERENCES], ids=[x.text for x in REFERENCES])
def test_a_right_table_is_driven_to_rest(make: Callable[[], Saga[Any, Any]]) -> None:
    """No kind of block needs the search backwards, which parallels make too dear."""
    saga = make()
    exploring = _Exploring(Actions(Diagrams(network_of(lay_out(saga), compile_saga(saga)))))
    exploring._saturate("")
    driving = Driving(exploring.leaps, exploring.settling, exploring._inside)
    assert driving.rest(exploring.found)


@needs_dd
def test_who_cannot_rest_is_not_driven_there() -> None:
    """States that no command leads away from are no proof, and the search backwards finds them."""
    saga = families.par(2)
    weak = families.network(saga)
    lasting = {x for x in weak.commands if x.token.startswith(("~recovered", "unknown"))}
    dead = attrs.evolve(weak, commands=tuple(x for x in weak.commands if x not in lasting))
    plain = search(dead, limit=10_000)
    proved = explore_symbolically(dead)
    found = {(x.rule, x.step): len(x.path.moves) for x in plain.breaches}
    assert ("I4", "") in found
    assert {(x.rule, x.step): len(x.path.moves) for x in proved.breaches} == found
    assert proved.states == plain.states


@needs_dd
def test_work_is_bounded_the_same_on_each_machine() -> None:
    """Operations times nodes: twice the same search ends at the same state of things."""
    first, second = (explore_symbolically(branches(3), work=3_000_000) for _ in range(2))
    assert not first.complete
    assert not first.interrupted
    assert 1 < first.states == second.states


# ------------------------------------------------------------------ taken by itself


def locked() -> Saga[Any, Any, Any]:
    """Three branches, of which one takes a lock that a later step lets go: not to be composed."""
    first = step(_act, name="a", compensate=_undo, locks=("room",))
    last = retriable(_act, name="z", locks=("room",))
    return Saga("locked", parallel(first, C("b"), C("c")), last, contract=GUARDED)


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Budgets of some hundreds of states, so that a small saga is too large for them."""
    monkeypatch.setattr(_engines, "_SCOUTED", 100)
    monkeypatch.setattr(_engines, "_WHOLE", 500)


@needs_dd
@pytest.mark.usefixtures("_small")
def test_what_cannot_be_composed_is_taken_as_sets() -> None:
    """Over the budget of the explicit engine; the report says which engine it was, and why."""
    report = check(locked())
    assert report.verdict == "safe"
    assert report.engine.startswith("symbolic, by ")
    assert report.states == check(locked(), engine="explicit").states
    why = " ".join(report.reductions)
    assert "composition was not used: a takes a lock" in why
    assert "sets of states were taken, for there are more than 500" in why


@needs_dd
@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize(("bound", "most"), [("_NODES", 100), ("_ROOM", 50_000), ("_WORK", 1_000)])
def test_sets_that_grow_too_large_are_given_up(
    monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    """Over any bound the explicit engine goes on to the limit, and the report says so."""
    monkeypatch.setattr(_engines, bound, most)
    report = check(locked())
    assert report.verdict == "safe"
    assert not report.engine.startswith("symbolic")
    assert "sets of states grew too large" in " ".join(report.reductions)


@pytest.mark.usefixtures("_small")
def test_without_the_extra_the_report_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets of states are not tried; the search goes on as it would without them."""
    real = importlib.util.find_spec
    monkeypatch.setattr(_engines, "find_spec", lambda name: None if name == "dd" else real(name))
    report = check(locked())
    assert report.verdict == "safe"
    assert "pip install 'saga-fsm[symbolic]' brings them" in " ".join(report.reductions)


@needs_dd
@pytest.mark.usefixtures("_small")
def test_an_interrupt_of_sets_ends_the_check() -> None:
    """Ctrl-C while sets are looked at: what was found is reported, and nothing else is begun."""

    def interrupt(states: int, transitions: int, frontier: int, depth: int) -> None:
        # Only sets of states have no levels.
        if depth == 0 and transitions > 0:
            raise KeyboardInterrupt

    report = check(locked(), progress=interrupt)
    assert report.interrupted
    assert report.verdict == "incomplete"
    assert report.engine.startswith("symbolic")
