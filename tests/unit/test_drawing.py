"""The flow of a saga: all of it, in any name, in every process the same."""

from __future__ import annotations

import pathlib
import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saga_fsm import SKIP, Saga, alternatives, choice, draw, each, parallel
from saga_fsm.cli import main
from saga_fsm.definition.layout import lay_out
from saga_fsm.drawing._flow import flow
from saga_fsm.examples import fulfilment, order, trip
from saga_fsm.path import Path, PathMove
from tests.reference import C, O, P, R, undo


EXAMPLES = [order.saga, trip.saga, fulfilment.saga]


@pytest.mark.parametrize("saga", EXAMPLES, ids=lambda saga: saga.name)
def test_every_step_and_compensation_is_drawn_once(saga: Any) -> None:
    """The nodes are the steps and their compensations, copies standing for all, nothing more."""
    diagram = flow(saga)
    kinds = {"compensatable", "pivot", "retriable", "readonly"}
    drawn = [node.label for node in diagram.nodes if node.sort in kinds]
    paths = {
        path.replace("[0]", "") for path in lay_out(saga).steps if "[" not in path or "[0]" in path
    }
    assert sorted(drawn) == sorted(path.rpartition("/")[2] for path in paths)
    undone = {node.id for node in diagram.nodes if node.sort == "compensation"}
    whose = [edge.target for edge in diagram.edges if edge.sort in {"undone by", "level"}]
    assert sorted(undone) == sorted(set(whose) - {"end-compensated"})
    assert len(undone) == sum(
        placed.step.compensate is not None
        for path, placed in lay_out(saga).steps.items()
        if "[" not in path or "[0]" in path
    )


def test_edges_of_a_parallel_block() -> None:
    """A fork leads to each branch and a join follows; the pivot fails into both undos (F52)."""
    diagram = flow(Saga("s", C("f"), parallel(C("a"), C("b")), P("j"), R("r")))
    label = {node.id: node.label or "+" for node in diagram.nodes} | {"start": "start"}
    forward = [(label[e.source], label[e.target]) for e in diagram.edges if e.sort == "forward"]
    assert sorted(forward) == sorted(
        [
            ("start", "f"),
            ("f", "+"),
            ("+", "a"),
            ("+", "b"),
            ("a", "+"),
            ("b", "+"),
            ("+", "j"),
            ("j", "r"),
            ("r", "completed"),
        ]
    )
    fails = [e for e in diagram.edges if e.sort == "fails"]
    assert [(label[e.source], e.target_frame) for e in fails] == [("j", "undo-1")]
    within = [node.tip for node in diagram.nodes if node.frame == "undo-1"]
    assert within == ["compensation undo of a", "compensation undo of b"]
    back = [(e.source_frame or e.source, e.target) for e in diagram.edges if e.sort == "back"]
    assert back == [("comp-f", "end-compensated"), ("undo-1", "comp-f")]


def test_a_skipped_branch_goes_past() -> None:
    """A branch that does nothing is an arrow with its label past the block."""

    def chosen(ctx: Any) -> bool:
        """Say yes."""
        return True

    first = choice(chosen, yes=C("a"), otherwise=SKIP)
    diagram = flow(Saga("s", C("f"), first, C("b")))
    forward = [(e.source, e.label, e.target) for e in diagram.edges if e.sort == "forward"]
    assert ("choice-chosen", "yes", "step-a") in forward
    assert ("choice-chosen", "otherwise", "step-b") in forward
    # And back: where nothing was done, what was before it is undone next.
    back = [e.target for e in diagram.edges if e.sort == "back" and e.source == "comp-b"]
    assert back == ["comp-a", "comp-f"]


def test_what_has_no_undo_fails_straight_back() -> None:
    """A look and a pivot fail into the compensation before them; after the pivot nothing does."""
    saga = Saga("s", O("look"), C("a"), O("ask"), P("go"), O("see"), R("tell"))
    fails = [(e.source, e.target) for e in flow(saga).edges if e.sort == "fails"]
    assert fails == [
        ("step-look", "end-compensated"),
        ("step-ask", "comp-a"),
        ("step-go", "comp-a"),
    ]


def test_a_look_in_a_branch_fails_into_the_undo_of_its_siblings() -> None:
    """A read-only branch has nothing to undo; its failure undoes what stands beside it."""
    saga = Saga("s", C("f"), parallel(C("a"), O("look")), C("b"))
    edges = flow(saga).edges
    assert [e.target for e in edges if e.sort == "fails"] == ["comp-a"]
    assert [e.target for e in edges if e.sort == "back" and e.source == "comp-b"] == ["comp-a"]


def test_one_frame_holds_what_is_undone_at_the_same_time() -> None:
    """A parallel block within another has no frame of its own: the outer one holds all undos."""
    inner = Saga("inner", parallel(C("a"), C("b")), C("c"))
    diagram = flow(Saga("s", C("f"), parallel(inner, C("d")), P("go")))
    assert [frame.id for frame in diagram.frames if frame.id.startswith("undo")] == ["undo-1"]
    within = {node.id for node in diagram.nodes if node.frame == "undo-1"}
    assert within == {"comp-inner_2f_a", "comp-inner_2f_b", "comp-inner_2f_c", "comp-d"}
    out = [(e.source_frame, e.target) for e in diagram.edges if e.target == "comp-f"]
    assert out.count(("undo-1", "comp-f")) == 1


def test_nested_sagas_and_items_stand_in_frames() -> None:
    """A nested saga is a frame with its name, an each one that says how many; inner in outer."""

    def items(ctx: Any) -> list[int]:
        """One item."""
        return [1]

    nested = Saga("inner", C("a"), C("b"))
    diagram = flow(Saga("s", Saga("outer", C("f"), nested), each(items, C("x"), max_items=3)))
    parents = {frame.title: frame.parent for frame in diagram.frames}
    assert parents == {"saga outer": "", "saga inner": "saga-outer", "": ""}
    frames = {node.id: node.frame for node in diagram.nodes}
    assert frames["step-outer_2f_inner_2f_a"] == "saga-outer_2f_inner"
    assert frames["each-x"] == frames["step-x"] == "items-x"
    assert "up to 3 items, in order" in draw(Saga("s", each(items, C("x"), max_items=3))).source


def test_a_whole_is_undone_as_a_whole() -> None:
    """A nested saga with a compensation of its own is undone by that, in the saga's lane."""
    nested = Saga("inner", C("a"), C("b"), compensate=undo)
    edges = flow(Saga("s", C("f"), nested, P("go"))).edges
    assert ("step-inner_2f_b", "comp-inner") in {
        (e.source, e.target) for e in edges if e.sort == "undone by"
    }
    assert ("step-go", "comp-inner") in {(e.source, e.target) for e in edges if e.sort == "fails"}


def test_the_failure_of_an_alternative_leads_to_the_next() -> None:
    """What fails goes on, undone, with the next alternative; only the last one fails back."""
    saga = Saga("s", C("f"), alternatives(O("first"), C("second"), O("third")), C("b"))
    edges = flow(saga).edges
    fails = {(e.source, e.label, e.target) for e in edges if e.sort == "fails"}
    assert fails == {
        ("step-first", "then 2.", "step-second"),
        ("comp-second", "then 3.", "step-third"),
        ("step-third", "fails", "comp-f"),
    }
    # When something fails after the block, the way back goes on from where it was.
    assert ("comp-second", "comp-f") in {(e.source, e.target) for e in edges if e.sort == "back"}
    assert [e.label for e in edges if e.source == "try-alternatives"] == ["1.", "2.", "3."]


SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
# What a name may not hold is refused by W1 when the step is made.
NAMES = st.text(min_size=1, max_size=60).filter(lambda x: not set("/[](),@~") & set(x))


@given(NAMES)
@settings(max_examples=20, deadline=None)
def test_any_name_draws(name: str) -> None:
    """Whatever a step is called, every view is well-formed XML, and no two things share an id."""

    def items(ctx: Any) -> list[int]:
        """One item."""
        return [1]

    saga = Saga(name, C(name), each(items, C("x" + name), max_items=2))
    path = Path("s" + name, "0", (PathMove(f"done({name})", name, f"running({name})"),))
    long = Saga(name, C(name), *[C(f"{name}{i}") for i in range(30)])
    for drawing in (draw(saga), draw(Saga(name, C(name)), view="machine"), draw(path), draw(long)):
        root = ET.fromstring(drawing.pipe("svg"))  # noqa: S314 - our own picture
        assert root.tag.endswith("svg")
        ids = [node.get("id") for node in root.iter() if node.get("id")]
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "name",
    [
        "<b>",
        "a&b",
        "&lt;",
        "&#92;",
        '"quoted"',
        "it's",
        "\\",
        "end\\",
        "\\N\\l",
        "{x|y}",
        "%s",
        "日本",
    ],
)
def test_a_name_is_shown_as_it_is(name: str) -> None:
    """No markup, entity or escape that stands in a name is read as one: it is seen and told."""
    root = ET.fromstring(draw(Saga(name, C(name))).pipe("svg"))  # noqa: S314 - our own picture
    # A backslash ends a run of text; what is seen is all of them.
    shown = "".join(x.text or "" for x in root.iter(f"{SVG}text"))
    assert shown.startswith(f"{name}1 step")
    assert f"1 compensation{name}" in shown
    # Engines differ in how often they read the backslashes of a tip.
    tips = [x.get(f"{XLINK}title", "") for x in root.iter(f"{SVG}a")]
    assert f"step {name} (compensatable)" in [tip.replace("\\\\", "\\") for tip in tips]
    assert root.findtext(f"{SVG}title") == name


def test_a_tip_holds_what_a_box_cannot() -> None:
    """In the picture a node has its id, its class and its whole name for who points at it."""
    root = ET.fromstring(draw(order.saga).pipe("svg"))  # noqa: S314 - our own picture
    nodes = {x.get("id"): x for x in root.iter(f"{SVG}g") if x.get("id")}
    assert nodes["step-charge"].get("class") == "node compensatable"
    assert nodes["comp-charge"].get("class") == "node compensation"
    tips = {x.get(f"{XLINK}title") for x in root.iter(f"{SVG}a")}
    assert tips >= {"step charge (compensatable)", "compensation refund of charge"}


def test_both_themes_draw() -> None:
    """Light and dark differ in their colours and in nothing else."""
    dark, light = (
        re.sub("#[0-9A-F]{6}", "", draw(order.saga, theme=x).source) for x in ("dark", "light")
    )
    assert dark == light
    assert draw(order.saga, theme="dark").source != draw(order.saga).source


def test_draw_writes_a_picture(tmp_path: pathlib.Path) -> None:
    """`draw` writes what the file's name asks for, and ends with 0."""
    for form, begin in (("svg", b"<"), ("png", b"\x89PNG"), ("dot", b"digraph")):
        file = tmp_path / f"order.{form}"
        with pytest.raises(SystemExit) as ending:
            main(["draw", "saga_fsm.examples.order:saga", "-o", str(file)])
        assert ending.value.code == 0
        assert file.read_bytes().startswith(begin)


def test_without_an_engine_the_text_is_written(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With no engine the DOT is there, one line says what to install, the status is 3."""
    monkeypatch.setenv("SAGA_FSM_DOT", "no-such-engine")
    with pytest.raises(SystemExit) as ending:
        main(["draw", "saga_fsm.examples.order:saga", "-o", str(tmp_path / "order.svg")])
    assert ending.value.code == 3
    assert (tmp_path / "order.dot").read_text().startswith("digraph")
    assert not (tmp_path / "order.svg").exists()
    assert "saga-fsm[draw]" in capsys.readouterr().err
    assert draw(order.saga)._repr_svg_() is None
