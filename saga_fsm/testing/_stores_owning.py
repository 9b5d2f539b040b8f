"""What every store promises of owners, leases and times."""

# ruff: noqa: S101 - assert is what tests do

from __future__ import annotations

from collections.abc import Callable

import pytest

from saga_fsm.errors import ConcurrentAppendError, LeaseLostError, SagaError
from saga_fsm.machine import Status
from saga_fsm.ports import Birth, Store
from saga_fsm.testing._stores import MACHINE, Dial, born, done, events, grown, take


class Claiming:
    """What ``enter``, ``claim``, ``beat`` and ``retire`` promise."""

    def test_what_was_entered_is_new_until_somebody_starts_it(self, store: Store) -> None:
        """It is listed without entries, and claimed with its input until it has one."""
        assert store.enter(Birth("a", *MACHINE, "d1", '{"in": 1}')) is True
        assert store.enter(Birth("a", *MACHINE, "d2", "other")) is False
        found = store.find("a")
        assert found is not None
        assert (found[0].status, found[0].position, found[1]) == (Status.NEW, 0, "d1")
        (claim,) = take(store, "me")
        assert (claim.run.run_id, claim.run.owner, claim.input) == ("a", "me", '{"in": 1}')
        # Given back before it began: the next one needs the input as well.
        done(store, grown("a", 0, fence=claim.fence, status=Status.NEW, due=0.0))
        (claim,) = take(store, "you")
        assert claim.input == '{"in": 1}'
        done(store, grown("a", 0, "start", fence=claim.fence, due=0.0))
        (claim,) = take(store, "me")
        assert (claim.input, claim.run.position) == (None, 1)

    def test_an_id_is_one_run_whoever_stores_it_first(self, store: Store) -> None:
        """What was born cannot be entered, and the other way round."""
        done(store, born("a"))
        assert store.enter(Birth("a", *MACHINE, "d1", "in")) is False
        assert events(store, "a") == ["start"]
        store.enter(Birth("b", *MACHINE, "d1", "in"))
        (error,) = store.commit([born("b")])
        assert isinstance(error, ConcurrentAppendError)

    def test_a_claim_shuts_out_whoever_had_the_run(self, store: Store, dial: Dial) -> None:
        """The fence rises with each claim; the old owner's appends are refused, whole."""
        done(store, born("a", due=dial.time))
        (claim,) = take(store, "me")
        assert (claim.fence, claim.run.owner) == (2, "me")
        number = store.post("a", "cancel")
        (error,) = store.commit([grown("a", 1, "x", fence=1, owner="old", answers={number: "no"})])
        assert isinstance(error, LeaseLostError)
        assert (error.fence, error.newer) == (1, 2)
        assert (events(store, "a"), store.answer(number)) == (["start"], None)
        done(store, grown("a", 1, "x", fence=2, owner="me"))
        found = store.find("a")
        assert found is not None
        assert found[0].owner == "me"

    def test_only_machines_that_are_known_are_claimed(self, store: Store, dial: Dial) -> None:
        """Saga and fingerprint belong together; runs of others stand in nobody's way."""
        pairs = [("order", "f1"), ("order", "f2"), ("trip", "f1"), ("trip", "f2")]
        for n, machine in enumerate(pairs):
            done(store, born(f"r{n}", machine=machine, due=dial.time - 10 + n))
        known = [("order", "f2"), ("trip", "f1")]
        claims = [*take(store, "me", 1, *known), *take(store, "me", 9, *known)]
        assert [claim.run.run_id for claim in claims] == ["r1", "r2"]
        assert list(store.claim("me", [], 9)) == []

    def test_those_due_longest_are_claimed_first(self, store: Store, dial: Dial) -> None:
        """As many as are asked for; the rest comes with the next claim, and none is left."""
        for n in (3, 1, 4, 0, 2):
            done(store, born(f"r{n}", due=dial.time - 10 + n))
        found = [[claim.run.run_id for claim in take(store, "me", 2)] for _ in range(4)]
        assert found == [["r0", "r1"], ["r2", "r3"], ["r4"], []]

    def test_a_word_puts_no_run_behind_others(self, store: Store, dial: Dial) -> None:
        """Who is spoken to often is not starved by it."""
        done(store, born("old", due=dial.time - 50), born("new", due=dial.time - 10))
        for _ in range(3):
            store.post("old", "cancel")
        assert [claim.run.run_id for claim in take(store, "me", 1)] == ["old"]

    def test_a_word_wakes_who_rests(self, store: Store) -> None:
        """A run that only a word moves is claimed after one, and one with a timer before it."""
        done(store, born("rests"), born("later", due=4e9), born("quiet"))
        assert take(store, "me") == []
        store.post("later", "cancel")
        store.post("rests", "retry(x)")
        found = {claim.run.run_id for claim in take(store, "me")}
        assert found == {"later", "rests"}

    def test_a_word_that_comes_while_a_run_is_given_up_is_not_lost(
        self, store: Store, dial: Dial
    ) -> None:
        """Its owner may not have heard it: the run is due, whatever the owner said."""
        for later in (None, dial.time + 1e6):
            run_id = f"r{later}"
            done(store, born(run_id, owner="me"))
            number = store.post(run_id, "cancel")
            done(store, grown(run_id, 1, "x", due=later))
            (claim,) = take(store, "you")
            assert (claim.run.run_id, claim.by_word) == (run_id, True)
            assert [word.number for word in store.posted("you")] == [number]
            done(store, grown(run_id, 2, "y", fence=2, answers={number: "no"}))
            assert take(store, "you") == []

    def test_who_claims_knows_whether_only_a_word_made_it_due(
        self, store: Store, dial: Dial
    ) -> None:
        """Not where its owner is gone, nor where its time had come before."""
        done(store, born("word"), born("time", due=dial.time - 1.0), born("gone", owner="me"))
        done(store, born("both", due=dial.time - 1.0))
        for run_id in ("word", "word", "both", "gone"):
            store.post(run_id, "cancel")
        found = {claim.run.run_id: claim.by_word for claim in take(store, "you")}
        assert found == {"word": True, "time": False, "gone": False, "both": False}

    def test_who_never_beat_has_no_claim(self, store: Store) -> None:
        """A run of an owner without a lease is everybody's: none is lost with it."""
        done(store, born("a", owner="ghost"))
        assert [claim.run.run_id for claim in take(store, "me")] == ["a"]

    def test_who_retires_leaves_all_to_others_at_once(self, store: Store) -> None:
        """Its runs are due, those of others are not; and what it writes late is not lost."""
        store.beat("me", 1e6)
        store.beat("you", 1e6)
        done(store, born("a", owner="me"), born("b", owner="you"), born("c", owner="me"))
        store.retire("me")
        done(store, grown("c", 1, "late", owner="me"))
        found = take(store, "third")
        assert {claim.run.run_id for claim in found} == {"a", "c"}
        store.retire("nobody")

    def test_nobody_is_called_nothing(self, store: Store) -> None:
        """An owner has a name: '' says that nobody has a run."""
        calls: list[Callable[[], object]] = [
            lambda: store.beat("", 1.0),
            lambda: store.retire(""),
            lambda: store.claim("", [MACHINE], 1),
        ]
        for call in calls:
            with pytest.raises(SagaError, match="no name"):
                call()


class Timing:
    """What is promised of leases and times, by a clock that the tests set."""

    def test_nothing_is_claimed_before_it_is_due(self, store: Store, dial: Dial) -> None:
        """And it is at the second for which it was stored."""
        done(store, born("a", due=dial.time + 5.0))
        dial.time += 4.99
        assert take(store, "me") == []
        dial.time += 0.01
        assert len(take(store, "me")) == 1

    def test_an_owner_keeps_its_runs_while_it_beats(self, store: Store, dial: Dial) -> None:
        """Each beat is so many seconds from then; after the last, the runs are everybody's."""
        store.beat("me", 10.0)
        done(store, born("a", owner="me"))
        for _ in range(3):
            dial.time += 9.0
            assert take(store, "you") == []
            store.beat("me", 10.0)
        dial.time += 10.1
        (claim,) = take(store, "you")
        assert (claim.fence, claim.run.owner) == (2, "you")

    def test_a_dead_owners_runs_come_oldest_first(self, store: Store, dial: Dial) -> None:
        """Since when somebody has them counts, whatever they wrote since."""
        store.beat("me", 10.0)
        for n in range(3):
            done(store, born(f"r{n}", owner="me"))
            dial.time += 1.0
        done(store, grown("r0", 1, "x", owner="me"))
        done(store, born("timer", due=dial.time))
        dial.time += 20.0
        order = [take(store, "you", 1)[0].run.run_id for _ in range(4)]
        assert order == ["r0", "r1", "r2", "timer"]

    def test_one_clock_for_words_and_runs(self, store: Store, dial: Dial) -> None:
        """Started, updated and said are the store's times."""
        dial.time = 100.25
        done(store, born("a", owner="me"))
        dial.time = 101.5
        store.post("a", "cancel")
        done(store, grown("a", 1, "x", owner="me"))
        found = store.find("a")
        assert found is not None
        assert (found[0].started, found[0].updated) == (100.25, 101.5)
        assert [word.at for word in store.posted("me")] == [101.5]

    def test_a_clock_that_jumps_costs_no_run(self, store: Store, dial: Dial) -> None:
        """Back: the owner keeps it. Forth: another takes it, and the fence keeps the first out."""
        store.beat("me", 10.0)
        done(store, born("a", owner="me"))
        dial.time -= 1e6
        assert take(store, "you") == []
        store.beat("me", 10.0)
        dial.time += 2e6
        (claim,) = take(store, "you")
        (error,) = store.commit([grown("a", 1, "x", owner="me")])
        assert isinstance(error, LeaseLostError)
        store.beat("you", 10.0)
        dial.time -= 1e6
        done(store, grown("a", 1, "y", owner="you", fence=claim.fence))
        assert events(store, "a") == ["start", "y"]

    def test_pruning_spares_what_is_younger_or_not_over(self, store: Store, dial: Dial) -> None:
        """Of one saga only, where one is named; a run that has to hear a word stays."""
        over = (Status.COMPLETED, Status.COMPENSATED)
        for n, status in enumerate((*over, Status.STUCK, Status.RUNNING, Status.COMPLETED)):
            saga = "trip" if n == 1 else "order"
            done(store, born(f"old{n}", status=status, machine=(saga, "f1")))
        store.post("old4", "cancel")
        dial.time += 100.0
        done(store, born("young", status=Status.COMPLETED))
        assert store.prune(dial.time - 100.0) == 0
        assert store.prune(dial.time - 50.0, saga="trip") == 1
        assert store.prune(dial.time - 50.0) == 1
        left = sorted(run.run_id for run in store.list_runs())
        assert left == ["old2", "old3", "old4", "young"]
