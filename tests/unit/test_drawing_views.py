"""The machine, a path and a report as pictures: what is in them, and what is said of the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from saga_fsm import GUARDED, Contract, Path, Saga, check, compile_saga, draw, parallel
from saga_fsm.drawing._explored import explore
from saga_fsm.drawing._machine import machine_diagram
from saga_fsm.drawing._path import alone, over_flow, over_machine
from saga_fsm.examples import fulfilment, order, transfer
from tests.reference import C, O, P, R


WEAK = Saga(
    "weak",
    C("reserve"),
    C("charge", contract=Contract(idempotent=True)),
    P("ship"),
    contract=GUARDED,
    deadline=60.0,
)
BRANCHES = Saga("s", C("f"), parallel(C("a"), C("b")), P("go"))
BACK = [
    "start",
    "done(create_order)",
    "done(charge)",
    "rejected(reserve_stock)",
    "unknown(charge)",
    "retry(charge)",
    "compensated(charge)",
    "compensated(create_order)",
]


# ---------------------------------------------------------------------- the machine


def test_a_small_machine_is_drawn_whole() -> None:
    """Up to 40 states each is a box, each pair of states an arrow with all its events."""
    machine = compile_saga(Saga("s", C("reserve")))
    states, transitions = machine.flatten()
    diagram = machine_diagram(machine)
    assert len(states) == len(diagram.nodes) == 22
    pairs = {(a, b) for a, _, b in transitions if a != b}
    arrows = [edge for edge in diagram.edges if edge.sort != "level"]
    assert sum(2 if edge.both else 1 for edge in arrows) == len(pairs)
    assert "merged" not in diagram.subtitle


def test_a_large_machine_is_merged_and_says_so() -> None:
    """Above 40 states a box is a step in one phase; it says how many states are in it."""
    diagram = machine_diagram(compile_saga(order.saga))
    names = {node.id for node in diagram.nodes}
    steps = ["create_order", "charge", "reserve_stock"]
    assert names >= {f"state-{way}-{slug(x)}" for x in steps for way in ("forward", "undoing")}
    assert names >= {"state-new", "state-completed", "state-compensated", "state-stuck"}
    assert "2,225 states" in diagram.subtitle
    assert f"merged by step and phase: 2,225 states in {len(names)} boxes" in diagram.subtitle
    forward = [(e.source, e.label, e.target) for e in diagram.edges if e.sort == "forward"]
    assert ("state-forward-ship", "done", "state-forward-send_5f_receipt") in forward
    fails = [(e.source, e.target) for e in diagram.edges if e.sort == "fails"]
    assert ("state-forward-ship", "state-undoing-reserve_5f_stock") in fails
    back = {(e.source, e.target) for e in diagram.edges if e.sort == "back"}
    assert back == {
        ("state-undoing-reserve_5f_stock", "state-undoing-charge"),
        ("state-undoing-charge", "state-undoing-create_5f_order"),
        ("state-undoing-create_5f_order", "state-compensated"),
    }


def slug(name: str) -> str:
    """Write a name as ids have it."""
    return name.replace("_", "_5f_")


@pytest.mark.parametrize("saga", [transfer.saga, order.saga], ids=lambda saga: saga.name)
def test_no_move_is_left_out_and_none_is_too_many(saga: Saga) -> None:
    """The arrows of a merged machine are exactly the pairs of boxes between which it moves."""
    machine = compile_saga(saga)
    explored = explore(machine)
    states, transitions = machine.flatten()
    assert set(explored.boxes) == set(states)
    pairs = {(explored.box(a), explored.box(b)) for a, _, b in transitions}
    arrows = [edge for edge in machine_diagram(machine).edges if edge.sort != "level"]
    drawn = sum(2 if edge.both else 1 for edge in arrows)
    assert drawn == len({(a, b) for a, b in pairs if a != b})


def test_the_moves_looked_at_are_those_of_the_machine() -> None:
    """What a picture is made of is what ``flatten`` enumerates, move by move."""
    machine = compile_saga(BRANCHES)
    found = explore(machine).transitions
    wanted = machine.flatten()[1]
    assert len(found) == len(wanted)
    assert set(found) == set(wanted)


def test_a_machine_too_large_to_look_at_is_drawn_in_part_and_says_so() -> None:
    """Past the limit every box is still there, and the picture says that it may lack an arrow."""
    machine = compile_saga(fulfilment.saga)
    diagram = machine_diagram(machine, limit=600)
    assert "an arrow may be missing" in diagram.subtitle
    assert diagram.subtitle.startswith("600 states")
    sorts = {node.sort for node in diagram.nodes}
    assert sorts >= {"new", "pivot", "completed", "compensated", "compensation", "stuck"}
    assert len(diagram.nodes) <= 40


def test_parallel_branches_are_one_box() -> None:
    """What goes on at the same time has no order: one box names all of it."""
    labels = [node.label for node in machine_diagram(compile_saga(BRANCHES)).nodes]
    assert labels.count("a + b") == 2
    assert {"f", "go", "new", "completed", "compensated", "stuck"} <= set(labels)


def test_many_steps_are_grouped() -> None:
    """A machine of 40 steps is at most 14 boxes a direction, with all steps in them."""
    saga = Saga("s", *[O(f"a{i}") for i in range(20)], P("go"), *[R(f"r{i}") for i in range(19)])
    diagram = machine_diagram(compile_saga(saga))
    assert "merged by stage and phase" in diagram.subtitle
    forward = [node for node in diagram.nodes if node.id.startswith("state-forward")]
    assert len(forward) == 14
    assert any(node.sort == "pivot" for node in forward)


# ---------------------------------------------------------------------- paths


def test_a_path_over_its_machine_is_numbered_and_the_rest_is_grey() -> None:
    """Each move is a number on its arrow, or in the box that it stays in; all else is grey."""
    machine = compile_saga(order.saga)
    diagram = over_machine(machine, Path.of_events(machine, BACK))
    numbers = [n for edge in diagram.edges for n in edge.numbers]
    stays = {node.label: node.marks for node in diagram.nodes if node.marks}
    assert sorted(numbers) == [1, 2, 3, 4, 7, 8]
    assert stays == {"charge": ("5  unknown(charge)", "6  retry(charge)")}
    grey = {node.label for node in diagram.nodes if node.grey}
    assert grey == {"ship", "send_receipt", "completed", "reserve_stock"}
    assert all(edge.grey for edge in diagram.edges if not edge.numbers and edge.sort != "level")
    assert diagram.note is not None
    assert diagram.note.lines[-1].startswith("Replay: order:")
    assert diagram.title == "order \N{MIDDLE DOT} path of 8 moves"


def test_a_path_of_another_machine_is_refused() -> None:
    """A path is drawn over the machine that it was found in, and over no other."""
    path = Path.of_events(compile_saga(order.saga), BACK)
    with pytest.raises(ValueError, match="of saga 'order', not of"):
        draw(transfer.saga, path=path)


def test_a_path_over_the_flow_is_written_where_it_happened() -> None:
    """Steps and compensations say what was done with them, in the path's numbers."""
    machine = compile_saga(order.saga)
    diagram = over_flow(order.saga, machine, Path.of_events(machine, BACK))
    marks = {n.id: [x.split()[0] for x in n.marks] for n in diagram.nodes if n.marks}
    assert marks == {
        "step-create_5f_order": ["2"],
        "step-charge": ["3"],
        "step-reserve_5f_stock": ["4"],
        "comp-charge": ["5", "6", "7"],
        "comp-create_5f_order": ["8"],
    }
    grey = {node.id for node in diagram.nodes if node.grey}
    assert "end-completed" in grey
    assert "end-compensated" not in grey


def test_what_the_world_does_is_written_where_it_does_it() -> None:
    """A late copy is about the action though its undo runs; an undo without an answer is not."""
    machine = compile_saga(WEAK)
    tokens = "start done(reserve) transient(charge) ~lands(charge) ~undone(charge)"
    path = Path.decode(f"weak:{machine.fingerprint} {tokens}")
    marks = {n.id: n.marks for n in over_flow(WEAK, machine, path).nodes if n.marks}
    assert marks == {
        "step-reserve": ("2  done(reserve)",),
        "step-charge": ("3  transient(charge)", "4  ~lands(charge)"),
        "comp-charge": ("5  ~undone(charge)",),
    }


def test_a_path_alone_is_its_states_and_moves() -> None:
    """Without its machine a path is drawn from what it says; decoded, from its moves alone."""
    machine = compile_saga(order.saga)
    path = Path.of_events(machine, BACK)
    diagram = alone(path)
    assert [node.label for node in diagram.nodes[:2]] == ["new", "running"]
    assert diagram.nodes[-1].label == "compensated"
    assert [n for edge in diagram.edges for n in edge.numbers] == list(range(1, 9))
    bare = alone(Path.decode(path.encode()))
    assert [edge.label for edge in bare.edges] == BACK
    # A state that the run comes back to is one box: the wait and the retry lead in a ring.
    assert len(diagram.nodes) == len(bare.nodes) - 1


# ---------------------------------------------------------------------- reports


def test_an_unsafe_report_is_its_shortest_counterexample() -> None:
    """The rule, the message, the moves in words and the replay text stand beside the path."""
    report = check(WEAK)
    drawing = draw(report)
    of_the_saga = [x for x in report.findings if x.path and "must promise" not in x.message]
    shortest = min(of_the_saga, key=_length)
    assert shortest.path is not None
    assert f"rule {shortest.rule} is broken" in drawing.source
    assert shortest.message in drawing.source
    shown = drawing.source.replace('</font></td></tr><tr><td align="left">', "")
    for word in shortest.path.encode().split():
        assert word in shown
    assert "weak \N{MIDDLE DOT} counterexample" in drawing.title
    world = [move for move in shortest.path.moves if not move.is_event]
    assert world
    assert all(move.says in drawing.source for move in world)
    assert draw(report, view="flow").source != drawing.source


def _length(finding: Any) -> int:
    return len(finding.path)


def test_a_safe_report_is_the_flow_and_says_safe() -> None:
    """Without a counterexample the flow is drawn, with the verdict and how much was searched."""
    report = check(transfer.saga)
    drawing = draw(report)
    assert f"checked: safe ({report.states:,} states" in drawing.subtitle
    assert '"step-deposit"' in drawing.source
    assert "checked: safe" in draw(report, view="machine").subtitle


# ---------------------------------------------------------------------- all of them


def test_what_cannot_be_drawn_is_refused() -> None:
    """The error names what there is."""
    with pytest.raises(TypeError, match="a Path, a Report or an Exploration"):
        draw(42)
    with pytest.raises(ValueError, match="there are flow, machine"):
        draw(order.saga, view="roles")
    with pytest.raises(ValueError, match="there are light, dark"):
        draw(order.saga, theme="pink")
    with pytest.raises(ValueError, match="a machine has no flow"):
        draw(compile_saga(order.saga), view="flow")


@pytest.mark.heavy
def test_every_view_is_the_same_in_every_process() -> None:
    """No text depends on the hash seed: not a merged machine, not a parallel one, not a report."""
    code = (
        "from saga_fsm import check, compile_saga, draw\n"
        "from saga_fsm.drawing import to_mermaid\n"
        "from saga_fsm.examples import fulfilment, order, trip\n"
        "from tests.unit.test_drawing_views import BRANCHES, WEAK\n"
        "for saga in (fulfilment.saga, order.saga, trip.saga):\n"
        "    print(draw(saga).source, to_mermaid(saga))\n"
        "print(draw(compile_saga(order.saga), theme='dark').source)\n"
        "print(draw(BRANCHES, view='machine').source)\n"
        "print(draw(check(WEAK)).source)\n"
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
