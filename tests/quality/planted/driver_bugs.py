"""Bugs in the driver: outcomes, attempts, keys and recovery."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from saga_fsm import PENDING, SKIP, Context, Contract, Retry, Status, choice, readonly
from saga_fsm.definition.layout import PlacedEach
from saga_fsm.definition.policy import Retry as Policy
from saga_fsm.machine import Call
from saga_fsm.runner import driver as module
from saga_fsm.runner.calls import Calls
from saga_fsm.runner.commands import Invoke
from saga_fsm.runner.driver import Driver
from saga_fsm.runner.facts import Facts
from tests.quality.planted.scene import settled
from tests.quality.planted.yard import (
    BARE,
    C,
    Loose,
    P,
    R,
    S,
    Yard,
    ask,
    counter,
    exactly,
    is_open,
    of_library,
    repeated,
)


Plant = Callable[[], AbstractContextManager[None]]


def replaced(place: Any, name: str, make: Callable[[Any], Any]) -> Plant:
    """Replace a function by what is made of it."""

    @contextmanager
    def plant() -> Iterator[None]:
        with mock.patch.object(place, name, make(getattr(place, name))):
            yield

    return plant


# ---------------------------------------------------------------------- outcomes


def _raises_means_no(sound: Any) -> Any:
    def outcome_of(kind: str, placed: Any, error: BaseException) -> str:
        name: str = sound(kind, placed, error)
        return "rejected" if (kind, name) == ("call", "unknown") else name

    return outcome_of


def _undo_swallowed(sound: Any) -> Any:
    def raised(self: Driver, leg: Any, error: BaseException, now: float) -> Any:
        if leg[0] == "compensate":
            return self.returned(leg, None, now)
        return sound(self, leg, error, now)

    return raised


@contextmanager
def _query_inverted() -> Iterator[None]:
    sound = module.outcome_of

    def outcome_of(kind: str, placed: Any, error: BaseException) -> str:
        name = sound(kind, placed, error)
        return "landed" if name == "absent" else name

    with (
        mock.patch.object(module, "outcome_of", outcome_of),
        mock.patch.dict(module._WELL, query="absent"),
    ):
        yield


def _pending_is_done(sound: Any) -> Any:
    def returned(self: Driver, leg: Any, value: Any, now: float) -> Any:
        return sound(self, leg, "later" if value is PENDING else value, now)

    return returned


def _no_last_item(sound: Any) -> Any:
    def _decision(self: Driver, path: str, value: Any) -> Any:
        placed = self.layout.decisions[path]
        if isinstance(placed, PlacedEach):
            value = list(value)[: len(placed.body) - 1]
        return sound(self, path, value)

    return _decision


def _label_inverted(sound: Any) -> Any:
    def _decision(self: Driver, path: str, value: Any) -> Any:
        return sound(self, path, value if isinstance(value, bool) and value else "otherwise")

    return _decision


# ---------------------------------------------------------------------- keys, copies, attempts


@contextmanager
def _key_of_attempt() -> Iterator[None]:
    sound = Context.key

    def key(self: Any) -> str:
        known = str(sound.__get__(self))
        return known if self.attempt == 1 else f"{known}#{self.attempt}"

    with mock.patch.object(Context, "key", property(key)):
        yield


@contextmanager
def _one_key() -> Iterator[None]:
    with mock.patch.object(Context, "key", Context.action_key):
        yield


def _first_item(sound: Any) -> Any:
    def copy(self: Facts, copies: Any) -> Any:
        item, index = sound(self, copies)
        return (self.items[copies[-1][0]][0] if copies else item), index

    return copy


def _first_result(sound: Any) -> Any:
    def make(self: Calls, leg: Any, now: float, todo: Any, commands: list[Any]) -> None:
        sound(self, leg, now, todo, commands)
        kind, path, _ = leg
        if kind == "compensate" and path.endswith("]"):
            first = self.facts.results.get(f"{path.rpartition('[')[0]}[0]")
            for command in commands:
                if isinstance(command, Invoke) and command.leg == leg:
                    command.arguments = (command.arguments[0], first)

    return make


def _one_attempt_more(sound: Any) -> Any:
    def wait(self: Any, attempt: int, luck: float = 0.0) -> float | None:
        return sound(self, max(2, attempt - 1), luck)  # type: ignore[no-any-return]

    return wait


# ---------------------------------------------------------------------- recovery


def _folding(change: Callable[[list[Any]], list[Any]]) -> Callable[[Any], Any]:
    def make(sound: Any) -> Any:
        def fold(facts: Facts, entries: Any) -> Any:
            return sound(facts, change(list(entries)))

        return fold

    return make


def _after_fold(change: Callable[[Facts], None]) -> Callable[[Any], Any]:
    def make(sound: Any) -> Any:
        def fold(facts: Facts, entries: Any) -> Any:
            recoveries = sound(facts, entries)
            change(facts)
            return recoveries

        return fold

    return make


def _until_failure(entries: list[Any]) -> list[Any]:
    for number, entry in enumerate(entries):
        if entry.event.startswith(("rejected(", "exhausted(")):
            return entries[:number]
    return entries


def _without_choice(entries: list[Any]) -> list[Any]:
    return [entry for entry in entries if not entry.event.startswith("chose(")]


def _attempts_anew(facts: Facts) -> None:
    facts.spent.update({leg: made - 1 for leg, made in facts.attempts.items()})


def _doubts_forgotten(facts: Facts) -> None:
    facts.doubted.clear()


def _always_again(sound: Any) -> Any:
    def again(  # noqa: PLR0913, PLR0917 - as what it replaces
        facts: Any, calls: Any, recoveries: Any, effect: Any, now: float, todo: Any, commands: Any
    ) -> None:
        if isinstance(effect, Call) and effect.target in facts.layout.steps:
            calls.make(facts.latest("call", effect.target), now, todo, commands)
        else:
            sound(facts, calls, recoveries, effect, now, todo, commands)

    return again


def _assumed(outcome: str) -> Callable[[Any], Any]:
    def make(sound: Any) -> Any:
        def again(  # noqa: PLR0913, PLR0917 - as what it replaces
            facts: Any, calls: Any, recoveries: Any, effect: Any, now: float, todo: Any, does: Any
        ) -> None:
            target = getattr(effect, "target", "")
            if isinstance(effect, Call) and target not in facts.pending:
                del facts.flight[facts.latest("call", target)]
                todo.append((facts.machine.event(outcome, target), None))
            else:
                sound(facts, calls, recoveries, effect, now, todo, does)

        return again

    return make


def _not_written(sound: Any) -> Any:
    def heard(self: Driver, event: str, now: float, data: Any = None) -> Any:
        return [], sound(self, event, now, data)[1]

    return heard


# ---------------------------------------------------------------------- the sagas


def _chain() -> Any:
    return S(C("a"), C("b"), P(), R())


def _bare() -> Any:
    return S(C("a"), C("b", contract=BARE), P(), R())


def _which() -> Any:
    return S(choice(is_open, yes=C("x"), no=C("y"), otherwise=SKIP, name="which"), P())


class Turning(Yard):
    """What the chooser looks at changes with what stands."""

    def __init__(self) -> None:
        super().__init__()
        del self.open

    def __getattr__(self, name: str) -> Any:
        if name == "open":
            return not self.stands.get("x")
        raise AttributeError(name)


def _ask_owner(ctx: Any) -> Any:
    return PENDING


def _approve(ctx: Any) -> str:
    ctx.services.approved += 1
    return "yes"


def _asking() -> Any:
    return S(C("a"), readonly(_ask_owner, name="ask"), P())


def _doubtful() -> Any:
    return S(C("a"), C("b"), P(retry=Retry(attempts=2), query=ask), R())


def _one_branch(world: Any, outcome: Any) -> bool:
    if outcome.status is Status.COMPLETED:
        return world.standing in ({"x": 1, "p": 1}, {"y": 1, "p": 1})
    return not world.standing


def _all_lines(world: Any, outcome: Any) -> bool:
    if outcome.status is Status.COMPLETED:
        return len(world.standing) == 4 and sorted(world.items) == ["x", "y", "z"]
    return not world.standing and not world.items


def _three_attempts(world: Any, outcome: Any) -> bool:
    return _ALL(world, outcome) and world.most <= 3


def _approved(world: Any, outcome: Any) -> bool:
    return outcome.status is not Status.COMPLETED or world.approved > 0


_ALL = exactly("a", "b", "p", "r")
_THREE = {"lines": ["x", "y", "z"]}


def _bug(name: str, why: str, *parts: Any, **options: Any) -> Any:
    return of_library(name, "driver", why, *parts, **options)


DRIVER = (
    _bug(
        "whatever is raised means no",
        "An exception that nobody declared counts as rejected, though the effect may have landed.",
        replaced(module, "outcome_of", _raises_means_no),
        _chain,
        _ALL,
        "a b=lands",
    ),
    _bug(
        "what an undo raises is swallowed",
        "A failed undo is logged and counts as done.",
        replaced(Driver, "raised", _undo_swallowed),
        _chain,
        _ALL,
        "a b p=reject b-=lost",
    ),
    _bug(
        "a query's answer is inverted",
        "An effect that landed counts as absent, and the other way round.",
        _query_inverted,
        _doubtful,
        _ALL,
        "a b p=lands p=lost",
    ),
    _bug(
        "PENDING is taken for an answer",
        "A step that has to be answered yet is done at once.",
        replaced(Driver, "returned", _pending_is_done),
        _asking,
        settled(_approved),
        "a ask",
        answers={"ask": _approve},
    ),
    _bug(
        "as many items as there may be are one too many",
        "The last of max_items items is dropped in silence.",
        replaced(Driver, "_decision", _no_last_item),
        repeated,
        settled(_all_lines),
        "",
        given=_THREE,
    ),
    _bug(
        "False is no label",
        "A chooser's False falls through to otherwise.",
        replaced(Driver, "_decision", _label_inverted),
        lambda: S(
            choice(
                lambda ctx: not is_open(ctx), yes=C("x"), no=C("y"), otherwise=C("z"), name="which"
            ),
            P(),
        ),
        settled(_one_branch),
        "",
    ),
    _bug(
        "a retry under another key",
        "The key has the attempt in it: a repeated action lands twice.",
        _key_of_attempt,
        _chain,
        _ALL,
        "a b=lands",
    ),
    _bug(
        "an undo under its action's key",
        "The participant knows the undo's key already, and does nothing.",
        _one_key,
        lambda: S(C("a", back=counter), C("b", back=counter), P(), R()),
        _ALL,
        "a b p=reject",
    ),
    _bug(
        "each copy has the first one's item",
        "ctx.item does not look at the index.",
        replaced(Facts, "copy", _first_item),
        repeated,
        settled(_all_lines),
        "",
        given=_THREE,
    ),
    _bug(
        "an undo is given the first copy's result",
        "The result of the undone action is looked up without its index.",
        replaced(Calls, "make", _first_result),
        repeated,
        settled(_all_lines),
        "lines: line[0] line[1] line[2] p=reject",
        given=_THREE,
    ),
    _bug(
        "one attempt too many",
        "The policy is asked about the attempt that was, not about the one to come.",
        replaced(Policy, "wait", _one_attempt_more),
        _chain,
        settled(_three_attempts),
        "a b=transient b=transient b=transient b=transient",
    ),
    _bug(
        "attempts begin anew with a recovery",
        "What was spent before a crash is forgotten, so a step is attempted without end.",
        replaced(module, "fold", _after_fold(_attempts_anew)),
        _chain,
        settled(_three_attempts),
        "a b=transient b=transient crash b=transient b=transient",
    ),
    _bug(
        "a recovery goes forward",
        "The entry that turned a run back is not folded: the run goes on where it was.",
        replaced(module, "fold", _folding(_until_failure)),
        _chain,
        _ALL,
        "a b=reject a- crash",
    ),
    _bug(
        "a recovery takes what is open for done",
        "A call that was begun before a crash is assumed to have landed.",
        replaced(module, "again", _assumed("done")),
        _chain,
        _ALL,
        "a crash",
    ),
    _bug(
        "a recovery takes what is open for nothing",
        "A call that was begun before a crash is assumed not to have landed.",
        replaced(module, "again", _assumed("rejected")),
        _chain,
        _ALL,
        "a b=open crash",
    ),
    _bug(
        "a recovery chooses again",
        "A choice is not read from the journal but made anew, and may be another.",
        replaced(module, "fold", _folding(_without_choice)),
        _which,
        settled(_one_branch),
        "which: x crash",
        world=Turning,
    ),
    _bug(
        "a recovery calls what is not idempotent",
        "An open call is made again whatever the step has promised.",
        replaced(module, "again", _always_again),
        _bare,
        _ALL,
        "a b=open crash",
    ),
    _bug(
        "a recovery forgets its doubts",
        "After a restart nobody knows any more that an unanswered call may still land.",
        replaced(module, "fold", _after_fold(_doubts_forgotten)),
        lambda: S(C("a", contract=Contract(sticky=True), retry=Retry()), P(), R()),
        exactly("a", "p", "r"),
        "a=late crash a- late",
        world=Loose,
    ),
    _bug(
        "a cancel is not written",
        "The run turns back in memory only: after a crash it goes forward over what it undid.",
        replaced(Driver, "heard", _not_written),
        _chain,
        _ALL,
        "a cancel b b- crash",
    ),
)
