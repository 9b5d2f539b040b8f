"""Worlds on a SQLite database: set up once, and the same again for each plan."""

from __future__ import annotations

import sqlite3
import tempfile
import weakref
from collections.abc import Callable, Collection, Hashable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar

import attrs
from typing_extensions import override

from saga_fsm.errors import SagaError
from saga_fsm.testing.worlds._comparing import NotComparableError, frozen
from saga_fsm.testing.worlds._engine import engine_on
from saga_fsm.testing.worlds._rows import sqlite_digest
from saga_fsm.testing.worlds._savepoint import SavepointWorlds
from saga_fsm.testing.worlds._sqlite_connection import KeptConnection
from saga_fsm.testing.worlds._worlds import Worlds


__all__ = ["Database", "sqlite"]

W = TypeVar("W")
Schema: TypeAlias = str | Callable[[sqlite3.Connection], object]
By: TypeAlias = Literal["rollback", "savepoint", "copy", "template"]
Give: TypeAlias = Literal["connection", "path", "engine"]
_UNWELCOME: Final = ("-journal", "-wal", "-shm")
# Files that need not outlive a plan: where there is one, a disk in memory.
_QUICK: Final = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it


@attrs.frozen
class Database:
    """
    The world of who gives no class: a database and nothing else.

    Args:
        connection: to it, where the world has one.
        path: where it is; ``:memory:`` when it is nowhere.
    """

    connection: Any
    path: str


class _SqliteWorlds(Worlds[W]):
    """What the ways of going back share: a schema, and how the user's world is made."""

    def __init__(
        self,
        make: Callable[[Any], W] | None,
        schema: Schema,
        give: Give,
        ignore: Collection[str],
        options: dict[str, Any],
    ) -> None:
        super().__init__(make or self._bare)
        self._schema = schema
        self._give = give
        self._ignore = frozenset(ignore)
        self._options: dict[str, Any] = {"check_same_thread": False, **options}
        self._engine: Any = None
        self.connection: Any = None
        self.path = ":memory:"

    def _bare(self, _: Any) -> Any:
        return Database(self.connection, self.path)

    @override
    def again(self) -> W:
        self._world = self._make(self._given())
        return self._world

    def _given(self) -> Any:
        if self._give == "path":
            return self.path
        if self._give == "connection":
            return self.connection
        if self._engine is None:
            self._engine = engine_on("sqlite", lambda: self.connection)
        return self._engine

    def _set_up(self, connection: sqlite3.Connection) -> None:
        if callable(self._schema):
            self._schema(connection)
        else:
            connection.executescript(self._schema)
        connection.commit()

    def _parts(self) -> list[Any]:
        return [part for part in (self.connection, self._engine) if part is not None]

    @override
    def snapshot(self, world: W) -> Hashable:
        if self.connection is not None and self.connection.in_transaction:
            # What is not committed, a crash takes back: there are two worlds to compare.
            raise NotComparableError("a transaction is open")
        return self._digest(), frozen(world, self._parts())

    def _digest(self) -> str:
        return _digest_of(self.connection, self._ignore)


class _ByRollback(_SqliteWorlds[W]):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connection = KeptConnection(":memory:", **self._options)
        self._ended = weakref.finalize(self, self.connection.end)
        self._factories = self.connection.row_factory, self.connection.text_factory
        self._set_up(self.connection)
        self.connection.keep()
        self._known: tuple[int, str] = -1, ""

    @override
    def reset(self) -> None:
        self.connection.take_back()
        self.connection.row_factory, self.connection.text_factory = self._factories

    @override
    def process_died(self) -> None:
        self.connection.rollback()

    @override
    def _digest(self) -> str:
        if self._known[0] != self.connection.changes:
            ask = partial(KeptConnection.raw, self.connection)
            self._known = self.connection.changes, sqlite_digest(ask, self._ignore)
        return self._known[1]

    @override
    def close(self) -> None:
        self._ended()


class _ByCopy(_SqliteWorlds[W]):
    """Each plan gets a database in memory of its own."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        made = sqlite3.connect(":memory:", **self._options)
        self._set_up(made)
        self._pragmas = made.execute("PRAGMA foreign_keys").fetchone()[0]
        self._template = made.serialize()
        made.close()

    @override
    def reset(self) -> None:
        self.close()
        self.connection = sqlite3.connect(":memory:", **self._options)
        if self._template:
            self.connection.deserialize(self._template)
        # Of a connection, not of a database.
        self.connection.execute(f"PRAGMA foreign_keys = {self._pragmas}")

    @override
    def process_died(self) -> None:
        self.connection.rollback()

    @override
    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self._engine = self.connection = None


class _ByTemplate(_SqliteWorlds[W]):
    """Each plan gets a file of its own, for steps that open their connections themselves."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.outside = self._give == "path"
        quick = _QUICK if _QUICK.is_dir() else None
        folder = tempfile.TemporaryDirectory(prefix="saga_fsm_world_", dir=quick)
        self._ended = weakref.finalize(self, folder.cleanup)
        self._folder = Path(folder.name)
        template = self._folder / "template.db"
        made = sqlite3.connect(template)
        self._set_up(made)
        made.close()
        self._template = template.read_bytes()
        self._number = 0

    @override
    def reset(self) -> None:
        self._forget()
        self._number += 1
        self.path = str(self._folder / f"plan_{self._number}.db")
        Path(self.path).write_bytes(self._template)
        if self._give != "path":
            self.connection = sqlite3.connect(self.path, **self._options)

    def _forget(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self._engine = self.connection = None
        if self._number:
            for end in ("", *_UNWELCOME):
                with suppress(FileNotFoundError):
                    Path(self.path + end).unlink()

    @override
    def process_died(self) -> None:
        if self.connection is not None:
            self.connection.rollback()

    @override
    def _digest(self) -> str:
        connection = sqlite3.connect(self.path)
        try:
            return _digest_of(connection, self._ignore)
        finally:
            connection.close()

    @override
    def snapshot(self, world: W) -> Hashable:
        # The path is another one for each plan, and the same world.
        return _without(super().snapshot(world), self.path)

    @override
    def close(self) -> None:
        self._forget()
        self._ended()


def sqlite(  # noqa: PLR0913 - keyword-only parts of one world
    world: Callable[[Any], W] | None = None,
    *,
    schema: Schema = "",
    by: By = "rollback",
    give: Give | None = None,
    connection: Any = None,
    ignore: Collection[str] = (),
    **options: Any,
) -> Worlds[W]:
    """
    Make a factory of worlds on SQLite: each plan finds the database as the schema left it.

    ``by`` says how it is put back:

    - ``rollback``: one connection in one transaction, in memory. What the steps begin on it,
      commit and roll back are savepoints in it. The quickest.
    - ``savepoint``: the same with a ``connection`` of your own, which has its schema: a plain one
      on which the steps do not commit, or SQLAlchemy's, with sessions that are made with
      ``join_transaction_mode="create_savepoint"``.
    - ``copy``: each plan has a database in memory of its own, and commits indeed.
    - ``template``: each plan has a file of its own, for steps that open their connections.

    Args:
        world: your class, or a function; called with what ``give`` says. None gives a ``Database``.
        schema: a script, or a function of a connection: tables and first rows. Run once.
        by: how it is put back.
        give: ``connection``, ``path`` (the default of ``template``) or ``engine``, SQLAlchemy's.
        connection: for ``savepoint``.
        ignore: tables (``audit``) and columns (``orders.created``) in which worlds may differ.
        options: for ``sqlite3.connect``, as ``isolation_level=None``.

    Two worlds are the same when their rows are, and what the user's object keeps; with a
    transaction open they are not compared. What a process leaves uncommitted is gone with a crash.

    >>> class Till:
    ...     def __init__(self, db): self.db = db
    ...     def take(self, money):
    ...         with self.db: self.db.execute("UPDATE till SET money = money + ?", [money])
    ...     def money(self): return self.db.execute("SELECT money FROM till").fetchone()[0]
    >>> schema = "CREATE TABLE till (money); INSERT INTO till VALUES (0);"
    >>> with sqlite(Till, schema=schema) as tills:
    ...     till = tills(); till.take(5); print(till.money())
    ...     print(tills().money())
    5
    0

    Raises:
        SagaError: ``by`` and the other parts do not fit.
    """
    if by == "savepoint":
        return _on_savepoint(world, connection, frozenset(ignore))
    makers: dict[str, Any] = {"rollback": _ByRollback, "copy": _ByCopy, "template": _ByTemplate}
    if by not in makers:
        raise SagaError(
            f"by={by!r} is no way back\n  Known are: {', '.join((*makers, 'savepoint'))}."
        )
    give = give or ("path" if by == "template" else "connection")
    if give == "path" and by != "template":
        raise SagaError(
            f"by={by!r} has no file whose path it could give\n"
            "  Use by='template' for steps that open their own connections."
        )
    if by == "rollback" and options.get("autocommit", -1) is False:
        raise SagaError(
            "by='rollback' knows transactions that begin by themselves or by BEGIN, and with"
            " autocommit=False there is always one\n  Use by='copy'."
        )
    made: Worlds[W] = makers[by](world, schema, give, ignore, options)
    return made


def _on_savepoint(make: Any, connection: Any, ignore: frozenset[str]) -> Worlds[Any]:
    if connection is None:
        raise SagaError(
            "by='savepoint' needs the connection on which the steps act: connection=..."
        )
    known: list[Any] = [connection]
    below = getattr(connection, "connection", None)
    driver = getattr(below, "driver_connection", connection)
    return SavepointWorlds(
        make or (lambda one: Database(one, "")),
        connection,
        lambda: (_digest_of(driver, ignore), known)[0],
    )


def _digest_of(connection: sqlite3.Connection, ignore: Collection[str]) -> str:
    cursor = connection.cursor()
    cursor.row_factory = None
    try:
        return sqlite_digest(lambda sql: cursor.execute(sql).fetchall(), ignore)
    finally:
        cursor.close()


def _without(value: Hashable, path: str) -> Hashable:
    if isinstance(value, tuple):
        return tuple(_without(one, path) for one in value)
    return "the path" if value == path else value
