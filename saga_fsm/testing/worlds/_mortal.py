"""An owner of a run that dies where a plan says so, and what it leaves written."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

from typing_extensions import override

from saga_fsm.definition import PENDING, Rejected, Transient
from saga_fsm.ports import Clock
from saga_fsm.runner.commands import Command, Invoke
from saga_fsm.runner.driver import Driver
from saga_fsm.runner.loop import is_awaitable
from saga_fsm.runner.sync import ThreadShell
from saga_fsm.testing.effects import EffectLog
from saga_fsm.testing.participants import site_of
from saga_fsm.testing.plan import Fault, FaultPlan, Injection, site_at


__all__ = ["MortalShell", "Record", "deadly"]

_WHATS = {"call": "action", "compensate": "compensation", "query": "query"}
_BEFORE = {Fault.CRASH_BEFORE, Fault.LOST_REQUEST}
_AFTER = {Fault.CRASH_AFTER, Fault.LOST_REPLY}


class Record:
    """
    What all processes of a run write down, line by line: it outlives who wrote it.

    Args:
        path: the file.
        plan: what goes wrong.
    """

    def __init__(self, path: Path, plan: FaultPlan) -> None:
        self._path = path
        self._plan = plan
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        #: Injections that came to pass.
        self.fired: set[Injection] = set()
        #: Places where a rejection was put into somebody's mouth.
        self.refused: set[str] = set()
        #: Calls that reached the world: what, path, and how they ended.
        self.calls: list[tuple[Any, str, str]] = []
        lines = path.read_text().splitlines() if path.exists() else []
        for kind, *rest in map(json.loads, lines):
            if kind == "visit":
                self._visited(*rest)
            else:
                self.calls.append((rest[0], rest[1], rest[2]))

    def visit(self, site: str) -> Fault | None:
        """Come to a place where something may go wrong; what does."""
        with self._lock:
            self._write("visit", site)
            return self._visited(site)

    def called(self, what: str, path: str, answer: str) -> None:
        """Write down a call that reached the world."""
        with self._lock:
            self._write("call", what, path, answer)

    def tell(self, log: EffectLog) -> None:
        """Tell it all to the log that oracles ask."""
        errors = {"done": None, "rejected": Rejected("as recorded"), "raised": OSError()}
        for what, path, answer in self.calls:
            log.record(what, path, errors[answer])

    def _visited(self, site: str) -> Fault | None:
        number = self._counts[site]
        self._counts[site] += 1
        here = self._plan.at(site, number)
        self.fired.update(here)
        fault = here[0].fault if here else None
        if fault is Fault.REJECT:
            self.refused.add(site)
        return fault

    def _write(self, *facts: str) -> None:
        # Opened anew and written at once: nothing is lost with the process.
        with self._path.open("ab", buffering=0) as file:
            file.write(json.dumps(facts).encode() + b"\n")


class MortalShell(ThreadShell):
    """
    The shell of ``run``, with calls to which a plan does something.

    Args:
        driver: of the run.
        journal: its store.
        clock: time.
        record: of all processes of the run.
    """

    def __init__(self, driver: Driver, journal: Any, clock: Clock, record: Record) -> None:
        super().__init__(driver, journal, clock)
        self._record = record

    @override
    def open(self) -> None:
        """Start the run, or take it up, and perhaps live no longer."""
        recovering = bool(self.journal and self.journal.read(self.driver.run_id))
        super().open()
        if recovering and self._record.visit("recover"):
            die()

    @override
    def carry_out(self, commands: list[Command]) -> None:
        """Put the plan around each call."""
        for command in commands:
            if isinstance(command, Invoke):
                command.function = self._attacked(command)
        super().carry_out(commands)

    def _attacked(self, invoke: Invoke) -> Any:
        function, what = invoke.function, _WHATS.get(invoke.leg[0], "")
        site, path = site_of(invoke), invoke.leg[1]
        if what == "action" and function is self.driver.calls.answers.get(path):
            site = site_at(path, "answer")

        def made(*arguments: Any) -> Any:
            refused = site in self._record.refused and self._sticky(path)
            fault = self._record.visit(site)
            if refused:
                raise Rejected("refused before, and remembered")
            _refuse(fault)
            try:
                value = function(*arguments)
            except Exception as error:
                self._note(what, path, error=error)
                raise
            if is_awaitable(value):
                return awaited(value, fault)
            return reached(value, fault, lambda: function(*arguments))

        async def awaited(value: Any, fault: Fault | None) -> Any:
            try:
                value = await value
            except Exception as error:
                self._note(what, path, error=error)
                raise
            if fault is Fault.DUPLICATE:
                await function(*invoke.arguments)
                fault = None
            return reached(value, fault, lambda: None)

        def reached(value: Any, fault: Fault | None, again: Any) -> Any:
            self._note(what, path, value=value)
            if fault is Fault.CRASH_AFTER:
                die()
            if fault is Fault.LOST_REPLY:
                raise TimeoutError("injected: the reply was lost")
            if fault is Fault.DUPLICATE:
                again()
            return None if fault is Fault.BAD_VALUE else value

        return made

    def _sticky(self, path: str) -> bool:
        return self.driver.facts.layout.steps[path].contract.sticky

    def _note(
        self, what: str, path: str, *, value: Any = None, error: Exception | None = None
    ) -> None:
        if what and value is not PENDING:
            refused = "rejected" if isinstance(error, Rejected) else "raised"
            self._record.called(what, path, refused if error else "done")


def deadly(store: Any, record: Record) -> None:
    """Let a store's process die at a commit: nothing of it is stored, or all and nobody knows."""
    carry_out = store.commit

    def commit(appends: Any) -> Any:
        fault = record.visit("journal")
        if fault in _BEFORE:
            die()
        results = carry_out(appends)
        if fault in _AFTER:
            die()
        return results

    store.commit = commit


def die() -> NoReturn:
    """Die at once: no handler runs, nothing is flushed."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def _refuse(fault: Fault | None) -> None:
    """What keeps a call from being made."""
    if fault is Fault.CRASH_BEFORE:
        die()
    if fault is Fault.REJECT:
        raise Rejected("injected: refused")
    if fault is Fault.TRANSIENT:
        raise Transient("injected: fails for now")
    if fault is Fault.LOST_REQUEST:
        raise TimeoutError("injected: no answer")
