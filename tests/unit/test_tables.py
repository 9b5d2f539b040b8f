"""
Every part of a compiled table, as it was reviewed: automata, rows, what is owed, the fingerprint.

A journal keeps the fingerprint, and a run is taken up again only by the machine it was begun on. So
a table may change only where somebody means it to:
``SAGA_FSM_SNAPSHOTS=write python -m pytest tests/unit/test_tables.py`` writes
``tests/snapshots/tables`` anew, and what changed there is reviewed like code.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from saga_fsm.compiler import compile_saga
from saga_fsm.definition import (
    GUARDED,
    SKIP,
    Contract,
    Policy,
    Retry,
    Saga,
    alternatives,
    choice,
    each,
    parallel,
    pivot,
    retriable,
)
from saga_fsm.machine import Event, Machine
from tests.reference import BOUNDED, REFERENCES, C, O, P, R, act, ask, chooser, several, undo


FOLDER = Path(__file__).parents[1] / "snapshots" / "tables"
WRITING = os.environ.get("SAGA_FSM_SNAPSHOTS") == "write"
ONCE = Retry()
UNFENCED = Contract(idempotent=True, sticky=True)


def _saga(*blocks: Any, **options: Any) -> Saga[Any, Any]:
    return Saga("s", *blocks, contract=GUARDED, **options)


# What the reference sagas do not have: deadlines, inputs of their own, undos that are not retried,
# blocks in the tail, and a step of each kind under each contract that makes a difference.
MORE: dict[str, Callable[[], Saga[Any, Any]]] = {
    "deadlines": lambda: _saga(
        C("a"),
        Saga("n", C("b"), P("p"), R("r"), deadline=5.0, compensate=undo),
        Saga("m", C("c"), C("d"), deadline=2.0),
        P("q"),
        deadline=9.0,
    ),
    "pivots in nested sagas": lambda: _saga(
        C("a"),
        parallel(Saga("n", C("b"), Saga("m", C("c"), P("p")), deadline=3.0), R("r")),
        R("t"),
    ),
    "inputs of their own": lambda: _saga(
        C("a"), Saga("n", C("b"), C("c")).given(chooser), P("p"), Saga("t", R("u")).given(chooser)
    ),
    "undone once": lambda: _saga(
        C("a", compensation_retry=ONCE),
        C("b", compensation_retry=BOUNDED),
        C("c", compensation_retry=Retry.forever()),
        Saga("n", C("d"), compensate=undo, policy=None),
        Saga("m", C("e"), compensate=undo, policy=Policy(compensation_retry=ONCE)),
    ),
    "choices in the tail": lambda: _saga(
        P("p"),
        choice(chooser, yes=R("r"), no=O("o"), otherwise=SKIP),
        each(several, R("u"), max_items=3),
        each(several, Saga("v", R("w"), R("x")), max_items=2, concurrent=True),
        R("t"),
    ),
    "choices before the pivot": lambda: _saga(
        choice(chooser, yes=C("a"), no=Saga("n", C("b"), C("c")), otherwise=P("d")),
        R("r"),
    ),
    "each of a saga": lambda: _saga(
        each(several, Saga("n", C("a"), C("b")), max_items=2),
        each(several, choice(chooser, yes=C("c"), otherwise=SKIP), max_items=1),
        parallel(C("d"), parallel(C("e"), C("f"))),
        C("g"),
    ),
    "alternatives in the tail": lambda: _saga(
        P("p"), alternatives(Saga("n", C("a"), P("q")), C("b"), R("t")), O("o"), R("z")
    ),
    "three alternatives": lambda: _saga(
        C("a"),
        alternatives(Saga("n", C("b"), P("p")), C("c"), Saga("m", C("d"), C("e"))),
        R("t"),
    ),
    "asked for ever": lambda: _saga(
        C("a", query=ask, retry=Retry.forever()),
        O("o", retry=Retry.forever()),
        pivot(act, name="p", query=ask, retry=ONCE),
        retriable(act, name="r", query=ask, retry=BOUNDED),
        O("q", retry=BOUNDED),
        R("t"),
    ),
    "asked within bounds": lambda: _saga(
        C("a", query=ask, retry=BOUNDED),
        parallel(Saga("n", C("b", query=ask), C("c", retry=BOUNDED)), C("d")),
        P("p"),
    ),
    "asked, without a fence": lambda: _saga(
        C("a", query=ask, retry=BOUNDED, contract=UNFENCED),
        C("b", query=ask, contract=UNFENCED),
        C("c", query=ask, contract=Contract()),
        C("d", contract=Contract(fenced=True)),
        pivot(act, name="p", query=ask, contract=UNFENCED),
        retriable(act, name="r", query=ask, contract=UNFENCED),
    ),
    "nothing promised": lambda: Saga(
        "s",
        C("a", retry=BOUNDED),
        O("o", retry=BOUNDED),
        P("p"),
        R("r"),
        contract=Contract(),
    ),
}


def _named() -> Iterator[tuple[str, Callable[[], Saga[Any, Any]]]]:
    for number, reference in enumerate(REFERENCES, start=1):
        yield f"reference_{number:02}", reference.make
    for name, make in MORE.items():
        yield re.sub(r"\W+", "_", name), make


SAGAS = dict(_named())


def _lines(machine: Machine) -> Iterator[str]:
    yield f"{machine.name} {machine.fingerprint}"
    yield f"forks {machine.forks}" if machine.forks else "no forks"
    for one in machine.automata:
        locals_ = " ".join(f"{one.local(code)}={code}" for code in one.locals)
        yield f"{one.sort} {one.path} in {one.scope}: {locals_}"
        if one.labels or one.traits:
            yield f"  labels {one.labels} traits {one.traits}"
        for code, effect in one.owed.items():
            yield f"  owed in {one.local(code)}: {effect}"
    for row in machine.rows:
        path = machine.automata[row.automaton].path
        effects = ", ".join(str(effect) for effect in row.effects)
        yield f"{path}: {row}" + (f" -> {effects}" if effects else "")


@pytest.mark.parametrize("name", SAGAS)
def test_the_table_is_the_one_that_was_reviewed(name: str) -> None:
    """The whole table is kept in a file; a change of any part of it is seen."""
    saga = SAGAS[name]()
    text = f"{saga}\n\n" + "\n".join(_lines(compile_saga(saga))) + "\n"
    path = FOLDER / f"{name}.txt"
    if WRITING:
        FOLDER.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text


@pytest.mark.parametrize("name", SAGAS)
def test_an_event_is_its_parts_and_its_text(name: str) -> None:
    """What has no target has an empty one, and what has no argument as well."""
    for event in compile_saga(SAGAS[name]()).events:
        assert event == Event.of(event.kind, event.target, event.argument)
        assert {type(event.target), type(event.argument)} == {str}


def test_no_snapshot_of_a_table_is_left_over() -> None:
    """A file without its saga is deleted."""
    assert {path.stem for path in FOLDER.iterdir()} == {*SAGAS}
