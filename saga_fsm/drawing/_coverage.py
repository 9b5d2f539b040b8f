"""
How often each row of a machine's table was taken, as a heat map.

A box a step, one beneath for its undo, one for what late answers and operators do; in a box a line
a row, so that each row stands in the picture exactly once. Arrows show how boxes follow each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, TypeAlias

import attrs

from saga_fsm.drawing._diagram import Diagram, Note
from saga_fsm.drawing._dot import defaults
from saga_fsm.drawing._drawing import Drawing
from saga_fsm.drawing._flow import without_index
from saga_fsm.drawing._labels import MARKS, font
from saga_fsm.drawing._palette import HEAT, THEMES, Theme, heated
from saga_fsm.drawing._text import inches, markup, plain, shortened, slug
from saga_fsm.machine import Machine, Row


__all__ = ["coverage_drawing"]

Lane: TypeAlias = Literal["forward", "undo", "operator", "whole"]
_ACROSS: Final = 8
_LISTED: Final = 8
_WORDS: Final = 46
_UNDONE: Final = frozenset({"compensating", "compensation_waiting"})
_BROKEN: Final = frozenset({"compensation_failed", "alarm", "stuck"})
_WHOLE: Final = "@"
_LANES: Final = {"undo": "undo of ", "operator": "late or by an operator: "}


@attrs.define
class _Line:
    """The rows of one box that read the same: one, or one a copy of an ``each``."""

    words: str
    rows: list[int]


@attrs.define
class _Box:
    """The rows of one step in one lane."""

    unit: str
    lane: Lane
    lines: dict[str, _Line] = attrs.field(factory=dict)

    @property
    def id(self) -> str:
        return f"rows-{self.lane}-{slug(self.unit)}"


def coverage_drawing(found: Any, *, theme: str = "light") -> Drawing:
    """
    Draw what a search has taken of a machine.

    Args:
        found: an ``Exploration``, or what has its attributes.
        theme: "light" or "dark".
    """
    return _Heat(found, THEMES[theme], HEAT[theme]).drawing()


class _Heat:
    def __init__(self, found: Any, theme: Theme, ramp: Sequence[tuple[str, str]]) -> None:
        self.found = found
        self.machine: Machine = found.machine
        self.theme = theme
        self.ramp = ramp
        self.most = max(found.taken.values(), default=1)
        self.boxes = _boxes(self.machine)
        self.units = list(dict.fromkeys(unit for unit, _ in self.boxes if unit != _WHOLE))

    def drawing(self) -> Drawing:
        diagram = self._head()
        drawing = Drawing(diagram.title, diagram.subtitle)
        defaults(drawing, diagram, self.theme)
        for name, sort in (("new", "readonly"), ("completed", "completed")):
            self._end(drawing, name, sort)
        if any(lane == "undo" for _, lane in self.boxes):
            self._end(drawing, "compensated", "compensated")
        for box in self.boxes.values():
            drawing.node(box.id, **self._node(box))
        for unit in self.units:
            beside = [f'"{box.id}"' for box in self.boxes.values() if box.unit == unit]
            drawing.body.append(f"\t{{rank=same; {'; '.join(beside)}}}\n")
        for source, target, count, way in self._arrows():
            drawing.edge(source, target, **self._arrow(count, way))
        return drawing

    # ------------------------------------------------------------------ words

    def _head(self) -> Diagram:
        found = self.found
        taken, missed = len(found.taken), len(found.missed)
        dot = " \N{MIDDLE DOT} "
        cut = "" if found.complete else f"{dot}the tour was cut short"
        figures = (
            f"{found.runs:,} runs{dot}{taken:,} of {taken + missed:,} rows taken "
            f"({found.coverage:.1%}){dot}{len(found.outside):,} that no plan can take{cut}"
        )
        key = "each line a row of the table, with the runs that took it: the deeper, the more"
        notes = None
        if found.missed:
            rows = [*found.missed[:_LISTED]]
            more = missed - len(rows)
            rows += [f"and {more} more"] if more else []
            notes = Note(f"{missed} never taken, though a plan could", tuple(rows), bad=True)
        return Diagram(
            "machine",
            f"{found.saga}{dot}transition coverage",
            f"{figures}\n{key}",
            len(self.units) <= _ACROSS,
            (),
            (),
            note=notes,
        )

    def _end(self, drawing: Drawing, name: str, sort: str) -> None:
        border, fill = self.theme.pair(sort)
        mark = f"{font(MARKS[name], border)}&#160; " if name in MARKS else ""
        drawing.node(
            f"state-{name}",
            id=f"state-{name}",
            label=f"<{mark}{font(name, self.theme.ink, bold=True)}>",
            color=border,
            fillcolor=fill,
            penwidth="3.5" if name in MARKS else "1.5",
            tooltip=name,
            width=f"{inches(name) + 0.8:.2f}",
        )

    # ------------------------------------------------------------------ boxes

    def _node(self, box: _Box) -> dict[str, str]:
        sort = {"forward": self._kind(box.unit), "undo": "compensation"}.get(box.lane, "readonly")
        sort = "stuck" if box.lane == "operator" else sort
        border = self.theme.pair(sort)[0]
        short = box.unit.rpartition("/")[2]
        name = "the run as a whole" if box.unit == _WHOLE else short
        mark = f"{font(MARKS[sort], border)}&#160; " if sort in MARKS else ""
        says = "late or by an operator" if box.lane == "operator" else ""
        head = f"{mark}{font(shortened(name), self.theme.ink, 12, bold=True)}"
        head += f"<br/>{font(says, self.theme.muted, 9.5)}" if says else ""
        fill = self.theme.panel
        rows = f'<tr><td colspan="2" bgcolor="{fill}" cellpadding="5">{head}</td></tr>'
        rows += "".join(self._line(line) for line in box.lines.values())
        width = "2" if sort == "pivot" else "1"
        table = (
            f'<table border="{width}" color="{border}" bgcolor="{self.theme.page}" cellborder="0" '
            f'cellspacing="1" cellpadding="3">{rows}</table>'
        )
        tip = plain(f"{_LANES.get(box.lane, '')}{name}")
        look = {"label": f"<{table}>", "shape": "plain", "style": "solid", "id": box.id}
        return look | {"tooltip": tip, "class": f"rows {box.lane}", "group": box.lane}

    def _line(self, line: _Line) -> str:
        counts = [self.found.taken.get(number, 0) for number in line.rows]
        rows = [str(self.machine.rows[number]) for number in line.rows]
        never = [row for row, count in zip(rows, counts, strict=True) if not count]
        reasons = [self.found.outside[row] for row in never if row in self.found.outside]
        count, words = max(counts), shortened(line.words, _WORDS)
        if len(never) > len(reasons):
            many = f"{len(never) - len(reasons)} copies never" if count else "never"
            color, fill = self.theme.pair("stuck")
            number, text = font(many, color, 9.5, bold=True), font(words, color, 10)
            tip = f"never taken: {never[0]}"
        elif not count:
            fill = self.theme.page
            number, text = (
                font("cannot be", self.theme.grey, 9.5),
                font(words, self.theme.grey, 10),
            )
            tip = f"cannot be taken: {reasons[0]}: {rows[0]}"
        else:
            fill, ink = heated(self.ramp, count / self.most)
            number, text = font(f"{count:,}", ink, 9.5, bold=True), font(words, self.theme.ink, 10)
            tip = f"in {count:,} runs: {rows[0]}"
        place = f"row-{line.rows[0]}"
        link = f'href="#a_{place}" id="{place}" tooltip="{_tip(tip)}"'
        return (
            f'<tr><td align="right" bgcolor="{fill}" {link}>{number}</td>'
            f'<td align="left">{text}</td></tr>'
        )

    def _kind(self, unit: str) -> str:
        return next(
            (
                kind
                for automaton in self.machine.automata
                if without_index(automaton.path) == unit
                for kind in automaton.traits
                if kind in {"compensatable", "pivot", "retriable", "readonly"}
            ),
            "readonly",
        )

    # ------------------------------------------------------------------ arrows

    def _arrow(self, count: int, way: str) -> dict[str, str]:
        if not count:
            look = {"color": self.theme.faint, "style": "dashed", "penwidth": "1"}
            words, color = "", self.theme.grey
        else:
            thick = 1 + 3 * (count / self.most) ** 0.5
            color = self.theme.undo if way == "back" else self.theme.muted
            look = {"color": color, "penwidth": f"{thick:.1f}"}
            words = f"{count:,}"
        # The way back is declared forward and drawn backward, so that it lies beside the way there.
        look |= {"dir": "back"} if way == "back" else {}
        look |= {} if way == "beside" else {"weight": "20"}
        # Beside, there is no room for it, and it stands in the box.
        if words and way != "beside":
            look["label"] = f"<&#160;{font(words, color)}&#160;>"
        return look

    def _arrows(self) -> Iterable[tuple[str, str, int, str]]:
        """Ends, runs and the way: forward, beside, or back (whose ends are the other way round)."""
        arrows: dict[tuple[str, str, str], int] = {}

        def add(source: str | None, target: str | None, count: int, way: str) -> None:
            if source is not None and target is not None and source != target:
                key = source, target, way
                arrows[key] = max(arrows.get(key, 0), count)

        for number, row in enumerate(self.machine.rows):
            count, words = self.found.taken.get(number, 0), row.name.partition(" ")[0]
            unit, others = without_index(_target(row)), self._others(row)
            if words == "enter":
                for other in others or [""]:
                    add(self._at(other, "forward") or "state-new", self._at(unit), count, "forward")
            elif words == "undo":
                add(self._at(unit, "forward"), self._at(unit, "undo"), count, "beside")
                for other in others:
                    if (box := self._at(other, "undo")) is not None:
                        add(self._at(unit, "undo"), box, self._undone(other), "back")
            elif words.startswith("exhausted"):
                add(self._at(unit, "undo"), self._at(unit, "operator"), count, "beside")
            elif row.name == "@saga done":
                for other in others:
                    add(self._at(other, "forward"), "state-completed", count, "forward")
        for unit, lane in self.boxes:
            if lane == "operator":
                add(self._at(unit, "undo") or self._at(unit), self._at(unit, lane), 0, "beside")
        for unit in self._first_undone():
            add("state-compensated", self._at(unit, "undo"), self._undone(unit), "back")
        return [(*ends[:2], count, ends[2]) for ends, count in arrows.items()]

    def _others(self, row: Row) -> list[str]:
        own = without_index(_target(row))
        paths = [without_index(row.automata[v].path) for v, _ in row.guard]
        return [x for x in dict.fromkeys(paths) if x != own and x in self.units]

    def _first_undone(self) -> list[str]:
        """Units whose undo no other undo waits for: after theirs the run is compensated."""
        waited = {
            other
            for row in self.machine.rows
            if row.name.startswith("undo ")
            for other in self._others(row)
        }
        return [unit for unit, lane in self.boxes if lane == "undo" and unit not in waited]

    def _undone(self, unit: str) -> int:
        return max(
            (
                self.found.taken.get(number, 0)
                for number, row in enumerate(self.machine.rows)
                if row.name.startswith("compensated(") and without_index(_target(row)) == unit
            ),
            default=0,
        )

    def _at(self, unit: str, lane: Lane = "forward") -> str | None:
        box = self.boxes.get((unit, lane))
        return None if box is None else box.id


# ---------------------------------------------------------------------- rows


def _boxes(machine: Machine) -> dict[tuple[str, Lane], _Box]:
    """Each row in its box; boxes in the order of the definition, the run as a whole at the end."""
    boxes: dict[tuple[str, Lane], _Box] = {}
    units = [without_index(x.path) for x in machine.automata if not _is_whole(x.path)]
    for unit in dict.fromkeys(units):
        for lane in ("forward", "undo", "operator"):
            boxes[unit, lane] = _Box(unit, lane)
    boxes[_WHOLE, "whole"] = _Box(_WHOLE, "whole")
    for number, row in enumerate(machine.rows):
        key = _place(row)
        lines = boxes.setdefault(key, _Box(*key)).lines
        # Copies read the same but for their index; others that do are told apart below.
        lines.setdefault(without_index(str(row)), _Line(_words(row), [])).rows.append(number)
    for box in boxes.values():
        box.lines = _told_apart(box.lines)
    return {key: box for key, box in boxes.items() if box.lines}


def _told_apart(lines: dict[str, _Line]) -> dict[str, _Line]:
    """Where two lines have the same words: what only one of them waits for; undo comes first."""
    alike: dict[str, list[str]] = {}
    for text, line in lines.items():
        alike.setdefault(line.words, []).append(text)
    for texts in alike.values():
        guards = [re.split(r", (?![^{]*\})", text.split(" | ")[1]) for text in texts]
        for text, guard in zip(texts, guards, strict=True) if len(texts) > 1 else ():
            own = [one for one in guard if not all(one in other for other in guards)]
            lines[text].words += f", {', '.join(own)}" if own else ""
    first = [text for text, line in lines.items() if line.words.startswith("undo")]
    return {text: lines[text] for text in [*first, *lines]}


def _is_whole(path: str) -> bool:
    return path.rpartition("/")[2].startswith("@")


def _target(row: Row) -> str:
    """What a row is about: the step of its event, or of the words of an internal one."""
    if row.event is not None:
        return row.event.target
    return row.name.partition(" ")[2]


def _place(row: Row) -> tuple[str, Lane]:
    target = _target(row)
    known = {automaton.path for automaton in row.automata}
    if target not in known or _is_whole(target):
        return _WHOLE, "whole"
    locals_ = _own(row)
    unit = without_index(target)
    if locals_ <= _UNDONE or row.name.startswith("undo "):
        return unit, "undo"
    if locals_ <= _BROKEN or row.name.startswith("late_done"):
        return unit, "operator"
    return unit, "forward"


def _own(row: Row) -> set[str]:
    """The local states in which the step that a row is about takes it."""
    target = _target(row)
    for v, allowed in row.guard:
        if row.automata[v].path == target:
            return {row.automata[v].local(code) for code in allowed}
    return set()


def _words(row: Row) -> str:
    """The row without the name of the box that it stands in, and the state where that matters."""
    if _place(row)[1] == "whole":
        updates = str(row).rpartition(" | ")[2].split(", ")
        return f"{row.name}: {', '.join(one.partition(':=')[2] for one in updates)}"
    target = _target(row)
    word = row.name
    for sign in (f"({target},", f"({target})", f" {target}"):
        word = word.replace(sign, " (" if sign.endswith(",") else "")
    where = sorted(_own(row))
    return f"{word.strip()} ({', '.join(where)})" if where else word.strip()


def _tip(text: str) -> str:
    return markup(text).replace("\\", "\\" * 4)
