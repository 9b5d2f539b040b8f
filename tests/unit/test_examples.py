"""The worlds of the examples keep what their sagas declare, and their oracles can say no."""

from __future__ import annotations

from copy import deepcopy
from importlib import import_module
from types import ModuleType
from typing import Any

import attrs
import pytest

from saga_fsm import Context, Rejected, Saga, Status, run
from saga_fsm.definition import Kind
from saga_fsm.definition.layout import PlacedStep, lay_out
from saga_fsm.examples._world import Guard, name_of
from saga_fsm.testing import VirtualClock
from tests.gallery import EXAMPLES


MODULES = {name: import_module(f"saga_fsm.examples.{name}") for name in EXAMPLES}
# One of two beds is booked; the basket of `INPUT` has two lines of three.
NOT_TAKEN = {"book_hostel", "line[2]/pick", "line[2]/wrap"}


def placed(example: ModuleType) -> list[PlacedStep]:
    """The steps of a run of ``INPUT`` that have an effect, in the order of the definition."""
    steps = lay_out(example.saga).steps.items()
    return [
        one
        for path, one in steps
        if one.kind is not Kind.READONLY and not any(path.endswith(name) for name in NOT_TAKEN)
    ]


EACH = [
    pytest.param(example, one.path, id=f"{name}-{one.path}")
    for name, example in MODULES.items()
    for one in placed(example)
]
EACH_UNDONE = [
    one for one in EACH if lay_out(one.values[0].saga).steps[one.values[1]].step.compensate
]


class Stage:
    """An example's world on which all steps before one have landed."""

    def __init__(self, example: ModuleType, path: str) -> None:
        self.example = example
        self.world: Any = example.World()
        self.path = path
        for one in placed(example):
            if one.path == path:
                break
            self.call(one.path)
        self.step = lay_out(example.saga).steps[path].step

    def context(self, path: str, *, undoing: bool = False) -> Context[Any, Any, Any]:
        """What a run would give to the step, or to its compensation."""
        index = int(path.partition("[")[2][:1]) if "[" in path else None
        key = f"r1/{path}"
        return Context(
            input=self.example.INPUT,
            services=self.world,
            run_id="r1",
            step=path,
            key=f"{key}/compensation" if undoing else key,
            action_key=key,
            item=None if index is None else self.example.INPUT.items[index],
            index=index,
        )

    def call(self, path: str) -> object:
        """Call an action."""
        return lay_out(self.example.saga).steps[path].step.action(self.context(path))

    def act(self) -> object:
        """Call the action of the step in question."""
        return self.call(self.path)

    def undo(self, result: object) -> None:
        """Call its compensation."""
        self.step.compensate(self.context(self.path, undoing=True), result)

    def books(self) -> dict[str, Any]:
        """All that the world has written down, but for its guard and what counts calls."""
        return deepcopy(attrs.asdict(self.world, recurse=False, filter=BOOKS))


@pytest.mark.parametrize(("example", "path"), EACH)
def test_an_action_called_twice_has_one_effect(example: ModuleType, path: str) -> None:
    """Idempotent: the same key acts once on the books, and answers the same again."""
    stage = Stage(example, path)
    before = stage.books()
    first, after = stage.act(), stage.books()
    assert after != before, "a step that leaves no trace cannot be argued with"
    assert stage.act() == first
    assert stage.books() == after


@pytest.mark.parametrize(("example", "path"), EACH)
def test_a_rejection_is_remembered(example: ModuleType, path: str) -> None:
    """Sticky: what was refused under a key stays refused, and the books are as they were."""
    stage = Stage(example, path)
    before = stage.books()
    stage.world.guard.refusing = frozenset({name_of(path)})
    for _ in range(2):
        with pytest.raises(Rejected):
            stage.act()
        stage.world.guard.refusing = frozenset()
    assert stage.books() == before


@pytest.mark.parametrize(("example", "path"), EACH_UNDONE)
def test_a_compensation_that_comes_first_refuses_the_action(example: ModuleType, path: str) -> None:
    """Fenced: an undo of nothing, with no result, is done, and the late action finds it there."""
    stage = Stage(example, path)
    before = stage.books()
    stage.undo(None)
    for _ in range(2):
        with pytest.raises(Rejected):
            stage.act()
    stage.undo(None)
    assert stage.books() == before


@pytest.mark.parametrize("known", [True, False], ids=["with the result", "without"])
@pytest.mark.parametrize(("example", "path"), EACH_UNDONE)
def test_a_compensation_called_twice_undoes_once(
    example: ModuleType, path: str, *, known: bool
) -> None:
    """An undo puts the books back, once, with a result or without; the action is refused then."""
    stage = Stage(example, path)
    before = stage.books()
    result = stage.act()
    for _ in range(2):
        stage.undo(result if known else None)
        after = stage.books()
        if "orders" in after:
            after["orders"] = {k: v for k, v in after["orders"].items() if v != "cancelled"}
        # A dictionary of amounts may keep a zero.
        assert _plain(after) == _plain(before)
    with pytest.raises(Rejected):
        stage.act()


def _plain(books: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {k: v for k, v in book.items() if v} if isinstance(book, dict) else book
        for name, book in books.items()
    }


ORDER = ["create", "cancel", "pay", "pay_back", "reserve", "put_back", "send"]
METHODS = {
    "order": ORDER,
    "order_with_retries": ORDER,
    "order_recovered": ORDER,
    "order_choreographed": ORDER,
    "trip": ["book", "cancel", "settle"],
    "transfer": ["post", "take_back"],
    "fulfilment": ["pick", "put_back", "wrap", "hold", "let_go", "take", "give", "leave", "note"],
}
PIVOTS = {"trip": "pay", "transfer": "deposit", "fulfilment": "dispatch"}


BOOKS = attrs.filters.exclude("guard", "_opening", "calls", "charge_calls", "dead")


def forgetful(example: ModuleType, method: str) -> tuple[Any, list[Any]]:
    """A kind of world in which one thing answers and changes nothing, and what it was asked."""
    asked: list[Any] = []
    real = getattr(example.World, method)

    def only_says_so(world: Any, *given: Any) -> Any:
        asked.append(given)
        books = deepcopy(attrs.asdict(world, recurse=False, filter=BOOKS))
        answer = real(world, *given)
        for name, book in books.items():
            setattr(world, name, book)
        return answer

    return type("World", (example.World,), {method: only_says_so}), asked


@pytest.mark.parametrize(
    ("name", "method"),
    [pytest.param(name, one, id=f"{name}-{one}") for name in METHODS for one in METHODS[name]],
)
def test_an_effect_that_is_only_said_to_be_is_seen(name: str, method: str) -> None:
    """Leave out any one effect or undo of a world: on the way forward or back its books say so."""
    example = MODULES[name]
    seen = []
    for refusing in ((), (PIVOTS.get(name, "ship"),)):
        kind, asked = forgetful(example, method)
        world = kind(guard=Guard(refusing=refusing))
        try:
            outcome = play(example, world)
        except ForEverError:
            continue
        if asked:
            seen.append(example.consistent(world, outcome))
    assert seen
    assert not all(seen)


class ForEverError(Exception):
    """A step that has to happen cannot: it would be tried again for ever."""


class Impatient(VirtualClock):
    """A clock that has seen enough after twenty waits."""

    def wait(self, get: Any, seconds: float | None, *, busy: bool) -> Any:
        """Wait, or give up."""
        if len(self.waits) > 20:
            raise ForEverError
        return super().wait(get, seconds, busy=busy)


def play(example: ModuleType, world: Any, run_id: str = "r1") -> Any:
    """Run an example on a world."""
    saga: Saga[Any, Any] = example.saga
    return run(saga, example.INPUT, services=world, run_id=run_id, clock=Impatient())


@pytest.mark.parametrize("name", METHODS)
def test_two_runs_on_one_world_are_told_apart(name: str) -> None:
    """A run that completes beside one that goes back: the books add up for both."""
    example = MODULES[name]
    world = example.World()
    if name == "trip":
        world = example.World(
            free={"hotel": 2, "hostel": 2, "outbound": 2, "homebound": 2}, purse=700
        )
    first = play(example, world, "r1")
    world.guard.refusing = frozenset({PIVOTS.get(name, "ship")})
    second = play(example, world, "r2")
    assert (first.status, second.status) == (Status.COMPLETED, Status.COMPENSATED)
    assert example.consistent(world, first)
    assert example.consistent(world, second)
    assert not example.consistent(world, attrs.evolve(first, run_id="r2"))
    assert not example.consistent(world, attrs.evolve(second, run_id="r1"))
