"""The pytest plugin: what a user's own pytest run does with ``@saga_faults`` tests."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest


pytest_plugins = "pytester"

ROOT = Path(__file__).parents[2]
SHOP = """
import pytest
from saga_fsm import GUARDED, Saga, pivot, step
from saga_fsm.testing import saga_faults


class Shop:
    undo = True

    def __init__(self):
        self.paid = {}
        self.refused = set()

    def pay(self, key, amount):
        if key in self.refused:
            raise RuntimeError("refused")
        self.paid.setdefault(key, amount)

    def pay_back(self, key):
        self.refused.add(key)
        if self.undo:
            self.paid.pop(key, None)


class Greedy(Shop):
    undo = False


def pay(ctx): ctx.services.pay(ctx.key, 7)
def pay_back(ctx, payment): ctx.services.pay_back(ctx.action_key)
def ship(ctx): ...


order = Saga("order", step(pay, compensate=pay_back), pivot(ship), contract=GUARDED)
EFFORT = {"max_faults": 1, "deeper": 0}


def right(world, outcome):
    assert bool(world.paid) == (outcome.status.value == "completed"), "paid and not shipped"
"""
GOOD = """
@saga_faults(order, world=Shop, **EFFORT)
def test_good(world, outcome):
    if outcome.status.value != "stuck":
        right(world, outcome)
"""
BAD = """
@saga_faults(order, world=Greedy, **EFFORT)
def test_bad(world, outcome):
    if outcome.status.value != "stuck":
        right(world, outcome)
"""
LINE = "saga_fsm.pytest_plugin"


@pytest.fixture
def users(pytester, monkeypatch):
    """A user's project, in an environment in which the library is installed with its plugin."""
    site = pytester.mkdir("site")
    info = site / "saga_fsm-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: saga-fsm\nVersion: 0\n")
    (info / "entry_points.txt").write_text(f"[pytest11]\nsaga_fsm = {LINE}\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(ROOT)]))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return pytester


def project(pytester, *tests):
    """One file with tests of a saga."""
    return pytester.makepyfile(test_shop=SHOP + "\n".join(tests))


def test_the_plugin_is_an_entry_point():
    """Who installs the library need not name the plugin."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"saga_fsm": LINE}


def test_a_run_without_saga_tests_loads_nothing_else(users):
    """The plugin costs other projects one module, at import, collection and summary."""
    users.makepyfile("def test_plain(): assert True")
    users.makeconftest(
        "import sys\n"
        "def pytest_unconfigure():\n"
        "    loaded = [x for x in sys.modules if x.startswith('saga_fsm')]\n"
        "    assert 'saga_fsm.pytest_plugin' in loaded\n"
        "    print('LOADED', sorted(loaded))\n"
    )
    result = users.runpytest_subprocess("-s")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["LOADED ['saga_fsm', 'saga_fsm.pytest_plugin']"])


def test_importing_the_plugin_is_cheap(users):
    """Beside pytest itself it takes a few milliseconds."""
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import pytest, saga_fsm.pytest_plugin"],
        check=True,
        capture_output=True,
        text=True,
    )
    own = [line.split("|") for line in run.stderr.splitlines() if "saga_fsm" in line]
    micros = {name.strip(): int(cumulative) for _, cumulative, name in own}
    assert set(micros) == {"saga_fsm", "saga_fsm.pytest_plugin"}
    assert sum(micros.values()) < 100_000


def test_a_good_saga_passes_and_the_summary_tells_what_was_done(users):
    """Plans run, rows taken, faults fired: in the terminal's last lines."""
    project(users, GOOD)
    result = users.runpytest()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["*= failure tests of sagas =*", "order: * plans run in 1 test, * rows taken (*%)*"]
    )
    result.stdout.re_match_lines([r"  faults fired: .*crash_after \d+.*reject \d+"])


def test_a_failure_is_its_text_and_a_line_that_replays_it(users):
    """No page of our own frames; and the line that is told fails with the user's assertion."""
    project(users, BAD)
    result = users.runpytest()
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    assert "saga_fsm/testing" not in text
    assert not [line for line in result.outlines if line.startswith("E ")]
    assert "FAILED test_shop.py::test_bad - order: 1 kinds of failure" in text
    assert "plan: pay@0=" in text
    assert "replay(order, 'pay@0=" in text
    (line,) = [line for line in result.outlines if line.startswith("  pytest ")]
    assert "test_shop.py::test_bad --saga-replay pay@0=" in line
    again = users.runpytest(*line.split()[1:])
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(["*paid and not shipped*", "test_shop.py:*: AssertionError"])
    users.runpytest("--saga-replay", "pay@0=reject").assert_outcomes(passed=1)


def test_a_replay_that_cannot_be_meant_is_told(users):
    """A plan that is none is wrong use; one whose fault never fires tests nothing, and fails."""
    project(users, GOOD)
    result = users.runpytest("--saga-replay", "pay=boom")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*'pay=boom' is no injection*"])
    result = users.runpytest("--saga-replay", "pay@7=reject")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*never fired: pay@7=reject*"])


def runs_of(result):
    """How many plans a session has run."""
    (line,) = [line for line in result.outlines if line.startswith("order: ")]
    return int(line.split()[1].replace(",", ""))


@pytest.mark.heavy
def test_quick_is_less_and_full_is_more_than_the_test_says(users):
    """The option changes the effort of every test, and so does the ini file."""
    project(users, GOOD.replace("**EFFORT", "max_faults=1, max_runs=60, deeper=20"))
    said = runs_of(users.runpytest())
    assert runs_of(users.runpytest("--saga-faults=full")) > 3 * said
    project(users, GOOD.replace("**EFFORT", "max_faults=1, deeper=100"))
    said = runs_of(users.runpytest())
    quick = runs_of(users.runpytest("--saga-faults=quick"))
    assert quick < said
    users.makeini("[pytest]\nsaga_faults = quick")
    assert runs_of(users.runpytest()) == quick


def test_the_ini_file_speaks_where_the_test_is_silent(users):
    """What the test says itself goes before; a word that cannot be meant is wrong use."""
    project(users, GOOD.replace("**EFFORT", "max_faults=0, deeper=0"))
    users.makeini("[pytest]\nsaga_max_runs = 17\nsaga_max_faults = 3")
    assert runs_of(users.runpytest()) == 17
    project(users, GOOD.replace("**EFFORT", "max_runs=23"))
    assert runs_of(users.runpytest()) == 23
    for wrong in ("saga_max_runs = many", "saga_faults = slow", "saga_coverage_min = 7"):
        users.makeini(f"[pytest]\n{wrong}")
        result = users.runpytest()
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["*Give *"])


def test_coverage_is_told_by_row_and_can_be_required(users):
    """Each test and each saga, missed rows by name, the others with a reason; below it fails."""
    few = GOOD.replace("**EFFORT", "max_runs=2").replace("test_good", "test_few")
    project(users, GOOD, few)
    result = users.runpytest("--saga-coverage")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "order: * plans run in 2 tests, * rows taken (100.0%), * cannot be*",
            "  test_shop.py::test_good * rows 100.0% * runs",
            "  test_shop.py::test_few * rows * 2 runs",
            "  cannot be taken: * | *: *",
        ]
    )
    result.stdout.no_fnmatch_line("  never taken: *")
    (whole,) = re.findall(r"^order: .* tests, (\d+ of \d+) rows", result.stdout.str(), re.MULTILINE)
    (good,) = re.findall(r"test_good +(\d+ of \d+) rows", result.stdout.str())
    assert whole == good
    result = users.runpytest("--saga-coverage", "-k", "few")
    result.stdout.fnmatch_lines(["  never taken: rejected(pay) | *"])
    result = users.runpytest("--saga-coverage-min=1.0")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*of the rows that can be taken were, and 100.0% is asked*"])


@pytest.mark.parametrize("how", ["coverage=1.0", "marker"])
def test_a_test_can_ask_for_coverage_itself(users, how):
    """By an argument of the decorator, or of the marker, which goes before it."""
    said = "max_runs=2, coverage=1.0" if how == "coverage=1.0" else "max_runs=2"
    mark = "@pytest.mark.saga_faults(coverage=0.99)" if how == "marker" else ""
    project(users, mark + GOOD.replace("**EFFORT", said))
    result = users.runpytest("--strict-markers")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*tour was cut short: raise max_runs.*"])


def test_a_marker_with_a_wrong_argument_is_told(users):
    """A misspelt argument does not pass for one that has no effect."""
    project(users, "@pytest.mark.saga_faults(covrage=1.0)" + GOOD)
    result = users.runpytest()
    result.stdout.fnmatch_lines(["*the marker saga_faults takes no covrage*"])
    assert result.ret != 0


def test_the_marker_is_set_by_itself(users):
    """``-m saga_faults`` takes these tests, and ``-m 'not saga_faults'`` the others."""
    project(users, GOOD, "def test_plain(): ...")
    for mark, name in (("saga_faults", "test_good"), ("not saga_faults", "test_plain")):
        result = users.runpytest("--strict-markers", "-m", mark, "--collect-only", "-q")
        assert [x for x in result.outlines if "::" in x] == [f"test_shop.py::{name}"]
    result = users.runpytest("--collect-only")
    result.stdout.no_fnmatch_line("*failure tests of sagas*")


def test_junit_has_the_figures_and_plain_names(users):
    """A CI page shows runs, coverage and the plan that fails."""
    project(users, GOOD, BAD)
    users.runpytest("--junitxml=found.xml")
    cases = {
        case.get("name"): case
        for case in ET.parse(users.path / "found.xml").iter("testcase")  # noqa: S314 - ours
    }
    assert set(cases) == {"test_good", "test_bad"}
    told = {
        name: {one.get("name"): one.get("value") for one in case.iter("property")}
        for name, case in cases.items()
    }
    assert int(told["test_good"]["saga_runs"]) > 50
    assert float(told["test_good"]["saga_coverage"]) == 1.0
    assert told["test_bad"]["saga_plan"].startswith("pay@0=")
    failure = cases["test_bad"].find("failure")
    assert failure is not None
    assert "paid and not shipped" in failure.get("message")


@pytest.mark.heavy
def test_workers_of_xdist_tell_the_same(users):
    """What two processes find is put together: union of the rows, all failures, the pictures."""
    pytest.importorskip("xdist")
    others = [GOOD.replace("test_good", f"test_good_{number}") for number in range(3)]
    project(users, *others, BAD)
    result = users.runpytest_subprocess("-n", "2", "--saga-coverage=out")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "order: * plans run in 4 tests, * rows taken (100.0%)*",
            "FAILED test_shop.py::test_bad: *",
            "  pytest test_shop.py::test_bad --saga-replay pay@0=*",
        ]
    )
    assert (users.path / "out" / "order-coverage.dot").exists()
    assert len(list((users.path / "out").glob("*failure*.dot"))) == 1


def test_nothing_tested_fails(users):
    """A search in which no fault could fire says so, and does not pass."""
    project(users, GOOD.replace("**EFFORT", "max_runs=1"))
    result = users.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*nothing was tested, no fault was ever injected*"])


def test_the_first_failure_ends_and_the_last_failed_are_run_again(users):
    """``-x`` and ``--lf`` work as with any test."""
    project(users, BAD, GOOD)
    users.runpytest("-x").assert_outcomes(failed=1)
    users.runpytest("--lf").assert_outcomes(failed=1)


@pytest.mark.heavy
def test_without_the_plugin_the_tests_run_all_the_same(users):
    """``-p no:saga_fsm`` takes the options and the summary away, nothing else."""
    project(users, GOOD, BAD)
    result = users.runpytest_subprocess("-p", "no:saga_fsm")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*failure tests of sagas*")
    assert result.stdout.str().count("saga_fsm/testing") <= 2


def test_an_interrupted_search_tells_what_it_had_found(users):
    """Ctrl-C in the middle: the runs until then are in the summary, marked."""
    said = "    import pathlib, time; pathlib.Path('begun').touch(); time.sleep(0.01)\n    if "
    slow = GOOD.replace("    if ", said)
    project(users, slow.replace("**EFFORT", "max_faults=3"))
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--saga-coverage"],
        cwd=users.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    begun, given_up = users.path / "begun", time.monotonic() + 60
    while not begun.exists() and time.monotonic() < given_up:
        time.sleep(0.1)
    time.sleep(1)
    run.send_signal(signal.SIGINT)
    out = run.communicate(timeout=60)[0].decode()
    assert run.returncode == pytest.ExitCode.INTERRUPTED
    assert "; not complete" in out
    assert "runs (interrupted)" in out
