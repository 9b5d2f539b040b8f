"""What a test function under ``@saga_faults`` may be, ask for and do, in pytest and without it."""

from __future__ import annotations

import os
import unittest
from pathlib import Path

import pytest
from hypothesis import strategies as st

from saga_fsm import GUARDED, Saga, pivot, readonly
from saga_fsm.errors import SagaError
from saga_fsm.testing import saga_faults
from saga_fsm.testing.attack import FailureTestError


pytest_plugins = "pytester"

ROOT = Path(__file__).parents[2]
SHOP = """
import pytest
from saga_fsm import GUARDED, Saga, pivot, readonly
from saga_fsm.testing import saga_faults


class Shop:
    def __init__(self):
        self.sum = 0


def pay(ctx): ctx.services.sum += ctx.input or 0
def ship(ctx): ...


order = Saga("order", readonly(pay), pivot(ship), contract=GUARDED)
FEW = {"max_faults": 0, "max_runs": 30, "deeper": 0}
"""


@pytest.fixture
def users(pytester, monkeypatch):
    """A user's project, in an environment in which the library is installed with its plugin."""
    info = pytester.mkdir("site") / "saga_fsm-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: saga-fsm\nVersion: 0\n")
    (info / "entry_points.txt").write_text("[pytest11]\nsaga_fsm = saga_fsm.pytest_plugin\n")
    monkeypatch.syspath_prepend(str(info.parent))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(info.parent), str(ROOT)]))
    return pytester


def run(pytester, text, *options):
    """The outcome of a user's file of tests."""
    pytester.makepyfile(test_shop=SHOP + text)
    return pytester.runpytest("--strict-markers", "-p", "no:cacheprovider", *options)


def test_further_parameters_are_fixtures_and_parameters(users):
    """A fixture is set up once for all plans; parametrize works above and below, and in a class."""
    result = run(
        users,
        """
SEEN = []

@pytest.fixture
def number():
    SEEN.append("set up")
    return 7

@pytest.mark.parametrize("above", [1, 2])
@saga_faults(order, world=Shop, **FEW)
@pytest.mark.parametrize("below", "ab")
def test_all(world, number, above, outcome, below, tmp_path):
    assert (number, world.sum) == (7, 0)
    assert above in (1, 2) and below in "ab" and tmp_path.is_dir()

class TestIn:
    there = 1

    @saga_faults(order, world=Shop, **FEW)
    def test_method(self, world, outcome, number):
        assert self.there == 1 and number == 7

    @staticmethod
    @saga_faults(order, world=Shop, **FEW)
    def test_static(outcome): ...

def test_set_up_once():
    assert len(SEEN) == 5
""",
        "-v",
    )
    result.assert_outcomes(passed=7)
    result.stdout.fnmatch_lines(["*::test_all?a-1? PASSED*", "*::TestIn::test_method PASSED*"])


def test_functions_may_be_async_and_ask_for_little(users):
    """A coroutine is awaited, and its assertion counts; nobody must take what it does not need."""
    result = run(
        users,
        """
@saga_faults(order, world=Shop, **FEW)
async def test_good(outcome):
    import asyncio
    await asyncio.sleep(0)

@saga_faults(order, world=Shop, **FEW)
async def test_bad(world, outcome):
    assert outcome.status.value != "compensated", "seen by the coroutine"

@saga_faults(order, world=Shop, input=3, **FEW)
def test_input(input): assert input == 3
""",
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["order: 1 kinds of failure *", "*seen by the coroutine*"])


def test_a_fixture_can_give_the_world(users):
    """A class or factory is called for each plan, an object is reset before each; else an error."""
    result = run(
        users,
        """
MADE = []

class Resets(Shop):
    resets = 0
    def reset(self):
        self.resets += 1
        self.sum = 0

@pytest.fixture
def kind(): return Shop

@pytest.fixture
def maker():
    def make():
        MADE.append(1)
        return Shop()
    return make

@pytest.fixture
def kept():
    there = Resets()
    yield there
    assert there.resets >= 25

@pytest.fixture
def world(): return Shop

@pytest.fixture
def plain(): return object()

@saga_faults(order, world="kind", input=5, **FEW)
def test_kind(world, outcome): assert type(world) is Shop and world.sum % 5 == 0

@saga_faults(order, world="maker", **FEW)
def test_maker(world, outcome): ...

def test_made(): assert len(MADE) > 10

@saga_faults(order, world="kept", input=5, **FEW)
def test_kept(world, outcome, kept): assert world is kept and world.sum <= 15

@saga_faults(order, world="world", **FEW)
def test_of_that_name(world, outcome): assert type(world) is Shop

@saga_faults(order, world="plain", **FEW)
def test_plain(world, outcome): ...

@saga_faults(order, world="nobody", **FEW)
def test_nobody(world, outcome): ...
""",
    )
    result.assert_outcomes(passed=5, failed=1, errors=1)
    result.stdout.fnmatch_lines_random(
        [
            "*fixture 'nobody' not found",
            "*fixture 'plain' gives object, which is neither a factory nor has reset()*",
        ]
    )


def test_the_words_of_pytest_mean_what_they_say(users):
    """A skip skips the test, an xfail is one, and what ``pytest.fail`` says fails the plan."""
    result = run(
        users,
        """
import unittest

@saga_faults(order, world=Shop, **FEW)
def test_skip(outcome): pytest.skip("not here")

@saga_faults(order, world=Shop, **FEW)
def test_skip_too(outcome): raise unittest.SkipTest("nor here")

@saga_faults(order, world=Shop, **FEW)
def test_xfail(outcome): pytest.xfail("known")

@saga_faults(order, world=Shop, **FEW)
def test_fail(outcome):
    if outcome.status.value == "compensated":
        pytest.fail("no way back")

@pytest.mark.xfail(strict=True)
@saga_faults(order, world=Shop, **FEW)
def test_marked(outcome): assert False
""",
        "-rA",
    )
    result.assert_outcomes(skipped=2, xfailed=2, failed=1)
    result.stdout.fnmatch_lines(["*test_fail says: no way back*", "  plan: pay@0=*"])


DRAWN = """
from hypothesis import HealthCheck, example, given, seed, settings, strategies as st

SEEN = set()
INPUTS = st.integers(0, 1_000)
"""


def test_inputs_can_be_drawn(users):
    """There are few searches; a failing plan is tried with simpler inputs until the least."""
    result = run(
        users,
        DRAWN
        + """
@saga_faults(order, world=Shop, input=INPUTS, **FEW)
def test_some(world, outcome, input, tmp_path): SEEN.add(input)

def test_seen(): assert 2 <= len(SEEN) <= 5

@saga_faults(order, world=Shop, input=st.integers(0, 10**6), **FEW)
def test_bad(world, outcome, input):
    # Hypothesis tries the numbers that it reads here: the least input is none of them.
    assert input * 7 < 70_000 or outcome.status.value != "compensated"
""",
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["with the input 10000:", "*input=10000*"])


def test_settings_examples_and_seeds_of_hypothesis_count(users):
    """Above or below the decorator; a profile's number of examples is a limit too."""
    result = run(
        users,
        DRAWN
        + """
settings.register_profile("two", max_examples=2)

@settings(max_examples=8, deadline=None)
@saga_faults(order, world=Shop, input=INPUTS, **FEW)
def test_above(world, outcome, input): SEEN.add(input)

def test_eight():
    assert 6 <= len(SEEN) <= 8
    SEEN.clear()

@saga_faults(order, world=Shop, input=INPUTS, **FEW)
@settings(max_examples=7, deadline=None)
@example(input=12_345)
def test_below(world, outcome, input): SEEN.add(input)

def test_seven():
    assert 6 <= len(SEEN) <= 8 and 12_345 in SEEN
    SEEN.clear()

@seed(3)
@example(input=54_321)
@saga_faults(order, world=Shop, input=INPUTS, **FEW)
def test_seeded(world, outcome, input): SEEN.add(input)

def test_the_example(): assert 54_321 in SEEN
""",
    )
    result.assert_outcomes(passed=6)
    result = run(
        users,
        DRAWN
        + """
@saga_faults(order, world=Shop, input=INPUTS, **FEW)
def test_few(world, outcome, input): SEEN.add(input)

def test_quick_is_two(): assert len(SEEN) <= 2
""",
        "--saga-faults=quick",
    )
    result.assert_outcomes(passed=2)


def test_coverage_is_asked_of_all_inputs_together(users):
    """One input may not take every row, if another does."""
    result = run(
        users,
        DRAWN
        + """
@saga_faults(order, world=Shop, input=INPUTS, max_runs=2, coverage=1.0)
def test_few(world, outcome): ...
""",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*and 100.0% is asked*"])


# ---------------------------------------------------------------------- without pytest's help


def pay(ctx):
    """Nothing comes of it."""


ORDER = Saga("order", readonly(pay), pivot(pay, name="ship"), contract=GUARDED)


class Shop:
    """A world in which nothing happens."""


def test_a_plain_call_runs_it():
    """No pytest is needed where no fixture is asked for; what fails says how to run it again."""
    asked = []

    @saga_faults(ORDER, world=Shop, max_faults=0)
    def good(world, outcome):
        asked.append(type(world))

    @saga_faults(ORDER, world=Shop, max_faults=0)
    def bad(world, outcome):
        assert outcome.status.value != "compensated", "never back"

    good()
    assert set(asked) == {Shop}
    with pytest.raises(FailureTestError, match="never back") as told:
        bad()
    assert "replay(ORDER, 'pay@0=reject', world=Shop)" in str(told.value)
    assert told.value.exploration is not None
    assert told.value.exploration.failures


def test_unittest_runs_it():
    """In a ``TestCase`` as a method, sync or async, and with an input that is drawn."""

    class Case(unittest.TestCase):
        @saga_faults(ORDER, world=Shop, max_faults=0)
        def test_good(self, world, outcome):
            self.assertIsNotNone(outcome)  # noqa: PT009 - unittest's own word is what is tested

        @saga_faults(ORDER, world=Shop, max_faults=0)
        async def test_bad(self, world, outcome):
            self.assertEqual(outcome.status.value, "completed")  # noqa: PT009

        @saga_faults(ORDER, world=Shop, max_faults=0)
        def test_skipped(self, world, outcome):
            self.skipTest("not now")

        @saga_faults(ORDER, world=Shop, input=st.integers(), max_faults=0, max_runs=20)
        def test_drawn(self, world, outcome, input):  # noqa: A002 - the interface's word
            assert isinstance(input, int)

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
    assert (result.testsRun, result.errors, len(result.skipped)) == (4, [], 1)
    ((failed, _),) = result.failures
    assert failed.id().endswith("test_bad")


def test_a_fixture_instead_of_its_name_is_told():
    """The mistake is told where it is made, with the name to write."""

    @pytest.fixture
    def shop():
        return Shop

    with pytest.raises(SagaError, match="world='shop'"):
        saga_faults(ORDER, world=shop)


def test_a_share_that_is_none_is_told():
    """Per cent are no share."""
    with pytest.raises(ValueError, match="from 0 to 1"):
        saga_faults(ORDER, world=Shop, coverage=95)


def test_the_oracle_that_does_not_agree_is_named():
    """What the world says itself, sync or async, is not taken for the test function's word."""

    class Own(Shop):
        def is_consistent(self, outcome):
            return outcome.status.value == "completed"

    async def slow(world, outcome):
        return outcome.status.value == "completed"

    for world, oracle, name in ((Own, None, "is_consistent"), (Shop, slow, "slow")):

        @saga_faults(ORDER, world=world, consistent=oracle, max_faults=0)
        def bad(world, outcome):
            """Is asked when the oracle agrees."""

        with pytest.raises(FailureTestError, match=f"{name} does not agree with 'compensated'"):
            bad()
