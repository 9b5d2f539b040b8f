"""Threads that make calls: so many at once, and one more for each that never came back."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeAlias


#: Is given what a job gave, or what it raised.
Tell: TypeAlias = Callable[[Any, BaseException | None], None]
_Job: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...], Tell]


class Workers:
    """
    So many threads, hired when there is work for them.

    A call whose time is up counts as decided, though its thread still runs: for that thread another
    is hired, and it goes home when it is free again, so that a participant that hangs takes no
    worker from the others.

    Args:
        size: how many calls at once.
        name: of the threads, for people.
    """

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        # Threads; calls that are made or wait for a thread; of these, calls given up.
        self._hired = self._open = self._lost = 0

    def take(self, function: Callable[..., Any], arguments: tuple[Any, ...], tell: Tell) -> None:
        """Have a function called, as soon as a thread is free."""
        with self._lock:
            self._open += 1
            self._hire()
        self._jobs.put((function, arguments, tell))

    def lose(self) -> None:
        """One of the threads is in a call that nobody waits for any more."""
        with self._lock:
            self._lost += 1
            self._hire()

    def find(self) -> None:
        """Such a call has come back after all."""
        with self._lock:
            self._lost -= 1

    def close(self) -> None:
        """Send everybody home as soon as they are free."""
        for _ in range(self._hired):
            self._jobs.put(None)

    def _hire(self) -> None:
        if self._hired < min(self._open, self._size + self._lost):
            self._hired += 1
            # A daemon: a call that never returns keeps nobody from ending the program.
            threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def _work(self) -> None:
        jobs = self._jobs
        while True:
            job = jobs.get()
            if job is None:
                return
            self._make(*job)
            # What was called is nobody's any more while this thread waits.
            del job
            with self._lock:
                self._open -= 1
                if self._hired > self._size + self._lost:
                    self._hired -= 1
                    return

    @staticmethod
    def _make(function: Callable[..., Any], arguments: tuple[Any, ...], tell: Tell) -> None:
        try:
            value = function(*arguments)
        except BaseException as error:  # noqa: BLE001 - who asked says what it means
            tell(None, error)
        else:
            tell(value, None)
