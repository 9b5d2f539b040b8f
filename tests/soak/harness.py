"""
Kill real processes, take up what they left, and look whether the money is right.

``python -m tests.soak.harness --store sqlite --kills 300`` starts orchestrators in processes of
their own, on one journal, kills them with SIGKILL at commit boundaries and by a timer, starts
others, lets the last ones come to rest, and asks the ledger. Only kills of a process that was at
work, with a run in flight, count.

The children are forked from this process, which has loaded everything and has no threads.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import attrs

from saga_fsm import (
    Contract,
    Orchestrator,
    Rejected,
    Retry,
    Saga,
    Status,
    audit,
    compile_saga,
    step,
)
from saga_fsm.ports import Append, Store
from tests.soak.bugs import BUGS
from tests.soak.ledger import STEPS, Ledger


_LEASE = 0.4  # seconds: short, so that a run is soon taken from who was killed
_AT_ONCE = 8  # runs that a child starts
_SLOW = 0.004  # seconds that a call takes at most
_REJECTED = 0.15  # share of calls: two owners hear different things
_SUSPENDED = 0.15  # share of rounds in which an owner sleeps longer than its lease


@attrs.frozen
class World:
    """What the steps act on, and their luck."""

    ledger: Ledger
    luck: random.Random


def _action(ctx: Any) -> str:
    time.sleep(ctx.services.luck.random() * _SLOW)
    if ctx.services.luck.random() < _REJECTED:
        raise Rejected("not today")
    ctx.services.ledger.act(ctx.run_id, ctx.step)
    time.sleep(ctx.services.luck.random() * _SLOW)
    return ctx.key


def _undo(ctx: Any, _result: object) -> None:
    time.sleep(ctx.services.luck.random() * _SLOW)
    ctx.services.ledger.undo(ctx.run_id, ctx.step)
    time.sleep(ctx.services.luck.random() * _SLOW)


# An undo is asked for without end: processes live so short here that the third recovery of one
# call, which counts as a failure of it, comes again and again.
_PATIENT = Retry.forever(wait_initial=0.01, wait_max=0.1)
SAGA = Saga(
    "soak",
    *[
        step(
            _action,
            name=name,
            compensate=_undo,
            retry=Retry(attempts=2),
            compensation_retry=_PATIENT,
        )
        for name in STEPS
    ],
    contract=Contract(idempotent=True, fenced=True),
)


@attrs.frozen
class Soak:
    """
    What is soaked, and how.

    Args:
        make: opens the journal, in a process of its own.
        ledger: of the participants.
        kills: how many with a run in flight.
        children: orchestrators at once.
        seed: of all luck.
        bug: planted in each child; empty for none.
    """

    make: Callable[[], Store]
    ledger: Ledger
    kills: int
    children: int = 1
    seed: int = 0
    bug: str = ""


@attrs.frozen
class Soaked:
    """What came of it."""

    kills: int
    forks: int
    runs: int
    completed: int
    compensated: int
    seconds: float
    violations: list[str]


def soak(plan: Soak) -> Soaked:
    """Kill until there were kills enough, or something is wrong that cannot be mended."""
    begin = time.monotonic()
    luck = random.Random(plan.seed)
    plan.ledger.make()
    with closing(plan.make()) as store:
        kills = forks = 0
        while kills < plan.kills:
            # Where one sleeps, the other has to live, to take its runs.
            sleeps = plan.children > 1 and luck.random() < _SUSPENDED
            born = [
                _forked(plan, luck.randrange(2**32), forks + n, deadly=not sleeps)
                for n in range(plan.children)
            ]
            forks += len(born)
            if sleeps:
                _suspend(*born[0])
            at_work = sum(_kill(*one, luck) for one in luck.sample(born, len(born)))
            kills += at_work * _in_flight(store)
        _rest(plan, store)
        runs = list(store.list_runs(limit=None))
        wrong = plan.ledger.violations(runs)
        machine = compile_saga(SAGA)
        wrong += [
            f"{run.run_id}: {found}"
            for run in runs
            if not (found := audit(machine, store.read(run.run_id))).ok
        ]
        ends = [run.status for run in runs]
    seconds = time.monotonic() - begin
    completed, back = (ends.count(one) for one in (Status.COMPLETED, Status.COMPENSATED))
    return Soaked(kills, forks, len(runs), completed, back, seconds, wrong)


def _forked(plan: Soak, seed: int, number: int, *, deadly: bool) -> tuple[int, int]:
    """
    A child that starts runs, takes up what others left, and kills itself, or is killed.

    Returns:
        Its process, and where it says that it has stored something.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        os.close(reader)
        _child(plan, random.Random(seed), number, writer, deadly=deadly)
    except BaseException:  # noqa: BLE001 - shown, and the process ends here whatever it was
        traceback.print_exc()
    finally:
        os._exit(0)


def _child(plan: Soak, luck: random.Random, number: int, at_work: int, *, deadly: bool) -> None:
    if plan.bug:
        BUGS[plan.bug]()
    store: Any = plan.make()
    # Half of them at a boundary of a commit, before it or after it; the others by the parent.
    last = luck.randrange(1, 12) if deadly and luck.random() < 0.5 else 1_000_000
    _deadly(store, last, at_work, before=luck.random() < 0.5)
    world = World(plan.ledger, luck)
    orchestrator = Orchestrator(SAGA, journal=store, services=world, lease=_LEASE, poll=0.02)
    with orchestrator:
        for start in range(_AT_ONCE):
            orchestrator.start(SAGA, run_id=f"{plan.seed}-{number}-{start}")
        time.sleep(60)


def _deadly(store: Any, commits: int, at_work: int, *, before: bool) -> None:
    """Die at a boundary: nothing of this commit is stored, or all of it and nobody knows."""
    carry_out = store.commit
    numbers = count()

    def commit(appends: list[Append]) -> Any:
        number = next(numbers)
        if number == commits and before:
            # A disk that is slow, and then nothing: what did not wait for it has happened.
            time.sleep(_SLOW * 3)
            os.kill(os.getpid(), signal.SIGKILL)
        results = carry_out(appends)
        if not number:
            os.write(at_work, b".")
        if number == commits:
            os.kill(os.getpid(), signal.SIGKILL)
        return results

    store.commit = commit


def _suspend(pid: int, reader: int) -> None:
    """Let one sleep until its lease is over and others have its runs; then it wakes and writes."""
    select.select([reader], [], [], 10)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(_LEASE + 0.3)
    os.kill(pid, signal.SIGCONT)


def _kill(pid: int, reader: int, luck: random.Random) -> bool:
    """
    Once it is at work, wait a little for it to kill itself, else do it.

    Returns:
        Whether it was at work.
    """
    select.select([reader], [], [], 10)
    at_work = os.read(reader, 1) == b"."
    os.close(reader)
    end = time.monotonic() + luck.random() * 0.12
    while time.monotonic() < end:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return at_work
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return at_work


def _in_flight(store: Store) -> bool:
    return any(
        store.list_runs(status=status, limit=1) for status in (Status.RUNNING, Status.COMPENSATING)
    )


def _rest(plan: Soak, store: Store) -> None:
    """Let everything come to rest, with nobody killed."""
    pid = os.fork()
    if not pid:
        try:
            if plan.bug:
                BUGS[plan.bug]()
            world = World(plan.ledger, random.Random(plan.seed))
            journal = plan.make()
            with Orchestrator(SAGA, journal=journal, services=world, poll=0.05, lease=5.0) as last:
                end = time.monotonic() + 120
                while _in_flight(journal) and time.monotonic() < end:
                    last.recover()
                    time.sleep(0.05)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def sqlite_soak(folder: Path, **options: Any) -> Soak:
    """A soak on SQLite."""
    from saga_fsm.journals.sqlite import SqliteJournal

    return Soak(lambda: SqliteJournal(folder / "sagas.db"), Ledger(folder / "ledger.db"), **options)


def postgres_soak(folder: Path, url: str, **options: Any) -> Soak:
    """A soak on Postgres."""
    from saga_fsm.journals.postgres import PostgresJournal

    ledger = Ledger(folder / "ledger.db")
    return Soak(lambda: PostgresJournal(url), ledger, **options)


def rounds(kills: int, size: int = 1_000) -> Iterator[int]:
    """Many kills are soaked in rounds: each ends with the oracle."""
    while kills > 0:
        yield min(size, kills)
        kills -= size


def main(argv: list[str]) -> int:
    """Soak, and print a line a round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--url", help="of a Postgres database")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--children", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bug", choices=["", *BUGS], default="")
    asked = parser.parse_args(argv)
    total, wrong = 0, 0
    for number, kills in enumerate(rounds(asked.kills)):
        folder = Path(tempfile.mkdtemp(prefix="soak"))
        options = {
            "kills": kills,
            "children": asked.children if number % 2 == 0 else 1,
            "seed": asked.seed + number,
            "bug": asked.bug,
        }
        if asked.store == "sqlite":
            plan = sqlite_soak(folder, **options)
        else:
            plan = postgres_soak(folder, asked.url, **options)
        one = soak(plan)
        shutil.rmtree(folder)
        total, wrong = total + one.kills, wrong + len(one.violations)
        print(
            f"{one.kills} kills with a run in flight of {one.forks} processes in"
            f" {one.seconds:.0f} s: {one.runs} runs, {one.completed} completed,"
            f" {one.compensated} compensated, {len(one.violations)} violations",
            flush=True,
        )
        for text in one.violations[:10]:
            print("  ", text, flush=True)
    print(f"{total} kills, {wrong} violations")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
