"""Structure rules: of each, a saga that breaks it and a neighbour that does not."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from saga_fsm.definition import (
    SKIP,
    Saga,
    alternatives,
    choice,
    each,
    parallel,
    pivot,
    readonly,
    retriable,
    step,
)
from saga_fsm.errors import DefinitionError


def act(ctx: Any) -> None:
    """Act."""


def undo(ctx: Any, result: object) -> None:
    """Undo."""


def c(name: str) -> Any:
    """Make a compensatable step."""
    return step(act, name=name, compensate=undo)


def p(name: str) -> Any:
    """Make a pivot."""
    return pivot(act, name=name)


def r(name: str) -> Any:
    """Make a retriable step."""
    return retriable(act, name=name)


def o(name: str) -> Any:
    """Make a read-only step."""
    return readonly(act, name=name)


def items(ctx: Any) -> list[int]:
    """Give items."""
    return []


def many(block: Any, **options: Any) -> Any:
    """Repeat a block."""
    return each(items, block, max_items=2, **options)


BROKEN = [
    ("W1", "a", lambda: Saga("s", c("a"), o("a"))),
    ("W1", "a", lambda: Saga("s", choice(act, yes=c("a"), otherwise=c("a")))),
    ("W1", "@a", lambda: c("@a")),
    ("W1", "a", lambda: step(act, name="a", compensate=c("b"))),
    ("W2", "a", lambda: Saga("s", step(act, name="a"))),
    ("W3", "b", lambda: Saga("s", r("a"), p("b"))),
    ("W3", "b", lambda: Saga("s", p("a"), c("b"))),
    ("W3", "b", lambda: Saga("s", p("a"), choice(act, yes=c("b"), otherwise=SKIP))),
    ("W3", "b", lambda: Saga("s", p("a"), alternatives(r("x"), c("b")))),
    ("W3", "n", lambda: Saga("s", p("a"), Saga("n", r("b"), compensate=undo))),
    ("W3", "a", lambda: Saga("s", many(Saga("n", c("a"), r("b"))))),
    ("W4", "b", lambda: Saga("s", p("a"), p("b"))),
    ("W4", "b", lambda: Saga("s", parallel(p("a"), p("b")))),
    ("W4", "b", lambda: Saga("s", parallel(p("a"), c("b")))),
    ("W4", "b", lambda: Saga("s", parallel(r("a"), c("b")))),
    ("W4", "b", lambda: Saga("s", parallel(r("a"), Saga("n", c("b"), r("d"))))),
    ("W4", "a", lambda: Saga("s", many(p("a")))),
    ("W4", "a", lambda: Saga("s", many(p("a"), concurrent=True))),
    ("W9", "act", lambda: choice(act, yes=c("a"))),
    ("W14", "b", lambda: Saga("s", Saga("n", p("a")), p("b"))),
    ("W14", "a", lambda: Saga("s", p("b"), Saga("n", p("a")))),
]
SOUND = [
    lambda: Saga("s", c("a"), Saga("n", c("a"))),
    lambda: Saga("s", r("a"), o("p"), r("b")),
    lambda: Saga("s", c("a"), p("b"), r("d")),
    lambda: Saga("s", p("a"), choice(act, yes=r("b"), otherwise=SKIP)),
    lambda: Saga("s", p("a"), alternatives(Saga("n", c("b"), p("q")), r("x")), r("z")),
    lambda: Saga("s", many(Saga("n", r("a"), o("b")))),
    lambda: Saga("s", choice(act, yes=p("a"), otherwise=p("b"))),
    lambda: Saga("s", parallel(Saga("n", c("a"), p("b")), r("d"), o("e"))),
    lambda: Saga("s", parallel(r("a"), Saga("n", o("b"), r("d")))),
    lambda: Saga("s", each(items, p("a"), max_items=1)),
    lambda: Saga("s", Saga("n", p("a"), compensate=undo), p("b")),
    lambda: Saga("s", alternatives(p("a"), c("b"))),
]


@pytest.mark.parametrize(("rule", "name", "make"), BROKEN)
def test_broken_structure_is_refused_with_rule_step_and_place(
    rule: str, name: str, make: Any
) -> None:
    """Each rule refuses its saga and says which rule, which step, where, and what to do."""
    with pytest.raises(DefinitionError) as caught:
        make()
    error = caught.value
    assert (error.rule, error.step) == (rule, name), str(error)
    assert error.remedy
    assert rule in str(error)
    if rule != "W9":
        assert error.file == __file__
        assert error.line > 0


@pytest.mark.parametrize("make", SOUND)
def test_sound_neighbours_are_built(make: Any) -> None:
    """What nearly breaks a rule and does not, is built; and again under another name."""
    assert attrs.evolve(make(), name="again").name == "again"
