"""Slices: few shapes, constant size, and a sentence where they do not apply."""

from __future__ import annotations

from typing import Any

import pytest

from saga_fsm.checker._compose import Composed, compose
from saga_fsm.checker._slices import UNIT, Shape, shapes
from saga_fsm.compiler import compile_saga
from saga_fsm.definition import GUARDED, Contract, Saga, each, parallel
from saga_fsm.definition.layout import lay_out
from tests.reference import REFERENCES, C, O, P, R, several


def shapes_of(*blocks: Any) -> dict[str, Shape]:
    """The shape of each step's slice."""
    return dict(shapes(lay_out(Saga("s", *blocks, contract=GUARDED))))


def test_equal_steps_in_a_row_have_three_shapes() -> None:
    """Only whether something comes before and after a step tells its slice from another."""
    found = shapes_of(*(C(f"c{i}") for i in range(100)))
    assert len(found) == 100
    assert len(set(found.values())) == 3


def test_equal_branches_have_one_shape_per_place_in_the_branch() -> None:
    """Branches do not multiply the shapes, however many and however long they are."""
    sagas = [Saga(f"n{i}", *(C(f"c{i}_{j}") for j in range(1 + i % 7))) for i in range(50)]
    found = shapes_of(parallel(*sagas))
    assert len(set(found.values())) == 4


def test_copies_share_their_shapes() -> None:
    """The copies of an each are told apart by the first and the last alone."""
    found = shapes_of(each(several, C("a"), max_items=20))
    assert len(found) == 20
    assert len(set(found.values())) == 3


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda one: one.text)
def test_each_slice_holds_its_step_as_it_is(reference: Any) -> None:
    """Kind, policies, contract and the place in the tail are those that the saga gives it."""
    layout = lay_out(reference.make())
    found = dict(shapes(layout))
    assert found.keys() == layout.steps.keys()
    for path, shape in found.items():
        own = layout.steps[path]
        made = shape.make()
        (unit,) = (x for at, x in made.steps.items() if at.partition("[")[0].endswith(UNIT))
        assert (unit.kind, unit.retry.bound, unit.tail) == (own.kind, own.retry.bound, own.tail)
        assert unit.contract == own.contract
        assert (unit.step.query is None) == (own.step.query is None)


def test_a_breach_is_told_in_the_sagas_own_names() -> None:
    """The run that a breach comes with is one of the saga itself, and it replays."""
    blocks = [C(f"c{i}") for i in range(30)]
    blocks[20] = C("weak", contract=Contract(idempotent=True, sticky=True))
    saga = Saga("s", *blocks, contract=GUARDED)
    composed = compose(lay_out(saga))
    assert isinstance(composed, Composed)
    assert composed.breach is not None
    assert "~lands(weak)" in [move.token for move in composed.breach.path.moves]
    events = composed.breach.path.events
    assert events[:3] == ("start", "done(c0)", "done(c1)")
    assert all(move.ignored is None for move in compile_saga(saga).replay(events))


def test_locks_are_left_to_other_engines() -> None:
    """No slice holds a lock and all that may let go of it: the reason is a sentence."""
    said = compose(lay_out(Saga("s", C("a", locks="x"), P("p"), R("r"), contract=GUARDED)))
    assert said == "a takes a lock that is let go of elsewhere: no slice holds both"


def test_a_thousand_steps_and_branches_are_composed() -> None:
    """As many states are looked at for a thousand branches as for ten."""
    states = []
    for count in (10, 1_000):
        branches = [Saga(f"n{i}", C(f"a{i}"), O(f"b{i}"), C(f"c{i}")) for i in range(count)]
        composed = compose(lay_out(Saga("s", C("z"), parallel(*branches), contract=GUARDED)))
        assert isinstance(composed, Composed)
        assert composed.breach is None
        assert composed.slices == 3 * count + 1
        states.append(composed.states)
    assert states[0] == states[1]
