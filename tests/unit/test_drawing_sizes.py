"""Sagas of any size: plain, as a ledger, as stages; and names of any length."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from saga_fsm import Saga, draw, parallel
from saga_fsm.drawing._ledger import sized_flow
from saga_fsm.drawing._text import inches, shortened
from tests.reference import C, O, P, R


def chain(steps: int) -> Saga:
    """Make a saga of so many steps, the pivot in the middle."""
    first = [C(f"s{i}") for i in range(steps // 2)]
    return Saga("chain", *first, P("go"), *[R(f"r{i}") for i in range(steps - len(first) - 1)])


@pytest.mark.parametrize(
    ("steps", "view", "across"),
    [
        (5, "flow", True),
        (6, "flow", False),
        (24, "flow", False),
        (25, "ledger", True),
        (150, "ledger", True),
        (151, "ledger", False),
    ],
)
def test_the_size_decides_the_form(steps: int, view: str, *, across: bool) -> None:
    """Up to 5 steps left to right, to 24 top down, to 150 a ledger, beyond one box a stage."""
    diagram = sized_flow(chain(steps))
    assert (diagram.view, diagram.across) == (view, across)
    ledgers = sum(node.sort == "ledger" for node in diagram.nodes)
    assert bool(ledgers) == (25 <= steps <= 150)


@pytest.mark.parametrize("steps", [25, 60, 149])
def test_a_ledger_has_every_step_once_and_in_order(steps: int) -> None:
    """The rows of all stages are the steps, at most 14 a stage, none alone, the pivot a last."""
    tables = [node.rows for node in sized_flow(chain(steps)).nodes if node.rows]
    rows = [row for table in tables for row in table]
    assert [row.number for row in rows] == list(range(1, steps + 1))
    assert [row.step.label for row in rows if row.undo] == [f"s{i}" for i in range(steps // 2)]
    assert all(2 <= len(table) <= 14 for table in tables)
    assert any(table[-1].step.sort == "pivot" for table in tables)


def test_stages_are_cut_at_forks_and_joins() -> None:
    """A parallel block is a stage of its own, if it is no small one."""
    branches = (Saga(x, *[C(f"{x}{i}") for i in range(4)]) for x in "xy")
    saga = Saga("s", *[C(f"a{i}") for i in range(9)], parallel(*branches), *map(O, "bcdefghijk"))
    tables = [node.rows for node in sized_flow(saga).nodes if node.rows]
    assert [len(table) for table in tables] == [9, 8, 10]
    assert {row.step.label[0] for row in tables[1]} == {"x", "y"}


def test_a_small_block_is_no_stage_of_its_own() -> None:
    """What is cut off by a fork, a join or a pivot and has under five steps joins a neighbour."""
    block = parallel(C("x"), C("y"))
    saga = Saga("s", *[C(f"a{i}") for i in range(9)], block, *[C(f"b{i}") for i in range(14)])
    tables = [node.rows for node in sized_flow(saga).nodes if node.rows]
    assert [len(table) for table in tables] == [11, 14]


def test_long_sagas_are_stages_linked_to_their_own_drawings() -> None:
    """A thousand steps are at most twenty-odd boxes; each links to the drawing of its stage."""
    saga = chain(1_000)
    boxes = [node for node in sized_flow(saga).nodes if node.link]
    assert len(boxes) <= 25
    assert boxes[0].link == "chain-stage-1.svg"
    drawn = [draw(saga, stage=n + 1).source for n in range(len(boxes))]
    assert all(f">{name}<" in "".join(drawn) for name in ("s0", "s499", "go", "r0", "r498"))
    with pytest.raises(ValueError, match="stages 1 to"):
        draw(saga, stage=0)


def test_long_names_keep_both_ends() -> None:
    """A name over 28 characters is cut in the middle, and whole where one points at it."""
    name = "reserve_" + "x" * 40 + "_for_ada"
    assert shortened(name) == "reserve_xxxxx\N{HORIZONTAL ELLIPSIS}xxxxxx_for_ada"
    assert len(shortened(name)) == 28
    source = draw(Saga("s", C(name))).source
    assert shortened(name) in source
    assert f"step {name} (compensatable)" in source


def test_a_row_of_a_ledger_is_found_and_told_like_a_box() -> None:
    """The cells of a ledger have the ids of their steps, and whole names where one points."""
    name = "reserve_" + "x" * 40 + "_for_ada"
    saga = Saga("s", C(name), *[C(f"a{i}") for i in range(24)])
    root = ET.fromstring(draw(saga).pipe("svg"))  # noqa: S314 - our own picture
    ids = {x.get("id") for x in root.iter()}
    assert {"a_step-a0", "a_comp-a0"} <= ids
    links = [x.get("{http://www.w3.org/1999/xlink}href", "") for x in root.iter()]
    assert {link[1:] for link in links if link.startswith("#a_")} <= ids
    tips = {x.get("{http://www.w3.org/1999/xlink}title") for x in root.iter()}
    assert {f"step {name} (compensatable)", f"compensation undo of {name}"} <= tips


def test_widths_are_those_of_helvetica_bold() -> None:
    """A box is as wide as its text in any engine; an East Asian character is one em."""
    assert inches("iii", 12) * 72 == pytest.approx(3 * 0.278 * 12)
    assert inches("W", 12) * 72 == pytest.approx(0.944 * 12)
    assert inches("\u4e00\u4e8c", 12) * 72 == pytest.approx(2 * 12)
