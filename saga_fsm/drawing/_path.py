"""A path in a picture: over the machine, over the flow, or alone as the states that it names."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from typing import Any, Final

import attrs

from saga_fsm.definition import Saga
from saga_fsm.drawing._diagram import Diagram, Edge, Node, Note
from saga_fsm.drawing._flow import counted, flow, without_index
from saga_fsm.drawing._machine import Taken, machine_diagram
from saga_fsm.drawing._text import slug
from saga_fsm.machine import Machine, State
from saga_fsm.path import Path, PathMove


_ACROSS: Final = 5
_LISTED: Final = 40
_UNDOING: Final = frozenset(
    {"compensating", "compensation_waiting", "whole_compensating", "whole_waiting"}
)
_SORTS: Final = {
    "new": "new",
    "running": "compensatable",
    "compensating": "compensation",
    "completed": "completed",
    "compensated": "compensated",
    "stuck": "stuck",
}
# Of several runs side by side: ``{order#1: running(charge.started) | order#2: new}``.
_RUN = re.compile(r"(?:^\{| \| )([^\s{|]+): (\w+)")


def over_machine(machine: Machine, path: Path) -> Diagram:
    """
    The machine, the moves of the path numbered and thick, the rest grey.

    Raises:
        ValueError: the path is of another machine.
        NoTransitionError: the path has an event that the machine does not know.
    """
    _check_machine(machine, path)
    state, taken = machine.initial, []
    for number, move in enumerate(path.moves, 1):
        after = machine.step(state, move.token).state if move.is_event else None
        taken.append(Taken(number, _short(move), state, after))
        state = after or state
    diagram = machine_diagram(machine, taken)
    title = f"{machine.name} \N{MIDDLE DOT} path of {counted(len(path), 'move')}"
    return attrs.evolve(diagram, view="path", title=title, note=told(path))


def _check_machine(machine: Machine, path: Path) -> None:
    if machine.fingerprint.startswith(path.fingerprint):
        return
    raise ValueError(
        f"the path is of machine {path.fingerprint} of saga '{path.saga}', "
        f"not of {machine.fingerprint} of saga '{machine.name}'\n"
        "  Give the saga as it was when the path was found; draw(path) alone draws any path."
    )


def over_flow(saga: Saga[Any, Any, Any], machine: Machine, path: Path) -> Diagram:
    """
    The flow of a saga: what the path did is written, numbered, where it was done.

    Raises:
        ValueError: the path is of another machine.
        NoTransitionError: the path has an event that the machine does not know.
    """
    _check_machine(machine, path)
    # Step by step at any size: in a ledger there is no room for what happened.
    diagram = flow(saga)
    nodes = {node.id for node in diagram.nodes}
    marks: dict[str, list[str]] = {"start": []}
    state = machine.initial
    for number, move in enumerate(path.moves, 1):
        place = _place(move, state, nodes)
        if place is not None:
            marks.setdefault(place, []).append(f"{number}  {move.says or move.token}")
        state = machine.step(state, move.token).state if move.is_event else state
    if f"end-{state.status.value}" in nodes:
        marks[f"end-{state.status.value}"] = []
    drawn = [
        attrs.evolve(x, marks=tuple(marks.get(x.id, ())), grey=x.id not in marks)
        for x in diagram.nodes
    ]
    edges = [
        attrs.evolve(edge, grey=edge.source not in marks or edge.target not in marks)
        for edge in diagram.edges
    ]
    title = f"{diagram.title} \N{MIDDLE DOT} path of {counted(len(path), 'move')}"
    return attrs.evolve(
        diagram, title=title, nodes=tuple(drawn), edges=tuple(edges), note=told(path)
    )


def _place(move: PathMove, state: State, nodes: Container[str]) -> str | None:
    """The step, the compensation or the block that a move is about."""
    about = move.token.partition("(")[2].rpartition(")")[0].partition(",")[0]
    index = state.machine.index
    undo = about in index and state[about] in _UNDOING
    # What the world does to an action while its compensation runs is still about the action.
    undo = undo and (move.is_event or move.token.startswith("~undone"))
    sorts = ("comp", "step") if undo else ("step", "choice", "each", "try", "comp")
    names = (f"{sort}-{slug(without_index(about))}" for sort in sorts)
    return next((name for name in names if name in nodes), None)


def alone(path: Path) -> Diagram:
    """The states that the path names, in order, and the numbered moves between them."""
    nodes: dict[str, Node] = {"": Node("state-0", "new", "new", tip="before the first move")}
    edges: list[Edge] = []
    at = ""
    for number, move in enumerate(path.moves, 1):
        after = (move.state or f"\0{number}") if move.is_event else at
        nodes.setdefault(after, _state(f"state-{number}", move))
        if after == at:
            mark = f"{number}  {_short(move)}"
            nodes[at] = attrs.evolve(nodes[at], marks=(*nodes[at].marks, mark))
        else:
            ends = nodes[at].id, nodes[after].id
            edges.append(Edge(*ends, "forward", _short(move), numbers=(number,)))
        at = after
    figures = f"{counted(len(path), 'move')} \N{MIDDLE DOT} machine {path.fingerprint}"
    return Diagram(
        "path",
        f"{path.saga} \N{MIDDLE DOT} path",
        figures,
        len(nodes) <= _ACROSS,
        tuple(nodes.values()),
        tuple(edges),
        note=told(path),
    )


def _state(name: str, move: PathMove) -> Node:
    """The state after a move: how the run is, and what of it has changed."""
    changed = ", ".join(
        f"{x} {after}"
        for x, _, after in move.changes
        if not x.rpartition("/")[2].startswith("@") and not x.endswith("'s participant")
    )
    runs = dict(_RUN.findall(move.state or ""))
    if runs:
        # The one that has moved: the others are as they were.
        run = (move.says or "").partition(":")[0]
        word = runs.get(run, "")
        title = f"{run}: {word}" if word else "several runs"
        return Node(name, _SORTS.get(word, "new"), title, changed, f"state {move.state}")
    word, _, inside = (move.state or "").partition("(")
    if not word:
        return Node(name, "new", "\N{HORIZONTAL ELLIPSIS}", tip=f"after {move.token}")
    note = changed or inside.removesuffix(")")
    return Node(name, _SORTS.get(word, "new"), word, note, f"state {move.state}")


def _short(move: PathMove) -> str:
    return move.token if move.is_event else move.says or move.token


def told(path: Path, rule: str = "", message: str = "") -> Note:
    """The box beside a path: what it breaks, its moves in words, and the text that replays it."""
    lines = [message] if message else []
    for number, move in enumerate(path.moves[:_LISTED], 1):
        lines.append(f"{number}. {move.token}" + (f": {move.says}" if move.says else ""))
    if len(path) > _LISTED:
        lines.append(f"and {len(path) - _LISTED} more")
    if path.loop is not None:
        lines.append(f"Moves {path.loop + 1} to {len(path)} are repeated for ever")
    lines.append(f"Replay: {path.encode()}")
    head = f"rule {rule} is broken" if rule else f"a path of {counted(len(path), 'move')}"
    return Note(head, tuple(lines), bad=bool(rule))


def shortest(findings: Iterable[Any]) -> Any:
    """
    The shortest counterexample of what a check found, or None.

    A search goes breadth first, so the first error with a path is the shortest; what comes after
    those may be shorter, and is a run of participants that promise less than was declared.
    """
    return next((x for x in findings if x.level == "error" and x.path is not None), None)
