"""
What survives SIGKILL: everything; and that this would be seen if it did not.

``nox -s soak`` runs this. SOAK_KILLS says how many kills with a run in flight each store is given.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.soak.bugs import BUGS
from tests.soak.harness import Soak, Soaked, postgres_soak, soak, sqlite_soak


KILLS = int(os.environ.get("SOAK_KILLS", "300"))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("children", [1, 2])
def test_nothing_is_lost_and_nothing_doubled_on_sqlite(tmp_path: Path, children: int) -> None:
    """One orchestrator, and two on one file, killed at commits and by a timer."""
    _holds(sqlite_soak(tmp_path, kills=KILLS // 2, children=children))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("children", [1, 2])
def test_nothing_is_lost_and_nothing_doubled_on_postgres(
    tmp_path: Path, children: int, postgres_url: str
) -> None:
    """The same on a real Postgres."""
    _holds(postgres_soak(tmp_path, postgres_url, kills=KILLS // 2, children=children))


def _holds(plan: Soak) -> None:
    found = soak(plan)
    assert found.violations == []
    assert found.kills >= plan.kills
    # Else nothing was soaked.
    assert min(found.completed, found.compensated) > plan.kills // 10


@pytest.mark.timeout(900)
@pytest.mark.parametrize("bug", BUGS)
def test_it_sees_a_planted_bug(tmp_path: Path, bug: str) -> None:
    """A harness that finds none of these would be worthless."""
    found = Soaked(0, 0, 0, 0, 0, 0.0, [])
    for seed in range(5):
        folder = tmp_path / str(seed)
        folder.mkdir()
        found = soak(sqlite_soak(folder, kills=60, children=2, seed=seed, bug=bug))
        if found.violations:
            break
    assert found.violations
