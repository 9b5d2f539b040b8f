"""Bugs in the compiler and its machine, by a second author: scopes, waits, order and memory."""

from __future__ import annotations

from typing import Any
from unittest import mock

from saga_fsm import Outcome, Retry, Saga, Status, choice, each, parallel
from saga_fsm.compiler import _steps as steps_module
from saga_fsm.compiler._order import Order
from saga_fsm.compiler._scopes import Rows
from saga_fsm.compiler._steps import StepRows
from saga_fsm.definition.kinds import Kind
from saga_fsm.machine import _alphabet as a
from saga_fsm.machine import _verdict as verdict_module
from saga_fsm.machine._recall import Recall
from tests.quality.planted import Planted
from tests.quality.planted.driver_bugs import replaced
from tests.quality.planted.yard import (
    C,
    Hand,
    P,
    R,
    S,
    Swept,
    Yard,
    ask,
    exactly,
    is_open,
    lines,
    of_library,
    sweep,
)


# ---------------------------------------------------------------------- what is planted


def _two_levels(sound: Any) -> Any:
    def commit(self: Rows, scope: str) -> Any:
        return sound(self, scope)[:2]

    return commit


def _given_up_is_refused(sound: Any) -> Any:
    def _give_up_to(self: StepRows, source: int, target: int) -> None:
        sound(self, source, a.REJECTED if target == a.UNKNOWN else target)

    return _give_up_to


def _silence_is_absence(sound: Any) -> Any:
    lost = steps_module.lost

    def _lost(placed: Any) -> int:
        return a.REJECTED if placed.kind is Kind.COMPENSATABLE else lost(placed)

    def _query(self: StepRows) -> None:
        with mock.patch.object(steps_module, "lost", _lost):
            sound(self)

    return _query


def _after_the_last_copy(sound: Any) -> Any:
    def _after_each(self: Order, block: Any, before: Any) -> Any:
        ends = sound(self, block, before)
        last = block.body[-1].path
        return ends if block.concurrent else {last: None}

    return _after_each


def _pivot_gives_up(sound: Any) -> Any:
    def _give_up(self: StepRows) -> None:
        sound(self)
        if self.placed.kind is Kind.PIVOT:
            self._give_up_to(a.WAITING, a.REJECTED)

    return _give_up


def _one_failure_of_choosers(sound: Any) -> Any:
    def _decide(self: Rows, block: Any, entry: Any) -> Any:
        with mock.patch.object(a, "CHOICE_STUCK", a.CHOOSER_FAILED):
            return sound(self, block, entry)

    return _decide


def _only_turning(_sound: Any) -> Any:
    def goes_back(_automaton: Any, code: int, *, parent: bool) -> bool:
        return code in a.TURNED_BACK

    return goes_back


def _by_what_it_wrote(sound: Any) -> Any:
    def keep(self: Recall, codes: Any, event: str, read: Any, decision: Any) -> None:
        written = [v for v, _ in decision.changes]
        sound(self, codes, event, written or read, decision)

    return keep


# ---------------------------------------------------------------------- sagas and worlds


def owed(world: Any, outcome: Outcome[Any]) -> bool:
    """Who is stuck on the way back says of all that stands that it is owed."""
    if outcome.status is Status.STUCK:
        return bool(outcome.unresolved) and set(world.standing) <= set(outcome.unresolved)
    return True


def told_what_is_owed(paths: tuple[str, ...]) -> Any:
    """Who is stuck says what is owed; else all of these stand, or nothing."""
    rest = exactly(*paths)

    def judge(world: Any, outcome: Outcome[Any]) -> bool:
        if outcome.status is Status.STUCK:
            return bool(outcome.unresolved)
        return rest(world, outcome)

    return judge


def past_the_pivot(world: Any, outcome: Outcome[Any]) -> bool:
    """Where the innermost pivot has landed, nothing is owed an undo."""
    paths = ("a", "mid/b", "mid/low/c", "mid/low/p", "mid/low/r")
    if "mid/low/p" in world.standing and "compensate" in outcome.unresolved.values():
        return False
    return bool(exactly(*paths)(world, outcome))


def _deep() -> Any:
    return S(C("a"), Saga("mid", C("b"), Saga("low", C("c"), P(), R())))


def _beside() -> Any:
    return S(parallel(C("a"), C("b")), P())


def _asked() -> Any:
    return S(C("a", query=ask), C("b"), P())


def _few_lines() -> Any:
    return S(C("z"), each(lines, C("a"), max_items=3, name="lines"), C("d"), P())


def _whole_beside() -> Any:
    return S(parallel(Saga("trip", C("b"), P(), R(), compensate=sweep), C("c")), C("d"))


def _chosen_late() -> Any:
    return S(C("a"), P(), choice(is_open, name="way", yes=R(), otherwise=R("s")))


def _trip_first() -> Any:
    return S(Saga("trip", C("b"), C("c")), C("d", compensation_retry=Retry(attempts=2)), P())


def _joined() -> Any:
    return S(parallel(C("a"), C("b")), C("c"), P(), R())


class Joined(Yard):
    """A yard in which c is put upon a and b."""

    def _effect(self, ctx: Any) -> str:
        if ctx.step == "c" and not (self.stands.get("a") and self.stands.get("b")):
            self.errors.append("c stands upon nothing")
        return super()._effect(ctx)


def _guarded_lines() -> Any:
    return Yard(above={"a[1]": "d", "a[0]": "a[1]", "z": "a[0]"})


# ---------------------------------------------------------------------- the bugs


_remembers = replaced(Recall, "keep", _by_what_it_wrote)


def _shows_memory() -> bool:
    """One machine for two runs, whose branches end in another order."""

    def twice() -> Any:
        saga = _joined()
        runs = [Hand(lambda: saga, Joined(), None).play(script) for script in ("a b", "b c")]
        return runs[1]

    sound = twice()
    with _remembers():
        wrong = twice()
    return bool(sound != wrong)


SECOND_COMPILER = (
    of_library(
        "a pivot commits its parent and no further",
        "compiler",
        "the loop over the scopes around became 'this one and its parent': deeper was never seen",
        replaced(Rows, "commit", _two_levels),
        _deep,
        past_the_pivot,
        "a mid/b mid/low/c mid/low/p cancel",
    ),
    of_library(
        "a wait that is given up was a no",
        "compiler",
        "no attempt is in flight while it waits, so nothing was thought to have landed",
        replaced(StepRows, "_give_up_to", _given_up_is_refused),
        _beside,
        exactly("a", "b", "p"),
        "a=lands b=reject",
    ),
    of_library(
        "a query that nobody answers says no",
        "compiler",
        "who cannot be found by asking was taken for absent",
        replaced(StepRows, "_query", _silence_is_absence),
        _asked,
        exactly("a", "b", "p"),
        "a=lands a=lost a=lost a?=lost a?=lost a?=lost",
    ),
    of_library(
        "only the last possible line comes before what follows",
        "compiler",
        "a sequence ends with its last block: that there may be fewer lines was forgotten",
        replaced(Order, "_after_each", _after_the_last_copy),
        _few_lines,
        exactly("z", "a[0]", "a[1]", "d", "p"),
        "z lines: a[0] a[1] d p=reject a[1]-",
        given={"lines": ["x", "y"]},
        world=_guarded_lines,
    ),
    of_library(
        "a pivot that waits is given up with what is around it",
        "compiler",
        "every wait was to end when a scope turns back, as that of a step does",
        replaced(StepRows, "_give_up", _pivot_gives_up),
        _whole_beside,
        exactly("trip/b", "trip/p", "trip/r", "c", "d"),
        "trip/b trip/p=lands c=reject",
        world=Swept,
    ),
    of_library(
        "a chooser's failure past the pivot is owed to nobody",
        "compiler",
        "two states for a chooser that failed looked like one too many",
        replaced(Rows, "_decide", _one_failure_of_choosers),
        _chosen_late,
        told_what_is_owed(("a", "p", "r")),
        "a p way:=lost",
    ),
    of_library(
        "what a finished nested saga still owes is not listed",
        "compiler",
        "a scope owes undos while it turns back, and one that is done does not turn back",
        replaced(verdict_module, "goes_back", _only_turning),
        _trip_first,
        owed,
        "trip/b trip/c d p=reject d-=lost d-=lost",
    ),
    Planted(
        "a decision is remembered by what it wrote",
        "compiler",
        "what was read and left as it is was thought to have no part in it",
        _joined,
        Joined,
        None,
        exactly("a", "b", "c", "p", "r"),
        _shows_memory,
        plant=_remembers,
    ),
)
