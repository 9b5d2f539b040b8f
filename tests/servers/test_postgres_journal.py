"""The journal in Postgres: the suite that every store has to pass, and what only Postgres has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from saga_fsm.testing.journals import JournalConformance, Opened
from tests.postgres import HINT, Postgres


psycopg = pytest.importorskip("psycopg", reason=HINT)


@pytest.fixture(scope="session")
def database(postgres: Postgres) -> Iterator[str]:
    """One database for all tests here: to make one for each takes longer than the tests."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture
def url(database: str) -> str:
    """A database without tables."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return database


class TestPostgres(JournalConformance):
    """By a clock that the test sets."""

    @pytest.fixture
    def opened(self, url: str) -> Opened:
        """Open it, at first empty."""
        from saga_fsm.journals.postgres import PostgresJournal

        return lambda now: PostgresJournal(url, now=now)


class TestPostgresByItsOwnClock(JournalConformance):
    """As in production: time is the database's."""

    settable = False

    @pytest.fixture
    def opened(self, url: str) -> Opened:
        """Open it, at first empty."""
        from saga_fsm.journals.postgres import PostgresJournal

        return lambda _: PostgresJournal(url)
