"""
The faulty originals of the pattern's description, each refuted by its shortest run.

The numbers are those of semantics.md 4. Where the fault lies in code, the original in `originals/`
is played against a world with every combination of calls that go wrong, and our saga of the same
story beside it, under the same faults. Where it can be said as a rule of the machine or a promise
of a participant, the checker refutes that too.
"""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from saga_fsm import Contract, Rejected, Saga, Status, check, parallel, pivot, run, step
from saga_fsm.errors import DefinitionError
from saga_fsm.examples import fulfilment, order, order_choreographed, trip
from saga_fsm.examples._world import Guard
from saga_fsm.machine import Row
from saga_fsm.machine import _alphabet as a
from tests.acceptance.effects import A, Effects, FastClock, P, act, saga, undo
from tests.quality.originals import trip as original_trip
from tests.quality.originals.orchestration import OrderProcessingSaga, SagaContext
from tests.quality.originals.roles import InventoryService, PaymentService, Shop, schedules
from tests.quality.originals.stage import (
    Plan,
    Played,
    Request,
    breaches,
    conducted,
    ours,
    plans,
    try_all,
    world,
    writes,
)
from tests.quality.tampering import changed


OIPS = saga(A("O"), A("P"), A("I"), P("S"))
REJECTED = {site: ["reject"] for site in "OPIS"}
ANY = {site: ["reject", "lost_request", "lost_reply"] for site in "OPIS"}
ANY_UNDO = {site: ["lost_request", "lost_reply", "always lost_request"] for site in "opi"}


def refuted(story: Saga[Any, Any], rule: str, at: str) -> list[str]:
    """Give the shortest run by which the checker refutes a saga."""
    report = check(story)
    assert report.verdict == "unsafe"
    found = [one for one in report.findings if (one.rule, one.step) == (rule, at) and one.path]
    assert found, str(report)
    assert found[0].path is not None
    return [move.token for move in found[0].path.moves]


def test_original_01_ships_what_nobody_paid_for() -> None:
    """Shipping hears of the stock only: payment declined, goods gone, and nobody is told."""
    ended = list(schedules(lambda: Shop(declines=True)))
    assert len(ended) == 3
    assert all(shop.shipped and not shop.paid for shop in ended)
    assert ended[0].log == [
        "orders: OrderCreated",
        "payments: declined",
        "stock: InventoryReserved",
        "carrier: OrderShipped",
    ]
    # Nothing is wrong at rest without the fault; and on its way it ships before it is paid.
    fine = list(schedules(Shop))
    assert all(shop.shipped and shop.paid for shop in fine)
    assert any(shop.log.index("carrier: OrderShipped") == 2 for shop in fine)
    for shop in ended + fine:
        assert shop.undone == []
        assert "OrderCancelled" not in " ".join(shop.log)


def test_original_01_is_no_saga_and_ours_stays_home() -> None:
    """Payment beside goods that leave is refused (W4); in order, no refusal sends unpaid goods."""
    goods = Saga("goods", order.reserve_stock, pivot(order.ship))
    with pytest.raises(DefinitionError) as caught:
        Saga("order", parallel(order.charge, goods))
    assert caught.value.rule == "W4"
    for refused in ("create_order", "charge", "reserve_stock", "ship"):
        shop = order_choreographed.World(guard=Guard(refusing={refused}))
        outcome = run(order_choreographed.saga, order.INPUT, services=shop)
        assert outcome.status is Status.COMPENSATED
        assert not shop.shipped
        assert order_choreographed.consistent(shop, outcome)
    assert check(order_choreographed.saga).verdict == "safe"


def test_original_02_announces_goods_that_are_not_there() -> None:
    """With too few on the shelf it reserves nothing, or a part, says it did, and it is shipped."""
    wanted = {"P001": (1, 101), "P002": (1, 51)}
    baskets = [
        [{"product_id": line, "quantity": wanted[line][many], "price": 1} for line, many in chosen]
        for count in (1, 2)
        for lines in combinations(wanted, count)
        for chosen in _each_way(lines)
    ]
    assert len(baskets) == 8
    lies = [
        (basket, shop)
        for basket in baskets
        for shop in schedules(lambda basket=basket: Shop(basket=basket))
        if shop.shipped and shop.reserved != basket
    ]
    basket, shop = lies[0]
    assert basket == [{"product_id": "P001", "quantity": 101, "price": 1}]
    assert shop.reserved == []
    assert shop.log[-1] == "carrier: OrderShipped"
    assert {len(basket) for basket, _ in lies} == {1, 2}


def _each_way(lines: tuple[str, ...]) -> list[list[tuple[str, int]]]:
    ways: list[list[tuple[str, int]]] = [[]]
    for line in lines:
        ways = [[*way, (line, many)] for way in ways for many in (0, 1)]
    return ways


def test_original_02_an_answer_without_an_effect_is_seen_by_the_ledger() -> None:
    """No check can see it, the count can; ours refuses all of a basket when a part is missing."""
    effects = world((("I", "swallow"),))
    outcome = run(OIPS, services=effects, run_id="r1")
    assert outcome.events == ("start", "done(O)", "done(P)", "done(I)", "done(S)")
    assert effects.wrong(outcome, "OPIS") == ["I"]
    for items in (("samovar",), ("teapot", "samovar"), ("samovar", "teapot")):
        house = fulfilment.World()
        outcome = run(fulfilment.saga, fulfilment.Basket("ada", items, 10), services=house)
        assert outcome.status is Status.COMPENSATED
        assert house.dispatched == []
        assert fulfilment.consistent(house, outcome)
    shop = order.World(shelf={"teapot": 1})
    outcome = run(order.saga, order.INPUT, services=shop)
    assert (outcome.status, shop.till, shop.shipped) == (Status.COMPENSATED, 0, {})


def test_original_03_undoes_without_a_key() -> None:
    """Released twice the shelf grows, and the refund of one payment takes the other too."""
    shop = Shop()
    stock, payments = InventoryService(shop), PaymentService(shop)
    ordered = shop.ordered()
    stock.handle_order_created(ordered)
    shelf = [stock._inventory["P001"]]
    for _ in range(2):
        stock.release(ordered.order_id)
        shelf.append(stock._inventory["P001"])
    assert shelf == [99, 100, 101]
    payments.handle_order_created(ordered)
    payments.handle_order_created(ordered)
    payments.refund(ordered.order_id)
    assert [paid["status"] for paid in payments._payments.values()] == ["refunded", "refunded"]


def test_original_03_as_a_promise_that_is_not_kept() -> None:
    """A participant without keys lands twice (I6), and no compensation may be retried (W6)."""
    unkeyed = saga(A("I"), P("S"), contract=Contract(sticky=True, fenced=True))
    assert refuted(unkeyed, "I6", "I") == ["start", "done(I)", "~lands_again(I)"]
    assert any((one.rule, one.step) == ("W6", "I") for one in check(unkeyed).findings)
    assert check(unkeyed).missing["I"] == {"idempotent"}


def test_original_03_in_our_saga_with_and_without_a_key() -> None:
    """The answer of a release is lost: called again it adds twice, keyed it does so once."""

    def shelf(keyed: object) -> tuple[int, list[str]]:
        shop, seen, calls = Shop(), set[str](), list[str]()
        stock, ordered = InventoryService(shop), shop.ordered()

        def release(ctx: Any, result: object) -> None:
            calls.append(ctx.key)
            if not keyed or ctx.key not in seen:
                stock.release(ordered.order_id)
            seen.add(ctx.key)
            if len(calls) == 1:
                raise TimeoutError

        def reserve(ctx: Any) -> None:
            stock.handle_order_created(ordered)

        def ship(ctx: Any) -> None:
            raise Rejected("no van")

        story = Saga("goods", step(reserve, compensate=release), pivot(ship))
        outcome = run(story, run_id="r", clock=FastClock())
        assert outcome.status is Status.COMPENSATED
        return stock._inventory["P001"], calls

    key = "r/reserve/compensation"
    assert shelf(keyed=False) == (101, [key, key])
    assert shelf(keyed=True) == (100, [key, key])


def test_original_04_never_compensates_anything(capsys: Any) -> None:
    """It looks for step objects among names, finds none, and says "failed and compensated"."""
    trial = try_all(lambda plan: conducted(OrderProcessingSaga, plan), plans(REJECTED, 1))
    assert (trial.plans, len(trial.refuting)) == (5, 3)
    assert trial.shortest == ((("P", "reject"),), ("O", "P"), ("O",))
    assert capsys.readouterr().out.count("failed and compensated") == 4
    mine = try_all(ours(OIPS, "OPIS"), plans(REJECTED, 1))
    assert (mine.plans, mine.refuting) == (5, ())
    assert check(OIPS).verdict == "safe"


def test_original_04_as_a_machine() -> None:
    """A table in which what is done counts as clean, and is never undone, is refuted in 3 moves."""

    def never(row: Row, at: dict[str, int]) -> Row:
        guard = dict(row.guard)
        if row.name.startswith("undo "):
            guard[row.automaton] -= {a.DONE}
        elif row.name == "@saga clean":
            guard |= {v: codes | {a.DONE} for v, codes in guard.items() if v != at["@saga"]}
        return changed(row, guard=guard.items())

    assert breaches(OIPS, never)["I2", "O"] == ["start", "done(O)", "rejected(P)"]


def test_original_04_mended_by_half_dies_in_the_next_line() -> None:
    """With names in the first comprehension the second compares a name with a step."""

    class HalfMended(OrderProcessingSaga):
        def _compensate(self, context: SagaContext) -> None:
            done = [name for name in self._steps if name.name in context.step_results]
            for step_name in reversed(done):
                next(one for one in self._steps if one.name == step_name)

    with pytest.raises(StopIteration):
        conducted(HalfMended, (("P", "reject"),))


class NamesMended(OrderProcessingSaga):
    """The original with point 4 mended, so that its other faults can be seen."""

    def _compensate(self, context: SagaContext) -> None:
        context.is_compensating = True
        done = [one for one in self._steps if one.name in context.step_results]
        for one in reversed(done):
            try:
                one.compensate(context, context.step_results[one.name])
            except Exception as e:  # noqa: BLE001 - as it stands there
                print(f"Compensation failed for {one.name}: {e}")


def test_original_05_never_undoes_the_step_that_failed() -> None:
    """Its own effect landed, its answer did not: it is not in the list of what to undo."""
    trial = try_all(lambda plan: conducted(NamesMended, plan), plans(ANY, 1))
    assert (trial.plans, len(trial.refuting)) == (13, 4)
    assert trial.shortest == ((("O", "lost_reply"),), ("O",), ("O",))
    assert all(plan[0][1] == "lost_reply" for plan, _ in trial.refuting)


def test_original_05_swallows_the_errors_of_its_undos(capsys: Any) -> None:
    """An undo that fails is printed, and the saga is called compensated with the effect there."""
    every = {**REJECTED, **ANY_UNDO}
    trial = try_all(lambda plan: conducted(NamesMended, plan), plans(every, 2))
    assert trial.shortest == ((("P", "reject"), ("o", "lost_request")), ("O", "P", "o"), ("O",))
    said = capsys.readouterr().out
    assert "Compensation failed for create_order: lost_request" in said
    assert "failed and compensated" in said


def test_original_05_beside_ours() -> None:
    """Under every pair of the same faults ours undoes what was started, or says what is owed."""
    mine = try_all(ours(OIPS, "OPIS"), plans({**ANY, **ANY_UNDO}, 2))
    assert (mine.plans, mine.refuting) == (211, ())
    effects = world((("P", "reject"), ("o", "always lost_request")))
    outcome = run(OIPS, services=effects, clock=FastClock())
    assert outcome.status is Status.STUCK
    assert outcome.unresolved == {"O": "compensate"}


def test_original_05_as_a_machine() -> None:
    """Unknown taken as rejected, and a failed undo taken as done, are refuted by the checker."""
    believes = writes("unknown", {a.UNKNOWN: a.REJECTED})
    assert sorted(breaches(OIPS, believes)["I2", "O"]) == ["start", "unknown(O)", "~lands(O)"]
    swallows = writes("exhausted", {a.COMPENSATION_FAILED: a.COMPENSATED})
    assert breaches(OIPS, swallows)["I2", "O"] == [
        "start",
        "done(O)",
        "rejected(P)",
        "unknown(O)",
        "exhausted(O)",
    ]


BOOKED = original_trip.BookingRequest("H1", "F1", "ada", "monday", "friday")


class Booking:
    """A hotel or an airline of the original, on a world."""

    def __init__(self, letter: str, effects: Effects) -> None:
        self.letter, self.effects = letter, effects

    def book(self, request: original_trip.BookingRequest) -> Any:
        """Book; the confirmation is the request's own."""
        asked = Request(self.letter)
        self.effects.act(asked)
        if self.letter == "H":
            return original_trip.HotelBooking(asked.key)
        return original_trip.FlightBooking(asked.key)

    def cancel(self, confirmation: str) -> None:
        """Give it back."""
        self.effects.undo(Request(self.letter, action_key=confirmation), confirmation)


def travelled(plan: Plan) -> Played:
    """Play the original trip: what it raises, it says it has compensated."""
    effects = world(plan)
    journey = original_trip.TripBookingSaga(Booking("H", effects), Booking("F", effects))
    target = 1
    try:
        journey.execute(BOOKED)
    except (Rejected, TimeoutError):
        target = 0
    wrong = tuple(letter for letter in "HF" if effects.net(letter) != target)
    return Played(tuple(effects.calls), wrong)


def test_original_09_cancels_from_lists_that_are_empty() -> None:
    """The flight is full, the hotel stays booked, and the error comes back as if it were not."""
    full = {"H": ["reject"], "F": ["reject"]}
    trial = try_all(travelled, plans(full, 1))
    assert (trial.plans, len(trial.refuting)) == (3, 1)
    assert trial.shortest == ((("F", "reject"),), ("H", "F"), ("H",))
    effects = world((("F", "reject"),))
    journey = original_trip.TripBookingSaga(Booking("H", effects), Booking("F", effects))
    with pytest.raises(Rejected):
        journey.execute(BOOKED)


def test_original_09_beside_ours() -> None:
    """Ours gives each undo what its action returned, and the way back is no exception."""
    story = saga(A("H"), A("F"))
    every = {site: ["reject", "lost_request", "lost_reply"] for site in "HF"} | {
        site: ["lost_request", "lost_reply", "always lost_request"] for site in "hf"
    }
    mine = try_all(ours(story, "HF"), plans(every, 4))
    assert (mine.plans, mine.refuting) == (256, ())
    assert check(story).verdict == "safe"
    effects = world((("F", "reject"),))
    run(story, services=effects)
    assert effects.given == {"h": "result of H"}
    for refused in ("book_outbound", "book_homebound", "pay"):
        beds = trip.World(guard=Guard(refusing={refused}))
        outcome = run(trip.saga, trip.INPUT, services=beds)
        assert (outcome.status, beds.bookings) == (Status.COMPENSATED, [])


def test_original_09_in_our_language_is_seen_by_the_ledger() -> None:
    """An undo that walks an empty list and answers is refuted by the count, at the first fault."""

    def walks_an_empty_list(ctx: Any, result: object) -> None:
        for booking in ():
            undo(ctx, booking)

    story = saga(step(act, name="H", compensate=walks_an_empty_list), A("F"))
    trial = try_all(ours(story, "HF"), plans({"H": ["reject"], "F": ["reject"]}, 1))
    assert trial.shortest == ((("F", "reject"),), ("H", "F"), ("H",))


def test_all_ten_are_here() -> None:
    """Each point of the list of what is wrong in the originals has its test."""
    texts = [file.read_text() for file in Path(__file__).parent.glob("test_originals*.py")]
    told = {int(number) for text in texts for number in re.findall(r"test_original_(\d\d)_", text)}
    assert told == set(range(1, 11))
