"""HTML-like labels: what stands inside the boxes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from typing import Final

from saga_fsm.drawing._diagram import Diagram, Node, Note, Row
from saga_fsm.drawing._palette import Theme
from saga_fsm.drawing._text import inches, markup, shortened


MARKS: Final = {
    "pivot": "\N{BLACK DIAMOND SUIT}",
    "compensation": "\N{BLACK LEFT-POINTING POINTER}" * 2,
    "compensated": "\N{BLACK LEFT-POINTING POINTER}" * 2,
    "completed": "\N{SQUARE ROOT}",
    "stuck": "!",
    "choice": "?",
}
_ESCAPE: Final = re.compile(r"(?<=\\)(?=.)", re.DOTALL)
_LEFT: Final = 'border="1" sides="L"'
_NOTE: Final = 44
_LINE: Final = 104
_SAYS: Final = {
    "pivot": "point of no return",
    "retriable": "retry until done",
    "readonly": "no undo needed",
    "compensatable": "",
}


def font(text: str, color: str, points: float = 0.0, *, bold: bool = False) -> str:
    """Any text in a colour."""
    size = f' point-size="{points:g}"' if points else ""
    # Graphviz reads the escape for a node's name, and its like, within one run of text, however it
    # is written: so no run goes on after a backslash.
    runs = [markup(run) for run in _ESCAPE.split(text)]
    if bold:
        runs = [f"<b>{run}</b>" for run in runs]
    return "".join(f'<font color="{color}"{size}>{run}</font>' for run in runs)


def box(node: Node, theme: Theme) -> str:
    """The lines of a node: name, note, and what happened in it."""
    border = theme.grey if node.grey else theme.pair(node.sort)[0]
    ink = theme.grey if node.grey else theme.ink
    text = font(shortened(node.label), ink, bold=True)
    if mark := MARKS.get(node.sort):
        text = f"{font(mark, border)}&#160; {text}"
    if node.note:
        muted = theme.grey if node.grey else theme.muted
        text += f"<br/>{font(shortened(node.note, _NOTE), muted, 9.5)}"
    for line in node.marks:
        text += f"<br/>{font(shortened(line, _NOTE), theme.bad, 9.5)}"
    return f"<{text}>"


def width(node: Node) -> str:
    """How wide a box must be, in inches: engines measure with fonts that they may not have."""
    bold = inches(shortened(node.label)) + (0.3 if node.sort in MARKS else 0.0)
    lines = (inches(shortened(line, _NOTE), 9.5) for line in (node.note, *node.marks))
    room = 0.85 if node.sort in {"choice", "alternatives", "stuck"} else 0.4
    return f"{max(bold, *lines) + room:.2f}"


def title(diagram: Diagram, theme: Theme) -> str:
    """The head of the picture, and the note beneath it."""
    lines = [font(shortened(diagram.title, 80), theme.ink, 16, bold=True)]
    lines += [font(line, theme.muted, 10.5) for line in diagram.subtitle.splitlines()]
    if diagram.note is not None:
        lines.append(_noted(diagram.note, theme))
    return "<" + _table(lines, 'cellpadding="2"', below=10) + ">"


def _noted(note: Note, theme: Theme) -> str:
    color, fill = theme.pair("stuck") if note.bad else (theme.muted, theme.panel)
    lines = [font(f"! {note.title}" if note.bad else note.title, color, 12, bold=True)]
    lines += [font(part, theme.ink, 10) for line in note.lines for part in wrapped(line)]
    attributes = f'style="rounded" color="{color}" bgcolor="{fill}" cellpadding="3"'
    return _table(lines, attributes, border=1)


def wrapped(line: str) -> Iterable[str]:
    """A line in pieces that fit; nothing is left out, since it may be there to be copied."""
    return textwrap.wrap(line, _LINE, subsequent_indent="  ", break_on_hyphens=False) or [""]


def _table(lines: Iterable[str], attributes: str, *, border: int = 0, below: int = 0) -> str:
    rows = "".join(f'<tr><td align="left">{line}</td></tr>' for line in lines)
    rows += f'<tr><td height="{below}"></td></tr>' if below else ""
    return f'<table border="{border}" cellborder="0" cellspacing="0" {attributes}>{rows}</table>'


def ledger(node: Node, theme: Theme) -> str:
    """A table: one row a step, its undo beside it."""
    head = font(node.label, theme.ink, 12, bold=True)
    head += font(f"  {node.note}", theme.muted, 9.5)
    rows = (
        f'<tr><td colspan="3" align="left" bgcolor="{theme.panel}" cellpadding="6">{head}</td></tr>'
    )
    rows += "".join(_row(row, theme) for row in node.rows)
    return (
        f'<<table border="1" color="{theme.faint}" bgcolor="{theme.page}" cellborder="0" '
        f'cellspacing="1" cellpadding="3" style="rounded">{rows}</table>>'
    )


def _row(row: Row, theme: Theme) -> str:
    pivot = row.step.sort == "pivot"
    mark = font(f"{MARKS['pivot']} ", theme.pair("pivot")[0], 10.5) if pivot else ""
    name = mark + font(shortened(row.step.label), theme.ink, 10.5, bold=pivot)
    cells = f'<td align="right">{font(str(row.number), theme.muted, 9)}</td>'
    cells += _cell(row.step, name, 'border="2"' if pivot else _LEFT, theme)
    if row.undo is None:
        says = font(_SAYS[row.step.sort], theme.grey, 9.5)
        return f'<tr>{cells}<td align="left">{says}</td></tr>'
    text = font(f"{MARKS['compensation']} ", theme.undo, 9.5)
    text += font(shortened(row.undo.label), theme.ink, 9.5)
    cells += _cell(row.undo, text, _LEFT, theme)
    return f"<tr>{cells}</tr>"


def _cell(node: Node, text: str, sides: str, theme: Theme) -> str:
    """A cell that is found, and told, like a box; Graphviz sets the ``a_`` before its id."""
    border, fill = theme.pair(node.sort)
    tip = markup(node.tip).replace("\\", "\\" * 4)
    return (
        f'<td align="left" {sides} color="{border}" bgcolor="{fill}" href="#a_{node.id}" '
        f'id="{node.id}" tooltip="{tip}">{text}</td>'
    )
