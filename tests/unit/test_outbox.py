"""The outbox on the standard library's SQLite, and a relay that is really killed."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saga_fsm.guard import GuardError, Message, Outbox, Relay
from tests.outbox_laws import Broker, Laws, Place, ctx_of


def place_at(path: Path) -> Place:
    """Make a place of a file."""

    @contextmanager
    def opened() -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(path, timeout=20)) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    return Place(lambda: closing(sqlite3.connect(path, timeout=20)), opened)


class TestSqlite(Laws):
    """All laws, on a file."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        """A file of its own."""
        return place_at(tmp_path / "shop.db")


def test_outside_of_a_transaction_nothing_is_emitted(tmp_path: Path) -> None:
    """A connection that commits each statement would send although the step fails."""
    place = place_at(tmp_path / "shop.db")
    outbox: Outbox[Any] = Outbox(place.begin)
    outbox.create_table()
    alone = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    with closing(alone), pytest.raises(GuardError, match="autocommit"):
        outbox.emit(alone, ctx_of(), "t", 1)
    assert outbox.waiting() == 0


def test_what_opens_nothing_is_refused_at_once() -> None:
    """A path, or a connection, in the place of a function."""
    with pytest.raises(GuardError, match="begin= is str"):
        Outbox("shop.db")  # type: ignore[arg-type]
    with pytest.raises(GuardError, match="no name for the guard's table"):
        Outbox(lambda: closing(sqlite3.connect(":memory:")), table="a b")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_relay_that_is_killed_loses_nothing(tmp_path: Path, when: str) -> None:
    """SIGKILL before the message is out, or between that and the mark: it is sent by the next."""
    path, log = tmp_path / "shop.db", tmp_path / "sent"
    code = f"""
        import os, sqlite3
        from contextlib import closing
        from saga_fsm.guard import Outbox, Relay

        outbox = Outbox(lambda: closing(sqlite3.connect({str(path)!r})))

        def publish(message):
            if message.payload == 3 and {when == "before"}: os.kill(os.getpid(), 9)
            with open({str(log)!r}, "a") as file: file.write(message.id + chr(10))
            if message.payload == 3: os.kill(os.getpid(), 9)

        Relay(outbox, publish, lease=1.0).drain()
    """
    place = place_at(path)
    outbox: Outbox[Any] = Outbox(place.begin)
    outbox.create_table()
    with place.open() as connection:
        for number in range(6):
            outbox.emit(connection, ctx_of(), "t", number, name=str(number))
    command = [sys.executable, "-c", textwrap.dedent(code)]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL  # noqa: S603 - our own
    broker = Broker()
    Relay(outbox, broker, poll=0.05).drain(timeout=30)
    first = log.read_text().split()
    assert len(first) == (3 if when == "before" else 4)
    assert broker.of("r1") == list(range(6))[-len(broker.ids) :]
    assert {3, 4, 5} <= set(broker.of("r1"))
    assert {*first, *broker.ids} == {f"r1/charge#t#{number}" for number in range(6)}


class _GoneError(BaseException):
    """The process ends here."""


def _end_unless(go_on: object) -> None:
    if not go_on:
        raise _GoneError


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("emit"), st.sampled_from("abc"), st.booleans()),
            st.tuples(st.just("relay"), st.integers(1, 4), st.integers(0, 5)),
        ),
        max_size=14,
    )
)
def test_whatever_happens_what_was_committed_goes_out_in_order(
    tmp_path_factory: pytest.TempPathFactory, happens: list[Any]
) -> None:
    """Emitted and committed or not, by relays that end anywhere: at least once, in order."""
    place = place_at(tmp_path_factory.mktemp("outbox") / "shop.db")
    outbox: Outbox[Any] = Outbox(place.begin)
    outbox.create_table()
    wanted: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    broker = Broker()
    for number, (what, which, more) in enumerate(happens):
        if what == "emit":
            with suppress(_GoneError), place.open() as connection:
                outbox.emit(connection, f"k{number}", "t", number, stream=which)
                _end_unless(more)
                wanted[which].append(number)
            continue
        left = [more]

        def publish(message: Message, left: list[int] = left) -> None:
            left[0] -= 1
            _end_unless(left[0])
            broker(message)

        with suppress(_GoneError):
            Relay(outbox, publish, batch=which).once()
    Relay(outbox, broker).drain(timeout=30)
    for stream, numbers in wanted.items():
        assert broker.of(stream) == numbers
    assert len(broker.ids) == sum(map(len, wanted.values()))
