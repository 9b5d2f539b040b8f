"""
What the guard does, step by step, whatever the database and the colour of its functions.

Each function here is a generator of requests: it yields what it wants of a ``Store``, or of the
guard itself, and is sent the answer. So the rules stand here once, and the two shells that carry
them out (``carry``, ``carry_async``) are a few lines each.

Rules
-----
1. One row a key, the action's; its undo and its query go by the same row.
2. Who inserts the row is the first; who finds one has locked it, and waited for whoever had it.
3. The row is written in the transaction of the effect: both are there, or neither.
4. A rejection takes the effect back to a savepoint, and is written all the same.
5. What goes wrong in any other way leaves no row, and no effect.
6. An effect outside the database has a row before it, committed: ``begun``, or ``undoing``. It is
   ended by the row of its outcome, and until then it may have landed.

=============  ===========================  ====================================  ==================
row            action                       undo                                  query
=============  ===========================  ====================================  ==================
none           effect: applied, rejected    fenced; nothing to undo               rejected
applied        its result again             effect undone: compensated            its result
rejected       Rejected again               nothing to undo                       Rejected again
fenced         Rejected                     nothing to undo                       Rejected
compensated    Rejected                     undone already                        Rejected
begun          outside: effect, same key    outside: undone, as if it had landed  outside: ``find``
undoing        Rejected                     outside: undone again, same key       Rejected
=============  ===========================  ====================================  ==================
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from inspect import isawaitable
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import attrs

from saga_fsm.definition import PENDING, Rejected, Transient
from saga_fsm.errors import MalformedReplyError
from saga_fsm.guard._errors import GuardError
from saga_fsm.guard._sql import statements


__all__ = ["Answer", "Codec", "Steps", "carry", "carry_async"]

R = TypeVar("R")
T = TypeVar("T")
#: Something wanted of the store or the guard: called with it, by the shell.
Request: TypeAlias = Callable[[Any], Any]
Steps: TypeAlias = Generator[Request, Any, T]

BEGUN, APPLIED, REJECTED = "begun", "applied", "rejected"
UNDOING, COMPENSATED, FENCED = "undoing", "compensated", "fenced"
_WHY = {
    FENCED: "its compensation came first",
    UNDOING: "it is being undone",
    COMPENSATED: "it has been undone",
}
_ASKED = "it was asked for before it came"
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


# ------------------------------------------------------------------ effects in the transaction


def act(key: str, codec: Codec, body: Callable[..., Any]) -> Steps[Answer[Any]]:
    """An action whose effect is in this transaction."""
    known = yield from _claim(key, BEGUN)
    if known is not None:
        if known.state == BEGUN:
            raise _in_doubt(key)
        return _answer(known, codec)
    yield _save
    try:
        value = yield lambda store: store.call(body)
        text, same = codec.written(value)
        yield _release
    except Exception as error:
        reason = codec.refusal(error)
        if reason is None:
            # For whoever goes on in this transaction: as if it had not been asked for. Where the
            # connection is gone so is the transaction, and the error itself says more.
            with suppress(Exception):
                yield _back
                yield lambda store: store.execute("forget", key=key)
            raise
        yield _back
        yield from _record(key, BEGUN, REJECTED, json.dumps(reason))
        return Answer(landed=False, value=reason)
    yield from _record(key, BEGUN, APPLIED, text)
    return Answer(landed=True, value=same)


def undo(key: str, codec: Codec, body: Callable[..., Any]) -> Steps[None]:
    """A compensation whose effect is in this transaction."""
    known = yield from _claim(key, FENCED)
    if known is None or known.state not in {BEGUN, APPLIED, UNDOING}:
        return
    result = _result(known, codec)
    yield _save
    try:
        yield lambda store: store.call(body, result)
        yield _release
    except Exception:
        with suppress(Exception):
            yield _back
        raise
    yield from _record(key, known.state, COMPENSATED, known.value)


def ask(key: str, codec: Codec) -> Steps[Answer[Any]]:
    """A query: what has not landed by now never will."""
    known = yield from _claim(key, REJECTED, json.dumps(_ASKED))
    if known is None:
        return Answer(landed=False, value=_ASKED)
    if known.state == BEGUN:
        raise _in_doubt(key)
    return _final(key, _answer(known, codec))


# ------------------------------------------------------------------ the table itself


def required(steps: Steps[T]) -> Steps[T]:
    """The same, in a transaction of the caller's: there has to be one."""
    yield lambda store: store.require()
    return (yield from steps)


def create(table: str) -> Steps[None]:
    """Make the table, where there is none."""
    database = yield lambda store: store.database
    texts = statements(database, table)
    schema = [text for text in texts["schema"].split(";") if text.strip()]
    for text in [texts["alone"], *schema] if "alone" in texts else schema:
        yield partial(_run, text)


def prune(seconds: float) -> Steps[int]:
    """Forget the keys that were settled so long ago."""
    return (yield lambda store: store.execute("prune", seconds=seconds))  # type: ignore[no-any-return]


def _run(text: str, store: Any) -> Any:
    return store.run(text)


# ------------------------------------------------------------------ effects outside of it


def act_outside(key: str, codec: Codec, effect: Callable[..., Any]) -> Steps[Answer[Any]]:
    """An action whose effect is outside: begun, committed; the effect; its outcome, committed."""
    before = yield lambda guard: guard.transact(_begin(key, codec))
    if before is not None:
        return before  # type: ignore[no-any-return]
    try:
        value = yield lambda guard: guard.call(effect)
    except Exception as error:
        reason = codec.refusal(error)
        if reason is None:
            raise
        return (yield from _told(_end(key, codec, REJECTED, json.dumps(reason))))
    text, _ = codec.written(value)
    return (yield from _told(_end(key, codec, APPLIED, text)))


def undo_outside(
    key: str, codec: Codec, lifetime: float, effect: Callable[..., Any]
) -> Steps[None]:
    """A compensation whose effect is outside: undoing, committed; the effect; compensated."""
    owed, result = yield lambda guard: guard.transact(_turn(key, codec, lifetime))
    if not owed:
        return
    yield lambda guard: guard.call(effect, result)
    yield lambda guard: guard.transact(_undone(key), landed=True)


def ask_outside(
    key: str, codec: Codec, lifetime: float, find: Callable[..., Any] | None
) -> Steps[Answer[Any]]:
    """A query: where an action has begun and said no more, ``find`` says what came of it."""
    before = yield lambda guard: guard.transact(_look(key, codec, lifetime))
    if before is not None:
        return before  # type: ignore[no-any-return]
    if find is None:
        raise _in_doubt(key)
    try:
        value = yield lambda guard: guard.call(find)
    except Rejected as refused:
        return (yield from _told(_end(key, codec, REJECTED, json.dumps(refused.reason))))
    text, _ = codec.written(value)
    return _final(key, (yield from _told(_end(key, codec, APPLIED, text))))


def _told(end: Steps[Answer[Any] | MalformedReplyError]) -> Steps[Answer[Any]]:
    answer = yield lambda guard: guard.transact(end, landed=True)
    if isinstance(answer, MalformedReplyError):
        raise answer
    return answer  # type: ignore[no-any-return]


def _begin(key: str, codec: Codec) -> Steps[Answer[Any] | None]:
    known = yield from _claim(key, BEGUN)
    if known is None:
        return None
    if known.state == BEGUN:
        # Once more, with the same key: from now on it may be under way again.
        yield from _record(key, BEGUN, BEGUN, known.value)
        return None
    return _answer(known, codec)


def _end(
    key: str, codec: Codec, state: str, value: str | None
) -> Steps[Answer[Any] | MalformedReplyError]:
    known = yield from _find(key)
    if known is not None and known.state == BEGUN:
        yield from _record(key, BEGUN, state, value)
        return _answer(Known(state, value, 0.0), codec)
    if state == REJECTED:
        # Another copy may have landed; else it is rejected, whoever said so first.
        stands = known is not None and known.state == APPLIED
        return _answer(known if stands and known else Known(state, value, 0.0), codec)
    if known is not None and known.state == APPLIED:
        return _answer(known, codec)
    if known is not None:
        # An undo that comes again must not believe that there is nothing.
        yield from _record(key, known.state, BEGUN, value)
    # Returned, for what was written has to be committed; it is raised after that.
    return _late(key, known)


def _turn(key: str, codec: Codec, lifetime: float) -> Steps[tuple[bool, Any]]:
    known = yield from _claim(key, FENCED)
    if known is None or known.state not in {BEGUN, APPLIED, UNDOING}:
        return False, None
    if known.state == BEGUN:
        _wait_out(key, known, lifetime)
    yield from _record(key, known.state, UNDOING, known.value)
    return True, _result(known, codec)


def _undone(key: str) -> Steps[None]:
    known = yield from _find(key)
    if known is not None and known.state == UNDOING:
        yield from _record(key, UNDOING, COMPENSATED, known.value)
    elif known is None or known.state != COMPENSATED:
        raise Transient(f"the action '{key}' landed while it was being undone")


def _look(key: str, codec: Codec, lifetime: float) -> Steps[Answer[Any] | None]:
    known = yield from _claim(key, REJECTED, json.dumps(_ASKED))
    if known is None:
        return Answer(landed=False, value=_ASKED)
    if known.state == BEGUN:
        _wait_out(key, known, lifetime)
        return None
    return _final(key, _answer(known, codec))


def _wait_out(key: str, known: Known, lifetime: float) -> None:
    left = lifetime - known.age
    if left > 0:
        raise Transient(
            f"the action '{key}' began {known.age:.1f} s ago and may be under way", after=left
        )


# ------------------------------------------------------------------ rows


def _claim(key: str, state: str, value: str | None = None) -> Steps[Known | None]:
    """Insert the row of a key, or find and lock the one that is there."""
    for _ in range(_PRUNED):
        if (yield lambda store: store.execute("claim", key=key, state=state, value=value)):
            return None
        known = yield from _find(key)
        if known is not None:
            return known
    raise GuardError(
        message=f"the row of '{key}' comes and goes",
        remedy="Prune only what is older than any run: what is pruned is forgotten.",
        key=key,
    )


def _find(key: str) -> Steps[Known | None]:
    row = yield lambda store: store.find("find", key=key)
    return None if row is None else Known(*row)


def _record(key: str, expected: str, state: str, value: str | None) -> Steps[None]:
    """Write what became of a row that is locked."""
    facts = {"key": key, "expected": expected, "state": state, "value": value}
    if not (yield lambda store: store.execute("record", **facts)):
        raise GuardError(
            message=f"the row of '{key}' is gone from its own transaction",
            remedy="The body must not end the transaction, nor touch the guard's table.",
            key=key,
        )


def _answer(known: Known, codec: Codec) -> Answer[Any]:
    if known.state == APPLIED:
        return Answer(landed=True, value=codec.read(known.value))
    if known.state == REJECTED:
        return Answer(landed=False, value=json.loads(known.value or '""'))
    return Answer(landed=False, value=_WHY[known.state])


def _result(known: Known, codec: Codec) -> Any:
    """What an undo is given: the participant's own record; the caller's may be lost."""
    return None if known.value is None else codec.read(known.value)


def _final(key: str, answer: Answer[Any]) -> Answer[Any]:
    """A query must know: an action that has landed and answers later is no answer yet."""
    if answer.value is PENDING:
        raise _in_doubt(key)
    return answer


def _save(store: Any) -> Any:
    return store.save()


def _release(store: Any) -> Any:
    return store.release()


def _back(store: Any) -> Any:
    return store.back()


def _in_doubt(key: str) -> GuardError:
    return GuardError(
        message=f"the action '{key}' has begun, and nothing says what came of it",
        remedy=(
            "Its effect may stand: compensate. A body must leave the commit to the guard; a "
            "query of an effect outside needs find=."
        ),
        key=key,
    )


def _late(key: str, known: Known | None) -> MalformedReplyError:
    became = "its row was deleted" if known is None else _WHY.get(known.state, "it was rejected")
    return MalformedReplyError(message=f"the action '{key}' landed, though {became}")
