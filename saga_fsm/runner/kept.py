"""One run of its own in a store that orchestrators share: ``run(journal=SqliteJournal(...))``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saga_fsm.errors import LeaseLostError
from saga_fsm.machine import Status
from saga_fsm.ports import Append, Birth, Clock, Entry, Store
from saga_fsm.runner.driver import Driver
from saga_fsm.runner.owed import owed
from saga_fsm.runner.roster import Part


_ALONE = 60.0  # seconds without an entry after which an orchestrator may take the run up


class Kept:
    """
    A journal for one run: writes its values as text, and what a listing shows beside them.

    Nobody renews a lease for such a run: a call that takes longer than a minute may meet an
    orchestrator that has taken the run up, and then loses the next append.

    Args:
        store: where the run is kept.
        part: its saga.
        driver: of the run.
        clock: time.
    """

    def __init__(self, store: Store, part: Part, driver: Driver, clock: Clock) -> None:
        self._store = store
        self._part = part
        self._driver = driver
        self._clock = clock
        self._fence = 1

    def read(self, run_id: str) -> tuple[Entry, ...]:
        """All entries of the run, as they were."""
        return tuple(self._part.recalled(self._driver, self._store.read(run_id)))

    def append(self, run_id: str, entries: Sequence[Entry], *, expected: int) -> int:
        """Add entries after position ``expected``, all or none."""
        driver, part = self._driver, self._part
        status = driver.facts.state.status
        stuck = status is Status.STUCK
        birth = None if expected else Birth(run_id, *part.key, part.digest(driver.facts.input))
        append = Append(
            run_id,
            part.written(entries),
            expected,
            self._fence,
            status,
            owed(driver.machine, driver.facts.state) if stuck else {},
            tuple(driver.facts.pending),
            birth,
            due=None if status.resting else self._clock.now() + _ALONE,
        )
        (error,) = self._store.commit([append])
        if isinstance(error, LeaseLostError):
            # Others have had it in between; nobody has written since, or its position tells.
            self._fence = append.fence = error.newer
            (error,) = self._store.commit([append])
        if error is not None:
            raise error
        return expected + len(entries)


def kept(journal: Any, driver: Driver, clock: Clock) -> Any:
    """The journal as a run needs it: one that keeps text is given text."""
    if not getattr(journal, "keeps_text", False):
        return journal
    part = Part.of(driver.facts.saga)
    driver.admit = part.scribe.admit
    return Kept(journal, part, driver, clock)
