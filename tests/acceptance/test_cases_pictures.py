"""Failure story F52, a picture that lies: edges are the machine's, what is committed is fresh."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import attrs
import pytest

from saga_fsm import Saga, compile_saga, draw
from saga_fsm.drawing._flow import flow
from tests.acceptance import stories
from tests.gallery import EXAMPLES, FOLDER, digest


def test_F52_the_join_is_entered_from_the_ends_of_its_branches_only() -> None:
    """Nothing but A and B leads to the join, and nothing but the join to J."""
    diagram = flow(stories.F52)
    label = {node.id: node.label or "+" for node in diagram.nodes}
    into: dict[str, set[str]] = {}
    for edge in diagram.edges:
        if edge.sort == "forward":
            into.setdefault(edge.target, set()).add(edge.source)
    (pivot,) = (name for name in into if label[name] == "J")
    (join,) = into[pivot]
    assert label[join] == "+"
    assert {label[name] for name in into[join]} == {"A", "B"}


def test_F52_the_machine_starts_the_pivot_where_the_picture_says() -> None:
    """In each move that starts J both branches are done after it, and no other move starts it."""
    machine = compile_saga(stories.F52)
    starts = [
        one
        for one in machine.transitions
        if (one.source["J"], one.target["J"]) == ("pending", "started")
    ]
    assert {str(one.event) for one in starts} == {"done(A)", "done(B)"}
    assert all((one.target["A"], one.target["B"]) == ("done", "done") for one in starts)


def committed(example: str, saga: Saga[Any, Any]) -> bool:
    """Whether the committed pictures of an example are those of this saga."""
    dot = draw(saga).source
    written = (FOLDER / f"{example}.dot").read_text()
    return written == dot and digest(dot) in (FOLDER / f"{example}.svg").read_text()


@pytest.mark.parametrize("example", EXAMPLES)
def test_F52_the_committed_picture_is_the_saga_of_today(example: str) -> None:
    """DOT and SVG in `diagrams/` are drawn from the example as it is: else this fails, and CI."""
    saga: Any = import_module(f"saga_fsm.examples.{example}").saga
    assert committed(example, saga)


def test_F52_a_saga_that_was_changed_is_not_the_committed_one() -> None:
    """A step less, or in another place, or under another name, and the picture is out of date."""
    saga: Any = import_module("saga_fsm.examples.order").saga
    first, second, *others = saga.blocks
    for blocks in (
        [first, *others],
        [second, first, *others],
        [first, attrs.evolve(second, name="pay"), *others],
    ):
        changed = Saga("order", *blocks, deadline=saga.deadline, contract=saga.contract)
        assert not committed("order", changed)
