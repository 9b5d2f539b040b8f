"""
The participant guard: what ``contract=GUARDED`` promises, kept on the participant's own database.

The checker proves a saga safe *if* its participants keep their contracts (semantics 1.8). Beside
the tables of a participant the guard keeps one row for each action, written in the same local
transaction as the effect, and so makes it

- *idempotent*: requests with the same key have one effect and the same answer;
- *sticky*: a rejection is remembered for its key;
- *fenced*: a compensation that comes first leaves a row that refuses the action that comes late.

A compensation is run once, and one of an action that never landed does nothing. This is the whole
of a participant:

>>> import sqlite3
>>> from contextlib import closing
>>> from saga_fsm import GUARDED, Context, step
>>> guard = Guard(lambda: closing(sqlite3.connect("file:shop?mode=memory&cache=shared", uri=True)))

>>> def take(ctx):
...     def body(connection):
...         connection.execute("UPDATE stock SET left = left - ?", [ctx.input])
...         return {"taken": ctx.input}
...     return guard.act(ctx, body)

>>> def put_back(ctx, taken):
...     def body(connection, taken):  # the guard's own record: the caller's may be lost
...         connection.execute("UPDATE stock SET left = left + ?", [taken["taken"]])
...     guard.undo(ctx, body)

>>> reserve = step(take, compensate=put_back, contract=GUARDED, query=guard.ask)

Asked twice, it is done once; undone twice, it is undone once; and it stays undone:

>>> shop = sqlite3.connect("file:shop?mode=memory&cache=shared", uri=True)
>>> with shop:
...     _ = shop.executescript("CREATE TABLE stock (left INTEGER); INSERT INTO stock VALUES (10)")
>>> guard.create_table()
>>> ctx = Context(input=3, run_id="order-17", step="take")
>>> take(ctx), take(ctx), shop.execute("SELECT left FROM stock").fetchone()
({'taken': 3}, {'taken': 3}, (7,))
>>> put_back(ctx, None); put_back(ctx, None); shop.execute("SELECT left FROM stock").fetchone()
(10,)
>>> take(ctx)
Traceback (most recent call last):
    ...
saga_fsm.definition.outcomes.Rejected: it has been undone
>>> shop.close()

Two copies at once are one effect: the second waits for the first and answers its result. READ
COMMITTED is enough; at a stricter level the second may fail to serialize. That, a deadlock and a
lock that is not to be had are ``Transient``: surely nothing was written. What else goes wrong is
rolled back and raised as it is, and for the saga it is unknown.

``AsyncGuard`` is the same for an event loop, ``guard.within(connection)`` for a transaction of your
own, ``guard.outside()`` for effects outside the database, which keeps less: see ``Outside``.
``schema(...)`` is the table, for a migration; ``guard.prune(...)`` forgets old keys, and says what
that means. ``Outbox`` writes messages in the same local transaction, and a ``Relay`` sends them at
least once: see there. How it is done stands at the head of ``_steps``.
"""

from __future__ import annotations

from saga_fsm.guard._async import AsyncGuard, AsyncOutside, AsyncWithin
from saga_fsm.guard._errors import GuardError
from saga_fsm.guard._guard import Guard, Outside, Within
from saga_fsm.guard._messages import Message, Parked
from saga_fsm.guard._outbox import AsyncOutbox, Outbox
from saga_fsm.guard._relay import AsyncRelay, Relay
from saga_fsm.guard._rows import Answer
from saga_fsm.guard._sql import Database, outbox_schema, schema


__all__ = [
    "Answer",
    "AsyncGuard",
    "AsyncOutbox",
    "AsyncOutside",
    "AsyncRelay",
    "AsyncWithin",
    "Database",
    "Guard",
    "GuardError",
    "Message",
    "Outbox",
    "Outside",
    "Parked",
    "Relay",
    "Within",
    "outbox_schema",
    "schema",
]
