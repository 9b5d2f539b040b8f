"""
Appends into Postgres: a group is one statement, and what was lost on the way is found again.

Each append leaves its mark, a number by luck, at what it writes. When the connection is cut after
the statement was sent, the same is sent again: position and fence let it pass once at most, also
while the first may still be under way in the server. What does not pass is looked at: the own mark
says that the first attempt was carried out.
"""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from saga_fsm.errors import JournalError, StoreUnavailableError
from saga_fsm.journals._arrays import columns, rounds
from saga_fsm.journals._checks import refused
from saga_fsm.journals._postgres import Line
from saga_fsm.journals._sql import statements
from saga_fsm.ports import Append


if TYPE_CHECKING:
    from saga_fsm.journals._postgres import Connection

_SQL = statements("postgres")


class Writer:
    """
    Who writes appends.

    Args:
        line: its connection.
        look: reads by the name of a statement.
        now: the clock of tests, or None for the database's.
    """

    def __init__(
        self,
        line: Line,
        look: Callable[..., list[tuple[Any, ...]]],
        now: Callable[[], float | None],
    ) -> None:
        self._line = line
        self._look = look
        self._now = now
        # Marks of what was brought, and of which nobody knows whether it was written.
        self._unknown: weakref.WeakKeyDictionary[Append, int] = weakref.WeakKeyDictionary()

    def carry_out(self, appends: Sequence[Append]) -> list[JournalError | None]:
        """Write what can be written; for each None, or why it was not."""
        # Those that come again bear the mark of the first time.
        before = [self._unknown.get(append) for append in appends]
        fresh = secrets.randbits(62)
        marks = [fresh + n if mark is None else mark for n, mark in enumerate(before)]

        def work(connection: Connection, cuts: int) -> tuple[set[int], int]:
            return self._written(connection, appends, marks), cuts

        try:
            done, cuts = self._line.ask(work)
        except StoreUnavailableError as error:
            if error.unknown:
                self._unknown.update(zip(appends, marks, strict=True))
            raise
        if len(done) == len(appends):
            return [None] * len(appends)
        failed = [n for n in range(len(appends)) if n not in done]
        standing = self._standing([appends[n].run_id for n in failed])
        results: list[JournalError | None] = [None] * len(appends)
        for n in failed:
            append, row = appends[n], standing.get(appends[n].run_id)
            again = cuts or before[n] is not None
            if not (again and self._stands(append, marks[n], row)):
                results[n] = refused(append, row)
        return results

    def _written(
        self, connection: Connection, appends: Sequence[Append], marks: Sequence[int]
    ) -> set[int]:
        """Write what can be written, in one transaction; by their places."""
        split = list(rounds(appends))
        now = self._now()
        if len(split) == 1:
            asked = columns(appends, marks, split[0], now)
            found = connection.execute(_SQL["carried_out"], asked)
            return {split[0][row[0] - 1] for row in found}
        with connection.pipeline(), connection.transaction():
            cursors = [
                connection.execute(_SQL["carried_out"], columns(appends, marks, one, now))
                for one in split
            ]
            return {
                one[row[0] - 1]
                for one, cursor in zip(split, cursors, strict=True)
                for row in cursor
            }

    def _stands(self, append: Append, mark: int, standing: tuple[Any, ...] | None) -> bool:
        """Whether an append is written of which nobody heard."""
        if standing is None:
            return False
        if not append.entries:
            return bool(standing[3] == mark)
        last = append.expected + len(append.entries)
        return self._look("marked", run_id=append.run_id, position=last) == [(mark,)]

    def _standing(self, run_ids: Sequence[str]) -> dict[str, tuple[Any, ...]]:
        """Position, fence, status and mark of each run."""
        return {row[0]: row[1:] for row in self._look("standing", run_ids=list(run_ids))}
