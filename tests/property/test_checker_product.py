"""The packed search against a plain reading of the page: the same states, moves and machine."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saga_fsm import SKIP, Contract, Saga, alternatives, choice, each, parallel
from saga_fsm.checker._cores import state_of
from saga_fsm.checker._search import graph_of, search
from saga_fsm.compiler import compile_saga
from saga_fsm.definition.layout import Layout, lay_out
from saga_fsm.machine import Machine
from saga_fsm.product import network_of
from saga_fsm.product._environment import (
    OPEN,
    Happening,
    of_block,
    of_orchestrator,
    of_step,
    of_whole,
)
from tests.reference import BOUNDED, REFERENCES, C, O, P, R, Reference, ask, chooser, several, undo


LIMIT = 1_500


def happenings(layout: Layout, machine: Machine, node: Any) -> list[tuple[str, Happening]]:
    """Every row of the environment that a plain reading offers in a state, and whose it is."""
    state, ledgers, up = node
    found = []
    for path, placed in layout.steps.items():
        if state[path] != "pending":
            rows = of_step(placed, placed.contract, state[path], ledgers.get(path, 0), up=up)
            found.extend((path, row) for row in rows)
    wholes = [path for path, scope in layout.scopes.items() if scope.compensate is not None]
    for path in wholes:
        rows = of_whole(path, state[path], ledgers[path], up=up)
        found.extend((path, row) for row in rows)
    owners = [*layout.steps, *wholes]
    if up:
        free = [x for x in machine.events if x.target not in owners and x != "deadline"]
        found.extend(("", of_block(event)) for event in free)
    open_calls = [] if up else [path for path in owners if state[path] in OPEN]
    found.extend(("", row) for row in of_orchestrator(state["@saga"], open_calls, up=up))
    return found


def plainly(layout: Layout, machine: Machine) -> tuple[int, int] | None:
    """States and moves of the product, with dictionaries and ``Machine.step``; None: too many."""
    effective = [path for path, x in layout.steps.items() if x.kind.value != "readonly"]
    wholes = [path for path, scope in layout.scopes.items() if scope.compensate is not None]
    start: Any = (machine.initial, dict.fromkeys([*effective, *wholes], 0), True)
    seen = {str((start[0].codes, start[1], start[2]))}
    todo, moves = deque([start]), 0
    while todo:
        node = todo.popleft()
        for path, row in happenings(layout, machine, node):
            state, ledgers, up = node
            if row.event is not None:
                if not machine.knows(row.event):
                    continue
                move = machine.step(state, row.event)
                if move.ignored is not None:
                    continue
                state = move.state
            if row.ledger is not None and path in ledgers:
                ledgers = {**ledgers, path: row.ledger}
            up = up if row.up is None else bool(row.up)
            moves += 1
            text = str((state.codes, ledgers, up))
            if text not in seen:
                seen.add(text)
                todo.append((state, ledgers, up))
        if len(seen) > LIMIT:
            return None
    return len(seen), moves


CONTRACTS = st.builds(
    Contract, idempotent=st.booleans(), sticky=st.booleans(), fenced=st.booleans()
)


@st.composite
def sagas(draw: st.DrawFn) -> Saga[Any, Any]:
    """Draw a small saga of any kind of block, under any contract."""
    names = iter("abcdefgh")

    def unit() -> Any:
        options: dict[str, Any] = {}
        if draw(st.booleans()):
            options["retry"] = BOUNDED
        if draw(st.integers(0, 3)) == 0:
            options["query"] = ask
        return C(next(names), **options)

    shapes = {
        "step": unit,
        "read": lambda: O(next(names)),
        "parallel": lambda: parallel(unit(), O(next(names))),
        "choice": lambda: choice(chooser, yes=unit(), otherwise=SKIP),
        "each": lambda: each(several, unit(), max_items=1),
        "alternatives": lambda: alternatives(unit(), unit()),
        "nested": lambda: Saga(
            next(names).upper(), unit(), deadline=draw(st.none() | st.just(9.0))
        ),
        "whole": lambda: Saga(next(names).upper(), unit(), P(next(names)), compensate=undo),
    }
    blocks = [
        shapes[draw(st.sampled_from(sorted(shapes)))]() for _ in range(draw(st.integers(1, 2)))
    ]
    if draw(st.booleans()):
        blocks += [P("p"), R("r")][: draw(st.integers(1, 2))]
    return Saga("drawn", *blocks, contract=draw(CONTRACTS))


@settings(max_examples=60)
@given(sagas())
def test_the_packed_search_is_the_plain_one(saga: Saga[Any, Any]) -> None:
    """Whatever the blocks and the contract: as many states and as many moves."""
    layout, machine = lay_out(saga), compile_saga(saga)
    expected = plainly(layout, machine)
    if expected is not None:
        found = search(network_of(layout, machine), limit=10 * LIMIT)
        assert (found.states, found.transitions) == expected


SMALL = [one for one in REFERENCES if one.machine[0] < 600]


@pytest.mark.parametrize("reference", SMALL, ids=lambda one: one.text)
def test_the_checkers_reading_of_the_rows_is_the_machines(reference: Reference) -> None:
    """At each state that is reached each event leads where ``Machine.step`` does, or is ignored."""
    layout, machine = lay_out(reference.make()), compile_saga(reference.make())
    network = network_of(layout, machine)
    graph = graph_of(network, limit=10 * LIMIT)
    nodes = set(graph.nodes)
    for number in range(len(graph.nodes)):
        values, state = graph.values(number), graph.state(number)
        for command in network.commands:
            after = network.after(command, values)
            if after is None:
                continue
            assert graph.cores.node(after) in nodes
            event = command.event
            now = state if event is None else machine.step(state, event).state
            assert state_of(network, after) == now
