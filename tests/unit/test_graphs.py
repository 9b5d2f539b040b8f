"""The graph that properties are asked of: one search's, whichever engine has made it."""

from __future__ import annotations

from typing import Any

import pytest

from saga_fsm import GUARDED, Saga, check, parallel
from saga_fsm.checker import _graphs
from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._graphs import Keeping, graph_within
from saga_fsm.checker._reach import depths
from saga_fsm.checker._search import Graph, graph_of
from saga_fsm.compiler import compile_saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.errors import MissingExtraError
from saga_fsm.product import Network, Values, network_of
from saga_fsm.properties import always_possible, at_rest, happened, never, status, termination
from tests.reference import BOUNDED, C, P, R


SAGA = Saga("s", C("a", retry=BOUNDED), parallel(C("b"), C("c")), P("p"), R("r"), contract=GUARDED)
# One whose memory fills more than a machine word, and whose states fill several.
LONG = Saga("long", *(C(f"c{i}") for i in range(21)), P("p"), contract=GUARDED)
SAGAS = {"both": SAGA, "long": LONG}


@pytest.fixture(params=["numba", "NumPy"], autouse=True)
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who searches whole levels."""
    if request.param == "numba":
        pytest.importorskip("numba", reason="needs numba: pip install 'saga-fsm[fast]'")
    else:
        monkeypatch.setattr(_graphs, "find_spec", lambda _: None)


def network(saga: Saga[Any, Any]) -> Network:
    """The product of a saga."""
    return network_of(lay_out(saga), compile_saga(saga))


def by_levels(net: Network, limit: int = 1_000_000) -> Graph:
    """What a search of whole levels has kept."""
    keeping = Keeping()
    graph = keeping.graph(keeping.explicit(net, Bounds(limit), None))
    assert graph is not None
    return graph


def moves(graph: Graph) -> dict[Values, set[Values]]:
    """Where the moves of each state that was looked at lead."""
    looked = range(len(graph.ends))
    return {graph.values(x): {graph.values(y) for y in graph.after(x)} for x in looked}


@pytest.mark.heavy
@pytest.mark.parametrize("name", SAGAS)
def test_whole_levels_have_the_same_graph_as_single_states(name: str) -> None:
    """The same states, as far from the start, and from each the same moves, each once."""
    net = network(SAGAS[name])
    plain, found = graph_of(net, limit=1_000_000), by_levels(net)
    assert found.complete
    assert len(found.nodes) == len(plain.nodes)
    known = moves(plain)
    assert moves(found) == known
    assert len(found.targets) == sum(map(len, known.values()))
    far = {plain.values(x): d for x, d in enumerate(depths(plain).tolist())}
    assert {found.values(x): d for x, d in enumerate(depths(found).tolist())} == far
    for number in (0, len(found.nodes) // 2, len(found.nodes) - 1):
        assert len(found.path(number)) == far[found.values(number)]


def test_what_was_cut_short_has_no_move_too_many() -> None:
    """Of states that were found and not looked at no move is known, and of others every one."""
    net = network(SAGA)
    whole, part = moves(graph_of(net, limit=1_000_000)), by_levels(net, 300)
    assert not part.complete
    assert 0 < len(part.ends) < len(part.nodes) < len(whole)
    assert all(ends == whole[values] for values, ends in moves(part).items())


@pytest.mark.parametrize("limit", [1_000_000, 700, 5])
def test_what_is_explored_for_properties_alone_is_the_same(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """State by state, then whole levels at once; within the limit, and no further."""
    monkeypatch.setattr(_graphs, "_SCOUTED", 50)
    net = network(SAGA)
    whole = moves(graph_of(net, limit=1_000_000))
    found = graph_within(net, Bounds(limit))
    assert found.complete is (limit >= len(whole))
    assert all(ends == whole[values] for values, ends in moves(found).items())


ASKED = [always_possible(at_rest, name="rest"), termination(name="end")]


@pytest.mark.parametrize("engine", ["auto", "scout", "explicit"])
def test_properties_are_asked_of_the_search_itself(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is explored a second time where the engine keeps its graph."""

    def refused(*_: Any) -> None:
        raise AssertionError("explored once more")

    monkeypatch.setattr("saga_fsm.checker._properties.graph_within", refused)
    report = check(SAGA, engine=engine, properties=ASKED)
    assert report.ok
    assert report.reductions == ()
    for limit in (300, 5):
        cut = check(SAGA, engine=engine, properties=ASKED, limit=limit)
        assert (cut.verdict, cut.short_of) == ("incomplete", "states")


@pytest.mark.parametrize("engine", ["symmetric", "symbolic", "compose"])
def test_an_engine_without_a_graph_is_named(engine: str) -> None:
    """The report says that the states were explored once more, for which properties, and why."""
    try:
        report = check(SAGA, engine=engine, properties=ASKED)
    except MissingExtraError as missing:
        pytest.skip(str(missing))
    assert report.ok
    note = report.reductions[-1]
    assert note.startswith("explored once more for P:rest, P:end: the engine '")
    assert note.endswith("keeps no graph")
    assert note.partition(" '")[0] in " ".join(str(report).split())


def test_events_that_are_remembered_are_explored_for() -> None:
    """They add to every state, so no graph of the search can tell them."""
    report = check(SAGA, properties=[never(happened("done(r)") & status("compensated"), name="n")])
    assert report.reductions == ("explored once more for P:n: they remember what has happened",)


def test_properties_go_on_where_the_search_ended_with_a_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is wrong near the start ends the search, and leaves no property undecided."""
    monkeypatch.setattr("saga_fsm.checker._engines._SCOUTED", 100)
    report = check(Saga("s", C("a"), P("p")), properties=ASKED)
    answers = [x.level for x in report.findings if x.rule.startswith("P:")]
    assert (report.verdict, report.short_of, answers) == ("unsafe", "found", ["info", "info"])
    assert "the search ended where something was found" in report.reductions[-1]


def test_memory_bounds_the_graph_too() -> None:
    """A property that memory leaves undecided says so, and asks for more of it."""
    report = check(LONG, engine="scout", properties=ASKED, memory=1_000_000)
    assert (report.verdict, report.short_of) == ("incomplete", "memory")
    said = [x.message for x in report.findings if x.rule.startswith("P:")]
    assert all(one.endswith("a larger memory= goes on") for one in said)
