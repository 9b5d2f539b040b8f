"""``postgres``: the entry to worlds on Postgres, which loads psycopg when it is called."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

from saga_fsm.errors import MissingExtraError, SagaError
from saga_fsm.testing.worlds._savepoint import SavepointWorlds
from saga_fsm.testing.worlds._worlds import Worlds


__all__ = ["postgres"]

W = TypeVar("W")
By: TypeAlias = Literal["rollback", "savepoint", "template", "truncate"]
Give: TypeAlias = Literal["connection", "url", "engine"]
_WAYS = ("rollback", "savepoint", "template", "truncate")


def postgres(  # noqa: PLR0913 - keyword-only parts of one world
    world: Callable[[Any], W] | None = None,
    url: str = "",
    *,
    schema: str | Callable[[Any], object] = "",
    by: By = "rollback",
    give: Give | None = None,
    connection: Any = None,
    tables: Sequence[str] = (),
    ignore: Collection[str] = (),
    **options: Any,
) -> Worlds[W]:
    """
    Make a factory of worlds on Postgres: each plan finds the database as the schema left it.

    ``by`` says how it is put back:

    - ``rollback``: one connection in one transaction. What the steps begin on it, commit and roll
      back, also by ``with connection.transaction()``, are savepoints in it. The quickest.
    - ``savepoint``: the same with a ``connection`` of your own, which has its schema: psycopg's, on
      which the steps do not commit, or SQLAlchemy's, with sessions that are made with
      ``join_transaction_mode="create_savepoint"``.
    - ``template``: each plan has a database of its own, for steps that open their connections.
    - ``truncate``: ``tables`` are emptied and their first rows put in again, for who may not make
      databases. A change elsewhere is told.

    The database is one for tests: the schema is committed to it, but for ``template``. Async steps
    open their connections themselves. By rollback ``now()`` stands still, and what other sessions
    would see or lock (``NOTIFY``, advisory locks) is not there: ``template`` has it all::

        shops = worlds.postgres(Shop, "postgresql://localhost/tests", schema=SCHEMA)
        explore_faults(order, world=shops).assert_ok()

    Args:
        world: your class, or a function; called with what ``give`` says. None gives an object with
            ``connection`` and ``url``.
        url: of the database; of one to connect to, for ``template``.
        schema: a script, or a function of a connection: tables and first rows. Run once; empty
            leaves the database as it is.
        by: how it is put back.
        give: ``connection`` (of psycopg), ``url`` or ``engine``, SQLAlchemy's. Default:
            ``connection`` by rollback, else ``url``.
        connection: for ``savepoint``.
        tables: for ``truncate``, those that others refer to first.
        ignore: tables (``audit``) and columns (``orders.created``) in which worlds may differ.
        options: for ``psycopg.connect``, as ``autocommit=True``.

    Raises:
        MissingExtraError: psycopg is not installed.
        SagaError: ``by`` and the other parts do not fit.
    """
    try:
        from saga_fsm.testing.worlds import _postgres
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise MissingExtraError(what="psycopg", extra="postgres") from error
    if by not in _WAYS:
        raise SagaError(f"by={by!r} is no way back\n  Known are: {', '.join(_WAYS)}.")
    if by == "savepoint":
        if connection is None:
            raise SagaError(
                "by='savepoint' needs the connection on which the steps act\n"
                "  Give it: connection=..."
            )
        below = getattr(connection, "connection", None)
        driver = getattr(below, "driver_connection", connection)
        names = frozenset(ignore)
        return SavepointWorlds(
            world or _postgres.bare, connection, lambda: _postgres.digest_of(driver, names)
        )
    if not url:
        raise SagaError("there is no url of a database\n  Give the url of one that is for tests.")
    give = give or ("connection" if by == "rollback" else "url")
    if by == "rollback" and give == "url":
        raise SagaError(
            "by='rollback' sees one connection, and steps that connect to a url have their own\n"
            "  Use by='template' or by='truncate'."
        )
    parts = world, url, schema, give, ignore, options
    if by == "truncate":
        if not tables:
            raise SagaError("by='truncate' needs the tables to put back\n  Give them: tables=[...]")
        return _postgres.ByTruncation(*parts, tables=tables)
    return _postgres.ByRollback(*parts) if by == "rollback" else _postgres.ByTemplate(*parts)
