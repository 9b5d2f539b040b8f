"""
Every message, as the user reads it, beside the code that earns it.

``SAGA_FSM_SNAPSHOTS=write python -m pytest tests/unit/test_messages.py`` writes
``tests/snapshots/messages`` anew; what changed there is reviewed like code.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saga_fsm import errors


FOLDER = Path(__file__).parents[1] / "snapshots" / "messages"
WRITING = os.environ.get("SAGA_FSM_SNAPSHOTS") == "write"
RULES = ("W1", "W2", "W3", "W4", "W9", "W14")

# What every snippet may use.
WORLD = """
from saga_fsm import *
from saga_fsm.definition import *
from saga_fsm.errors import *
from saga_fsm.journals.memory import MemoryJournal
from saga_fsm.ports import Birth
from saga_fsm.runner import operate

def reserve(ctx): ...
def release(ctx, result): ...
def charge_card(ctx): ...
def refund(ctx, result): ...
def ship(ctx): ...
def mail(ctx): ...
def approve(ctx): return PENDING
def is_large(ctx): return True
def lines(ctx): return ["pen"]

hotel = step(reserve, name="hotel", compensate=release)
flight = step(reserve, name="flight", compensate=release)
charge = step(charge_card, name="charge", compensate=refund)
no_way_back = step(reserve)
trip = Saga("trip", hotel, charge, pivot(ship), retriable(mail))
"""

SITUATIONS = {
    # ------------------------------------------------------------- structure
    "w1_duplicate": 'Saga("trip", hotel, charge, flight, pivot(ship), charge)',
    "w1_duplicate_far": """
names = [f"step_{n}" for n in range(1, 41)]
many = [step(reserve, name=name, compensate=release) for name in names]
Saga("long", *many[:20], charge, *many[20:], charge, readonly(mail))
""",
    "w1_duplicate_in_blocks": """
Saga("trip", parallel(charge, hotel), choice(is_large, yes=charge, otherwise=SKIP))
""",
    "w1_duplicate_saga": 'Saga("all", trip, attrs.evolve(charge, name="trip"))',
    "w1_name_of_step": 'step(reserve, name="hotel/rome", compensate=release)',
    "w1_name_of_saga": 'Saga("trip[1]", charge)',
    "w1_name_missing": "Saga(charge, pivot(ship))",
    "w1_compensated_compensation": "step(reserve, compensate=charge)",
    "w2_no_compensation": 'Saga("trip", step(reserve), pivot(ship))',
    "w2_made_elsewhere": 'Saga("trip", no_way_back, pivot(ship))',
    "w2_compensated_pivot": "pivot(ship, compensate=release)",
    "w3_after_pivot": 'Saga("trip", pivot(ship), charge)',
    "w3_inline": """
Saga(
    "trip",
    pivot(ship),
    step(charge_card, compensate=refund),
)
""",
    "w3_after_retriable": 'Saga("trip", retriable(mail), charge)',
    "w3_pivot_after_retriable": 'Saga("trip", retriable(mail), pivot(ship))',
    "w3_alternatives": 'Saga("trip", pivot(ship), alternatives(retriable(mail), charge))',
    "w3_whole_after_pivot": """
def undo_all(ctx, results): ...
Saga("trip", pivot(ship), Saga("mails", retriable(mail), compensate=undo_all))
""",
    "w3_each": 'Saga("trip", each(lines, Saga("line", charge, retriable(mail)), max_items=2))',
    "w4_two_pivots": 'Saga("trip", pivot(ship), pivot(mail))',
    "w4_beside_pivot": 'Saga("trip", parallel(pivot(ship), charge))',
    "w4_beside_retriable": 'Saga("trip", parallel(retriable(mail), charge))',
    "w4_each": 'Saga("trip", each(lines, pivot(ship), max_items=2))',
    "w9_no_otherwise": "choice(is_large, yes=charge)",
    "w14_nested_pivot": 'Saga("all", trip, pivot(ship, name="close"))',
    "empty_saga": 'Saga("trip")',
    "empty_block": "parallel()",
    "no_block_function": 'Saga("trip", charge_card)',
    "no_block_list": 'Saga("trip", [hotel, charge])',
    "no_block_in_parallel": "parallel(charge, reserve)",
    "no_block_in_choice": "choice(is_large, yes=reserve, otherwise=SKIP)",
    "no_block_otherwise": "choice(is_large, yes=charge, otherwise=reserve)",
    "no_block_in_each": "each(lines, reserve, max_items=2)",
    # ------------------------------------------------------------- values
    "action_not_callable": "readonly(3, name='look')",
    "compensation_not_callable": "step(reserve, compensate='release')",
    "query_not_callable": "pivot(ship, query=True)",
    "chooser_not_callable": "choice('large', yes=charge, otherwise=SKIP)",
    "items_not_callable": "each(['pen'], charge, max_items=2)",
    "max_items": "each(lines, charge, max_items=0)",
    "retry_type": "step(reserve, compensate=release, retry=3)",
    "retry_attempts": "Retry(attempts=0)",
    "retry_wait": "Retry(attempts=2, wait_initial=-1.0)",
    "timeout": "step(reserve, compensate=release, timeout='3s')",
    "policy_type": 'Saga("trip", charge, policy=Retry())',
    "policy_timeout": "Policy(timeout=float('nan'))",
    "contract_type": "step(reserve, compensate=release, contract='idempotent')",
    "rejects_type": "step(reserve, compensate=release, rejects='CardDeclined')",
    "deadline": 'Saga("trip", charge, deadline=-1.0)',
    "pause": "pause('a while')",
    "no_saga": "compile_saga(charge)",
    # ------------------------------------------------------------- finding
    "unknown_step": 'run(trip).result_of("hotels")',
    "unknown_step_of_many": """
many = [readonly(ship, name=f"step_{n}") for n in range(1, 41)]
run(Saga("long", *many)).result_of("hotel")
""",
    "several_steps": """
one, other = Saga("one", charge), Saga("other", charge)
run(Saga("trip", one, other)).result_of("charge")
""",
    "no_result": 'Context(results={"hotel": 1, "flight": 2}).result_of(charge)',
    "no_result_yet": "Context().result_of(charge)",
    # ------------------------------------------------------------- running
    "no_transition": """
machine = compile_saga(trip)
machine.step(machine.initial, "done(hotels)")
""",
    "no_transition_order": """
from saga_fsm.errors import NoTransitionError
raise NoTransitionError(saga="trip", state="running(hotel.started)", event="done(charge)",
                        accepted=("done(hotel)", "rejected(hotel)", "unknown(hotel)"))
""",
    "no_transition_over": """
raise NoTransitionError(saga="trip", state="completed", event="cancel", accepted=())
""",
    "no_transition_operator": """
journal = MemoryJournal()
run(trip, journal=journal, run_id="trip-7")
operate(trip, "resolve(charge,done)", journal=journal, run_id="trip-7")
""",
    "no_run": 'operate(trip, "retry(charge)", journal=MemoryJournal(), run_id="trip-7")',
    "nobody_answers": 'run(Saga("trip", readonly(approve)), run_id="trip-7")',
    "world_is_a_fixture": """
import pytest
from saga_fsm.testing import saga_faults
@pytest.fixture
def shop(): ...
saga_faults(trip, world=shop)
""",
    "fixture_gives_no_world": """
from saga_fsm.testing import saga_faults
@saga_faults(trip, world="shop")
def test_trip(world, outcome): ...
test_trip(shop=object())
""",
    "running_loop": """
import asyncio
async def main(): run(trip)
asyncio.run(main())
""",
    "run_of_another_saga": """
journal = MemoryJournal()
run(trip, journal=journal, run_id="trip-7")
run(Saga("order", charge), journal=journal, run_id="trip-7")
""",
    "run_of_another_machine": """
journal = MemoryJournal()
run(trip, journal=journal, run_id="trip-7")
run(Saga("trip", charge), journal=journal, run_id="trip-7")
""",
    "run_with_another_input": """
journal = MemoryJournal()
run(trip, "Rome", journal=journal, run_id="trip-7")
run(trip, "Oslo", journal=journal, run_id="trip-7")
""",
    "state_space": "compile_saga(trip).flatten(limit=3)",
    "concurrent_append": """
raise ConcurrentAppendError(run_id="trip-7", expected=3, actual=5)
""",
    "lease_lost": 'raise LeaseLostError(run_id="trip-7", fence=1, newer=2)',
    "machine_changed": """
raise MachineChangedError(run_id="trip-7", saga="trip", stored="2d8e6f54", current="0a9ad141")
""",
    "concurrent_birth": """
raise ConcurrentAppendError(run_id="trip-7", expected=0, actual=0)
""",
    "store_unavailable": """
raise StoreUnavailableError(store="runs.db", message="database or disk is full")
""",
    "store_unavailable_unknown": """
raise StoreUnavailableError(store="postgresql://db:5432/shop", message="the connection is lost",
                            unknown=True)
""",
    "store_broken": """
raise StoreBrokenError(store="runs.db", message="file is not a database")
""",
    "unknown_run": 'MemoryJournal().post("trip-7", "cancel")',
    "unknown_run_in_store": 'raise UnknownRunError(run_id="trip-7", store="runs.db")',
    "decision_pending": 'raise DecisionPendingError(run_id="trip-7", word="resolve(charge,done)")',
    "birth_of_another": """
from saga_fsm.ports import Append
birth = Birth("trip-8", "trip", "2d8e6f54", "d1")
MemoryJournal().commit([Append("trip-7", [], 3, 1, Status.RUNNING, birth=birth)])
""",
    "id_too_long": 'MemoryJournal().enter(Birth("x" * 501, "trip", "2d8e6f54", "d1"))',
    "id_half_a_pair": 'MemoryJournal().enter(Birth("trip\\ud83e", "trip", "2d8e6f54", "d1"))',
    "text_with_nul": 'MemoryJournal().post("trip-7", "cancel", "a\\0b")',
    "owner_without_name": 'MemoryJournal().beat("", 30.0)',
    "within_memory": """
MemoryJournal().enter(Birth("trip-7", "trip", "2d8e6f54", "d1"), within=object())
""",
    "unstorable_type": """
import threading
from saga_fsm.codec import Scribe
def book(ctx) -> threading.Condition | None: ...
def settle(ctx) -> dict[str, threading.Thread]: ...
Scribe(Saga("trip", step(book, compensate=print), pivot(settle))).check()
""",
    "unstorable_value": """
from saga_fsm.codec import Scribe
def book(ctx): ...
Scribe(Saga("trip", pivot(book))).admit("done", "book", {"seats": [(3, 4)]})
""",
    "unstorable_value_too_long": """
from saga_fsm.codec import Scribe
def book(ctx) -> str: ...
Scribe(Saga("trip", pivot(book)), limit=1000).admit("done", "book", "x" * 2000)
""",
    "malformed_reply": """
raise MalformedReplyError(step="charge", message="the answer is no JSON: '<html>'")
""",
    "property_violation": """
raise PropertyViolationError(message="always 'paid' fails in 3 moves\\n  (412 states, exhaustive)")
""",
    "missing_extra": 'raise MissingExtraError(what="hypothesis", extra="testing")',
    "no_engine": 'raise DrawingEngineError(written="trip.dot")',
    "no_engine_nothing_written": "raise DrawingEngineError",
}


def _error(source: str) -> BaseException:
    world: dict[str, Any] = {"attrs": __import__("attrs")}
    exec(compile(WORLD, "world.py", "exec"), world)  # noqa: S102 - our own text
    # A file name that is the same everywhere: the errors say where a thing was defined.
    code = compile(source.strip("\n"), "trip.py", "exec")
    with pytest.raises(errors.SagaError) as caught:
        exec(code, world)  # noqa: S102 - as above
    return caught.value


def _text(source: str) -> str:
    error = _error(source)
    # The digest of a table is for the table's own tests.
    said = re.sub(r"\b[0-9a-f]{16}\b", "<fingerprint>", str(error))
    return f"{source.strip()}\n\n{type(error).__name__}: {said}\n"


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_message_is_the_one_that_was_reviewed(name: str) -> None:
    """The whole text is kept in a file; a change of it is seen."""
    text, path = _text(SITUATIONS[name]), FOLDER / f"{name}.txt"
    if WRITING:
        FOLDER.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_message_is_a_fact_and_a_remedy(name: str) -> None:
    """The first line names what is meant and has no full stop; a second says what to do."""
    fact, *rest = str(_error(SITUATIONS[name])).splitlines()
    assert rest, fact
    assert all(line.startswith("  ") for line in rest), rest
    assert not fact.endswith((".", "!")), fact
    assert not any("!" in line for line in rest), rest
    assert any(not line.startswith("  at ") for line in rest), rest


def _shown() -> Iterator[BaseException]:
    for source in SITUATIONS.values():
        yield _error(source)


def test_every_error_and_rule_is_shown() -> None:
    """No class, and no rule of structure, is without a message that somebody has read."""
    shown = list(_shown())
    abstract = {"JournalError"}
    names = {type(error).__name__ for error in shown}
    assert {*errors.__all__} - abstract == names
    assert {getattr(error, "rule", "") for error in shown} >= {*RULES}


def test_no_snapshot_is_left_over() -> None:
    """A file without its situation is deleted."""
    assert {path.stem for path in FOLDER.iterdir()} == {*SITUATIONS}
