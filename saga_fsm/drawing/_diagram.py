"""
The neutral diagram: what is drawn, before anybody says how.

Plain data in a fixed order (that of the definition), so that the same thing gives the same value in
every process. ``_flow``, ``_ledger``, ``_machine`` and ``_path`` make it; ``_dot`` and ``_mermaid``
write it down.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Node:
    """
    One thing in the picture.

    Args:
        id: unique and stable, safe in any format: "step-charge".
        sort: start, a kind of step, compensation, completed, compensated, stuck, new, fork, choice,
            each, alternatives, ledger or stage.
        label: first line, any text: the name as the user wrote it.
        note: second line, small.
        tip: all of it in words, for who points at it.
        frame: id of the frame around it.
        lane: nodes of one lane stand in one line.
        marks: what happened here without a move of the machine, numbered.
        rows: of a ledger.
        link: the file with its own drawing.
        grey: not part of the story.
    """

    id: str
    sort: str
    label: str = ""
    note: str = ""
    tip: str = ""
    frame: str = ""
    lane: str = ""
    marks: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    link: str = ""
    grey: bool = False


@attrs.frozen
class Row:
    """
    One line of a ledger.

    Args:
        number: of the step, from 1.
        step: as it would be drawn alone.
        undo: what undoes it, as it would be drawn alone; None where nothing does.
    """

    number: int
    step: Node
    undo: Node | None = None


@attrs.frozen
class Edge:
    """
    An arrow.

    Args:
        source: id of the node that it leaves.
        target: id of the node that it reaches.
        sort: "forward", "undone by" (no arrow), "back", "fails", "operator" or "level" (not seen:
            its ends stand side by side).
        label: what stands on it.
        source_frame: it leaves this frame, not only the node in it.
        target_frame: it reaches this frame.
        numbers: the moves of a path that take it.
        grey: not part of the story.
        both: there is an arrow back too; the label's second line is that one's.
    """

    source: str
    target: str
    sort: str
    label: str = ""
    source_frame: str = ""
    target_frame: str = ""
    numbers: tuple[int, ...] = ()
    grey: bool = False
    both: bool = False


@attrs.frozen
class Frame:
    """A frame around nodes, and maybe within another."""

    id: str
    title: str = ""
    parent: str = ""


@attrs.frozen
class Note:
    """A box beside the picture: a broken rule, the moves that break it, how to replay them."""

    title: str
    lines: tuple[str, ...] = ()
    bad: bool = True


@attrs.frozen
class Diagram:
    """
    All that is drawn.

    Args:
        view: "flow", "ledger", "machine" or "path".
        title: what it is.
        subtitle: figures; more than one line for what the reader must know of the picture.
        across: left to right, else top down.
        nodes: in definition order.
        edges: in definition order.
        frames: outer ones first.
        levels: nodes that stand at the same height.
        note: a box beside the picture.
    """

    view: str
    title: str
    subtitle: str
    across: bool
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    frames: tuple[Frame, ...] = ()
    levels: tuple[tuple[str, ...], ...] = ()
    note: Note | None = None
