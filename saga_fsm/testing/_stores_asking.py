"""What every store promises of words from outside, listings and keeping house."""

# ruff: noqa: S101 - assert is what tests do

from __future__ import annotations

from typing import Any

import pytest

from saga_fsm.errors import UnknownRunError
from saga_fsm.machine import Status
from saga_fsm.ports import Store
from saga_fsm.testing._stores import Dial, born, done, events, grown, take


class Speaking:
    """What ``post``, ``posted`` and ``answer`` promise."""

    def test_words_reach_who_has_the_run(self, store: Store) -> None:
        """In the order of their coming, with all that was said, and to nobody else."""
        done(store, born("a", owner="me"), born("b", owner="you"), born("c", owner="me"))
        first = store.post("c", "deliver(approve)", '{"ok": true}', by="ann", note="by phone")
        second = store.post("a", "cancel")
        third = store.post("b", "cancel")
        assert first < second < third
        words = store.posted("me")
        assert [word.number for word in words] == [first, second]
        said = words[0]
        assert (said.run_id, said.word, said.data) == ("c", "deliver(approve)", '{"ok": true}')
        assert (said.by, said.note) == ("ann", "by phone")
        assert [word.run_id for word in store.posted("you")] == ["b"]
        assert list(store.posted("third")) == []

    def test_there_is_nobody_to_speak_to(self, store: Store) -> None:
        """A word to a run that there is not is refused."""
        with pytest.raises(UnknownRunError, match="no run 'nobody'") as caught:
            store.post("nobody", "cancel")
        assert caught.value.run_id == "nobody"

    def test_a_word_is_answered_once_and_with_the_append(self, store: Store) -> None:
        """The first answer stays; one of an append that lost is none."""
        done(store, born("a", owner="me"))
        number = store.post("a", "cancel")
        assert store.answer(number) is None
        (error,) = store.commit([grown("a", 7, "x", owner="me", answers={number: "lost"})])
        assert error is not None
        assert store.answer(number) is None
        done(store, grown("a", 1, "x", owner="me", answers={number: "done"}))
        assert (store.answer(number), list(store.posted("me"))) == ("done", [])
        done(store, grown("a", 2, owner="me", answers={number: "again", 10**9: "?"}))
        assert (store.answer(number), store.answer(10**9)) == ("done", None)

    def test_all_words_to_a_run_are_kept_with_what_became_of_them(self, store: Store) -> None:
        """In the order of their coming, for who looks later; of nobody there are none."""
        done(store, born("a", owner="me"), born("b", owner="me"))
        first = store.post("a", "cancel", by="ann", note="too dear")
        store.post("b", "cancel")
        store.post("a", "deliver(approve)", "1")
        done(store, grown("a", 1, "x", owner="me", answers={first: "no"}))
        words = store.words("a")
        assert [(word.word, word.by, word.note, word.answer) for word in words] == [
            *(("cancel", "ann", "too dear", "no"), ("deliver(approve)", "", "", None)),
        ]
        assert list(store.words("nobody")) == []

    def test_words_wait_for_the_next_owner(self, store: Store, dial: Dial) -> None:
        """What nobody has answered goes with the run."""
        done(store, born("a", due=dial.time))
        number = store.post("a", "cancel")
        take(store, "me")
        assert [word.number for word in store.posted("me")] == [number]
        store.retire("me")
        take(store, "you")
        assert [word.number for word in store.posted("you")] == [number]
        assert list(store.posted("me")) == []


class Listing:
    """What ``find``, ``list_runs``, ``prune`` and ``forget`` promise."""

    def test_the_newest_comes_first_and_pages_hold_all(self, store: Store) -> None:
        """Page by page, each run is seen once, also when others come in between."""
        done(store, *(born(f"r{n:02}") for n in range(25)))
        seen = [run.run_id for run in store.list_runs(limit=10)]
        assert seen[0] == "r24"
        while page := store.list_runs(limit=10, after=seen[-1]) if len(seen) < 99 else []:
            done(store, born(f"late{len(seen)}"))
            seen += [run.run_id for run in page]
        assert seen == [f"r{n:02}" for n in range(24, -1, -1)]
        assert len(store.list_runs()) == 27
        assert list(store.list_runs(after="nobody")) == []

    def test_without_a_limit_all_are_listed(self, store: Store) -> None:
        """A hundred where nothing is said; None is all."""
        done(store, *(born(f"r{n}") for n in range(120)))
        assert [len(store.list_runs()), len(store.list_runs(limit=None))] == [100, 120]
        assert len(store.list_runs(limit=0)) == 0

    def test_filters_hold_together(self, store: Store) -> None:
        """Status, saga, who is waited for, and ids: each narrows what the others leave."""
        done(
            store,
            born("a", waiting=["approve", "sign"]),
            born("b", machine=("trip", "f1"), waiting=["approve"]),
            born("c", status=Status.STUCK),
            born("d", machine=("trip", "f1"), status=Status.STUCK),
        )

        def ids(**filters: Any) -> str:
            return "".join(run.run_id for run in store.list_runs(**filters))

        assert ids() == "dcba"
        assert (ids(status=Status.STUCK), ids(saga="trip"), ids(waiting="approve")) == (
            *("dc", "db", "ba"),
        )
        assert (ids(waiting="sign"), ids(waiting="app"), ids(waiting='"')) == ("a", "", "")
        assert (ids(run_ids=["a", "c", "?"]), ids(run_ids=[])) == ("ca", "")
        assert ids(status=Status.STUCK, saga="trip") == "d"
        assert ids(saga="order", run_ids=["a", "b"], waiting="approve") == "a"
        assert ids(status=Status.STUCK, after="d", limit=5) == "c"

    def test_nothing_is_found_of_nobody(self, store: Store) -> None:
        """None, not an error."""
        assert store.find("nobody") is None
        assert store.answer(7) is None

    def test_what_is_over_can_be_forgotten(self, store: Store) -> None:
        """With its entries and words; the id is free again, and nothing else goes."""
        done(store, born("a", "1", "2", status=Status.COMPENSATED), born("b"))
        number = store.post("a", "cancel")
        done(store, grown("a", 2, status=Status.COMPENSATED, answers={number: "too late"}))
        assert [store.forget("b"), store.forget("nobody"), store.forget("a")] == [
            *(False, False, True),
        ]
        assert (store.find("a"), store.read("a"), store.answer(number)) == (None, (), None)
        assert events(store, "b") == ["start"]
        done(store, born("a", "anew"))
        assert events(store, "a") == ["anew"]

    def test_a_thousand_and_more_are_pruned_in_one_call(self, store: Store) -> None:
        """And counted; those that are not over stay."""
        done(store, *(born(f"r{n}", status=Status.COMPLETED) for n in range(1_203)))
        done(store, born("stays", status=Status.STUCK))
        assert store.prune(1e12) == 1_203
        assert [run.run_id for run in store.list_runs()] == ["stays"]
