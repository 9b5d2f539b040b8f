"""A diagram as a Mermaid flowchart: forges show it, and no engine is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from saga_fsm.drawing._diagram import Diagram, Edge, Frame, Node
from saga_fsm.drawing._labels import MARKS
from saga_fsm.drawing._palette import THEMES
from saga_fsm.drawing._text import clean, shortened


_SHAPES: Final = {
    "start": '(("{}"))',
    "fork": '{{"{}"}}',
    "choice": '{{{{"{}"}}}}',
    "alternatives": '{{{{"{}"}}}}',
    "completed": '(["{}"])',
    "compensated": '(["{}"])',
    "pivot": '[["{}"]]',
    "readonly": '["{}"]',
    "stuck": '{{{{"{}"}}}}',
}
_ARROWS: Final = {
    "forward": "-->",
    "undone by": "-.-",
    "back": "-.->",
    "fails": "-.->",
    "operator": "-.->",
}
# Dots and dashes begin lists, underscores around a word stress it.
_MARKUP: Final = re.compile(r"[^\w ,:()/]|(?<![^\W_])_|_(?![^\W_])")
_BARE: Final = {"start": "#32;", "fork": "#43;"}


def mermaid_text(diagram: Diagram, *, theme: str = "light") -> str:
    """The diagram as Mermaid text."""
    names = {node.id: f"n{i}" for i, node in enumerate(diagram.nodes)}
    lines = [f"flowchart {'LR' if diagram.across else 'TB'}"]
    # Mermaid reads no markup in a title; a comment ends with its line.
    about = diagram.subtitle.replace(" \N{MIDDLE DOT} ", ", ")
    lines.append(f"  %% {_safe(diagram.title)}: {_safe(about)}")
    frames = {frame.id: f"f{i}" for i, frame in enumerate(diagram.frames)}
    lines += (_node(node, names) for node in diagram.nodes if not node.frame)
    for frame in diagram.frames:
        if not frame.parent:
            lines += _frame(frame, diagram, names, frames, "  ")
    lines += (
        _edge(edge, names, frames)
        for edge in diagram.edges
        if edge.sort != "level" and edge.target in names
    )
    colours = THEMES[theme]
    for sort in sorted({node.sort for node in diagram.nodes}):
        border, fill = colours.pair(sort)
        lines.append(f"  classDef {sort} stroke:{border},fill:{fill},color:{colours.ink}")
    return "\n".join(lines) + "\n"


def _safe(text: str) -> str:
    """Any text, odd characters by their number: no quote, bracket or markup is left."""
    one = " ".join(clean(text).split())
    return _MARKUP.sub(lambda x: f"#{ord(x.group())};", one) or "#32;"


def _node(node: Node, names: Mapping[str, str], indent: str = "  ") -> str:
    mark = MARKS.get(node.sort, "")
    words = _safe(f"{mark} {shortened(node.label)}" if mark else shortened(node.label))
    words = _BARE.get(node.sort, words)
    rows = (
        f"{x.number} {x.step.label}" + (f" / {x.undo.label}" if x.undo else "") for x in node.rows
    )
    for line in (*([node.note] if node.note else []), *node.marks, *rows):
        words += f"<br/>{_safe(line)}"
    shape = _SHAPES.get(node.sort, '("{}")')
    return f"{indent}{names[node.id]}{shape.format(words)}:::{node.sort}"


def _frame(
    frame: Frame, diagram: Diagram, names: Mapping[str, str], frames: Mapping[str, str], indent: str
) -> Iterable[str]:
    yield f'{indent}subgraph {frames[frame.id]}["{_safe(frame.title)}"]'
    for node in diagram.nodes:
        if node.frame == frame.id:
            yield _node(node, names, f"{indent}  ")
    for inner in diagram.frames:
        if inner.parent == frame.id:
            yield from _frame(inner, diagram, names, frames, f"{indent}  ")
    yield f"{indent}end"


def _edge(edge: Edge, names: Mapping[str, str], frames: Mapping[str, str]) -> str:
    source = frames.get(edge.source_frame, names[edge.source])
    target = frames.get(edge.target_frame, names[edge.target])
    numbers = ", ".join(map(str, edge.numbers))
    label = " ".join(part for part in (numbers, *edge.label.splitlines()) if part)
    arrow = "==>" if edge.numbers else "<-.->" if edge.both else _ARROWS[edge.sort]
    said = f'|"{_safe(label)}"|' if label else ""
    return f"  {source} {arrow}{said} {target}"
