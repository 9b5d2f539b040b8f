"""The searches in arrays against the plain one: same states, moves, rows, breaches and lengths."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Any
from unittest.mock import patch

import attrs
import pytest
from hypothesis import given, settings

from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._explicit import explore
from saga_fsm.checker._search import Explored, search
from saga_fsm.checker._takeovers import _goes_round
from saga_fsm.checker._traces import trace
from saga_fsm.compiler import compile_saga
from saga_fsm.definition import Saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.machine import Machine
from saga_fsm.product import Network, network_of
from tests.property.test_checker_product import sagas
from tests.quality.tampering import changed
from tests.reference import BOUNDED, FENCED, GUARDED, C, O, P, R, ask, parallel


LIMIT = 20_000


class Levels:
    """The explicit engine, asked as the plain one is."""

    @staticmethod
    def explore(network: Network, *, limit: int, **options: Any) -> Explored:
        """Search."""
        memory = options.pop("memory", None)
        return explore(network, Bounds(limit, memory), **options)


class Compiled:
    """The same with its loops compiled; without numba its tests are skipped."""

    @classmethod
    def explore(cls, network: Network, *, limit: int, **options: Any) -> Explored:
        """Search."""
        pytest.importorskip("numba", reason="needs numba: pip install 'saga-fsm[fast]'")
        from saga_fsm.checker import _compiled

        assert _compiled.suits(network)
        memory = options.pop("memory", None)
        with patch.multiple("saga_fsm.checker._places", _SMALL=cls.room(network), _EACH=0):
            return _compiled.explore(network, Bounds(limit, memory), **options)

    @staticmethod
    def room(network: Network) -> int:
        """Bytes for places."""
        return 1 << 30


class Hashed(Compiled):
    """No state has a place of its own."""

    @staticmethod
    def room(network: Network) -> int:
        """None."""
        return 0


class Crowded(Compiled):
    """Each has one as long as the cores are few, and is hashed from then on."""

    @classmethod
    def explore(cls, network: Network, *, limit: int, **options: Any) -> Explored:
        """Search, with room for no core at first."""
        pytest.importorskip("numba", reason="needs numba: pip install 'saga-fsm[fast]'")
        with patch("saga_fsm.checker._compiled._FEW", 1):
            return super().explore(network, limit=limit, **options)

    @staticmethod
    def room(network: Network) -> int:
        """For as many cores as there is room for first, and no more."""
        sizes = [len(x.values) for x in network.fields if x.name.startswith("~")]
        return min(1 << 26, 4 * math.prod(sizes) * (2 + len(network.commands)))


ENGINES = {"arrays": Levels, "places": Compiled, "hashes": Hashed, "both": Crowded}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Any:
    """One of the engines in arrays."""
    return ENGINES[request.param]


def figures(explored: Explored) -> tuple[object, ...]:
    """All that an engine may not get wrong."""
    lengths = {(x.rule, x.step): len(x.path.moves) for x in explored.breaches}
    counts = explored.states, explored.transitions, explored.depth, explored.complete
    return (*counts, lengths, explored.taken, explored.reached)


def tampered(saga: Saga[Any, Any], luck: random.Random) -> Network:
    """The network of a saga in whose table one literal, row or target is wrong."""
    machine = compile_saga(saga)
    rows = list(machine.rows)
    number = luck.randrange(len(rows))
    row = rows[number]
    what = luck.choice(["guard", "drop", "update"])
    if what == "drop":
        del rows[number]
    elif what == "guard" and row.event is not None:
        rows[number] = changed(row, guard=row.guard[1:])
    elif row.update:
        (v, code), *rest = row.update
        # An internal row that writes what it asks for would be taken for ever.
        allowed = dict(row.guard).get(v, frozenset[int]()) if row.event is None else frozenset()
        others = [x for x in machine.automata[v].locals if x not in {*allowed, code}]
        if others:
            rows[number] = changed(row, update=[(v, luck.choice(others)), *rest])
    return network_of(lay_out(saga), Machine(machine.name, machine.automata, rows))


def settles(network: Network) -> bool:
    """Whether no internal command of a wrong table is taken for ever."""
    automata = range(len(network.machine.automata))
    return all(
        any(x not in dict(row.guard).get(f, {x}) for f, x in row.update) for row in network.internal
    ) and not any(_goes_round(network.internal, f) for f in automata)


@pytest.mark.parametrize("name", ENGINES)
@settings(max_examples=40)
@given(saga=sagas())
def test_an_engine_finds_what_the_plain_one_finds(name: str, saga: Saga[Any, Any]) -> None:
    """Whatever the blocks and the contract, safe or not: one result."""
    network = network_of(lay_out(saga), compile_saga(saga))
    expected = search(network, limit=LIMIT)
    if expected.complete:
        assert figures(ENGINES[name].explore(network, limit=LIMIT)) == figures(expected)


def confluent(network: Network, expected: Explored) -> bool:
    """Whether the order of settling makes no difference that a search sees."""
    turned = attrs.evolve(network, internal=network.internal[::-1])
    return figures(search(turned, limit=LIMIT)) == figures(expected)


SHAPES = [
    lambda: (C("a"), C("b", retry=BOUNDED), P("p"), R("r")),
    lambda: (C("a"), parallel(P("p"), R("r"))),
    lambda: (parallel(C("a"), C("b")),),
    lambda: (C("a", query=ask), O("o"), P("p", query=ask)),
    lambda: (Saga("n", C("a"), C("b")), P("p")),
]


def test_an_engine_finds_planted_bugs_where_the_plain_one_does(engine: Any) -> None:
    """One result on tables that are wrong, and on right ones; a fifth at least is of each kind."""
    luck, shares = random.Random(20), Counter[bool]()
    for turn in range(60):
        contract = luck.choice([GUARDED, GUARDED, FENCED])
        saga = Saga("planted", *luck.choice(SHAPES)(), contract=contract)
        right = network_of(lay_out(saga), compile_saga(saga))
        network = tampered(saga, luck) if turn % 2 else right
        if not settles(network):
            continue
        expected = search(network, limit=LIMIT)
        if not confluent(network, expected):
            # Settled in another order it is another network: a wrong table may be that, too.
            continue
        assert figures(engine.explore(network, limit=LIMIT)) == figures(expected)
        shares[bool(expected.breaches)] += 1
    assert min(shares[True], shares[False]) >= 12, shares


class Undecided:
    """A table that settles in two ways, by the order of its internal rows."""

    def network(self) -> Network:
        """Of a saga whose table was tampered with, the first that does not settle in one way."""
        luck = random.Random(3)
        for _ in range(200):
            saga = Saga("planted", *luck.choice(SHAPES)(), contract=GUARDED)
            network = tampered(saga, luck)
            if settles(network) and not confluent(network, search(network, limit=LIMIT)):
                return network
        raise AssertionError("none was drawn")


def test_a_table_that_settles_in_two_ways_is_searched_all_the_same(engine: Any) -> None:
    """What is broken in it has a run, whatever order an engine settles in; nothing is raised."""
    network = Undecided().network()
    for turned in (network, attrs.evolve(network, internal=network.internal[::-1])):
        found = engine.explore(turned, limit=LIMIT)
        assert found.complete
        assert all(one.path.moves for one in found.breaches)


def test_a_run_is_told_in_whatever_order_it_settled() -> None:
    """A state that another order of settling comes to has its command; one that none does, none."""
    network = Undecided().network()
    turned = attrs.evolve(network, internal=network.internal[::-1])
    states = [network.initial]
    apart = []
    for state in states:
        for one in network.commands:
            here, there = network.after(one, state), turned.after(one, state)
            if here is not None and here not in states:
                states.append(here)
            if here is not None and there is not None and here != there:
                apart.append((state, there, one.token))
        if apart or len(states) > LIMIT:
            break
    before, after, token = apart[0]
    (move,) = trace(network, [before, after]).moves
    assert move.token == token
    with pytest.raises(RuntimeError, match=r"no command leads from .*\n.*search again"):
        trace(network, [before, network.initial])


def test_states_have_places_where_these_are_few() -> None:
    """By the room that a table of all places takes, beside that which the states take."""
    few = network_of(*_compiled_parts(Saga("few", parallel(C("a"), C("b")), contract=GUARDED)))
    many = network_of(*_compiled_parts(Saga("many", *map(C, "abcdefghijklmno"), contract=GUARDED)))
    small = Bounds(LIMIT, memory=1 << 12)
    pytest.importorskip("numba", reason="needs numba: pip install 'saga-fsm[fast]'")
    from saga_fsm.checker import _compiled

    tables = [_compiled.explore(x, Bounds(LIMIT)).engine.split()[-2] for x in (few, many)]
    assert tables == ["dense", "hash"]
    assert _compiled.explore(few, small).engine.split()[-2] == "hash"
    assert Crowded.explore(few, limit=LIMIT).engine.split()[-2] == "hash"
    assert Compiled.explore(few, limit=LIMIT).engine.split()[-2] == "dense"


def _compiled_parts(saga: Saga[Any, Any]) -> tuple[Any, Machine]:
    return lay_out(saga), compile_saga(saga)
