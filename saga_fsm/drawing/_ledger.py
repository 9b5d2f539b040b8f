"""Sagas too long for a plain flow: a ledger of their stages, or the stages alone."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import attrs

from saga_fsm.definition import Saga
from saga_fsm.drawing._diagram import Diagram, Edge, Node, Row
from saga_fsm.drawing._flow import STEPS, counted, flow
from saga_fsm.drawing._text import slug


PLAIN: Final = 24
LEDGER: Final = 150
_STAGE: Final = 14
_STAGES: Final = 20
_SMALL: Final = 5
_ACROSS: Final = 6


def sized_flow(
    saga: Saga[Any, Any, Any], *, checked: str = "", stage: int | None = None
) -> Diagram:
    """
    The flow in the form that its size asks for: up to 24 steps plain, up to 150 a ledger.

    ``stage`` is one stage alone, from 1: what the box of a longer saga links to.

    Raises:
        ValueError: there is no such stage.
    """
    plain = flow(saga, checked=checked)
    stages = _stages(plain)
    if stage is not None:
        if not 1 <= stage <= len(stages):
            raise ValueError(f"saga '{saga.name}' has stages 1 to {len(stages)}, not {stage}")
        stages = {stage: stages[stage]}
        return _ledger(attrs.evolve(plain, title=f"{plain.title}, stage {stage}"), stages)
    steps = sum(map(len, stages.values()))
    if steps <= PLAIN:
        return plain
    subtitle = f"{counted(len(stages), 'stage')} \N{MIDDLE DOT} {plain.subtitle}"
    plain = attrs.evolve(plain, subtitle=subtitle)
    return _ledger(plain, stages) if steps <= LEDGER else _overview(plain, stages)


# ---------------------------------------------------------------------- stages


def _stages(plain: Diagram) -> dict[int, list[Row]]:
    """
    The rows of the steps, in stages from 1.

    Cut at forks, at joins and behind a pivot; what is then small goes to a neighbour, what is long
    is cut into equal parts.
    """
    undo = {e.source: e.target for e in plain.edges if e.sort in {"undone by", "level"}}
    undoing = {node.id: node for node in plain.nodes if node.sort == "compensation"}
    parts: list[list[Row]] = [[]]
    number = 0
    for node in plain.nodes:
        if node.sort == "fork":
            parts.append([])
        elif node.sort in STEPS:
            number += 1
            parts[-1].append(Row(number, node, undoing.get(undo.get(node.id, ""))))
            if node.sort == "pivot":
                parts.append([])
    # A saga of a thousand steps has longer stages, not more of them than can be seen.
    most = max(_STAGE, -(-number // _STAGES))
    stages: list[list[Row]] = []
    for part in _joined([part for part in parts if part], most):
        pieces = -(-len(part) // most)
        cuts = [len(part) * i // pieces for i in range(pieces + 1)]
        stages += [part[a:b] for a, b in pairwise(cuts)]
    return dict(enumerate(stages, 1))


def _joined(parts: list[list[Row]], most: int) -> list[list[Row]]:
    joined: list[list[Row]] = []
    for part in parts:
        small = bool(joined) and min(len(joined[-1]), len(part)) < _SMALL
        if small and len(joined[-1]) + len(part) <= most:
            joined[-1] = joined[-1] + part
        else:
            joined.append(part)
    return joined


def _span(stage: list[Row]) -> str:
    first, last = stage[0].number, stage[-1].number
    return f"step {first}" if first == last else f"steps {first} to {last}"


# ---------------------------------------------------------------------- pictures


def _ledger(plain: Diagram, stages: dict[int, list[Row]]) -> Diagram:
    """One table a stage, side by side."""
    nodes = [
        Node(
            f"stage-{number}",
            "ledger",
            f"{number}. {_span(rows)}",
            counted(len(rows), "step"),
            f"stage {number}: {_span(rows)}",
            rows=tuple(rows),
        )
        for number, rows in stages.items()
    ]
    return _chain(plain, nodes, [], [], across=True)


def _overview(plain: Diagram, stages: dict[int, list[Row]]) -> Diagram:
    """One box a stage, and one for its compensations; each linked to a drawing of its own."""
    nodes, edges = [], []
    before = Node("end-compensated", "compensated", "compensated", lane="back")
    undos = [before]
    for number, rows in stages.items():
        nodes.append(_box(number, rows, plain))
        undone = sum(bool(row.undo) for row in rows)
        if undone:
            words = counted(undone, "compensation")
            undo = Node(
                f"undo-{number}", "compensation", words, tip=f"of stage {number}", lane="back"
            )
            edges.append(Edge(nodes[-1].id, undo.id, "undone by"))
            edges.append(Edge(undo.id, before.id, "back"))
            undos.append(undo)
            before = undo
    subtitle = f"{plain.subtitle}\nEach box is a stage: draw(saga, stage=1) draws its steps."
    plain = attrs.evolve(plain, subtitle=subtitle)
    return _chain(plain, nodes, undos, edges, across=len(nodes) <= _ACROSS)


def _box(number: int, rows: list[Row], plain: Diagram) -> Node:
    sorts = {row.step.sort for row in rows}
    sort = "retriable" if sorts <= {"retriable", "readonly"} else "compensatable"
    last = rows[-1].step.label if len(rows) > 1 else ""
    note = f"{rows[0].step.label} \N{HORIZONTAL ELLIPSIS} {last}" if last else rows[0].step.label
    pivots = [row.step.label for row in rows if row.step.sort == "pivot"]
    if pivots:
        sort, note = "pivot", f"with {', '.join(pivots)}"
    link = f"{slug(plain.title)}-stage-{number}.svg"
    tip = f"open stage {number}: {_span(rows)}"
    return Node(
        f"stage-{number}", sort, f"{number}. {_span(rows)}", note, tip, lane="forward", link=link
    )


def _chain(
    plain: Diagram, nodes: list[Node], undos: list[Node], edges: list[Edge], *, across: bool
) -> Diagram:
    """Start, the stages in order, the end; the way back beside them."""
    start = Node("start", "start", tip="start", lane="forward" if undos else "")
    end = Node("end-completed", "completed", "completed", tip="end: completed")
    chain = [start, *nodes, attrs.evolve(end, lane=start.lane)]
    edges = [Edge(a.id, b.id, "forward") for a, b in pairwise(chain)] + edges
    levels = [(e.source, e.target) for e in edges if e.sort == "undone by"]
    if undos:
        levels.insert(0, (start.id, undos[0].id))
        edges.append(Edge(start.id, undos[0].id, "level"))
    return Diagram(
        "ledger",
        plain.title,
        plain.subtitle,
        across,
        (*chain, *undos),
        tuple(edges),
        levels=tuple(levels),
    )
