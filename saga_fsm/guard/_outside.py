"""
What the guard does, step by step, for effects outside the database; see ``_steps`` for the rules.

These ask the guard for transactions of their own, and for the effect between them. What holds, and
what does not, stands at ``Outside``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from saga_fsm.definition import Rejected, Transient
from saga_fsm.errors import MalformedReplyError
from saga_fsm.guard._rows import (
    APPLIED,
    ASKED,
    BEGUN,
    COMPENSATED,
    FENCED,
    REJECTED,
    UNDOING,
    WHY,
    Answer,
    Codec,
    Known,
    Steps,
    answer_of,
    claim,
    final,
    find,
    in_doubt,
    record,
    result_of,
)


__all__ = ["act_outside", "ask_outside", "undo_outside"]


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
    key: str, codec: Codec, lifetime: float, look: Callable[..., Any] | None
) -> Steps[Answer[Any]]:
    """A query: where an action has begun and said no more, ``find`` says what came of it."""
    before = yield lambda guard: guard.transact(_look(key, codec, lifetime))
    if before is not None:
        return before  # type: ignore[no-any-return]
    if look is None:
        raise in_doubt(key)
    try:
        value = yield lambda guard: guard.call(look)
    except Rejected as refused:
        return (yield from _told(_end(key, codec, REJECTED, json.dumps(refused.reason))))
    text, _ = codec.written(value)
    return final(key, (yield from _told(_end(key, codec, APPLIED, text))))


def _told(end: Steps[Answer[Any] | MalformedReplyError]) -> Steps[Answer[Any]]:
    answer = yield lambda guard: guard.transact(end, landed=True)
    if isinstance(answer, MalformedReplyError):
        raise answer
    return answer  # type: ignore[no-any-return]


def _begin(key: str, codec: Codec) -> Steps[Answer[Any] | None]:
    known = yield from claim(key, BEGUN)
    if known is None:
        return None
    if known.state == BEGUN:
        # Once more, with the same key: from now on it may be under way again.
        yield from record(key, BEGUN, BEGUN, known.value)
        return None
    return answer_of(known, codec)


def _end(
    key: str, codec: Codec, state: str, value: str | None
) -> Steps[Answer[Any] | MalformedReplyError]:
    known = yield from find(key)
    if known is not None and known.state == BEGUN:
        yield from record(key, BEGUN, state, value)
        return answer_of(Known(state, value, 0.0), codec)
    if state == REJECTED:
        # Another copy may have landed; else it is rejected, whoever said so first.
        stands = known is not None and known.state == APPLIED
        return answer_of(known if stands and known else Known(state, value, 0.0), codec)
    if known is not None and known.state == APPLIED:
        return answer_of(known, codec)
    if known is not None:
        # An undo that comes again must not believe that there is nothing.
        yield from record(key, known.state, BEGUN, value)
    # Returned, for what was written has to be committed; it is raised after that.
    return _late(key, known)


def _turn(key: str, codec: Codec, lifetime: float) -> Steps[tuple[bool, Any]]:
    known = yield from claim(key, FENCED)
    if known is None or known.state not in {BEGUN, APPLIED, UNDOING}:
        return False, None
    if known.state == BEGUN:
        _wait_out(key, known, lifetime)
    yield from record(key, known.state, UNDOING, known.value)
    return True, result_of(known, codec)


def _undone(key: str) -> Steps[None]:
    known = yield from find(key)
    if known is not None and known.state == UNDOING:
        yield from record(key, UNDOING, COMPENSATED, known.value)
    elif known is None or known.state != COMPENSATED:
        raise Transient(f"the action '{key}' landed while it was being undone")


def _look(key: str, codec: Codec, lifetime: float) -> Steps[Answer[Any] | None]:
    known = yield from claim(key, REJECTED, json.dumps(ASKED))
    if known is None:
        return Answer(landed=False, value=ASKED)
    if known.state == BEGUN:
        _wait_out(key, known, lifetime)
        return None
    return final(key, answer_of(known, codec))


def _wait_out(key: str, known: Known, lifetime: float) -> None:
    left = lifetime - known.age
    if left > 0:
        raise Transient(
            f"the action '{key}' began {known.age:.1f} s ago and may be under way", after=left
        )


def _late(key: str, known: Known | None) -> MalformedReplyError:
    became = "its row was deleted" if known is None else WHY.get(known.state, "it was rejected")
    return MalformedReplyError(message=f"the action '{key}' landed, though {became}")
