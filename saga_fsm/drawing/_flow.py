"""From a layout to a neutral diagram: nodes and edges in a fixed order, no style."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import attrs

from saga_fsm.definition import Kind, Saga
from saga_fsm.definition.layout import (
    Layout,
    Placed,
    PlacedAlternatives,
    PlacedChoice,
    PlacedEach,
    PlacedParallel,
    PlacedScope,
    PlacedStep,
    lay_out,
)


@attrs.frozen
class Node:
    """
    One thing in the picture.

    Args:
        id: stable name, safe in any format: "step1".
        sort: start, completed, compensated, fork, choice, compensation, or a kind of step.
        label: first line, the name as the user wrote it.
        note: second line, small.
    """

    id: str
    sort: str
    label: str = ""
    note: str = ""


@attrs.frozen
class Edge:
    """An arrow: "forward", "undone by" (no arrow), "back" or "fails"; ``label`` of a choice."""

    source: str
    target: str
    sort: str
    label: str = ""


@attrs.frozen
class Diagram:
    """Title, subtitle, nodes and edges, in definition order."""

    title: str
    subtitle: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    steps: int


# Where a block may be left: node id, and the label of the arrow that leaves it.
Ends: TypeAlias = list[tuple[str, str]]


class _Walk:
    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.edges: dict[Edge, None] = {}

    def node(self, sort: str, label: str = "", note: str = "") -> str:
        name = f"{sort}{len(self.nodes)}"
        self.nodes.append(Node(name, sort, label, note))
        return name

    def edge(self, source: str, target: str, sort: str, label: str = "") -> None:
        self.edges[Edge(source, target, sort, label)] = None

    def enter(self, before: Ends, node: str) -> None:
        for source, label in before:
            self.edge(source, node, "forward", label)

    def blocks(
        self, body: tuple[Placed, ...], before: Ends, back: list[str]
    ) -> tuple[Ends, list[str]]:
        """Draw blocks in order; gives where they end and which compensations come last."""
        for block in body:
            before, back = self.block(block, before, back)
        return before, back

    def block(self, block: Placed, before: Ends, back: list[str]) -> tuple[Ends, list[str]]:
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

    def step(self, placed: PlacedStep, before: Ends, back: list[str]) -> tuple[Ends, list[str]]:
        name = self.node(placed.kind.value, _shown(placed), _note(placed))
        self.enter(before, name)
        if placed.step.compensate is not None:
            label = getattr(placed.step.compensate, "__name__", "compensation")
            undo = self.node("compensation", label)
            self.edge(name, undo, "undone by")
            for earlier in back:
                self.edge(undo, earlier, "back")
            return [(name, "")], [undo]
        if placed.kind is Kind.PIVOT:
            for earlier in back:
                self.edge(name, earlier, "fails")
        return [(name, "")], back

    def scope(self, scope: PlacedScope, before: Ends, back: list[str]) -> tuple[Ends, list[str]]:
        ends, last = self.blocks(scope.body, before, back)
        if scope.compensate is None:
            return ends, last
        label = getattr(scope.compensate, "__name__", "compensation")
        undo = self.node("compensation", label, f"undoes all of {scope.path}")
        for source, _ in ends:
            self.edge(source, undo, "undone by")
        for earlier in back:
            self.edge(undo, earlier, "back")
        return ends, [undo]

    def parallel(
        self, block: PlacedParallel, before: Ends, back: list[str]
    ) -> tuple[Ends, list[str]]:
        fork = self.node("fork", "+")
        self.enter(before, fork)
        join_from: Ends = []
        last: dict[str, None] = {}
        for branch in block.branches:
            ends, undone = self.block(branch, [(fork, "")], back)
            join_from.extend(ends)
            last.update(dict.fromkeys(undone))
        join = self.node("fork", "+")
        self.enter(join_from, join)
        return [(join, "")], list(last)

    def choice(self, block: PlacedChoice, before: Ends, back: list[str]) -> tuple[Ends, list[str]]:
        at = self.node("choice", block.path)
        self.enter(before, at)
        after: Ends = []
        last: dict[str, None] = {}
        for label, branch in block.branches:
            if branch is None:
                after.append((at, label))
                last.update(dict.fromkeys(back))
            else:
                ends, undone = self.block(branch, [(at, label)], back)
                after.extend(ends)
                last.update(dict.fromkeys(undone))
        return after, list(last)

    def each(self, block: PlacedEach, before: Ends, back: list[str]) -> tuple[Ends, list[str]]:
        note = f"at most {len(block.body)}" + (", at the same time" if block.concurrent else "")
        at = self.node("each", f"each {block.path}", note)
        self.enter(before, at)
        # The copies are alike: one stands for all.
        return self.block(block.body[0], [(at, "")], back)

    def alternatives(
        self, block: PlacedAlternatives, before: Ends, back: list[str]
    ) -> tuple[Ends, list[str]]:
        after: Ends = []
        last: dict[str, None] = {}
        entry = before
        for number, option in enumerate(block.options):
            at = self.node("choice", f"try {number + 1}")
            self.enter(entry, at)
            ends, undone = self.blocks(option.body, [(at, "")], back)
            after.extend(ends)
            last.update(dict.fromkeys(undone))
            entry = [(at, "fails")]
        return after, list(last)


def _shown(placed: PlacedStep) -> str:
    """The path; of a copy without its index, since one copy stands for all."""
    return re.sub(r"\[\d+\]", "", placed.path) if placed.copies else placed.path


def _note(placed: PlacedStep) -> str:
    retry = {
        "forever": "retry until done",
        "none": "",
        "bounded": f"{placed.retry.attempts} attempts",
    }
    parts = [retry[placed.retry.bound]]
    if placed.timeout is not None:
        parts.append(f"{placed.timeout:g} s")
    return ", ".join(part for part in parts if part)


def flow(saga: Saga[Any, Any, Any]) -> Diagram:
    """The flow of a saga: forward one way, the way back the other."""
    layout: Layout = lay_out(saga)
    walk = _Walk()
    start = walk.node("start")
    compensated = walk.node("compensated", "compensated")
    ends, _ = walk.blocks(layout.root.body, [(start, "")], [compensated])
    completed = walk.node("completed", "completed")
    walk.enter(ends, completed)
    # One copy of a repeated step counts for all.
    steps = list({_shown(placed): placed for placed in reversed(layout.steps.values())}.values())[
        ::-1
    ]
    undone = sum(placed.step.compensate is not None for placed in steps)
    pivots = [placed.path for placed in steps if placed.kind is Kind.PIVOT]
    parts = [f"{len(steps)} steps", f"{undone} compensations"]
    if pivots:
        parts.append(f"pivot {', '.join(pivots)}")
    subtitle = " \N{MIDDLE DOT} ".join(parts)
    return Diagram(saga.name, subtitle, tuple(walk.nodes), tuple(walk.edges), len(steps))
