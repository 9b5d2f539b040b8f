"""
From a layout to the flow of a saga: forward one way, the way back the other.

One walk. Each block is told where one comes from and where one goes when it turns back (``back``),
and answers the same two things for what comes after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, TypeAlias

import attrs

from saga_fsm.definition import Kind, Saga
from saga_fsm.definition.layout import (
    Placed,
    PlacedAlternatives,
    PlacedChoice,
    PlacedEach,
    PlacedParallel,
    PlacedScope,
    PlacedStep,
    lay_out,
)
from saga_fsm.drawing._diagram import Diagram, Edge, Frame, Node
from saga_fsm.drawing._text import shortened, slug


ACROSS = 5  # up to so many steps go left to right, more top down
STEPS = frozenset(kind.value for kind in Kind)
_WORDS = {
    Kind.COMPENSATABLE: "compensatable",
    Kind.PIVOT: "pivot: point of no return",
    Kind.RETRIABLE: "retriable",
    Kind.READONLY: "read-only",
}


@attrs.frozen
class _Exit:
    """Where a block is left, and the label of the arrow that leaves."""

    node: str
    label: str = ""


@attrs.frozen
class _Back:
    """Where one goes when it turns back: a compensation, or the frame around several."""

    node: str
    frame: str = ""


_Exits: TypeAlias = tuple[_Exit, ...]
_Backs: TypeAlias = tuple[_Back, ...]
_Ways: TypeAlias = tuple[_Exits, _Backs]
_START: _Exits = (_Exit("start"),)
_UNDONE: _Backs = (_Back("end-compensated"),)


class _Walk:
    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.edges: dict[Edge, None] = {}
        self.frames: list[Frame] = []
        self.levels: list[tuple[str, ...]] = []
        self.frame = ""
        # How many blocks with more than one branch are around: their nodes keep to no lane.
        self.beside = 0
        self.blocks = 0

    # ------------------------------------------------------------------ marks on the paper

    def node(self, name: str, sort: str, label: str = "", **more: Any) -> str:
        lane = "" if self.beside else "forward"
        self.nodes.append(Node(name, sort, label, frame=self.frame, lane=lane, **more))
        return name

    def edge(self, source: str, target: str, sort: str, **more: Any) -> None:
        self.edges[Edge(source, target, sort, **more)] = None

    def enter(self, before: _Exits, node: str) -> None:
        for way in before:
            self.edge(way.node, node, "forward", label=way.label)

    def turn(self, source: str, back: _Backs, sort: str) -> None:
        for way in back:
            label = "fails" if sort == "fails" else ""
            self.edge(source, way.node, sort, label=label, target_frame=way.frame)

    def undo(self, of: Iterable[str], path: str, function: Any, back: _Backs) -> _Backs:
        """A compensation, level with what ``of`` names; beside others it says whose it is."""
        label = getattr(function, "__name__", "") or type(function).__name__
        name = f"comp-{slug(path)}"
        note = f"of {shortened(path)}" if self.beside else ""
        lane = "" if self.beside else "back"
        tip = f"compensation {label} of {path}"
        self.nodes.append(Node(name, "compensation", label, note, tip, lane=lane))
        for node in of:
            self.edge(node, name, "level" if self.beside else "undone by")
            self.levels.append((node, name))
        self.turn(name, back, "back")
        return (_Back(name),)

    # ------------------------------------------------------------------ blocks

    def sequence(self, body: tuple[Placed, ...], before: _Exits, back: _Backs) -> _Ways:
        for block in body:
            before, back = self.block(block, before, back)
        return before, back

    def block(self, block: Placed, before: _Exits, back: _Backs) -> _Ways:
        if isinstance(block, PlacedStep):
            return self.step(block, before, back)
        if isinstance(block, PlacedScope):
            return self.scope(block, before, back)
        if isinstance(block, PlacedParallel):
            return self.parallel(block, before, back)
        if isinstance(block, PlacedChoice):
            return self.choice(block, before, back)
        if isinstance(block, PlacedEach):
            return self.each(block, before, back)
        return self.alternatives(block, before, back)

    def step(self, placed: PlacedStep, before: _Exits, back: _Backs) -> _Ways:
        path = without_index(placed.path)
        name = self.node(
            f"step-{slug(path)}",
            placed.kind.value,
            path.rpartition("/")[2],
            note=_note(placed),
            tip=f"step {path} ({_WORDS[placed.kind]})",
        )
        self.enter(before, name)
        if placed.step.compensate is not None:
            back = self.undo([name], path, placed.step.compensate, back)
        elif placed.kind is Kind.PIVOT or not (placed.tail or placed.gated):
            self.turn(name, back, "fails")
        return (_Exit(name),), back

    def scope(self, scope: PlacedScope, before: _Exits, back: _Backs) -> _Ways:
        if scope.saga is None:
            return self.sequence(scope.body, before, back)
        path = without_index(scope.path)
        outer, self.frame = self.frame, f"saga-{slug(path)}"
        self.frames.append(Frame(self.frame, f"saga {scope.saga.name}", outer))
        ends, last = self.sequence(scope.body, before, back)
        self.frame = outer
        if scope.compensate is None:
            return ends, last
        nodes = dict.fromkeys(end.node for end in ends)
        return ends, self.undo(nodes, path, scope.compensate, back)

    def parallel(self, block: PlacedParallel, before: _Exits, back: _Backs) -> _Ways:
        self.blocks += 1
        number, first, known = self.blocks, len(self.nodes), len(self.edges)
        fork = self.node(f"fork-{number}", "fork", tip="all branches start")
        self.enter(before, fork)
        self.beside += 1
        ways = [self.block(branch, (_Exit(fork),), back) for branch in block.branches]
        self.beside -= 1
        join = self.node(f"join-{number}", "fork", tip="all branches are done")
        self.enter(tuple(end for ends, _ in ways for end in ends), join)
        # What has nothing to undo leaves the way back to its siblings.
        last = dict.fromkeys(way for _, undone in ways if undone != back for way in undone)
        after = self.framed(f"undo-{number}", tuple(last), back, first, known)
        return (_Exit(join),), after or back

    def framed(self, name: str, last: _Backs, back: _Backs, first: int, known: int) -> _Backs:
        """One frame around the compensations of branches: one arrow in, one out."""
        own = [x.id for x in self.nodes[first:] if x.sort == "compensation" and not x.frame]
        within = set(own)
        edges = list(self.edges)
        after = last
        if self.beside == 0 and len(last) > 1:
            self.frames.append(Frame(name, "undone at the same time"))
            self.nodes = [
                attrs.evolve(node, frame=name) if node.id in within else node for node in self.nodes
            ]
            after = (_Back(last[len(last) // 2].node, name),)
            leaving = [e for e in edges if e.source in within and e.target not in within]
            middle = leaving[len(leaving) // 2].source
            edges = [
                attrs.evolve(e, source=middle, source_frame=name) if e in leaving else e
                for e in edges
            ]
        # A branch without an undo of its own fails into the undoing of its siblings.
        for i, edge in enumerate(edges[known:], known):
            if edge.sort == "fails" and after and _Back(edge.target, edge.target_frame) in back:
                edges[i] = attrs.evolve(edge, target=after[0].node, target_frame=after[0].frame)
        self.edges = dict.fromkeys(edges)
        return after

    def choice(self, block: PlacedChoice, before: _Exits, back: _Backs) -> _Ways:
        path = without_index(block.path)
        at = self.node(
            f"choice-{slug(path)}", "choice", path.rpartition("/")[2], tip=f"choice {path}"
        )
        self.enter(before, at)
        after: dict[_Exit, None] = {}
        last: dict[_Back, None] = {}
        self.beside += 1
        for label, branch in block.branches:
            way = _Exit(at, label)
            ends, undone = ((way,), back) if branch is None else self.block(branch, (way,), back)
            after.update(dict.fromkeys(ends))
            last.update(dict.fromkeys(undone))
        self.beside -= 1
        return tuple(after), tuple(last)

    def each(self, block: PlacedEach, before: _Exits, back: _Backs) -> _Ways:
        path = without_index(block.path)
        outer, self.frame = self.frame, f"items-{slug(path)}"
        self.frames.append(Frame(self.frame, "", outer))
        how = "at the same time" if block.concurrent else "in order"
        at = self.node(
            f"each-{slug(path)}",
            "each",
            f"each {path.rpartition('/')[2]}",
            note=f"up to {len(block.body)} items, {how}",
            tip=f"each {path}: one copy of what is in the frame per item",
        )
        self.enter(before, at)
        # The copies are alike: one stands for all, in one frame.
        body = block.body[0]
        if isinstance(body, PlacedScope) and body.compensate is None:
            ways = self.sequence(body.body, (_Exit(at),), back)
        else:
            ways = self.block(body, (_Exit(at),), back)
        self.frame = outer
        return ways

    def alternatives(self, block: PlacedAlternatives, before: _Exits, back: _Backs) -> _Ways:
        path = without_index(block.path)
        at = self.node(
            f"try-{slug(path)}",
            "alternatives",
            path.rpartition("/")[2],
            note="the first that works",
            tip=f"alternatives {path}: tried in order",
        )
        self.enter(before, at)
        after: dict[_Exit, None] = {}
        last: dict[_Back, None] = {}
        self.beside += 1
        starts = []
        for number, option in enumerate(block.options, 1):
            starts.append(len(self.edges))
            ends, undone = self.block(option, (_Exit(at, f"{number}."),), back)
            after.update(dict.fromkeys(ends))
            last.update(dict.fromkeys(undone))
        self.beside -= 1
        self.go_on(at, back, starts)
        return tuple(after), tuple(last)

    def go_on(self, at: str, back: _Backs, starts: list[int]) -> None:
        """An option that fails, once undone, leads to the next one; only the last leads back."""
        edges = list(self.edges)
        entries = {e.label: e.target for e in edges if e.source == at}
        backs = {way.node for way in back}
        drawn = edges[: starts[0]]
        for number, (first, end) in enumerate(pairwise(starts), 2):
            entry, label = entries[f"{number}."], f"then {number}."
            for edge in edges[first:end]:
                leads_back = edge.target in backs
                if edge.sort != "fails" or not leads_back:
                    drawn.append(edge)
                if edge.sort in {"fails", "back"} and leads_back:
                    drawn.append(Edge(edge.source, entry, "fails", label))
        self.edges = dict.fromkeys(drawn + edges[starts[-1] :])


def without_index(path: str) -> str:
    """A path as it is shown: one copy stands for all, so its index is left out."""
    return re.sub(r"\[\d+\]", "", path)


def _note(placed: PlacedStep) -> str:
    """The second line: how often it is tried, and how long one try may take."""
    pause = placed.step.pause_for
    if pause is not None:
        return "waits" if callable(pause) else f"waits {pause:g} s"
    parts = []
    if placed.retry.bound == "forever":
        parts.append("retry until known" if placed.kind is Kind.PIVOT else "retry until done")
    elif placed.retry.bound == "bounded":
        parts.append(f"{placed.retry.attempts} attempts")
    if placed.timeout is not None:
        parts.append(f"{placed.timeout:g} s")
    return ", ".join(parts)


def flow(saga: Saga[Any, Any, Any], *, checked: str = "") -> Diagram:
    """The flow of a saga, drawn step by step; ``checked`` is what a check said of it."""
    walk = _Walk()
    walk.node("start", "start", tip="start")
    ends, _ = walk.sequence(lay_out(saga).root.body, _START, _UNDONE)
    walk.node("end-completed", "completed", "completed", tip="end: completed")
    walk.enter(ends, "end-completed")
    steps = [node for node in walk.nodes if node.sort in STEPS]
    across = len(steps) <= ACROSS
    if any(edge.target == "end-compensated" for edge in walk.edges):
        tip = "end: compensated"
        undone = Node("end-compensated", "compensated", "compensated", tip=tip, lane="back")
        walk.nodes.append(undone)
        first = walk.nodes[1].id
        beside = across or any(first in level for level in walk.levels)
        level = "start" if beside else first
        walk.levels.insert(0, (level, undone.id))
        walk.edge(level, undone.id, "level")
    return Diagram(
        "flow",
        saga.name,
        _subtitle(saga, walk.nodes, checked),
        across,
        tuple(walk.nodes),
        tuple(walk.edges),
        tuple(walk.frames),
        tuple(walk.levels),
    )


def _subtitle(saga: Saga[Any, Any, Any], nodes: list[Node], checked: str) -> str:
    steps = sum(node.sort in STEPS for node in nodes)
    undone = sum(node.sort == "compensation" for node in nodes)
    pivots = [node.label for node in nodes if node.sort == "pivot"]
    parts = [counted(steps, "step"), counted(undone, "compensation")]
    if pivots:
        parts.append(f"pivot {pivots[0]}" if len(pivots) == 1 else f"{len(pivots)} pivots")
    if saga.deadline is not None:
        parts.append(f"deadline {saga.deadline:g} s")
    if checked:
        parts.append(checked)
    return " \N{MIDDLE DOT} ".join(parts)


def counted(number: int, noun: str) -> str:
    """A number and its noun."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
