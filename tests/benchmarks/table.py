"""
Prints the figures beside their goals: ``python -m tests.benchmarks.table``, or ``nox -s bench``.

Medians, in CPU time (of the children, for commands): a machine that is busy with something else
makes little difference to them. What is compared with one another is measured in turns.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from saga_fsm import check, compile_saga
from saga_fsm.examples import order
from tests.benchmarks import subjects as s


MICRO = 1e-6
ROUNDS = 9
Subject = Callable[[int], float]


def repeated(work: Callable[[], object]) -> Subject:
    """Give the seconds of CPU that one call takes, over so many calls."""

    def measure(calls: int) -> float:
        turns = range(calls)
        begin = time.process_time()
        for _ in turns:
            work()
        return (time.process_time() - begin) / calls

    return measure


def awaited(work: Callable[[], Any]) -> Subject:
    """Do the same for what is awaited, on one loop that is there."""

    async def measure(calls: int) -> float:
        turns = range(calls)
        await work()
        begin = time.process_time()
        for _ in turns:
            await work()
        return (time.process_time() - begin) / calls

    return lambda calls: asyncio.run(measure(calls))


def prepared(prepare: Callable[[], Any], work: Callable[[Any], object]) -> Subject:
    """Do the same for what needs something new each time, whose making does not count."""

    def measure(calls: int) -> float:
        things = [prepare() for _ in range(calls)]
        begin = time.process_time()
        for thing in things:
            work(thing)
        return (time.process_time() - begin) / calls

    return measure


def command(*arguments: str) -> Subject:
    """Give the seconds of CPU of a process."""

    def measure(calls: int) -> float:
        begin = s.children_time()
        for _ in range(calls):
            s.command(*arguments)
        return (s.children_time() - begin) / calls

    return measure


def medians(calls: int, rounds: int = ROUNDS, **subjects: Subject) -> dict[str, float]:
    """Measure each in turns, so that all meet the same machine."""
    for subject in subjects.values():
        subject(max(1, calls // 10))
    took: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            gc.collect()  # the garbage of the neighbour is not to be paid here
            took[name].append(subject(calls))
    return {name: statistics.median(times) for name, times in took.items()}


def shown(seconds: float) -> str:
    """A duration with three digits."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", MICRO)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def goal(what: str, value: float, limit: float) -> str:
    """One line: what, how much, how much at most, and whether."""
    verdict = "met" if value <= limit else f"missed, {value / limit:.1f} times"
    return f"{what:<52} {shown(value):>9}  {shown(limit):>8}  {verdict}"


def steps() -> Iterator[str]:
    """One move."""
    machine = s.fresh(s.FAILED)
    start = machine.initial
    got = medians(
        20_000,
        warm=repeated(lambda: machine.step(start, "start")),
        nothing=repeated(lambda: None),
    )
    yield goal("machine.step, a move made before", got["warm"] - got["nothing"], 2 * MICRO)
    cold = medians(300, cold=prepared(lambda: s.fresh(s.FAILED), s.walk))["cold"]
    yield goal("machine.step, a move never made before", cold / len(s.PATH), 2 * MICRO)


def runs() -> Iterator[str]:
    """A run beside what one would write by hand."""
    calls = 1_000
    done = medians(
        calls,
        ours=repeated(s.run_done),
        plain=repeated(lambda: s.plain(s.act)),
        transitions=repeated(s.Transitions(s.act).run),
    )
    failed = medians(
        calls,
        ours=repeated(s.run_failed),
        plain=repeated(lambda: s.plain(s.refuse)),
        transitions=repeated(s.Transitions(s.refuse).run),
    )
    adone = medians(
        calls,
        ours=awaited(s.arun_done),
        plain=awaited(lambda: s.plain_async(s.act_async)),
    )
    afailed = medians(
        calls,
        ours=awaited(s.arun_failed),
        plain=awaited(lambda: s.plain_async(s.refuse_async)),
    )
    count = len(s.NAMES)
    yield goal("run, 4 steps, a step", done["ours"] / count, 5 * MICRO)
    yield goal("arun, 4 steps, a step", adone["ours"] / count, 15 * MICRO)
    yield ""
    yield f"{'a whole run':<30} {'ours':>9} {'by hand':>9} {'transitions':>12}  ours is"
    for what, got in (
        ("4 steps", done),
        ("fails, 3 compensations", failed),
        ("4 steps, async", adone),
        ("fails, 3 compensations, async", afailed),
    ):
        other = shown(got["transitions"]) if "transitions" in got else "-"
        times = f"{got['ours'] / got['plain']:.0f} times by hand"
        if "transitions" in got:
            times += f", {got['ours'] / got['transitions']:.2f} times transitions"
        yield f"{what:<30} {shown(got['ours']):>9} {shown(got['plain']):>9} {other:>12}  {times}"
    yield ""


def compiling() -> Iterator[str]:
    """Large sagas."""
    got = medians(
        1,
        3,
        thousand=prepared(lambda: s.long(1_000), compile_saga),
        many=prepared(lambda: s.long(10_000), compile_saga),
        wide=prepared(s.wide, compile_saga),
    )
    yield goal("compile_saga, 1,000 steps", got["thousand"], 1.0)
    factor = got["many"] / got["thousand"]
    verdict = "met" if factor <= 12 else "missed"
    took = f"compile_saga, 10,000 steps ({shown(got['many'])}), times as long"
    yield f"{took:<52} {factor:>9.1f}  {12:>8}  {verdict}"
    yield goal("compile_saga, 20 branches of 3 steps", got["wide"], 0.1)


def commands() -> Iterator[str]:
    """What a person waits for."""
    got = medians(
        1,
        bare=command("-c", "pass"),
        load=command("-c", "import saga_fsm"),
        help=command("-m", "saga_fsm", "--help"),
    )
    yield goal("import saga_fsm, a process", got["load"], 0.150)
    yield goal("saga-fsm --help, a process", got["help"], 0.250)
    yield f"  of which Python itself {shown(got['bare'])}"
    demo = [command("-m", "saga_fsm", "demo")(1) for _ in range(3)]
    yield goal("saga-fsm demo, a process", statistics.median(demo), 20.0)
    checked = [repeated(lambda: check(order.saga))(1) for _ in range(3)]
    yield goal("check of the order example", statistics.median(checked), 2.0)


def main() -> None:
    """Print all of it; the exit status says nothing: it is for people."""
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"CPU time, medians of {ROUNDS} rounds (3 where one takes seconds), Python {version}\n")
    print(f"{'':<52} {'median':>9}  {'at most':>8}")
    for part in (steps, runs, compiling, commands):
        for line in part():
            print(line, flush=True)


if __name__ == "__main__":
    main()
