"""What the parts of the suite for stores share: a clock that is set, appends, and threads."""

# ruff: noqa: S101 - assert is what tests do

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from saga_fsm.machine import Status
from saga_fsm.ports import Append, Birth, Claim, Entry, Store


Opened = Callable[[Callable[[], float]], Store]

MACHINE = ("order", "f1")
ODD = (
    *(
        "",
        " ",
        "NULL",
        "null",
        "{}",
        '{"a": [1, "\\u0000", "\\\\"]}',
        "a\nb\tc\r\n",
        "it's",
        '"',
        "\\",
    ),
    *(
        "%s %(x)s ?1 :now $1",
        "{a,b}",
        "🦑 Zürich 東京",
        "e\u0301",
        "\u202eright to left",
        "\ufeff",
        "\x01\x7f",
    ),
)


class Dial:
    """A clock that stands where it is put."""

    def __init__(self, time: float = 1_700_000_000.0) -> None:
        self.time = time

    def __call__(self) -> float:
        """Seconds since the epoch."""
        return self.time


def entries_of(*events: str, data: str | None = None) -> list[Entry]:
    """Entries a second apart."""
    return [Entry(event, 1.5 + n, data) for n, event in enumerate(events)]


def born(  # noqa: PLR0913 - one keyword a fact
    run_id: str,
    *events: str,
    owner: str = "",
    due: float | None = None,
    machine: tuple[str, str] = MACHINE,
    digest: str = "d1",
    status: Status = Status.RUNNING,
    waiting: Sequence[str] = (),
) -> Append:
    """The birth of a run."""
    entries = entries_of(*events or ("start",))
    birth = Birth(run_id, *machine, digest)
    return Append(
        *(run_id, entries, 0, 0, status), waiting=waiting, birth=birth, owner=owner, due=due
    )


def grown(
    run_id: str,
    expected: int,
    *events: str,
    fence: int = 1,
    status: Status = Status.RUNNING,
    **more: Any,
) -> Append:
    """What comes after so many entries."""
    return Append(run_id, entries_of(*events), expected, fence, status, **more)


def done(store: Store, *appends: Append) -> None:
    """Carry out appends of which none may lose."""
    assert store.commit(appends) == [None] * len(appends)


def take(store: Store, owner: str, limit: int = 9, *machines: tuple[str, str]) -> list[Claim]:
    """Claim as an orchestrator does that lives."""
    store.beat(owner, 60.0)
    return list(store.claim(owner, machines or [MACHINE], limit))


def events(store: Store, run_id: str) -> list[str]:
    """What a run has, in order."""
    return [entry.event for entry in store.read(run_id)]


def together(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do all at once, each in a thread, and give what they gave."""
    gate = threading.Barrier(len(tasks))
    given: list[Any] = [None] * len(tasks)

    def one(number: int) -> None:
        gate.wait()
        try:
            given[number] = tasks[number]()
        except BaseException as error:  # noqa: BLE001 - raised again below
            given[number] = error

    threads = [threading.Thread(target=one, args=(n,)) for n in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for found in given:
        if isinstance(found, BaseException):
            raise found
    return given
