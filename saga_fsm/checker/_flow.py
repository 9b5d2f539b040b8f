"""
Static findings about data and resources: W10, W13 and W15 of semantics.md.

User code is never called: what a function reads is seen in its code, ``ctx.result_of(charge)`` and
``ctx.results["charge"]`` with a plain name or text, and nothing is said where that is not plain.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

from saga_fsm.checker._precedence import Before, Precedence, longest
from saga_fsm.checker._report import Finding
from saga_fsm.checker._text import plain
from saga_fsm.definition import Kind, Saga, Step
from saga_fsm.definition.layout import Layout, PlacedChoice
from saga_fsm.errors import UnknownStepError


_SKIPPED = {"CACHE", "PRECALL", "PUSH_NULL", "EXTENDED_ARG"}
_UNKNOWN: Any = object()


def flow(layout: Layout) -> Iterator[Finding]:
    """What is read before it is there, what is written at the same time, and how long it is."""
    precedence = Precedence(layout.root.body)
    said: set[tuple[str, str]] = set()
    for path, function in _readers(layout):
        for finding in _reads(layout, precedence.before[path], path, function):
            key = (plain(path), finding.message.replace(path, plain(path)))
            if key not in said:
                said.add(key)
                yield finding
    yield from _written_twice(layout, precedence)
    count, run = len(layout.steps), longest(layout.root.body)
    dirty = longest(layout.root.body, window=True)
    undone = sum(placed.step.compensate is not None for placed in layout.steps.values())
    message = (
        f"{_many(count, 'step')}, {_many(undone, 'compensation')}, at most {run} one after "
        "another; the dirty window, in which others see what may still be taken back, is at most "
        f"{_many(dirty, 'step')}"
    )
    yield Finding("W15", "info", "", message)


def _many(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _readers(layout: Layout) -> Iterator[tuple[str, Callable[..., Any]]]:
    for path, placed in layout.steps.items():
        functions = (placed.step.action, placed.step.compensate, placed.step.query)
        yield from ((path, function) for function in functions if function is not None)
        if callable(placed.step.pause_for):
            yield path, placed.step.pause_for
    for path, decision in layout.decisions.items():
        yield path, decision.chooser if isinstance(decision, PlacedChoice) else decision.items


# ---------------------------------------------------------------------- W10


def _reads(
    layout: Layout, before: Before, path: str, function: Callable[..., Any]
) -> Iterator[Finding]:
    for what in _asked(function):
        name = what if isinstance(what, str) else what.name
        try:
            found = layout.find(what, within=path)
        except UnknownStepError as error:
            # Known with more than one name: it is there, and which is meant is not plain.
            if isinstance(what, str) and not any(name in x for x in (*layout.steps, *error.known)):
                message = f"'{path}' reads the result of '{name}', and there is no such step"
                yield Finding("W10", "error", path, message)
            continue
        if found not in layout.steps or found in before.every:
            continue
        if found not in before.some:
            message = f"'{path}' reads the result of '{found}', which does not come before it"
            yield Finding("W10", "error", path, message)
        else:
            message = (
                f"'{path}' reads the result of '{found}', which not every run takes before it: "
                "give a second argument for when it was not taken"
            )
            yield Finding("W10", "warning", path, message)


def read_results(layout: Layout, path: str) -> Iterator[str]:
    """Who plainly reads the result of a step: paths of steps and decisions, but for itself."""
    for reader, function in _readers(layout):
        for what in _asked(function):
            try:
                found = layout.find(what, within=reader)
            except UnknownStepError:
                continue
            if found == path != reader:
                yield reader


def _asked(function: Callable[..., Any]) -> Iterator[str | Step[Any, Any, Any, Any]]:
    """The steps whose results a function reads, without a default, from its context."""
    if not isinstance(function, FunctionType) or not function.__code__.co_argcount:
        return
    code = function.__code__
    context = code.co_varnames[0]
    found = [x for x in dis.get_instructions(code) if x.opname not in _SKIPPED]
    for ctx, reads, what, last in zip(found, found[1:], found[2:], found[3:], strict=False):
        if not (ctx.opname.startswith("LOAD_FAST") and ctx.argval == context):
            continue
        asked = reads.argval == "result_of" and last.opname == "CALL" and last.arg == 1
        looked = reads.argval == "results" and last.opname.startswith("BINARY_SUBSCR")
        value = _value(function, code, what) if asked or looked else _UNKNOWN
        if isinstance(value, str | Step) and not isinstance(value, Saga):
            yield value


def _value(function: FunctionType, code: CodeType, what: dis.Instruction) -> Any:
    if what.opname == "LOAD_CONST":
        return what.argval
    if what.opname == "LOAD_GLOBAL":
        return function.__globals__.get(what.argval, _UNKNOWN)
    if what.opname == "LOAD_DEREF" and what.argval in code.co_freevars:
        cell = (function.__closure__ or ())[code.co_freevars.index(what.argval)]
        try:
            return cell.cell_contents
        except ValueError:  # not bound yet
            return _UNKNOWN
    return _UNKNOWN


# ---------------------------------------------------------------------- W13


def _written_twice(layout: Layout, precedence: Precedence) -> Iterator[Finding]:
    said: set[tuple[str, str, str]] = set()
    for left, right in precedence.beside:
        for one in sorted(left):
            for other in sorted(right):
                for resource in _clash(layout, one, other):
                    key = (plain(one), plain(other), resource)
                    if key not in said:
                        said.add(key)
                        message = (
                            f"'{one}' and '{other}' write '{resource}' at the same time: an undo "
                            f"of one may lose what the other wrote. If any order is right, both "
                            f"say commutes_with='{resource}'"
                        )
                        yield Finding("W13", "warning", one, message)


def _clash(layout: Layout, one: str, other: str) -> list[str]:
    first, second = layout.steps[one].step, layout.steps[other].step
    if Kind.READONLY in {first.kind, second.kind}:
        return []
    both = set(first.writes) & set(second.writes)
    return sorted(both - (set(first.commutes_with) & set(second.commutes_with)))
