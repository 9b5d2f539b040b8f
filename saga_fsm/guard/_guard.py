"""The guard as users hold it, for code that blocks; ``_async`` is the same for an event loop."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any, Generic, TypeVar

import attrs

from saga_fsm.definition import Context
from saga_fsm.definition._refuse import check_errors
from saga_fsm.definition.policy import Errors
from saga_fsm.guard import _outside, _steps
from saga_fsm.guard._errors import GuardError
from saga_fsm.guard._rows import Answer, Codec, Steps, carry
from saga_fsm.guard._sql import statements
from saga_fsm.guard._stores import SqliteStore, busy, called, missing


__all__ = ["Guard", "Outside", "Within"]

C = TypeVar("C")
R = TypeVar("R")
Ctx = Context[Any, Any, Any]
TABLE = "saga_guard"


@attrs.frozen
class Guard(Generic[C]):
    """
    Makes actions and compensations idempotent, sticky and fenced: ``contract=GUARDED``, kept.

    ``begin`` opens a transaction on the participant's own database, and the guard's row is written
    in it together with the effect. It may be ``engine.begin``, ``Session.begin`` (SQLAlchemy),
    ``pool.connection`` (psycopg), or ``lambda: closing(sqlite3.connect(path))``: where nothing is
    open on what it gives, the guard begins and commits; what is open, ``begin`` has to commit. It
    is one caller's meanwhile: two threads on one connection would be in one transaction.

    Another codec for one step is another guard. With cattrs, for an attrs class ``Payment``:
    ``attrs.evolve(guard, encode=converter.dumps, decode=lambda t: converter.loads(t, Payment))``.
    The table must be there: ``guard.create_table()``, or ``schema(...)`` in a migration.

    Args:
        begin: called without arguments once an action; gives a context manager that gives the
            connection, session or transaction on which a body works.
        table: the guard's table, with its schema where there is one.
        encode: turns a result into text; default JSON.
        decode: turns the text into what is answered, each time, the first included.
        rejects: exceptions of the body, beside ``Rejected``, that mean: surely not, and asking
            again will not help. As the step's own ``rejects=``.

    Raises:
        GuardError: the table's name is none.
        DefinitionError: ``rejects`` is no exception type, no tuple of them and no predicate.
    """

    begin: Callable[[], AbstractContextManager[C]]
    table: str = attrs.field(default=TABLE, kw_only=True)
    encode: Callable[[Any], str] = attrs.field(default=json.dumps, kw_only=True)
    decode: Callable[[str], Any] = attrs.field(default=json.loads, kw_only=True)
    rejects: Errors | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        check_begin(self.begin)
        check_settings(self.table, self.rejects)

    def act(self, ctx: Ctx, body: Callable[[C], R]) -> R:
        """
        Cause an effect once for ``ctx.key``, and answer the same ever after.

        Two copies at once are one effect: the second waits for the first, and answers its result.

        Args:
            ctx: of the action.
            body: the effect, on the connection it is given; it neither commits nor rolls back.
                Not called where the key is known.

        Raises:
            Rejected: the body raised it (what it wrote is rolled back, and the rejection is
                remembered), now or before; or the compensation came first.
            Transient: a lock was not to be had, a deadlock, a serialization failure: nothing was
                written.
            GuardError: the promise cannot be kept, and nothing was done.
        """
        answer: Answer[R] = self._transact(_steps.act(ctx.key, codec_of(self), body))
        return answer.result()

    def undo(self, ctx: Ctx, body: Callable[[C, R | None], object]) -> None:
        """
        Take the effect of ``ctx.action_key`` back, once; where there is none, see that none comes.

        Args:
            ctx: of the compensation.
            body: takes the effect back, on the connection it is given, knowing the result of the
                action as the guard has it: the caller's may be lost. Called only where the action
                has landed and is not undone yet.

        Raises:
            Transient: as for ``act``.
            GuardError: as for ``act``.
        """
        self._transact(_steps.undo(ctx.action_key, codec_of(self), body))

    def ask(self, ctx: Ctx) -> Any:
        """
        Answer like the action of ``ctx.key`` and cause nothing: what has not landed never will.

        For a step's ``query=``.

        Raises:
            Rejected: it has not landed, and from now on cannot.
            Transient: as for ``act``.
            GuardError: as for ``act``; or the action has landed and answers later (``PENDING``).
        """
        return self._transact(_steps.ask(ctx.key, codec_of(self))).result()

    def within(self, connection: C) -> Within[C]:
        """
        The same in a transaction of your own, which you commit; then ask for the result.

        ``begin`` is not used. A connection in autocommit mode is refused.
        """
        return Within(self, connection)

    def outside(self, *, lifetime: float = 0.0) -> Outside:
        """The same for effects outside the database; see ``Outside`` for what then holds."""
        return Outside(self, lifetime)

    def create_table(self) -> None:
        """Make the guard's table, where there is none; several may do so at once."""
        self._transact(_steps.create(self.table))

    def prune(self, older_than: timedelta) -> int:
        """
        Forget keys that were settled so long ago, and say how many.

        **What is forgotten is no longer guarded**: a copy of its action that comes now lands a
        second time, and its compensation finds nothing to undo. Prune only what is older than any
        run can last, the wait of a stuck one for an operator included, and older than any request
        can still be on its way. What is begun or being undone is owed, and never pruned.
        """
        return self._transact(_steps.prune(seconds_of(older_than)))

    def _transact(self, steps: Steps[R], *, landed: bool = False) -> R:
        """One transaction of our own; ``landed``: an effect may stand, whatever becomes of it."""
        try:
            with self._store() as store:
                return carry(steps, store)
        except Exception as error:
            known = missing(error, self.table) or (None if landed else busy(error))
            if known is None:
                raise
            raise known from error

    @contextmanager
    def _store(self) -> Generator[Any, None, None]:
        with self.begin() as given:
            store = store_of(given, self.table)
            with store.transaction():
                yield store
        if not store.over():
            raise GuardError(
                message="the transaction is still open, though its block has ended",
                remedy="begin= must give one that commits: use guard.within(connection) in yours.",
            )


@attrs.frozen
class Within(Generic[C]):
    """
    The guard in a transaction of the caller's.

    A rejection is written like a result, and must be committed like one. So these answer, and
    raise nothing; ``answer.result()`` raises, after the commit:

    ::

        with engine.begin() as connection:
            answer = guard.within(connection).act(ctx, charge_card)
            ...
        return answer.result()
    """

    _guard: Guard[C]
    _connection: C

    def act(self, ctx: Ctx, body: Callable[[C], R]) -> Answer[R]:
        """As ``Guard.act``; the result, or the rejection, is in the answer."""
        return self._carry(_steps.act(ctx.key, codec_of(self._guard), body))

    def undo(self, ctx: Ctx, body: Callable[[C, R | None], object]) -> None:
        """As ``Guard.undo``."""
        self._carry(_steps.undo(ctx.action_key, codec_of(self._guard), body))

    def ask(self, ctx: Ctx) -> Answer[Any]:
        """As ``Guard.ask``; the result, or the rejection, is in the answer."""
        return self._carry(_steps.ask(ctx.key, codec_of(self._guard)))

    def _carry(self, steps: Steps[R]) -> R:
        try:
            store = store_of(self._connection, self._guard.table)
            return carry(_steps.required(steps), store)
        except Exception as error:
            known = missing(error, self._guard.table) or busy(error)
            if known is None:
                raise
            raise known from error


@attrs.frozen
class Outside:
    """
    The guard for effects outside the database: a card, a file, another service.

    They cannot be written in one transaction with the row. So the row is written before them and
    committed (``begun``), and again after them. In between the effect may have landed, and nobody
    here knows. What holds:

    - *Idempotent*, where the other side accepts the key: pass ``ctx.key`` on. Once the outcome is
      recorded the effect is not asked for again; a copy that finds ``begun`` asks again, with the
      same key.
    - *Never empty by mistake*: an undo that finds ``begun`` without an outcome runs, with no
      result; it must bear that there is nothing to undo, and being run twice (``ctx.key``).
    - *Sticky* and *fenced* for every copy that begins after the rejection or the undo. One that
      had begun before may still be under way, and land after it, unless the other side itself
      refuses that by the key, or ``lifetime`` is a true bound: an undo, or a query, that finds
      ``begun`` younger than that raises ``Transient`` until it is older. Without either, do not
      declare ``fenced``. Such a landing, when it is told, raises ``MalformedReplyError``, and its
      undo runs when it is tried again.

    Args:
        lifetime: the longest time from the start of the effect until it has landed or never will,
            in seconds; the timeout of its client, and the time a request can be on its way.
    """

    _guard: Guard[Any]
    _lifetime: float = 0.0

    def act(self, ctx: Ctx, effect: Callable[[], R]) -> R:
        """
        As ``Guard.act``, in two transactions, with the effect between them.

        Raises:
            Rejected: the effect raised it, now or before; or the compensation came first.
            Transient: the row before the effect could not be written, or the effect raised it.
            MalformedReplyError: it landed after it was rejected or undone.
        """
        steps = _outside.act_outside(ctx.key, codec_of(self._guard), effect)
        answer: Answer[R] = carry(steps, self)
        return answer.result()

    def undo(self, ctx: Ctx, effect: Callable[[R | None], object]) -> None:
        """
        As ``Guard.undo``, in two transactions, with the effect between them.

        Raises:
            Transient: the action may still be under way; or the row could not be written.
        """
        codec = codec_of(self._guard)
        carry(_outside.undo_outside(ctx.action_key, codec, self._lifetime, effect), self)

    def ask(self, ctx: Ctx, find: Callable[[], R] | None = None) -> R:
        """
        As ``Guard.ask``; where the action has begun and said no more, ``find`` says what came.

        Args:
            ctx: of the query.
            find: asks the other side by ``ctx.key``: gives the result, or raises ``Rejected``,
                from when on that side itself refuses the key.

        Raises:
            Rejected: it has not landed, and from now on cannot.
            Transient: the action may still be under way.
            GuardError: the action has begun, and there is no ``find``.
        """
        codec = codec_of(self._guard)
        answer: Answer[R] = carry(_outside.ask_outside(ctx.key, codec, self._lifetime, find), self)
        return answer.result()

    def transact(self, steps: Steps[R], *, landed: bool = False) -> R:
        """One transaction, for the steps."""
        return self._guard._transact(steps, landed=landed)  # noqa: SLF001 - one room

    def call(self, effect: Callable[..., R], *arguments: Any) -> R:
        """The effect, for the steps."""
        return called(effect, *arguments)  # type: ignore[no-any-return]


def check_begin(begin: Any) -> None:
    """Refuse what opens nothing: a path, a connection."""
    if not callable(begin):
        raise GuardError(
            message=f"begin= is {type(begin).__name__}, and must open a transaction when called",
            remedy="Give a function: lambda: closing(sqlite3.connect('shop.db')), engine.begin.",
        )


def check_settings(table: str, rejects: Errors | None) -> None:
    """Refuse at once what would fail at the first action."""
    statements("sqlite", table)
    if rejects is not None:
        check_errors("rejects of the guard", rejects)


def codec_of(guard: Any) -> Codec:
    """What a guard does with results and exceptions."""
    rejects = guard.rejects
    if rejects is None:
        rejects = ()
    if isinstance(rejects, type | tuple):
        return Codec(guard.encode, guard.decode, lambda error: isinstance(error, rejects))
    return Codec(guard.encode, guard.decode, rejects)


def seconds_of(older_than: timedelta) -> float:
    """An age in seconds; none lies in the future."""
    seconds = older_than.total_seconds()
    if seconds < 0:
        raise GuardError(
            message=f"nothing is older than {older_than}",
            remedy="Give a positive timedelta: timedelta(days=90).",
        )
    return seconds


def store_of(given: Any, table: str) -> Any:
    """What knows how to work with a connection that blocks, by its type."""
    if isinstance(given, sqlite3.Connection):
        return SqliteStore(given, given, table)
    library = library_of(given, "Guard", asynchronous=False)
    if library == "psycopg":
        from saga_fsm.guard._psycopg import PsycopgStore, connection_of

        return PsycopgStore(connection_of(given), given, table)
    from saga_fsm.guard._sqlalchemy import SqlalchemyStore

    return SqlalchemyStore(given, table)


def library_of(given: Any, guard: str, *, asynchronous: bool) -> str:
    """
    Whose connection it is, without importing anybody.

    Raises:
        GuardError: nobody's that the guard knows, or of the other colour.
    """
    kinds = type(given).__mro__
    found = {kind.__module__.partition(".")[0] for kind in kinds} & {"psycopg", "sqlalchemy"}
    if not found:
        raise GuardError(
            message=f"a {type(given).__name__} is no connection that the guard knows",
            remedy="It knows sqlite3, psycopg 3 and SQLAlchemy 2 (Connection and Session).",
        )
    if any(kind.__name__.startswith("Async") for kind in kinds) is not asynchronous:
        other = "Guard" if asynchronous else "AsyncGuard"
        raise GuardError(
            message=f"a {type(given).__name__} is not for {guard}", remedy=f"Use {other}."
        )
    return found.pop()
