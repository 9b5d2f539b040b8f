"""What must hold of a guard that several hammer at once, or that is killed at any instruction."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from saga_fsm import Rejected
from tests.guard_laws import ctx_of
from tests.guard_process import VERBS, connect, guard_of, perform


KEYS = 12
PLACES = ("in the body", "before the commit", "after the commit")


class Hammered:
    """Laws for processes, threads and kills; a subclass has ``url`` and ``sql`` as fixtures."""

    def test_threads_at_one_key_are_one_effect(self, url: str, sql: Any) -> None:
        """Whoever is first; all others wait, and answer the same."""
        guard = guard_of(url)
        answers: list[str] = []
        gate = threading.Barrier(8)

        def ask(number: int) -> None:
            gate.wait()
            answers.append(perform(guard, ctx_of("k0"), "act", f"thread-{number}"))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 8
        assert len(set(answers)) == 1
        landed = answers[0].startswith("landed")
        assert nets(sql, ["k0"]) == {"k0": (1, 0) if landed else (0, 0)}

    def test_processes_at_the_same_keys_are_one_effect_each(self, url: str, sql: Any) -> None:
        """Actions, compensations and queries of three processes, in any order."""
        running = [start("hammer", url, str(seed), "0", str(KEYS)) for seed in range(3)]
        answers = [line.split() for child in running for line in finished(child)]
        assert len(answers) == 3 * KEYS * len(VERBS)
        check(answers, sql)

    @pytest.mark.parametrize("where", PLACES)
    @pytest.mark.parametrize("then", ["act", "undo", "ask"])
    def test_killed_in_an_action(self, url: str, sql: Any, where: str, then: str) -> None:
        """Row and effect are both there or neither, and whatever is asked for next is right."""
        kill_at("pause", url, where, "act")
        answer = perform(guard_of(url), ctx_of(), then, "2")
        landed = where == "after the commit"
        came, went = nets(sql, ["take"])["take"]
        if then == "act":
            assert (answer, came, went) == ("landed:1" if landed else "landed:2", 1, 0)
        elif then == "undo":
            assert (answer, came, went) == ("undone", int(landed), int(landed))
        else:
            assert answer.startswith("landed:1" if landed else "rejected")
            assert (came, went) == (int(landed), 0)

    @pytest.mark.parametrize("where", PLACES)
    @pytest.mark.parametrize("then", ["act", "undo"])
    def test_killed_in_a_compensation(self, url: str, sql: Any, where: str, then: str) -> None:
        """It is owed until it is committed, and done once."""
        perform(guard_of(url), ctx_of(), "act", "1")
        kill_at("pause", url, where, "undo")
        answer = perform(guard_of(url), ctx_of(), then, "2")
        undone = where == "after the commit" or then == "undo"
        assert nets(sql, ["take"]) == {"take": (1, int(undone))}
        if then == "act":
            assert answer == ("rejected:it_has_been_undone" if undone else "landed:1")

    def test_killed_in_an_effect_outside(self, url: str) -> None:
        """What began is asked for again, or undone: never taken for nothing; nor is an undo."""
        guard, called = guard_of(url).outside(), []
        kill_at("outside", url, "act")
        assert guard.act(ctx_of(), lambda: "receipt") == "receipt"
        kill_at("outside", url, "undo")
        with pytest.raises(Rejected, match="is being undone"):
            guard.act(ctx_of(), lambda: "another")
        for _ in range(2):
            guard.undo(ctx_of(), called.append)
        assert called == ["receipt"]

    def test_killed_in_an_action_outside_and_undone(self, url: str) -> None:
        """The effect may stand: its undo runs, without a result (apache/incubator-seata#6374)."""
        guard, called = guard_of(url).outside(), []
        kill_at("outside", url, "act")
        for _ in range(2):
            guard.undo(ctx_of(), called.append)
        assert called == [None]

    def test_killed_by_the_clock(self, url: str, sql: Any) -> None:
        """Processes killed at any instruction, and others that ask for the same after."""
        luck = random.Random(17)
        answers = []
        in_flight = 0
        for seed in range(4):
            # Keys of its own, and more than can be done by then.
            first = 1_000 * seed
            running = [start("hammer", url, str(at), str(first), "400") for at in (seed, -seed - 1)]
            told = [child.stdout.readline() for child in running]
            threading.Event().wait(luck.uniform(0.01, 0.15))
            in_flight += sum(child.poll() is None for child in running)
            for child in running:
                child.kill()
            told += [line for child in running for line in finished(child, killed=True)]
            answers += [line.split() for line in told]
            # All that was asked for is asked for again, and what was being asked for.
            seen = 2 + max(int(line.split()[0][1:]) for line in told if line.strip()) - first
            again = start("hammer", url, "99", str(first), str(seen))
            answers += [line.split() for line in finished(again)]
        assert in_flight >= 4, "the processes were over before they were killed"
        check(answers, sql)


def check(answers: Iterable[list[str]], sql: Callable[[str], list[Any]]) -> None:
    """One effect a key and one outcome, whoever was asked, and the ledger agrees."""
    told: dict[str, set[str]] = defaultdict(set)
    undone: set[str] = set()
    for answer in answers:
        if len(answer) < 3:
            continue  # killed while it wrote the line
        name, verb, what = answer
        told[name].add(what)
        if verb == "undo":
            undone.add(name)
    for name, (came, went) in nets(sql, told).items():
        landed = {what for what in told[name] if what.startswith("landed")}
        assert came in {0, 1}, f"{name} landed {came} times"
        assert went <= came, f"{name} was undone {went} times"
        assert len(landed) <= came, f"{name} answered {landed}, and landed {came} times"
        assert came == went or name not in undone, f"{name} stands, though it was undone"


def nets(sql: Callable[[str], list[Any]], names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """How often each came, and went, in the participant's own table."""
    rows = sql("SELECT name, amount FROM sales")
    found = {name: [amount for key, amount in rows if key == f"r1/{name}"] for name in names}
    return {name: (all_.count(1), all_.count(-1)) for name, all_ in found.items()}


def start(*arguments: str) -> subprocess.Popen[str]:
    """A participant as a process."""
    return subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-m", "tests.guard_process", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def finished(child: Any, *, killed: bool = False) -> list[str]:
    """What it printed, when it has ended."""
    # Not communicate(), which loses what a readline has read too much.
    lines = child.stdout.read().splitlines()
    child.stdout.close()
    code = child.wait(timeout=120)
    assert code == 0 or (killed and code == -signal.SIGKILL)
    return lines


def kill_at(*arguments: str) -> None:
    """Let it come to the place where it stops, and kill it there."""
    child: Any = start(*arguments)
    assert child.stdout.readline() == "here\n"
    with contextlib.suppress(ProcessLookupError):
        child.send_signal(signal.SIGKILL)
    finished(child, killed=True)


def prepared(url: str, sql: Callable[[str], list[Any]]) -> str:
    """A database with the tables."""
    from tests.guard_laws import SALES

    guard_of(url).create_table()
    sql(SALES)
    with connect(url):
        return url
