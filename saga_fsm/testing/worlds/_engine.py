"""SQLAlchemy on the one connection of a world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from saga_fsm.errors import MissingExtraError


__all__ = ["engine_on"]


def engine_on(dialect: str, connect: Callable[[], Any]) -> Any:
    """
    Make an engine whose only connection is the world's.

    Sessions and connections of it begin, commit and roll back as they like: what that means on the
    world's connection, the connection knows.

    Raises:
        MissingExtraError: SQLAlchemy is not installed.
    """
    try:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import StaticPool
    except ModuleNotFoundError as error:
        raise MissingExtraError(what="sqlalchemy", extra="servers") from error
    return create_engine(f"{dialect}://", creator=connect, poolclass=StaticPool)
