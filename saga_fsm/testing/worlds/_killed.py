"""
One plan in processes that really die.

A search lets its orchestrators die by forgetting them, thousands of times a second. Here each is a
process with a journal in a file, and where the plan says so it is killed, by a signal that cannot
be caught, at a call or at a commit; another one takes the run up from the file. The world lives
outside of them all. What was called is written down beside, so that the same oracles can judge.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn

import attrs

from saga_fsm.errors import SagaError
from saga_fsm.journals.sqlite import SqliteJournal
from saga_fsm.path import Path as Moves
from saga_fsm.runner.outcome import Outcome
from saga_fsm.runner.shell import driver_of
from saga_fsm.runner.sync import ThreadShell
from saga_fsm.testing.clock import VirtualClock
from saga_fsm.testing.effects import EffectLog
from saga_fsm.testing.oracles import Consistent, wrong
from saga_fsm.testing.plan import Fault, FaultPlan, Injection
from saga_fsm.testing.simulation import RUN_ID
from saga_fsm.testing.stage import Answers, Loop, Stage
from saga_fsm.testing.worlds._mortal import MortalShell, Record, deadly
from saga_fsm.testing.worlds._worlds import Worlds


__all__ = ["Killed", "killed"]

# By process: what needs another owner at the same time, or another time, is for the search.
_KNOWN: Final = (
    *(Fault.REJECT, Fault.TRANSIENT, Fault.LOST_REQUEST, Fault.LOST_REPLY, Fault.DUPLICATE),
    *(Fault.BAD_VALUE, Fault.CRASH_BEFORE, Fault.CRASH_AFTER),
)
_MOST_DEATHS: Final = 50


@attrs.frozen
class Killed:
    """
    What came of a plan in processes that died.

    Args:
        plan: what was to go wrong.
        outcome: how the run ended.
        reason: what is wrong with that; empty when nothing is.
        kills: how many processes were killed with the run in flight.
        world: as it was found after the last one.
        log: each call that reached the world, by whichever process.
        unfired: injections whose call never came.
    """

    plan: FaultPlan
    outcome: Outcome[Any]
    reason: str
    kills: int
    world: Any = attrs.field(repr=False)
    log: EffectLog = attrs.field(repr=False)
    unfired: tuple[Injection, ...] = ()

    @property
    def consistent(self) -> bool:
        """Whether nothing is wrong."""
        return not self.reason

    @property
    def path(self) -> Moves:
        """The moves of the run; prints itself."""
        return self.outcome.path


def killed(  # noqa: PLR0913 - keyword-only parts of one run
    saga: Any,
    plan: FaultPlan | str,
    *,
    world: Callable[[], Any] | None = None,
    input: Any = None,  # noqa: A002 - the interface's word
    consistent: Consistent | None = None,
    answers: Answers | None = None,
    journal: Callable[[], Any] | None = None,
    timeout: float = 60.0,
) -> Killed:
    """
    Run one plan in processes of their own; where it says crash, one is killed by SIGKILL.

    ``charge@0=crash_after`` kills when the first call of ``charge`` has returned, ``crash_before``
    before it is made; ``journal@3=lost_request`` before the fourth commit, ``lost_reply`` after it;
    ``recover@0=crash_before`` whoever takes the run up first. The next process goes on from the
    journal. Time does not have to be waited for. For systems with ``fork``.

    Args:
        saga: the saga, its name as ``module:name``, or a function from the world to it.
        plan: what goes wrong, as a value or as text.
        world: opens the world, in each process: it lives outside, in a file or on a server. Of
            ours: ``sqlite(by="template")``, ``postgres`` with ``give="url"``.
        input: the saga's input.
        consistent: the oracle, ``consistent(world, outcome)``; default the world's
            ``is_consistent(outcome)``.
        answers: outcomes of pending steps, by step.
        journal: opens the journal, in each process; default a SQLite file that is removed after.
        timeout: seconds that a process may take.

    >>> import sqlite3
    >>> from saga_fsm import GUARDED, Saga, step
    >>> from saga_fsm.testing.worlds import sqlite
    >>> def pay(ctx):
    ...     db = sqlite3.connect(ctx.services)
    ...     with db: db.execute("INSERT INTO payment DEFAULT VALUES")  # no look at ctx.key
    ...     db.close()
    >>> def pay_back(ctx, payment): ...
    >>> def once(path, outcome):
    ...     db = sqlite3.connect(path)
    ...     (count,) = db.execute("SELECT count(*) FROM payment").fetchone()
    ...     db.close()
    ...     assert count == 1, f"paid {count} times"
    ...     return True
    >>> saga = Saga("pay", step(pay, compensate=pay_back, contract=GUARDED))
    >>> with sqlite(str, schema="CREATE TABLE payment (id INTEGER)", by="template") as paths:
    ...     print(killed(saga, "pay@0=crash_after", world=paths, consistent=once).reason)
    once says: paid 2 times

    Raises:
        ValueError: the plan does not read as one, or asks for what no process can do alone.
        SagaError: a process failed or took too long, or the world does not live outside.
    """
    wanted = FaultPlan.parse(plan) if isinstance(plan, str) else plan
    _refuse(wanted)
    if isinstance(world, Worlds):
        if not world.outside:
            raise SagaError(
                "this world lives in its process, and dies with it\n"
                "  Use sqlite(by='template'), or postgres(give='url')."
            )
        world.reset()
    opened = world.again if isinstance(world, Worlds) else world
    if isinstance(saga, str):
        module, _, name = saga.partition(":")
        saga = getattr(import_module(module), name)
    with tempfile.TemporaryDirectory(prefix="saga_fsm_killed_") as folder:
        make = journal or (lambda: SqliteJournal(Path(folder) / "sagas.db"))
        run = _Run(saga, wanted, opened, input, answers or {}, make, Path(folder))
        kills = run.until_rest(timeout)
        return _judged(run, kills, consistent or getattr(world, "is_consistent", None))


@attrs.frozen
class _Run:
    """What the processes of one run have in common."""

    saga: Any
    plan: FaultPlan
    world: Callable[[], Any] | None
    input: Any
    answers: Mapping[Any, Any]
    journal: Callable[[], Any]
    folder: Path

    def until_rest(self, timeout: float) -> int:
        """Let processes live and die until the run rests; how many were killed."""
        for kills in range(_MOST_DEATHS):
            # Nobody's death is for want of what it would have written.
            if not _died(self._born(), timeout):
                return kills
            errors = self.folder / "errors"
            if errors.exists():
                raise SagaError(f"a process of the run failed by itself:\n{errors.read_text()}")
        raise SagaError(
            f"the run is not at rest after {_MOST_DEATHS} kills\n"
            "  A plan that kills each time never ends: name a number instead of '*'."
        )

    def _born(self) -> int:
        with warnings.catch_warnings():
            # From Python 3.12 on with threads: the child uses none of the parent's.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            self._live()
        return pid

    def _live(self) -> NoReturn:
        """In the child: carry the run on, until the end or until death."""
        try:
            shell, _, _ = self.shell()
            shell.run()
        except BaseException:  # noqa: BLE001 - shown by the parent, and the process ends here
            (self.folder / "errors").write_text(traceback.format_exc())
            os._exit(1)
        finally:
            os._exit(0)

    def shell(self, *, mortal: bool = True) -> tuple[ThreadShell, Stage, Any]:
        """An owner of the run; a mortal one suffers what the plan says."""
        world = self.world() if self.world is not None else None
        made: Any = self.saga(world) if callable(self.saga) else self.saga
        stage = Stage.of(made)
        journal = self.journal()
        driver = driver_of(
            stage.saga,
            input=self.input,
            services=world,
            journal=journal,
            run_id=RUN_ID,
            random=None,
            answers=dict(self.answers),
        )
        # Time goes on from where the one before has come to.
        entries = journal.read(RUN_ID)
        clock = VirtualClock(start=max(time.time(), entries[-1].at if entries else 0.0))
        if not mortal:
            return ThreadShell(driver, journal, clock), stage, world
        record = Record(self.folder / "record", self.plan)
        deadly(journal, record)
        return MortalShell(driver, journal, clock, record), stage, world


@attrs.frozen
class _Remains:
    """What the oracles ask of a run, when all its processes are gone."""

    stage: Stage
    owner: Any
    journal: Any
    log: EffectLog
    world: Any
    mistakes: tuple[str, ...] = ()

    def outcome(self) -> Outcome[Any]:
        """How it ended."""
        outcome: Outcome[Any] = self.owner.driver.outcome()
        return outcome

    def value(self, given: Any) -> Any:
        """What an oracle says, awaited where it is async."""
        with contextlib.closing(Loop()) as loop:
            return loop.value(given)


def _judged(run: _Run, kills: int, consistent: Consistent | None) -> Killed:
    shell, stage, world = run.shell(mortal=False)
    with contextlib.closing(_closable(shell.journal)):
        shell.run()
        record = Record(run.folder / "record", run.plan)
        log = EffectLog(stage.layout, stage.after)
        record.tell(log)
        remains: Any = _Remains(stage, shell, shell.journal, log, world)
        reason = wrong(remains, consistent)
        unfired = tuple(one for one in run.plan if one not in record.fired)
        return Killed(run.plan, remains.outcome(), reason, kills, world, log, unfired)


def _closable(journal: Any) -> Any:
    # A run's own view of a store does not close it.
    return getattr(journal, "_store", journal)


def _died(pid: int, timeout: float) -> bool:
    """Wait for a child; whether it died by the plan, and not by itself."""
    end = time.monotonic() + timeout
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.WIFSIGNALED(status) or os.WEXITSTATUS(status) != 0
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise SagaError(
                f"a process of the run did not end within {timeout:g} s\n"
                "  It waits for something: give its calls a timeout, or more time by timeout=."
            )
        time.sleep(0.001)


def _refuse(plan: FaultPlan) -> None:
    for one in plan:
        if one.fault not in _KNOWN or one.site.endswith("/operator"):
            raise ValueError(
                f"'{one}' is nothing that a process does alone\n"
                f"  Known here are: {', '.join(_KNOWN)}. All others: replay(...)."
            )
