"""
What the steps of the guard are made of: requests, the rows they ask for, and what a row means.

A step is a generator of requests: it yields what it wants of a ``Store``, or of the guard itself,
and is sent the answer. The two shells that carry requests out are ``carry`` and ``carry_async``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from inspect import isawaitable
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import attrs

from saga_fsm.definition import PENDING, Rejected, Transient
from saga_fsm.guard._errors import GuardError


__all__ = [
    "APPLIED",
    "ASKED",
    "BEGUN",
    "COMPENSATED",
    "FENCED",
    "REJECTED",
    "UNDOING",
    "WHY",
    "Answer",
    "Codec",
    "Known",
    "Steps",
    "answer_of",
    "back",
    "carry",
    "carry_async",
    "claim",
    "final",
    "find",
    "in_doubt",
    "record",
    "release",
    "result_of",
    "save",
]

R = TypeVar("R")
T = TypeVar("T")
#: Something wanted of the store or the guard: called with it, by the shell.
Request: TypeAlias = Callable[[Any], Any]
Steps: TypeAlias = Generator[Request, Any, T]

BEGUN, APPLIED, REJECTED = "begun", "applied", "rejected"
UNDOING, COMPENSATED, FENCED = "undoing", "compensated", "fenced"
WHY = {
    FENCED: "its compensation came first",
    UNDOING: "it is being undone",
    COMPENSATED: "it has been undone",
}
ASKED = "it was asked for before it came"
# A row that was found and then pruned before it could be read: nobody prunes in a loop.
_PRUNED = 8


def carry(steps: Steps[T], them: Any) -> T:
    """Carry requests out, one after the other."""
    request = next(steps)
    try:
        while True:
            try:
                answer = request(them)
            except BaseException as error:  # noqa: BLE001 - the steps know what it means
                request = steps.throw(error)
            else:
                request = steps.send(answer)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]


async def carry_async(steps: Steps[T], them: Any) -> T:
    """Carry requests out in an event loop; an answer may be awaitable."""
    request = next(steps)
    try:
        while True:
            try:
                answer = request(them)
                if isawaitable(answer):
                    answer = await answer
            except BaseException as error:  # noqa: BLE001 - the steps know what it means
                request = steps.throw(error)
            else:
                request = steps.send(answer)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]


@attrs.frozen
class Answer(Generic[R]):
    """
    What came of an action, to be asked for when the transaction is committed.

    Args:
        landed: whether the effect stands.
        value: the result, or the reason of a rejection.
    """

    landed: bool
    value: Any

    def result(self) -> R:
        """
        The result of the action; call it after the commit, or the rejection is rolled back.

        Raises:
            Rejected: it was rejected, now or before, or its compensation came first.
        """
        if not self.landed:
            raise Rejected(self.value)
        return self.value  # type: ignore[no-any-return]


@attrs.frozen
class Codec:
    """How results become text, and which exceptions are rejections."""

    encode: Callable[[Any], str]
    decode: Callable[[str], Any]
    rejects: Callable[[Exception], bool]

    def written(self, value: Any) -> tuple[str | None, Any]:
        """The text of a result, and what a repeat will answer: the first answers the same."""
        if value is PENDING:
            return None, PENDING
        try:
            text = self.encode(value)
        except (TypeError, ValueError) as error:
            raise GuardError(
                message=f"a result of type {type(value).__name__} cannot be kept: {error}",
                remedy="Give the guard encode= and decode=, or let the action return plain JSON.",
            ) from error
        return text, self.decode(text)

    def read(self, text: str | None) -> Any:
        """The result of that text."""
        return PENDING if text is None else self.decode(text)

    def refusal(self, error: Exception) -> str | None:
        """The reason of a rejection; None for what is none."""
        if isinstance(error, Transient):
            return None
        if isinstance(error, Rejected):
            return error.reason
        try:
            return str(error) if self.rejects(error) else None
        except Exception:  # noqa: BLE001 - a predicate that raises has not spoken, as in the runner
            return None


class Known(NamedTuple):
    """A row that was there, and is locked."""

    state: str
    value: str | None
    age: float


def claim(key: str, state: str, value: str | None = None) -> Steps[Known | None]:
    """Insert the row of a key, or find and lock the one that is there."""
    for _ in range(_PRUNED):
        if (yield lambda store: store.execute("claim", key=key, state=state, value=value)):
            return None
        known = yield from find(key)
        if known is not None:
            return known
    raise GuardError(
        message=f"the row of '{key}' comes and goes",
        remedy="Prune only what is older than any run: what is pruned is forgotten.",
        key=key,
    )


def find(key: str) -> Steps[Known | None]:
    row = yield lambda store: store.find("find", key=key)
    return None if row is None else Known(*row)


def record(key: str, expected: str, state: str, value: str | None) -> Steps[None]:
    """Write what became of a row that is locked."""
    facts = {"key": key, "expected": expected, "state": state, "value": value}
    if not (yield lambda store: store.execute("record", **facts)):
        raise GuardError(
            message=f"the row of '{key}' is gone from its own transaction",
            remedy="The body must not end the transaction, nor touch the guard's table.",
            key=key,
        )


def answer_of(known: Known, codec: Codec) -> Answer[Any]:
    if known.state == APPLIED:
        return Answer(landed=True, value=codec.read(known.value))
    if known.state == REJECTED:
        return Answer(landed=False, value=json.loads(known.value or '""'))
    return Answer(landed=False, value=WHY[known.state])


def result_of(known: Known, codec: Codec) -> Any:
    """What an undo is given: the participant's own record; the caller's may be lost."""
    return None if known.value is None else codec.read(known.value)


def final(key: str, answer: Answer[Any]) -> Answer[Any]:
    """A query must know: an action that has landed and answers later is no answer yet."""
    if answer.value is PENDING:
        raise in_doubt(key)
    return answer


def save(store: Any) -> Any:
    return store.save()


def release(store: Any) -> Any:
    return store.release()


def back(store: Any) -> Any:
    return store.back()


def in_doubt(key: str) -> GuardError:
    return GuardError(
        message=f"the action '{key}' has begun, and nothing says what came of it",
        remedy=(
            "Its effect may stand: compensate. A body must leave the commit to the guard; a "
            "query of an effect outside needs find=."
        ),
        key=key,
    )
