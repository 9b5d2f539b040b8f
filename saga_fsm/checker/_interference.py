"""
Which sagas of a registry may harm each other, read off their definitions (semantics.md 1.9).

Nothing is searched: what is in the table may happen as far as the declarations say, and what a
search of two of them finds is in it. For a large registry it says which pairs are worth one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations_with_replacement
from typing import Any

import attrs

from saga_fsm.checker._precedence import Precedence
from saga_fsm.checker._text import plain
from saga_fsm.definition import Kind, Saga
from saga_fsm.definition.layout import Layout, PlacedStep, check_saga, lay_out


SCHEMA = 1
_LEGEND = "a row's saga is harmed by a column's; in brackets: a semantic lock keeps them apart"


@attrs.frozen
class Meeting:
    """
    What one saga may do to another on one resource.

    Args:
        resource: on which.
        risk: "lost update", "dirty read" or "fuzzy read".
        suffers: the saga that loses a write, or reads what it should not.
        harms: the saga that overwrites it, or writes what is read.
        steps: path of the step that suffers, and of the one that harms.
        lock: the semantic lock that keeps them apart, or empty.
    """

    resource: str
    risk: str
    suffers: str
    harms: str
    steps: tuple[str, str]
    lock: str = ""


@attrs.frozen
class Interference:
    """
    The meetings of all pairs, each saga with itself included.

    Args:
        sagas: their names.
        windows: by saga and resource, the steps from the first write that may be undone to the
            pivot or the end: others see then what may still be taken back.
        meetings: each that is possible, and those that a lock keeps apart.
        circles: locks that are taken in no common order: a deadlock is possible.
        silent: the sagas that name no resource and no lock: of them nothing can be said.
    """

    sagas: tuple[str, ...]
    windows: dict[tuple[str, str], tuple[str, ...]]
    meetings: tuple[Meeting, ...]
    circles: tuple[tuple[str, ...], ...]
    silent: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is possible but what a lock keeps apart."""
        return not self.circles and all(one.lock for one in self.meetings)

    def between(self, suffers: str, harms: str) -> tuple[Meeting, ...]:
        """What the second saga may do to the first."""
        return tuple(x for x in self.meetings if (x.suffers, x.harms) == (suffers, harms))

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def to_json(self) -> str:
        """The same as one JSON object with a schema number."""
        windows = [
            {"saga": saga, "resource": resource, "steps": list(steps)}
            for (saga, resource), steps in self.windows.items()
        ]
        plain = {
            "schema": SCHEMA,
            "ok": self.ok,
            "sagas": list(self.sagas),
            "silent": list(self.silent),
            "windows": windows,
            "meetings": [attrs.asdict(one) for one in self.meetings],
            "circles": [list(one) for one in self.circles],
        }
        return json.dumps(plain)


def interference(sagas: Iterable[Saga[Any, Any, Any]]) -> Interference:
    """
    Which sagas may harm each other, each with itself included, as far as they are declared.

    Nothing is searched, so it is quick for hundreds of sagas: linear in the pairs, and in the pairs
    of steps on one resource. What it finds is possible as far as ``reads=``, ``writes=``,
    ``locks=`` and ``commutes_with=`` say; ``check(one, against=[other])`` searches a pair, shows
    the run and tries countermeasures.

    >>> from saga_fsm import GUARDED, Saga, readonly, retriable, step
    >>> def act(ctx): ...
    >>> def undo(ctx, result): ...
    >>> sell = Saga(
    ...     "sell",
    ...     step(act, name="reserve", compensate=undo, writes="stock"),
    ...     retriable(act, name="send"),
    ...     contract=GUARDED,
    ... )
    >>> count = Saga("count", readonly(act, name="look", reads="stock"), contract=GUARDED)
    >>> table = interference([sell, count])
    >>> print(table)
           by sell             by count
    sell   stock: lost update  -
    count  stock: dirty read   -
    a row's saga is harmed by a column's; in brackets: a semantic lock keeps them apart
    dirty window of 'stock' in sell: reserve
    >>> [meeting] = table.between("count", "sell")
    >>> meeting.risk, meeting.steps
    ('dirty read', ('look', 'reserve'))

    Args:
        sagas: all that run on the same resources.

    Raises:
        DefinitionError: one of them is no saga.
        ValueError: two different sagas have one name.
    """
    found = [_Declared(saga) for saga in _known(sagas)]
    meetings: dict[Meeting, None] = {}
    windows = {}
    for one in found:
        for resource in one.resources:
            if window := one.window(resource):
                windows[one.name, resource] = window
    for one, other in combinations_with_replacement(found, 2):
        for left, right in ((one, other), (other, one)):
            for resource in left.resources:
                meetings.update(dict.fromkeys(_meetings(left, right, resource)))
    names = tuple(one.name for one in found)
    silent = tuple(one.name for one in found if one.silent)
    return Interference(names, windows, tuple(meetings), tuple(_circles(found)), silent)


def _known(sagas: Iterable[Saga[Any, Any, Any]]) -> Iterable[Saga[Any, Any, Any]]:
    """Each saga once; their names tell them apart in all that is said of them."""
    named: dict[str, Saga[Any, Any, Any]] = {}
    for saga in sagas:
        check_saga(saga)
        if named.setdefault(saga.name, saga) is not saga:
            raise ValueError(
                f"two different sagas are named '{saga.name}'\n"
                "  Name each: what is found is said by their names."
            )
    return named.values()


class _Declared:
    """One saga as it is declared: who touches what, and who comes before whom."""

    def __init__(self, saga: Saga[Any, Any, Any]) -> None:
        self.name = saga.name
        self.layout: Layout = lay_out(saga)
        self.steps = self.layout.steps
        self.before = Precedence(self.layout.root.body).before
        beside = Precedence(self.layout.root.body).beside
        apart = {(x, y) for a, b in beside for x in a for y in b}
        self._beside = apart | {(y, x) for x, y in apart}
        named = (x for one in self.steps.values() for x in (*one.step.reads, *one.step.writes))
        self.resources = list(dict.fromkeys(named))
        self.silent = not self.resources and not any(x.step.locks for x in self.steps.values())

    def may_precede(self, one: str, other: str) -> bool:
        """Whether a step may land before another, on some run."""
        return one in self.before[other].some or (one, other) in self._beside

    def writers(self, resource: str) -> dict[str, PlacedStep]:
        """The steps that write it, by path."""
        return {path: one for path, one in self.steps.items() if writes(one, resource)}

    def undoable(self, path: str) -> bool:
        """Whether a step's effect may be taken back, by itself or with a saga around it."""
        return self.steps[path].kind is Kind.COMPENSATABLE or self._inside_a_whole(path)

    def _inside_a_whole(self, path: str) -> bool:
        scope: str | None = self.steps[path].scope
        while scope is not None:
            if self.layout.scopes[scope].compensate is not None:
                return True
            scope = self.layout.scopes[scope].parent
        return False

    def window(self, resource: str) -> tuple[str, ...]:
        """The steps that may run while a write of this may still be undone."""
        first = [path for path in self.writers(resource) if self.undoable(path)]
        return tuple(
            path
            for path, one in self.steps.items()
            if not one.tail and any(path == x or self.may_precede(x, path) for x in first)
        )

    def held(self, path: str, later: str = "") -> set[str]:
        """The locks that a step takes, held until it is undone, or until a later one lands."""
        one = self.steps[path]
        if one.kind is not Kind.COMPENSATABLE or self._inside_a_whole(path):
            return set()
        held = set(one.step.locks)
        for release, other in self.steps.items():
            if later and other.kind is Kind.RETRIABLE and release != later:
                held -= set(other.step.locks) if self.may_precede(release, later) else set()
        return held

    def looks(self, path: str, resource: str, *, reading: bool) -> list[str]:
        """The steps that may have read or written this before; none if none of them has to."""
        before = [
            x
            for x, one in self.steps.items()
            if x != path and _touches(one, resource) and self.may_precede(x, path)
        ]
        reads = [x for x in before if resource in self.steps[x].step.reads]
        return before if not reading or reads else []


def writes(placed: PlacedStep, resource: str) -> bool:
    """Whether a step writes this; a read-only one does not, whatever it says."""
    return resource in placed.step.writes and placed.kind is not Kind.READONLY


def _touches(placed: PlacedStep, resource: str) -> bool:
    return resource in placed.step.reads or writes(placed, resource)


def _meetings(one: _Declared, other: _Declared, resource: str) -> Iterator[Meeting]:
    """What a step of one saga and a write of another may do to each other."""
    for path in other.writers(resource):
        for mine, step in one.steps.items():
            if not _touches(step, resource):
                continue
            for risk, locks in _risks(one, mine, other, path, resource):
                lock = min(locks, default="")
                if risk == "lost update":
                    # It is the other's write that is lost.
                    steps = (plain(path), plain(mine))
                    yield Meeting(resource, risk, other.name, one.name, steps, lock)
                else:
                    steps = (plain(mine), plain(path))
                    yield Meeting(resource, risk, one.name, other.name, steps, lock)


def _risks(
    one: _Declared, mine: str, other: _Declared, path: str, resource: str
) -> Iterator[tuple[str, set[str]]]:
    """Each anomaly, and the locks that keep the two apart."""
    step, writer = one.steps[mine], other.steps[path]
    named = set(writer.step.locks)
    commute = resource in step.step.commutes_with and resource in writer.step.commutes_with
    if writes(step, resource) and not commute:
        if one.undoable(mine):
            yield "lost update", one.held(mine) & named
        looks = one.looks(mine, resource, reading=False)
        if looks and resource not in step.step.reads:
            yield "lost update", _through(one, looks, mine) & named
    if resource in step.step.reads:
        if other.undoable(path):
            yield "dirty read", other.held(path) & set(step.step.locks)
        if looks := one.looks(mine, resource, reading=True):
            # A write that was made before the first look is taken back while its lock is held.
            safe = not other.undoable(path) or bool(other.held(path))
            yield "fuzzy read", _through(one, looks, mine) & named if safe else set()


def _through(one: _Declared, looks: Sequence[str], path: str) -> set[str]:
    """The locks that are held from each of these looks until a step lands."""
    return set.intersection(*(one.held(look, path) for look in looks))


def _circles(sagas: Sequence[_Declared]) -> Iterator[tuple[str, ...]]:
    """Locks of which each is waited for by a run that holds the one before it."""
    after: dict[str, set[str]] = {}
    for saga in sagas:
        for path, placed in saga.steps.items():
            for earlier in saga.steps:
                if earlier != path and saga.may_precede(earlier, path):
                    for lock in saga.held(earlier, path):
                        wanted = set(placed.step.locks) - set(saga.steps[earlier].step.locks)
                        after.setdefault(lock, set()).update(wanted)
    reached = {lock: _reached(after, lock) for lock in after}
    circles = {
        tuple(sorted(x for x in reached[lock] if lock in reached.get(x, ())))
        for lock in after
        if lock in reached[lock]
    }
    yield from sorted(circles)


def _reached(after: dict[str, set[str]], lock: str) -> set[str]:
    found: set[str] = set()
    todo = [lock]
    while todo:
        for one in after.get(todo.pop(), set()) - found:
            found.add(one)
            todo.append(one)
    return found


# ---------------------------------------------------------------- in words


def _lines(table: Interference) -> Iterator[str]:
    heads = [f"by {name}" for name in table.sagas]
    rows = [
        [name, *(_cell(table.between(name, other)) for other in table.sagas)]
        for name in table.sagas
    ]
    widths = [max(map(len, column)) for column in zip(["", *heads], *rows, strict=True)]
    for row in (["", *heads], *rows):
        parts = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        yield "  ".join(parts).rstrip()
    if table.meetings:
        yield _LEGEND
    for (saga, resource), steps in table.windows.items():
        yield f"dirty window of '{resource}' in {saga}: {', '.join(steps)}"
    for circle in table.circles:
        yield f"no common order of the locks {', '.join(circle)}: a deadlock is possible"
    if table.silent:
        yield (
            f"of {', '.join(table.silent)} nothing can be said: no step of it names a resource in "
            "reads=, writes= or locks="
        )


def _cell(meetings: Sequence[Meeting]) -> str:
    """What may be done to the saga of a row by that of a column, by resource."""
    by_resource: dict[str, dict[str, None]] = {}
    for one in meetings:
        by_resource.setdefault(one.resource, {})[f"({one.risk})" if one.lock else one.risk] = None
    found = [f"{x}: {', '.join(risks)}" for x, risks in by_resource.items()]
    return "; ".join(found) or "-"
