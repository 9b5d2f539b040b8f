"""From a machine to its picture: whole while it is small, then merged, and it says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from saga_fsm.drawing._diagram import Diagram, Edge, Node
from saga_fsm.drawing._explored import LIMIT, Box, Explored, active, explore
from saga_fsm.drawing._flow import STEPS
from saga_fsm.drawing._text import LONGEST, slug
from saga_fsm.machine import Event, Machine, State, Status


_ACROSS: Final = 5
_WORDS: Final = 3
_PHASES: Final = (
    "alone",
    "new",
    "forward",
    "completed",
    "compensated",
    "undoing",
    "repair",
    "stuck",
)
_ENDS: Final = ("completed", "compensated", "stuck")
_STATUS: Final = {Status.RUNNING: "forward", Status.COMPENSATING: "undoing"}
_FULL: Final = 16
_LINE: Final = 22


@attrs.frozen
class Taken:
    """A move of a path: its number, what it was, and the states around it; None: of the world."""

    number: int
    words: str
    before: State
    after: State | None


def machine_diagram(
    machine: Machine, taken: Sequence[Taken] = (), *, limit: int = LIMIT
) -> Diagram:
    """
    The states and moves of a machine.

    Args:
        machine: what to draw.
        taken: the moves of a path; they are numbered, and all else is greyed.
        limit: states looked at; of a larger machine some of each box are, and the picture says so.
    """
    explored = explore(machine, limit=limit)
    groups: dict[Box, list[State]] = {}
    for state, box in explored.boxes.items():
        groups.setdefault(box, []).append(state)
    for move in taken:
        for state in (move.before, move.after or move.before):
            groups.setdefault(explored.box(state), [state])
    order = sorted(groups, key=lambda box: (_PHASES.index(box[0]), box[1]))
    loops = {
        explored.box(a)
        for a, event, b in explored.transitions
        if explored.box(a) == explored.box(b) and event.kind in {"retry", "transient"}
    }
    nodes = {box: _node(box, groups[box], explored, retries=box in loops) for box in order}
    edges = _edges(explored, nodes)
    boxes = len(nodes)
    nodes, edges = _traced(explored, nodes, edges, taken) if taken else (nodes, _paired(edges))
    across = sum(box[0] == "forward" for box in order) <= _ACROSS and len(order) <= _FULL
    levels, hidden = ([], []) if explored.whole else _levels(order, nodes)
    return Diagram(
        "machine",
        f"{machine.name} \N{MIDDLE DOT} state machine",
        _subtitle(explored, boxes, boxes - len(nodes)),
        across,
        tuple(nodes[box] for box in order if box in nodes),
        (*edges, *hidden),
        levels=tuple(levels),
    )


# ---------------------------------------------------------------------- boxes


def _node(box: Box, states: Sequence[State], explored: Explored, *, retries: bool) -> Node:
    phase, number = box
    first = states[0]
    if phase == "alone":
        return _alone(number, first)
    many = f"{len(states):,} states" if len(states) > 1 else ""
    retried = "retries" if retries else ""
    tip = f"state {first}" if len(states) == 1 else f"{len(states):,} states, one is {first}"
    if phase in {"forward", "undoing"}:
        names: Sequence[str] = explored.units[number]
        word = "running" if phase == "forward" else "undoing"
        if len(names) > 1:
            word = f"{len(names)} steps, {word}"
        short = [name.rpartition("/")[2] for name in names]
        label = " + ".join(short)
        if len(label) > LONGEST and len(names) > 1:
            label = f"{short[0]} \N{HORIZONTAL ELLIPSIS} {short[-1]}"
        sort = "compensation" if phase == "undoing" else _kind(first, names)
        lane = "back" if phase == "undoing" else "forward"
        name = f"state-{phase}-{slug(next(iter(names)))}"
        return Node(name, sort, label, _joined(word, retried, many), tip, lane=lane)
    if phase == "repair":
        note = _joined("late or by an operator", many)
        return Node("state-repair", "compensation", "repair", note, tip)
    lane = {"new": "forward", "completed": "forward", "compensated": "back"}.get(phase, "")
    note = "waits for an operator" if phase == "stuck" else "final" if phase in _ENDS else ""
    sort = phase if phase in _ENDS else "new"
    return Node(f"state-{phase}", sort, phase, _joined(note, many), tip, lane=lane)


def _alone(number: int, state: State) -> Node:
    """A box of one state: what is in flight in it, or how it ended."""
    status, tip, name = state.status, f"state {state}", f"state-{number}"
    if status.resting:
        owed = _joined(*(f"{what} {path}" for path, what in state.unresolved.items()))
        inside = str(state).partition("(")[2].removesuffix(")")
        return Node(name, status.value, status.value, owed or inside, tip)
    paths = active(state)
    label = " + ".join(path.rpartition("/")[2] for path in paths) or status.value
    note = _joined(*dict.fromkeys(state[path] for path in paths))
    if status is Status.COMPENSATING:
        return Node(name, "compensation", label, note, tip)
    return Node(name, _kind(state, paths) if paths else "new", label, note, tip)


def _kind(state: State, paths: Iterable[str]) -> str:
    """The kind of the step that is most of a decision: a pivot before all else."""
    wanted = set(paths)
    kinds = [
        kind
        for automaton in state.machine.automata
        if automaton.path in wanted or automaton.path.partition("[")[0] in wanted
        for kind in automaton.traits
        if kind in STEPS
    ]
    return "pivot" if "pivot" in kinds else kinds[0] if kinds else "readonly"


def _joined(*words: str) -> str:
    return ", ".join(word for word in words if word)


# ---------------------------------------------------------------------- arrows


def _edges(explored: Explored, nodes: dict[Box, Node]) -> list[Edge]:
    arrows: dict[tuple[Box, Box], dict[Event, None]] = {}
    for a, event, b in explored.transitions:
        pair = explored.box(a), explored.box(b)
        # Retries stay where they are: the box says so, a loop would cross its neighbours' labels.
        if pair[0] != pair[1]:
            arrows.setdefault(pair, {})[event] = None
    return [
        Edge(
            nodes[a].id,
            nodes[b].id,
            _sort(nodes[a], nodes[b], events),
            _words(events, full=explored.whole),
        )
        for (a, b), events in arrows.items()
    ]


def _sort(source: Node, target: Node, events: Iterable[Event]) -> str:
    kinds = {event.kind for event in events}
    if source.sort == "stuck" or (source.id == "state-repair" and target.sort != "stuck"):
        return "operator"
    if target.sort == "stuck" or "late_done" in kinds:
        return "fails"
    if target.sort in {"compensation", "compensated"}:
        return "back" if source.sort == "compensation" else "fails"
    return "forward"


def _words(events: Iterable[Event], *, full: bool) -> str:
    words = list(dict.fromkeys(str(x) if full else _plain(x.kind) for x in events))
    shown = words[:_WORDS]
    if len(words) > _WORDS:
        shown[-1] += " \N{HORIZONTAL ELLIPSIS}"
    text = " / ".join(shown)
    return text if len(text) <= _LINE else "\n".join(shown)


def _paired(edges: Sequence[Edge]) -> list[Edge]:
    """What an operator turns round again is one line with two arrows."""
    by_ends = {(edge.source, edge.target): edge for edge in edges}
    drawn = []
    for (source, target), edge in by_ends.items():
        other = by_ends.get((target, source))
        if other is None or "operator" not in {edge.sort, other.sort}:
            drawn.append(edge)
        elif edge.sort != "operator" or (other.sort == "operator" and source < target):
            words = " / ".join(edge.label.splitlines())
            back = " / ".join(other.label.splitlines())
            drawn.append(attrs.evolve(edge, label=f"{words}\nback: {back}", both=True))
    return drawn


def _plain(kind: str) -> str:
    return {"late_done": "late answer", "chooser_failed": "fails"}.get(kind, kind)


def _levels(
    order: Sequence[Box], nodes: dict[Box, Node]
) -> tuple[list[tuple[str, ...]], list[Edge]]:
    """A step and its undoing side by side, the end of the way back beside the start."""
    levels: list[tuple[str, ...]] = []
    hidden: list[Edge] = []

    def beside(one: Box, other: Box) -> None:
        if one in nodes and other in nodes:
            levels.append((nodes[one].id, nodes[other].id))
            hidden.append(Edge(nodes[one].id, nodes[other].id, "level"))

    beside(("new", 0), ("compensated", 0))
    undone = [box for box in order if box[0] == "undoing"]
    forward = [box for box in order if box[0] == "forward"]
    for box in undone:
        beside(("forward", box[1]), box)
    # What an operator does stands beneath the way back, in the middle of it.
    places = undone or forward[-1:]
    beside(places[len(places) // 2], ("stuck", 0))
    beside(places[-1] if len(places) > 1 else ("forward", places[-1][1] + 1), ("repair", 0))
    return levels, hidden


# ---------------------------------------------------------------------- a path over it


def _traced(
    explored: Explored, nodes: dict[Box, Node], edges: list[Edge], taken: Sequence[Taken]
) -> tuple[dict[Box, Node], list[Edge]]:
    """Number the moves; what stays in its box is written there; all else is grey."""
    numbers: dict[tuple[str, str], list[Taken]] = {}
    marks: dict[Box, list[str]] = {}
    seen = {explored.box(taken[0].before)}
    for move in taken:
        a = explored.box(move.before)
        b = a if move.after is None else explored.box(move.after)
        seen.add(b)
        if a == b:
            marks.setdefault(a, []).append(f"{move.number}  {move.words}")
        else:
            numbers.setdefault((nodes[a].id, nodes[b].id), []).append(move)
    known = {(edge.source, edge.target) for edge in edges}
    edges = edges + [Edge(a, b, "forward") for a, b in numbers if (a, b) not in known]
    aside = {nodes[box].id for box in nodes if _is_aside(box) and box not in seen}
    drawn = []
    for edge in edges:
        moves = numbers.get((edge.source, edge.target), [])
        if not moves and (edge.sort == "operator" or {edge.source, edge.target} & aside):
            continue
        words = "\n".join(dict.fromkeys(move.words for move in moves))
        told = tuple(move.number for move in moves)
        drawn.append(attrs.evolve(edge, numbers=told, label=words or edge.label, grey=not moves))
    traced = {
        box: attrs.evolve(node, marks=tuple(marks.get(box, ())), grey=box not in seen)
        for box, node in nodes.items()
        if node.id not in aside
    }
    return traced, drawn


def _is_aside(box: Box) -> bool:
    """Where only an operator leads on: left out of a picture whose path does not go there."""
    return box[0] in {"stuck", "repair"}


def _subtitle(explored: Explored, boxes: int, aside: int) -> str:
    states, moves = len(explored.boxes), len(explored.transitions)
    resting = sum(state.status.resting for state in explored.boxes)
    dot = " \N{MIDDLE DOT} "
    text = f"{states:,} states{dot}{moves:,} transitions{dot}{resting:,} at rest"
    if not explored.whole:
        grouped = any(len(names) > 1 for names in explored.units)
        how = "stage" if grouped else "step"
        text += f"\nmerged by {how} and phase: {states:,} states in {boxes} boxes"
        text += f", {aside} of them not shown" if aside else ""
    if not explored.complete:
        text += "\nthere are more states, not looked at: an arrow may be missing, none is too many"
    return text
