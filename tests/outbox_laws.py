"""What an outbox promises, whatever connection it stands on; a test class adds the connections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import attrs
import pytest

from saga_fsm import GUARDED, Context, Retry, Saga, step
from saga_fsm.guard import Guard, GuardError, Message, Outbox, Relay
from saga_fsm.testing import explore_faults


SOON = Retry(attempts=3, wait_initial=0.01, wait_max=0.02)


def ctx_of(run_id: str = "r1", step: str = "charge") -> Context[Any, Any, Any]:
    """A step of a run."""
    return Context(input=None, run_id=run_id, step=step)


@attrs.frozen
class Place:
    """
    A database to emit in.

    Args:
        begin: as the outbox takes it.
        open: a transaction, that is committed at the end of the block and rolled back by an error.
    """

    begin: Callable[[], AbstractContextManager[Any]]
    open: Callable[[], AbstractContextManager[Any]]


class Broker:
    """Remembers what it was sent; refuses what it is told to refuse."""

    def __init__(self, refuse: Callable[[Message], bool] = lambda _: False) -> None:
        self.got: list[Message] = []
        self._refuse = refuse
        self._lock = threading.Lock()

    def __call__(self, message: Message) -> None:
        """Publish."""
        if self._refuse(message):
            raise ConnectionError("no broker")
        with self._lock:
            self.got.append(message)

    @property
    def ids(self) -> list[str]:
        """What came, in order."""
        return [message.id for message in self.got]

    def of(self, stream: str) -> list[Any]:
        """The payloads of one stream, each once, in the order of their first coming."""
        return list(dict.fromkeys(one.payload for one in self.got if one.stream == stream))


class Laws:
    """Tests that a class inherits which has a fixture ``place``."""

    many = 10_000

    @pytest.fixture
    def outbox(self, place: Place) -> Outbox[Any]:
        """An outbox with its table."""
        outbox: Outbox[Any] = Outbox(place.begin)
        outbox.create_table()
        outbox.create_table()
        return outbox

    def emit(self, outbox: Outbox[Any], place: Place, run: str, *payloads: Any) -> None:
        """Emit some in one transaction."""
        with place.open() as connection:
            for payload in payloads:
                outbox.emit(connection, ctx_of(run), "t", payload, name=str(payload))

    def test_what_is_rolled_back_is_never_sent(self, outbox, place) -> None:
        """Message and effect are both there, or neither."""
        with pytest.raises(ZeroDivisionError), place.open() as connection:  # noqa: PT012
            outbox.emit(connection, ctx_of(), "charged", 1)
            1 / 0  # noqa: B018 - the failure that is meant
        assert outbox.waiting() == 0
        broker = Broker()
        self.emit(outbox, place, "r1", 7)
        assert Relay(outbox, broker).drain() == 1
        assert [one.payload for one in broker.got] == [7]

    def test_a_message_says_what_it_is(self, outbox, place) -> None:
        """Id, topic, stream, headers and attempt."""
        broker = Broker()
        with place.open() as connection:
            told = outbox.emit(connection, ctx_of(), "charged", {"a": [1]}, headers={"x": "y"})
            other = outbox.emit(connection, "my-key", "charged", None, stream="s")
        Relay(outbox, broker).drain()
        (first, second) = broker.got
        assert (first.id, first.topic, first.payload) == (told, "charged", {"a": [1]})
        assert (first.stream, first.headers, first.attempt) == ("r1", {"x": "y"}, 1)
        assert abs(first.emitted.timestamp() - time.time()) < 600
        assert (second.id, second.stream) == (other, "s") == ("my-key#charged", "s")

    def test_a_step_that_is_tried_again_emits_nothing_new(self, outbox, place) -> None:
        """The id is made of the step's key; another key is another message."""
        for _ in range(3):
            self.emit(outbox, place, "r1", 1, 2)
        assert outbox.waiting() == 2
        with place.open() as connection:
            outbox.emit(connection, "r1/charge/compensation", "t", 1, name="1")
        assert outbox.waiting() == 3

    def test_two_messages_of_one_name_are_told_apart_or_refused(self, outbox, place) -> None:
        """In a loop without ``name`` the second would vanish: that is an error, told at once."""
        with pytest.raises(GuardError, match="name="), place.open() as connection:  # noqa: PT012
            outbox.emit(connection, ctx_of(), "line", 1)
            outbox.emit(connection, ctx_of(), "line", 2)
        assert outbox.waiting() == 0

    def test_what_cannot_be_sent_is_told_before_anything_is_written(self, outbox, place) -> None:
        """A payload, a header or a topic that is none."""
        with place.open() as connection:
            with pytest.raises(GuardError, match="cannot be sent"):
                outbox.emit(connection, ctx_of(), "t", object())
            with pytest.raises(GuardError, match="headers are texts"):
                outbox.emit(connection, ctx_of(), "t", 1, headers={"n": 1})
            with pytest.raises(GuardError, match="a key and a topic"):
                outbox.emit(connection, ctx_of(), "", 1)
        assert outbox.waiting() == 0

    def test_streams_keep_their_order_and_do_not_wait_for_each_other(self, outbox, place) -> None:
        """A message that fails for a time holds its own stream, and no other."""
        down = {"r1": 4}

        def refuse(message: Message) -> bool:
            down[message.stream] = down.get(message.stream, 0) - 1
            return down[message.stream] >= 0

        for number in range(6):
            self.emit(outbox, place, "r1", number)
            self.emit(outbox, place, "r2", number)
        broker = Broker(refuse)
        retry = Retry(attempts=9, wait_initial=0.25, wait_max=0.25)
        relay = Relay(outbox, broker, retry=retry, batch=4)
        assert relay.drain(timeout=20) == 12
        assert broker.of("r1") == broker.of("r2") == list(range(6))
        assert broker.ids[0] == "r2/charge#t#0"
        assert (relay.sent, relay.failed) == (12, 4)

    def test_poison_is_parked_and_holds_its_own_stream_until_people_decide(
        self, outbox, place
    ) -> None:
        """The other streams go on; it is tried again, or given up, when somebody says so."""
        poison = [True]
        broker = Broker(lambda one: poison[0] and one.payload == 1 and one.stream != "good")
        for run in ("a", "b", "good"):
            self.emit(outbox, place, run, 0, 1, 2)
        relay = Relay(outbox, broker, retry=SOON, batch=2)
        relay.drain(timeout=10)
        assert broker.of("good") == [0, 1, 2]
        assert broker.of("a") == broker.of("b") == [0]
        assert [one.message.id for one in outbox.parked()] == ["a/charge#t#1", "b/charge#t#1"]
        assert outbox.parked()[0].error == "ConnectionError: no broker"
        assert (outbox.waiting(), relay.drain()) == (2, 0)
        assert outbox.discard("b/charge#t#1")
        assert not outbox.discard("b/charge#t#1")
        assert not outbox.requeue("nothing")
        poison[0] = False
        assert outbox.requeue("a/charge#t#1")
        assert relay.drain(timeout=20) == 3
        assert (broker.of("a"), broker.of("b")) == ([0, 1, 2], [0, 2])

    def test_what_cannot_be_decoded_is_parked_and_stops_no_other(self, outbox, place) -> None:
        """A row that somebody has spoilt fails by itself, and is shown as it stands."""
        self.emit(outbox, place, "bad", 1, 2)
        self.emit(outbox, place, "good", 1)

        def decode(text: str) -> Any:
            if text == "1" and bad:
                raise ValueError("no JSON")
            return int(text)

        bad = [True]
        spoilt = attrs.evolve(outbox, decode=decode)
        broker = Broker()
        assert Relay(spoilt, broker, retry=SOON, batch=2).drain(timeout=20) == 0
        assert [one.message.payload for one in spoilt.parked()] == ["1", "1"]
        assert spoilt.parked()[0].error == "ValueError: no JSON"
        bad.clear()
        for one in spoilt.parked():
            assert spoilt.requeue(one.message.id)
        relay = Relay(spoilt, broker)
        relay.close()
        assert relay.drain(timeout=20) == 3

    def test_ids_tell_their_parts_apart(self, outbox, place) -> None:
        """Whatever the key, the topic and the name are made of."""
        with place.open() as connection:
            ids = {
                outbox.emit(connection, "a", "t#x", 1),
                outbox.emit(connection, "a#t", "x", 1),
                outbox.emit(connection, "a", "t", 1, name="x"),
                outbox.emit(connection, "a", "t%23x", 1),
            }
        assert len(ids) == outbox.waiting() == 4

    def test_two_relays_share_the_work_and_keep_the_order(self, outbox, place) -> None:
        """Each message at least once; of each stream in order."""
        for number in range(20):
            for run in ("a", "b", "c"):
                self.emit(outbox, place, run, number)
        broker = Broker()
        relays = [Relay(outbox, broker, batch=5, poll=0.02) for _ in range(3)]
        for relay in relays:
            relay.__enter__()
        end = time.monotonic() + 30
        while outbox.waiting() and time.monotonic() < end:
            time.sleep(0.02)
        for relay in relays:
            relay.close()
        assert sorted(set(broker.ids)) == sorted(
            f"{run}/charge#t#{number}" for run in "abc" for number in range(20)
        )
        for run in "abc":
            assert broker.of(run) == list(range(20))
        assert len(broker.ids) == 60

    def test_what_a_relay_had_that_is_gone_is_sent_when_its_lease_ends(self, outbox, place) -> None:
        """And not before: it may be sending still. What was not marked is sent once more."""
        self.emit(outbox, place, "r1", 0, 1)

        class Gone(BaseException):
            pass

        first = Broker()

        def dies(message: Message) -> None:
            first(message)
            raise Gone

        gone = Relay(outbox, dies, lease=1.0)
        kept = gone._outbox
        # Its process is gone: nothing is given back.
        gone._outbox = _Severed(kept)
        with pytest.raises(Gone):
            gone.once()
        broker = Broker()
        other = Relay(outbox, broker, poll=0.05)
        assert other.once() == 0
        began = time.monotonic()
        assert other.drain(timeout=20) == 2
        assert time.monotonic() - began > 0.3
        assert (first.ids, broker.ids) == (["r1/charge#t#0"], ["r1/charge#t#0", "r1/charge#t#1"])

    def test_who_sends_what_others_have_sent_says_so(self, outbox, place, caplog) -> None:
        """A relay that woke after its lease marks nothing, and leaves the rest of the stream."""
        first, second = Broker(), Broker()
        self.emit(outbox, place, "r1", 0, 1)

        def sleeps(message: Message) -> None:
            first(message)
            # It waits until the lease has ended, and sends both.
            Relay(outbox, second, poll=0.02).drain(timeout=30.0)

        with caplog.at_level("WARNING", "saga_fsm.outbox"):
            Relay(outbox, sleeps, lease=0.3).once()
        assert [one.payload for one in first.got] == [0]
        assert [one.payload for one in second.got] == [0, 1]
        assert first.ids[0] == second.ids[0]
        assert "sent, and no longer ours" in caplog.text
        assert outbox.waiting() == 0

    def test_a_slow_relay_renews_its_lease(self, outbox, place) -> None:
        """Nobody takes over what one is still working at."""
        self.emit(outbox, place, "r1", *range(6))
        slow = Broker()

        def publish(message: Message) -> None:
            time.sleep(0.15)
            slow(message)

        other = Broker()
        with Relay(outbox, publish, lease=0.5, poll=0.02):
            time.sleep(0.1)
            with Relay(outbox, other, poll=0.02):
                end = time.monotonic() + 20
                while outbox.waiting() and time.monotonic() < end:
                    time.sleep(0.02)
        assert slow.of("r1") == list(range(6))
        assert other.ids == []

    def test_a_relay_is_woken_and_ends_gracefully(self, outbox, place) -> None:
        """What was emitted goes out at once; closing ends what is being sent and no more."""
        broker = Broker()
        with Relay(outbox, broker, poll=60.0) as relay:
            time.sleep(0.2)
            self.emit(outbox, place, "r1", 1)
            relay.wake()
            end = time.monotonic() + 10
            while not broker.got and time.monotonic() < end:
                time.sleep(0.01)
        assert broker.ids == ["r1/charge#t#1"]
        self.emit(outbox, place, "r2", *range(50))
        begun = threading.Event()

        def publish(message: Message) -> None:
            begun.set()
            time.sleep(0.05)
            broker(message)

        with Relay(outbox, publish):
            assert begun.wait(10)
        assert 0 < len(broker.of("r2")) < 50
        left = 50 - len(broker.of("r2"))
        assert Relay(outbox, broker).drain(timeout=20) == left
        assert broker.of("r2") == list(range(50))

    def test_what_was_sent_long_ago_is_forgotten(self, outbox, place) -> None:
        """And what is waiting or parked is not."""
        broker = Broker(lambda one: one.stream == "bad")
        self.emit(outbox, place, "r1", 1)
        self.emit(outbox, place, "bad", 1, 2)
        Relay(outbox, broker, retry=Retry(attempts=1)).drain(timeout=20)
        assert outbox.prune(timedelta(days=1)) == 0
        assert outbox.prune(timedelta(0)) == 1
        assert (outbox.waiting(), len(outbox.parked())) == (1, 1)

    def test_without_its_table_it_says_how_to_make_it(self, place) -> None:
        """The database's own words would name a table that the user has never heard of."""
        nowhere: Outbox[Any] = Outbox(place.begin, table="saga_nowhere")
        with pytest.raises(GuardError, match=r"no table 'saga_nowhere'.*\n.*create_table"):
            nowhere.waiting()
        with (
            pytest.raises(GuardError, match="no table 'saga_nowhere'"),
            place.open() as connection,
        ):
            nowhere.emit(connection, ctx_of(), "t", 1)

    def test_many_messages(self, outbox, place) -> None:
        """In one stream and in many, in order."""
        with place.open() as connection:
            for number in range(self.many):
                stream = "one" if number % 2 else f"s{number}"
                outbox.emit(connection, f"k{number}", "t", number, stream=stream)
        broker = Broker()
        relay = Relay(outbox, broker, batch=500)
        assert relay.drain() == self.many
        assert broker.of("one") == list(range(1, self.many, 2))

    def test_a_saga_whose_steps_emit_says_what_it_did(self, outbox, place) -> None:
        """Under every fault: what stands was told once, and what never landed was not told."""
        guard: Guard[Any] = Guard(place.begin)
        guard.create_table()

        def act(ctx: Any) -> str:
            def body(connection: Any) -> str:
                outbox.emit(connection, ctx, "done", ctx.step)
                return str(ctx.step)

            return guard.act(ctx, body)

        def undo(ctx: Any, _: Any) -> None:
            def body(connection: Any, _: Any) -> None:
                outbox.emit(connection, ctx, "undone", ctx.step)

            guard.undo(ctx, body)

        saga = Saga(
            "tells",
            *(step(act, name=name, compensate=undo) for name in ("a", "b")),
            contract=GUARDED,
        )

        class World:
            """Tables that each plan finds empty."""

            def __init__(self) -> None:
                Relay(outbox, Broker()).drain()
                outbox.prune(timedelta(0))
                guard.prune(timedelta(0))

            def is_consistent(self, outcome: Any) -> bool:
                """Compare what was told with what the run says."""
                broker = Broker()
                Relay(outbox, broker).drain()
                told = [(one.topic, one.payload) for one in broker.got]
                assert len(set(broker.ids)) == len(broker.ids)
                done = [name for topic, name in told if topic == "done"]
                undone = [name for topic, name in told if topic == "undone"]
                if outcome.status.value == "completed":
                    return (done, undone) == (["a", "b"], [])
                return outcome.status.value == "stuck" or sorted(done) == sorted(undone)

        # Of 1,267 plans: by then each fault was at each place, but for what operators say.
        result = explore_faults(saga, world=World, max_faults=0, max_runs=120)
        assert result.ok, str(result)


class _Severed:
    """An outbox whose process dies while a message is being sent."""

    def __init__(self, outbox: Outbox[Any]) -> None:
        self._outbox = outbox
        self._dead = False
        self.decode = outbox.decode

    def transact(self, steps: Any) -> Any:
        """Reach the database once, for the lease."""
        if self._dead:
            return None
        self._dead = True
        return self._outbox.transact(steps)
