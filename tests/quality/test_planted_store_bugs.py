"""The suite for stores finds what it is there for: bugs in the SQL of the SQLite store."""

from __future__ import annotations

import inspect
import sqlite3
from pathlib import Path

import pytest

from saga_fsm.errors import SagaError
from saga_fsm.journals.sqlite import _SQL, SqliteJournal
from saga_fsm.testing.journals import Dial, JournalConformance


# Statement, what stands there, what is put there, and who finds it.
PLANTED = [
    ("moved", "AND fence = ?10", "AND ?10 > 0", "a_claim_shuts_out_whoever_had_the_run"),
    ("moved", "position = ?9", "position >= ?9", "an_append_behind_the_end_is_refused"),
    (
        *("moved", "CASE WHEN ?1 > 0 THEN NULL ELSE input END", "NULL"),
        "what_was_entered_is_new_until_somebody_starts_it",
    ),
    ("moved", "WHEN ?6 = owner THEN due", "", "a_dead_owners_runs_come_oldest_first"),
    ("moved", "unresolved = ?4", "unresolved = '{}' || substr(?4, 1, 0)", "a_listing_shows_*"),
    ("taken", "fence = fence + 1,", "", "a_claim_shuts_out_whoever_had_the_run"),
    ("due", "ORDER BY due, number", "ORDER BY number", "those_due_longest_are_claimed_first"),
    ("due", "AND m.value ->> 1 = fingerprint", "", "only_machines_that_are_known_are_claimed"),
    ("any_due", "w.until >= :now", "w.until >= :now - 20", "an_owner_keeps_its_runs_*"),
    ("due", "NOT EXISTS (SELECT 1 FROM saga_owners w", "EXISTS (SELECT 1 FROM saga_owners w",
     "who_never_beat_has_no_claim"),
    ("wake", "min(coalesce(due, :now), :now)", ":now", "a_word_puts_no_run_behind_others"),
    ("moved", "coalesce(spoken, ?7)", "?7", "a_word_that_comes_while_a_run_is_given_up_*"),
    ("taken", ", spoken = NULL", "", "a_word_that_comes_while_a_run_is_given_up_*"),
    ("due", "owner = '' AND due IS spoken", "1", "who_claims_knows_*"),
    ("words", "w.answer", "NULL", "all_words_to_a_run_are_kept_*"),
    ("answered", "AND answer IS NULL", "", "a_word_is_answered_once_and_with_the_append"),
    ("posted", "AND r.owner = ?", "AND ? > ''", "words_reach_who_has_the_run"),
    ("prune", "AND due IS NULL", "", "pruning_spares_what_is_younger_or_not_over"),
    ("forget", "AND status IN ('completed', 'compensated')", "", "what_is_over_can_be_forgotten"),
    ("read", "ORDER BY e.position", "ORDER BY e.position DESC", "entries_are_read_as_they_were_*"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "stands", "instead", "finder"), PLANTED)
def test_a_bug_in_the_store_is_found(
    tmp_path: Path, name: str, stands: str, instead: str, finder: str
) -> None:
    """By the one test that promises it; which passes without the bug."""
    statement = _SQL[name]
    assert statement.count(stands) == 1
    (test,) = (
        test
        for found, test in inspect.getmembers(JournalConformance, inspect.isfunction)
        if found.startswith(f"test_{finder.removesuffix('*')}")
    )

    def run(path: Path) -> None:
        dial = Dial()
        store = SqliteJournal(path, now=dial)
        given = {"self": None, "store": store, "dial": dial}
        try:
            test(*(given[one] for one in inspect.signature(test).parameters))
        finally:
            store.close()

    run(tmp_path / "right.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_SQL, name, statement.replace(stands, instead))
        with pytest.raises((AssertionError, SagaError, sqlite3.IntegrityError, ValueError)):
            run(tmp_path / "wrong.db")
