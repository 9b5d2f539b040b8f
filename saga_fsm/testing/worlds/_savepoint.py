"""Worlds on a connection of the user's own, put back to a savepoint."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any, Final, TypeVar

from typing_extensions import override

from saga_fsm.errors import SagaError
from saga_fsm.testing.worlds._comparing import frozen
from saga_fsm.testing.worlds._worlds import Worlds


__all__ = ["SavepointWorlds"]

W = TypeVar("W")
_NAME: Final = "saga_fsm_world"


class SavepointWorlds(Worlds[W]):
    """
    One connection, back to the same savepoint for each plan.

    Args:
        make: from the connection to the world.
        connection: of the standard library, of psycopg, or of SQLAlchemy.
        digest: what stands in the database.
    """

    def __init__(
        self, make: Callable[[Any], W], connection: Any, digest: Callable[[], str]
    ) -> None:
        super().__init__(make)
        self.connection = connection
        self._run: Callable[[str], Any] = getattr(connection, "exec_driver_sql", connection.execute)
        self._digest = digest
        self._run(f"SAVEPOINT {_NAME}")

    @override
    def reset(self) -> None:
        try:
            self._run(f"ROLLBACK TO SAVEPOINT {_NAME}")
        except Exception as error:
            raise SagaError(
                f"what a plan did cannot be taken back: the savepoint is gone ({error})\n"
                "  A step has committed on this connection. Use by='rollback', where that is a"
                " savepoint too."
            ) from error

    @override
    def again(self) -> W:
        self._world = self._make(self.connection)
        return self._world

    @override
    def snapshot(self, world: W) -> Hashable:
        return self._digest(), frozen(world, [self.connection])

    @override
    def close(self) -> None:
        """Put it back; the connection stays the user's, open."""
        with suppress(Exception):
            self._run(f"ROLLBACK TO SAVEPOINT {_NAME}")
            self._run(f"RELEASE SAVEPOINT {_NAME}")
