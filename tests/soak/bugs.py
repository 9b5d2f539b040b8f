"""Bugs that the soak has to find: each is planted in a child and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from saga_fsm.journals import sqlite
from saga_fsm.runner import driver, engine
from saga_fsm.runner.commands import Invoke


def intent_not_written() -> None:
    """Calls are made before what allows them is stored."""
    commit = engine.Engine._commit

    def early(self: Any) -> None:
        for flight in self.dirty:
            held, flight.held = flight.held, []
            for command in held:
                if isinstance(command, Invoke):
                    self._begin(flight, command)
                else:
                    flight.held.append(command)
        commit(self)

    engine.Engine._commit = early  # type: ignore[method-assign]


def fence_ignored() -> None:
    """Whoever writes, writes: neither the position nor the fence is compared."""
    moved = sqlite._SQL["moved"]
    sqlite._SQL["moved"] = moved.replace("position = ?9 AND fence = ?10", "?9 + ?10 > 0")
    assert sqlite._SQL["moved"] != moved
    sqlite._SQL["entry"] = sqlite._SQL["entry"].replace("INSERT", "INSERT OR REPLACE")


def forward_again() -> None:
    """A run that has turned back is taken up as if it had not."""
    recover = driver.Driver.recover

    def forgetful(self: Any, entries: Any, now: float) -> Any:
        kept = []
        for entry in entries:
            if entry.event.startswith(("rejected", "compensated", "unknown", "exhausted")):
                break
            kept.append(entry)
        return recover(self, kept, now)

    driver.Driver.recover = forgetful  # type: ignore[method-assign]


BUGS: dict[str, Callable[[], None]] = {
    "intent_not_written": intent_not_written,
    "fence_ignored": fence_ignored,
    "forward_again": forward_again,
}
