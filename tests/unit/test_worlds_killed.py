"""Plans in processes that are really killed."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from saga_fsm import Status
from saga_fsm.errors import SagaError
from saga_fsm.testing import replay
from saga_fsm.testing.worlds import killed, sqlite
from tests.participants import Shop
from tests.sql_shops import SAGA, SCHEMA, PathShop


PLANS: list[tuple[str, int, Status]] = [
    ("", 0, Status.COMPLETED),
    ("reserve@0=crash_before", 1, Status.COMPLETED),
    ("reserve@0=crash_after", 1, Status.COMPLETED),
    ("charge@0=crash_after charge@1=crash_after", 2, Status.COMPLETED),
    ("charge@0=reject", 0, Status.COMPENSATED),
    ("charge@0=lost_reply reserve/compensation@0=crash_after", 1, Status.COMPENSATED),
    ("journal@0=lost_request", 1, Status.COMPLETED),
    ("journal@1=lost_request", 1, Status.COMPLETED),
    ("journal@1=lost_reply", 1, Status.COMPLETED),
    ("ship@0=duplicate", 0, Status.COMPLETED),
    ("ship@0=crash_before recover@0=crash_before", 2, Status.COMPLETED),
]


@pytest.mark.parametrize(("plan", "kills", "status"), PLANS)
def test_a_right_saga_stays_right(plan: str, kills: int, status: Status) -> None:
    """Whoever is killed, the next one brings the run to its rest, as in a search."""
    with sqlite(PathShop, schema=SCHEMA, by="template") as shops:
        done = killed(SAGA, plan, world=shops)
        assert (done.reason, done.kills, done.unfired) == ("", kills, ())
        assert done.outcome.status is status
        simulated = replay(SAGA, plan, world=shops)
        assert simulated.outcome.status is status
        # A search lets a duplicate land once more, when all is over.
        reached = [
            list(dict.fromkeys(one.path for one in log)) for log in (done.log, simulated.log)
        ]
        assert reached[0] == reached[1]


class Forgetful(PathShop):
    """The planted bug: no look at the key."""

    def act(self, ctx: Any) -> str:
        """Do it, whatever was done before."""
        with closing(sqlite3.connect(self.path)) as self.db:
            self.effect(ctx.step)
            self.db.commit()
            return str(ctx.step)


def test_a_bug_that_needs_a_kill_is_found() -> None:
    """Done twice, because who did it first died before it could say so."""
    with sqlite(Forgetful, schema=SCHEMA, by="template") as shops:
        assert killed(SAGA, "", world=shops).consistent
        done = killed(SAGA, "reserve@0=crash_after", world=shops)
    assert "does not agree" in done.reason
    assert done.kills == 1
    assert "reserve" in str(done.path)


def test_nothing_leaks_from_plan_to_plan() -> None:
    """Each plan finds the first state, though real processes have committed."""
    with sqlite(PathShop, schema=SCHEMA, by="template") as shops:
        first = shops.snapshot(shops())
        done = killed(SAGA, "charge@0=crash_before", world=shops)
        assert shops.snapshot(done.world) != first
        assert shops.snapshot(shops()) == first


def test_a_world_of_the_users_own(tmp_path: Path) -> None:
    """Any function that opens what lives outside will do, and a saga by its name."""
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(SCHEMA)
    opened = tmp_path / "opened"

    def shop() -> PathShop:
        with opened.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return PathShop(str(path))

    done = killed(
        "tests.sql_shops:SAGA",
        "reserve@0=crash_after",
        world=shop,
        consistent=PathShop.is_consistent,
    )
    assert done.consistent
    assert len(set(opened.read_text().split())) == 3


def test_an_injection_whose_call_never_came_is_told() -> None:
    """It has tested nothing."""
    with sqlite(PathShop, schema=SCHEMA, by="template") as shops:
        done = killed(SAGA, "reserve@0=reject tell@0=crash_after", world=shops)
    assert [str(one) for one in done.unfired] == ["tell@0=crash_after"]


class Breaking(PathShop):
    """A world that cannot be opened."""

    def __init__(self, path: str) -> None:
        raise OSError("no world today")


def test_what_cannot_be_is_refused() -> None:
    """Faults that need two owners, a world that dies too, a process that fails by itself."""
    with pytest.raises(ValueError, match=r"second_owner.* is nothing that a process does alone"):
        killed(SAGA, "charge@0=second_owner")
    with sqlite(Shop, schema=SCHEMA) as shops, pytest.raises(SagaError, match="by='template'"):
        killed(SAGA, "", world=shops)
    with (
        sqlite(Breaking, schema=SCHEMA, by="template") as shops,
        pytest.raises(SagaError, match="no world today"),
    ):
        killed(SAGA, "", world=shops)
    with (
        sqlite(PathShop, schema=SCHEMA, by="template") as shops,
        pytest.raises(SagaError, match="not at rest after 50 kills"),
    ):
        killed(SAGA, "recover@*=crash_before ship@0=crash_before", world=shops)
