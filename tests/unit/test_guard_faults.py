"""Sagas on a real SQLite behind the guard, under every fault; and with lines of the guard gone."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest

from saga_fsm import (
    GUARDED,
    Contract,
    Policy,
    Rejected,
    Retry,
    Saga,
    Status,
    pivot,
    retriable,
    step,
)
from saga_fsm.guard import Guard, _guard, _outside, _rows, _steps
from saga_fsm.testing import explore_faults


pytestmark = pytest.mark.heavy

TWICE = Policy(retry=Retry(attempts=2), compensation_retry=Retry(attempts=2))
ASKED = Contract(idempotent=True, sticky=True)


@pytest.fixture
def on() -> Iterator[sqlite3.Connection]:
    """One database for all runs, each of which finds it empty."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        Guard(lambda: nullcontext(connection)).create_table()
        connection.execute("CREATE TABLE effects (step TEXT, amount INTEGER)")
        yield connection


class World:
    """
    A participant on SQLite, behind the guard; what its bodies do beside their effect is told.

    Args:
        on: the database.
        steps: what stands when the saga is completed.
        fickle: a step whose body refuses, after it wrote, when it is called first.
        flaky: a step whose body, or whose undo, fails after it wrote, when it is called first.
    """

    def __init__(
        self, on: sqlite3.Connection, steps: tuple[str, ...], fickle: str = "", flaky: str = ""
    ) -> None:
        self.on = on
        self.steps = steps
        self.fickle = fickle
        self.flaky = flaky
        self.calls: Counter[str] = Counter()
        self.guard = Guard(lambda: nullcontext(on))
        on.execute("DELETE FROM effects")
        on.execute("DELETE FROM saga_guard")

    def act(self, ctx: Any) -> str:
        """Every action."""
        return self.guard.act(ctx, lambda connection: self.write(connection, ctx.step, 1))

    def undo(self, ctx: Any) -> None:
        """Every compensation."""
        self.guard.undo(ctx, lambda connection, _: self.write(connection, ctx.step, -1))

    def write(self, connection: sqlite3.Connection, name: str, amount: int) -> str:
        """The effect, and then what goes wrong."""
        connection.execute("INSERT INTO effects VALUES (?, ?)", [name, amount])
        self.calls[f"{name}{amount:+}"] += 1
        first = self.calls[f"{name}{amount:+}"] == 1
        if first and name == self.fickle and amount == 1:
            raise Rejected("not today")
        if first and self.flaky == f"{name}{amount:+}":
            raise OSError("the reply is lost")
        return name

    def is_consistent(self, outcome: Any) -> bool:
        """All stand, or none; and none is there twice, or less than not at all."""
        rows = self.on.execute("SELECT step, SUM(amount) FROM effects GROUP BY step").fetchall()
        nets = dict(rows)
        if outcome.status is Status.COMPLETED:
            return nets == dict.fromkeys(self.steps, 1)
        if outcome.status is Status.COMPENSATED:
            return not any(nets.values())
        return set(nets.values()) <= {0, 1}


class Remote(World):
    """
    The same with effects outside the database, at a side that accepts keys.

    A call to it may lose its reply, after the effect: ``flaky`` says which.
    """

    def __init__(self, on: sqlite3.Connection, steps: tuple[str, ...], **wrong: str) -> None:
        super().__init__(on, steps, **wrong)
        self.keys: set[str] = set()

    def act(self, ctx: Any) -> str:
        """Every action."""
        return self.guard.outside().act(ctx, lambda: self.call(ctx, ctx.key, 1))

    def undo(self, ctx: Any) -> None:
        """Every compensation: of nothing, where its action is not there."""
        if_there = lambda _: ctx.action_key in self.keys and self.call(ctx, ctx.key, -1)  # noqa: E731
        self.guard.outside().undo(ctx, if_there)

    def is_consistent(self, outcome: Any) -> bool:
        """As it is; but the operator takes an action that raised for one that did not land."""
        told = [event for event in outcome.events if event.endswith("not_landed)")]
        return bool(told and self.flaky) or super().is_consistent(outcome)

    def call(self, ctx: Any, key: str, amount: int) -> str:
        """One request to the other side."""
        name = f"{ctx.step}{amount:+}"
        self.calls[name] += 1
        first = self.calls[name] == 1
        if first and ctx.step == self.fickle and amount == 1:
            raise Rejected("not today")
        if key not in self.keys:
            self.keys.add(key)
            self.on.execute("INSERT INTO effects VALUES (?, ?)", [ctx.step, amount])
        if first and self.flaky == name:
            raise OSError("the reply is lost")
        return ctx.step


def act(ctx: Any) -> str:
    """The action of every step."""
    return ctx.services.act(ctx)


def undo(ctx: Any, _: Any) -> None:
    """The compensation."""
    ctx.services.undo(ctx)


def ask(ctx: Any) -> str:
    """The query."""
    return ctx.services.guard.ask(ctx)


STOCK = step(act, name="stock", compensate=undo)
SHIP = pivot(act, name="ship", query=ask, retry=Retry(attempts=2))
SAGAS: dict[str, Saga[Any, Any]] = {
    # One to undo, the pivot, and one that must come.
    "guarded": Saga(
        "order", STOCK, SHIP, retriable(act, name="mail"), contract=GUARDED, policy=TWICE
    ),
    # Not fenced by its compensation, but by its query.
    "asked": Saga("order", attrs.evolve(STOCK, query=ask), SHIP, contract=ASKED, policy=TWICE),
    # Outside the database.
    "outside": Saga("order", STOCK, attrs.evolve(SHIP, query=None), contract=GUARDED, policy=TWICE),
}
WORLDS: dict[str, dict[str, str]] = {
    "steady": {},
    "fickle": {"fickle": "stock"},
    "flaky": {"flaky": "stock+1"},
    "flaky undo": {"flaky": "stock-1", "fickle": "ship"},
}


def explored(on: sqlite3.Connection, name: str, world: str) -> Any:
    """The search, on new worlds of one kind."""
    saga = SAGAS[name]
    names = tuple(block.name for block in saga.blocks)
    kind = Remote if name == "outside" else World
    return explore_faults(
        saga,
        world=lambda: kind(on, names, **WORLDS[world]),
        consistent=kind.is_consistent,
        max_faults=1,
        max_runs=600 if world == "steady" else 300,
    )


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", SAGAS)
def test_no_fault_breaks_what_is_guarded(on: sqlite3.Connection, name: str, world: str) -> None:
    """Each fault at each row, on a real database: completed is all, compensated is nothing."""
    result = explored(on, name, world)
    assert result.failures == (), result
    assert result.runs > 100
    assert world != "steady" or result.coverage > 0.95


# ------------------------------------------------------------------ lines of the guard, gone


@attrs.frozen
class Bug:
    """Text of a module of the guard, what stands there instead, and the search that finds it."""

    changes: dict[str, str]
    world: str = "steady"
    saga: str = "guarded"
    module: ModuleType = _steps


FORGET = 'yield lambda store: store.execute("forget", key=key)'
BUGS = {
    "no fence": Bug(
        {
            "known = yield from claim(key, FENCED)\n    if known is None or known.state not in "
            "{BEGUN, APPLIED, UNDOING}:\n        return\n": "known = yield from find(key)\n    "
            "if known is None or known.state not in {BEGUN, APPLIED, UNDOING}:\n        return\n"
        }
    ),
    "no sticky memory": Bug(
        {"yield from record(key, BEGUN, REJECTED, json.dumps(reason))": FORGET}, "fickle"
    ),
    "no dedupe": Bug(
        {
            "        return answer_of(known, codec)\n    yield save": "        if known.state != "
            f"APPLIED:\n            return answer_of(known, codec)\n        {FORGET}\n"
            "        yield from claim(key, BEGUN)\n    yield save"
        }
    ),
    "row written outside the transaction": Bug(
        {
            "    yield save\n    try:\n        value = yield lambda store: store.call(body)": (
                "    yield from record(key, BEGUN, APPLIED, '0')\n"
                '    yield lambda store: store.run("COMMIT")\n'
                '    yield lambda store: store.run("BEGIN")\n'
                "    yield save\n    try:\n        value = yield lambda store: store.call(body)"
            ),
            "yield from record(key, BEGUN, APPLIED, text)": (
                "yield from record(key, APPLIED, APPLIED, text)"
            ),
        },
        "flaky",
    ),
    "a rejected effect stays": Bug(
        {"        yield back\n        yield from": "        yield release\n        yield from"},
        "fickle",
    ),
    "an undo is not remembered": Bug(
        {"yield from record(key, known.state, COMPENSATED, known.value)": "pass"}
    ),
    "an undo of nothing is done": Bug(
        {
            "known = yield from claim(key, FENCED)\n    if known is None or known.state not in "
            "{BEGUN, APPLIED, UNDOING}:\n        return\n": "known = yield from claim(key, FENCED)"
            "\n    known = known or Known(FENCED, None, 0.0)\n    if known.state not in {APPLIED, "
            "FENCED}:\n        return\n"
        }
    ),
    "a query does not fence": Bug(
        {
            "known = yield from claim(key, REJECTED, json.dumps(ASKED))\n    if known is None:\n"
            "        return Answer(landed=False, value=ASKED)\n    if known.state == BEGUN:\n"
            "        raise": "known = yield from find(key)\n    if known is None:\n"
            "        return Answer(landed=False, value=ASKED)\n    if known.state == BEGUN:\n"
            "        raise"
        },
        saga="asked",
    ),
    "outside, begun is not committed first": Bug(
        {
            "    known = yield from claim(key, BEGUN)\n    if known is None:": (
                "    known = yield from find(key)\n    if known is None:"
            ),
            "known = yield from find(key)\n    if known is not None and known.state == BEGUN:": (
                "known = (yield from claim(key, BEGUN)) or Known(BEGUN, None, 0.0)\n"
                "    if known.state == BEGUN:"
            ),
        },
        "flaky",
        "outside",
        _outside,
    ),
    "outside, begun is taken for nothing": Bug(
        {
            "known.state not in {BEGUN, APPLIED, UNDOING}:\n        return False, None": (
                "known.state not in {APPLIED, UNDOING}:\n        return False, None"
            )
        },
        "flaky",
        "outside",
        _outside,
    ),
    "outside, the undo is not fenced": Bug(
        {"known = yield from claim(key, FENCED)": "known = yield from find(key)"},
        "steady",
        "outside",
        _outside,
    ),
    "what was undone comes back": Bug(
        {
            "        return answer_of(known, codec)\n    yield save": "        if known.state != "
            f"COMPENSATED:\n            return answer_of(known, codec)\n        {FORGET}\n"
            "        yield from claim(key, BEGUN)\n    yield save"
        }
    ),
}


@pytest.mark.parametrize("bug", BUGS)
def test_each_line_of_the_guard_is_missed(
    on: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, bug: str
) -> None:
    """Without it, the same search finds a run that is broken, and a plan that shows it."""
    planted = BUGS[bug]
    path = Path(str(planted.module.__file__))
    source = path.read_text()
    for old, new in planted.changes.items():
        assert source.count(old) == 1, f"{source.count(old)} times in {path.name}: {old}"
        source = source.replace(old, new)
    broken = ModuleType(path.stem)
    vars(broken).update(vars(_rows))  # what a change may want
    exec(compile(source, path.name, "exec"), vars(broken))  # noqa: S102 - our own
    monkeypatch.setattr(_guard, path.stem, broken)
    result = explored(on, planted.saga, planted.world)
    assert result.failures, f"nothing found in {result.runs} runs"
    # The effects are wrong: it is not that the changed text cannot run.
    reasons = [failure.reason for failure in result.failures]
    assert not any("Error" in reason for reason in reasons), reasons
