"""
What the guard does, step by step, whatever the database and the colour of its functions.

Each function here and in ``_outside`` is a generator of requests: it yields what it wants and is
sent the answer. So the rules stand here once, and the two shells that carry them out are a few
lines each (``_rows``).

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
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from saga_fsm.guard._rows import (
    APPLIED,
    ASKED,
    BEGUN,
    COMPENSATED,
    FENCED,
    REJECTED,
    UNDOING,
    Answer,
    Codec,
    Steps,
    answer_of,
    back,
    claim,
    final,
    in_doubt,
    record,
    release,
    result_of,
    save,
)
from saga_fsm.guard._sql import statements


__all__ = ["act", "ask", "create", "prune", "required", "undo"]

T = TypeVar("T")


def act(key: str, codec: Codec, body: Callable[..., Any]) -> Steps[Answer[Any]]:
    """An action whose effect is in this transaction."""
    known = yield from claim(key, BEGUN)
    if known is not None:
        if known.state == BEGUN:
            raise in_doubt(key)
        return answer_of(known, codec)
    yield save
    try:
        value = yield lambda store: store.call(body)
        text, same = codec.written(value)
        yield release
    except Exception as error:
        reason = codec.refusal(error)
        if reason is None:
            # For whoever goes on in this transaction: as if it had not been asked for. Where the
            # connection is gone so is the transaction, and the error itself says more.
            with suppress(Exception):
                yield back
                yield lambda store: store.execute("forget", key=key)
            raise
        yield back
        yield from record(key, BEGUN, REJECTED, json.dumps(reason))
        return Answer(landed=False, value=reason)
    yield from record(key, BEGUN, APPLIED, text)
    return Answer(landed=True, value=same)


def undo(key: str, codec: Codec, body: Callable[..., Any]) -> Steps[None]:
    """A compensation whose effect is in this transaction."""
    known = yield from claim(key, FENCED)
    if known is None or known.state not in {BEGUN, APPLIED, UNDOING}:
        return
    result = result_of(known, codec)
    yield save
    try:
        yield lambda store: store.call(body, result)
        yield release
    except Exception:
        with suppress(Exception):
            yield back
        raise
    yield from record(key, known.state, COMPENSATED, known.value)


def ask(key: str, codec: Codec) -> Steps[Answer[Any]]:
    """A query: what has not landed by now never will."""
    known = yield from claim(key, REJECTED, json.dumps(ASKED))
    if known is None:
        return Answer(landed=False, value=ASKED)
    if known.state == BEGUN:
        raise in_doubt(key)
    return final(key, answer_of(known, codec))


# ------------------------------------------------------------------ the table itself


def required(steps: Steps[T]) -> Steps[T]:
    """The same, in a transaction of the caller's: there has to be one."""
    yield lambda store: store.require()
    return (yield from steps)


def create(table: str, what: str = "schema") -> Steps[None]:
    """Make the table, where there is none: the guard's, or the ``outbox``."""
    database = yield lambda store: store.database
    texts = statements(database, table)
    schema = [text for text in texts[what].split(";") if text.strip()]
    for text in [texts["alone"], *schema] if "alone" in texts else schema:
        yield partial(_run, text)


def prune(seconds: float) -> Steps[int]:
    """Forget the keys that were settled so long ago."""
    return (yield lambda store: store.execute("prune", seconds=seconds))  # type: ignore[no-any-return]


def _run(text: str, store: Any) -> Any:
    return store.run(text)
