"""A diagram as DOT, in the house's style: kinds by shape and words, never by colour alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from saga_fsm.drawing._diagram import Diagram, Edge, Frame, Node
from saga_fsm.drawing._drawing import Drawing
from saga_fsm.drawing._labels import box, font, ledger, title, width
from saga_fsm.drawing._palette import THEMES, Theme
from saga_fsm.drawing._text import plain, shortened


def to_dot(diagram: Diagram, *, theme: str = "light") -> Drawing:
    """Write a diagram down; the package sorts attributes, so equal diagrams give equal text."""
    colours = THEMES[theme]
    drawing = Drawing(diagram.title, diagram.subtitle)
    defaults(drawing, diagram, colours)
    for node in diagram.nodes:
        drawing.node(node.id, **_node(node, colours))
    for frame in diagram.frames:
        if not frame.parent:
            drawing.body.extend(_frame(frame, diagram, colours, "\t"))
    for level in diagram.levels:
        names = "; ".join(f'"{name}"' for name in level)
        drawing.body.append(f"\t{{rank=same; {names}}}\n")
    lanes = {node.id: node.lane for node in diagram.nodes}
    for edge in diagram.edges:
        source, target, look = _edge(edge, diagram, lanes, colours)
        drawing.edge(source, target, **look)
    return drawing


def defaults(drawing: Drawing, diagram: Diagram, theme: Theme) -> None:
    """Set what all nodes and arrows share, and the head of the picture."""
    machine = diagram.view in {"machine", "path"}
    drawing.attr(
        "graph",
        bgcolor=theme.page,
        compound="true",
        fontname="Helvetica",
        label=title(diagram, theme),
        labeljust="l",
        labelloc="t",
        newrank="true",
        nodesep="0.5" if diagram.across else "0.35",
        pad="0.25",
        rankdir="LR" if diagram.across else "TB",
        ranksep="0.75" if machine else "0.5" if diagram.across else "0.35",
        tooltip=plain(diagram.title),
    )
    drawing.attr(
        "node",
        fontname="Helvetica",
        fontsize="12",
        height="0.52",
        margin="0",
        penwidth="1.5",
        shape="box",
        style="rounded,filled",
    )
    drawing.attr(
        "edge",
        arrowsize="0.75",
        color=theme.muted,
        fontname="Helvetica",
        fontsize="10",
        penwidth="1.5",
    )


# ---------------------------------------------------------------------- nodes


def _node(node: Node, theme: Theme) -> dict[str, str]:
    look = {"class": node.sort, "id": node.id, "tooltip": plain(node.tip or node.label)}
    look["URL"] = node.link or f"#{node.id}"
    if node.lane:
        look["group"] = node.lane
    if node.sort == "ledger":
        return look | {"label": ledger(node, theme), "shape": "plain", "style": "solid"}
    border, fill = (theme.faint, theme.page) if node.grey else theme.pair(node.sort)
    look |= {"color": border, "fillcolor": fill}
    if node.sort == "start":
        size = {"fixedsize": "true", "height": "0.3", "width": "0.3"}
        return look | size | {"fillcolor": theme.page, "label": "", "shape": "circle"}
    if node.sort == "fork":
        size = {"fixedsize": "true", "height": "0.5", "width": "0.5"}
        plus = f"<{font('+', theme.ink, 18, bold=True)}>"
        return look | size | {"label": plus, "shape": "diamond", "style": "filled"}
    return look | _shape(node) | {"label": box(node, theme), "width": width(node)}


def _shape(node: Node) -> dict[str, str]:
    lines = {"height": f"{0.38 + 0.15 * (len(node.marks) + 1):.2f}"} if node.marks else {}
    if node.sort == "pivot":
        return {"penwidth": "1.2", "peripheries": "2"} | lines
    if node.sort in {"completed", "compensated"}:
        return {"penwidth": "3.5"} | (lines or {"height": "0.4" if not node.note else "0.52"})
    if node.sort == "stuck":
        return {"height": "0.62", "shape": "octagon", "style": "filled"} | lines
    if node.sort in {"choice", "alternatives"}:
        return {"shape": "hexagon", "style": "filled"}
    if node.sort == "readonly":
        return {"style": "filled"} | lines
    return lines


def _frame(frame: Frame, diagram: Diagram, theme: Theme, indent: str) -> Iterable[str]:
    label = f"<{font(shortened(frame.title, 40), theme.muted, 9.5)}>" if frame.title else '""'
    # Where arrows rarely come in.
    side = "r" if diagram.across or frame.id.startswith("undo-") else "l"
    look = (
        f'color="{theme.faint}" fillcolor="{theme.panel}" id="{frame.id}" label={label} '
        f'labeljust={side} margin=10 style="rounded,filled"'
    )
    yield f'{indent}subgraph "cluster_{frame.id}" {{\n{indent}\tgraph [{look}]\n'
    for inner in diagram.frames:
        if inner.parent == frame.id:
            yield from _frame(inner, diagram, theme, f"{indent}\t")
    for node in diagram.nodes:
        if node.frame == frame.id:
            yield f'{indent}\t"{node.id}"\n'
    yield f"{indent}}}\n"


# ---------------------------------------------------------------------- edges


def _edge(
    edge: Edge, diagram: Diagram, lanes: Mapping[str, str], theme: Theme
) -> tuple[str, str, dict[str, str]]:
    """The ends as they are declared, and the look; the way back is declared the other way round."""
    look = dict(_look(edge, diagram, lanes, theme))
    ends = {"ltail": edge.source_frame, "lhead": edge.target_frame}
    source, target = edge.source, edge.target
    if edge.sort == "back":
        source, target = target, source
        ends = {"lhead": edge.source_frame, "ltail": edge.target_frame}
    look |= {end: f"cluster_{frame}" for end, frame in ends.items() if frame}
    if edge.both:
        look["dir"] = "both"
    if edge.numbers:
        look |= {"color": theme.bad, "penwidth": "3.2", "style": "solid"}
    elif edge.grey:
        look |= {"color": theme.faint, "penwidth": "1"}
    if edge.label or edge.numbers:
        color = theme.grey if edge.grey else look.get("fontcolor", look.get("color", theme.muted))
        # A failure does not shape the layout, so its words must not either. Left to right there is
        # room for the one word that is below the lane; Graphviz forgets other labels there.
        roomy = diagram.across and edge.label == "fails"
        free = edge.sort == "fails" and diagram.view == "flow" and not roomy
        page = "" if diagram.view == "flow" else theme.page
        look["xlabel" if free else "label"] = _label(edge, color, page, across=diagram.across)
    return source, target, look


def _look(
    edge: Edge, diagram: Diagram, lanes: Mapping[str, str], theme: Theme
) -> Mapping[str, str]:
    if edge.sort == "forward":
        straight = lanes[edge.source] == lanes[edge.target] == "forward"
        return {"weight": "50" if straight else "5"}
    apart = {} if diagram.across else {"minlen": "3"}
    if edge.sort == "level":
        return {"style": "invis", **apart}
    if edge.sort == "undone by":
        look = {"arrowhead": "none", "color": theme.undo, "penwidth": "2", "style": "dotted"}
        return look | {"tooltip": "undone by"} | apart
    if edge.sort == "back":
        # Declared forward and drawn backward, so that the way back lies beside the way there.
        return {"color": theme.undo, "dir": "back", "style": "dashed", "weight": "20"}
    # Where lanes keep the order, what crosses them must not change it.
    free = {"constraint": "false"} if any(lanes.values()) else {}
    if edge.sort == "operator":
        return {"color": theme.pair("pivot")[0], "style": "dotted", **free}
    return {"color": theme.bad, "style": "dashed", **free}


def _label(edge: Edge, color: str, page: str, *, across: bool) -> str:
    """The words on an arrow; on a page of their own where arrows cross."""
    lines = [font(shortened(line, 40), color) for line in edge.label.splitlines()]
    if edge.numbers:
        numbers = font(", ".join(map(str, edge.numbers)), color, bold=True)
        lines[:1] = [f"{numbers}&#160; {lines[0] if lines else ''}"]
    if not page:
        return f"<&#160;{'<br/>'.join(lines)}&#160;>"
    # Beside an arrow that goes down, not on it.
    room = "" if across else '<td width="6"></td>'
    rows = "".join(f'<tr>{room}<td bgcolor="{page}">{line}</td></tr>' for line in lines)
    table = '<table border="0" cellborder="0" cellpadding="0" cellspacing="0">'
    return f"<{table}{rows}</table>>"
