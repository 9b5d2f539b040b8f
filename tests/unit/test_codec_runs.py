"""Runs whose journal keeps text: taken up anywhere, they go on as if nothing had been written."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import pytest

from saga_fsm import Saga, Status, run
from saga_fsm.codec import Scribe
from saga_fsm.journals.memory import MemoryJournal
from saga_fsm.ports import Entry
from saga_fsm.testing import VirtualClock


class Written:
    """A journal of texts; each reading has a scribe of its own, as another process has."""

    def __init__(self, saga: Saga[Any, Any, Any]) -> None:
        self.saga = saga
        self.scribe = Scribe(saga)
        self.inner = MemoryJournal()

    def read(self, run_id: str) -> tuple[Entry, ...]:
        """All entries, read from their texts."""
        scribe = Scribe(self.saga)
        return tuple(
            Entry(one.event, one.at, scribe.read(one.event, one.data))
            for one in self.inner.read(run_id)
        )

    def append(self, run_id: str, entries: Sequence[Entry], *, expected: int) -> int:
        """Keep the texts."""
        texts = [Entry(e.event, e.at, self.scribe.write(e.event, e.data)) for e in entries]
        assert all(text.data is None or isinstance(text.data, str) for text in texts)
        return self.inner.append(run_id, texts, expected=expected)

    def cut(self, length: int) -> Written:
        """The journal as it was after so many entries."""
        before = Written(self.saga)
        before.inner.append("r", self.inner.read("r")[:length], expected=0)
        return before


@pytest.mark.parametrize(
    "name", ["order", "trip", "transfer", "fulfilment", "order_recovered", "order_with_retries"]
)
def test_a_run_that_was_written_goes_on_as_one_that_was_not(name: str) -> None:
    """From every entry on, each example ends as in memory, with results of the same classes."""
    example = importlib.import_module(f"saga_fsm.examples.{name}")
    saga, given = example.saga, example.INPUT
    Scribe(saga).check()
    plain = run(saga, given, services=example.World(), run_id="r", clock=VirtualClock())
    journal, world = Written(saga), example.World()
    options: dict[str, Any] = {"services": world, "run_id": "r"}
    told = run(saga, given, journal=journal, clock=VirtualClock(), **options)
    assert told.results == plain.results
    for length in range(1, len(journal.inner.read("r")) + 1):
        again = run(saga, journal=journal.cut(length), clock=VirtualClock(), **options)
        assert (again.status, again.results) == (plain.status, plain.results)
        classes = {path: type(result) for path, result in again.results.items()}
        assert classes == {path: type(result) for path, result in plain.results.items()}


def test_a_run_that_turned_back_knows_why_when_it_is_read() -> None:
    """The cause of a run that compensated is told in the same words from the texts."""
    order = importlib.import_module("saga_fsm.examples.order")
    journal, world = Written(order.saga), order.World(purses={"ada": 10_000}, shelf={"teapot": 1})
    options: dict[str, Any] = {"services": world, "run_id": "r", "journal": journal}
    first = run(order.saga, order.INPUT, **options)
    again = run(order.saga, order.INPUT, **options)
    assert first.status is Status.COMPENSATED
    assert first.cause is not None
    assert again.cause is not None
    assert (again.cause.message, again.cause.step) == (first.cause.message, first.cause.step)
    assert again.results == first.results
