"""
How long things take. Nothing here passes or fails by the clock: only results are asserted.

``nox -s bench`` measures, in CPU time, and prints the table of ``table.py`` with the goals. An
ordinary run of the tests goes through each subject once and measures nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from saga_fsm import Status, check, compile_saga
from saga_fsm.examples import order
from tests.benchmarks import checker
from tests.benchmarks import subjects as s


AWAITED = 100
in_children = pytest.mark.benchmark(timer=s.children_time, min_rounds=5, warmup=False)


@pytest.fixture
def loop() -> Any:
    """Give a loop that stays: making one is not what is measured."""
    with asyncio.Runner() as runner:
        yield runner


def test_step_warm(benchmark: BenchmarkFixture) -> None:
    """A move that was made before."""
    machine = s.fresh(s.FAILED)
    move = benchmark(machine.step, machine.initial, "start")
    assert str(move.state) == "running(hotel.started)"


def test_steps_cold(benchmark: BenchmarkFixture) -> None:
    """Eight moves that no run made before."""

    def setup() -> Any:
        return (s.fresh(s.FAILED),), {}

    state = benchmark.pedantic(s.walk, setup=setup, rounds=200)
    assert str(state).startswith("compensated")


@pytest.mark.parametrize(
    ("subject", "status"),
    [
        (s.run_done, Status.COMPLETED),
        (lambda: s.plain(s.act), Status.COMPLETED),
        (s.Transitions(s.act).run, Status.COMPLETED),
        (s.run_failed, Status.COMPENSATED),
        (lambda: s.plain(s.refuse), Status.COMPENSATED),
        (s.Transitions(s.refuse).run, Status.COMPENSATED),
    ],
    ids=["run", "run_plain", "run_transitions", "fail", "fail_plain", "fail_transitions"],
)
def test_four_steps(
    benchmark: BenchmarkFixture, subject: Callable[[], Status], status: Status
) -> None:
    """Four steps that do nothing, to the end or back; by us, by hand, by ``transitions``."""
    assert benchmark(subject) is status


@pytest.mark.parametrize(
    ("subject", "status"),
    [
        (s.arun_done, Status.COMPLETED),
        (lambda: s.plain_async(s.act_async), Status.COMPLETED),
        (s.arun_failed, Status.COMPENSATED),
        (lambda: s.plain_async(s.refuse_async), Status.COMPENSATED),
    ],
    ids=["arun", "arun_plain", "afail", "afail_plain"],
)
def test_a_hundred_times_four_steps_on_a_loop(
    benchmark: BenchmarkFixture,
    loop: asyncio.Runner,
    subject: Callable[[], Awaitable[Status]],
    status: Status,
) -> None:
    """The same on one loop, a hundred runs one after the other."""

    async def many() -> set[Status]:
        return {await subject() for _ in range(AWAITED)}

    assert benchmark(lambda: loop.run(many())) == {status}


@pytest.mark.parametrize("steps", [1_000, 10_000])
def test_compile_a_row(benchmark: BenchmarkFixture, steps: int) -> None:
    """A row of steps."""

    def setup() -> Any:
        return (s.long(steps),), {}

    machine = benchmark.pedantic(compile_saga, setup=setup, rounds=5)
    assert len(machine.rows) > steps


def test_compile_branches(benchmark: BenchmarkFixture) -> None:
    """Twenty branches of three steps at the same time: their sum, not their product."""

    def setup() -> Any:
        return (s.wide(),), {}

    machine = benchmark.pedantic(compile_saga, setup=setup, rounds=10)
    assert len(machine.automata) < 1_000


def test_check_the_order(benchmark: BenchmarkFixture) -> None:
    """The running example, under every fault."""
    report = benchmark.pedantic(check, args=(order.saga,), rounds=3)
    assert report.verdict == "safe"


@in_children
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-c", "import saga_fsm; print(saga_fsm.__name__)"), "saga_fsm"),
        (("-m", "saga_fsm", "--help"), "Usage"),
        (("-m", "saga_fsm", "demo"), "safe"),
    ],
    ids=["import", "help", "demo"],
)
def test_commands(benchmark: BenchmarkFixture, arguments: tuple[str, ...], said: str) -> None:
    """What a person waits for, in a process of its own."""
    assert said in benchmark.pedantic(s.command, args=arguments, rounds=5)


def test_the_table_of_the_checker() -> None:
    """Each section of ``checker.py`` measures something on tiny sagas, and nothing is unsound."""
    lines = list(checker.table(checker.TINY))
    sections = "".join(lines).split("-- ")[1:]
    assert len(sections) == len(checker.SECTIONS)
    assert not any("NOT SAFE" in line or "did not end" in line for line in lines)
    assert sum(not line.startswith("-- ") for line in lines) > 2 * len(sections)


def test_the_table_of_durable_runs_can_be_made(tmp_path: Path) -> None:
    """Each row stands, on a few runs: SQLite at one and many at a time, and recovery."""
    from saga_fsm.journals.sqlite import SqliteJournal
    from tests.benchmarks import durable

    rates = list(
        durable.throughput(
            lambda: SqliteJournal(tmp_path / "sagas.db"), lambda: 100.0, many=4, seconds=0.05
        )
    )
    assert [at_once for at_once, *_ in rates] == [1, 4]
    assert all(rate > 0 for _, rate, _, _ in rates)
    rows = list(durable.recovery(lambda: SqliteJournal(tmp_path / "left.db"), 30, "SQLite"))
    assert len(rows) == 2
    assert "30 runs in flight" in str(rows[0])
