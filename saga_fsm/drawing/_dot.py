"""A diagram as DOT, in the house's style: kinds by shape and words, never by colour alone."""

from __future__ import annotations

from html import escape
from typing import Final

from saga_fsm.drawing._drawing import Drawing
from saga_fsm.drawing._flow import Diagram, Edge, Node


_LONGEST: Final = 28
_ACROSS: Final = 5  # up to so many steps go left to right, more top down

# ink, muted, page; then border and fill per sort (contrasts measured for text on each fill).
PALETTES: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "light": {
        "text": ("#0F172A", "#475569"),
        "page": ("#FFFFFF", "#FFFFFF"),
        "step": ("#1D4ED8", "#EFF6FF"),
        "pivot": ("#6D28D9", "#F5F3FF"),
        "retriable": ("#0F766E", "#F0FDFA"),
        "readonly": ("#475569", "#FFFFFF"),
        "compensation": ("#9A3412", "#FFF7ED"),
        "completed": ("#166534", "#DCFCE7"),
        "fails": ("#B91C1C", "#FEE2E2"),
    },
    "dark": {
        "text": ("#F1F5F9", "#CBD5E1"),
        "page": ("#0B1220", "#0B1220"),
        "step": ("#93C5FD", "#172554"),
        "pivot": ("#C4B5FD", "#2E1065"),
        "retriable": ("#5EEAD4", "#042F2E"),
        "readonly": ("#CBD5E1", "#0B1220"),
        "compensation": ("#FDBA74", "#431407"),
        "completed": ("#86EFAC", "#052E16"),
        "fails": ("#FCA5A5", "#450A0A"),
    },
}
_COLOURS_OF: Final = {
    "compensatable": "step",
    "start": "completed",
    "compensated": "compensation",
    "fork": "readonly",
    "choice": "readonly",
    "each": "readonly",
}
_MARKS: Final = {
    "pivot": "\N{BLACK DIAMOND SUIT}",
    "compensation": "\N{BLACK LEFT-POINTING POINTER}" * 2,
    "compensated": "\N{BLACK LEFT-POINTING POINTER}" * 2,
    "completed": "\N{SQUARE ROOT}",
}


def shortened(name: str) -> str:
    """A name that fits a box: cut in the middle when it is long."""
    if len(name) <= _LONGEST:
        return name
    half = (_LONGEST - 1) // 2
    return f"{name[:half]}\N{HORIZONTAL ELLIPSIS}{name[-half:]}"


def safe(text: str) -> str:
    """Text for an HTML-like label: escaped, and without what no XML may hold."""
    return escape("".join(x if x.isprintable() else "\N{REPLACEMENT CHARACTER}" for x in text))


def to_dot(diagram: Diagram, *, theme: str = "light") -> Drawing:
    """Draw a diagram; the text is the same in every process."""
    palette = PALETTES[theme]
    ink, muted = palette["text"]
    title = (
        f'<<table border="0" cellborder="0" cellspacing="0"><tr><td align="left">'
        f'<font point-size="16" color="{ink}"><b>{safe(diagram.title)}</b></font></td></tr>'
        f'<tr><td align="left"><font point-size="10.5" color="{muted}">'
        f"{safe(diagram.subtitle)}</font></td></tr></table>>"
    )
    drawing = Drawing(diagram.title, diagram.subtitle)
    across = "LR" if diagram.steps <= _ACROSS else "TB"
    drawing.attr("graph", bgcolor=palette["page"][0], fontname="Helvetica", label=title)
    drawing.attr("graph", labeljust="l", labelloc="t", nodesep="0.5", pad="0.25", rankdir=across)
    drawing.attr("graph", ranksep="0.5")
    drawing.attr("node", fontname="Helvetica", fontsize="12", height="0.5", style="rounded,filled")
    drawing.attr("edge", arrowsize="0.75", fontname="Helvetica", fontsize="10", penwidth="1.5")
    for node in diagram.nodes:
        drawing.node(node.id, **_node(node, palette))
    for edge in diagram.edges:
        _edge(drawing, edge, palette)
        if edge.sort == "undone by":
            drawing.body.append(f"\t{{rank=same; {edge.source}; {edge.target};}}\n")
    return drawing


def _node(node: Node, palette: dict[str, tuple[str, str]]) -> dict[str, str]:
    border, fill = palette[_COLOURS_OF.get(node.sort, node.sort)]
    ink, muted = palette["text"]
    look = {"color": border, "fillcolor": fill, "id": node.id, "penwidth": "1.5", "shape": "box"}
    if node.sort == "start":
        return {
            **look,
            "fixedsize": "true",
            "height": "0.3",
            "label": "",
            "shape": "circle",
            "width": "0.3",
        }
    if node.sort == "fork":
        return {**look, "fontcolor": ink, "label": "+", "shape": "diamond", "style": "filled"}
    if node.sort == "choice":
        look |= {"shape": "diamond", "style": "filled"}
    if node.sort == "pivot":
        look["peripheries"] = "2"
    if node.sort in {"completed", "compensated"}:
        look["penwidth"] = "3.5"
    mark = _MARKS.get(node.sort, "")
    first = f'<font color="{border}">{mark}</font>&#160; ' if mark else ""
    label = f'{first}<font color="{ink}"><b>{safe(shortened(node.label))}</b></font>'
    if node.note:
        label += f'<br/><font point-size="9.5" color="{muted}">{safe(node.note)}</font>'
    return {**look, "label": f"<{label}>", "tooltip": tooltip(f"{node.sort} {node.label}")}


def tooltip(text: str) -> str:
    """Plain text for an attribute: the package quotes it, a backslash would be an escape."""
    return safe(text).replace("\\", "&#92;")


def _edge(drawing: Drawing, edge: Edge, palette: dict[str, tuple[str, str]]) -> None:
    muted = palette["text"][1]
    undo, fails = palette["compensation"][0], palette["fails"][0]
    if edge.sort == "forward":
        label = f'<<font color="{muted}">{safe(edge.label)}</font>>' if edge.label else ""
        drawing.edge(edge.source, edge.target, color=muted, label=label, weight="10")
    elif edge.sort == "undone by":
        drawing.edge(
            edge.source,
            edge.target,
            arrowhead="none",
            color=undo,
            constraint="false",
            style="dotted",
        )
    elif edge.sort == "back":
        # Declared forward and drawn backward, so that the way back lies beside the way there.
        drawing.edge(edge.target, edge.source, color=undo, dir="back", style="dashed", weight="10")
    else:
        label = f'<<font color="{fails}">fails</font>>'
        drawing.edge(
            edge.source, edge.target, color=fails, constraint="false", label=label, style="dashed"
        )
