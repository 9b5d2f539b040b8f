"""The Hypothesis machine made of a saga: it finds broken worlds, and users add rules."""

from __future__ import annotations

import unittest
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, run_state_machine_as_test

from saga_fsm import GUARDED, Saga
from saga_fsm.testing import state_machine_test
from tests.participants import C, P, R, Shop
from tests.unit.test_explore_faults import BROKEN


PLAIN = Saga("plain", C("a"), C("b"), P("p"), R("r"), deadline=60.0, contract=GUARDED)
# That something is found is asked here; how short it becomes is Hypothesis' affair.
OFTEN = settings(
    max_examples=400,
    stateful_step_count=20,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)


@pytest.mark.parametrize("what", BROKEN)
def test_hypothesis_finds_each_broken_world(what):
    """The rule machine kills what the tour kills."""
    case = state_machine_test(PLAIN, world=BROKEN[what][0])
    with pytest.raises(AssertionError):
        run_state_machine_as_test(case.machine, settings=OFTEN)


def test_the_input_can_be_a_strategy_and_the_test_is_a_plain_test_case():
    """Unittest and pytest collect it; each example has an input of its own."""
    seen = set()

    class Watched(Shop):
        def act(self, ctx: Any) -> str:
            """As every action, and the input is written down."""
            seen.add(ctx.input)
            return super().act(ctx)

    case = state_machine_test(PLAIN, world=Watched, input=st.sampled_from(["x", "y"]))
    case.settings = settings(max_examples=30, stateful_step_count=10, deadline=None, database=None)
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.wasSuccessful(), result.failures + result.errors
    assert seen == {"x", "y"}


def test_users_add_rules_of_their_own():
    """A subclass of ``machine`` sees the world after each thing that happens."""
    base = state_machine_test(PLAIN, world=Shop).machine

    class Mine(base):
        @invariant()
        def never_shipped(self) -> None:
            """A property of the user's."""
            assert not getattr(self, "world", None) or self.world.stands.get("p", 0) == 0

    with pytest.raises(AssertionError):
        run_state_machine_as_test(Mine, settings=OFTEN)
