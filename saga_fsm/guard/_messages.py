"""
What the outbox does, step by step, whatever the database and the colour of its functions.

As in ``_steps``: generators of requests, carried out by ``carry`` and ``carry_async``. A message is
a row of the participant's own database, written in the transaction of the effect that it tells of.

Rules
-----
1. The row is written with the effect: both are there, or neither.
2. Its id is made of the step's key: a step that is tried again emits nothing new.
3. A relay leases rows before it sends them, and never from the middle of a stream: where an earlier
   message of the stream is leased, waits for its next attempt or is parked, none behind it is had.
4. A row is marked as sent when ``publish`` has returned, and not before: at least once. Marks are
   made ten times a second: so much is sent twice when a relay dies.
5. What fails so often that nobody expects it to succeed is parked, and its stream waits for people.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from saga_fsm.definition import Context
from saga_fsm.guard._errors import GuardError
from saga_fsm.guard._rows import Steps


__all__ = ["Leased", "Message", "Parked", "emit", "failed", "lease", "parked", "written"]


@attrs.frozen
class Message:
    """
    A message as a relay gives it to ``publish``.

    Args:
        id: the same whenever it is sent: a consumer that has seen it has nothing to do.
        topic: what it is about.
        payload: what was emitted, decoded.
        stream: messages of one stream are sent in the order of their emission.
        headers: short texts beside the payload.
        emitted: when, in UTC.
        attempt: from 1.
    """

    id: str
    topic: str
    payload: Any
    stream: str
    headers: Mapping[str, str]
    emitted: datetime
    attempt: int = 1


@attrs.frozen
class Parked:
    """A message that was set aside, and why its last attempt failed."""

    message: Message
    error: str


@attrs.frozen
class Leased:
    """
    A row that a relay may send now.

    Args:
        number: of the row.
        message: what it says.
        flaw: why its payload cannot be decoded, which is then the text as it stands.
    """

    number: int
    message: Message
    flaw: Exception | None = None


@attrs.frozen
class Draft:
    """A message before it is a row; what cannot be one is told before anything is written."""

    id: str
    topic: str
    stream: str
    payload: str
    headers: str


def written(  # noqa: PLR0913 - the parts of a message
    given: Context[Any, Any, Any] | str,
    topic: str,
    payload: Any,
    *,
    name: str,
    stream: str | None,
    headers: Mapping[str, str] | None,
    encode: Callable[[Any], str],
) -> Draft:
    """
    Make a draft of a message.

    Raises:
        GuardError: there is no topic, or a part of it is no text.
    """
    key = given if isinstance(given, str) else given.key
    of_run = given if isinstance(given, str) else given.run_id
    if not (key and topic and isinstance(topic, str)):
        raise GuardError(
            message=f"a message needs a key and a topic, and was given {key!r} and {topic!r}",
            remedy="Give the step's ctx, or a text that is the same at each attempt.",
            key=key,
        )
    try:
        text = encode(payload)
    except (TypeError, ValueError) as error:
        raise GuardError(
            message=f"a payload of type {type(payload).__name__} cannot be sent: {error}",
            remedy="Give plain JSON, or give the outbox encode= and decode=.",
            key=key,
        ) from error
    told = dict(headers or {})
    if not all(isinstance(one, str) for pair in told.items() for one in pair):
        raise GuardError(
            message=f"headers are texts, and these are not: {told!r}",
            remedy="Put what is no text into the payload.",
            key=key,
        )
    identity = "#".join(map(_plain, (key, topic, name) if name else (key, topic)))
    return Draft(identity, topic, of_run if stream is None else stream, text, json.dumps(told))


def _plain(part: str) -> str:
    """A part of an id, in which nothing reads like the border to the next."""
    return part.replace("%", "%25").replace("#", "%23")


def emit(draft: Draft) -> Steps[str]:
    """Write the row, where there is none of this id; its id."""
    if (yield lambda store: store.execute("emit", **attrs.asdict(draft))):
        return draft.id
    row = yield lambda store: store.find("emitted", id=draft.id)
    if row is not None and row[0] != draft.payload:
        raise GuardError(
            message=f"'{draft.id}' was emitted before with another payload",
            remedy="A step that emits several messages of one topic gives each a name=.",
            key=draft.id,
        )
    return draft.id


def lease(
    owner: str, most: int, seconds: float, decode: Callable[[str], Any]
) -> Steps[list[Leased]]:
    """Have rows to send, in order, for so long."""
    database = yield lambda store: store.database
    if database == "postgres":
        yield lambda store: store.find("one_at_a_time")
    if not (yield lambda store: store.execute("lease", owner=owner, most=most, seconds=seconds)):
        return []
    rows = yield lambda store: store.rows("leased", owner=owner)
    return [_read(row, decode) for row in rows]


def failed(owner: str, number: int, error: str, wait: float | None) -> Steps[int]:
    """Note an attempt that failed; without a wait there is no further one."""
    state = "parked" if wait is None else "open"
    facts = {"owner": owner, "number": number, "error": error, "state": state, "wait": wait or 0.0}
    return (yield lambda store: store.execute("failed", **facts))  # type: ignore[no-any-return]


def parked(decode: Callable[[str], Any]) -> Steps[list[Parked]]:
    """All that was set aside."""
    rows = yield lambda store: store.rows("parked")
    return [Parked(_read(row, decode).message, str(row[8])) for row in rows]


def _read(row: Any, decode: Callable[[str], Any]) -> Leased:
    """Read a row; its attempt is the next one. What cannot be decoded stops no other."""
    number, identity, topic, stream, text, headers, emitted, attempts = tuple(row)[:8]
    flaw: Exception | None = None
    try:
        payload = decode(text)
    except Exception as error:  # noqa: BLE001 - the user's own
        payload, flaw = text, error
    at = datetime.fromtimestamp(float(emitted), UTC)
    told = json.loads(headers)
    message = Message(identity, topic, payload, stream, told, at, int(attempts) + 1)
    return Leased(int(number), message, flaw)
