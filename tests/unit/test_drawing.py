"""The flow of a saga: all of it, in any name, in every process the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saga_fsm import SKIP, Saga, choice, draw, each, parallel
from saga_fsm.cli import main
from saga_fsm.definition.layout import lay_out
from saga_fsm.drawing._flow import flow
from saga_fsm.examples import fulfilment, order, trip
from tests.reference import C, P, R


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
    assert sorted(drawn) == sorted(paths)
    undone = sum(edge.sort == "undone by" for edge in diagram.edges)
    assert undone == sum(node.sort == "compensation" for node in diagram.nodes)


def test_edges_of_a_parallel_block() -> None:
    """A fork leads to each branch and a join follows; the pivot fails back to both undos (F52)."""
    diagram = flow(Saga("s", C("f"), parallel(C("a"), C("b")), P("j"), R("r")))
    label = {node.id: node.label or node.sort for node in diagram.nodes}
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
    assert sum(edge.sort == "fails" for edge in diagram.edges) == 2
    assert sum(edge.sort == "back" for edge in diagram.edges) == 3


def test_a_skipped_branch_goes_past() -> None:
    """A branch that does nothing is an arrow with its label past the block."""

    def chosen(ctx: Any) -> bool:
        """Say yes."""
        return True

    diagram = flow(Saga("s", choice(chosen, yes=C("a"), otherwise=SKIP), C("b")))
    assert {edge.label for edge in diagram.edges if edge.sort == "forward"} == {
        "",
        "yes",
        "otherwise",
    }


# What a name may not hold is refused by W1 when the step is made.
NAMES = st.text(min_size=1, max_size=60).filter(lambda x: not set("/[](),@~") & set(x))


@given(NAMES)
@settings(max_examples=25, deadline=None)
def test_any_name_draws(name: str) -> None:
    """Whatever a step is called, the picture is well-formed XML."""

    def items(ctx: Any) -> list[int]:
        """One item."""
        return [1]

    saga = Saga(name, C(name), each(items, C("x" + name), max_items=2))
    svg = draw(saga).pipe("svg")
    assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314 - our own picture


def test_the_text_is_the_same_in_every_process() -> None:
    """The DOT text does not depend on the hash seed."""
    code = (
        "from saga_fsm import draw\n"
        "from saga_fsm.examples.trip import saga\n"
        "print(draw(saga).source)"
    )
    texts = {
        subprocess.run(  # noqa: S603 - our own
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


def test_both_themes_and_no_other() -> None:
    """Light and dark draw; another theme is refused."""
    assert draw(order.saga, theme="dark").source != draw(order.saga).source
    with pytest.raises(ValueError, match="light"):
        draw(order.saga, theme="pink")


def test_draw_writes_a_picture(tmp_path: Path) -> None:
    """`draw` writes what the file's name asks for, and ends with 0."""
    for form, begin in (("svg", b"<"), ("png", b"\x89PNG"), ("dot", b"digraph")):
        file = tmp_path / f"order.{form}"
        with pytest.raises(SystemExit) as ending:
            main(["draw", "saga_fsm.examples.order:saga", "-o", str(file)])
        assert ending.value.code == 0
        assert file.read_bytes().startswith(begin)


def test_without_an_engine_the_text_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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
