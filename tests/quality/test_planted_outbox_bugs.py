"""Bugs planted in the outbox: the laws of ``tests/outbox_laws`` find each of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import pytest

from saga_fsm.guard import Outbox, _messages, _outbox, _relay, _stores
from tests.outbox_laws import Laws
from tests.unit.test_outbox import place_at


def said(monkeypatch: pytest.MonkeyPatch, name: str, old: str, new: str) -> None:
    """Change a statement."""
    statements = _stores.statements

    def changed(database: Any, table: str) -> Any:
        texts = dict(statements(database, table))
        assert old in texts[name], f"the bug was not planted: {texts[name]}"
        texts[name] = texts[name].replace(old, new)
        return MappingProxyType(texts)

    monkeypatch.setattr(_stores, "statements", changed)


def marked_before_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a relay has leased counts as sent."""
    lease = _messages.lease

    def all_sent(owner: str, *rest: Any) -> Any:
        rows = yield from lease(owner, *rest)
        for row in rows:
            facts = {"owner": owner, "number": row.number}
            yield lambda store, facts=facts: store.execute("sent", **facts)
        return rows

    monkeypatch.setattr(_relay._messages, "lease", all_sent)


def a_new_id_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that is tried again emits its messages again."""
    written, numbers = _messages.written, itertools.count()

    def anew(*given: Any, **more: Any) -> Any:
        draft = written(*given, **more)
        return attrs.evolve(draft, id=f"{draft.id}-{next(numbers)}")

    monkeypatch.setattr(_outbox._messages, "written", anew)


def leases_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two relays have the same messages."""
    said(monkeypatch, "lease", "OR before.lease >", "AND before.lease <")


def order_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a message's own wait is looked at, not that of those before it."""
    said(monkeypatch, "lease", "before.number <= one.number", "before.number = one.number")


def emitted_on_a_connection_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is committed whatever becomes of the step."""
    emit = Outbox.emit

    def alone(self: Outbox[Any], connection: Any, *given: Any, **more: Any) -> str:
        told = emit(self, connection, *given, **more)
        connection.commit()
        connection.execute("BEGIN IMMEDIATE")
        return told

    monkeypatch.setattr(Outbox, "emit", alone)


def one_poison_holds_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is parked, or waits for its next attempt, stands before every other message."""
    said(monkeypatch, "lease", "before.stream = one.stream AND", "")


def what_waits_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pruning goes by the time of emission."""
    said(monkeypatch, "sweep", "settled <", "emitted <")


PLANTED: list[tuple[Callable[[pytest.MonkeyPatch], None], str]] = [
    (marked_before_it_is_sent, "test_what_a_relay_had_that_is_gone_is_sent_when_its_lease_ends"),
    (a_new_id_each_time, "test_a_step_that_is_tried_again_emits_nothing_new"),
    (leases_are_ignored, "test_a_slow_relay_renews_its_lease"),
    (order_is_ignored, "test_streams_keep_their_order_and_do_not_wait_for_each_other"),
    (emitted_on_a_connection_of_its_own, "test_what_is_rolled_back_is_never_sent"),
    (
        one_poison_holds_all,
        "test_poison_is_parked_and_holds_its_own_stream_until_people_decide",
    ),
    (what_waits_is_forgotten, "test_what_was_sent_long_ago_is_forgotten"),
]


@pytest.mark.parametrize(("plant", "law"), PLANTED, ids=[law for _, law in PLANTED])
def test_a_planted_bug_breaks_a_law(
    plant: Callable[[pytest.MonkeyPatch], None],
    law: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the law holds without it: each of them is run in tests/unit/test_outbox.py."""
    plant(monkeypatch)
    place = place_at(tmp_path / "shop.db")
    outbox: Outbox[Any] = Outbox(place.begin)
    outbox.create_table()
    with pytest.raises((AssertionError, pytest.fail.Exception, TimeoutError)):
        getattr(Laws(), law)(outbox, place)
