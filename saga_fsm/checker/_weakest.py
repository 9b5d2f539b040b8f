"""
The weakest contract of each step under which a saga is safe, and a run for each lack of it.

Asked of each step's slice (``_slices``), all others promising everything: so it costs a few small
searches for each kind of step, and is exact however large the saga is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import combinations
from typing import Any

from saga_fsm.checker._aimed import aimed
from saga_fsm.checker._replayed import Breach, TooLargeError, broken_by, first_breach, nearest
from saga_fsm.checker._report import Finding
from saga_fsm.checker._slices import Shape, shapes
from saga_fsm.checker._text import PROMISE, plain
from saga_fsm.compiler import compile_saga
from saga_fsm.definition import GUARDED, Contract, Kind, Saga
from saga_fsm.definition.layout import Layout, PlacedStep, lay_out


_FLAGS = ("idempotent", "sticky", "fenced")


class Needs:
    """
    What a saga's participants must promise and do not, searched when it is asked for.

    Args:
        saga: whose.
    """

    def __init__(self, saga: Saga[Any, Any, Any]) -> None:
        self.saga = saga
        self._layout = lay_out(saga)
        self._paths = _by_name(self._layout)
        self._tried: dict[Shape, bool] = {}
        self._too_large: set[Shape] = set()

    @property
    def promised_whole(self) -> bool:
        """Whether every promise is made, so that none can be missing."""
        declared = (self._layout.steps[paths[0]].contract for paths in self._paths.values())
        return all(promised(contract).issuperset(_FLAGS) for contract in declared)

    @cached_property
    def required(self) -> dict[str, Contract]:
        """
        What each step's participant must promise, all others promising everything; by step name.

        Whole contracts are tried, not single promises: with a fencing query a step can do without
        ``sticky`` or without ``fenced``, and not without both. The table is compiled for the
        contract that is tried. Of several the one that asks for least beyond what is declared is
        taken, so a step lacks nothing if its own contract will do. Copies of one block are one
        step; read-only steps need nothing and are not listed.
        """
        required = {}
        for name, paths in self._paths.items():
            # Copies have few shapes, and each is tried once.
            own = list(dict.fromkeys(self._shapes[path] for path in paths))
            tries = _contracts(self._layout.steps[paths[0]].contract)
            # Where no promise helps, the fault is elsewhere; then nothing can be spared either.
            safe = (one for one in tries if all(self._sound(shape, one) for shape in own))
            required[name] = next(safe, GUARDED)
        return required

    @cached_property
    def _shapes(self) -> dict[str, Shape]:
        return dict(shapes(self._layout))

    def _sound(self, shape: Shape, contract: Contract) -> bool:
        tried = shape.under(contract)
        if tried not in self._tried:
            try:
                self._tried[tried] = first_breach(tried.make()) is None
            except TooLargeError:
                # Four parallel blocks in one another. It is taken for enough, and said not to be
                # known (``undecided``).
                self._tried[tried] = True
                self._too_large.add(shape)
        return self._tried[tried]

    @property
    def undecided(self) -> tuple[str, ...]:
        """The steps of whose contract it is not known whether it is enough, by name."""
        if not self.required:
            return ()
        large = {path for path, shape in self._shapes.items() if shape in self._too_large}
        return tuple(name for name, paths in self._paths.items() if large.intersection(paths))

    @cached_property
    def missing(self) -> dict[str, set[str]]:
        """What is required and not declared, by step name."""
        lacking = {
            name: promised(self.required[name]) - promised(self._layout.steps[paths[0]].contract)
            for name, paths in self._paths.items()
        }
        return {name: set(flags) for name, flags in lacking.items() if flags}

    @cached_property
    def shown(self) -> dict[tuple[str, str], Finding]:
        """
        By step name and promise: each that is missing, with the shortest run that shows why.

        The saga's own table, and participants that keep all that is declared or required but this
        one promise. In a large saga a run may be longer than the shortest; it says so.
        """
        found = {}
        for name, flags in self.missing.items():
            for flag in sorted(flags, key=_FLAGS.index):
                breach = self._shown(name, flag)
                if breach is not None:
                    placed = self._layout.steps[self._paths[name][0]]
                    message = _sentence(placed, name, flag, breach)
                    found[name, flag] = Finding(
                        breach.rule,
                        "error",
                        name,
                        message,
                        breach.path,
                        shortest=breach.shortest,
                    )
        return found

    def _shown(self, name: str, flag: str) -> Breach | None:
        layout, machine = self._layout, compile_saga(self.saga)
        declared = promised(layout.steps[self._paths[name][0]].contract)
        every = (declared | promised(self.required[name])) - {flag}
        contract = Contract(**dict.fromkeys(every, True))
        # A later copy of the same shape comes to nothing sooner than the first.
        first = {self._shapes[path]: path for path in reversed(self._paths[name])}
        runs, decided = [], True
        for path in first.values():
            found = aimed(layout, machine, path, contract)
            decided = decided and found.decided
            kept = dict.fromkeys(layout.steps, GUARDED) | {path: contract}
            breach = found.run and broken_by(layout, machine, found.run, kept)
            if breach:
                runs.append(breach)
        return nearest(runs, decided=decided)


def _sentence(placed: PlacedStep, name: str, flag: str, breach: Breach) -> str:
    text = f"{PROMISE}'{name}' must promise to be {flag}; without it: {breach.message}"
    if flag == "fenced" and placed.step.query is None:
        text += ". A query= that fences, and sticky, would do instead"
    return text


def promised(contract: Contract) -> frozenset[str]:
    """The names of what a contract promises."""
    return frozenset(flag for flag in _FLAGS if getattr(contract, flag))


def _contracts(declared: Contract) -> Iterator[Contract]:
    has = promised(declared)
    every = [set(x) for count in range(len(_FLAGS) + 1) for x in combinations(_FLAGS, count)]
    for flags in sorted(every, key=lambda flags: (len(flags - has), len(flags))):
        yield Contract(**dict.fromkeys(flags, True))


def _by_name(layout: Layout) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for path, placed in layout.steps.items():
        if placed.kind is not Kind.READONLY:
            names.setdefault(plain(path), []).append(path)
    return names
