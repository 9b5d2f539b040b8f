"""What every store promises of reading, appending and committing."""

# ruff: noqa: S101 - assert is what tests do

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from saga_fsm.errors import ConcurrentAppendError, JournalError, LeaseLostError, SagaError
from saga_fsm.machine import Status
from saga_fsm.ports import Append, Birth, Entry, Store
from saga_fsm.testing._stores import (
    MACHINE,
    ODD,
    Dial,
    Opened,
    born,
    done,
    entries_of,
    events,
    grown,
    take,
    together,
)


class Appending:
    """What ``read``, ``append`` and ``commit`` promise."""

    def test_entries_are_read_as_they_were_appended(self, store: Store) -> None:
        """In their order, with their times and data; none of a run that there is not."""
        assert store.read("trip") == ()
        assert store.append("trip", entries_of("start", "done(a)", data="{}"), expected=0) == 2
        assert store.append("trip", entries_of("done(b)"), expected=2) == 3
        assert store.read("trip") == (
            *entries_of("start", "done(a)", data="{}"),
            *entries_of("done(b)"),
        )
        assert store.read("tri") == ()

    @pytest.mark.parametrize("expected", [0, 1, 3])
    def test_an_append_at_another_position_writes_nothing(
        self, store: Store, expected: int
    ) -> None:
        """It says where the journal is; all of its entries are left out."""
        store.append("trip", entries_of("start", "done(a)"), expected=0)
        with pytest.raises(ConcurrentAppendError) as caught:
            store.append("trip", entries_of("x", "y", "z"), expected=expected)
        assert (caught.value.run_id, caught.value.expected) == ("trip", expected)
        assert caught.value.actual == 2
        assert events(store, "trip") == ["start", "done(a)"]

    def test_times_come_back_to_the_last_bit(self, store: Store) -> None:
        """Seconds since the epoch are not rounded."""
        times = [0.1 + 0.2, 1_700_000_000.123_456_7, 0.0, 1e-9]
        store.append("trip", [Entry("x", at, None) for at in times], expected=0)
        assert [entry.at for entry in store.read("trip")] == times

    def test_each_append_of_a_commit_stands_for_itself(self, store: Store) -> None:
        """Who loses is told why and writes nothing; the others are carried out."""
        done(store, born("a"), born("b"), born("c"))
        found = store.commit(
            [
                grown("a", 1, "done(a)"),
                grown("b", 5, "done(b)"),
                grown("c", 1, "done(c)", fence=9, status=Status.STUCK),
                grown("nobody", 1, "x"),
                born("b", "again"),
                born("d"),
            ]
        )
        assert [type(one) for one in found] == [
            *(type(None), ConcurrentAppendError, LeaseLostError),
            *(ConcurrentAppendError, ConcurrentAppendError, type(None)),
        ]
        lost = found[2]
        assert isinstance(lost, LeaseLostError)
        assert (lost.run_id, lost.fence, lost.newer) == ("c", 9, 1)
        entries = [events(store, run_id) for run_id in ("a", "b", "c", "nobody", "d")]
        assert entries == [["start", "done(a)"], ["start"], ["start"], [], ["start"]]
        assert [run.status for run in store.list_runs()] == [Status.RUNNING] * 4

    def test_an_append_behind_the_end_is_refused(self, store: Store) -> None:
        """Whoever has not read the newest entries writes nothing over or beside them."""
        done(store, born("a", "1", "2", "3"))
        for expected in (0, 1, 2, 4):
            (error,) = store.commit([grown("a", expected, "x", status=Status.STUCK)])
            assert isinstance(error, ConcurrentAppendError)
            assert (error.expected, error.actual) == (expected, 3)
        assert events(store, "a") == ["1", "2", "3"]
        assert [run.status for run in store.list_runs()] == [Status.RUNNING]

    def test_appends_of_one_run_follow_each_other_in_one_commit(self, store: Store) -> None:
        """Their order is that of the list; of two for one place the first gets it."""
        found = store.commit(
            [
                *(born("a"), born("a", "twice"), grown("a", 1, "one", "two")),
                *(grown("a", 1, "late"), born("b"), grown("a", 3, "three")),
            ]
        )
        assert [one is None for one in found] == [True, False, True, False, True, True]
        assert events(store, "a") == ["start", "one", "two", "three"]
        assert events(store, "b") == ["start"]

    def test_an_id_that_is_taken_is_not_born_again(self, store: Store) -> None:
        """Whoever comes second hears where the run is, and changes nothing of it."""
        done(store, born("a", "start", "done(x)", digest="mine", owner="me"))
        (error,) = store.commit([born("a", digest="theirs", owner="you")])
        assert isinstance(error, ConcurrentAppendError)
        assert (error.expected, error.actual) == (0, 2)
        found = store.find("a")
        assert found is not None
        assert (found[0].owner, found[1], found[0].position) == ("me", "mine", 2)

    def test_a_listing_shows_what_the_last_append_said(self, store: Store, dial: Dial) -> None:
        """Status, what is owed, who is waited for, the owner, the length."""
        done(store, born("a", owner="me", waiting=["approve"]))
        first = store.find("a")
        assert first is not None
        assert (first[0].saga, first[0].fingerprint, first[1]) == (*MACHINE, "d1")
        assert (first[0].waiting, first[0].owner, first[0].position) == (("approve",), "me", 1)
        dial.time += 7.0
        owed = {"charge": "compensate", "ship/é": "query"}
        done(store, grown("a", 1, "x", "y", status=Status.STUCK, unresolved=owed))
        found = store.find("a")
        assert found is not None
        run = found[0]
        assert (run.status, dict(run.unresolved), run.waiting) == (Status.STUCK, owed, ())
        assert (run.position, run.owner, run.started) == (3, "", first[0].started)
        assert run.updated >= first[0].updated
        assert list(store.list_runs()) == [run]

    def test_what_an_append_does_not_say_is_over(self, store: Store) -> None:
        """Nothing is owed, and nobody waited for, of which the last append says nothing."""
        owed = {"charge": "compensate"}
        done(store, born("a", waiting=["approve"]))
        done(store, grown("a", 1, "x", status=Status.STUCK, unresolved=owed))
        done(store, grown("a", 2, "retry(charge)", status=Status.COMPENSATED))
        found = store.find("a")
        assert found is not None
        assert (dict(found[0].unresolved), found[0].waiting) == ({}, ())

    def test_nothing_at_all_can_be_committed(self, store: Store) -> None:
        """An empty commit is none."""
        assert store.commit([]) == []

    @pytest.mark.parametrize("text", ODD, ids=ascii)
    def test_odd_texts_come_back(self, store: Store, text: str) -> None:
        """As id, event and data, whatever signs are in them."""
        done(store, born(text, owner="o" + text, machine=("s" + text, "f"), waiting=[text]))
        done(store, Append(text, [Entry("e" + text, 1.0, text)], 1, 1, Status.RUNNING))
        assert store.read(text) == (*entries_of("start"), Entry("e" + text, 1.0, text))
        number = store.post(text, text, text, by=text, note=text)
        done(store, grown(text, 2, owner="me", answers={number: text}, waiting=[text]))
        assert store.answer(number) == text
        assert [run.run_id for run in store.list_runs(saga="s" + text, waiting=text)] == [text]
        assert [run.run_id for run in store.list_runs(run_ids=[text])] == [text]

    @pytest.mark.parametrize("text", ["\ud83e", "a\udcffb", "a\0b", "x" * 501], ids=ascii)
    def test_what_no_store_can_hold_is_refused(self, store: Store, text: str) -> None:
        """Half a surrogate pair, NUL, or an id too long, told in a sentence; nothing is written."""
        calls: list[Callable[[], object]] = [
            lambda: store.commit([born("a"), born(text)]),
            lambda: store.enter(Birth(text, *MACHINE, "d1", "{}")),
            lambda: store.beat(text, 1.0),
            lambda: store.claim(text, [MACHINE], 1),
        ]
        if len(text) < 500:
            calls.append(lambda: store.commit([born("a"), born("b", text)]))
            more = [Entry("x", 1.0, text)]
            calls += [
                lambda: store.commit([Append("a", more, 0, 0, Status.RUNNING)]),
                *(lambda: store.find(text), lambda: store.forget(text), lambda: store.posted(text)),
                *(lambda: store.read_many(["a", text]), lambda: store.post(text, "cancel")),
                *(lambda: store.list_runs(run_ids=[text]), lambda: store.list_runs(saga=text)),
            ]
        for call in calls:
            with pytest.raises(SagaError, match=r"NUL|surrogate|too long") as caught:
                call()
            assert not isinstance(caught.value, JournalError)
        assert list(store.list_runs()) == []

    def test_a_birth_that_is_not_the_runs_own_is_refused(self, store: Store) -> None:
        """Of another id, or behind entries that cannot be there."""
        birth = Birth("a", *MACHINE, "d1")
        for run_id, expected in (("b", 0), ("a", 3)):
            append = Append(*(run_id, entries_of("x"), expected, 0, Status.RUNNING), birth=birth)
            with pytest.raises(SagaError, match="birth"):
                store.commit([append])
        assert list(store.list_runs()) == []

    def test_a_long_id_and_much_data_come_back(self, store: Store) -> None:
        """500 characters of four bytes; a megabyte of text in one entry."""
        long, much = "🦑" * 500, '{"é": "' + "0123456789ü\\n" * 90_000 + '"}'
        store.append(long, entries_of("start", data=much), expected=0)
        assert store.read(long) == tuple(entries_of("start", data=much))

    def test_of_many_threads_one_gets_each_place(self, store: Store) -> None:
        """All write at the end of one run at once: nothing is lost, doubled or mixed."""
        done(store, born("a"))
        won: list[tuple[int, str]] = []

        def hammer(name: str) -> None:
            for n in range(15):
                at = len(store.read("a"))
                (error,) = store.commit([grown("a", at, f"{name}.{n}", f"{name}.{n}+")])
                if error is None:
                    won.append((at, f"{name}.{n}"))
                else:
                    assert isinstance(error, ConcurrentAppendError)

        together([partial(hammer, name) for name in "abcdefgh"])
        won.sort()
        assert [at for at, _ in won] == [1 + 2 * n for n in range(len(won))]
        expected = ["start", *(event for _, name in won for event in (name, name + "+"))]
        assert events(store, "a") == expected

    def test_sixteen_threads_share_commits(self, store: Store) -> None:
        """Each has runs of its own, and finds all that it wrote, in order."""

        def one(name: str) -> None:
            for run in range(3):
                done(store, born(f"{name}.{run}"))
                for n in range(1, 8):
                    done(store, grown(f"{name}.{run}", n, f"{name}.{n}"))

        names = [f"t{n}" for n in range(16)]
        together([partial(one, name) for name in names])
        runs = [f"{name}.{run}" for name in names for run in range(3)]
        for run_id, entries in zip(runs, store.read_many(runs), strict=True):
            name = run_id.split(".")[0]
            wanted = ["start", *(f"{name}.{n}" for n in range(1, 8))]
            assert [entry.event for entry in entries] == wanted

    def test_many_appends_in_one_commit(self, store: Store) -> None:
        """However many: each is carried out once, and whoever loses is the one that had to."""
        done(store, *(born(f"r{n}") for n in range(250)))
        found = store.commit([grown(f"r{n}", n % 2, "x") for n in range(250)])
        assert [one is None for one in found] == [n % 2 == 1 for n in range(250)]
        lengths = [len(entries) for entries in store.read_many([f"r{n}" for n in range(250)])]
        assert lengths == [1 + n % 2 for n in range(250)]

    def test_read_many_gives_each_where_it_was_asked_for(self, store: Store) -> None:
        """In the order of the question, also twice, also of none."""
        done(store, born("a", "1"), born("b", "2", "3"))
        found = [[entry.event for entry in one] for one in store.read_many(["b", "?", "a", "b"])]
        assert found == [["2", "3"], [], ["1"], ["2", "3"]]
        assert list(store.read_many([])) == []


class Lasting:
    """What is promised across openings."""

    def test_all_is_there_when_it_is_opened_again(
        self, store: Store, opened: Opened, dial: Dial
    ) -> None:
        """Entries, listings, words, answers, owners."""
        done(store, born("a", owner="me", waiting=["w"]), born("b", status=Status.STUCK))
        store.enter(Birth("c", *MACHINE, "d1", "in"))
        numbers = [store.post("a", "cancel", by="ann"), store.post("a", "retry(x)")]
        done(store, grown("a", 1, "x", owner="me", answers={numbers[0]: "ok"}))
        store.beat("me", 60.0)
        before = (list(store.list_runs()), store.read("a"), store.find("c"), store.posted("me"))
        store.close()
        again = opened(dial)
        try:
            after = (list(again.list_runs()), again.read("a"), again.find("c"), again.posted("me"))
            assert after == before
            assert [again.answer(number) for number in numbers] == ["ok", None]
            assert [claim.run.run_id for claim in take(again, "you")] == ["c"]
        finally:
            again.close()

    def test_two_openings_share_one_truth(self, store: Store, opened: Opened, dial: Dial) -> None:
        """Threads of both write at the end of one run: each place has one winner."""
        other = opened(dial)
        try:
            done(store, born("a"))

            def hammer(one: Store, name: str) -> int:
                won = 0
                for n in range(20):
                    event = f"{name}.{n}"
                    (error,) = one.commit([grown("a", len(one.read("a")), event)])
                    won += error is None
                    assert error is None or isinstance(error, ConcurrentAppendError)
                return won

            pairs = [(one, f"{n}") for n, one in enumerate((store, other) * 3)]
            won = together([partial(hammer, one, name) for one, name in pairs])
            found = events(other, "a")
            assert len(found) == 1 + sum(won)
            assert len(set(found)) == len(found)
            births = together([partial(one.commit, [born("b", n)]) for one, n in pairs])
            assert sum(found == [None] for found in births) == 1
        finally:
            other.close()

    def test_two_openings_share_the_work(self, store: Store, opened: Opened, dial: Dial) -> None:
        """Both claim at once until nothing is due: each run is taken once."""
        other = opened(dial)
        try:
            done(store, *(born(f"r{n}", due=dial.time) for n in range(60)))

            def work(one: Store, owner: str) -> list[str]:
                claims = [claim for _ in range(20) for claim in take(one, owner, 4)]
                return [claim.run.run_id for claim in claims]

            pairs = [(one, f"o{n}") for n, one in enumerate((store, other) * 2)]
            taken = together([partial(work, one, name) for one, name in pairs])
            everything = [run_id for one in taken for run_id in one]
            everything += [claim.run.run_id for claim in take(store, "last", 99)]
            assert sorted(everything) == sorted(f"r{n}" for n in range(60))
        finally:
            other.close()
