"""
What every store of runs has to do: one suite of tests, for our stores and for others.

::

    import pytest
    pytest.register_assert_rewrite("saga_fsm.testing.journals")
    from saga_fsm.testing.journals import JournalConformance

    class TestMyJournal(JournalConformance):
        @pytest.fixture
        def opened(self, tmp_path):
            return lambda now: MyJournal(tmp_path / "runs", now=now)

``opened`` opens the same, at first empty, store as often as it is called; ``now`` is the clock by
which the store's leases and listings go. A store that cannot be given a clock ignores it and says
``settable = False``; one that forgets says ``lasting = False``. What needs the one or the other is
left out then.
"""

# ruff: noqa: S101 - assert is what tests do

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import pytest

from saga_fsm.errors import (
    ConcurrentAppendError,
    JournalError,
    LeaseLostError,
    SagaError,
    UnknownRunError,
)
from saga_fsm.machine import Status
from saga_fsm.ports import Append, Birth, Claim, Entry, Store


__all__ = ["Dial", "JournalConformance"]

Opened = Callable[[Callable[[], float]], Store]

_MACHINE = ("order", "f1")
_ODD = (
    *(
        "",
        " ",
        "NULL",
        "null",
        "{}",
        '{"a": [1, "\\u0000", "\\\\"]}',
        "a\nb\tc\r\n",
        "it's",
        '"',
        "\\",
    ),
    *(
        "%s %(x)s ?1 :now $1",
        "{a,b}",
        "🦑 Zürich 東京",
        "e\u0301",
        "\u202eright to left",
        "\ufeff",
        "\x01\x7f",
    ),
)


class Dial:
    """A clock that stands where it is put."""

    def __init__(self, time: float = 1_700_000_000.0) -> None:
        self.time = time

    def __call__(self) -> float:
        """Seconds since the epoch."""
        return self.time


def _entries(*events: str, data: str | None = None) -> list[Entry]:
    return [Entry(event, 1.5 + n, data) for n, event in enumerate(events)]


def _born(
    run_id: str, *events: str, owner: str = "", due: float | None = None, **more: Any
) -> Append:
    saga, fingerprint = more.pop("machine", _MACHINE)
    status = more.pop("status", Status.RUNNING)
    birth = Birth(run_id, saga, fingerprint, more.pop("digest", "d1"))
    return Append(
        *(run_id, _entries(*events or ("start",)), 0, 0, status),
        **{"birth": birth, "owner": owner, "due": due, **more},
    )


def _next(run_id: str, expected: int, *events: str, fence: int = 1, **more: Any) -> Append:
    status = more.pop("status", Status.RUNNING)
    return Append(run_id, _entries(*events), expected, fence, status, **more)


def _done(store: Store, *appends: Append) -> None:
    assert store.commit(appends) == [None] * len(appends)


def _take(store: Store, owner: str, limit: int = 9, *machines: tuple[str, str]) -> list[Claim]:
    store.beat(owner, 60.0)
    return list(store.claim(owner, machines or [_MACHINE], limit))


def _events(store: Store, run_id: str) -> list[str]:
    return [entry.event for entry in store.read(run_id)]


def _together(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do all at once, each in a thread, and give what they gave."""
    gate = threading.Barrier(len(tasks))
    given: list[Any] = [None] * len(tasks)

    def one(number: int) -> None:
        gate.wait()
        try:
            given[number] = tasks[number]()
        except BaseException as error:  # noqa: BLE001 - raised again below
            given[number] = error

    threads = [threading.Thread(target=one, args=(n,)) for n in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for found in given:
        if isinstance(found, BaseException):
            raise found
    return given


class _Appending:
    """What ``read``, ``append`` and ``commit`` promise."""

    def test_entries_are_read_as_they_were_appended(self, store: Store) -> None:
        """In their order, with their times and data; none of a run that there is not."""
        assert store.read("trip") == ()
        assert store.append("trip", _entries("start", "done(a)", data="{}"), expected=0) == 2
        assert store.append("trip", _entries("done(b)"), expected=2) == 3
        assert store.read("trip") == (
            *_entries("start", "done(a)", data="{}"),
            *_entries("done(b)"),
        )
        assert store.read("tri") == ()

    @pytest.mark.parametrize("expected", [0, 1, 3])
    def test_an_append_at_another_position_writes_nothing(
        self, store: Store, expected: int
    ) -> None:
        """It says where the journal is; all of its entries are left out."""
        store.append("trip", _entries("start", "done(a)"), expected=0)
        with pytest.raises(ConcurrentAppendError) as caught:
            store.append("trip", _entries("x", "y", "z"), expected=expected)
        assert (caught.value.run_id, caught.value.expected) == ("trip", expected)
        assert caught.value.actual == 2
        assert _events(store, "trip") == ["start", "done(a)"]

    def test_times_come_back_to_the_last_bit(self, store: Store) -> None:
        """Seconds since the epoch are not rounded."""
        times = [0.1 + 0.2, 1_700_000_000.123_456_7, 0.0, 1e-9]
        store.append("trip", [Entry("x", at, None) for at in times], expected=0)
        assert [entry.at for entry in store.read("trip")] == times

    def test_each_append_of_a_commit_stands_for_itself(self, store: Store) -> None:
        """Who loses is told why and writes nothing; the others are carried out."""
        _done(store, _born("a"), _born("b"), _born("c"))
        found = store.commit(
            [
                _next("a", 1, "done(a)"),
                _next("b", 5, "done(b)"),
                _next("c", 1, "done(c)", fence=9, status=Status.STUCK),
                _next("nobody", 1, "x"),
                _born("b", "again"),
                _born("d"),
            ]
        )
        assert [type(one) for one in found] == [
            *(type(None), ConcurrentAppendError, LeaseLostError),
            *(ConcurrentAppendError, ConcurrentAppendError, type(None)),
        ]
        lost = found[2]
        assert isinstance(lost, LeaseLostError)
        assert (lost.run_id, lost.fence, lost.newer) == ("c", 9, 1)
        entries = [_events(store, run_id) for run_id in ("a", "b", "c", "nobody", "d")]
        assert entries == [["start", "done(a)"], ["start"], ["start"], [], ["start"]]
        assert [run.status for run in store.list_runs()] == [Status.RUNNING] * 4

    def test_appends_of_one_run_follow_each_other_in_one_commit(self, store: Store) -> None:
        """Their order is that of the list; of two for one place the first gets it."""
        found = store.commit(
            [
                *(_born("a"), _born("a", "twice"), _next("a", 1, "one", "two")),
                *(_next("a", 1, "late"), _born("b"), _next("a", 3, "three")),
            ]
        )
        assert [one is None for one in found] == [True, False, True, False, True, True]
        assert _events(store, "a") == ["start", "one", "two", "three"]
        assert _events(store, "b") == ["start"]

    def test_an_id_that_is_taken_is_not_born_again(self, store: Store) -> None:
        """Whoever comes second hears where the run is, and changes nothing of it."""
        _done(store, _born("a", "start", "done(x)", digest="mine", owner="me"))
        (error,) = store.commit([_born("a", digest="theirs", owner="you")])
        assert isinstance(error, ConcurrentAppendError)
        assert (error.expected, error.actual) == (0, 2)
        found = store.find("a")
        assert found is not None
        assert (found[0].owner, found[1], found[0].position) == ("me", "mine", 2)

    def test_a_listing_shows_what_the_last_append_said(self, store: Store, dial: Dial) -> None:
        """Status, what is owed, who is waited for, the owner, the length."""
        _done(store, _born("a", owner="me", waiting=["approve"]))
        born = store.find("a")
        assert born is not None
        assert (born[0].saga, born[0].fingerprint, born[1]) == (*_MACHINE, "d1")
        assert (born[0].waiting, born[0].owner, born[0].position) == (("approve",), "me", 1)
        dial.time += 7.0
        owed = {"charge": "compensate", "ship/é": "query"}
        _done(store, _next("a", 1, "x", "y", status=Status.STUCK, unresolved=owed))
        found = store.find("a")
        assert found is not None
        run = found[0]
        assert (run.status, dict(run.unresolved), run.waiting) == (Status.STUCK, owed, ())
        assert (run.position, run.owner, run.started) == (3, "", born[0].started)
        assert run.updated >= born[0].updated
        assert list(store.list_runs()) == [run]

    def test_nothing_at_all_can_be_committed(self, store: Store) -> None:
        """An empty commit is none."""
        assert store.commit([]) == []

    @pytest.mark.parametrize("text", _ODD, ids=ascii)
    def test_odd_texts_come_back(self, store: Store, text: str) -> None:
        """As id, event and data, whatever signs are in them."""
        _done(store, _born(text, owner="o" + text, machine=("s" + text, "f"), waiting=[text]))
        _done(store, Append(text, [Entry("e" + text, 1.0, text)], 1, 1, Status.RUNNING))
        assert store.read(text) == (*_entries("start"), Entry("e" + text, 1.0, text))
        number = store.post(text, text, text, by=text, note=text)
        _done(store, _next(text, 2, owner="me", answers={number: text}, waiting=[text]))
        assert store.answer(number) == text
        assert [run.run_id for run in store.list_runs(saga="s" + text, waiting=text)] == [text]
        assert [run.run_id for run in store.list_runs(run_ids=[text])] == [text]

    @pytest.mark.parametrize("text", ["\ud83e", "a\udcffb", "a\0b", "x" * 501], ids=ascii)
    def test_what_no_store_can_hold_is_refused(self, store: Store, text: str) -> None:
        """Half a surrogate pair, NUL, or an id too long, told in a sentence; nothing is written."""
        calls: list[Callable[[], object]] = [
            lambda: store.commit([_born("a"), _born(text)]),
            lambda: store.enter(Birth(text, *_MACHINE, "d1", "{}")),
            lambda: store.beat(text, 1.0),
            lambda: store.claim(text, [_MACHINE], 1),
        ]
        if len(text) < 500:
            calls.append(lambda: store.commit([_born("a"), _born("b", text)]))
            more = [Entry("x", 1.0, text)]
            calls.append(lambda: store.commit([Append("a", more, 0, 0, Status.RUNNING)]))
        for call in calls:
            with pytest.raises(SagaError, match=r"NUL|surrogate|too long") as caught:
                call()
            assert not isinstance(caught.value, JournalError)
        assert list(store.list_runs()) == []

    def test_a_long_id_and_much_data_come_back(self, store: Store) -> None:
        """500 characters of four bytes; a megabyte of text in one entry."""
        long, much = "🦑" * 500, '{"é": "' + "0123456789ü\\n" * 90_000 + '"}'
        store.append(long, _entries("start", data=much), expected=0)
        assert store.read(long) == tuple(_entries("start", data=much))

    def test_of_many_threads_one_gets_each_place(self, store: Store) -> None:
        """All write at the end of one run at once: nothing is lost, doubled or mixed."""
        _done(store, _born("a"))
        won: list[tuple[int, str]] = []

        def hammer(name: str) -> None:
            for n in range(15):
                at = len(store.read("a"))
                (error,) = store.commit([_next("a", at, f"{name}.{n}", f"{name}.{n}+")])
                if error is None:
                    won.append((at, f"{name}.{n}"))
                else:
                    assert isinstance(error, ConcurrentAppendError)

        _together([partial(hammer, name) for name in "abcdefgh"])
        won.sort()
        assert [at for at, _ in won] == [1 + 2 * n for n in range(len(won))]
        expected = ["start", *(event for _, name in won for event in (name, name + "+"))]
        assert _events(store, "a") == expected

    def test_sixteen_threads_share_commits(self, store: Store) -> None:
        """Each has runs of its own, and finds all that it wrote, in order."""

        def one(name: str) -> None:
            for run in range(3):
                _done(store, _born(f"{name}.{run}"))
                for n in range(1, 8):
                    _done(store, _next(f"{name}.{run}", n, f"{name}.{n}"))

        names = [f"t{n}" for n in range(16)]
        _together([partial(one, name) for name in names])
        runs = [f"{name}.{run}" for name in names for run in range(3)]
        for run_id, entries in zip(runs, store.read_many(runs), strict=True):
            name = run_id.split(".")[0]
            wanted = ["start", *(f"{name}.{n}" for n in range(1, 8))]
            assert [entry.event for entry in entries] == wanted

    def test_many_appends_in_one_commit(self, store: Store) -> None:
        """However many: each is carried out once, and whoever loses is the one that had to."""
        _done(store, *(_born(f"r{n}") for n in range(250)))
        found = store.commit([_next(f"r{n}", n % 2, "x") for n in range(250)])
        assert [one is None for one in found] == [n % 2 == 1 for n in range(250)]
        lengths = [len(entries) for entries in store.read_many([f"r{n}" for n in range(250)])]
        assert lengths == [1 + n % 2 for n in range(250)]

    def test_read_many_gives_each_where_it_was_asked_for(self, store: Store) -> None:
        """In the order of the question, also twice, also of none."""
        _done(store, _born("a", "1"), _born("b", "2", "3"))
        found = [[entry.event for entry in one] for one in store.read_many(["b", "?", "a", "b"])]
        assert found == [["2", "3"], [], ["1"], ["2", "3"]]
        assert list(store.read_many([])) == []


class _Lasting:
    """What is promised across openings."""

    def test_all_is_there_when_it_is_opened_again(
        self, store: Store, opened: Opened, dial: Dial
    ) -> None:
        """Entries, listings, words, answers, owners."""
        _done(store, _born("a", owner="me", waiting=["w"]), _born("b", status=Status.STUCK))
        store.enter(Birth("c", *_MACHINE, "d1", "in"))
        numbers = [store.post("a", "cancel", by="ann"), store.post("a", "retry(x)")]
        _done(store, _next("a", 1, "x", owner="me", answers={numbers[0]: "ok"}))
        store.beat("me", 60.0)
        before = (list(store.list_runs()), store.read("a"), store.find("c"), store.posted("me"))
        store.close()
        again = opened(dial)
        try:
            after = (list(again.list_runs()), again.read("a"), again.find("c"), again.posted("me"))
            assert after == before
            assert [again.answer(number) for number in numbers] == ["ok", None]
            assert [claim.run.run_id for claim in _take(again, "you")] == ["c"]
        finally:
            again.close()

    def test_two_openings_share_one_truth(self, store: Store, opened: Opened, dial: Dial) -> None:
        """Threads of both write at the end of one run: each place has one winner."""
        other = opened(dial)
        try:
            _done(store, _born("a"))

            def hammer(one: Store, name: str) -> int:
                won = 0
                for n in range(20):
                    event = f"{name}.{n}"
                    (error,) = one.commit([_next("a", len(one.read("a")), event)])
                    won += error is None
                    assert error is None or isinstance(error, ConcurrentAppendError)
                return won

            pairs = [(one, f"{n}") for n, one in enumerate((store, other) * 3)]
            won = _together([partial(hammer, one, name) for one, name in pairs])
            events = _events(other, "a")
            assert len(events) == 1 + sum(won)
            assert len(set(events)) == len(events)
            births = _together([partial(one.commit, [_born("b", n)]) for one, n in pairs])
            assert sum(found == [None] for found in births) == 1
        finally:
            other.close()

    def test_two_openings_share_the_work(self, store: Store, opened: Opened, dial: Dial) -> None:
        """Both claim at once until nothing is due: each run is taken once."""
        other = opened(dial)
        try:
            _done(store, *(_born(f"r{n}", due=dial.time) for n in range(60)))

            def take(one: Store, owner: str) -> list[str]:
                claims = [claim for _ in range(20) for claim in _take(one, owner, 4)]
                return [claim.run.run_id for claim in claims]

            pairs = [(one, f"o{n}") for n, one in enumerate((store, other) * 2)]
            taken = _together([partial(take, one, name) for one, name in pairs])
            everything = [run_id for one in taken for run_id in one]
            everything += [claim.run.run_id for claim in _take(store, "last", 99)]
            assert sorted(everything) == sorted(f"r{n}" for n in range(60))
        finally:
            other.close()


class _Claiming:
    """What ``enter``, ``claim``, ``beat`` and ``retire`` promise."""

    def test_what_was_entered_is_new_until_somebody_starts_it(self, store: Store) -> None:
        """It is listed without entries, and claimed with its input until it has one."""
        assert store.enter(Birth("a", *_MACHINE, "d1", '{"in": 1}')) is True
        assert store.enter(Birth("a", *_MACHINE, "d2", "other")) is False
        found = store.find("a")
        assert found is not None
        assert (found[0].status, found[0].position, found[1]) == (Status.NEW, 0, "d1")
        (claim,) = _take(store, "me")
        assert (claim.run.run_id, claim.run.owner, claim.input) == ("a", "me", '{"in": 1}')
        # Given back before it began: the next one needs the input as well.
        _done(store, _next("a", 0, fence=claim.fence, status=Status.NEW, due=0.0))
        (claim,) = _take(store, "you")
        assert claim.input == '{"in": 1}'
        _done(store, _next("a", 0, "start", fence=claim.fence, due=0.0))
        (claim,) = _take(store, "me")
        assert (claim.input, claim.run.position) == (None, 1)

    def test_an_id_is_one_run_whoever_stores_it_first(self, store: Store) -> None:
        """What was born cannot be entered, and the other way round."""
        _done(store, _born("a"))
        assert store.enter(Birth("a", *_MACHINE, "d1", "in")) is False
        assert _events(store, "a") == ["start"]
        store.enter(Birth("b", *_MACHINE, "d1", "in"))
        (error,) = store.commit([_born("b")])
        assert isinstance(error, ConcurrentAppendError)

    def test_a_claim_shuts_out_whoever_had_the_run(self, store: Store, dial: Dial) -> None:
        """The fence rises with each claim; the old owner's appends are refused, whole."""
        _done(store, _born("a", due=dial.time))
        (claim,) = _take(store, "me")
        assert (claim.fence, claim.run.owner) == (2, "me")
        number = store.post("a", "cancel")
        (error,) = store.commit([_next("a", 1, "x", fence=1, owner="old", answers={number: "no"})])
        assert isinstance(error, LeaseLostError)
        assert (error.fence, error.newer) == (1, 2)
        assert (_events(store, "a"), store.answer(number)) == (["start"], None)
        _done(store, _next("a", 1, "x", fence=2, owner="me"))
        found = store.find("a")
        assert found is not None
        assert found[0].owner == "me"

    def test_only_machines_that_are_known_are_claimed(self, store: Store, dial: Dial) -> None:
        """Saga and fingerprint belong together; runs of others stand in nobody's way."""
        pairs = [("order", "f1"), ("order", "f2"), ("trip", "f1"), ("trip", "f2")]
        for n, machine in enumerate(pairs):
            _done(store, _born(f"r{n}", machine=machine, due=dial.time - 10 + n))
        known = [("order", "f2"), ("trip", "f1")]
        claims = [*_take(store, "me", 1, *known), *_take(store, "me", 9, *known)]
        assert [claim.run.run_id for claim in claims] == ["r1", "r2"]
        assert list(store.claim("me", [], 9)) == []

    def test_those_due_longest_are_claimed_first(self, store: Store, dial: Dial) -> None:
        """As many as are asked for; the rest comes with the next claim, and none is left."""
        for n in (3, 1, 4, 0, 2):
            _done(store, _born(f"r{n}", due=dial.time - 10 + n))
        found = [[claim.run.run_id for claim in _take(store, "me", 2)] for _ in range(4)]
        assert found == [["r0", "r1"], ["r2", "r3"], ["r4"], []]

    def test_a_word_puts_no_run_behind_others(self, store: Store, dial: Dial) -> None:
        """Who is spoken to often is not starved by it."""
        _done(store, _born("old", due=dial.time - 50), _born("new", due=dial.time - 10))
        for _ in range(3):
            store.post("old", "cancel")
        assert [claim.run.run_id for claim in _take(store, "me", 1)] == ["old"]

    def test_a_word_wakes_who_rests(self, store: Store) -> None:
        """A run that only a word moves is claimed after one, and one with a timer before it."""
        _done(store, _born("rests"), _born("later", due=4e9), _born("quiet"))
        assert _take(store, "me") == []
        store.post("later", "cancel")
        store.post("rests", "retry(x)")
        found = {claim.run.run_id for claim in _take(store, "me")}
        assert found == {"later", "rests"}

    def test_who_never_beat_has_no_claim(self, store: Store) -> None:
        """A run of an owner without a lease is everybody's: none is lost with it."""
        _done(store, _born("a", owner="ghost"))
        assert [claim.run.run_id for claim in _take(store, "me")] == ["a"]

    def test_who_retires_leaves_all_to_others_at_once(self, store: Store) -> None:
        """Its runs are due, those of others are not; and what it writes late is not lost."""
        store.beat("me", 1e6)
        store.beat("you", 1e6)
        _done(store, _born("a", owner="me"), _born("b", owner="you"), _born("c", owner="me"))
        store.retire("me")
        _done(store, _next("c", 1, "late", owner="me"))
        found = _take(store, "third")
        assert {claim.run.run_id for claim in found} == {"a", "c"}
        store.retire("nobody")

    def test_nobody_is_called_nothing(self, store: Store) -> None:
        """An owner has a name: '' says that nobody has a run."""
        calls: list[Callable[[], object]] = [
            lambda: store.beat("", 1.0),
            lambda: store.retire(""),
            lambda: store.claim("", [_MACHINE], 1),
        ]
        for call in calls:
            with pytest.raises(SagaError, match="no name"):
                call()


class _Timing:
    """What is promised of leases and times, by a clock that the tests set."""

    def test_nothing_is_claimed_before_it_is_due(self, store: Store, dial: Dial) -> None:
        """And it is at the second for which it was stored."""
        _done(store, _born("a", due=dial.time + 5.0))
        dial.time += 4.99
        assert _take(store, "me") == []
        dial.time += 0.01
        assert len(_take(store, "me")) == 1

    def test_an_owner_keeps_its_runs_while_it_beats(self, store: Store, dial: Dial) -> None:
        """Each beat is so many seconds from then; after the last, the runs are everybody's."""
        store.beat("me", 10.0)
        _done(store, _born("a", owner="me"))
        for _ in range(3):
            dial.time += 9.0
            assert _take(store, "you") == []
            store.beat("me", 10.0)
        dial.time += 10.1
        (claim,) = _take(store, "you")
        assert (claim.fence, claim.run.owner) == (2, "you")

    def test_a_dead_owners_runs_come_oldest_first(self, store: Store, dial: Dial) -> None:
        """Since when somebody has them counts, whatever they wrote since."""
        store.beat("me", 10.0)
        for n in range(3):
            _done(store, _born(f"r{n}", owner="me"))
            dial.time += 1.0
        _done(store, _next("r0", 1, "x", owner="me"))
        _done(store, _born("timer", due=dial.time))
        dial.time += 20.0
        order = [_take(store, "you", 1)[0].run.run_id for _ in range(4)]
        assert order == ["r0", "r1", "r2", "timer"]

    def test_one_clock_for_words_and_runs(self, store: Store, dial: Dial) -> None:
        """Started, updated and said are the store's times."""
        dial.time = 100.25
        _done(store, _born("a", owner="me"))
        dial.time = 101.5
        store.post("a", "cancel")
        _done(store, _next("a", 1, "x", owner="me"))
        found = store.find("a")
        assert found is not None
        assert (found[0].started, found[0].updated) == (100.25, 101.5)
        assert [word.at for word in store.posted("me")] == [101.5]

    def test_a_clock_that_jumps_costs_no_run(self, store: Store, dial: Dial) -> None:
        """Back: the owner keeps it. Forth: another takes it, and the fence keeps the first out."""
        store.beat("me", 10.0)
        _done(store, _born("a", owner="me"))
        dial.time -= 1e6
        assert _take(store, "you") == []
        store.beat("me", 10.0)
        dial.time += 2e6
        (claim,) = _take(store, "you")
        (error,) = store.commit([_next("a", 1, "x", owner="me")])
        assert isinstance(error, LeaseLostError)
        store.beat("you", 10.0)
        dial.time -= 1e6
        _done(store, _next("a", 1, "y", owner="you", fence=claim.fence))
        assert _events(store, "a") == ["start", "y"]

    def test_pruning_spares_what_is_younger_or_not_over(self, store: Store, dial: Dial) -> None:
        """Of one saga only, where one is named; a run that has to hear a word stays."""
        over = (Status.COMPLETED, Status.COMPENSATED)
        for n, status in enumerate((*over, Status.STUCK, Status.RUNNING, Status.COMPLETED)):
            saga = "trip" if n == 1 else "order"
            _done(store, _born(f"old{n}", status=status, machine=(saga, "f1")))
        store.post("old4", "cancel")
        dial.time += 100.0
        _done(store, _born("young", status=Status.COMPLETED))
        assert store.prune(dial.time - 100.0) == 0
        assert store.prune(dial.time - 50.0, saga="trip") == 1
        assert store.prune(dial.time - 50.0) == 1
        left = sorted(run.run_id for run in store.list_runs())
        assert left == ["old2", "old3", "old4", "young"]


class _Speaking:
    """What ``post``, ``posted`` and ``answer`` promise."""

    def test_words_reach_who_has_the_run(self, store: Store) -> None:
        """In the order of their coming, with all that was said, and to nobody else."""
        _done(store, _born("a", owner="me"), _born("b", owner="you"), _born("c", owner="me"))
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
        _done(store, _born("a", owner="me"))
        number = store.post("a", "cancel")
        assert store.answer(number) is None
        (error,) = store.commit([_next("a", 7, "x", owner="me", answers={number: "lost"})])
        assert error is not None
        assert store.answer(number) is None
        _done(store, _next("a", 1, "x", owner="me", answers={number: "done"}))
        assert (store.answer(number), list(store.posted("me"))) == ("done", [])
        _done(store, _next("a", 2, owner="me", answers={number: "again", 10**9: "?"}))
        assert (store.answer(number), store.answer(10**9)) == ("done", None)

    def test_words_wait_for_the_next_owner(self, store: Store, dial: Dial) -> None:
        """What nobody has answered goes with the run."""
        _done(store, _born("a", due=dial.time))
        number = store.post("a", "cancel")
        _take(store, "me")
        assert [word.number for word in store.posted("me")] == [number]
        store.retire("me")
        _take(store, "you")
        assert [word.number for word in store.posted("you")] == [number]
        assert list(store.posted("me")) == []


class _Listing:
    """What ``find``, ``list_runs``, ``prune`` and ``forget`` promise."""

    def test_the_newest_comes_first_and_pages_hold_all(self, store: Store) -> None:
        """Page by page, each run is seen once, also when others come in between."""
        _done(store, *(_born(f"r{n:02}") for n in range(25)))
        seen = [run.run_id for run in store.list_runs(limit=10)]
        assert seen[0] == "r24"
        while page := store.list_runs(limit=10, after=seen[-1]) if len(seen) < 99 else []:
            _done(store, _born(f"late{len(seen)}"))
            seen += [run.run_id for run in page]
        assert seen == [f"r{n:02}" for n in range(24, -1, -1)]
        assert len(store.list_runs()) == 27
        assert list(store.list_runs(after="nobody")) == []

    def test_without_a_limit_all_are_listed(self, store: Store) -> None:
        """A hundred where nothing is said; None is all."""
        _done(store, *(_born(f"r{n}") for n in range(120)))
        assert [len(store.list_runs()), len(store.list_runs(limit=None))] == [100, 120]
        assert len(store.list_runs(limit=0)) == 0

    def test_filters_hold_together(self, store: Store) -> None:
        """Status, saga, who is waited for, and ids: each narrows what the others leave."""
        _done(
            store,
            _born("a", waiting=["approve", "sign"]),
            _born("b", machine=("trip", "f1"), waiting=["approve"]),
            _born("c", status=Status.STUCK),
            _born("d", machine=("trip", "f1"), status=Status.STUCK),
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
        _done(store, _born("a", "1", "2", status=Status.COMPENSATED), _born("b"))
        number = store.post("a", "cancel")
        _done(store, _next("a", 2, status=Status.COMPENSATED, answers={number: "too late"}))
        assert [store.forget("b"), store.forget("nobody"), store.forget("a")] == [
            *(False, False, True),
        ]
        assert (store.find("a"), store.read("a"), store.answer(number)) == (None, (), None)
        assert _events(store, "b") == ["start"]
        _done(store, _born("a", "anew"))
        assert _events(store, "a") == ["anew"]

    def test_a_thousand_and_more_are_pruned_in_one_call(self, store: Store) -> None:
        """And counted; those that are not over stay."""
        _done(store, *(_born(f"r{n}", status=Status.COMPLETED) for n in range(1_203)))
        _done(store, _born("stays", status=Status.STUCK))
        assert store.prune(1e12) == 1_203
        assert [run.run_id for run in store.list_runs()] == ["stays"]


class JournalConformance(_Appending, _Lasting, _Claiming, _Timing, _Speaking, _Listing):
    """
    All that the port ``Store`` promises; see the head of this module for how to subclass it.

    Args:
        lasting: whether what is stored is there when it is opened again, or twice.
        settable: whether the store's clock is the one that ``opened`` gives it.
    """

    lasting: ClassVar[bool] = True
    settable: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        # Left out, not skipped: a store is not less tested for what it does not promise.
        for promised, part in ((cls.lasting, _Lasting), (cls.settable, _Timing)):
            for name in () if promised else vars(part):
                if name.startswith("test_"):
                    setattr(cls, name, None)

    @pytest.fixture
    def opened(self) -> Opened:
        """Open the store; a subclass says how."""
        raise NotImplementedError

    @pytest.fixture
    def dial(self) -> Dial:
        """The store's clock."""
        return Dial()

    @pytest.fixture
    def store(self, opened: Opened, dial: Dial) -> Iterator[Store]:
        """An empty store; closed at the end."""
        store = opened(dial)
        yield store
        store.close()
