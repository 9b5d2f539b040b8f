"""
Pictures of sagas, machines, paths and reports.

What is drawn becomes a neutral diagram first (``_flow``, ``_ledger``, ``_machine``, ``_path``),
then DOT (``_dot``) or Mermaid (``_mermaid``). Rendering is a separate call, by whatever engine
there is.
"""

from __future__ import annotations

from typing import Any

import attrs

from saga_fsm.compiler import compile_saga
from saga_fsm.definition import Saga
from saga_fsm.drawing._coverage import coverage_drawing
from saga_fsm.drawing._diagram import Diagram
from saga_fsm.drawing._dot import to_dot
from saga_fsm.drawing._drawing import Drawing
from saga_fsm.drawing._ledger import sized_flow
from saga_fsm.drawing._machine import machine_diagram
from saga_fsm.drawing._mermaid import mermaid_text
from saga_fsm.drawing._palette import THEMES
from saga_fsm.drawing._path import alone, over_flow, over_machine, shortest, told
from saga_fsm.machine import Machine
from saga_fsm.path import Path


__all__ = ["Drawing", "draw", "to_mermaid"]

_VIEWS = ("flow", "machine")


def draw(
    target: Any,
    *,
    view: str | None = None,
    theme: str = "light",
    path: Path | str | None = None,
    stage: int | None = None,
) -> Drawing:
    """
    Draw a saga, a machine, a path, a report or what a failure search has covered.

    A flow goes left to right up to five steps and top down up to 24; up to 150 it is a ledger,
    beyond one box a stage, linked to ``<saga>-stage-<n>.svg``. A machine is drawn whole up to 40
    states; above that by step and phase, and the picture says what was put together. A report is
    drawn by its shortest counterexample; a safe one as the flow, with the verdict. An exploration
    is a heat map of the machine's table: each row with the runs that took it, never taken ones
    marked, and what no plan can take in grey, with the reason where it is pointed at.

    ``.source`` is the DOT text, which needs no engine; ``.pipe("svg")`` and ``.render(...)`` draw
    it.

    Args:
        target: a ``Saga``, a ``Machine``, a ``Path``, a ``Report`` or an ``Exploration``.
        view: "flow" or "machine"; unless said the flow of a saga, and the machine for a path.
        theme: "light" or "dark".
        path: laid over the saga or machine: its moves numbered, the rest grey.
        stage: of a long saga only this stage, from 1.

    Raises:
        TypeError: the target is none of these.
        ValueError: an unknown theme, view or stage; a path of another machine.
        NoTransitionError: the path has an event that the machine does not know.
    """
    _among("theme", theme, tuple(THEMES))
    if _is_covered(target):
        if view is not None or path is not None or stage is not None:
            raise ValueError("an exploration has one view\n  Leave view, path and stage out.")
        return coverage_drawing(target, theme=theme)
    return to_dot(_diagram(target, view, path, stage), theme=theme)


def to_mermaid(
    target: Any,
    *,
    view: str | None = None,
    theme: str = "light",
    path: Path | str | None = None,
    stage: int | None = None,
) -> str:
    """
    Write what ``draw`` would draw as a Mermaid flowchart, which forges show with no engine.

    The arguments are those of ``draw``, and so are the errors.
    """
    _among("theme", theme, tuple(THEMES))
    return mermaid_text(_diagram(target, view, path, stage), theme=theme)


def _among(what: str, value: str | None, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{what} {value!r} is not known: there are {', '.join(known)}")


def _diagram(target: Any, view: str | None, path: Path | str | None, stage: int | None) -> Diagram:
    if view is not None:
        _among("view", view, _VIEWS)
    if isinstance(path, str):
        path = Path.decode(path)
    if isinstance(target, Saga):
        return _of_saga(target, view, path, stage)
    if isinstance(target, Machine):
        if view == "flow":
            raise ValueError("a machine has no flow: draw the saga that it was compiled from")
        return machine_diagram(target) if path is None else over_machine(target, path)
    if isinstance(target, Path):
        return alone(target)
    if hasattr(target, "findings") and hasattr(target, "verdict"):
        return _of_report(target, view)
    if _is_covered(target):
        raise TypeError("an exploration is no flowchart\n  Draw it: draw(exploration).")
    raise TypeError(
        f"{type(target).__name__} cannot be drawn\n"
        "  Give a Saga, a Machine, a Path, a Report or an Exploration."
    )


def _is_covered(target: Any) -> bool:
    """Whether it is what a search has found; that room is above this one, so by its attributes."""
    return hasattr(target, "taken") and isinstance(getattr(target, "machine", None), Machine)


def _of_saga(
    saga: Saga[Any, Any, Any], view: str | None, path: Path | None, stage: int | None
) -> Diagram:
    if view == "machine" or (path is not None and view is None):
        machine = compile_saga(saga)
        return machine_diagram(machine) if path is None else over_machine(machine, path)
    if path is not None:
        return over_flow(saga, compile_saga(saga), path)
    return sized_flow(saga, stage=stage)


def _of_report(report: Any, view: str | None) -> Diagram:
    """By the shortest counterexample; without one by the flow, which says what was found."""
    saga: Saga[Any, Any, Any] = report.definition
    moves = "" if report.transitions is None else f", {report.transitions:,} moves"
    checked = f"{report.verdict} ({report.states:,} states{moves})"
    worst = shortest(report.findings)
    if worst is None and view == "machine":
        diagram = machine_diagram(compile_saga(saga))
        return attrs.evolve(diagram, subtitle=f"{diagram.subtitle}\nchecked: {checked}")
    if worst is None:
        return sized_flow(saga, checked=f"checked: {checked}")
    run = "the shortest run" if worst.shortest else "a run, maybe not the shortest,"
    # A run of several sagas is on no machine of one of them.
    own = worst.path.fingerprint == report.fingerprint
    return attrs.evolve(
        _of_saga(saga, view, worst.path, None) if own else alone(worst.path),
        title=f"{report.saga} \N{MIDDLE DOT} counterexample",
        subtitle=f"checked: {checked} \N{MIDDLE DOT} {run} that breaks a rule",
        note=told(worst.path, worst.rule, worst.message),
    )
